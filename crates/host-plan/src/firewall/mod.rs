//! Port security and security groups: tables 71 to 94 of the integration bridge.
//!
//! ```text
//! from a secured port                          to a secured port (from 60 or 73)
//!   71 port security ─┬─ ARP, RARP, ND ─ 73      81 ingress ─┬─ ARP, ND, RA, DHCP answers ── out by reg5
//!      (own addresses)├─ DHCP request ── 73                  ├─ IP, not tracked ── ct ── 82
//!                     ├─ forged ──────── 93                  └─ IP, tracked by the sender's side ── 82
//!                     └─ IP ── ct ── 72                      82 ingress rules ── allowed ── 92
//!   72 egress rules ─── allowed ── 73            92 accepted: remember a new connection, out by reg5
//!   73 receiver here and secured ── 81           93 dropped
//!      otherwise remember, 91 ── 94              94 out: to a port here, to the uplink, or NORMAL
//! ```
//! In: [`Wiring`] and, of the view, groups and members of remote groups. Out: flows. Numbers and meaning of the tables are
//! Neutron's; what is shared between ports is ours: rules are programmed per *rule set* instead of per port, what a
//! packet's connection state decides is decided once for all ports before the rules are looked at, and packets leave by
//! the number in reg5. See `docs/adr/0006-security-group-flows.md`.

mod connections;
mod explain;
mod port_security;
mod rule_sets;
mod rules;
mod verdicts;

pub use connections::{ConnectionRules, TrackedConnection};
pub use explain::{FlowRules, flow_rules};
pub(crate) use port_security::{is_networks_own, is_secured, macs};
pub(crate) use rule_sets::RuleSets;
pub(crate) use rules::accepted_by;

use crate::flow_set::FlowSet;
use crate::wiring::Wiring;

/// What of the groups of this host cannot be done, one sentence each.
pub(crate) fn errors(wiring: &Wiring<'_>, rule_sets: &RuleSets) -> std::collections::BTreeSet<String> {
    rules::impossible(wiring.view, rule_sets)
}

/// Adds tables 71 to 94.
pub(crate) fn plan(flows: &mut FlowSet, wiring: &Wiring<'_>, rule_sets: &RuleSets) {
    port_security::plan(flows, wiring, rule_sets);
    verdicts::plan(flows, wiring, rule_sets);
    rules::plan(flows, wiring.view, rule_sets);
}
