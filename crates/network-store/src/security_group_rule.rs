//! What requests on security group rules do.

use crate::{NetworkError, Work, address_group, rbac};
use net_types::{SecurityGroupId, SecurityGroupRuleId};
use network_model::ModelError;
use network_model::security_group::{Direction, Ethertype, Rule, check_duplicates, check_single_group};
use serde::Deserialize;
use serde_json::json;
use store::{Operation, Snapshot, params};

/// A checked POST body.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct SecurityGroupRuleCreate {
    pub project_id: String,
    pub security_group_id: String,
    pub description: String,
    pub direction: Direction,
    pub ethertype: Ethertype,
    pub protocol: Option<String>,
    pub port_range_min: Option<u16>,
    pub port_range_max: Option<u16>,
    pub remote_ip_prefix: Option<net_types::IpNet>,
    pub remote_group_id: Option<String>,
    pub remote_address_group_id: Option<String>,
}

/// Makes rules: all or none. They are of one group and project, and none of them is there twice.
pub fn create(
    work: &Work<'_>,
    requests: Vec<SecurityGroupRuleCreate>,
) -> Result<Vec<SecurityGroupRuleId>, NetworkError> {
    let mut rules = Vec::with_capacity(requests.len());
    for request in &requests {
        rules.push((group_of(work, &request.security_group_id)?, checked(work, request)?));
    }
    let groups = rules.iter().zip(&requests).map(|((group, _), request)| (*group, request.project_id.as_str()));
    check_single_group(groups)?;
    let Some(group) = rules.first().map(|(group, _)| *group) else { return Ok(Vec::new()) };
    let keys: Vec<String> = rules.iter().map(|(_, rule)| rule.match_key()).collect();
    check_duplicates(keys.iter().map(String::as_str))?;
    for key in &keys {
        check_new(work.tx, group, key)?;
    }
    let mut ids = Vec::with_capacity(rules.len());
    for ((_, rule), request) in rules.iter().zip(&requests) {
        ids.push(insert(work, &request.project_id, group, Some(&request.description), rule)?);
    }
    work.touch("security_groups", group.0)?;
    Ok(ids)
}

/// The rule that a request asks for, in the form in which it is kept.
fn checked(work: &Work<'_>, request: &SecurityGroupRuleCreate) -> Result<Rule, NetworkError> {
    let remote_group_id = request.remote_group_id.as_deref().map(|id| group_of(work, id)).transpose()?;
    let address_group = request.remote_address_group_id.as_deref();
    let remote_address_group_id = address_group.map(|id| address_group::usable(work, id)).transpose()?;
    let rule = Rule {
        direction: request.direction,
        ethertype: request.ethertype,
        protocol: request.protocol.clone(),
        port_range_min: request.port_range_min,
        port_range_max: request.port_range_max,
        remote_ip_prefix: request.remote_ip_prefix,
        remote_group_id,
        remote_address_group_id,
    };
    Ok(rule.checked()?)
}

/// The group of this id, if it is there for the caller.
fn group_of(work: &Work<'_>, id: &str) -> Result<SecurityGroupId, NetworkError> {
    let missing = || ModelError::SecurityGroupNotFound { id: id.to_owned() };
    let group: SecurityGroupId = id.parse().map_err(|_| missing())?;
    let owner = "SELECT project_id FROM security_groups WHERE id = ?1";
    match work.tx.query_opt(owner, params![group.0], |row| row.get::<String>(0))? {
        Some(owner) if rbac::may_use(work, group.0, &owner)? => Ok(group),
        _ => Err(missing().into()),
    }
}

/// Refuses a rule that the group has already.
fn check_new(snapshot: &Snapshot<'_>, group: SecurityGroupId, match_key: &str) -> Result<(), NetworkError> {
    let known: Option<SecurityGroupRuleId> = snapshot.query_opt(
        "SELECT id FROM security_group_rules WHERE security_group_id = ?1 AND match_key = ?2",
        params![group.0, match_key],
        |row| row.parse(0),
    )?;
    match known {
        Some(rule_id) => Err(ModelError::SecurityGroupRuleExists { rule_id }.into()),
        None => Ok(()),
    }
}

/// Writes a rule that has been checked; one without description came with its group.
pub(crate) fn insert(
    work: &Work<'_>,
    project_id: &str,
    group: SecurityGroupId,
    description: Option<&str>,
    rule: &Rule,
) -> Result<SecurityGroupRuleId, NetworkError> {
    let id = SecurityGroupRuleId(work.new_id());
    work.tx.execute(
        "INSERT INTO security_group_rules (id, project_id, security_group_id, description, direction, ethertype, protocol,
             port_range_min, port_range_max, remote_ip_prefix, normalized_cidr, remote_group_id, remote_address_group_id,
             match_key, revision_number, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, 0, ?15, ?15)",
        params![
            id.0,
            project_id,
            group.0,
            description,
            rule.direction.as_str(),
            rule.ethertype.as_str(),
            rule.protocol.as_deref(),
            rule.port_range_min,
            rule.port_range_max,
            rule.remote_ip_prefix.map(|cidr| cidr.to_string()),
            rule.normalized_cidr().map(|cidr| cidr.to_string()),
            rule.remote_group_id.map(|id| id.0),
            rule.remote_address_group_id,
            rule.match_key(),
            work.now
        ],
    )?;
    work.log("security_group_rule", id, Operation::Create, Some(json!({"security_group_id": group})))?;
    Ok(id)
}

/// Removes a rule.
pub fn delete(work: &Work<'_>, id: SecurityGroupRuleId) -> Result<(), NetworkError> {
    let group: Option<SecurityGroupId> = work.tx.query_opt(
        "SELECT security_group_id FROM security_group_rules WHERE id = ?1",
        params![id.0],
        |row| row.parse(0),
    )?;
    let group = group.ok_or(ModelError::SecurityGroupRuleNotFound { id })?;
    work.tx.execute("DELETE FROM security_group_rules WHERE id = ?1", params![id.0])?;
    work.touch("security_groups", group.0)?;
    work.log("security_group_rule", id, Operation::Delete, Some(json!({"security_group_id": group})))
}
