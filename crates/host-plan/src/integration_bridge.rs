//! Flows of the integration bridge around the firewall: where a packet comes from, and which port and network it is of.
//!
//! ```text
//! 0 ── 58 ── 59 ── 60 ─┬─ from a secured port ──────── 71 (port security) ── 72 (egress rules) ── 73
//!                      ├─ from any other port of ours ─────────────────────────────────────────── 73
//!                      ├─ from outside, to a secured port ──────────────────────────── 81 (ingress rules)
//!                      ├─ from outside, to any other port of ours ── out by it
//!                      └─ everything else ── NORMAL
//!  0  65535 dead VLAN: drop
//!       250 copies of mirrored ports (see `mirror`): straight to the tap service's port
//!       200 first pass: default queue (reg3 says that it was set)
//!         3 from int-<bridge>: the segment's tag becomes the local VLAN     2 other tags: drop
//!         2 from a dead port: drop
//! 23, 24  (Neutron: DVR MACs, ARP spoofing of its old firewall)  drop       30 (Neutron: way to 31) -> 58     31 local IPs, see `local_ip`
//! 60, 94  what comes from and goes to distributed routers on other hosts: see `router/distributed.rs`
//! 63, 64  gates of highly available routers' ports: see `router/standby.rs`
//! 58, 59  limits of ports (see `qos`), else pass on     62 (Neutron: transient egress) NORMAL
//!
//! reg3  1 once the queue is set           reg5  OpenFlow number of the port: of the sender up to 73, then of the receiver
//! reg6  local VLAN, also conntrack zone   reg7  conjunction that allowed the packet
//! reg8  rule set of the port in reg5      reg9  1 once port security has found the source addresses to be the port's
//! reg10 who lives among the hosts of a highly available router   reg11 bits of logs that were passed (see `logs`)
//! ```
//! In: [`Wiring`] and the rule sets. Out: flows of tables 0 to 62; the firewall's tables are in `firewall`.

use crate::bridges::mapped_bridges;
use crate::firewall::RuleSets;
use crate::flow_set::FlowSet;
use crate::host_plan::DEAD_VLAN;
use crate::names;
use crate::qos;
use crate::router::distributed;
use crate::router::standby::{self, Gate};
use crate::wiring::{WiredNetwork, WiredPort, Wiring};
use net_types::{MacAddr, VlanId};
use openflow::{Action, Field, Match};
use std::collections::BTreeMap;

pub(crate) const TRANSIENT: u8 = 60;
pub(crate) const STANDBY_FROM: u8 = 63;
pub(crate) const STANDBY_TO: u8 = 64;
pub(crate) const PORT_SECURITY: u8 = 71;
pub(crate) const EGRESS_RULES: u8 = 72;
pub(crate) const ACCEPT_OR_INGRESS: u8 = 73;
pub(crate) const INGRESS: u8 = 81;
pub(crate) const INGRESS_RULES: u8 = 82;
pub(crate) const ACCEPTED_EGRESS: u8 = 91;
pub(crate) const ACCEPTED_INGRESS: u8 = 92;
pub(crate) const DROPPED: u8 = crate::host_plan::DROPPED_TABLE;
pub(crate) const ACCEPTED_NORMAL: u8 = 94;

/// Register of the port's OpenFlow number.
pub(crate) const REG_PORT: Field = Field::Reg5;
/// Register of the local VLAN.
pub(crate) const REG_NET: Field = Field::Reg6;
/// Register of the conjunction that allowed the packet.
pub(crate) const REG_CONJUNCTION: Field = Field::Reg7;
/// Register of the port's rule set.
pub(crate) const REG_RULES: Field = Field::Reg8;
/// Register of who lives among the hosts of a highly available router.
pub(crate) const REG_LIVES: Field = Field::Reg10;
/// Register of the logs that a packet has passed.
pub(crate) const REG_LOGGED: Field = Field::Reg11;
/// Register that says that the source addresses are the port's own.
pub(crate) const REG_CHECKED: Field = Field::Reg9;

/// Adds tables 0 to 62.
pub(crate) fn plan(flows: &mut FlowSet, wiring: &Wiring<'_>, rule_sets: &RuleSets) {
    basis(flows);
    from_physical_bridges(flows, wiring);
    for device in &wiring.dead {
        if let Some(port) = wiring.int_ofport(device) {
            flows.drop(0, 2, Match::new().in_port(port));
        }
    }
    standby::plan(flows, wiring);
    distributed::plan(flows, wiring);
    for (id, port) in &wiring.ports {
        let from = Match::new().in_port(port.ofport);
        let next = if port.is_secured() { PORT_SECURITY } else { ACCEPT_OR_INGRESS };
        let mut actions = vec![Action::set(REG_PORT, port.ofport), Action::set(REG_NET, u32::from(port.vlan.get()))];
        if port.is_secured() {
            actions.push(Action::set(REG_RULES, rule_sets.of(port.port)));
        }
        match wiring.gates.get(id) {
            Some(gate @ Gate::ByLiveness { .. }) => actions.extend(standby::through(gate, STANDBY_FROM, vec![])),
            Some(Gate::Closed) => actions.clear(),
            None => actions.push(Action::resubmit(next)),
        }
        flows.add(TRANSIENT, 100, from, actions);
    }
    for ((vlan, mac), receivers) in receivers(wiring) {
        let net = Action::set(REG_NET, u32::from(vlan.get()));
        let actions = [net, Action::PopVlan].into_iter().chain(to_receivers(&receivers, rule_sets));
        flows.add(TRANSIENT, 90, Match::new().vlan(vlan).dl_dst(mac), actions);
    }
    for (id, port) in wiring.ports.iter().filter(|(_, port)| !port.is_secured()) {
        let to = Match::new().vlan(port.vlan).dl_dst(port.port.mac);
        let actions = match wiring.gates.get(id) {
            Some(gate) => standby::through(gate, STANDBY_TO, vec![]),
            None => [Action::PopVlan].into_iter().chain(qos::deliver(port)).collect(),
        };
        flows.add(TRANSIENT, 90, to, actions);
    }
}

/// Secured ports by the network and the MAC addresses that they may receive on. Several ports may share one by an
/// allowed address pair (VRRP with a virtual MAC): each gets its copy, through its own rules.
pub(crate) fn receivers<'w, 'a>(wiring: &'w Wiring<'a>) -> BTreeMap<(VlanId, MacAddr), Vec<&'w WiredPort<'a>>> {
    let mut receivers: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for port in wiring.ports.values().filter(|port| port.is_secured()) {
        for mac in super::firewall::macs(port.port) {
            receivers.entry((port.vlan, mac)).or_default().push(port);
        }
    }
    receivers
}

/// Hands the packet to the ingress rules of each receiver.
pub(crate) fn to_receivers(receivers: &[&WiredPort<'_>], rule_sets: &RuleSets) -> Vec<Action> {
    let to = |port: &&WiredPort<'_>| {
        let next = Action::resubmit(qos::ingress_table(port));
        [Action::set(REG_PORT, port.ofport), Action::set(REG_RULES, rule_sets.of(port.port)), next]
    };
    // A meter that drops ends the list of actions: limited ports come last.
    let (limited, free): (Vec<_>, Vec<_>) = receivers.iter().partition(|port| port.limited);
    free.into_iter().chain(limited).flat_map(to).collect()
}

/// What is there without any port.
fn basis(flows: &mut FlowSet) {
    let all = Match::new;
    flows.drop(0, 65535, all().vlan(DEAD_VLAN));
    let first_pass =
        [Action::SetQueue(0), Action::load(1, openflow::SubField::bits(Field::Reg3, 0, 0)), Action::resubmit(0)];
    flows.add(0, 200, all().reg(Field::Reg3, 0), first_pass);
    flows.goto(0, 0, all(), qos::PACKET_RATE);
    flows.drop(23, 0, all());
    flows.drop(24, 0, all());
    flows.goto(30, 0, all(), qos::PACKET_RATE);
    flows.goto(31, 0, all(), qos::PACKET_RATE);
    flows.goto(qos::PACKET_RATE, 0, all(), qos::BANDWIDTH);
    flows.goto(qos::BANDWIDTH, 0, all(), TRANSIENT);
    flows.add(TRANSIENT, 1, all(), [Action::normal()]);
    flows.add(62, 3, all(), [Action::normal()]);
}

/// From the wire: the segment's tag, or none, becomes the local VLAN.
fn from_physical_bridges(flows: &mut FlowSet, wiring: &Wiring<'_>) {
    for bridge in mapped_bridges(wiring) {
        let (int, _) = names::physical_patch(bridge);
        if let Some(patch) = wiring.int_ofport(&int) {
            flows.drop(0, 2, Match::new().in_port(patch));
        }
    }
    for wired in wiring.networks.values() {
        if wired.network.segment.physical_network().is_some()
            && let Some((from, on)) = arrival(wiring, wired)
        {
            flows.add(0, 3, from, on);
        }
    }
}

/// How a network's frames come in from outside, and what table 0 does with them. None: they do not, or not yet.
pub(crate) fn arrival(wiring: &Wiring<'_>, wired: &WiredNetwork<'_>) -> Option<(Match, Vec<Action>)> {
    let from = Match::new().in_port(wiring.uplink(wired.network)?);
    let (set_vlan, on) = (Action::set_vlan(wired.vlan), Action::goto(qos::PACKET_RATE));
    Some(match &wired.network.segment {
        host_view::Segment::Vlan { vlan, .. } => (from.vlan(*vlan), vec![set_vlan, on]),
        host_view::Segment::Flat { .. } => (from.no_vlan(), vec![Action::push_vlan(), set_vlan, on]),
        // Out of the tunnel bridge they bear the local VLAN.
        _ => (from.vlan(wired.vlan), vec![on]),
    })
}
