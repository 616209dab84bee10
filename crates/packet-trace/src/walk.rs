//! The walker: bridges, ports and tables of a plan, and a packet's way through them.

use crate::normal::{Fdb, PortVlan, is_reserved};
use crate::packet::TAG_PRESENT;
use crate::table::{Hit, Tables};
use crate::trace::{Copied, Exit, Step, Trace};
use crate::{Connections, Packet};
use host_plan::{HostPlan, LocalState, Mirror, PortKind};
use net_types::MacAddr;
use openflow::{Action, Ct, CtZone, Field, Flow, Masked, PortNo};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

/// How deep resubmits may nest, as in Open vSwitch.
const DEEPEST: usize = 64;
/// Steps after which a packet runs in circles.
const MOST_STEPS: usize = 4096;

/// The switch of a host, as a plan makes it.
pub struct Switch<'a> {
    bridges: BTreeMap<&'a str, Bridge<'a>>,
    names: BTreeMap<(&'a str, u32), String>,
}

struct Bridge<'a> {
    /// None: not ours to program; it is an ordinary learning switch.
    tables: Option<Tables<'a>>,
    ports: BTreeMap<u32, Port<'a>>,
    fdb: Fdb,
    mirrors: Vec<(&'a str, &'a Mirror)>,
}

impl Bridge<'_> {
    /// Whether only copies leave by a port: what comes in by it is dropped, and nothing is flooded to it.
    fn is_reserved(&self, port: &Port<'_>) -> bool {
        self.mirrors.iter().any(|(_, mirror)| mirror.output == port.name)
    }
}

struct Port<'a> {
    name: String,
    vlan: PortVlan,
    kind: Kind<'a>,
    /// False: its BFD session is down.
    lives: bool,
}

enum Kind<'a> {
    Plain,
    /// The bridge and the number of the other end.
    Patch(&'a str, u32),
    /// Whom it leads to, if to one alone, and the key that everything bears there, if it is one.
    Tunnel(Option<IpAddr>, Option<u64>),
}

impl<'a> Switch<'a> {
    /// Of a plan, with the numbers that the switch gave to ports.
    pub fn new(plan: &'a HostPlan, state: &'a LocalState) -> Self {
        let planned = |bridge: &str, port: &str| plan.bridges.get(bridge)?.ports.get(port);
        let mut bridges: BTreeMap<&str, Bridge<'_>> = BTreeMap::new();
        let all = state.bridges.iter().chain(plan.bridges.keys()).chain(plan.flows.keys());
        for name in all {
            let tables = plan.flows.get(name).map(|flows| Tables::new(flows));
            let planned = plan.bridges.get(name);
            let mirrors = planned.into_iter().flat_map(|bridge| &bridge.mirrors);
            bridges.entry(name).or_insert_with(|| Bridge {
                tables,
                ports: [local(name)].into(),
                fdb: Fdb::default(),
                mirrors: mirrors.map(|(name, mirror)| (name.as_str(), mirror)).collect(),
            });
        }
        for (name, interface) in &state.interfaces {
            let Some((bridge, number)) = bridges.get_mut(interface.bridge.as_str()).zip(interface.ofport) else {
                continue;
            };
            let kind = match planned(&interface.bridge, name).map(|port| &port.kind) {
                Some(PortKind::Patch { peer }) => match state.interfaces.get_key_value(peer) {
                    Some((_, other)) => match other.ofport {
                        Some(number) => Kind::Patch(&other.bridge, number),
                        None => continue,
                    },
                    None => continue,
                },
                Some(PortKind::Tunnel { options, .. } | PortKind::Erspan { options }) => {
                    let read = |name: &str| options.get(name);
                    let key = read("key").or_else(|| read("out_key")).and_then(|key| key.parse().ok());
                    Kind::Tunnel(read("remote_ip").and_then(|ip| ip.parse().ok()), key)
                }
                Some(PortKind::Veth | PortKind::Internal) | None => Kind::Plain,
            };
            let vlan = plan.tags.get(name).map_or(PortVlan::Trunk, |tag| PortVlan::Access(tag.tag));
            let keeps_session = planned(&interface.bridge, name).is_some_and(|port| !port.bfd.is_empty());
            let lives = interface.lives || !keeps_session;
            bridge.ports.insert(number, Port { name: name.clone(), vlan, kind, lives });
        }
        let names = bridges
            .iter()
            .flat_map(|(bridge, value)| {
                value.ports.iter().map(|(number, port)| ((*bridge, *number), port.name.clone()))
            })
            .collect();
        Self { bridges, names }
    }

    /// Stations that a bridge has learned.
    pub fn learn(&mut self, bridge: &str, vlan: u16, mac: MacAddr, port: &str) {
        if let Some(bridge) = self.bridges.get_mut(bridge) {
            bridge.fdb.insert((vlan, mac), port.to_owned());
        }
    }

    /// The number of a port.
    pub fn number(&self, bridge: &str, port: &str) -> Option<u32> {
        let ports = &self.bridges.get(bridge)?.ports;
        ports.iter().find(|(_, known)| known.name == port).map(|(number, _)| *number)
    }

    /// Sends a packet into a bridge by a port; nothing happens when there is no such port.
    pub fn send(&self, bridge: &str, port: &str, packet: &Packet, connections: &mut dyn Connections) -> Trace<'a> {
        let trace = Trace { names: self.names.clone(), ..Trace::default() };
        let mut walk = Walk {
            switch: self,
            connections,
            trace,
            later: VecDeque::new(),
            depth: 0,
            taken: 0,
            arrives: true,
            copied: BTreeSet::new(),
        };
        let bridge = self.bridges.get_key_value(bridge).map(|(name, _)| *name);
        if let Some((bridge, number)) = bridge.and_then(|bridge| Some((bridge, self.number(bridge, port)?))) {
            walk.enter(bridge, number, packet.clone());
            walk.go_on();
        }
        walk.trace
    }
}

/// The bridge's own port.
fn local(bridge: &str) -> (u32, Port<'static>) {
    (PortNo::LOCAL.0, Port { name: bridge.to_owned(), vlan: PortVlan::Trunk, kind: Kind::Plain, lives: true })
}

struct Walk<'s, 'a> {
    switch: &'s Switch<'a>,
    connections: &'s mut dyn Connections,
    trace: Trace<'a>,
    /// Packets that the connection tracker sends on, after the present one is through.
    later: VecDeque<Later<'a>>,
    depth: usize,
    /// Steps taken so far, copies' among them.
    taken: usize,
    /// Mirrors are to look at the packet as one that comes in: once for one that comes from outside, and again each time
    /// that the connection tracker has sent it on. They do not look at one that comes in by a patch.
    arrives: bool,
    /// Where copies of the packet have been sent on the present bridge: nowhere twice.
    copied: BTreeSet<&'a str>,
}

struct Later<'a> {
    bridge: &'a str,
    table: u8,
    packet: Packet,
    copied: BTreeSet<&'a str>,
}

impl<'a> Walk<'_, 'a> {
    fn step(&mut self, step: Step<'a>) {
        self.taken += 1;
        self.trace.steps.push(step);
    }

    /// What the connection tracker sends on.
    fn go_on(&mut self) {
        while let Some(Later { bridge, table, mut packet, copied }) = self.later.pop_front() {
            (self.depth, self.arrives, self.copied) = (0, true, copied);
            self.table(bridge, table, &mut packet);
        }
    }

    /// In by a port, into table 0.
    fn enter(&mut self, bridge: &'a str, number: u32, mut packet: Packet) {
        packet.set(Field::InPort, number.into());
        let name = self.port(bridge, number).map(|port| port.name.clone()).unwrap_or_default();
        self.step(Step::In { bridge, port: name, packet: Box::new(packet.clone()) });
        if self.switch.bridges.get(bridge).is_some_and(|bridge| bridge.tables.is_none()) {
            if self.arrive(bridge, &packet) {
                self.normal(bridge, &packet);
            }
            return;
        }
        self.table(bridge, 0, &mut packet);
    }

    /// Mirrors look at a packet that comes in; whether it may go on.
    fn arrive(&mut self, bridge: &'a str, packet: &Packet) -> bool {
        if !std::mem::take(&mut self.arrives) {
            return true;
        }
        let number = packet.get(Field::InPort) as u32;
        let here = self.switch.bridges.get(bridge);
        if here.is_some_and(|here| here.ports.get(&number).is_some_and(|port| here.is_reserved(port))) {
            self.step(Step::Normal("refused: only copies leave by this port, and nothing comes in".into()));
            return false;
        }
        self.mirror(bridge, number, packet, |mirror| &mirror.from);
        true
    }

    /// Copies of a packet that comes in or goes out by a port, by the mirrors that select it.
    fn mirror(
        &mut self,
        bridge: &'a str,
        number: u32,
        packet: &Packet,
        selected: impl Fn(&Mirror) -> &BTreeSet<String>,
    ) {
        let switch = self.switch;
        let Some(here) = switch.bridges.get(bridge) else { return };
        let Some(port) = here.ports.get(&number) else { return };
        // A tag that the port does not take is no frame of the bridge.
        let Some(vlan) = port.vlan.of_frame(packet.vlan()) else { return };
        for (name, mirror) in here.mirrors.iter().filter(|(_, mirror)| selected(mirror).contains(&port.name)) {
            if !mirror.vlans.is_empty() && !mirror.vlans.contains(&vlan) {
                continue;
            }
            let output = here.ports.iter().find(|(_, port)| port.name == mirror.output);
            if let Some((number, output)) = output.filter(|_| self.copied.insert(mirror.output.as_str())) {
                self.copy((bridge, *name), *number, &tagged(packet, output.vlan.tag_of(vlan)));
            }
        }
    }

    /// A copy on its way, which is no part of the packet's.
    fn copy(&mut self, (bridge, mirror): (&'a str, &'a str), output: u32, packet: &Packet) {
        let (before, waiting) = (std::mem::take(&mut self.trace.steps), std::mem::take(&mut self.later));
        self.leave(bridge, output, packet);
        let (depth, copied) = (self.depth, self.copied.clone());
        self.go_on();
        (self.depth, self.copied, self.arrives) = (depth, copied, false);
        self.later = waiting;
        let steps = std::mem::replace(&mut self.trace.steps, before);
        self.step(Step::Copied(Copied { bridge, mirror, steps }));
    }

    fn port(&self, bridge: &str, number: u32) -> Option<&Port<'a>> {
        self.switch.bridges.get(bridge)?.ports.get(&number)
    }

    fn table(&mut self, bridge: &'a str, table: u8, packet: &mut Packet) {
        if self.depth >= DEEPEST || self.taken >= MOST_STEPS {
            self.step(Step::NotModelled("a packet that runs in circles".into()));
            return;
        }
        let tables = self.switch.bridges.get(bridge).and_then(|bridge| bridge.tables.as_ref());
        let Some(Hit { flow, conjunction }) = tables.and_then(|tables| tables.look_up(table, packet)) else {
            self.step(Step::Miss { bridge, table });
            self.arrive(bridge, packet);
            return;
        };
        let registers = packet.to_match(|field| {
            (Field::Reg0..=Field::Reg15).contains(&field)
                || matches!(field, Field::TunId | Field::CtState | Field::CtMark | Field::CtZone)
        });
        self.step(Step::Flow { bridge, flow, conjunction, registers });
        if !self.arrive(bridge, packet) {
            return;
        }
        self.depth += 1;
        self.actions(bridge, flow, &flow.actions, packet);
        self.depth -= 1;
    }

    fn actions(&mut self, bridge: &'a str, flow: &'a Flow, actions: &'a [Action], packet: &mut Packet) {
        for action in actions {
            match action {
                Action::Output(port) => self.output(bridge, *port, packet),
                Action::OutputReg(field) => {
                    let number = packet.read(*field) as u32;
                    self.output(bridge, PortNo(number), packet);
                }
                Action::PushVlan(_) => packet.push_tag(),
                Action::PopVlan => packet.pop_tag(),
                Action::DecTtl => packet.set(Field::IpTtl, packet.get(Field::IpTtl).saturating_sub(1)),
                Action::SetField(field, value) => packet.set(*field, *value),
                Action::Load(value, part) => packet.write(*part, (*value).into()),
                Action::Move(from, to) => packet.write(*to, packet.read(*from)),
                Action::Resubmit { port, table } => {
                    let arrived = packet.get(Field::InPort);
                    if *port != PortNo::IN_PORT {
                        packet.set(Field::InPort, port.0.into());
                    }
                    match table {
                        Some(table) => self.table(bridge, *table, packet),
                        None => self.step(Step::NotModelled("resubmit into the present table".into())),
                    }
                    packet.set(Field::InPort, arrived);
                }
                Action::GotoTable(table) => self.table(bridge, *table, packet),
                Action::Ct(ct) => self.track(bridge, ct, packet),
                Action::FirstLiving { into, ports } => {
                    let here = self.switch.bridges.get(bridge).map(|bridge| &bridge.ports);
                    let lives =
                        |port: &&u16| here.is_some_and(|all| all.get(&(**port).into()).is_some_and(|p| p.lives));
                    packet.write(*into, ports.iter().find(lives).map_or(0xffff, |port| (*port).into()));
                }
                Action::CtClear => packet.forget_connection(),
                Action::Learn(learn) => self.step(Step::Learned { table: learn.table }),
                // What limits, counts or explains changes no packet's way.
                Action::SetQueue(_) | Action::Meter(_) | Action::Note(_) | Action::Conjunction { .. } => {}
                Action::WriteMetadata(value, mask) => {
                    let kept = packet.get(Field::Metadata) & !u128::from(*mask);
                    packet.set(Field::Metadata, kept | u128::from(value & mask));
                }
                Action::ControllerMetered(_) => self.step(Step::Reported { number: flow.cookie as u32 }),
                Action::Controller(_) | Action::Group(_) | Action::ClearActions | Action::WriteActions(_) => {
                    self.step(Step::NotModelled(action.to_string()));
                }
            }
        }
    }

    fn track(&mut self, bridge: &'a str, ct: &Ct, packet: &mut Packet) {
        let zone = match ct.zone {
            CtZone::Number(zone) => zone,
            CtZone::Field(part) => packet.read(part) as u16,
        };
        if ct.commit {
            let mark = ct.exec.iter().find_map(|action| match action {
                Action::SetField(Field::CtMark, value) => Some(Masked::exact(*value)),
                _ => None,
            });
            self.connections.commit(zone, packet, mark);
            self.step(Step::Committed { zone, mark: mark.map(|mark| mark.value() as u32) });
        }
        if let Some(table) = ct.next_table {
            let tracked = self.connections.look(zone, packet);
            let mut on = packet.clone();
            on.set(Field::CtState, tracked.state);
            on.set(Field::CtZone, zone.into());
            if let Some(mark) = tracked.mark {
                on.set(Field::CtMark, mark.into());
            }
            self.step(Step::Tracked { zone, tracked, table });
            if let Some(nat) = &ct.nat {
                let before = on.clone();
                if !self.connections.translate(zone, &mut on, nat, ct.commit) {
                    self.step(Step::NotModelled(format!("ct(nat) of this kind: {nat:?}")));
                } else if on != before {
                    self.step(Step::Translated(Box::new(on.clone())));
                }
            }
            self.later.push_back(Later { bridge, table, packet: on, copied: self.copied.clone() });
        } else if ct.nat.is_some() {
            self.step(Step::NotModelled("ct(nat) without a table".into()));
        }
        // Only the copy that was sent on is tracked.
        packet.forget_connection();
    }

    fn output(&mut self, bridge: &'a str, port: PortNo, packet: &Packet) {
        let arrived = PortNo(packet.get(Field::InPort) as u32);
        match port {
            PortNo::NORMAL => self.normal(bridge, packet),
            PortNo::IN_PORT => self.leave(bridge, arrived.0, packet),
            PortNo::FLOOD | PortNo::ALL => {
                let ports =
                    self.switch.bridges.get(bridge).map(|bridge| bridge.ports.keys().copied().collect::<Vec<_>>());
                for other in ports.unwrap_or_default().into_iter().filter(|other| *other != arrived.0) {
                    self.leave(bridge, other, packet);
                }
            }
            // A switch never sends a packet back by itself.
            port if port == arrived => {}
            port if port.is_ordinary() || port == PortNo::LOCAL => self.leave(bridge, port.0, packet),
            port => self.step(Step::NotModelled(format!("output to {port}"))),
        }
    }

    /// Out by a port as the packet is.
    fn leave(&mut self, bridge: &'a str, number: u32, packet: &Packet) {
        let switch = self.switch;
        let Some(port) = switch.bridges.get(bridge).and_then(|bridge| bridge.ports.get(&number)) else {
            return;
        };
        match port.kind {
            Kind::Patch(other, patched) => {
                let mut there = packet.clone();
                there.forget_bridge();
                // Each bridge's mirrors count for themselves. A patch's own port is selected by none of them.
                let before = self.copied.clone();
                if other != bridge {
                    self.copied.clear();
                }
                self.depth += 1;
                if self.depth < DEEPEST {
                    self.enter(other, patched, there);
                }
                self.depth -= 1;
                if other != bridge {
                    self.copied = before;
                }
                return;
            }
            // Where to has nobody said.
            Kind::Tunnel(None, _) => return,
            Kind::Plain | Kind::Tunnel(Some(_), _) => {
                let tunnel = match port.kind {
                    Kind::Tunnel(Some(peer), key) => Some((peer, key.unwrap_or(packet.get(Field::TunId) as u64))),
                    _ => None,
                };
                let packet = packet.clone();
                let exit = Exit { bridge: bridge.to_owned(), port: port.name.clone(), tunnel, packet };
                self.step(Step::Out(exit));
            }
        }
        self.mirror(bridge, number, packet, |mirror| &mirror.to);
    }

    fn normal(&mut self, bridge: &'a str, packet: &Packet) {
        let switch = self.switch;
        let Some(here) = switch.bridges.get(bridge) else { return };
        let arrived = packet.get(Field::InPort) as u32;
        let refused = |what: &str| Step::Normal(format!("refused: {what}"));
        let Some(from) = here.ports.get(&arrived) else {
            return self.step(refused("by a port that is not there"));
        };
        let Some(vlan) = from.vlan.of_frame(packet.vlan()) else {
            return self.step(refused("a tag on an access port"));
        };
        if here.is_reserved(from) {
            return self.step(refused("only copies leave by this port, and nothing comes in"));
        }
        let to = packet.get(Field::EthDst);
        if is_reserved(to) {
            return self.step(refused("a reserved address"));
        }
        let octets = to.to_be_bytes();
        let mut mac = [0; 6];
        mac.iter_mut().zip(octets.iter().skip(10)).for_each(|(to, from)| *to = *from);
        let known = here.fdb.get(&(vlan, MacAddr(mac))).filter(|_| !packet.is_multicast());
        let known = known.and_then(|name| here.ports.iter().find(|(_, port)| port.name == *name));
        match known {
            Some((number, _)) if *number == arrived => self.step(refused("the station is where it came from")),
            Some((number, port)) => {
                self.step(Step::Normal(format!("learned: VLAN {vlan} to {}", port.name)));
                self.leave(bridge, *number, &tagged(packet, port.vlan.tag_of(vlan)));
            }
            None => {
                self.step(Step::Normal(format!("to all ports of VLAN {vlan}")));
                for (number, port) in here.ports.iter().filter(|(number, _)| **number != arrived) {
                    // Nothing is flooded into a tunnel by NORMAL in our bridges, but a foreign plan may.
                    if port.vlan.carries(vlan) && !here.is_reserved(port) {
                        self.leave(bridge, *number, &tagged(packet, port.vlan.tag_of(vlan)));
                    }
                }
            }
        }
    }
}

/// With this outermost tag instead of its own.
fn tagged(packet: &Packet, tag: Option<u16>) -> Packet {
    let mut packet = packet.clone();
    match (packet.vlan(), tag) {
        (_, Some(vlan)) => {
            let priority = packet.get(Field::VlanTci) & 0xe000;
            packet.set(Field::VlanTci, priority | TAG_PRESENT | u128::from(vlan));
        }
        (Some(_), None) => packet.pop_tag(),
        (None, None) => {}
    }
    packet
}
