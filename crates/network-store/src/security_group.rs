//! What requests on security groups do.

use crate::{NetworkError, Work, default_security_group_rule, default_statefulness, quota, rbac, security_group_rule};
use net_types::{SecurityGroupId, SecurityGroupRuleId};
use network_model::ModelError;
use network_model::security_group::{DEFAULT_GROUP, check_group_deletion, check_group_update, check_new_name};
use serde::Deserialize;
use store::{Operation, Snapshot, StoreError, params};

/// A checked POST body.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct SecurityGroupCreate {
    pub project_id: String,
    pub name: String,
    pub description: String,
    /// None: as the project's setting says.
    pub stateful: Option<bool>,
}

/// A checked PUT body: what it does not have stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct SecurityGroupUpdate {
    pub name: Option<String>,
    pub description: Option<String>,
    pub stateful: Option<bool>,
}

/// What rules ask of a group.
struct Group {
    name: String,
    stateful: bool,
}

fn get(snapshot: &Snapshot<'_>, id: SecurityGroupId) -> Result<Group, NetworkError> {
    let found =
        snapshot.query_opt("SELECT name, stateful FROM security_groups WHERE id = ?1", params![id.0], |row| {
            Ok(Group { name: row.get(0)?, stateful: row.get(1)? })
        })?;
    found.ok_or_else(|| ModelError::SecurityGroupNotFound { id: id.to_string() }.into())
}

/// The project's default group; made now if the project is new. Egress is free, ingress from members of the group only.
pub fn ensure_default(work: &Work<'_>, project_id: &str) -> Result<SecurityGroupId, NetworkError> {
    match default_of(work.tx, project_id)? {
        Some(id) => Ok(id),
        None => {
            let request = SecurityGroupCreate {
                project_id: project_id.to_owned(),
                name: DEFAULT_GROUP.to_owned(),
                description: "Default security group".to_owned(),
                stateful: Some(true),
            };
            insert(work, &request, true)
        }
    }
}

/// The project's default group, if it has one already.
pub fn default_of(snapshot: &Snapshot<'_>, project_id: &str) -> Result<Option<SecurityGroupId>, StoreError> {
    snapshot.query_opt(
        "SELECT id FROM security_groups WHERE project_id = ?1 AND is_default = 1",
        params![project_id],
        |row| row.parse(0),
    )
}

/// Makes a group. Its project has a default group from then on.
pub fn create(work: &Work<'_>, request: &SecurityGroupCreate) -> Result<SecurityGroupId, NetworkError> {
    check_new_name(&request.name)?;
    ensure_default(work, &request.project_id)?;
    insert(work, request, false)
}

fn insert(work: &Work<'_>, request: &SecurityGroupCreate, is_default: bool) -> Result<SecurityGroupId, NetworkError> {
    let id = SecurityGroupId(work.new_id());
    let stateful = match request.stateful {
        Some(stateful) => stateful,
        None => default_statefulness::of_project(work.tx, &request.project_id)?,
    };
    work.tx.execute(
        "INSERT INTO security_groups (id, project_id, name, description, stateful, is_default, revision_number, created_at,
             updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?7)",
        params![
            id.0,
            &request.project_id,
            &request.name,
            &request.description,
            stateful,
            is_default,
            work.now
        ],
    )?;
    let rules = default_security_group_rule::of_new_group(work.tx, id, is_default)?;
    quota::check(work.tx, work.config, "security_group_rule", &request.project_id, rules.len() as u64)?;
    for rule in rules {
        security_group_rule::insert(work, &request.project_id, id, None, &rule)?;
    }
    work.log("security_group", id, Operation::Create, None)?;
    Ok(id)
}

/// Changes a group.
pub fn update(work: &Work<'_>, id: SecurityGroupId, request: SecurityGroupUpdate) -> Result<(), NetworkError> {
    let group = get(work.tx, id)?;
    if let Some(name) = &request.name {
        check_new_name(name)?;
    }
    let stateful_changes = request.stateful.is_some_and(|stateful| stateful != group.stateful);
    check_group_update(id, &group.name, request.name.is_some(), stateful_changes, in_use(work, id)?)?;
    work.set("security_groups", id.0, "name", request.name)?;
    work.set("security_groups", id.0, "description", request.description)?;
    work.set("security_groups", id.0, "stateful", request.stateful)?;
    work.touch("security_groups", id.0)?;
    work.log("security_group", id, Operation::Update, None)
}

/// Removes a group that no port uses, with its rules and those of other groups that name it.
pub fn delete(work: &Work<'_>, id: SecurityGroupId) -> Result<(), NetworkError> {
    let group = get(work.tx, id)?;
    check_group_deletion(id, &group.name, in_use(work, id)?, work.caller.is_admin)?;
    let naming: Vec<SecurityGroupRuleId> = work.tx.query(
        "SELECT id FROM security_group_rules WHERE security_group_id = ?1 OR remote_group_id = ?1",
        params![id.0],
        |row| row.parse(0),
    )?;
    for rule in naming {
        security_group_rule::delete(work, rule)?;
    }
    rbac::forget(work, id.0)?;
    work.tx.execute("DELETE FROM tags WHERE object_id = ?1", params![id.0])?;
    work.tx.execute("DELETE FROM security_groups WHERE id = ?1", params![id.0])?;
    work.log("security_group", id, Operation::Delete, None)
}

fn in_use(work: &Work<'_>, id: SecurityGroupId) -> Result<bool, StoreError> {
    work.tx.exists("SELECT 1 FROM port_security_groups WHERE security_group_id = ?1", params![id.0])
}

#[cfg(test)]
mod tests;
