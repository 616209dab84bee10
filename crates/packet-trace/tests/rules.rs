//! The walker against a plain reading of port security and security groups, over random hosts and connections, and what
//! becomes of connections when rules change: nobody's traffic ends that is still allowed, and all the other does.
//!
//! `NEUTRONIUM_RULES_HOSTS` says how many hosts are drawn, `NEUTRONIUM_TRACE_SEED` where the drawing starts.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // in helpers of tests, too
#![allow(clippy::print_stdout)] // how many were compared

mod common;
#[path = "../../host-plan/tests/support/mod.rs"]
mod support;

use common::random::{self, Dice, INSTANCES, address, device, mac_of, port_name};
use common::{count, observed};
use host_plan::Logged;
use host_view::{Direction, HostView, Log, Port, Remote, RuleMatch};
use net_types::{IpNet, PortId};
use packet_trace::{Packet, Switch, Tracker};
use std::collections::BTreeSet;
use std::net::IpAddr;
use support::{Host, id, ip, net};
use uuid::Uuid;

/// The port that connections come from.
const SOURCE_PORT: u16 = 40000;

/// What somebody wants to begin.
#[derive(Debug, Clone)]
struct Connection {
    from: u64,
    to: u64,
    source: IpAddr,
    target: IpAddr,
    protocol: u8,
    port: u16,
    icmp_code: u8,
}

impl Connection {
    fn draw(dice: &mut Dice, places: &[u64]) -> Self {
        let from = dice.roll(INSTANCES);
        let near: Vec<u64> =
            (0..INSTANCES).filter(|to| *to != from && places[*to as usize] == places[from as usize]).collect();
        let to = if near.is_empty() || dice.percent(5) { (from + 1) % INSTANCES } else { *dice.one(&near) };
        let v6 = dice.percent(40);
        let network = places[from as usize];
        let source = match dice.roll(12) {
            0 => address(network, 190, v6),
            1 => address(network, from + 1, v6),
            _ => address(network, from, v6),
        };
        // Who speaks with itself is its own answer.
        let target = address(places[to as usize], to, v6);
        let source = if source == target { address(network, from, v6) } else { source };
        let protocol = *dice.one(&[1u8, 6, 6, 6, 17, 33, 47, 112, 132, 136]);
        Self {
            from,
            to,
            source: ip(&source),
            target: ip(&target),
            protocol: if v6 && protocol == 1 { 58 } else { protocol },
            port: 75 + dice.roll(14) as u16,
            icmp_code: dice.roll(2) as u8,
        }
    }

    fn v6(&self) -> bool {
        self.source.is_ipv6()
    }

    fn packet(&self, back: bool) -> Packet {
        let (from, to) = if back { (self.to, self.from) } else { (self.from, self.to) };
        let (source, target) = if back { (self.target, self.source) } else { (self.source, self.target) };
        let family = if self.v6() { "ipv6" } else { "ip" };
        let (s, t) = if self.v6() { ("ipv6_src", "ipv6_dst") } else { ("nw_src", "nw_dst") };
        let (low, high) = if back { (self.port, SOURCE_PORT) } else { (SOURCE_PORT, self.port) };
        let rest = match self.protocol {
            6 => format!(",tcp_src={low},tcp_dst={high}"),
            17 => format!(",udp_src={low},udp_dst={high}"),
            132 => format!(",sctp_src={low},sctp_dst={high}"),
            1 => format!(",icmp_type={},icmp_code={}", if back { 0 } else { 8 }, self.icmp_code),
            58 => format!(",icmpv6_type={},icmpv6_code={}", if back { 129 } else { 128 }, self.icmp_code),
            _ => String::new(),
        };
        let (from, to) = (mac_of(from), mac_of(to));
        let protocol = self.protocol;
        Packet::parse(&format!(
            "{family},dl_src={from},dl_dst={to},{s}={source},{t}={target},nw_proto={protocol}{rest}"
        ))
        .unwrap()
    }
}

fn port(view: &HostView, number: u64) -> &Port {
    &view.ports[&id(&port_name(number))]
}

fn secured(port: &Port) -> bool {
    port.port_security
}

/// Whether a port may speak with this source.
fn is_own(port: &Port, source: IpAddr) -> bool {
    let own = port.fixed_ips.iter().any(|fixed| fixed.address == source);
    let pairs = port.allowed_address_pairs.iter();
    !secured(port) || own || pairs.filter(|pair| pair.mac == port.mac).any(|pair| pair.address.contains(&source))
}

fn allows(view: &HostView, port: &Port, direction: Direction, other: IpAddr, of: &Connection) -> bool {
    !secured(port)
        || port.security_groups.iter().flat_map(|id| view.security_groups[id].rules.values()).any(|rule| {
            rule.direction == direction
                && (rule.ethertype == host_view::EtherType::IPv6) == of.v6()
                && rule.protocol.is_none_or(|protocol| protocol == of.protocol)
                && match rule.matching {
                    RuleMatch::Any => true,
                    RuleMatch::Ports(range) => range.contains(of.port),
                    RuleMatch::Icmp { kind, code } => {
                        matches!(kind, 8 | 128) && code.is_none_or(|code| code == of.icmp_code)
                    }
                }
                && match &rule.remote {
                    Remote::Any => true,
                    Remote::Prefix(prefix) => prefix.contains(&other),
                    Remote::Group(id) => view.group_members[id].iter().any(|member| member.contains(&other)),
                }
        })
}

/// What a person who reads the groups expects of the first packet.
fn expected(view: &HostView, of: &Connection) -> bool {
    let (from, to) = (port(view, of.from), port(view, of.to));
    from.network == to.network
        && from.admin_state_up
        && to.admin_state_up
        && is_own(from, of.source)
        && allows(view, from, Direction::Egress, of.target, of)
        && allows(view, to, Direction::Ingress, of.source, of)
}

/// Whether every group of a port is stateless, so that answers need rules of their own.
fn stateless(view: &HostView, port: &Port) -> bool {
    secured(port)
        && !port.security_groups.is_empty()
        && port.security_groups.iter().all(|id| !view.security_groups[id].stateful)
}

fn passes(switch: &Switch<'_>, of: &Connection, back: bool, tracker: &mut Tracker) -> (bool, String) {
    let (from, to) = if back { (of.to, of.from) } else { (of.from, of.to) };
    let trace = switch.send("br-int", &device(from), &of.packet(back), tracker);
    assert_eq!(trace.not_modelled().next(), None, "{trace}");
    (trace.reaches(&device(to)), trace.to_string())
}

fn settled(host: &mut Host) -> host_plan::HostPlan {
    host.settle()
}

#[test]
fn the_plan_does_what_a_reader_of_the_rules_expects() {
    let seed = count("NEUTRONIUM_TRACE_SEED", 1) as u64;
    let (mut passed, mut refused) = (0, 0);
    for round in 0..count("NEUTRONIUM_RULES_HOSTS", 40) as u64 {
        let mut dice = Dice::new(seed + round);
        let (mut host, places) = random::host(&mut dice);
        let plan = settled(&mut host);
        let switch = Switch::new(&plan, &host.state);
        for _ in 0..60 {
            let wish = Connection::draw(&mut dice, &places);
            let expected = expected(&host.view, &wish);
            let mut tracker = Tracker::default();
            let (arrives, trace) = passes(&switch, &wish, false, &mut tracker);
            assert_eq!(arrives, expected, "seed {} {wish:?}\n{trace}", seed + round);
            *if expected { &mut passed } else { &mut refused } += 1;
            // An answer needs no rule; but a port without connections to remember has nothing else.
            let ends = [wish.from, wish.to].map(|end| port(&host.view, end));
            let plain = ends.iter().all(|end| !stateless(&host.view, end));
            if expected && plain && is_own(ends[1], wish.target) {
                let (answered, trace) = passes(&switch, &wish, true, &mut tracker);
                assert!(answered, "seed {}: no answer to {wish:?}\n{trace}", seed + round);
            }
        }
    }
    println!("{passed} allowed, {refused} refused, all as the rules say");
    assert!(passed > 200 && refused > 200, "both must be tried: {passed}, {refused}");
}

/// What is to be written down of a connection's first packet: port, whether it was accepted, log. Of ports with one group, or by
/// logs of whole ports: who is asked by itself.
fn written(view: &HostView, of: &Connection) -> BTreeSet<(PortId, bool, Uuid)> {
    let (from, to) = (port(view, of.from), port(view, of.to));
    let mut found = BTreeSet::new();
    let mut write = |number: u64, accepted: bool| {
        let id = id::<PortId>(&port_name(number));
        let wants = |log: &Log| if accepted { log.event.is_accept() } else { log.event.is_drop() };
        let logs = view.logs.iter().filter(|(_, log)| log.ports.contains(&id) && wants(log));
        found.extend(logs.map(|(log, _)| (id, accepted, *log)));
    };
    if !from.admin_state_up {
        return found;
    }
    if secured(from) {
        let accepted = is_own(from, of.source) && allows(view, from, Direction::Egress, of.target, of);
        write(of.from, accepted);
        if !accepted {
            return found;
        }
    }
    // Frames to a MAC of another network, or of a port that is down, find nobody.
    if from.network == to.network && to.admin_state_up && secured(to) {
        write(of.to, allows(view, to, Direction::Ingress, of.source, of));
    }
    found
}

#[test]
fn logs_tell_what_a_reader_of_the_rules_expects() {
    let seed = count("NEUTRONIUM_TRACE_SEED", 1) as u64;
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..count("NEUTRONIUM_RULES_HOSTS", 40) as u64 {
        let mut dice = Dice::new(0x106 + seed + round);
        let (mut host, places) = random::host(&mut dice);
        // Of stateless groups nothing is logged, for they know no first packet.
        host.view.security_groups.values_mut().for_each(|group| group.stateful = true);
        observed::logs(&mut dice, &mut host);
        let ports = host.view.ports.clone();
        for log in host.view.logs.values_mut() {
            let Some(group) = log.group else { continue };
            log.ports.retain(|id| ports[id].security_groups.iter().eq([&group]));
        }
        let plan = settled(&mut host);
        let switch = Switch::new(&plan, &host.state);
        for _ in 0..60 {
            let wish = Connection::draw(&mut dice, &places);
            let expected = written(&host.view, &wish);
            let mut tracker = Tracker::default();
            let trace = switch.send("br-int", &device(wish.from), &wish.packet(false), &mut tracker);
            let entries = trace.logged().into_iter().map(|number| plan.logged[&number].clone());
            let said = entries.flat_map(|logged| {
                let Logged { port, accepted, logs, .. } = logged;
                logs.into_iter().map(move |log| (port, accepted, log))
            });
            let said: Vec<_> = said.collect();
            assert_eq!(said.len(), expected.len(), "seed {}: each once: {wish:?}\n{trace}", seed + round);
            assert_eq!(said.into_iter().collect::<BTreeSet<_>>(), expected, "seed {} {wish:?}\n{trace}", seed + round);
            accepted += expected.iter().filter(|(_, accepted, _)| *accepted).count();
            refused += expected.iter().filter(|(_, accepted, _)| !*accepted).count();
        }
    }
    println!("{accepted} acceptances and {refused} refusals were written down, all as the rules say");
    assert!(accepted > 200 && refused > 200, "both must be tried: {accepted}, {refused}");
}

#[test]
fn connections_live_exactly_as_long_as_they_are_allowed() {
    let seed = count("NEUTRONIUM_TRACE_SEED", 1) as u64;
    let (mut lived, mut ended) = (0, 0);
    let hosts = count("NEUTRONIUM_RULES_HOSTS", 200) as u64;
    for round in 0..hosts {
        let mut dice = Dice::new(0x00c0_ffee + seed + round);
        let (mut host, places) = random::host(&mut dice);
        host.view.security_groups.values_mut().for_each(|group| group.stateful = true);
        let plan = settled(&mut host);
        let switch = Switch::new(&plan, &host.state);
        let mut tracker = Tracker::default();
        let mut open: Vec<Connection> = vec![];
        for _ in 0..40 {
            let wish = Connection::draw(&mut dice, &places);
            let has_state = [wish.from, wish.to].iter().any(|end| secured(port(&host.view, *end)));
            // Without ports, both directions would be one connection, and so would be a second one.
            let has_ports = matches!(wish.protocol, 6 | 17 | 132);
            let taken = open.iter().any(|other| {
                let same = (other.source, other.target) == (wish.source, wish.target);
                let same = same && (!has_ports || other.port == wish.port);
                other.protocol == wish.protocol && (other.from == wish.to || same)
            });
            let taken = taken || is_stolen(&host.view, &wish);
            if !taken && expected(&host.view, &wish) && has_state && passes(&switch, &wish, false, &mut tracker).0 {
                let (answered, trace) = passes(&switch, &wish, true, &mut tracker);
                assert!(answered, "{wish:?}\n{trace}");
                open.push(wish);
            }
        }
        let before = host.view.clone();
        change(&mut dice, &mut host);
        let plan = settled(&mut host);
        let switch = Switch::new(&plan, &host.state);
        forget(&host, &plan, &open, &mut tracker);
        for wish in &open {
            let still = expected(&host.view, wish);
            // What the other side says passes as an answer, or because its own rules allow it.
            let (answered, trace) = passes(&switch, wish, true, &mut tracker.clone());
            let may = still || expected_back(&host.view, wish);
            // Where several may use an address, nobody can tell whose connection it is: it is left to the mark.
            if still || !is_shared(&host.view, wish) {
                assert_eq!(answered, may, "seed {} answers to {wish:?}\n{trace}", seed + round);
            }
            let (goes_on, trace) = passes(&switch, wish, false, &mut tracker);
            assert_eq!(goes_on, still, "seed {} {wish:?}\n{trace}", seed + round);
            // Once the first side has tried, the other cannot go on either.
            let (answered, trace) = passes(&switch, wish, true, &mut tracker);
            assert_eq!(answered, still, "seed {} answers to {wish:?}\n{trace}", seed + round);
            *if still { &mut lived } else { &mut ended } += 1;
        }
        // What is allowed again goes on.
        host.view = before;
        let plan = settled(&mut host);
        let switch = Switch::new(&plan, &host.state);
        forget(&host, &plan, &open, &mut tracker);
        for wish in &open {
            for back in [false, true] {
                let (goes_on, trace) = passes(&switch, wish, back, &mut tracker);
                assert!(goes_on, "seed {} again {wish:?}\n{trace}", seed + round);
            }
        }
    }
    println!("{lived} went on, {ended} ended");
    assert!(hosts < 40 || (lived > hosts && ended > hosts), "both must be tried: {lived}, {ended}");
}

/// Whether it is begun with another port's own address, by whom nothing hinders to do so.
fn is_stolen(view: &HostView, of: &Connection) -> bool {
    let from = port(view, of.from);
    let others = view.ports.values().filter(|other| other.network == from.network && other.mac != from.mac);
    others.flat_map(|other| &other.fixed_ips).any(|fixed| fixed.address == of.source)
}

/// Whether another port may use an address of the connection, too; whoever has it only by a pair shares it.
fn is_shared(view: &HostView, of: &Connection) -> bool {
    let sides = [(of.from, of.source), (of.to, of.target)];
    sides.iter().any(|(number, address)| {
        let own = port(view, *number);
        if own.fixed_ips.iter().all(|fixed| fixed.address != *address) {
            return true;
        }
        let others = view.ports.iter().filter(|(other, _)| **other != id(&port_name(*number)));
        let network = port(view, *number).network;
        others.filter(|(_, other)| other.network == network).any(|(_, other)| {
            other.fixed_ips.iter().any(|fixed| fixed.address == *address)
                || other.allowed_address_pairs.iter().any(|pair| pair.address.contains(address))
        })
    })
}

/// The other side's packet, if it began a connection of its own.
fn expected_back(view: &HostView, of: &Connection) -> bool {
    let back =
        Connection { from: of.to, to: of.from, source: of.target, target: of.source, port: SOURCE_PORT, ..of.clone() };
    !matches!(of.protocol, 1 | 58) && expected(view, &back)
}

/// Forgets what the planner says must be forgotten.
fn forget(host: &Host, plan: &host_plan::HostPlan, open: &[Connection], tracker: &mut Tracker) {
    let rules = host_plan::ConnectionRules::new(&host.view, plan);
    for wish in open {
        let Some(zone) = plan.local_vlans.get(&port(&host.view, wish.from).network).map(|vlan| vlan.get()) else {
            continue;
        };
        let Some(mark) = tracker.mark(zone, &wish.packet(false)) else { continue };
        let ports = matches!(wish.protocol, 6 | 17 | 132).then_some((SOURCE_PORT, wish.port)).unwrap_or_default();
        let icmp = match wish.protocol {
            1 => Some((7, 8, wish.icmp_code)),
            58 => Some((7, 128, wish.icmp_code)),
            _ => None,
        };
        let connection = host_plan::TrackedConnection {
            zone,
            protocol: wish.protocol,
            source: wish.source,
            target: wish.target,
            answerer: wish.target,
            ports,
            icmp,
            mark,
        };
        if rules.must_go(&connection) {
            tracker.forget(zone, &wish.packet(false));
        }
    }
}

/// Rules come and go, members come and go, ports change their groups.
fn change(dice: &mut Dice, host: &mut Host) {
    for group in host.view.security_groups.values_mut() {
        group.rules.retain(|_, _| dice.percent(70));
        if dice.percent(50) {
            group.rules.insert(id("77"), random::rule(dice));
        }
    }
    for members in host.view.group_members.values_mut() {
        *members = members.iter().copied().filter(|_| dice.percent(70)).collect::<std::collections::BTreeSet<IpNet>>();
        if dice.percent(20) {
            members.insert(net("10.1.0.8/29"));
        }
    }
    for port in host.view.ports.values_mut().filter(|port| port.port_security) {
        if dice.percent(15) {
            port.security_groups.insert(id("90"));
        }
        if dice.percent(10) {
            port.security_groups.pop_first();
        }
    }
}
