//! What requests on floating IPs do, and how other resources touch them.

use crate::port::{self, PortCreate, addresses};
use crate::qos::attach;
use crate::request::nullable;
use crate::{NetworkError, Work, network, nova, port_forwarding, subnet};
use net_types::{FloatingIpId, NetworkId, PortId, RouterId, SubnetId};
use network_model::fixed_ips::FixedIp;
use network_model::floating_ip::{
    Association, FloatingIp, TargetPort, address_of, address_request, association, check_fixed_ip_change,
    check_network, check_not_associated, check_requested_router, check_vnic_type, choose_fixed_ip, choose_router,
};
use network_model::{ModelError, device_owner, router::Caller};
use serde::Deserialize;
use std::net::IpAddr;
use store::{Operation, Snapshot, params};
use uuid::Uuid;

/// A checked POST body.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct FloatingIpCreate {
    pub project_id: String,
    pub description: String,
    pub floating_network_id: NetworkId,
    pub floating_ip_address: Option<IpAddr>,
    pub subnet_id: Option<SubnetId>,
    pub port_id: Option<PortId>,
    pub fixed_ip_address: Option<IpAddr>,
    pub qos_policy_id: Option<Uuid>,
    pub router_id: Option<RouterId>,
}

/// A checked PUT body: what it does not have stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct FloatingIpUpdate {
    pub description: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub port_id: Option<Option<PortId>>,
    #[serde(deserialize_with = "nullable")]
    pub fixed_ip_address: Option<Option<IpAddr>>,
    #[serde(deserialize_with = "nullable")]
    pub qos_policy_id: Option<Option<Uuid>>,
    #[serde(deserialize_with = "nullable")]
    pub router_id: Option<Option<RouterId>>,
}

/// A floating IP as it is, or is about to be.
pub(crate) struct Row {
    pub floating_ip: FloatingIp,
    pub port: Option<PortId>,
    pub router: Option<RouterId>,
    project_id: String,
    floating_port: PortId,
}

/// The floating IP, or that it is not there.
pub(crate) fn get(snapshot: &Snapshot<'_>, id: FloatingIpId) -> Result<Row, NetworkError> {
    let found = snapshot.query_opt(
        "SELECT floating_ip_address, floating_network_id, project_id, floating_port_id, port_id, router_id
         FROM floating_ips WHERE id = ?1",
        params![id.0],
        |row| {
            Ok(Row {
                floating_ip: FloatingIp { id, address: row.parse(0)?, network_id: row.parse(1)? },
                project_id: row.get(2)?,
                floating_port: row.parse(3)?,
                port: row.parse_opt(4)?,
                router: row.parse_opt(5)?,
            })
        },
    )?;
    found.ok_or_else(|| ModelError::FloatingIPNotFound { floatingip_id: id }.into())
}

/// Makes a floating IP: its port on the external network, its address, and where it leads.
pub fn create(work: &Work<'_>, request: &FloatingIpCreate) -> Result<FloatingIpId, NetworkError> {
    let network = network::get_visible(work, request.floating_network_id)?;
    let subnets = subnet::of_network(work.tx, network.id)?;
    check_network(network.id, network.external, subnets.iter().map(|subnet| subnet.ip_version()))?;
    let wanted = association(Some(request.port_id), request.fixed_ip_address, None, false)?;
    let id = FloatingIpId(work.new_id());
    let fixed_ips = address_request(request.subnet_id, request.floating_ip_address).map(|entry| vec![entry]);
    let holder = PortCreate::of_service(network.id, "", device_owner::FLOATING_IP, &id.to_string());
    let floating_port = port::create(work, PortCreate { fixed_ips, ..holder })?;
    let address = address_of(network.id, &addresses::of_port(work.tx, floating_port)?)?.ip_address;
    work.tx.execute(
        "INSERT INTO floating_ips (id, project_id, description, floating_network_id, floating_port_id, floating_ip_address,
             port_id, fixed_ip_address, router_id, status, revision_number, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL, NULL, NULL, 'DOWN', 0, ?7, ?7)",
        params![
            id.0,
            &request.project_id,
            &request.description,
            network.id.0,
            floating_port.0,
            address.to_string(),
            work.now
        ],
    )?;
    let row = Row {
        floating_ip: FloatingIp { id, address, network_id: network.id },
        project_id: request.project_id.clone(),
        floating_port,
        port: None,
        router: None,
    };
    associate(work, &row, wanted, request.router_id)?;
    if request.qos_policy_id.is_some() {
        attach::change_floating_ip(work, id.0, request.qos_policy_id)?;
    }
    work.log("floatingip", id, Operation::Create, None)?;
    tell_nova(work, id, None)?;
    Ok(id)
}

/// Changes a floating IP.
pub fn update(work: &Work<'_>, id: FloatingIpId, request: FloatingIpUpdate) -> Result<(), NetworkError> {
    let row = get(work.tx, id)?;
    let is_empty = request == FloatingIpUpdate::default();
    // Naming a router alone leads the floating IP to its port anew, by that router.
    let port_id = request.port_id.or(row.port.filter(|_| request.router_id.is_some()).map(Some));
    let wanted = association(port_id, request.fixed_ip_address.flatten(), row.port, is_empty)?;
    associate(work, &row, wanted, request.router_id.flatten())?;
    if let Some(policy) = request.qos_policy_id {
        attach::change_floating_ip(work, id.0, policy)?;
    }
    work.set("floating_ips", id.0, "description", request.description)?;
    work.touch("floating_ips", id.0)?;
    work.log("floatingip", id, Operation::Update, None)?;
    tell_nova(work, id, row.port)
}

/// Removes a floating IP and its port.
pub fn delete(work: &Work<'_>, id: FloatingIpId) -> Result<(), NetworkError> {
    let row = get(work.tx, id)?;
    port_forwarding::check_none(work, id)?;
    work.tx.execute("DELETE FROM tags WHERE object_id = ?1", params![id.0])?;
    work.tx.execute("DELETE FROM floating_ips WHERE id = ?1", params![id.0])?;
    port::remove(work, row.floating_port)?;
    work.log("floatingip", id, Operation::Delete, None)?;
    tell_nova(work, id, row.port)
}

/// The instances that a floating IP led to and leads to now see other addresses.
fn tell_nova(work: &Work<'_>, id: FloatingIpId, before: Option<PortId>) -> Result<(), NetworkError> {
    if !work.config.nova.data {
        return Ok(());
    }
    let sql = "SELECT port_id FROM floating_ips WHERE id = ?1";
    let now: Option<PortId> = work.tx.query_opt(sql, params![id.0], |row| row.parse_opt(0))?.flatten();
    let left = before.filter(|port| Some(*port) != now);
    left.into_iter().chain(now).try_for_each(|port| nova::changed(work, port))
}

fn associate(work: &Work<'_>, row: &Row, wanted: Association, by_router: Option<RouterId>) -> Result<(), NetworkError> {
    let id = row.floating_ip.id;
    match wanted {
        Association::Unchanged => Ok(()),
        Association::None => disassociate(work, id),
        Association::To { port_id, fixed_ip_address, already } => {
            port_forwarding::check_none(work, id)?;
            port_forwarding::check_port(work, port_id)?;
            let (target, router) = target(work, row, port_id, fixed_ip_address, by_router)?;
            if !already {
                let taken = work.tx.exists(
                    "SELECT 1 FROM floating_ips
                     WHERE floating_network_id = ?1 AND port_id = ?2 AND fixed_ip_address = ?3 AND id <> ?4",
                    params![row.floating_ip.network_id.0, port_id.0, target.to_string(), id.0],
                )?;
                check_not_associated(row.floating_ip, port_id, target, taken)?;
            }
            work.tx.execute(
                "UPDATE floating_ips SET port_id = ?2, fixed_ip_address = ?3, router_id = ?4, status = 'DOWN'
                 WHERE id = ?1
                   AND (port_id IS NULL OR port_id <> ?2 OR fixed_ip_address <> ?3 OR router_id IS NULL OR router_id <> ?4)",
                params![id.0, port_id.0, target.to_string(), router.0],
            )?;
            Ok(())
        }
    }
}

/// A floating IP with port forwardings stays on their router.
fn disassociate(work: &Work<'_>, id: FloatingIpId) -> Result<(), NetworkError> {
    work.tx.execute(
        "UPDATE floating_ips SET port_id = NULL, fixed_ip_address = NULL, status = 'DOWN',
             router_id = CASE WHEN EXISTS (SELECT 1 FROM port_forwardings WHERE floatingip_id = ?1) THEN router_id END
         WHERE id = ?1",
        params![id.0],
    )?;
    Ok(())
}

/// The fixed address and the router for a floating IP that shall lead to a port.
fn target(
    work: &Work<'_>,
    row: &Row,
    port_id: PortId,
    wanted: Option<IpAddr>,
    by_router: Option<RouterId>,
) -> Result<(IpAddr, RouterId), NetworkError> {
    let caller = Caller { project_id: work.caller.project_id, is_admin: work.caller.is_admin };
    let port = port::get_visible(work, port_id)?;
    let fixed_ips = addresses::of_port(work.tx, port_id)?;
    let candidate = TargetPort {
        id: port_id,
        project_id: &port.project_id,
        device_owner: &port.device_owner,
        fixed_ips: &fixed_ips,
    };
    let FixedIp { subnet_id, ip_address } = choose_fixed_ip(&candidate, wanted, &row.project_id, caller)?;
    let network = row.floating_ip.network_id;
    let router = match by_router {
        Some(router) => requested_router(work, router, network)?,
        None => router_between(work, port_id, subnet_id, network)?,
    };
    if port.binding_vnic_type != "normal" {
        let distributed = "SELECT 1 FROM routers WHERE id = ?1 AND distributed = 1";
        check_vnic_type(work.tx.exists(distributed, params![router.0])?, &port.binding_vnic_type)?;
    }
    Ok((ip_address, router))
}

/// The router that the request names, if it leads to the external network.
fn requested_router(work: &Work<'_>, router: RouterId, network: NetworkId) -> Result<RouterId, NetworkError> {
    let leads_there: Option<bool> = work.tx.query_opt(
        "SELECT EXISTS (SELECT 1 FROM router_gateways JOIN ports AS gateway ON gateway.id = router_gateways.port_id
             WHERE router_gateways.router_id = routers.id AND gateway.network_id = ?4)
         FROM routers WHERE routers.id = ?1 AND (routers.project_id = ?2 OR CAST(?3 AS BIGINT) = 1)",
        params![router.0, work.caller.project_id, work.caller.is_admin, network.0],
        |row| row.get(0),
    )?;
    let leads_there = leads_there.ok_or(ModelError::RouterNotFound { router_id: router })?;
    check_requested_router(router, network, leads_there)?;
    Ok(router)
}

/// The router between a subnet and an external network.
pub(crate) fn router_between(
    work: &Work<'_>,
    port_id: PortId,
    subnet_id: SubnetId,
    network: NetworkId,
) -> Result<RouterId, NetworkError> {
    let (subnet, _) = subnet::get(work.tx, subnet_id)?;
    let routers: Vec<(RouterId, IpAddr)> = work.tx.query(
        "SELECT routers.id, fixed_ips.ip_address
         FROM fixed_ips
             JOIN router_interfaces ON router_interfaces.port_id = fixed_ips.port_id
             JOIN routers ON routers.id = router_interfaces.router_id
         WHERE fixed_ips.subnet_id = ?1 AND EXISTS (SELECT 1
             FROM router_gateways JOIN ports AS gateway ON gateway.id = router_gateways.port_id
             WHERE router_gateways.router_id = routers.id AND gateway.network_id = ?2)
         ORDER BY routers.created_at, routers.id",
        params![subnet_id.0, network.0],
        |row| Ok((row.parse(0)?, row.parse(1)?)),
    )?;
    Ok(choose_router(&routers, &subnet, network, port_id)?)
}

/// Takes the floating IPs of a port away from it, because the port goes. Those of other projects (an administrator has
/// led them here) hold the port.
pub(crate) fn disassociate_port(work: &Work<'_>, port: PortId) -> Result<(), NetworkError> {
    let associated: Vec<(FloatingIpId, String)> =
        work.tx.query("SELECT id, project_id FROM floating_ips WHERE port_id = ?1", params![port.0], |row| {
            Ok((row.parse(0)?, row.get(1)?))
        })?;
    if !work.caller.is_admin && associated.iter().any(|(_, project)| project != work.caller.project_id) {
        return Err(ModelError::FipAssociated { port_id: port }.into());
    }
    for (id, _) in associated {
        disassociate(work, id)?;
        work.touch("floating_ips", id.0)?;
        work.log("floatingip", id, Operation::Update, None)?;
    }
    Ok(())
}

/// Removes the floating IPs of an external network that lead nowhere, because the network goes.
pub(crate) fn delete_unused(work: &Work<'_>, network: NetworkId) -> Result<(), NetworkError> {
    let unused: Vec<FloatingIpId> = work.tx.query(
        "SELECT id FROM floating_ips WHERE floating_network_id = ?1 AND port_id IS NULL",
        params![network.0],
        |row| row.parse(0),
    )?;
    unused.into_iter().try_for_each(|id| delete(work, id))
}

/// Refuses to take addresses from a port that floating IPs lead to; `kept` are those that it shall have.
pub(crate) fn check_port_addresses(work: &Work<'_>, port: PortId, kept: &[FixedIp]) -> Result<(), NetworkError> {
    let targets: Vec<IpAddr> =
        work.tx.query("SELECT fixed_ip_address FROM floating_ips WHERE port_id = ?1", params![port.0], |row| {
            row.parse(0)
        })?;
    let kept: Vec<IpAddr> = kept.iter().map(|ip| ip.ip_address).collect();
    Ok(check_fixed_ip_change(port, targets, &kept)?)
}
