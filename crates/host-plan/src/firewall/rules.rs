//! Tables 72 and 82: the rules of security groups, once per rule set.
//!
//! ```text
//! 77  TCP, UDP, SCTP, with or without port   76  ICMP type and code   75  ICMP, ICMP type   74  any or another protocol
//! 73  rules with a remote group, as conjunctions of two dimensions:
//!        1/2  address of a member of the group        one flow per member address, whichever rules refer to the group
//!        2/2  rule set and what the rule matches      one flow per rule (and port mask)
//!        conj_id = first eight digits of the remote group's id: allowed, noted in reg7
//! ```
//! In: groups in use and members of remote groups. Out: flows, as many as members *plus* rules. All flows only allow, so it
//! does not matter which of several that match is taken; conjunctions stand alone on their priority because Open vSwitch
//! does not define how they mix with others.

use super::RuleSets;
use crate::flow_set::FlowSet;
use crate::integration_bridge::{
    ACCEPT_OR_INGRESS, ACCEPTED_INGRESS, EGRESS_RULES, INGRESS_RULES, REG_CONJUNCTION, REG_RULES,
};
use host_view::{Direction, EtherType, HostView, Port, Remote, RuleMatch, SecurityGroupRule};
use net_types::{IpNet, PortRange};
use openflow::{Action, Field, Masked, Match, ip_proto};
use std::collections::{BTreeMap, BTreeSet};

const CONJUNCTION: u16 = 73;

/// Clauses of conjunctions by table and match: rules and members that match alike share a flow.
type Clauses = BTreeMap<(u8, Match), BTreeSet<(u32, u8)>>;

pub(super) fn plan(flows: &mut FlowSet, view: &HostView, rule_sets: &RuleSets) {
    let mut clauses = Clauses::new();
    let mut used = BTreeSet::new();
    for (groups, set) in rule_sets.iter() {
        let rules = groups.iter().filter_map(|id| view.security_groups.get(id)).flat_map(|group| group.rules.values());
        for rule in rules {
            let (table, accepted) = tables(rule.direction);
            let Some(matches) = rule_matches(rule, set.number) else { continue };
            match rule.remote {
                Remote::Any | Remote::Prefix(_) => add_all(flows, table, priority(rule), matches, accepted),
                Remote::Group(id) => {
                    let Some(conjunction) = rule_sets.remote_groups.get(&id).copied() else { continue };
                    used.insert((rule.direction, rule.ethertype, id));
                    for rule_clause in matches {
                        clauses.entry((table, rule_clause)).or_default().insert((conjunction, 2));
                    }
                    let allow = [Action::set(REG_CONJUNCTION, conjunction), Action::resubmit(accepted)];
                    flows.add(table, CONJUNCTION, Match::new().conj_id(conjunction), allow);
                }
            }
        }
    }
    for (direction, ethertype, id) in used {
        let (table, _) = tables(direction);
        let Some(conjunction) = rule_sets.remote_groups.get(&id).copied() else { continue };
        for member in view.group_members.get(&id).into_iter().flatten() {
            if EtherType::of(&member.addr()) == ethertype {
                let member_clause = remote_address(family(ethertype), direction, *member);
                clauses.entry((table, member_clause)).or_default().insert((conjunction, 1));
            }
        }
    }
    for ((table, matches), clauses) in clauses {
        flows.add(
            table,
            CONJUNCTION,
            matches,
            clauses.into_iter().map(|(id, clause)| Action::conjunction(id, clause, 2)),
        );
    }
}

/// Rules that ask for what the switch cannot look at.
pub(super) fn impossible(view: &HostView, rule_sets: &RuleSets) -> BTreeSet<String> {
    let groups: BTreeSet<_> = rule_sets.iter().flat_map(|(groups, _)| groups).collect();
    let rules = groups.into_iter().filter_map(|id| view.security_groups.get(id)).flat_map(|group| &group.rules);
    let impossible = rules.filter(|(_, rule)| matches(rule, 0).is_none());
    impossible
        .map(|(id, rule)| {
            let protocol =
                protocol(rule).map_or_else(|| "any protocol".to_owned(), |number| format!("protocol {number}"));
            format!("security group rule {id}: the switch knows no ports or types of {protocol}, so it allows nothing")
        })
        .collect()
}

fn add_all(flows: &mut FlowSet, table: u8, priority: u16, matches: Vec<Match>, accepted: u8) {
    for one in matches {
        flows.resubmit(table, priority, one, accepted);
    }
}

/// The table of the rules of a direction, and where what they allow goes.
pub(super) fn tables(direction: Direction) -> (u8, u8) {
    match direction {
        Direction::Egress => (EGRESS_RULES, ACCEPT_OR_INGRESS),
        Direction::Ingress => (INGRESS_RULES, ACCEPTED_INGRESS),
    }
}

fn family(ethertype: EtherType) -> Match {
    match ethertype {
        EtherType::IPv4 => Match::new().ip(),
        EtherType::IPv6 => Match::new().ipv6(),
    }
}

/// The other side of the packet.
fn remote_address(matches: Match, direction: Direction, prefix: IpNet) -> Match {
    match direction {
        Direction::Ingress => matches.ip_src(prefix.trunc()),
        Direction::Egress => matches.ip_dst(prefix.trunc()),
    }
}

/// The IP protocol number that is really meant: ICMP of an IPv6 rule is ICMPv6.
pub(super) fn protocol(rule: &SecurityGroupRule) -> Option<u8> {
    match (rule.ethertype, rule.protocol) {
        (EtherType::IPv6, Some(ip_proto::ICMP)) => Some(ip_proto::ICMPV6),
        (_, protocol) => protocol,
    }
}

/// Neutron's priorities: what is matched more exactly stands higher.
fn priority(rule: &SecurityGroupRule) -> u16 {
    match (protocol(rule), rule.matching) {
        (Some(ip_proto::ICMP | ip_proto::ICMPV6), RuleMatch::Icmp { code: Some(_), .. }) => 76,
        (Some(ip_proto::ICMP | ip_proto::ICMPV6), _) => 75,
        (Some(ip_proto::TCP | ip_proto::UDP | ip_proto::SCTP), _) => 77,
        _ => 74,
    }
}

/// What the flows of a rule of a set match: with the other side's prefix, or, for a remote group, as the clause that stands
/// for the rule. `None` when nothing can be allowed by it.
pub(super) fn rule_matches(rule: &SecurityGroupRule, rule_set: u32) -> Option<Vec<Match>> {
    let matches = matches(rule, rule_set)?;
    match rule.remote {
        Remote::Any | Remote::Group(_) => Some(matches),
        Remote::Prefix(prefix) if EtherType::of(&prefix.addr()) == rule.ethertype => {
            Some(matches.into_iter().map(|m| remote_address(m, rule.direction, prefix)).collect())
        }
        // A prefix of the other family can never be met.
        Remote::Prefix(_) => None,
    }
}

/// What packets of a port look like, where they are accepted, that one of its rules has let pass.
pub(crate) fn accepted_by(rule: &SecurityGroupRule, rule_sets: &RuleSets, port: &Port) -> Vec<Match> {
    let matches = rule_sets.number(port).and_then(|set| rule_matches(rule, set)).unwrap_or_default();
    match rule.remote {
        Remote::Any | Remote::Prefix(_) => matches,
        Remote::Group(id) => {
            let conjunction = rule_sets.remote_groups.get(&id);
            let by = |conjunction: &u32| matches.into_iter().map(|m| m.reg(REG_CONJUNCTION, *conjunction)).collect();
            conjunction.map(by).unwrap_or_default()
        }
    }
}

/// What a rule of a set matches, but for the other side's address: several matches for a port range. `None` when the
/// switch cannot look at what the rule asks for (ports of a protocol other than TCP, UDP and SCTP, as DCCP and UDP-Lite
/// are): then nothing is allowed by it, where Neutron allows every port, and the plan says so.
fn matches(rule: &SecurityGroupRule, rule_set: u32) -> Option<Vec<Match>> {
    let base = family(rule.ethertype).reg(REG_RULES, rule_set);
    let Some(protocol) = protocol(rule) else {
        return (rule.matching == RuleMatch::Any).then(|| vec![base]);
    };
    let base = base.ip_proto(protocol);
    match rule.matching {
        RuleMatch::Any => Some(vec![base]),
        RuleMatch::Ports(range) if range == PortRange::ALL => Some(vec![base]),
        RuleMatch::Ports(range) => {
            let field = match protocol {
                ip_proto::TCP => Field::TcpDst,
                ip_proto::UDP => Field::UdpDst,
                ip_proto::SCTP => Field::SctpDst,
                _ => return None,
            };
            let with =
                |mask: net_types::PortMask| base.clone().field(field, Masked::new(mask.value.into(), mask.mask.into()));
            Some(range.masks().into_iter().map(with).collect())
        }
        RuleMatch::Icmp { kind, code } => {
            let (kind_field, code_field) = match protocol {
                ip_proto::ICMP => (Field::Icmpv4Type, Field::Icmpv4Code),
                ip_proto::ICMPV6 => (Field::Icmpv6Type, Field::Icmpv6Code),
                _ => return None,
            };
            let kind = base.field(kind_field, kind);
            Some(vec![match code {
                Some(code) => kind.field(code_field, code),
                None => kind,
            }])
        }
    }
}
