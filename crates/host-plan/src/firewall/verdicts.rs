//! Tables 72 and 82 around the rules, and 73, 81, 91 to 94: what is the same for every port.
//!
//! ```text
//! 72, 82   95 invalid                                              -> 93
//!          90 reply, or error about a connection, not marked       -> accept
//!          85 other replies, not a connection at all               -> 93
//!       77-73 rules (see `rules`): only the first packet of a connection and those of its direction come this far
//!          50 marked, and no rule allows it                        -> 93
//!          40 established, but no rule allows it any more: mark it (replies then stop as well); else -> 93
//! accept   72 -> 73, 82 -> 92
//! 73      110 tagged -> 93     100 to a secured port here -> 81     90 new: remember it, 91     80 -> 94
//!         105, 100 to a MAC that ports share (VRRP): to each of them here -> 81, and out by the uplink
//! 81      100 ARP, MLD query, RA, NS, NA; 95 DHCP answers: out by reg5
//!          93 new from here to a stateless set: remember it for the sender, 82   92 to a stateless set: 82, not tracked
//!          90 not tracked: ct(zone reg6), 82      80 tracked: 82      (both forget what allowed it at the sender: reg7)
//! 91        1 -> 94      92  1 new: remember it, out by reg5;  0 out by reg5      93 drop
//! 94       12 to a port here without rules: out by it (a highly available router's: 64)
//!          10 to another station, and where MACs are unknown to a port that the API knows elsewhere: out by the network's uplink only
//!           1 broadcast, multicast, and where MACs are unknown any other: NORMAL
//! ```
//! "Remember" is `ct(commit)` in zone reg6, so that networks with the same addresses never mix. Both ports of a connection
//! within the host share one entry.
//!
//! Whatever comes to 73 comes from an access port. A tag that it bears is its sender's: NORMAL would refuse it there, but what
//! leaves by number would carry it into other networks.
//!
//! Table 94 is Neutron's with `explicitly_egress_direct`: frames that go out of a port by number teach NORMAL nothing, so
//! that it would flood every frame to the gateway, or to a port elsewhere, to all ports of the network. Only where an
//! instance's port without port security may hide further MACs does NORMAL keep looking for them, among those that the API
//! does not know (of tunnelled networks it knows the ports elsewhere).

use super::RuleSets;
use crate::flow_set::FlowSet;
use crate::integration_bridge::{
    ACCEPT_OR_INGRESS, ACCEPTED_EGRESS, ACCEPTED_INGRESS, ACCEPTED_NORMAL, DROPPED, EGRESS_RULES, INGRESS,
    INGRESS_RULES, REG_CONJUNCTION, REG_NET, REG_PORT, REG_RULES, STANDBY_TO, receivers, to_receivers,
};
use crate::qos;
use crate::router::standby;
use crate::wiring::{WiredNetwork, Wiring};
use net_types::VlanId;
use openflow::ct_state::{EST, INV, NEW, REL, RPL, TRK};
use openflow::{Action, Ct, Field, Masked, Match, SubField, ip_proto};
use std::collections::{BTreeMap, BTreeSet};

/// The mark of connections that no rule allows any more.
const NO_LONGER_ALLOWED: u32 = 1;

/// Any 802.1Q tag: the bit that says that there is one.
const TAGGED: Masked = Masked::new(0x1000, 0x1000);

fn zone() -> Ct {
    Ct::zone_from(SubField::bits(REG_NET, 0, 15))
}

fn remember() -> Action {
    zone().commit().into()
}

fn deliver() -> Action {
    Action::OutputReg(REG_PORT.into())
}

/// No conjunction of the receiver's rules has allowed it yet.
fn allowed_by_none() -> Action {
    Action::set(REG_CONJUNCTION, 0u32)
}

fn families() -> [Match; 2] {
    [Match::new().ip(), Match::new().ipv6()]
}

pub(super) fn plan(flows: &mut FlowSet, wiring: &Wiring<'_>, rule_sets: &RuleSets) {
    connection_state(flows, EGRESS_RULES, ACCEPT_OR_INGRESS);
    connection_state(flows, INGRESS_RULES, ACCEPTED_INGRESS);

    flows.resubmit(ACCEPT_OR_INGRESS, 110, Match::new().field(Field::VlanTci, TAGGED), DROPPED);
    let uplinks: BTreeMap<VlanId, u32> =
        wiring.networks.values().filter_map(|wired| Some((wired.vlan, wiring.uplink(wired.network)?))).collect();
    for ((vlan, mac), receivers) in receivers(wiring) {
        let to = Match::new().reg(REG_NET, u32::from(vlan.get())).dl_dst(mac);
        let here = to_receivers(&receivers, rule_sets);
        // A MAC that ports share (VRRP) may at the moment be that of a port on another host.
        let shared = receivers.iter().all(|port| port.port.mac != mac);
        let Some(uplink) = uplinks.get(&vlan).filter(|_| shared) else {
            flows.add(ACCEPT_OR_INGRESS, 100, to, here);
            continue;
        };
        let elsewhere = [Action::push_vlan(), Action::set_vlan(vlan), Action::output(*uplink)];
        for family in [openflow::eth_type::IPV4, openflow::eth_type::IPV6] {
            let new = to.clone().eth_type(family).ct_state(NEW - EST);
            let both = here.iter().cloned().chain([remember()]).chain(elsewhere.clone());
            flows.add(ACCEPT_OR_INGRESS, 105, new, both);
        }
        flows.add(ACCEPT_OR_INGRESS, 100, to, here.into_iter().chain(elsewhere));
    }
    for family in families() {
        let new = family.ct_state(NEW - EST);
        flows.add(ACCEPT_OR_INGRESS, 90, new, [remember(), Action::resubmit(ACCEPTED_EGRESS)]);
    }
    flows.resubmit(ACCEPT_OR_INGRESS, 80, Match::new(), ACCEPTED_NORMAL);
    flows.drop(ACCEPT_OR_INGRESS, 0, Match::new());

    ingress(flows, rule_sets);

    flows.resubmit(ACCEPTED_EGRESS, 1, Match::new(), ACCEPTED_NORMAL);
    for family in families() {
        flows.add(ACCEPTED_INGRESS, 1, family.ct_state(NEW - EST), [remember(), deliver()]);
    }
    flows.add(ACCEPTED_INGRESS, 0, Match::new(), [deliver()]);
    flows.drop(DROPPED, 0, Match::new());
    leave(flows, wiring);
}

/// Table 94.
fn leave(flows: &mut FlowSet, wiring: &Wiring<'_>) {
    let to = |vlan: VlanId| Match::new().reg(REG_NET, u32::from(vlan.get()));
    for (id, port) in wiring.ports.iter().filter(|(_, port)| !port.is_secured()) {
        let out = match wiring.gates.get(id) {
            Some(gate) => {
                let elsewhere = standby::to_the_active_host(wiring, port).unwrap_or_default();
                standby::through(gate, STANDBY_TO, elsewhere)
            }
            None => qos::deliver(port),
        };
        flows.add(ACCEPTED_NORMAL, 12, to(port.vlan).dl_dst(port.port.mac), out);
    }
    let hiding: BTreeSet<VlanId> =
        wiring.ports.values().filter(|port| port.has_unknown_macs()).map(|port| port.vlan).collect();
    let by_uplink = |wired: &WiredNetwork<'_>| {
        let uplink = wiring.uplink(wired.network)?;
        Some([Action::push_vlan(), Action::set_vlan(wired.vlan), Action::output(uplink)])
    };
    for wired in wiring.networks.values().filter(|wired| !hiding.contains(&wired.vlan)) {
        if let Some(out) = by_uplink(wired) {
            flows.add(ACCEPTED_NORMAL, 10, to(wired.vlan).unicast(), out);
        }
    }
    for remote in wiring.view.remote_ports.values() {
        let wired = wiring.networks.get(&remote.network).filter(|wired| hiding.contains(&wired.vlan));
        if let Some((wired, out)) = wired.and_then(|wired| Some((wired, by_uplink(wired)?))) {
            flows.add(ACCEPTED_NORMAL, 10, to(wired.vlan).dl_dst(remote.mac), out);
        }
    }
    flows.add(ACCEPTED_NORMAL, 1, Match::new(), [Action::normal()]);
}

/// What the state of its connection decides for a packet, before and after the rules.
fn connection_state(flows: &mut FlowSet, table: u8, accepted: u8) {
    let state = |state| Match::new().ct_state(state);
    flows.resubmit(table, 95, state(INV + TRK), DROPPED);
    flows.resubmit(table, 90, state(EST + RPL).ct_mark(0u32), accepted);
    flows.resubmit(table, 90, state(-NEW - EST + REL - INV).ct_mark(0u32), accepted);
    flows.resubmit(table, 85, state(EST + RPL), DROPPED);
    // Neighbour discovery and the like: conntrack looked at it and it is no connection. Rules are about connections.
    flows.resubmit(table, 85, state(-NEW - EST + TRK), DROPPED);
    flows.resubmit(table, 50, Match::new().ct_mark(NO_LONGER_ALLOWED), DROPPED);
    for family in families() {
        let mark = zone().commit().set_mark(NO_LONGER_ALLOWED);
        flows.add(table, 40, family.ct_state(EST), [mark.into()]);
    }
    flows.resubmit(table, 40, state(-EST), DROPPED);
    flows.drop(table, 0, Match::new());
}

/// Table 81.
fn ingress(flows: &mut FlowSet, rule_sets: &RuleSets) {
    flows.add(INGRESS, 100, Match::new().arp(), [deliver()]);
    for kind in [130, 134, 135, 136] {
        flows.add(INGRESS, 100, Match::new().icmp6_type(kind), [deliver()]);
    }
    let answer = |family: Match, from: u16, to: u16| family.ip_proto(ip_proto::UDP).udp_src(from).udp_dst(to);
    flows.add(INGRESS, 95, answer(Match::new().ip(), 67, 68), [deliver()]);
    flows.add(INGRESS, 95, answer(Match::new().ipv6(), 547, 546), [deliver()]);
    for (_, set) in rule_sets.iter().filter(|(_, set)| set.stateless) {
        for family in families() {
            let to_set = family.reg(REG_RULES, set.number);
            // A stateful sender on this host needs the entry for the answer; `ct` leaves the packet untracked.
            let new = to_set.clone().ct_state(NEW - EST);
            flows.add(INGRESS, 93, new, [remember(), Action::resubmit(INGRESS_RULES)]);
            flows.add(INGRESS, 92, to_set, [Action::CtClear, Action::resubmit(INGRESS_RULES)]);
        }
    }
    for family in families() {
        flows.add(INGRESS, 90, family.ct_state(-TRK), [allowed_by_none(), zone().table(INGRESS_RULES).into()]);
    }
    flows.add(INGRESS, 80, Match::new().ct_state(TRK), [allowed_by_none(), Action::resubmit(INGRESS_RULES)]);
    flows.drop(INGRESS, 0, Match::new());
}
