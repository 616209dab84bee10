//! The difference between the flows that a bridge has and those that it should have.
//!
//! In: what was read back, what the planner wants, whose cookie we write. Out: what to add, replace and delete so that
//! afterwards exactly the wanted flows are there beside other owners'. Laws, held by property tests:
//! `apply(a, diff(a, b))` holds `b`, and then a second difference is empty; `diff_sorted` says the same of plans, faster.

use crate::{Flow, FlowKey};
use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;

/// Which flows are ours: those whose cookie agrees with `value` in the bits of `mask`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CookieOwner {
    value: u64,
    mask: u64,
}

impl CookieOwner {
    /// Every flow is ours.
    pub const EVERYONE: Self = Self { value: 0, mask: 0 };

    /// Flows whose cookie has these bits.
    pub const fn new(value: u64, mask: u64) -> Self {
        Self { value: value & mask, mask }
    }

    /// Whether a flow with this cookie is ours.
    pub fn owns(&self, cookie: u64) -> bool {
        cookie & self.mask == self.value
    }

    /// The bits that must be there.
    pub fn value(&self) -> u64 {
        self.value
    }

    /// The bits that are looked at.
    pub fn mask(&self) -> u64 {
        self.mask
    }
}

/// What to send so that a bridge has the flows that it should have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FlowDiff {
    /// Not there yet.
    pub add: Vec<Flow>,
    /// There with other actions, cookie, timeouts or flags. Send these as ADD too: the switch then replaces the flow as a
    /// whole and atomically, while MODIFY would leave timeouts and flags as they are.
    pub modify: Vec<Flow>,
    /// To be deleted strictly, as installed.
    pub delete: Vec<Flow>,
}

impl FlowDiff {
    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.add.is_empty() && self.modify.is_empty() && self.delete.is_empty()
    }

    /// How many flows it touches.
    pub fn len(&self) -> usize {
        self.add.len() + self.modify.len() + self.delete.len()
    }
}

/// The difference from `installed` to `desired`; where `desired` names a key twice, the last one counts.
///
/// Never deleted are flows of other owners, and flows that go by themselves (with a timeout): those are learned by the
/// switch and not in any plan, and stay until they expire. A key that the plan claims is the plan's, whoever's flow
/// holds it: the switch cannot have both (a fresh bridge has a foreign `priority=0 actions=NORMAL`, for one).
pub fn diff(installed: &[Flow], desired: &[Flow], owner: CookieOwner) -> FlowDiff {
    let mut wanted: HashMap<FlowKey<'_>, usize> = HashMap::with_capacity(desired.len());
    for (index, flow) in desired.iter().enumerate() {
        wanted.insert(flow.key(), index);
    }
    let mut result = FlowDiff::default();
    let mut present = vec![false; desired.len()];
    for flow in installed {
        match wanted.get(&flow.key()).and_then(|index| Some((desired.get(*index)?, present.get_mut(*index)?))) {
            // A switch does not report a key twice, but if it did, one answer would be enough.
            Some((_, true)) => {}
            Some((want, present)) => {
                *present = true;
                result.modify.extend((want != flow).then(|| want.clone()));
            }
            None if owner.owns(flow.cookie) && flow.idle_timeout == 0 && flow.hard_timeout == 0 => {
                result.delete.push(flow.clone());
            }
            None => {}
        }
    }
    // In the planner's order, so that what is sent is stable and readable.
    for (index, flow) in desired.iter().enumerate() {
        if !present.get(index).copied().unwrap_or(true) && wanted.get(&flow.key()) == Some(&index) {
            result.add.push(flow.clone());
        }
    }
    result
}

/// The difference between two plans of one owner, both as [`sort`] orders them and without flows that expire: one look at each
/// flow, nothing hashed, nothing copied but what differs.
pub fn diff_sorted(old: &[Flow], new: &[Flow]) -> FlowDiff {
    let mut result = FlowDiff::default();
    let (mut olds, mut news) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let order = match (olds.peek(), news.peek()) {
            (Some(before), Some(after)) => order(before, after),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return result,
        };
        let before = if order.is_le() { olds.next() } else { None };
        let after = if order.is_ge() { news.next() } else { None };
        match (before, after) {
            (Some(before), Some(after)) if before != after => result.modify.push(after.clone()),
            (Some(_), Some(_)) | (None, None) => {}
            (Some(before), None) => result.delete.push(before.clone()),
            (None, Some(after)) => result.add.push(after.clone()),
        }
    }
}

/// What a bridge with `installed` has after a difference was sent: the switch's own rule, as a value.
pub fn apply(installed: &[Flow], difference: &FlowDiff) -> Vec<Flow> {
    let mut flows: HashMap<FlowKey<'_>, &Flow> = installed.iter().map(|flow| (flow.key(), flow)).collect();
    for gone in &difference.delete {
        flows.remove(&gone.key());
    }
    for put in difference.add.iter().chain(&difference.modify) {
        flows.insert(put.key(), put);
    }
    let mut result: Vec<Flow> = flows.into_values().cloned().collect();
    sort(&mut result);
    result
}

/// Orders flows as people read them: by table, then falling priority, then match.
pub fn sort(flows: &mut [Flow]) {
    flows.sort_by(order);
}

fn order(a: &Flow, b: &Flow) -> Ordering {
    let falling = |flow: &Flow| Reverse(flow.priority);
    (a.table, falling(a), &a.matches).cmp(&(b.table, falling(b), &b.matches))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Action, Field, Match};
    use proptest::prelude::*;

    const OURS: CookieOwner = CookieOwner::new(0x4e00_0000_0000_0000, 0xff00_0000_0000_0000);

    /// Few keys, so that two sets often share some.
    fn flows() -> impl Strategy<Value = Vec<Flow>> {
        let flow = (0u8..3, 0u16..3, 0u32..3, 0u8..4, 0u16..3, any::<bool>()).prop_map(
            |(table, priority, reg, action, timeout, ours)| {
                Flow::table(table)
                    .priority(priority)
                    .cookie(if ours { OURS.value() | 1 } else { 5 })
                    .matching(Match::new().reg(Field::Reg5, reg))
                    .hard_timeout(timeout.saturating_sub(1))
                    .actions([Action::resubmit(action)])
            },
        );
        // A switch holds a key once.
        proptest::collection::vec(flow, 0..30)
            .prop_map(|flows| apply(&[], &FlowDiff { add: flows, ..FlowDiff::default() }))
    }

    fn mine(flows: Vec<Flow>) -> Vec<Flow> {
        flows.into_iter().map(|flow| flow.cookie(OURS.value())).collect()
    }

    proptest! {
        #[test]
        fn applying_the_difference_gives_the_plan(installed in flows(), desired in flows()) {
            let desired = mine(desired);
            let after = apply(&installed, &diff(&installed, &desired, OURS));
            prop_assert!(desired.iter().all(|flow| after.contains(flow)));
            // Whatever else is left is a foreign or an expiring flow that was there before.
            for flow in after.iter().filter(|flow| !desired.contains(flow)) {
                prop_assert!(installed.contains(flow));
                prop_assert!(!OURS.owns(flow.cookie) || flow.hard_timeout > 0);
            }
            prop_assert!(diff(&after, &desired, OURS).is_empty());
        }

        #[test]
        fn a_plan_of_everyones_flows_is_reached_exactly(installed in flows(), desired in flows()) {
            let lasting = |flows: Vec<Flow>| -> Vec<Flow> { flows.into_iter().map(|flow| flow.hard_timeout(0)).collect() };
            let (installed, desired) = (lasting(installed), lasting(desired));
            prop_assert_eq!(apply(&installed, &diff(&installed, &desired, CookieOwner::EVERYONE)), desired);
        }

        #[test]
        fn plans_differ_as_everyones_flows_do(old in flows(), new in flows()) {
            let lasting = |flows: Vec<Flow>| -> Vec<Flow> { flows.into_iter().map(|flow| flow.hard_timeout(0)).collect() };
            let (old, new) = (lasting(old), lasting(new));
            let (by_key, by_order) = (diff(&old, &new, CookieOwner::EVERYONE), diff_sorted(&old, &new));
            let sorted = |mut flows: Vec<Flow>| { sort(&mut flows); flows };
            prop_assert_eq!(sorted(by_key.add), by_order.add);
            prop_assert_eq!(sorted(by_key.modify), by_order.modify);
            prop_assert_eq!(sorted(by_key.delete), by_order.delete);
        }

        #[test]
        fn only_what_differs_is_sent(flows in flows(), extra in flows()) {
            prop_assert!(diff(&flows, &flows, CookieOwner::EVERYONE).is_empty());
            let both = apply(&flows, &FlowDiff { add: extra.clone(), ..FlowDiff::default() });
            let change = diff(&flows, &both, CookieOwner::EVERYONE);
            prop_assert!(change.delete.is_empty());
            prop_assert!(change.len() <= extra.len());
        }
    }

    #[test]
    fn foreign_and_learned_flows_stay() {
        let foreign = Flow::table(0).priority(7).cookie(1).drop();
        let learned =
            Flow::table(20).priority(1).cookie(OURS.value()).hard_timeout(300).actions([Action::output(3u32)]);
        let stale = Flow::table(60).priority(1).cookie(OURS.value()).actions([Action::normal()]);
        let change = diff(&[foreign, learned, stale.clone()], &[], OURS);
        assert_eq!(change, FlowDiff { delete: vec![stale], ..FlowDiff::default() });
    }

    #[test]
    fn a_claimed_key_is_taken_over_and_the_last_of_two_wins() {
        let theirs = Flow::table(0).priority(0).actions([Action::normal()]);
        let ours = theirs.clone().cookie(OURS.value());
        let other = ours.clone().drop();
        let change = diff(std::slice::from_ref(&theirs), &[other.clone(), ours.clone()], OURS);
        assert_eq!(change, FlowDiff { modify: vec![ours.clone()], ..FlowDiff::default() });
        assert_eq!(diff(&[], &[other, ours.clone()], OURS), FlowDiff { add: vec![ours], ..FlowDiff::default() });
    }
}
