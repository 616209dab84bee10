//! What a walk says, in the API's terms: where the packet went, who let it pass or refused it, who else got a copy, and who
//! wrote it down.
//!
//! In: a [`Trace`], the view and plan that it is of. Out: an [`Answer`], for programs as it is and for people as lines.

use crate::{Exit, Trace, rules_met};
use host_plan::{FlowRules, HostPlan, Logged, names};
use host_view::HostView;
use net_types::SecurityGroupRuleId;
use serde::Serialize;
use std::collections::BTreeSet;
use std::net::IpAddr;
use uuid::Uuid;

/// What became of a packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Where it left the switch, in order.
    pub leaves: Vec<Leaves>,
    /// The flow that refused it, if it left nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped_by: Option<Refusal>,
    /// Rules that let it pass, in the order in which they were asked; of each one or several that say the same.
    pub allowed_by: Vec<BTreeSet<SecurityGroupRuleId>>,
    /// As what it is written down, in order; a meter limits how much is.
    pub logged: Vec<Logged>,
    /// Copies, in the order in which they were made.
    pub copies: Vec<Copy>,
}

/// A way out of the switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leaves {
    /// The bridge.
    pub bridge: String,
    /// Its port.
    pub port: String,
    /// The 802.1Q tag that the packet bears there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// Of a tunnel: who is at the other end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
    /// Of a tunnel: VNI, key or session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<u64>,
}

/// Where a packet ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Table.
    pub table: u8,
    /// Priority of the flow there.
    pub priority: u16,
}

/// A copy that a mirror made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Copy {
    /// The switch's mirror.
    pub mirror: String,
    /// The tap service that it is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tap_service: Option<Uuid>,
    /// The tap mirror that it is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tap_mirror: Option<Uuid>,
    /// Where it left.
    pub leaves: Vec<Leaves>,
}

impl From<&Exit> for Leaves {
    fn from(exit: &Exit) -> Self {
        let (peer, key) = exit.tunnel.unzip();
        Self { bridge: exit.bridge.clone(), port: exit.port.clone(), vlan: exit.packet.vlan(), peer, key }
    }
}

impl Answer {
    /// Of a trace through this plan.
    pub fn new(trace: &Trace<'_>, view: &HostView, plan: &HostPlan, rules: &FlowRules) -> Self {
        let copies = trace.copies().into_iter().map(|copied| Copy {
            mirror: copied.mirror.to_owned(),
            tap_service: view.tap_services.keys().copied().find(|id| names::is_mirror_of(copied.mirror, *id)),
            tap_mirror: view.tap_mirrors.keys().copied().find(|id| names::is_mirror_of(copied.mirror, *id)),
            leaves: copied.exits().map(Leaves::from).collect(),
        });
        Self {
            leaves: trace.exits().filter(|exit| !exit.is_to_nobody()).map(Leaves::from).collect(),
            dropped_by: trace.dropped_by().map(|flow| Refusal { table: flow.table, priority: flow.priority }),
            allowed_by: rules_met(trace, rules),
            logged: trace.logged().iter().filter_map(|number| plan.logged.get(number)).cloned().collect(),
            copies: copies.collect(),
        }
    }

    /// For people, a line for each.
    pub fn lines(&self) -> Vec<String> {
        let allowed = self.allowed_by.iter().map(|ids| format!("allowed by security group rule {}", list(ids, " or ")));
        let refused = self
            .dropped_by
            .iter()
            .map(|Refusal { table, priority }| format!("dropped, by table {table}, priority {priority}"));
        let leaves = self.leaves.iter().map(|exit| format!("leaves {exit}"));
        let logged = self.logged.iter().map(|Logged { port, accepted, logs, .. }| {
            let what = if *accepted { "accepted" } else { "refused" };
            format!("written down as {what}, of port {port}, by log {}", list(logs, " and "))
        });
        let copies = self.copies.iter().map(|copy| {
            let of = match (copy.tap_service, copy.tap_mirror) {
                (Some(id), _) => format!("tap service {id}"),
                (None, Some(id)) => format!("tap mirror {id}"),
                (None, None) => format!("mirror {}", copy.mirror),
            };
            match copy.leaves.is_empty() {
                true => format!("copied by {of}: the copy leaves nowhere"),
                false => format!("copied by {of}: leaves {}", list(&copy.leaves, " and ")),
            }
        });
        allowed.chain(refused).chain(leaves).chain(logged).chain(copies).collect()
    }
}

impl std::fmt::Display for Leaves {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.peer, self.key) {
            (Some(peer), Some(key)) => write!(out, "by {} for {peer} with key {key}", self.port),
            _ => write!(out, "{} by {}", self.bridge, self.port),
        }
    }
}

fn list<'t, T: std::fmt::Display + 't>(items: impl IntoIterator<Item = &'t T>, between: &str) -> String {
    items.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(between)
}
