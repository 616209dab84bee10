//! All gateways of a router, `external_gateways`: the first is its `external_gateway_info`, and further ones may stand
//! beside it, also on the same network. Requests name them by network and addresses.

use super::{GatewayInfo, changed, gateway, load, router_port, snat};
use crate::port::{self, PortCreate, PortUpdate, addresses};
use crate::{NetworkError, Work, subnet};
use net_types::{NetworkId, PortId, RouterId};
use network_model::fixed_ips::{FixedIp, FixedIpRequest};
use network_model::router::{Router, RouterPort};
use network_model::subnet::Subnet;
use network_model::{ModelError, device_owner};
use store::{Snapshot, StoreError, params};

/// The gateways of a router without their addresses, the first one first.
pub(super) fn of_router(snapshot: &Snapshot<'_>, id: RouterId) -> Result<Vec<RouterPort>, StoreError> {
    snapshot.query(
        "SELECT ports.id, ports.network_id
         FROM router_gateways JOIN ports ON ports.id = router_gateways.port_id
             JOIN routers ON routers.id = router_gateways.router_id
         WHERE router_gateways.router_id = ?1
         ORDER BY CASE WHEN ports.id = routers.gateway_port_id THEN 0 ELSE 1 END, router_gateways.position",
        params![id.0],
        |row| Ok(router_port(row.parse(0)?, row.parse(1)?, true)),
    )
}

/// Makes a gateway's port.
pub(super) fn create(work: &Work<'_>, router: RouterId, info: GatewayInfo) -> Result<PortId, NetworkError> {
    let (network, owner) = (info.network_id, device_owner::ROUTER_GATEWAY);
    // Nobody's, so that no project sees it among its ports.
    let port = PortCreate::of_service(network, "", owner, &router.to_string());
    let fixed_ips = Some(info.external_fixed_ips).filter(|wanted| !wanted.is_empty());
    let id = port::create(work, PortCreate { fixed_ips, ..port })?;
    work.tx.execute(
        "INSERT INTO router_gateways (port_id, router_id, position, enable_snat)
         SELECT ?1, ?2, COALESCE(MAX(position), 0) + 1, CAST(?3 AS BIGINT) FROM router_gateways WHERE router_id = ?2",
        params![id.0, router.0, info.enable_snat.unwrap_or(true)],
    )?;
    Ok(id)
}

/// Says which gateway is the first.
pub(super) fn point_at(work: &Work<'_>, router: RouterId, port: Option<PortId>) -> Result<(), NetworkError> {
    let port = port.map(|port| port.0);
    work.tx.execute("UPDATE routers SET gateway_port_id = ?2 WHERE id = ?1", params![router.0, port])?;
    Ok(())
}

pub(super) fn set_snat(work: &Work<'_>, port: PortId, enable: bool) -> Result<(), NetworkError> {
    work.tx.execute("UPDATE router_gateways SET enable_snat = ?2 WHERE port_id = ?1", params![port.0, enable])?;
    Ok(())
}

/// Refuses to take a gateway away that floating IPs need.
pub(super) fn check_removal(work: &Work<'_>, router: &Router, port: &RouterPort) -> Result<(), NetworkError> {
    let floating_ips = "SELECT 1 FROM floating_ips WHERE router_id = ?1 AND floating_network_id = ?2";
    let used = work.tx.exists(floating_ips, params![router.id.0, port.network_id.0])?;
    Ok(router.check_gateway_removal(port, used)?)
}

/// Takes all gateways from a router that nothing keeps any more.
pub(super) fn remove_all(work: &Work<'_>, router: &Router) -> Result<(), NetworkError> {
    point_at(work, router.id, None)?;
    router.gateways().try_for_each(|port| port::remove(work, port.id))
}

/// Gives the gateways on an external network an address of a subnet that it has got: as far as they have none of the kind
/// yet, neither two that do not come from their MAC addresses, nor one of the same IP version. A subnet of IPv4 must say by
/// its service types that it is for gateways.
pub(crate) fn follow_subnet(
    work: &Work<'_>,
    network: NetworkId,
    subnet: &Subnet,
    service_types: &[String],
) -> Result<(), NetworkError> {
    let for_gateways = |kind: &String| kind.is_empty() || kind == device_owner::ROUTER_GATEWAY;
    if subnet.ip_version() == 4 && !service_types.iter().any(for_gateways) {
        return Ok(());
    }
    let gateways: Vec<(RouterId, PortId)> = work.tx.query(
        "SELECT router_gateways.router_id, ports.id FROM ports JOIN router_gateways ON router_gateways.port_id = ports.id
         WHERE ports.network_id = ?1 ORDER BY ports.created_at, ports.id",
        params![network.0],
        |row| Ok((row.parse(0)?, row.parse(1)?)),
    )?;
    let subnets = subnet::of_network(work.tx, network)?;
    let automatic = |ip: &FixedIp| subnets.iter().any(|known| known.id == ip.subnet_id && known.is_auto_address());
    for (router, port) in gateways {
        let held = addresses::of_port(work.tx, port)?;
        let chosen: Vec<&FixedIp> = held.iter().filter(|ip| !automatic(ip)).collect();
        let has_one = match chosen.as_slice() {
            [] => false,
            [one] => one.ip_address.is_ipv4() == (subnet.ip_version() == 4),
            _ => true,
        };
        if has_one || held.iter().any(|ip| ip.subnet_id == subnet.id) {
            continue;
        }
        let kept = held.iter().map(|ip| (ip.subnet_id, Some(ip.ip_address)));
        let wanted = kept.chain([(subnet.id, None)]);
        let wanted = wanted.map(|(id, ip_address)| FixedIpRequest { subnet_id: Some(id), ip_address }).collect();
        port::update(work, port, PortUpdate { fixed_ips: Some(wanted), ..PortUpdate::default() })?;
        changed(work, router)?;
    }
    Ok(())
}

/// Adds gateways to those that the router has; the first one of a router without any becomes its first.
pub fn add_external_gateways(work: &Work<'_>, id: RouterId, more: Vec<GatewayInfo>) -> Result<(), NetworkError> {
    load(work.tx, id)?;
    for info in more {
        add(work, id, info)?;
    }
    settled(work, id)
}

fn add(work: &Work<'_>, id: RouterId, info: GatewayInfo) -> Result<(), NetworkError> {
    let router = load(work.tx, id)?.router;
    if router.gateway().is_none() {
        return gateway::set(work, &router, Some(info));
    }
    router.check_further_gateway(info.network_id, &info.check(work)?)?;
    create(work, id, info)?;
    Ok(())
}

/// Removes the gateways that are named. When the first one is among them, the next that stays is the first.
pub fn remove_external_gateways(work: &Work<'_>, id: RouterId, gone: &[GatewayInfo]) -> Result<(), NetworkError> {
    let router = load(work.tx, id)?.router;
    if router.gateway().is_none() && !gone.is_empty() {
        let reason = "the router does not have any external gateways";
        return Err(ModelError::UnableToRemoveGateways { router_id: id, reason }.into());
    }
    let mut ports = Vec::new();
    for info in gone {
        info.check(work)?;
        let found = router.matching_gateway(&info.wanted(), &ports)?;
        let found = found.ok_or_else(|| ModelError::UnableToMatchGateways {
            router_id: id,
            reason: format!("could not match a gateway port attached to network {}", info.network_id),
        })?;
        ports.push(found.id);
    }
    for port in ports {
        remove(work, id, port)?;
    }
    settled(work, id)
}

fn remove(work: &Work<'_>, id: RouterId, port: PortId) -> Result<(), NetworkError> {
    let router = load(work.tx, id)?.router;
    if router.gateway().is_some_and(|first| first.id == port) {
        return gateway::set(work, &router, None);
    }
    if let Some(found) = router.gateways().find(|gateway| gateway.id == port) {
        check_removal(work, &router, found)?;
    }
    port::remove(work, port)
}

/// Gives the router exactly these gateways, the first one of them as its first. Those that are there already stay, with
/// the addresses that are wanted of them now.
pub fn update_external_gateways(work: &Work<'_>, id: RouterId, wanted: Vec<GatewayInfo>) -> Result<(), NetworkError> {
    for info in &wanted {
        info.check(work)?;
    }
    let mut wanted = wanted.into_iter();
    let Some(first) = wanted.next() else {
        // The first one last: it is what others would otherwise take the place of.
        let gone: Vec<PortId> = load(work.tx, id)?.router.gateways().map(|port| port.id).collect();
        gone.into_iter().rev().try_for_each(|port| remove(work, id, port))?;
        return settled(work, id);
    };
    let router = load(work.tx, id)?.router;
    if let Some(known) = router.matching_gateway(&first.wanted(), &[])? {
        point_at(work, id, Some(known.id))?;
    }
    gateway::set(work, &load(work.tx, id)?.router, Some(first))?;

    let router = load(work.tx, id)?.router;
    let mut kept: Vec<PortId> = router.gateway().map(|port| port.id).into_iter().collect();
    let mut new = Vec::new();
    for info in wanted {
        let Some(port) = router.matching_gateway(&info.wanted(), &kept)? else {
            new.push(info);
            continue;
        };
        kept.push(port.id);
        if port.addresses_change(&info.external_fixed_ips) {
            let change = PortUpdate { fixed_ips: Some(info.external_fixed_ips), ..PortUpdate::default() };
            port::update(work, port.id, change)?;
        }
        set_snat(work, port.id, info.enable_snat.unwrap_or(true))?;
    }
    for gone in router.gateways().filter(|port| !kept.contains(&port.id)) {
        remove(work, id, gone.id)?;
    }
    for info in new {
        add(work, id, info)?;
    }
    settled(work, id)
}

/// What every change of gateways ends with.
fn settled(work: &Work<'_>, id: RouterId) -> Result<(), NetworkError> {
    if load(work.tx, id)?.kind.distributed {
        snat::settle(work, id)?;
    }
    changed(work, id)
}
