//! A plain reading of port security and security groups: who may begin which connection.

use super::random::{Dice, INSTANCES, address, device, mac_of, port_name};
use crate::support::{id, ip};
use host_view::{Direction, HostView, Port, Remote, RuleMatch, SecurityGroupRule};
use net_types::SecurityGroupId;
use packet_trace::{Packet, Switch, Tracker};
use std::net::IpAddr;

/// The port that connections come from.
pub const SOURCE_PORT: u16 = 40000;

/// What somebody wants to begin.
#[derive(Debug, Clone)]
pub struct Connection {
    pub from: u64,
    pub to: u64,
    pub source: IpAddr,
    pub target: IpAddr,
    pub protocol: u8,
    pub port: u16,
    pub icmp_code: u8,
}

impl Connection {
    pub fn draw(dice: &mut Dice, places: &[u64]) -> Self {
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

    pub fn v6(&self) -> bool {
        self.source.is_ipv6()
    }

    pub fn packet(&self, back: bool) -> Packet {
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

pub fn port(view: &HostView, number: u64) -> &Port {
    &view.ports[&id(&port_name(number))]
}

pub fn secured(port: &Port) -> bool {
    port.port_security
}

/// Whether a port may speak with this source.
pub fn is_own(port: &Port, source: IpAddr) -> bool {
    let own = port.fixed_ips.iter().any(|fixed| fixed.address == source);
    let pairs = port.allowed_address_pairs.iter();
    !secured(port) || own || pairs.filter(|pair| pair.mac == port.mac).any(|pair| pair.address.contains(&source))
}

pub fn allows(view: &HostView, port: &Port, direction: Direction, other: IpAddr, of: &Connection) -> bool {
    !secured(port)
        || port.security_groups.iter().any(|group| accepting(view, group, direction, other, of).next().is_some())
}

/// The rules of a group that allow a connection's first packet.
pub fn accepting<'a>(
    view: &'a HostView,
    group: &SecurityGroupId,
    direction: Direction,
    other: IpAddr,
    of: &'a Connection,
) -> impl Iterator<Item = &'a SecurityGroupRule> {
    view.security_groups[group].rules.values().filter(move |rule| {
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
pub fn expected(view: &HostView, of: &Connection) -> bool {
    let (from, to) = (port(view, of.from), port(view, of.to));
    from.network == to.network
        && from.admin_state_up
        && to.admin_state_up
        && is_own(from, of.source)
        && allows(view, from, Direction::Egress, of.target, of)
        && allows(view, to, Direction::Ingress, of.source, of)
}

/// Whether every group of a port is stateless, so that answers need rules of their own.
pub fn stateless(view: &HostView, port: &Port) -> bool {
    secured(port)
        && !port.security_groups.is_empty()
        && port.security_groups.iter().all(|id| !view.security_groups[id].stateful)
}

pub fn passes(switch: &Switch<'_>, of: &Connection, back: bool, tracker: &mut Tracker) -> (bool, String) {
    let (from, to) = if back { (of.to, of.from) } else { (of.from, of.to) };
    let trace = switch.send("br-int", &device(from), &of.packet(back), tracker);
    assert_eq!(trace.not_modelled().next(), None, "{trace}");
    (trace.reaches(&device(to)), trace.to_string())
}
