//! What requests on the rules of new security groups do, and which rules a new group gets.

use crate::{NetworkError, Work};
use net_types::{IpNet, SecurityGroupId};
use network_model::ModelError;
use network_model::security_group::{Direction, Ethertype, Rule};
use serde::Deserialize;
use store::{Operation, Row, Snapshot, StoreError, params};
use uuid::Uuid;

/// What stands as remote group for the group that the rule will be in.
const PARENT: &str = "PARENT";

/// A checked POST body.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct DefaultSecurityGroupRuleCreate {
    pub description: String,
    pub direction: Direction,
    pub ethertype: Ethertype,
    pub protocol: Option<String>,
    pub port_range_min: Option<u16>,
    pub port_range_max: Option<u16>,
    pub remote_ip_prefix: Option<IpNet>,
    pub remote_group_id: Option<String>,
    pub remote_address_group_id: Option<String>,
    pub used_in_default_sg: bool,
    pub used_in_non_default_sg: bool,
}

/// Adds a rule for groups that will be made. Groups of one sort have no two of the same.
pub fn create(work: &Work<'_>, request: &DefaultSecurityGroupRuleCreate) -> Result<Uuid, NetworkError> {
    let id = work.new_id();
    let rule = checked(request)?;
    let key = rule.match_key();
    let known: Option<Uuid> = work.tx.query_opt(
        "SELECT id FROM default_security_group_rules
         WHERE match_key = ?1 AND ((used_in_default_sg = 1 AND ?2 = 1) OR (used_in_non_default_sg = 1 AND ?3 = 1))",
        params![&key, request.used_in_default_sg, request.used_in_non_default_sg],
        |row| row.parse(0),
    )?;
    if let Some(rule_id) = known {
        return Err(ModelError::DefaultSecurityGroupRuleExists { rule_id }.into());
    }
    work.tx.execute(
        "INSERT INTO default_security_group_rules (id, description, direction, ethertype, protocol, port_range_min,
             port_range_max, remote_ip_prefix, remote_group_id, remote_address_group_id, used_in_default_sg,
             used_in_non_default_sg, match_key)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        params![
            id,
            &request.description,
            rule.direction.as_str(),
            rule.ethertype.as_str(),
            rule.protocol.as_deref(),
            rule.port_range_min,
            rule.port_range_max,
            rule.remote_ip_prefix.map(|cidr| cidr.to_string()),
            request.remote_group_id.as_deref(),
            rule.remote_address_group_id,
            request.used_in_default_sg,
            request.used_in_non_default_sg,
            key
        ],
    )?;
    work.log("default_security_group_rule", id, Operation::Create, None)?;
    Ok(id)
}

/// The rule, with the nil id for the group that it will be in.
fn checked(request: &DefaultSecurityGroupRuleCreate) -> Result<Rule, NetworkError> {
    let group = |id: &str| match id {
        PARENT => Ok(SecurityGroupId(Uuid::nil())),
        id => id.parse().map_err(|_| ModelError::SecurityGroupNotFound { id: id.to_owned() }),
    };
    let address_group = |id: &str| {
        let missing = || ModelError::AddressGroupNotFound { address_group_id: id.to_owned() };
        id.parse::<Uuid>().map_err(|_| missing())
    };
    let rule = Rule {
        direction: request.direction,
        ethertype: request.ethertype,
        protocol: request.protocol.clone(),
        port_range_min: request.port_range_min,
        port_range_max: request.port_range_max,
        remote_ip_prefix: request.remote_ip_prefix,
        remote_group_id: request.remote_group_id.as_deref().map(group).transpose()?,
        remote_address_group_id: request.remote_address_group_id.as_deref().map(address_group).transpose()?,
    };
    Ok(rule.checked()?)
}

/// Removes a rule; groups that there are keep theirs.
pub fn delete(work: &Work<'_>, id: Uuid) -> Result<(), NetworkError> {
    match work.tx.execute("DELETE FROM default_security_group_rules WHERE id = ?1", params![id])? {
        0 => Err(ModelError::DefaultSecurityGroupRuleNotFound { id }.into()),
        _ => work.log("default_security_group_rule", id, Operation::Delete, None),
    }
}

/// The rules that a new group gets. One that names a group which is there no more is left out.
pub(crate) fn of_new_group(
    snapshot: &Snapshot<'_>,
    group: SecurityGroupId,
    is_default: bool,
) -> Result<Vec<Rule>, StoreError> {
    let read = |row: &Row<'_>| {
        let is_parent = row.get::<Option<String>>(6)?.as_deref() == Some(PARENT);
        Ok(Rule {
            direction: if row.text(0)? == Direction::Egress.as_str() { Direction::Egress } else { Direction::Ingress },
            ethertype: if row.text(1)? == Ethertype::IPv6.as_str() { Ethertype::IPv6 } else { Ethertype::IPv4 },
            protocol: row.get(2)?,
            port_range_min: row.get(3)?,
            port_range_max: row.get(4)?,
            remote_ip_prefix: row.parse_opt(5)?,
            remote_group_id: if is_parent { Some(group) } else { row.parse_opt(6)? },
            remote_address_group_id: row.parse_opt(7)?,
        })
    };
    let column = if is_default { "used_in_default_sg" } else { "used_in_non_default_sg" };
    snapshot.query(
        &format!(
            "SELECT direction, ethertype, protocol, port_range_min, port_range_max, remote_ip_prefix, remote_group_id,
                 remote_address_group_id FROM default_security_group_rules AS template
             WHERE {column} = 1
                 AND (remote_group_id IS NULL OR remote_group_id = '{PARENT}'
                     OR EXISTS (SELECT 1 FROM security_groups WHERE security_groups.id = template.remote_group_id))
                 AND (remote_address_group_id IS NULL
                     OR EXISTS (SELECT 1 FROM address_groups WHERE address_groups.id = template.remote_address_group_id))
             ORDER BY id"
        ),
        &[],
        read,
    )
}
