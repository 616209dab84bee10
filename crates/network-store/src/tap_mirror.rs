//! What requests on tap mirrors do: which ports' frames are copied to a collector outside.

use crate::tap::{TapUpdate, check_port};
use crate::{NetworkError, Work};
use net_types::PortId;
use network_model::ModelError;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::net::IpAddr;
use store::{Operation, params};
use uuid::Uuid;

/// A checked POST body.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct TapMirrorCreate {
    pub project_id: String,
    pub name: String,
    pub description: String,
    pub port_id: PortId,
    pub directions: Map<String, Value>,
    pub remote_ip: IpAddr,
    pub mirror_type: String,
}

/// The numbers as numbers: clients send them as text, too.
fn numbers(directions: &Map<String, Value>) -> Result<Vec<(&str, u32)>, NetworkError> {
    let read = |value: &Value| match value {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_u64().and_then(|number| u32::try_from(number).ok()),
    };
    let unread = || {
        let msg = "the numbers of directions are of 32 bits".to_owned();
        NetworkError::from(ModelError::BadRequest { resource: "tap_mirror", msg })
    };
    directions.iter().map(|(direction, value)| Ok((direction.as_str(), read(value).ok_or_else(unread)?))).collect()
}

/// Makes a tap mirror; a number tells its copies from all others.
pub fn create(work: &Work<'_>, request: &TapMirrorCreate) -> Result<Uuid, NetworkError> {
    check_port(work, request.port_id, &request.project_id)?;
    let id = work.new_id();
    work.tx.execute(
        "INSERT INTO tap_mirrors (id, project_id, name, description, port_id, directions, remote_ip, mirror_type)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            id,
            &request.project_id,
            &request.name,
            &request.description,
            request.port_id.0,
            Value::Object(request.directions.clone()).to_string(),
            request.remote_ip.to_string(),
            &request.mirror_type
        ],
    )?;
    for (direction, tunnel_id) in numbers(&request.directions)? {
        let added = work.tx.execute(
            "INSERT INTO tap_mirror_tunnels (tunnel_id, tap_mirror_id, direction) VALUES (?1, ?2, ?3)
             ON CONFLICT (tunnel_id) DO NOTHING",
            params![tunnel_id, id, direction],
        )?;
        if added == 0 {
            let message = format!("Tap Mirror with tunnel_id {tunnel_id} already exists");
            return Err(NetworkError::named("TapMirrorTunnelConflict", 409, message));
        }
    }
    work.log("tap_mirror", id, Operation::Create, None)?;
    Ok(id)
}

/// Changes a tap mirror.
pub fn update(work: &Work<'_>, id: Uuid, request: TapUpdate) -> Result<(), NetworkError> {
    work.set("tap_mirrors", id, "name", request.name)?;
    work.set("tap_mirrors", id, "description", request.description)?;
    work.log("tap_mirror", id, Operation::Update, None)
}

/// Ends a tap mirror.
pub fn delete(work: &Work<'_>, id: Uuid) -> Result<(), NetworkError> {
    work.tx.execute("DELETE FROM tap_mirrors WHERE id = ?1", params![id])?;
    work.log("tap_mirror", id, Operation::Delete, None)
}
