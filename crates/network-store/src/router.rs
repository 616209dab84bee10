//! What requests on routers do.

mod gateway;
mod gateways;
mod interface;
mod kind;
mod routes;
mod snat;

pub use gateway::GatewayInfo;
pub(crate) use gateways::follow_subnet;
pub use gateways::{add_external_gateways, remove_external_gateways, update_external_gateways};
pub use interface::{Interface, add_interface, remove_interface};
pub use routes::{add_extra_routes, remove_extra_routes};

use crate::request::nullable;
use crate::{NetworkError, Work, agent, flavor, ha_network, ndp_proxy, port};
use net_types::{NetworkId, PortId, RouterId};
use network_model::router::{self as rules, RouterAddress, RouterKind, RouterPort};
use network_model::subnet::Route;
use network_model::{ModelError, device_owner};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use store::{Operation, Snapshot, StoreError, params};
use uuid::Uuid;

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
    #[serde(default)]
    pub flavor_id: Option<Uuid>,
    #[serde(default)]
    pub enable_ndp_proxy: Option<bool>,
    #[serde(default)]
    pub enable_default_route_ecmp: Option<bool>,
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
    pub enable_ndp_proxy: Option<bool>,
    pub enable_default_route_ecmp: Option<bool>,
}

/// A router and whose it is.
struct Loaded {
    project_id: String,
    admin_state_up: bool,
    kind: RouterKind,
    flavor: Option<Uuid>,
    router: rules::Router,
}

/// The router as the rules look at it, or that it is not there.
fn load(snapshot: &Snapshot<'_>, id: RouterId) -> Result<Loaded, NetworkError> {
    let found = snapshot.query_opt(
        "SELECT project_id, admin_state_up, distributed, ha, flavor_id FROM routers WHERE id = ?1",
        params![id.0],
        |row| {
            let kind = RouterKind { distributed: row.get(2)?, ha: row.get(3)? };
            Ok((row.get::<String>(0)?, row.get::<bool>(1)?, kind, row.parse_opt::<Uuid>(4)?))
        },
    )?;
    let (project_id, admin_state_up, kind, flavor) = found.ok_or(ModelError::RouterNotFound { router_id: id })?;
    let mut ports: Vec<RouterPort> = snapshot.query(
        "SELECT ports.id, ports.network_id FROM router_interfaces JOIN ports ON ports.id = router_interfaces.port_id
         WHERE router_interfaces.router_id = ?1 ORDER BY ports.created_at, ports.id",
        params![id.0],
        |row| Ok(router_port(row.parse(0)?, row.parse(1)?, false)),
    )?;
    let mut external_subnets = BTreeMap::new();
    for gateway in gateways::of_router(snapshot, id)? {
        let subnets = "SELECT id, cidr FROM subnets WHERE network_id = ?1";
        let subnets =
            snapshot.query(subnets, params![gateway.network_id.0], |row| Ok((row.parse(0)?, row.parse(1)?)))?;
        external_subnets.insert(gateway.network_id, subnets);
        ports.push(gateway);
    }
    for port in &mut ports {
        port.addresses = addresses(snapshot, port.id)?;
    }
    let routes = routes::of_router(snapshot, id)?;
    Ok(Loaded {
        project_id,
        admin_state_up,
        kind,
        flavor,
        router: rules::Router { id, ports, external_subnets, routes },
    })
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
    let kind = RouterKind::of_new(request.distributed, request.ha, work.config.router_kind);
    for zone in &request.availability_zone_hints {
        agent::check_zone(work.tx, agent::L3_AGENT, zone)?;
    }
    if let Some(flavor) = request.flavor_id {
        flavor::provider(work, flavor)?.check(request.distributed, request.ha)?;
    }
    let id = RouterId(work.new_id());
    let virtual_id = if kind.ha { kind::prepare_ha(work, &request.project_id)? } else { None };
    // Without a virtual router id there is nothing by which its copies could tell it from others of the project.
    let status = if kind.ha && virtual_id.is_none() { "ERROR" } else { "ACTIVE" };
    work.tx.execute(
        "INSERT INTO routers (id, project_id, name, description, admin_state_up, status, gateway_port_id,
             distributed, ha, ha_vr_id, flavor_id, availability_zone_hints, enable_default_route_ecmp,
             revision_number, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL, ?7, ?8, ?9, ?10, ?11, ?12, 1, ?13, ?13)",
        params![
            id.0,
            &request.project_id,
            &request.name,
            &request.description,
            request.admin_state_up,
            status,
            kind.distributed,
            kind.ha,
            virtual_id,
            request.flavor_id,
            Value::from(request.availability_zone_hints).to_string(),
            request.enable_default_route_ecmp.unwrap_or(false),
            work.now
        ],
    )?;
    if request.external_gateway_info.is_some() {
        gateway::set(work, &load(work.tx, id)?.router, request.external_gateway_info)?;
    }
    ndp_proxy::enable(work, id, request.enable_ndp_proxy)?;
    work.log("router", id, Operation::Create, None)?;
    Ok(id)
}

/// Changes a router.
pub fn update(work: &Work<'_>, id: RouterId, request: RouterUpdate) -> Result<(), NetworkError> {
    let mut loaded = load(work.tx, id)?;
    if let Some(flavor) = loaded.flavor {
        flavor::check_kind_change(work, flavor, request.distributed, request.ha)?;
    }
    let is_up = request.admin_state_up.unwrap_or(loaded.admin_state_up);
    let kind = loaded.kind.change(request.distributed, request.ha, loaded.admin_state_up, is_up)?;
    if let Some(routes) = request.routes {
        routes::replace(work, &loaded, &routes)?;
        loaded.router.routes = routes;
    }
    let gateway_changes = request.external_gateway_info.is_some();
    if let Some(info) = request.external_gateway_info {
        gateway::set(work, &loaded.router, info)?;
    }
    ndp_proxy::enable(work, id, request.enable_ndp_proxy)?;
    work.set("routers", id.0, "name", request.name)?;
    work.set("routers", id.0, "description", request.description)?;
    work.set("routers", id.0, "admin_state_up", request.admin_state_up)?;
    work.set("routers", id.0, "enable_default_route_ecmp", request.enable_default_route_ecmp)?;
    if kind != loaded.kind {
        kind::change(work, &loaded, kind)?;
    }
    if (kind.distributed && gateway_changes) || kind.distributed != loaded.kind.distributed {
        snat::settle(work, id)?;
    }
    changed(work, id)
}

/// Removes a router that has no interfaces, with its gateway.
pub fn delete(work: &Work<'_>, id: RouterId) -> Result<(), NetworkError> {
    let Loaded { router, kind, project_id, .. } = load(work.tx, id)?;
    let has_floating_ips = work.tx.exists("SELECT 1 FROM floating_ips WHERE router_id = ?1", params![id.0])?;
    router.check_deletion(has_floating_ips)?;
    if router.gateway().is_some() {
        ndp_proxy::check_gateway_removal(work, id)?;
    }
    gateways::remove_all(work, &router)?;
    if kind.ha {
        remove_ports(work, id, device_owner::ROUTER_HA_INTERFACE)?;
    }
    if kind.distributed {
        remove_ports(work, id, device_owner::ROUTER_SNAT)?;
    }
    work.tx.execute("DELETE FROM tags WHERE object_id = ?1", params![id.0])?;
    work.tx.execute("DELETE FROM routers WHERE id = ?1", params![id.0])?;
    if kind.ha {
        ha_network::release(work, &project_id)?;
    }
    work.log("router", id, Operation::Delete, None)
}

/// Removes those ports of a router that it has by itself and for itself.
fn remove_ports(work: &Work<'_>, id: RouterId, owner: &str) -> Result<(), NetworkError> {
    let ports: Vec<PortId> = work.tx.query(
        "SELECT id FROM ports WHERE device_id = ?1 AND device_owner = ?2",
        params![id.to_string(), owner],
        |row| row.parse(0),
    )?;
    ports.into_iter().try_for_each(|port| port::remove(work, port))
}

/// Raises the revision and notes the change. What an administrator took off its agent is scheduled again.
pub(crate) fn changed(work: &Work<'_>, id: RouterId) -> Result<(), NetworkError> {
    work.tx.execute(
        "UPDATE routers SET revision_number = revision_number + 1, updated_at = ?2, schedule_hold = 0 WHERE id = ?1",
        params![id.0, work.now],
    )?;
    work.log("router", id, Operation::Update, None)
}

#[cfg(test)]
mod tests;
