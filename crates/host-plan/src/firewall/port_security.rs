//! Table 71: a port may only speak as itself.
//!
//! ```text
//! 110 tracked                                   forget that, look again
//!  95 ARP, RARP, neighbour advertisement of the port's own addresses         -> 73 (not tracked)
//!  95 checked: MLD query, router and neighbour solicitation                  -> 73 (not tracked)
//!  80 DHCP request from nobody yet; checked: DHCP and DHCPv6 request         -> 73 (not tracked)
//!  70 router advertisement, DHCP server's packets, other neighbour advertisements -> 93
//!  66 checked, of a stateless rule set                                       -> 72 (not tracked)
//!  65 checked: IPv4, IPv6                                                    -> ct(zone reg6) -> 72
//!  60 from the port's MAC and one of its addresses: note "checked" in reg9, look again
//!  10 everything else                                                        -> 93
//! ```
//! In: the secured ports. Out: per port one flow each for ARP, RARP, first DHCP request and IPv4 source, and two for the
//! link-local address; every further address costs two. What else Neutron programs per port is shared here by way of
//! "checked".

use super::RuleSets;
use crate::flow_set::FlowSet;
use crate::integration_bridge::{
    ACCEPT_OR_INGRESS, DROPPED, EGRESS_RULES, PORT_SECURITY, REG_CHECKED, REG_NET, REG_PORT, REG_RULES,
};
use crate::wiring::Wiring;
use host_view::Port;
use net_types::{IpNet, MacAddr};
use openflow::{Action, Ct, Match, SubField, ct_state};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

const MLD_QUERY: u8 = 130;
const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

/// MAC addresses that a port may use: its own and those of its allowed address pairs.
pub(crate) fn macs(port: &Port) -> BTreeSet<MacAddr> {
    port.allowed_address_pairs.iter().map(|pair| pair.mac).chain([port.mac]).collect()
}

/// Whether anti-spoofing and security groups apply. The network's own ports (DHCP, router) are trusted.
pub(crate) fn is_secured(port: &Port) -> bool {
    port.port_security && !is_networks_own(port)
}

/// Whether it is a DHCP server's, a router's or another port that the network itself needs.
pub(crate) fn is_networks_own(port: &Port) -> bool {
    port.device_owner.starts_with("network:")
}

/// MAC and IP addresses that a port may use together: its fixed addresses and those of its pairs, and the link-local
/// address that each of its MACs implies.
pub(super) fn addresses(port: &Port) -> BTreeSet<(MacAddr, IpNet)> {
    let fixed = port.fixed_ips.iter().map(|fixed| (port.mac, IpNet::from(fixed.address)));
    let pairs = port.allowed_address_pairs.iter().map(|pair| (pair.mac, pair.address.trunc()));
    let link_local = macs(port).into_iter().map(|mac| (mac, IpNet::from(IpAddr::V6(mac.link_local()))));
    fixed.chain(pairs).chain(link_local).collect()
}

/// Addresses that are the port's alone: its fixed ones and the link-local one that its MAC implies.
pub(super) fn own_addresses(port: &Port) -> impl Iterator<Item = IpAddr> {
    port.fixed_ips.iter().map(|fixed| fixed.address).chain([IpAddr::V6(port.mac.link_local())])
}

pub(super) fn plan(flows: &mut FlowSet, wiring: &Wiring<'_>, rule_sets: &RuleSets) {
    shared(flows, rule_sets);
    for secured in wiring.ports.values().filter(|port| port.is_secured()) {
        let from = |mac: MacAddr| Match::new().reg(REG_PORT, secured.ofport).dl_src(mac);
        for mac in macs(secured.port) {
            flows.resubmit(PORT_SECURITY, 95, from(mac).rarp(), ACCEPT_OR_INGRESS);
            let first_request = dhcp(from(mac).ip().ipv4_src(Ipv4Addr::UNSPECIFIED), 68, 67);
            flows.resubmit(PORT_SECURITY, 80, first_request, ACCEPT_OR_INGRESS);
        }
        for (mac, address) in addresses(secured.port) {
            let announcement = match address {
                IpNet::V4(address) => from(mac).arp().arp_spa(address),
                IpNet::V6(address) => from(mac).icmp6_type(NEIGHBOUR_ADVERTISEMENT).nd_target(address),
            };
            flows.resubmit(PORT_SECURITY, 95, announcement, ACCEPT_OR_INGRESS);
            let source = from(mac).ip_src(address);
            flows.add(PORT_SECURITY, 60, source, [Action::set(REG_CHECKED, 1u32), Action::resubmit(PORT_SECURITY)]);
        }
    }
}

fn shared(flows: &mut FlowSet, rule_sets: &RuleSets) {
    let checked = || Match::new().reg(REG_CHECKED, 1);
    let forget = |next| [Action::CtClear, Action::resubmit(next)];
    flows.add(PORT_SECURITY, 110, Match::new().ct_state(ct_state::TRK), forget(PORT_SECURITY));
    for kind in [MLD_QUERY, ROUTER_SOLICITATION, NEIGHBOUR_SOLICITATION] {
        flows.resubmit(PORT_SECURITY, 95, checked().icmp6_type(kind), ACCEPT_OR_INGRESS);
    }
    flows.resubmit(PORT_SECURITY, 80, dhcp(checked().ip(), 68, 67), ACCEPT_OR_INGRESS);
    flows.resubmit(PORT_SECURITY, 80, dhcp(checked().ipv6(), 546, 547), ACCEPT_OR_INGRESS);
    for kind in [ROUTER_ADVERTISEMENT, NEIGHBOUR_ADVERTISEMENT] {
        flows.resubmit(PORT_SECURITY, 70, Match::new().icmp6_type(kind), DROPPED);
    }
    flows.resubmit(PORT_SECURITY, 70, dhcp(Match::new().ip(), 67, 68), DROPPED);
    flows.resubmit(PORT_SECURITY, 70, dhcp(Match::new().ipv6(), 547, 546), DROPPED);
    for (_, set) in rule_sets.iter().filter(|(_, set)| set.stateless) {
        for family in [checked().ip(), checked().ipv6()] {
            flows.resubmit(PORT_SECURITY, 66, family.reg(REG_RULES, set.number), EGRESS_RULES);
        }
    }
    let track = || Action::from(Ct::zone_from(SubField::bits(REG_NET, 0, 15)).table(EGRESS_RULES));
    flows.add(PORT_SECURITY, 65, checked().ip(), [track()]);
    flows.add(PORT_SECURITY, 65, checked().ipv6(), [track()]);
    flows.add(PORT_SECURITY, 10, Match::new(), forget(DROPPED));
    flows.drop(PORT_SECURITY, 0, Match::new());
}

fn dhcp(family: Match, from: u16, to: u16) -> Match {
    family.ip_proto(openflow::ip_proto::UDP).udp_src(from).udp_dst(to)
}
