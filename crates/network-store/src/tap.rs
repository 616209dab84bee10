//! What requests on tap services and tap flows do: which ports' frames are copied to which port.

use crate::{NetworkError, Work, port};
use net_types::PortId;
use serde::Deserialize;
use serde_json::json;
use store::{Operation, params};
use uuid::Uuid;

/// The highest key that every kind of tunnel can carry; keys are given out from here downwards, far from the ranges that
/// networks are mostly given theirs from.
const HIGHEST_KEY: u32 = 0xff_ffff;

/// A checked POST body.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct TapServiceCreate {
    pub project_id: String,
    pub name: String,
    pub description: String,
    pub port_id: PortId,
}

/// A checked POST body.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct TapFlowCreate {
    pub project_id: String,
    pub name: String,
    pub description: String,
    pub tap_service_id: Uuid,
    pub source_port: PortId,
    pub direction: String,
}

/// A checked PUT body, of any of the three: what it does not have stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct TapUpdate {
    pub name: Option<String>,
    pub description: Option<String>,
}

/// A port may be mirrored, or mirrored to, by the project that has it.
pub(crate) fn check_port(work: &Work<'_>, id: PortId, project_id: &str) -> Result<(), NetworkError> {
    if port::get_visible(work, id)?.project_id == project_id {
        return Ok(());
    }
    let message = "The specified port does not belong to the tenant";
    Err(NetworkError::named("PortDoesNotBelongToTenant", 403, message))
}

/// A key that neither a network nor another tap service has. Networks keep away from it in turn (`segment::Used`).
fn free_key(work: &Work<'_>) -> Result<u32, NetworkError> {
    let lowest: u32 = work
        .tx
        .query_opt("SELECT MIN(tunnel_key) FROM tap_services", params![], |row| row.get::<Option<u32>>(0))?
        .flatten()
        .unwrap_or(HIGHEST_KEY + 1);
    for key in (1..lowest).rev().chain((lowest..=HIGHEST_KEY).rev()) {
        let taken = work.tx.exists(
            "SELECT 1 FROM network_segments WHERE network_type IN ('vxlan', 'geneve', 'gre')
             AND COALESCE(physical_network, '') = '' AND COALESCE(segmentation_id, 0) = ?1 AND network_type <> 'local'",
            params![key],
        )? || work.tx.exists("SELECT 1 FROM tap_services WHERE tunnel_key = ?1", params![key])?;
        if !taken {
            return Ok(key);
        }
    }
    Err(NetworkError::named("TapServiceLimitReached", 409, "Reached the maximum quota for Tap Services"))
}

/// Makes a tap service of a port.
pub fn create_service(work: &Work<'_>, request: &TapServiceCreate) -> Result<Uuid, NetworkError> {
    check_port(work, request.port_id, &request.project_id)?;
    let id = work.new_id();
    work.tx.execute(
        "INSERT INTO tap_services (id, project_id, name, description, port_id, tunnel_key) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![id, &request.project_id, &request.name, &request.description, request.port_id.0, free_key(work)?],
    )?;
    work.log("tap_service", id, Operation::Create, None)?;
    Ok(id)
}

/// Changes a tap service.
pub fn update_service(work: &Work<'_>, id: Uuid, request: TapUpdate) -> Result<(), NetworkError> {
    work.set("tap_services", id, "name", request.name)?;
    work.set("tap_services", id, "description", request.description)?;
    work.log("tap_service", id, Operation::Update, None)
}

/// Removes a tap service, and its tap flows with it.
pub fn delete_service(work: &Work<'_>, id: Uuid) -> Result<(), NetworkError> {
    for flow in ids(work, "SELECT id FROM tap_flows WHERE tap_service_id = ?1", id)? {
        delete_flow(work, flow)?;
    }
    work.tx.execute("DELETE FROM tap_services WHERE id = ?1", params![id])?;
    work.log("tap_service", id, Operation::Delete, None)
}

/// Makes a tap flow: what a port of the same project sends or receives goes to the tap service as well.
pub fn create_flow(work: &Work<'_>, request: &TapFlowCreate) -> Result<Uuid, NetworkError> {
    let service = request.tap_service_id;
    let owner: Option<String> =
        work.tx.query_opt("SELECT project_id FROM tap_services WHERE id = ?1", params![service], |row| row.get(0))?;
    let visible = owner.filter(|owner| work.caller.is_admin || owner == work.caller.project_id);
    let Some(owner) = visible else {
        return Err(NetworkError::named("TapServiceNotFound", 404, format!("Tap Service  {service} does not exist")));
    };
    if owner != request.project_id {
        let message = "Specified Tap Service does not belong to the tenant";
        return Err(NetworkError::named("TapServiceNotBelongToTenant", 403, message));
    }
    check_port(work, request.source_port, &request.project_id)?;
    let id = work.new_id();
    work.tx.execute(
        "INSERT INTO tap_flows (id, project_id, name, description, tap_service_id, source_port, direction)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            id,
            &request.project_id,
            &request.name,
            &request.description,
            service,
            request.source_port.0,
            &request.direction
        ],
    )?;
    work.log("tap_flow", id, Operation::Create, Some(json!({"tap_service_id": service})))?;
    Ok(id)
}

/// Changes a tap flow.
pub fn update_flow(work: &Work<'_>, id: Uuid, request: TapUpdate) -> Result<(), NetworkError> {
    work.set("tap_flows", id, "name", request.name)?;
    work.set("tap_flows", id, "description", request.description)?;
    work.log("tap_flow", id, Operation::Update, None)
}

/// Ends a tap flow.
pub fn delete_flow(work: &Work<'_>, id: Uuid) -> Result<(), NetworkError> {
    let service = ids(work, "SELECT tap_service_id FROM tap_flows WHERE id = ?1", id)?.into_iter().next();
    work.tx.execute("DELETE FROM tap_flows WHERE id = ?1", params![id])?;
    work.log("tap_flow", id, Operation::Delete, Some(json!({"tap_service_id": service})))
}

/// A port goes: what is mirrored to it or from it ends.
pub(crate) fn before_port_removal(work: &Work<'_>, port: PortId) -> Result<(), NetworkError> {
    for service in ids(work, "SELECT id FROM tap_services WHERE port_id = ?1", port.0)? {
        delete_service(work, service)?;
    }
    for flow in ids(work, "SELECT id FROM tap_flows WHERE source_port = ?1", port.0)? {
        delete_flow(work, flow)?;
    }
    for mirror in ids(work, "SELECT id FROM tap_mirrors WHERE port_id = ?1", port.0)? {
        crate::tap_mirror::delete(work, mirror)?;
    }
    Ok(())
}

fn ids(work: &Work<'_>, sql: &str, of: Uuid) -> Result<Vec<Uuid>, NetworkError> {
    Ok(work.tx.query(sql, params![of], |row| row.parse(0))?)
}
