//! What requests on logs do: which packets of security groups hosts shall write down.

use crate::{NetworkError, Work, port};
use network_model::ModelError;
use serde::Deserialize;
use store::{Operation, params};
use uuid::Uuid;

/// What can be logged.
const SECURITY_GROUP: &str = "security_group";

/// A checked POST body.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct LogCreate {
    pub project_id: String,
    pub name: String,
    pub description: String,
    pub resource_type: String,
    pub resource_id: Option<Uuid>,
    pub target_id: Option<Uuid>,
    pub event: String,
    pub enabled: bool,
}

/// A checked PUT body: what it does not have stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct LogUpdate {
    pub name: Option<String>,
    pub description: Option<String>,
    pub enabled: Option<bool>,
}

/// Makes a log. The group and the port that it is about must exist, and the port must be in the group.
pub fn create(work: &Work<'_>, request: &LogCreate) -> Result<Uuid, NetworkError> {
    if request.resource_type != SECURITY_GROUP {
        let message = format!("Invalid input for operation: Invalid log resource_type: {}.", request.resource_type);
        return Err(NetworkError::named("InvalidLogResourceType", 400, message));
    }
    if let Some(group) = request.resource_id
        && !work.tx.exists("SELECT 1 FROM security_groups WHERE id = ?1", params![group])?
    {
        return Err(NetworkError::named("ResourceNotFound", 404, format!("Resource {group} could not be found.")));
    }
    if let Some(target) = request.target_id {
        check_target(work, target, request.resource_id)?;
    }
    let id = work.new_id();
    work.tx.execute(
        "INSERT INTO logs (id, project_id, name, description, resource_type, resource_id, target_id, event, enabled,
             revision_number, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0, ?10, ?10)",
        params![
            id,
            &request.project_id,
            &request.name,
            &request.description,
            &request.resource_type,
            request.resource_id,
            request.target_id,
            &request.event,
            request.enabled,
            work.now
        ],
    )?;
    work.log("log", id, Operation::Create, None)?;
    Ok(id)
}

/// The port is there, is one whose packets pass our switch, and is in the group.
fn check_target(work: &Work<'_>, target: Uuid, group: Option<Uuid>) -> Result<(), NetworkError> {
    let port = match port::get(work.tx, target.into()) {
        Err(NetworkError::Refused(ModelError::PortNotFound { .. })) => {
            let message = format!("Target resource {target} could not be found.");
            return Err(NetworkError::named("TargetResourceNotFound", 404, message));
        }
        other => other?,
    };
    let by_switch = match port.binding_vif_type.as_str() {
        "unbound" | "binding_failed" => port.binding_vnic_type == "normal",
        vif_type => vif_type == "ovs",
    };
    if !by_switch {
        let message = format!("Logging type {SECURITY_GROUP} is not supported on port {target}.");
        return Err(NetworkError::named("LoggingTypeNotSupported", 409, message));
    }
    let Some(group) = group else { return Ok(()) };
    let member = "SELECT 1 FROM port_security_groups WHERE port_id = ?1 AND security_group_id = ?2";
    if work.tx.exists(member, params![target, group])? {
        return Ok(());
    }
    let message = format!(
        "Invalid input for operation: Invalid resource constraint between resource ({SECURITY_GROUP} {group}) and target \
         resource (port {target})."
    );
    Err(NetworkError::named("InvalidResourceConstraint", 400, message))
}

/// Changes a log.
pub fn update(work: &Work<'_>, id: Uuid, request: LogUpdate) -> Result<(), NetworkError> {
    work.set("logs", id, "name", request.name)?;
    work.set("logs", id, "description", request.description)?;
    work.set("logs", id, "enabled", request.enabled)?;
    work.touch("logs", id)?;
    work.log("log", id, Operation::Update, None)
}

/// Ends a log.
pub fn delete(work: &Work<'_>, id: Uuid) -> Result<(), NetworkError> {
    work.tx.execute("DELETE FROM logs WHERE id = ?1", params![id])?;
    work.log("log", id, Operation::Delete, None)
}
