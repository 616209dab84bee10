//! The ports by which the one host that does SNAT for a distributed router reaches the router's subnets: an address of
//! each of them beside the one that the interface has on every host.

use super::load;
use crate::port::{self, PortCreate, PortUpdate, addresses};
use crate::{NetworkError, Work};
use net_types::{NetworkId, PortId, RouterId, SubnetId};
use network_model::device_owner;
use network_model::fixed_ips::{FixedIp, FixedIpRequest};
use store::params;

/// What one such port is for: a subnet of IPv4, or all subnets of IPv6 on a network.
struct Wanted {
    network: NetworkId,
    is_v6: bool,
    subnets: Vec<SubnetId>,
}

/// Makes, changes and removes these ports so that a distributed router with a gateway has just those that it needs, and
/// any other router none.
pub(super) fn settle(work: &Work<'_>, id: RouterId) -> Result<(), NetworkError> {
    let loaded = load(work.tx, id)?;
    let mut wanted: Vec<Wanted> = Vec::new();
    if loaded.kind.distributed && loaded.router.gateway().is_some() {
        for port in loaded.router.ports.iter().filter(|port| !port.is_gateway) {
            for address in &port.addresses {
                let (network, is_v6) = (port.network_id, address.ip_address.is_ipv6());
                match wanted.iter_mut().find(|known| is_v6 && known.is_v6 && known.network == network) {
                    Some(known) => known.subnets.push(address.subnet_id),
                    None => wanted.push(Wanted { network, is_v6, subnets: vec![address.subnet_id] }),
                }
            }
        }
    }
    for (port, network) in held(work, id)? {
        let ips = addresses::of_port(work.tx, port)?;
        let serves = |one: &Wanted| {
            one.network == network
                && ips.iter().any(|ip| ip.ip_address.is_ipv6() == one.is_v6)
                && (one.is_v6 || ips.iter().any(|ip| one.subnets.contains(&ip.subnet_id)))
        };
        match wanted.iter().position(serves) {
            Some(at) => keep(work, port, &ips, &wanted.swap_remove(at).subnets)?,
            None => port::remove(work, port)?,
        }
    }
    for Wanted { network, subnets, .. } in wanted {
        let port = PortCreate::of_service(network, "", device_owner::ROUTER_SNAT, &id.to_string());
        port::create(work, PortCreate { fixed_ips: Some(subnets.into_iter().map(any_of).collect()), ..port })?;
    }
    Ok(())
}

fn held(work: &Work<'_>, id: RouterId) -> Result<Vec<(PortId, NetworkId)>, NetworkError> {
    Ok(work.tx.query(
        "SELECT id, network_id FROM ports WHERE device_id = ?1 AND device_owner = ?2 ORDER BY created_at, id",
        params![id.to_string(), device_owner::ROUTER_SNAT],
        |row| Ok((row.parse(0)?, row.parse(1)?)),
    )?)
}

/// Gives a port addresses of exactly these subnets; those that it has stay.
fn keep(work: &Work<'_>, port: PortId, ips: &[FixedIp], subnets: &[SubnetId]) -> Result<(), NetworkError> {
    let held: Vec<&FixedIp> = ips.iter().filter(|ip| subnets.contains(&ip.subnet_id)).collect();
    let lacking = subnets.iter().filter(|subnet| !held.iter().any(|ip| ip.subnet_id == **subnet));
    let lacking: Vec<FixedIpRequest> = lacking.copied().map(any_of).collect();
    if lacking.is_empty() && held.len() == ips.len() {
        return Ok(());
    }
    let exactly = |ip: &&FixedIp| FixedIpRequest { subnet_id: Some(ip.subnet_id), ip_address: Some(ip.ip_address) };
    let fixed_ips = Some(held.iter().map(exactly).chain(lacking).collect());
    port::update(work, port, PortUpdate { fixed_ips, ..PortUpdate::default() })
}

fn any_of(subnet: SubnetId) -> FixedIpRequest {
    FixedIpRequest { subnet_id: Some(subnet), ip_address: None }
}
