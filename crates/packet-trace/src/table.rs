//! Which flow of a table a packet meets: the highest priority, and conjunctions as the switch's classifier finds them.

use crate::Packet;
use openflow::{Action, Field, Flow};
use std::collections::{BTreeMap, BTreeSet};

/// Flows of one bridge by table, highest priority first.
pub(crate) struct Tables<'a> {
    tables: BTreeMap<u8, Vec<&'a Flow>>,
}

/// The flow that decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hit<'a> {
    pub flow: &'a Flow,
    /// The conjunction that the packet completes, if that is why, and the flows that are its clauses.
    pub conjunction: Option<(u32, Vec<&'a Flow>)>,
}

/// A flow that is only a clause of conjunctions.
fn is_clause(flow: &Flow) -> bool {
    flow.actions.iter().any(|action| matches!(action, Action::Conjunction { .. }))
}

impl<'a> Tables<'a> {
    pub fn new(flows: &'a [Flow]) -> Self {
        let mut tables: BTreeMap<u8, Vec<&Flow>> = BTreeMap::new();
        for flow in flows {
            tables.entry(flow.table).or_default().push(flow);
        }
        for flows in tables.values_mut() {
            flows.sort_by_key(|flow| std::cmp::Reverse(flow.priority));
        }
        Self { tables }
    }

    /// The flow that decides for a packet; none drops it.
    pub fn look_up(&self, table: u8, packet: &Packet) -> Option<Hit<'a>> {
        let flows = self.tables.get(&table)?;
        let mut met = flows.iter().copied().filter(|flow| packet.meets(&flow.matches)).peekable();
        // Level by level; a clause counts on its level unless a whole flow stands there, too.
        while let Some(priority) = met.peek().map(|flow| flow.priority) {
            let mut clauses = vec![];
            while let Some(flow) = met.next_if(|flow| flow.priority == priority) {
                if !is_clause(flow) {
                    return Some(Hit { flow, conjunction: None });
                }
                clauses.push(flow);
            }
            // A whole flow of this level may stand behind clauses in order: the loop above has seen all of the level.
            for (id, parts) in completed(&clauses) {
                let mut with_id = packet.clone();
                with_id.set(Field::ConjId, id.into());
                let whole = flows.iter().copied().find(|flow| !is_clause(flow) && with_id.meets(&flow.matches));
                if let Some(flow) = whole {
                    return Some(Hit { flow, conjunction: Some((id, parts)) });
                }
            }
        }
        None
    }
}

/// Conjunctions of which every dimension is among these clauses.
fn completed<'a>(clauses: &[&'a Flow]) -> BTreeMap<u32, Vec<&'a Flow>> {
    let mut found: BTreeMap<u32, (u8, BTreeSet<u8>, Vec<&Flow>)> = BTreeMap::new();
    for flow in clauses {
        for action in &flow.actions {
            if let Action::Conjunction { id, clause, of } = action {
                let (dimensions, seen, flows) = found.entry(*id).or_insert((*of, BTreeSet::new(), vec![]));
                *dimensions = *of;
                seen.insert(*clause);
                flows.push(flow);
            }
        }
    }
    let whole = found.into_iter().filter(|(_, (dimensions, seen, _))| seen.len() == usize::from(*dimensions));
    whole.map(|(id, (_, _, flows))| (id, flows)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use openflow::Match;

    fn flow(priority: u16, matches: Match, actions: impl IntoIterator<Item = Action>) -> Flow {
        Flow::table(1).priority(priority).matching(matches).actions(actions)
    }

    #[test]
    fn conjunctions_stand_on_their_level() {
        let net = |text: &str| text.parse::<net_types::Ipv4Net>().unwrap();
        let flows = [
            flow(5, Match::new().ipv4_src(net("10.0.0.1/32")), [Action::conjunction(9, 1, 2)]),
            flow(5, Match::new().tcp_dst(22u16), [Action::conjunction(9, 2, 2)]),
            flow(5, Match::new().conj_id(9), [Action::resubmit(2)]),
            flow(4, Match::new().tcp_dst(80u16), [Action::resubmit(3)]),
            flow(1, Match::new(), []),
        ];
        let tables = Tables::new(&flows);
        let priority = |text: &str| {
            let hit = tables.look_up(1, &Packet::parse(text).unwrap()).unwrap();
            (hit.flow.priority, hit.conjunction.map(|(id, parts)| (id, parts.len())))
        };
        assert_eq!(priority("tcp,nw_src=10.0.0.1,tcp_dst=22"), (5, Some((9, 2))));
        assert_eq!(priority("tcp,nw_src=10.0.0.1,tcp_dst=80"), (4, None));
        assert_eq!(priority("tcp,nw_src=10.0.0.2,tcp_dst=22"), (1, None));
        assert!(tables.look_up(2, &Packet::default()).is_none());
    }
}
