//! What requests on connection tracking helpers of routers do.

use crate::{NetworkError, Work, router};
use net_types::RouterId;
use network_model::ModelError;
use serde::Deserialize;
use serde_json::json;
use store::{Operation, params};
use uuid::Uuid;

/// A checked POST body.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct ConntrackHelperCreate {
    pub router_id: RouterId,
    pub protocol: String,
    pub port: u16,
    pub helper: String,
}

/// A checked PUT body: what it does not have stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct ConntrackHelperUpdate {
    pub protocol: Option<String>,
    pub port: Option<u16>,
    pub helper: Option<String>,
}

/// Makes a helper.
pub fn create(work: &Work<'_>, request: &ConntrackHelperCreate) -> Result<Uuid, NetworkError> {
    let id = work.new_id();
    check(work, id, request)?;
    work.tx.execute(
        "INSERT INTO conntrack_helpers (id, router_id, protocol, port, helper) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![id, request.router_id.0, &request.protocol, request.port, &request.helper],
    )?;
    changed(work, id, request.router_id, Operation::Create)?;
    Ok(id)
}

/// Changes a helper.
pub fn update(work: &Work<'_>, id: Uuid, request: ConntrackHelperUpdate) -> Result<(), NetworkError> {
    let current = load(work, id)?;
    let wanted = ConntrackHelperCreate {
        router_id: current.router_id,
        protocol: request.protocol.unwrap_or(current.protocol),
        port: request.port.unwrap_or(current.port),
        helper: request.helper.unwrap_or(current.helper),
    };
    check(work, id, &wanted)?;
    work.tx.execute(
        "UPDATE conntrack_helpers SET protocol = ?2, port = ?3, helper = ?4 WHERE id = ?1",
        params![id, &wanted.protocol, wanted.port, &wanted.helper],
    )?;
    changed(work, id, wanted.router_id, Operation::Update)
}

/// Removes a helper.
pub fn delete(work: &Work<'_>, id: Uuid) -> Result<(), NetworkError> {
    let helper = load(work, id)?;
    work.tx.execute("DELETE FROM conntrack_helpers WHERE id = ?1", params![id])?;
    changed(work, id, helper.router_id, Operation::Delete)
}

fn load(work: &Work<'_>, id: Uuid) -> Result<ConntrackHelperCreate, NetworkError> {
    let found = work.tx.query_opt(
        "SELECT router_id, protocol, port, helper FROM conntrack_helpers WHERE id = ?1",
        params![id],
        |row| {
            let (protocol, port, helper) = (row.get(1)?, row.get(2)?, row.get(3)?);
            Ok(ConntrackHelperCreate { router_id: row.parse(0)?, protocol, port, helper })
        },
    )?;
    let not_found = || format!("Conntrack Helper {id} could not be found.");
    found.ok_or_else(|| NetworkError::named("ConntrackHelperNotFound", 404, not_found()))
}

/// The helper must be one that the operator allows, for a protocol that it understands, and the router's only such.
fn check(work: &Work<'_>, id: Uuid, wanted: &ConntrackHelperCreate) -> Result<(), NetworkError> {
    let ConntrackHelperCreate { router_id, protocol, port, helper } = wanted;
    let Some(protocols) = work.config.allowed_conntrack_helpers.get(helper) else {
        let message = format!("Conntrack Helper {helper} is not allowed.");
        return Err(NetworkError::named("ConntrackHelperNotAllowed", 400, message));
    };
    if !protocols.contains(protocol) {
        let supported = protocols.join(", ");
        let message =
            format!("Conntrack Helper {helper} does not support: {protocol}. Supported protocols are: {supported}");
        return Err(NetworkError::named("InvalidProtocolForHelper", 400, message));
    }
    let taken = work.tx.exists(
        "SELECT 1 FROM conntrack_helpers WHERE router_id = ?1 AND protocol = ?2 AND port = ?3 AND helper = ?4 AND id <> ?5",
        params![router_id.0, protocol, *port, helper, id],
    )?;
    if taken {
        let msg = format!(
            "A duplicate conntrack helper entry with same attributes already exists, conflicting values are \
             {{'router_id': '{router_id}', 'protocol': '{protocol}', 'port': {port}, 'helper': '{helper}'}}"
        );
        return Err(ModelError::BadRequest { resource: "conntrack_helper", msg }.into());
    }
    Ok(())
}

/// The router shows its helpers, so it has changed with them.
fn changed(work: &Work<'_>, id: Uuid, router_id: RouterId, what: Operation) -> Result<(), NetworkError> {
    router::changed(work, router_id)?;
    work.log("conntrack_helper", id, what, Some(json!({"router_id": router_id})))
}
