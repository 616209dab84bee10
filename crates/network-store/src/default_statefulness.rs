//! What requests on the statefulness of new security groups do, and what it is.

use crate::{NetworkError, Work};
use network_model::ModelError;
use serde::Deserialize;
use store::{Operation, Snapshot, StoreError, params};
use uuid::Uuid;

/// A checked POST body.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct DefaultStatefulnessCreate {
    /// None: for every project that has no setting of its own.
    pub project_id: Option<String>,
    pub stateful: bool,
}

/// A checked PUT body.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // The attribute of the declaration.
pub struct DefaultStatefulnessUpdate {
    pub stateful: Option<bool>,
}

/// Makes a setting; a project has at most one.
pub fn create(work: &Work<'_>, request: &DefaultStatefulnessCreate) -> Result<Uuid, NetworkError> {
    let id = work.new_id();
    let made = work.tx.execute(
        "INSERT INTO security_groups_default_statefulness (id, project_id, stateful) VALUES (?1, ?2, ?3)
         ON CONFLICT DO NOTHING",
        params![id, request.project_id.as_deref(), request.stateful],
    )?;
    if made == 0 {
        let project_id = request.project_id.clone().unwrap_or_else(|| "system-wide".to_owned());
        return Err(ModelError::SecurityGroupDefaultStatefulnessAlreadyExists { project_id }.into());
    }
    work.log("security_groups_default_statefulness", id, Operation::Create, None)?;
    Ok(id)
}

/// Changes a setting.
pub fn update(work: &Work<'_>, id: Uuid, request: &DefaultStatefulnessUpdate) -> Result<(), NetworkError> {
    work.set("security_groups_default_statefulness", id, "stateful", request.stateful)?;
    work.log("security_groups_default_statefulness", id, Operation::Update, None)
}

/// Removes a setting.
pub fn delete(work: &Work<'_>, id: Uuid) -> Result<(), NetworkError> {
    match work.tx.execute("DELETE FROM security_groups_default_statefulness WHERE id = ?1", params![id])? {
        0 => Err(ModelError::SecurityGroupDefaultStatefulnessNotFound { id }.into()),
        _ => work.log("security_groups_default_statefulness", id, Operation::Delete, None),
    }
}

/// What a project's new groups are: by its own setting, by that for all, and stateful without either.
pub(crate) fn of_project(snapshot: &Snapshot<'_>, project_id: &str) -> Result<bool, StoreError> {
    let setting = snapshot.query_opt(
        "SELECT stateful FROM security_groups_default_statefulness
         WHERE COALESCE(project_id, '') IN ('', ?1) ORDER BY COALESCE(project_id, '') DESC LIMIT 1",
        params![project_id],
        |row| row.get(0),
    )?;
    Ok(setting.unwrap_or(true))
}
