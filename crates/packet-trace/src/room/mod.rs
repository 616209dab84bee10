//! Namespaces: what a router or a DHCP server does with a packet that the switch delivers to its device.
//!
//! ```text
//! switch ── device ── prerouting ── for an address of the namespace? ── yes ── input ── delivered
//!    ▲                (marks, DNAT)        └── no ── route ── forward ── postrouting ──┐
//!    └─────────────────────────────── device, next hop's MAC ◀───────── (SNAT) ◀───────┘
//! ```
//! In: devices, routes and packet filter tables of the plan's namespaces, and who answers for an address on a network. Out: steps of
//! the same [`Trace`]. Translations of a connection are remembered and applied to its other packets, both ways. Neighbour
//! discovery is not played: a MAC is known or it is not.

mod filter;

use crate::trace::{Exit, Step, Trace};
use crate::{Connections, Packet, Switch};
use filter::{Fate, Passing, set_address};
use host_plan::{Device, HostPlan, Namespace, Route};
use net_types::{IpNet, MacAddr};
use nft_rules::Hook;
use openflow::{Field, Masked};
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

/// How many namespaces a packet may pass.
const MOST_ROOMS: usize = 8;

/// Who answers for an address behind a namespace's device: device, address.
pub type Neighbours<'n> = dyn Fn(&str, IpAddr) -> Option<MacAddr> + 'n;

/// The namespaces of a host and the connections that they know.
pub struct Rooms<'a> {
    plan: &'a HostPlan,
    /// By namespace: how a packet looks when it comes in, and how it leaves.
    translations: BTreeMap<(String, Ends), Ends>,
    /// Marks of connections, by how a packet looks when it comes in.
    marks: BTreeMap<(String, Ends), u32>,
}

/// Protocol, source, destination, ports.
type Ends = (u128, IpAddr, IpAddr, u128, u128);

impl<'a> Rooms<'a> {
    /// Of a plan; no connection is known.
    pub fn new(plan: &'a HostPlan) -> Self {
        Self { plan, translations: BTreeMap::new(), marks: BTreeMap::new() }
    }

    /// Sends a packet into the switch and on through every namespace that it is delivered to.
    pub fn send(
        &mut self,
        switch: &Switch<'a>,
        from: (&str, &str),
        packet: &Packet,
        connections: &mut dyn Connections,
        neighbours: &Neighbours<'_>,
    ) -> Trace<'a> {
        let mut trace = switch.send(from.0, from.1, packet, connections);
        let mut arrived: VecDeque<Exit> = trace.exits().cloned().collect();
        let mut rooms = 0;
        while let Some(exit) = arrived.pop_front() {
            let Some((name, namespace, device)) = self.device(&exit.port) else { continue };
            rooms += 1;
            if rooms > MOST_ROOMS {
                trace.steps.push(Step::NotModelled("a packet that runs in circles through namespaces".into()));
                break;
            }
            if let Some((device, packet)) =
                self.enter(name, namespace, (&exit.port, device), &exit.packet, neighbours, &mut trace)
            {
                let bridge = exit.bridge.clone();
                let on = switch.send(&bridge, &device, &packet, connections);
                arrived.extend(on.exits().cloned());
                trace.steps.extend(on.steps);
            }
        }
        trace
    }

    fn device(&self, port: &str) -> Option<(&'a str, &'a Namespace, &'a Device)> {
        let found = self.plan.namespaces.iter().find_map(|(name, room)| Some((name, room, room.devices.get(port)?)));
        found.map(|(name, room, device)| (name.as_str(), room, device))
    }

    /// What comes out again, and by which device.
    fn enter(
        &mut self,
        name: &str,
        room: &'a Namespace,
        (iif, device): (&str, &Device),
        packet: &Packet,
        neighbours: &Neighbours<'_>,
        trace: &mut Trace<'a>,
    ) -> Option<(String, Packet)> {
        let say =
            |trace: &mut Trace<'a>, what: String| trace.steps.push(Step::Room { namespace: name.to_owned(), what });
        let to = packet.get(Field::EthDst);
        if to != Masked::from(device.mac).value() && !packet.is_multicast() {
            say(trace, format!("{iif}: not for its MAC address"));
            return None;
        }
        let destination = address(packet, false);
        let (Some(source), Some(destination)) = (address(packet, true), destination) else {
            say(trace, format!("{iif}: delivered"));
            return None;
        };
        let before = ends(packet, source, destination);
        let known = self.translations.get(&(name.to_owned(), before)).copied();
        let mut passing = Passing {
            packet: packet.clone(),
            iif: iif.to_owned(),
            oif: String::new(),
            mark: 0,
            new: known.is_none(),
            dnat: known.is_some_and(|after| after.2 != before.2),
            snat: known.is_some_and(|after| after.1 != before.1),
            connection_mark: self.marks.get(&(name.to_owned(), before)).copied().unwrap_or(0),
            redirect: None,
        };
        if self.hook(name, &room.nft, Hook::Prerouting, &mut passing, trace) == Fate::Dropped {
            return None;
        }
        if let Some(port) = passing.redirect {
            say(trace, format!("{iif}: delivered to port {port} of the namespace itself"));
            return None;
        }
        if let Some(after) = known.filter(|after| (after.2, after.4) != (before.2, before.4)) {
            say(trace, format!("known connection: destination becomes {}", after.2));
            set_address(&mut passing.packet, false, after.2);
            set_port(&mut passing.packet, false, after.4 as u16);
        }
        let destination = address(&passing.packet, false)?;
        let own = |net: &IpNet| net.addr() == destination;
        if room.devices.values().flat_map(|device| &device.addresses).any(own) || destination.is_multicast() {
            if self.hook(name, &room.nft, Hook::Input, &mut passing, trace) == Fate::Accepted {
                say(trace, format!("{iif}: delivered to {destination}"));
            }
            return None;
        }
        let forwards = if destination.is_ipv4() { "net.ipv4.ip_forward" } else { "net.ipv6.conf.all.forwarding" };
        if room.sysctls.get(forwards).map(String::as_str) != Some("1") {
            say(trace, "it forwards nothing: dropped".to_owned());
            return None;
        }
        let ways = routes(room, destination, passing.mark);
        let Some((oif, via)) = ways.first().cloned() else {
            say(trace, format!("no route to {destination}: dropped"));
            return None;
        };
        if ways.len() > 1 {
            say(
                trace,
                format!(
                    "{} ways side by side to {destination}, of which this connection takes one: {oif}, say",
                    ways.len()
                ),
            );
        }
        passing.oif.clone_from(&oif);
        if self.hook(name, &room.nft, Hook::Forward, &mut passing, trace) == Fate::Dropped
            || self.hook(name, &room.nft, Hook::Postrouting, &mut passing, trace) == Fate::Dropped
        {
            return None;
        }
        if let Some(after) = known.filter(|after| (after.1, after.3) != (before.1, before.3)) {
            say(trace, format!("known connection: source becomes {}", after.1));
            set_address(&mut passing.packet, true, after.1);
            set_port(&mut passing.packet, true, after.3 as u16);
        }
        let next = via.unwrap_or(destination);
        let Some(mac) = neighbours(&oif, next) else {
            say(trace, format!("{oif}: nobody answers for {next}"));
            return None;
        };
        self.remember(name, before, &passing);
        say(trace, format!("{oif}: forwarded by {next}"));
        Some((oif.clone(), leaving(&passing.packet, room.devices.get(&oif)?, mac)))
    }

    /// A connection, so that its other packets are translated alike, both ways.
    fn remember(&mut self, name: &str, before: Ends, passing: &Passing) {
        let packet = &passing.packet;
        let (Some(source), Some(destination)) = (address(packet, true), address(packet, false)) else { return };
        let after = ends(packet, source, destination);
        self.translations.entry((name.to_owned(), before)).or_insert(after);
        self.translations.entry((name.to_owned(), turned(after))).or_insert(turned(before));
        for way in [before, turned(after)] {
            self.marks.insert((name.to_owned(), way), passing.connection_mark);
        }
    }
}

/// Source or destination address of an IP packet.
fn address(packet: &Packet, source: bool) -> Option<IpAddr> {
    let (v4, v6) = if source { (Field::Ipv4Src, Field::Ipv6Src) } else { (Field::Ipv4Dst, Field::Ipv6Dst) };
    match packet.get(Field::EthType) as u16 {
        openflow::eth_type::IPV4 => Some(IpAddr::V4((packet.get(v4) as u32).into())),
        openflow::eth_type::IPV6 => Some(IpAddr::V6(packet.get(v6).into())),
        _ => None,
    }
}

fn ends(packet: &Packet, source: IpAddr, destination: IpAddr) -> Ends {
    let protocol = packet.get(Field::IpProto);
    let of = |field: Option<Field>| field.map_or(0, |field| packet.get(field));
    let (low, high) = (Field::transport_src(protocol as u8), Field::transport_dst(protocol as u8));
    (protocol, source, destination, of(low), of(high))
}

/// Of protocols that have ports.
fn set_port(packet: &mut Packet, source: bool, port: u16) {
    let protocol = packet.get(Field::IpProto) as u8;
    let field = if source { Field::transport_src(protocol) } else { Field::transport_dst(protocol) };
    if let Some(field) = field {
        packet.set(field, port.into());
    }
}

fn turned((protocol, source, destination, low, high): Ends) -> Ends {
    (protocol, destination, source, high, low)
}

/// Devices and next hops of the longest prefix that holds the address; no next hop: directly.
fn routes(room: &Namespace, to: IpAddr, mark: u32) -> Vec<(String, Option<IpAddr>)> {
    let connected = room
        .devices
        .iter()
        .flat_map(|(name, device)| device.addresses.iter().map(move |net| (net.trunc(), name, None)));
    let marked = |route: &Route| route.mark.map(|wanted| wanted == mark & Route::MARK_MASK);
    let chosen = room.routes.iter().any(|route| marked(route) == Some(true));
    let applies = |route: &&Route| match marked(route) {
        None => !chosen || route.destination.prefix_len() > 0,
        Some(holds) => holds,
    };
    let planned = room.routes.iter().filter(applies).map(|route| (route.destination, &route.device, route.via));
    let known: Vec<_> = connected.chain(planned).filter(|(net, ..)| net.contains(&to)).collect();
    let longest = known.iter().map(|(net, ..)| net.prefix_len()).max();
    let ways = known.into_iter().filter(|(net, ..)| Some(net.prefix_len()) == longest);
    let ways: Vec<_> = ways.map(|(_, device, via)| (device.clone(), via)).collect();
    // A device on whose wire the address is comes before next hops, and alone.
    let direct = ways.iter().find(|(_, via)| via.is_none()).cloned();
    direct.map_or(ways, |direct| vec![direct])
}

/// The packet as the device sends it.
fn leaving(packet: &Packet, device: &Device, to: MacAddr) -> Packet {
    let mut packet = packet.clone();
    packet.forget_bridge();
    packet.set(Field::EthSrc, Masked::from(device.mac).value());
    packet.set(Field::EthDst, Masked::from(to).value());
    packet.set(Field::IpTtl, packet.get(Field::IpTtl).saturating_sub(1));
    packet
}
