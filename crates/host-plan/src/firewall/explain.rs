//! Which security group rules stand behind which flows, for those who explain a packet's way.

use super::RuleSets;
use super::rules::{rule_matches, tables};
use crate::wiring::Wiring;
use crate::{HostConfig, LocalState};
use host_view::HostView;
use net_types::SecurityGroupRuleId;
use openflow::Match;
use std::collections::{BTreeMap, BTreeSet};

/// By table and match of a flow of 72 or 82: the rules that it is there for. Of a rule with a remote group it is the flow that is
/// its clause.
pub type FlowRules = BTreeMap<(u8, Match), BTreeSet<SecurityGroupRuleId>>;

/// For the plan of the same view, configuration and state.
pub fn flow_rules(view: &HostView, config: &HostConfig, state: &LocalState) -> FlowRules {
    let rule_sets = RuleSets::new(&Wiring::new(view, config, state));
    let mut found = FlowRules::new();
    for (groups, set) in rule_sets.iter() {
        let rules = groups.iter().filter_map(|id| view.security_groups.get(id)).flat_map(|group| &group.rules);
        for (id, rule) in rules {
            let (table, _) = tables(rule.direction);
            for matches in rule_matches(rule, set.number).into_iter().flatten() {
                found.entry((table, matches)).or_default().insert(*id);
            }
        }
    }
    found
}
