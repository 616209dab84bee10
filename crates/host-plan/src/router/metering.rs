//! Metering: how much of what a router forwards to and from the outside each label counts.
//!
//! ```text
//! table ip neutronium-metering, table ip6 neutronium-metering
//!   counter label-<id>
//!   forward (filter, 10)   jump label-<id>, for each label
//!   label-<id>             excluded prefixes first: return; counted ones: counter label-<id>, return
//! ```
//! In: the labels that count the router's traffic, the devices that lead outside. Out: the tables; none without labels. They
//! are tables of their own because counters live as long as their table: `neutronium` is replaced whenever anything changes,
//! these are changed in place. Addresses are those inside, before and after translation, as in Neutron; with
//! `remote_ip_prefix` Neutron compares the source of what goes out and the destination of what comes in, and so do we.

use host_view::{Direction, MeteringRule};
use net_types::{IpNet, MeteringLabelId};
use nft_rules::{Chain, Family, Field, Hook, Kind, Object, Rule, Statement, Table, Value};
use std::collections::{BTreeMap, BTreeSet};

const TABLE: &str = "neutronium-metering";

fn counter(label: &MeteringLabelId) -> String {
    format!("label-{label}")
}

/// The label that a counter of a router's namespace is of; none: it is no label's.
pub fn metered_label(table: &str, counter: &str) -> Option<MeteringLabelId> {
    counter.strip_prefix("label-").filter(|_| table == TABLE)?.parse().ok()
}

/// The tables of both families, as far as there is something to count.
pub(super) fn tables(
    gateways: &[&str],
    labels: &BTreeMap<MeteringLabelId, BTreeSet<MeteringRule>>,
) -> impl Iterator<Item = Table> {
    [Family::Ip, Family::Ip6].map(|family| table(family, gateways, labels)).into_iter().flatten()
}

fn table(
    family: Family,
    gateways: &[&str],
    labels: &BTreeMap<MeteringLabelId, BTreeSet<MeteringRule>>,
) -> Option<Table> {
    let mut table = Table::new(family, TABLE);
    let mut all = Chain::base(Kind::Filter, Hook::Forward, 10);
    for (id, rules) in labels {
        let name = counter(id);
        let mut chain = Chain::new();
        // What is excluded is decided before anything is counted.
        let (excluded, counted): (Vec<_>, Vec<_>) = rules.iter().partition(|rule| rule.excluded);
        for rule in excluded.into_iter().chain(counted) {
            for gateway in gateways {
                chain.rules.extend(statement(family, gateway, rule, &name));
            }
        }
        if !chain.rules.is_empty() {
            table.object(name.as_str(), Object::Counter).chain(name.as_str(), chain);
            all = all.rule(Rule::new().then(Statement::Jump(name)));
        }
    }
    if table.objects.is_empty() {
        return None;
    }
    table.chain("forward", all);
    Some(table)
}

/// None: the rule is of the other family.
fn statement(family: Family, gateway: &str, rule: &MeteringRule, counter: &str) -> Option<Rule> {
    let is_v4 = family == Family::Ip;
    let (source, destination) =
        if is_v4 { (Field::IpSaddr, Field::IpDaddr) } else { (Field::Ip6Saddr, Field::Ip6Daddr) };
    let device = match rule.direction {
        Direction::Ingress => Field::IifName,
        Direction::Egress => Field::OifName,
    };
    let mut met = Rule::new().is(device, gateway);
    for (field, prefix) in [(source, rule.source), (destination, rule.destination)] {
        let Some(prefix) = prefix else { continue };
        if prefix.addr().is_ipv4() != is_v4 {
            return None;
        }
        // Everything needs no comparison; the kernel would not say it back.
        if prefix.prefix_len() > 0 {
            met = met.is(field, Value::from(IpNet::trunc(&prefix)));
        }
    }
    Some(if rule.excluded {
        met.then(Statement::Return)
    } else {
        met.then(Statement::Count(counter.to_owned())).then(Statement::Return)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(direction: Direction, excluded: bool, source: &str, destination: &str) -> MeteringRule {
        let prefix = |text: &str| text.parse().ok();
        MeteringRule { direction, excluded, source: prefix(source), destination: prefix(destination) }
    }

    fn labels(rules: impl IntoIterator<Item = MeteringRule>) -> BTreeMap<MeteringLabelId, BTreeSet<MeteringRule>> {
        [(format!("{:032x}", 7).parse().unwrap(), rules.into_iter().collect())].into()
    }

    #[test]
    fn exclusions_come_first_and_families_apart() {
        let counted = rule(Direction::Egress, false, "10.0.0.0/8", "");
        let excluded = rule(Direction::Egress, true, "10.1.0.0/16", "0.0.0.0/0");
        let v6 = rule(Direction::Ingress, false, "", "2001:db8::/64");
        let tables: Vec<_> = tables(&["qg-1"], &labels([counted, excluded, v6])).collect();
        assert_eq!(tables.iter().map(|table| table.family).collect::<Vec<_>>(), [Family::Ip, Family::Ip6]);
        let name = "label-00000000-0000-0000-0000-000000000007";
        let text: Vec<_> = tables[0].chains[name].rules.iter().map(Rule::to_string).collect();
        assert_eq!(
            text,
            [
                "meta oifname \"qg-1\" ip saddr 10.1.0.0/16 return".to_owned(),
                format!("meta oifname \"qg-1\" ip saddr 10.0.0.0/8 counter name \"{name}\" return"),
            ]
        );
        assert_eq!(tables[1].chains[name].rules.len(), 1);
    }

    #[test]
    fn a_counter_is_its_labels() {
        let id = labels([]).into_keys().next().unwrap();
        assert_eq!(metered_label(TABLE, &counter(&id)), Some(id));
        assert_eq!(metered_label("neutronium", &counter(&id)), None);
        assert_eq!(metered_label(TABLE, "label-x"), None);
    }

    #[test]
    fn without_rules_or_a_way_out_there_is_nothing() {
        assert_eq!(tables(&["qg-1"], &labels([])).count(), 0);
        assert_eq!(tables(&[], &labels([rule(Direction::Egress, false, "", "")])).count(), 0);
    }
}
