//! What requests on NDP proxies do, and what keeps routers and ports from going while there are any.

use crate::port::{self, addresses};
use crate::{NetworkError, Work, subnet};
use net_types::{NetworkId, PortId, RouterId, SubnetId};
use network_model::ModelError;
use network_model::fixed_ips::{FixedIp, FixedIpRequest};
use serde::Deserialize;
use serde_json::json;
use std::net::IpAddr;
use store::{Operation, Snapshot, StoreError, params};
use uuid::Uuid;

/// A checked POST body.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct NdpProxyCreate {
    pub project_id: String,
    pub name: String,
    pub description: String,
    pub router_id: RouterId,
    pub port_id: PortId,
    pub ip_address: Option<IpAddr>,
}

/// A checked PUT body: what it does not have stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct NdpProxyUpdate {
    pub name: Option<String>,
    pub description: Option<String>,
}

fn conflict(kind: &'static str, message: String) -> NetworkError {
    NetworkError::named(kind, 409, message)
}

/// The IPv6 address scope of a network's subnets.
fn scope(snapshot: &Snapshot<'_>, network: NetworkId) -> Result<Option<String>, StoreError> {
    let sql = "SELECT p.address_scope_id FROM subnets s JOIN subnetpools p ON p.id = s.subnetpool_id
        WHERE s.network_id = ?1 AND s.ip_version = 6 AND p.address_scope_id IS NOT NULL LIMIT 1";
    snapshot.query_opt(sql, params![network.0], |row| row.get(0))
}

/// Makes an NDP proxy.
pub fn create(work: &Work<'_>, request: &NdpProxyCreate) -> Result<Uuid, NetworkError> {
    let (router_id, port_id) = (request.router_id, request.port_id);
    let port = port::get_visible(work, port_id)?;
    let unreachable = || {
        let message = format!("The port {port_id} cannot reach the router {router_id} by IPv6 subnet.");
        conflict("PortUnreachableRouter", message)
    };
    let router_ports: Vec<PortId> = work.tx.query(
        "SELECT ports.id FROM router_interfaces JOIN ports ON ports.id = router_interfaces.port_id
         WHERE router_interfaces.router_id = ?1 AND ports.network_id = ?2",
        params![router_id.0, port.network_id.0],
        |row| row.parse(0),
    )?;
    if router_ports.is_empty() {
        return Err(unreachable());
    }
    let router: Option<(bool, Option<NetworkId>)> = work.tx.query_opt(
        "SELECT routers.enable_ndp_proxy, gateway.network_id FROM routers
             LEFT JOIN ports AS gateway ON gateway.id = routers.gateway_port_id
         WHERE routers.id = ?1 AND (routers.project_id = ?2 OR CAST(?3 AS BIGINT) = 1)",
        params![router_id.0, work.caller.project_id, work.caller.is_admin],
        |row| Ok((row.get(0)?, row.parse_opt(1)?)),
    )?;
    let Some((true, Some(outside))) = router else {
        if router.is_none() {
            return Err(ModelError::RouterNotFound { router_id }.into());
        }
        let message = format!(
            "The enable_ndp_proxy parameter of router {router_id} must be set as True while create ndp proxy entry on it."
        );
        return Err(conflict("RouterNDPProxyNotEnable", message));
    };
    let v6 = |ips: Vec<FixedIp>| ips.into_iter().filter(|ip| ip.ip_address.is_ipv6()).collect::<Vec<_>>();
    let held = v6(addresses::of_port(work.tx, port_id)?);
    if held.is_empty() {
        let msg = format!("Requested port {port_id} must allocate one IPv6 address at least");
        return Err(ModelError::BadRequest { resource: "ndp_proxy", msg }.into());
    }
    let mut reached: Vec<SubnetId> = Vec::new();
    for port in router_ports {
        reached.extend(v6(addresses::of_port(work.tx, port)?).into_iter().map(|ip| ip.subnet_id));
    }
    let address = match request.ip_address {
        None => held.iter().find(|ip| reached.contains(&ip.subnet_id)).ok_or_else(unreachable)?.ip_address,
        Some(address) => {
            let invalid = |reason: String| {
                let message = format!("The address {address} is invalid, reason: {reason}.");
                NetworkError::named("InvalidAddress", 400, message)
            };
            let own = held.iter().find(|ip| ip.ip_address == address);
            let own = own.ok_or_else(|| invalid(format!("This address not belong to the port {port_id}")))?;
            if !reached.contains(&own.subnet_id) {
                return Err(invalid(format!("This address cannot reach the router {router_id}")));
            }
            address
        }
    };
    let (external, internal) = (scope(work.tx, outside)?, scope(work.tx, port.network_id)?);
    if external != internal {
        let shown = |scope: Option<String>| scope.unwrap_or_else(|| "None".to_owned());
        let message = format!(
            "The IPv6 address scope {} of external network conflict with internal network's IPv6 address scope {}.",
            shown(external),
            shown(internal)
        );
        return Err(conflict("AddressScopeConflict", message));
    }
    let id = work.new_id();
    work.tx.execute(
        "INSERT INTO ndp_proxies (id, project_id, name, description, router_id, port_id, ip_address, revision_number,
             created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, ?8)",
        params![
            id,
            &request.project_id,
            &request.name,
            &request.description,
            router_id.0,
            port_id.0,
            address.to_string(),
            work.now
        ],
    )?;
    work.log("ndp_proxy", id, Operation::Create, Some(json!({"router_id": router_id})))?;
    Ok(id)
}

/// Changes an NDP proxy.
pub fn update(work: &Work<'_>, id: Uuid, request: NdpProxyUpdate) -> Result<(), NetworkError> {
    work.set("ndp_proxies", id, "name", request.name)?;
    work.set("ndp_proxies", id, "description", request.description)?;
    work.touch("ndp_proxies", id)?;
    work.log("ndp_proxy", id, Operation::Update, None)
}

/// Removes an NDP proxy.
pub fn delete(work: &Work<'_>, id: Uuid) -> Result<(), NetworkError> {
    let router: Option<String> =
        work.tx.query_opt("SELECT router_id FROM ndp_proxies WHERE id = ?1", params![id], |row| row.get(0))?;
    work.tx.execute("DELETE FROM ndp_proxies WHERE id = ?1", params![id])?;
    work.log("ndp_proxy", id, Operation::Delete, Some(json!({"router_id": router})))
}

/// Writes what a request says of `enable_ndp_proxy`, once the router's gateway is what it shall be.
pub(crate) fn enable(work: &Work<'_>, router_id: RouterId, wanted: Option<bool>) -> Result<(), NetworkError> {
    if wanted == Some(true) {
        let gateway: Option<(NetworkId, bool)> = work.tx.query_opt(
            "SELECT gateway.network_id, EXISTS (SELECT 1 FROM fixed_ips JOIN subnets ON subnets.id = fixed_ips.subnet_id
                 WHERE fixed_ips.port_id = gateway.id AND subnets.ip_version = 6)
             FROM routers JOIN ports AS gateway ON gateway.id = routers.gateway_port_id WHERE routers.id = ?1",
            params![router_id.0],
            |row| Ok((row.parse(0)?, row.get(1)?)),
        )?;
        let fits = match gateway {
            Some((network, true)) => scope(work.tx, network)?.is_some(),
            _ => false,
        };
        if !fits {
            let message = format!(
                "Can not enable ndp proxy on router {router_id}, The router has no external gateway or the external gateway \
                 port has no IPv6 address or IPv6 address scope."
            );
            return Err(conflict("RouterGatewayNotValid", message));
        }
    }
    work.set("routers", router_id.0, "enable_ndp_proxy", wanted)
}

/// Refuses to take the gateway of a router that has NDP proxies.
pub(crate) fn check_gateway_removal(work: &Work<'_>, router_id: RouterId) -> Result<(), NetworkError> {
    if work.tx.exists("SELECT 1 FROM ndp_proxies WHERE router_id = ?1", params![router_id.0])? {
        let message = format!(
            "Unable to unset external gateway of router {router_id}, There are one or more ndp proxies still in use on the \
             router."
        );
        return Err(conflict("RouterGatewayInUseByNDPProxy", message));
    }
    work.set("routers", router_id.0, "enable_ndp_proxy", Some(false))
}

/// Refuses addresses of a gateway among which there is none of IPv6, while the router's NDP proxies are enabled.
pub(crate) fn check_gateway_addresses(
    work: &Work<'_>,
    router_id: RouterId,
    wanted: &[FixedIpRequest],
) -> Result<(), NetworkError> {
    if !work.tx.exists("SELECT 1 FROM routers WHERE id = ?1 AND enable_ndp_proxy = 1", params![router_id.0])? {
        return Ok(());
    }
    for request in wanted {
        let is_v6 = match (request.ip_address, request.subnet_id) {
            (Some(address), _) => address.is_ipv6(),
            (None, Some(subnet)) => subnet::get(work.tx, subnet)?.0.ip_version() == 6,
            (None, None) => false,
        };
        if is_v6 {
            return Ok(());
        }
    }
    let message = format!(
        "Can't remove the IPv6 subnet from external gateway of router {router_id}, the IPv6 subnet in use by the router's \
         ndp proxy."
    );
    Err(conflict("RouterIPv6GatewayInUse", message))
}

/// Refuses to take a router off a subnet that NDP proxies of it need.
pub(crate) fn check_interface_removal(
    work: &Work<'_>,
    router_id: RouterId,
    subnet_id: SubnetId,
) -> Result<(), NetworkError> {
    let used = work.tx.exists(
        "SELECT 1 FROM ndp_proxies JOIN fixed_ips ON fixed_ips.port_id = ndp_proxies.port_id
             AND fixed_ips.ip_address = ndp_proxies.ip_address
         WHERE ndp_proxies.router_id = ?1 AND fixed_ips.subnet_id = ?2",
        params![router_id.0, subnet_id.0],
    )?;
    if used {
        let message = format!(
            "Unable to remove subnet {subnet_id} from router {router_id}, There are one or more ndp proxies still in use on \
             the subnet."
        );
        return Err(conflict("RouterInterfaceInUseByNDPProxy", message));
    }
    Ok(())
}
