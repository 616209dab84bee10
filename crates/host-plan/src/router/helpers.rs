//! Connection tracking helpers: protocols that name addresses and ports inside what they say (FTP, TFTP, ...).
//!
//! ```text
//! table ip neutronium-helper-<name>
//!   ct helper <name>-tcp { type "<name>" protocol tcp }
//!   prerouting (filter, -145)   tcp dport of the router's helpers: ct helper set <name>-tcp
//! ```
//! In: a router's helpers. Out: a table for each kind, because a kernel without the module for one refuses its table, and
//! nothing else shall suffer from that ([`is_optional`]). IPv6 is not translated, so there is nothing to follow.

use host_view::ConntrackHelper;
use nft_rules::{Chain, Family, Field, Hook, Kind, Object, Rule, Statement, Table};
use std::collections::{BTreeMap, BTreeSet};

const PREFIX: &str = "neutronium-helper-";

/// Whether a table is one that some kernels refuse.
pub fn is_optional(table: &Table) -> bool {
    table.name.starts_with(PREFIX)
}

/// The tables, and what cannot be followed, one sentence each.
pub(super) fn tables(helpers: &BTreeSet<ConntrackHelper>) -> (Vec<Table>, Vec<String>) {
    let (mut tables, mut errors) = (BTreeMap::<&str, Table>::new(), vec![]);
    for helper in helpers {
        let (Some(port), true) = (port_of(&helper.protocol), is_a_word(&helper.helper)) else {
            errors.push(format!("conntrack helper {} cannot follow {}", helper.helper, helper.protocol));
            continue;
        };
        let table = tables
            .entry(&helper.helper)
            .or_insert_with(|| Table::new(Family::Ip, format!("{PREFIX}{}", helper.helper)));
        let kind = Object::CtHelper { kind: helper.helper.clone(), protocol: helper.protocol.clone() };
        let name = format!("{}-{}", helper.helper, helper.protocol);
        table.object(name.as_str(), kind);
        let chain = table.chains.entry("prerouting".into());
        let chain = chain.or_insert_with(|| Chain::base(Kind::Filter, Hook::Prerouting, -145));
        let rule = Rule::new().is(port, u32::from(helper.port));
        chain.rules.push(rule.then(Statement::CtHelper(name)));
    }
    (tables.into_values().collect(), errors)
}

fn port_of(protocol: &str) -> Option<Field> {
    match protocol {
        "tcp" => Some(Field::TcpDport),
        "udp" => Some(Field::UdpDport),
        // The kernel has no helper for others.
        _ => None,
    }
}

/// Names come from the operator's configuration, by way of the API.
fn is_a_word(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_a_table_and_nonsense_an_error() {
        let helper = |helper: &str, protocol: &str, port| ConntrackHelper {
            helper: helper.into(),
            protocol: protocol.into(),
            port,
        };
        let all = [helper("ftp", "tcp", 21), helper("ftp", "tcp", 2121), helper("tftp", "udp", 69)];
        let bad = [helper("ftp", "sctp", 21), helper("a\" }", "tcp", 1)];
        let (tables, errors) = tables(&all.into_iter().chain(bad).collect());
        let names: Vec<_> = tables.iter().map(|table| table.name.as_str()).collect();
        assert_eq!(names, ["neutronium-helper-ftp", "neutronium-helper-tftp"]);
        assert_eq!(tables[0].chains["prerouting"].rules.len(), 2);
        assert!(tables.iter().all(is_optional));
        assert_eq!(errors.len(), 2);
    }
}
