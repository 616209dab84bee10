//! Security groups with their rules, and the address groups that rules may refer to as they do to remote groups.

use super::{children, malformed, select};
use crate::row::RowChange;
use host_view::{Direction, EtherType, Remote, RuleMatch, SecurityGroup, SecurityGroupRule};
use net_types::{IpNet, PortRange, SecurityGroupId, SecurityGroupRuleId};
use network_model::security_group::protocol_number;
use store::{Change, Row, Snapshot, StoreError, params};

pub(super) fn groups(snapshot: &Snapshot<'_>, id: Option<&str>, rows: &mut Vec<RowChange>) -> Result<(), StoreError> {
    let mut rules = children(
        snapshot,
        select(
            "SELECT security_group_id, id, direction, ethertype, protocol, port_range_min, port_range_max,
                    remote_ip_prefix, remote_group_id, remote_address_group_id
             FROM security_group_rules",
            "security_group_id",
            id,
            "",
        ),
        |row| {
            // One that cannot be read allows nothing, and must not keep all others from the hosts.
            let id: SecurityGroupRuleId = row.parse(1)?;
            let rule = rule(row).inspect_err(|error| tracing::error!(%id, %error, "a rule cannot be read")).ok();
            Ok((row.get::<String>(0)?, rule.map(|rule| (id, rule))))
        },
    )?;
    let (sql, params) = select("SELECT id, stateful FROM security_groups", "id", id, "");
    snapshot.for_each(&sql, &params, |row| {
        let key: String = row.get(0)?;
        let rules = rules.remove(&key).unwrap_or_default().into_iter().flatten().collect();
        rows.push(RowChange::Group(row.parse(0)?, Some(SecurityGroup { stateful: row.get(1)?, rules })));
        Ok(())
    })
}

/// Address groups that have addresses.
pub(super) fn address_groups(
    snapshot: &Snapshot<'_>,
    id: Option<&str>,
    rows: &mut Vec<RowChange>,
) -> Result<(), StoreError> {
    let all = "SELECT address_group_id, address FROM address_group_addresses";
    let found = children(snapshot, select(all, "address_group_id", id, ""), |row| {
        Ok((row.parse::<SecurityGroupId>(0)?, row.parse::<IpNet>(1)?))
    })?;
    let addresses = |list: Vec<IpNet>| list.into_iter().map(|net| net.trunc()).collect();
    rows.extend(found.into_iter().map(|(id, list)| RowChange::AddressGroup(id, Some(addresses(list)))));
    Ok(())
}

/// The columns of `groups`' query from the direction on.
fn rule(row: &Row<'_>) -> Result<SecurityGroupRule, StoreError> {
    let direction = match row.text(2)?.as_ref() {
        "ingress" => Direction::Ingress,
        "egress" => Direction::Egress,
        other => return Err(malformed(2, "a direction", other)),
    };
    let ethertype = match row.text(3)?.as_ref() {
        "IPv4" => EtherType::IPv4,
        "IPv6" => EtherType::IPv6,
        other => return Err(malformed(3, "an ethertype", other)),
    };
    let protocol = match row.get::<Option<String>>(4)? {
        // A protocol that is not understood must not become every protocol.
        Some(name) => Some(protocol_number(&name).ok_or_else(|| malformed(4, "an IP protocol", name))?),
        None => None,
    };
    let protocol = match (protocol, ethertype) {
        // `ip` and its number 0 stand for every protocol, as in Neutron.
        (Some(0), _) => None,
        // ICMP, of an IPv6 rule, stands for ICMPv6.
        (Some(1), EtherType::IPv6) => Some(58),
        (protocol, _) => protocol,
    };
    let remote = match (row.parse_opt(7)?, row.parse_opt(8)?.or(row.parse_opt(9)?)) {
        (_, Some(group)) => Remote::Group(group),
        (Some(prefix), None) => Remote::Prefix(prefix),
        (None, None) => Remote::Any,
    };
    Ok(SecurityGroupRule {
        direction,
        ethertype,
        protocol,
        matching: matching(protocol, row.get(5)?, row.get(6)?)?,
        remote,
    })
}

/// `port_range_min` and `port_range_max` are ports, or an ICMP type and code.
fn matching(protocol: Option<u8>, first: Option<u16>, last: Option<u16>) -> Result<RuleMatch, StoreError> {
    /// ICMP and ICMPv6 (IANA protocol numbers).
    const ICMP: [u8; 2] = [1, 58];
    let is_icmp = protocol.is_some_and(|number| ICMP.contains(&number));
    let small = |number: u16| u8::try_from(number).map_err(|_| malformed(5, "an ICMP type or code", number));
    match (first, last) {
        (None, None) => Ok(RuleMatch::Any),
        (Some(kind), code) if is_icmp => Ok(RuleMatch::Icmp { kind: small(kind)?, code: code.map(small).transpose()? }),
        (first, last) => {
            let first = first.or(last).unwrap_or_default();
            PortRange::new(first, last.unwrap_or(first))
                .map(RuleMatch::Ports)
                .map_err(|e| malformed(5, "a port range", e))
        }
    }
}

pub(super) fn rule_group(snapshot: &Snapshot<'_>, change: &Change) -> Result<Option<SecurityGroupId>, StoreError> {
    let noted = change.extra.as_ref().and_then(|extra| extra.get("security_group_id")).and_then(|id| id.as_str());
    if let Some(id) = noted {
        return Ok(id.parse().ok());
    }
    snapshot.query_opt("SELECT security_group_id FROM security_group_rules WHERE id = ?1", params![&change.id], |row| {
        row.parse(0)
    })
}
