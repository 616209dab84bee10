//! What requests on routers do.

mod gateway;
mod interface;
mod routes;

pub use gateway::GatewayInfo;
pub use interface::{Interface, add_interface, remove_interface};
pub use routes::{add_extra_routes, remove_extra_routes};

use crate::request::nullable;
use crate::{NetworkError, Work, port};
use net_types::{IpNet, NetworkId, PortId, RouterId, SubnetId};
use network_model::ModelError;
use network_model::router::{self as rules, RouterAddress, RouterPort};
use network_model::subnet::Route;
use serde::Deserialize;
use serde_json::Value;
use store::{Operation, Snapshot, StoreError, params};

/// A checked POST body.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct RouterCreate {
    pub project_id: String,
    pub name: String,
    pub description: String,
    pub admin_state_up: bool,
    pub external_gateway_info: Option<GatewayInfo>,
    pub availability_zone_hints: Vec<String>,
    pub distributed: Option<bool>,
    pub ha: Option<bool>,
}

/// A checked PUT body: what it does not have stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct RouterUpdate {
    pub name: Option<String>,
    pub description: Option<String>,
    pub admin_state_up: Option<bool>,
    #[serde(deserialize_with = "nullable")]
    pub external_gateway_info: Option<Option<GatewayInfo>>,
    pub routes: Option<Vec<Route>>,
    pub distributed: Option<bool>,
    pub ha: Option<bool>,
}

/// A router and whose it is.
struct Loaded {
    project_id: String,
    router: rules::Router,
}

/// The router as the rules look at it, or that it is not there.
fn load(snapshot: &Snapshot<'_>, id: RouterId) -> Result<Loaded, NetworkError> {
    let found = snapshot.query_opt(
        "SELECT routers.project_id, gateway.id, gateway.network_id FROM routers
             LEFT JOIN ports AS gateway ON gateway.id = routers.gateway_port_id
         WHERE routers.id = ?1",
        params![id.0],
        |row| Ok((row.get::<String>(0)?, row.parse_opt::<PortId>(1)?, row.parse_opt::<NetworkId>(2)?)),
    )?;
    let (project_id, port, network) = found.ok_or(ModelError::RouterNotFound { router_id: id })?;
    let mut ports: Vec<RouterPort> = snapshot.query(
        "SELECT ports.id, ports.network_id FROM router_interfaces JOIN ports ON ports.id = router_interfaces.port_id
         WHERE router_interfaces.router_id = ?1 ORDER BY ports.created_at, ports.id",
        params![id.0],
        |row| Ok(router_port(row.parse(0)?, row.parse(1)?, false)),
    )?;
    let mut external_subnets = Vec::new();
    if let Some((port, network)) = port.zip(network) {
        ports.push(router_port(port, network, true));
        external_subnets =
            snapshot.query("SELECT id, cidr FROM subnets WHERE network_id = ?1", params![network.0], |row| {
                Ok((row.parse::<SubnetId>(0)?, row.parse::<IpNet>(1)?))
            })?;
    }
    for port in &mut ports {
        port.addresses = addresses(snapshot, port.id)?;
    }
    let routes = routes::of_router(snapshot, id)?;
    Ok(Loaded { project_id, router: rules::Router { id, ports, external_subnets, routes } })
}

fn router_port(id: PortId, network_id: NetworkId, is_gateway: bool) -> RouterPort {
    RouterPort { id, network_id, is_gateway, addresses: Vec::new() }
}

fn addresses(snapshot: &Snapshot<'_>, port: PortId) -> Result<Vec<RouterAddress>, StoreError> {
    snapshot.query(
        "SELECT fixed_ips.subnet_id, subnets.cidr, fixed_ips.ip_address
         FROM fixed_ips JOIN subnets ON subnets.id = fixed_ips.subnet_id
         WHERE fixed_ips.port_id = ?1 ORDER BY fixed_ips.position",
        params![port.0],
        |row| Ok(RouterAddress { subnet_id: row.parse(0)?, cidr: row.parse(1)?, ip_address: row.parse(2)? }),
    )
}

/// Makes a router, and its gateway if the request has one.
pub fn create(work: &Work<'_>, request: RouterCreate) -> Result<RouterId, NetworkError> {
    check_kind(request.distributed, request.ha)?;
    let id = RouterId(work.new_id());
    work.tx.execute(
        "INSERT INTO routers (id, project_id, name, description, admin_state_up, status, gateway_port_id, enable_snat,
             distributed, ha, flavor_id, availability_zone_hints, revision_number, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, 'ACTIVE', NULL, 1, 0, 0, NULL, ?6, 1, ?7, ?7)",
        params![
            id.0,
            &request.project_id,
            &request.name,
            &request.description,
            request.admin_state_up,
            Value::from(request.availability_zone_hints).to_string(),
            work.now
        ],
    )?;
    if request.external_gateway_info.is_some() {
        gateway::set(work, &load(work.tx, id)?.router, request.external_gateway_info)?;
    }
    work.log("router", id, Operation::Create, None)?;
    Ok(id)
}

/// Changes a router.
pub fn update(work: &Work<'_>, id: RouterId, request: RouterUpdate) -> Result<(), NetworkError> {
    check_kind(request.distributed, request.ha)?;
    let mut loaded = load(work.tx, id)?;
    if let Some(routes) = request.routes {
        routes::replace(work, &loaded, &routes)?;
        loaded.router.routes = routes;
    }
    if let Some(info) = request.external_gateway_info {
        gateway::set(work, &loaded.router, info)?;
    }
    work.set("routers", id.0, "name", request.name)?;
    work.set("routers", id.0, "description", request.description)?;
    work.set("routers", id.0, "admin_state_up", request.admin_state_up)?;
    changed(work, id)
}

/// Removes a router that has no interfaces, with its gateway.
pub fn delete(work: &Work<'_>, id: RouterId) -> Result<(), NetworkError> {
    let Loaded { router, .. } = load(work.tx, id)?;
    router.check_deletion(has_floating_ips(work.tx, id)?)?;
    work.tx.execute("UPDATE routers SET gateway_port_id = NULL WHERE id = ?1", params![id.0])?;
    if let Some(gateway) = router.gateway() {
        port::remove(work, gateway.id)?;
    }
    work.tx.execute("DELETE FROM tags WHERE object_id = ?1", params![id.0])?;
    work.tx.execute("DELETE FROM routers WHERE id = ?1", params![id.0])?;
    work.log("router", id, Operation::Delete, None)
}

/// Raises the revision and notes the change.
fn changed(work: &Work<'_>, id: RouterId) -> Result<(), NetworkError> {
    work.touch("routers", id.0)?;
    work.log("router", id, Operation::Update, None)
}

fn has_floating_ips(snapshot: &Snapshot<'_>, id: RouterId) -> Result<bool, StoreError> {
    snapshot.exists("SELECT 1 FROM floating_ips WHERE router_id = ?1", params![id.0])
}

/// Every router is in one place. Who asks for another kind shall know that it is not there.
fn check_kind(distributed: Option<bool>, ha: Option<bool>) -> Result<(), ModelError> {
    let refuse = |msg: &str| Err(ModelError::BadRequest { resource: "router", msg: msg.to_owned() });
    match (distributed, ha) {
        (Some(true), _) => refuse("Distributed routers are not available"),
        (_, Some(true)) => refuse("Highly available routers are not available"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
