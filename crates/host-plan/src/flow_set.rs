//! Flows of one bridge while they are planned: keyed as the switch keys them, so that no two can be equal in table,
//! priority and match.

use crate::FLOW_OWNER;
use openflow::{Action, Flow, Match};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Flows, in the order in which people read them.
#[derive(Debug, Default)]
pub(crate) struct FlowSet {
    flows: BTreeMap<(u8, Reverse<u16>, Match), Vec<Action>>,
}

impl FlowSet {
    /// Adds a flow; of two with the same key the first stays.
    pub fn add(&mut self, table: u8, priority: u16, matches: Match, actions: impl IntoIterator<Item = Action>) {
        self.flows.entry((table, Reverse(priority), matches)).or_insert_with(|| actions.into_iter().collect());
    }

    /// Adds a flow that drops.
    pub fn drop(&mut self, table: u8, priority: u16, matches: Match) {
        self.add(table, priority, matches, []);
    }

    /// Adds a flow that goes on in another table and does not come back.
    pub fn goto(&mut self, table: u8, priority: u16, matches: Match, next: u8) {
        self.add(table, priority, matches, [Action::goto(next)]);
    }

    /// Adds a flow that goes on in another table, which may be an earlier one.
    pub fn resubmit(&mut self, table: u8, priority: u16, matches: Match, next: u8) {
        self.add(table, priority, matches, [Action::resubmit(next)]);
    }

    /// The flows, with our cookie.
    pub fn into_flows(self) -> Vec<Flow> {
        self.flows
            .into_iter()
            .map(|((table, Reverse(priority), matches), actions)| {
                Flow::table(table).priority(priority).cookie(FLOW_OWNER.value()).matching(matches).actions(actions)
            })
            .collect()
    }
}
