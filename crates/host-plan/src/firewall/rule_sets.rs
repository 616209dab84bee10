//! Rule sets: which combinations of security groups the ports of this host have, and the number of each in reg8.
//!
//! Most ports share their groups with others, so rules are programmed once per combination. The number is the first
//! eight digits of the group's id (of several groups: their exclusive or), so that an operator who sees
//! `reg8=0xc197fb02` finds group c197fb02-..., and so that it needs no memory. Zero is the set without any group.

use crate::ids;
use crate::wiring::Wiring;
use host_view::{HostView, Port, Remote};
use net_types::SecurityGroupId;
use std::collections::{BTreeMap, BTreeSet};

/// Numbers of rule sets, and of remote groups in conjunctions.
pub(crate) struct RuleSets {
    sets: BTreeMap<BTreeSet<SecurityGroupId>, RuleSet>,
    /// Conjunction id of each remote group that a rule of these sets refers to.
    pub remote_groups: BTreeMap<SecurityGroupId, u32>,
}

/// One combination of groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RuleSet {
    pub number: u32,
    /// No group of it tracks connections. A single stateful group makes the port stateful: what it allows needs replies.
    pub stateless: bool,
}

impl RuleSets {
    pub fn new(wiring: &Wiring<'_>) -> Self {
        let view = wiring.view;
        let combinations: BTreeSet<_> = wiring
            .ports
            .values()
            .filter(|port| port.is_secured() && !port.port.security_groups.is_empty())
            .map(|port| port.port.security_groups.clone())
            .collect();
        let wishes = combinations.iter().map(|groups| (groups, groups.iter().map(leading).fold(0, |a, b| a ^ b)));
        let numbers = ids::assign(wishes);
        let stateless = |id: &SecurityGroupId| view.security_groups.get(id).is_some_and(|group| !group.stateful);
        let sets: BTreeMap<_, _> = numbers
            .into_iter()
            .map(|(groups, number)| {
                let stateless = groups.iter().all(stateless);
                (groups.clone(), RuleSet { number, stateless })
            })
            .collect();
        let remote_groups = ids::assign(remote_groups(view, sets.keys().flatten()).map(|id| (id, leading(&id))));
        Self { sets, remote_groups }
    }

    /// The number of a port's rule set.
    pub fn of(&self, port: &Port) -> u32 {
        self.sets.get(&port.security_groups).map_or(0, |set| set.number)
    }

    /// The number of a port's rule set, if it has one.
    pub fn number(&self, port: &Port) -> Option<u32> {
        self.sets.get(&port.security_groups).map(|set| set.number)
    }

    /// Whether a port's connections are not tracked.
    pub fn is_stateless(&self, port: &Port) -> bool {
        self.sets.get(&port.security_groups).is_some_and(|set| set.stateless)
    }

    /// All of them, with their groups.
    pub fn iter(&self) -> impl Iterator<Item = (&BTreeSet<SecurityGroupId>, &RuleSet)> {
        self.sets.iter()
    }
}

/// The first 32 bits of an id: its first eight hexadecimal digits.
fn leading(id: &SecurityGroupId) -> u32 {
    (id.0.as_u128() >> 96) as u32
}

fn remote_groups<'a>(
    view: &'a HostView,
    groups: impl Iterator<Item = &'a SecurityGroupId> + 'a,
) -> impl Iterator<Item = SecurityGroupId> + 'a {
    groups.filter_map(|id| view.security_groups.get(id)).flat_map(|group| group.rules.values()).filter_map(|rule| {
        match rule.remote {
            Remote::Group(id) => Some(id),
            Remote::Any | Remote::Prefix(_) => None,
        }
    })
}
