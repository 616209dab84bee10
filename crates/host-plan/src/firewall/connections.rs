//! Which tracked connections must be forgotten after rules, members, groups or ports have changed.
//!
//! ```text
//!                                   its answers, as a connection of their own, would be
//! the connection is                 allowed                                refused
//!   allowed                         stays; forgotten if marked             stays; forgotten if marked
//!   refused                         stays: the flows mark it (40), and     forgotten: nothing may take it up again
//!                                   what it still passes is allowed
//! ```
//! A connection whose answers are allowed by themselves must *not* be forgotten: its next answer would be taken for the first
//! packet of a new connection, and everything would go on. The mark holds it: the first packet of its own direction that
//! finds no rule marks it, and from then on neither direction passes. Where neither direction is allowed nothing can begin
//! anew, so forgetting ends it at once, also if only answers still flow. One that was marked and is allowed again is
//! forgotten, so that it can begin anew.
//!
//! An address that is only in allowed address pairs is nobody's alone: those who share it move it among themselves, to ports
//! without port security and to other hosts, too. What its side would refuse is left to the mark. Who takes another port's own
//! address (only a port without port security can) is judged by that port's rules.
//!
//! Connections that local IPs translate have zones of their own: those that would not begin so any more must be forgotten.
//!
//! In: the view, local VLANs, what the switch lists. Out: yes or no for each. Pure.

use super::port_security::{addresses, is_secured, own_addresses};
use crate::{HostPlan, zones_of};
use host_view::{Direction, EtherType, HostView, Port, Remote, RuleMatch, SecurityGroupRule};
use net_types::{IpNet, NetworkId, SecurityGroupId};
use openflow::ip_proto;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

/// A tracked connection as its first packet was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackedConnection {
    /// The conntrack zone: the local VLAN.
    pub zone: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// Who began it.
    pub source: IpAddr,
    /// With whom.
    pub target: IpAddr,
    /// Who answers: not whom the first packet was to, if that address was translated.
    pub answerer: IpAddr,
    /// Source and destination port; zero where the protocol has none.
    pub ports: (u16, u16),
    /// Identifier, type and code of ICMP.
    pub icmp: Option<(u16, u8, u8)>,
    /// `ct_mark`.
    pub mark: u32,
}

/// What the groups of this host's ports say of connections.
pub struct ConnectionRules<'a> {
    view: &'a HostView,
    /// Zones of translated connections, with what is translated into what.
    translations: BTreeMap<u16, BTreeMap<IpAddr, IpAddr>>,
    /// Networks by zone.
    zones: BTreeMap<u16, NetworkId>,
    /// Ports whose own address this is.
    owners: HashMap<(NetworkId, IpAddr), Vec<&'a Port>>,
    /// Ports that share it by an allowed address pair: the address, or the link-local one of the MAC.
    sharers: HashMap<(NetworkId, IpAddr), Vec<&'a Port>>,
    /// Ports that share whole prefixes.
    wide: HashMap<NetworkId, Vec<(IpNet, &'a Port)>>,
    /// Members of remote groups: single addresses, and prefixes.
    members: HashMap<SecurityGroupId, (BTreeSet<IpAddr>, Vec<IpNet>)>,
}

/// One direction of a connection.
struct Way {
    protocol: u8,
    source: IpAddr,
    target: IpAddr,
    port: u16,
    icmp: Option<(u8, u8)>,
}

impl<'a> ConnectionRules<'a> {
    /// Of a view, with the local VLANs of its plan.
    pub fn new(view: &'a HostView, plan: &HostPlan) -> Self {
        let (mut owners, mut sharers) = (HashMap::<_, Vec<_>>::new(), HashMap::<_, Vec<_>>::new());
        let mut wide = HashMap::<_, Vec<_>>::new();
        for port in view.ports.values() {
            let own: BTreeSet<IpAddr> = own_addresses(port).collect();
            for (_, net) in addresses(port) {
                if !is_single(&net) {
                    wide.entry(port.network).or_default().push((net, port));
                } else if own.contains(&net.addr()) {
                    owners.entry((port.network, net.addr())).or_default().push(port);
                } else {
                    sharers.entry((port.network, net.addr())).or_default().push(port);
                }
            }
        }
        // All of them: the last port with groups may have gone, and its address may come back.
        let zones = plan.local_vlans.iter();
        let of_zone = |zone: u16| (zone, plan.translations.get(&zone).cloned().unwrap_or_default());
        let translations = plan.local_vlans.values().map(|vlan| of_zone(zones_of(*vlan)[1])).collect();
        let members = view.group_members.iter().map(|(group, members)| {
            let (single, wide): (Vec<&IpNet>, Vec<&IpNet>) = members.iter().partition(|net| is_single(net));
            (*group, (single.into_iter().map(IpNet::addr).collect(), wide.into_iter().copied().collect()))
        });
        Self {
            view,
            translations,
            zones: zones.map(|(id, vlan)| (vlan.get(), *id)).collect(),
            owners,
            sharers,
            wide,
            members: members.collect(),
        }
    }

    /// Zones in which connections may have to be forgotten.
    pub fn zones(&self) -> impl Iterator<Item = u16> + '_ {
        self.zones.keys().chain(self.translations.keys()).copied()
    }

    /// Whether a connection must be forgotten; never one of a zone that is not ours.
    pub fn must_go(&self, connection: &TrackedConnection) -> bool {
        if let Some(translations) = self.translations.get(&connection.zone) {
            return translations.get(&connection.target) != Some(&connection.answerer);
        }
        let Some(network) = self.zones.get(&connection.zone) else { return false };
        let there = Way {
            protocol: connection.protocol,
            source: connection.source,
            target: connection.target,
            port: connection.ports.1,
            icmp: connection.icmp.map(|(_, kind, code)| (kind, code)),
        };
        if self.allows(*network, &there) {
            return connection.mark != 0;
        }
        // An answer to an echo request begins nothing.
        let back = Way {
            protocol: connection.protocol,
            source: connection.target,
            target: connection.source,
            port: connection.ports.0,
            icmp: None,
        };
        connection.icmp.is_some() || !self.allows(*network, &back)
    }

    /// Whether a first packet is allowed by the ports of this host that it is from and to. When it is neither from nor to
    /// one, nobody here is concerned any more.
    fn allows(&self, network: NetworkId, way: &Way) -> bool {
        let sides = [(way.source, Direction::Egress, way.target), (way.target, Direction::Ingress, way.source)];
        let said = sides.map(|(own, direction, other)| {
            let Some(owners) = self.owners.get(&(network, own)) else {
                return self.sharers(network, own).next().is_some().then_some(true);
            };
            // Of several that may use an address, one that allows it is enough.
            let mut may = owners.iter().copied().chain(self.sharers(network, own));
            Some(may.any(|port| self.port_allows(port, direction, other, way)))
        });
        said.iter().any(Option::is_some) && said.iter().flatten().all(|allowed| *allowed)
    }

    /// Ports that may use an address by a pair.
    fn sharers(&self, network: NetworkId, address: IpAddr) -> impl Iterator<Item = &'a Port> + '_ {
        let single = self.sharers.get(&(network, address)).into_iter().flatten().copied();
        let wide = self.wide.get(&network).into_iter().flatten();
        single.chain(wide.filter(move |(net, _)| net.contains(&address)).map(|(_, port)| *port))
    }

    fn port_allows(&self, port: &Port, direction: Direction, other: IpAddr, way: &Way) -> bool {
        let groups = || port.security_groups.iter().filter_map(|id| self.view.security_groups.get(id));
        !is_secured(port)
            || groups().flat_map(|group| group.rules.values()).any(|rule| self.rule_allows(rule, direction, other, way))
    }

    fn rule_allows(&self, rule: &SecurityGroupRule, direction: Direction, other: IpAddr, way: &Way) -> bool {
        rule.direction == direction
            && rule.ethertype == EtherType::of(&other)
            && super::rules::protocol(rule).is_none_or(|protocol| protocol == way.protocol)
            && match rule.matching {
                RuleMatch::Any => true,
                RuleMatch::Ports(range) => {
                    matches!(way.protocol, ip_proto::TCP | ip_proto::UDP | ip_proto::SCTP) && range.contains(way.port)
                }
                RuleMatch::Icmp { kind, code } => {
                    way.icmp.is_some_and(|(own, own_code)| own == kind && code.is_none_or(|code| code == own_code))
                }
            }
            && match &rule.remote {
                Remote::Any => true,
                Remote::Prefix(prefix) => prefix.contains(&other),
                Remote::Group(id) => self.members.get(id).is_some_and(|(single, wide)| {
                    single.contains(&other) || wide.iter().any(|net| net.contains(&other))
                }),
            }
    }
}

/// Whether it is one address only.
fn is_single(net: &IpNet) -> bool {
    net.prefix_len() == net.max_prefix_len()
}
