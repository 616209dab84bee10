//! Flows of one bridge while they are planned: keyed as the switch keys them, so that no two can be equal in table,
//! priority and match.

use crate::FLOW_OWNER;
use openflow::{Action, Flow, Match};

/// Flows, in the order of planning; sorting them once is cheaper than keeping them sorted.
#[derive(Debug, Default)]
pub(crate) struct FlowSet {
    flows: Vec<Flow>,
}

impl FlowSet {
    /// Adds a flow; of two with the same key the first stays.
    pub fn add(&mut self, table: u8, priority: u16, matches: Match, actions: impl IntoIterator<Item = Action>) {
        let flow = Flow::table(table).priority(priority).cookie(FLOW_OWNER.value()).matching(matches).actions(actions);
        self.flows.push(flow);
    }

    /// Adds a flow with a number in the lower half of its cookie.
    pub fn add_numbered(&mut self, table: u8, priority: u16, matches: Match, actions: Vec<Action>, number: u32) {
        let cookie = FLOW_OWNER.value() | u64::from(number);
        self.flows.push(Flow::table(table).priority(priority).cookie(cookie).matching(matches).actions(actions));
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

    /// The flows, with our cookie, in the order in which people read them.
    pub fn into_flows(self) -> Vec<Flow> {
        let mut flows = self.flows;
        // Stable, so that the first of two with the same key is still the first.
        openflow::sort(&mut flows);
        flows.dedup_by(|later, first| later.key() == first.key());
        flows
    }
}
