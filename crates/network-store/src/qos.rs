//! What requests on QoS policies do. Their rules are in [`rule`], who has them in [`attach`].

pub mod attach;
pub mod rule;

use crate::{NetworkError, Work, rbac};
use network_model::ModelError;
use serde::Deserialize;
use store::{Operation, Snapshot, params};
use uuid::Uuid;

/// `object_type` of entries that share a policy.
const SHARED_AS: &str = "qos_policy";

/// A checked POST body.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct QosPolicyCreate {
    pub project_id: String,
    pub name: String,
    pub description: String,
    pub shared: bool,
    pub is_default: bool,
}

/// A checked PUT body: what it does not have stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct QosPolicyUpdate {
    pub name: Option<String>,
    pub description: Option<String>,
    pub shared: Option<bool>,
    pub is_default: Option<bool>,
}

/// Makes a policy without rules.
pub fn create(work: &Work<'_>, request: &QosPolicyCreate) -> Result<Uuid, NetworkError> {
    let id = work.new_id();
    if request.is_default {
        check_only_default(work.tx, &request.project_id, id)?;
    }
    work.tx.execute(
        "INSERT INTO qos_policies (id, project_id, name, description, is_default, revision_number, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?6)",
        params![id, &request.project_id, &request.name, &request.description, request.is_default, work.now],
    )?;
    if request.shared {
        rbac::set_shared(work, SHARED_AS, id, true)?;
    }
    work.log("qos_policy", id, Operation::Create, None)?;
    Ok(id)
}

/// Changes a policy.
pub fn update(work: &Work<'_>, id: Uuid, request: QosPolicyUpdate) -> Result<(), NetworkError> {
    if request.is_default == Some(true) {
        check_only_default(work.tx, &owner(work.tx, id)?, id)?;
    }
    if let Some(shared) = request.shared {
        rbac::set_shared(work, SHARED_AS, id, shared)?;
    }
    work.set("qos_policies", id, "name", request.name)?;
    work.set("qos_policies", id, "description", request.description)?;
    work.set("qos_policies", id, "is_default", request.is_default)?;
    changed(work, id)
}

/// Removes a policy that nothing has, with its rules.
pub fn delete(work: &Work<'_>, id: Uuid) -> Result<(), NetworkError> {
    if let Some((object_type, object_id)) = attach::one_user(work.tx, id)? {
        return Err(ModelError::QosPolicyInUse { policy_id: id, object_type, object_id }.into());
    }
    rbac::forget(work, id)?;
    work.tx.execute("DELETE FROM tags WHERE object_id = ?1", params![id])?;
    work.tx.execute("DELETE FROM qos_policies WHERE id = ?1", params![id])?;
    work.log("qos_policy", id, Operation::Delete, None)
}

/// Raises the revision and notes the change: what has the policy follows from it.
fn changed(work: &Work<'_>, id: Uuid) -> Result<(), NetworkError> {
    work.touch("qos_policies", id)?;
    work.log("qos_policy", id, Operation::Update, None)
}

/// Whose policy it is, or that it is not there.
fn owner(snapshot: &Snapshot<'_>, id: Uuid) -> Result<String, NetworkError> {
    let found =
        snapshot.query_opt("SELECT project_id FROM qos_policies WHERE id = ?1", params![id], |row| row.get(0))?;
    found.ok_or_else(|| ModelError::QosPolicyNotFound { policy_id: id }.into())
}

fn check_only_default(snapshot: &Snapshot<'_>, project: &str, id: Uuid) -> Result<(), NetworkError> {
    match default_of(snapshot, project)? {
        Some(other) if other != id => {
            Err(ModelError::QoSPolicyDefaultAlreadyExists { project_id: project.to_owned() }.into())
        }
        _ => Ok(()),
    }
}

/// The policy that new networks of a project get.
fn default_of(snapshot: &Snapshot<'_>, project: &str) -> Result<Option<Uuid>, NetworkError> {
    Ok(snapshot.query_opt(
        "SELECT id FROM qos_policies WHERE project_id = ?1 AND is_default = 1",
        params![project],
        |row| row.parse(0),
    )?)
}
