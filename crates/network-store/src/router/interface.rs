//! The interfaces of a router: ports on the subnets that it joins.

use super::{Loaded, changed, load, snat};
use crate::port::{self, PortCreate, PortUpdate, addresses};
use crate::{NetworkError, Work, ndp_proxy, network, rbac, subnet};
use net_types::{NetworkId, PortId, RouterId, SubnetId};
use network_model::fixed_ips::{FixedIp, FixedIpRequest};
use network_model::router::{Caller, InterfaceRequest, InterfaceSubnet, NewInterface, RouterPort};
use network_model::subnet::Subnet;
use network_model::{IpRange, ModelError};
use serde::Serialize;
use std::net::IpAddr;
use store::params;

/// The answer to adding and removing an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// The router.
    pub id: RouterId,
    /// The project of the interface's port.
    pub tenant_id: String,
    /// The same.
    pub project_id: String,
    /// The port.
    pub port_id: PortId,
    /// Its network.
    pub network_id: NetworkId,
    /// One of the subnets (a port that is a router's interface always has one).
    pub subnet_id: Option<SubnetId>,
    /// The subnets that the router gained or lost.
    pub subnet_ids: Vec<SubnetId>,
}

impl Interface {
    fn new(router: RouterId, project_id: String, port: PortId, network_id: NetworkId, subnets: Vec<SubnetId>) -> Self {
        let (subnet_id, tenant_id) = (subnets.last().copied(), project_id.clone());
        Self { id: router, tenant_id, project_id, port_id: port, network_id, subnet_id, subnet_ids: subnets }
    }
}

/// A subnet with what the rules for interfaces ask of it.
struct Candidate {
    subnet: Subnet,
    network_id: NetworkId,
    project_id: String,
    pools: Vec<IpRange>,
    /// An entry of `/v2.0/rbac-policies` names the caller's project.
    named: bool,
}

impl Candidate {
    /// The subnet, or that it is not there for this caller.
    fn load(work: &Work<'_>, id: SubnetId) -> Result<Self, NetworkError> {
        let (subnet, network_id) = subnet::get(work.tx, id)?;
        let project_id: Option<String> =
            work.tx.query_opt("SELECT project_id FROM subnets WHERE id = ?1", params![id.0], |row| row.get(0))?;
        let project_id = project_id.unwrap_or_default();
        let own = project_id == work.caller.project_id;
        let network = network::get(work.tx, network_id)?;
        if !own && !rbac::may_use(work, network_id.0, &network.project_id)? {
            return Err(ModelError::SubnetNotFound { subnet_id: id }.into());
        }
        // Neutron tells apart whether the network is shared with everybody or with just this project.
        let named = !own && rbac::has_entry(work.tx, network_id.0, rbac::SHARED, work.caller.project_id)?;
        Ok(Self { subnet, network_id, project_id, pools: subnet::pools(work.tx, id)?, named })
    }

    fn view(&self) -> InterfaceSubnet<'_> {
        InterfaceSubnet {
            subnet: &self.subnet,
            network_id: self.network_id,
            project_id: &self.project_id,
            allocation_pools: &self.pools,
            shared_with_caller: self.named,
        }
    }
}

fn caller<'a>(work: &Work<'a>) -> Caller<'a> {
    Caller { project_id: work.caller.project_id, is_admin: work.caller.is_admin }
}

/// Gives the router an interface, by naming a subnet or a port.
pub fn add_interface(work: &Work<'_>, id: RouterId, request: InterfaceRequest) -> Result<Interface, NetworkError> {
    let loaded = load(work.tx, id)?;
    let added = match request {
        InterfaceRequest::Port(port, _) => add_by_port(work, &loaded, port),
        InterfaceRequest::Subnet(subnet) => add_by_subnet(work, &loaded, subnet),
    }?;
    if loaded.kind.distributed {
        snat::settle(work, id)?;
    }
    Ok(added)
}

fn add_by_subnet(work: &Work<'_>, loaded: &Loaded, subnet_id: SubnetId) -> Result<Interface, NetworkError> {
    let router = &loaded.router;
    let candidate = Candidate::load(work, subnet_id)?;
    let port_id = match router.add_interface_by_subnet(&candidate.view(), caller(work))? {
        NewInterface::Port(address) => {
            let (network, owner) = (candidate.network_id, loaded.kind.interface_owner());
            let port = PortCreate::of_service(network, &loaded.project_id, owner, &router.id.to_string());
            let id = port::create(work, PortCreate { fixed_ips: Some(vec![exactly(address)]), ..port })?;
            join(work, router.id, id)?;
            id
        }
        NewInterface::Address { port_id, address } => {
            let mut fixed_ips: Vec<_> = addresses::of_port(work.tx, port_id)?.into_iter().map(exactly).collect();
            fixed_ips.push(exactly(address));
            port::update(work, port_id, PortUpdate { fixed_ips: Some(fixed_ips), ..PortUpdate::default() })?;
            port_id
        }
    };
    changed(work, router.id)?;
    let project = port::get(work.tx, port_id)?.project_id;
    Ok(Interface::new(router.id, project, port_id, candidate.network_id, vec![subnet_id]))
}

fn add_by_port(work: &Work<'_>, loaded: &Loaded, port_id: PortId) -> Result<Interface, NetworkError> {
    let router = &loaded.router;
    let port = port::get_visible(work, port_id)?;
    let mut candidates: Vec<(IpAddr, Candidate)> = Vec::new();
    for ip in addresses::of_port(work.tx, port_id)? {
        candidates.push((ip.ip_address, Candidate::load(work, ip.subnet_id)?));
    }
    let views: Vec<_> = candidates.iter().map(|(addr, candidate)| (*addr, candidate.view())).collect();
    router.check_interface_by_port(port_id, port.network_id, &port.device_id, &views, caller(work))?;
    let change = PortUpdate {
        device_id: Some(router.id.to_string()),
        device_owner: Some(loaded.kind.interface_owner().to_owned()),
        ..PortUpdate::default()
    };
    port::update(work, port_id, change)?;
    join(work, router.id, port_id)?;
    changed(work, router.id)?;
    let subnets = candidates.iter().map(|(_, candidate)| candidate.subnet.id).collect();
    Ok(Interface::new(router.id, port.project_id, port_id, port.network_id, subnets))
}

/// Takes an interface away from the router, named by subnet, by port, or by both.
pub fn remove_interface(work: &Work<'_>, id: RouterId, request: InterfaceRequest) -> Result<Interface, NetworkError> {
    let Loaded { router, kind, .. } = load(work.tx, id)?;
    let (port, gone) = match request {
        InterfaceRequest::Port(port_id, subnet_id) => {
            let port = router.interface_by_port(port_id, subnet_id)?;
            (port, port.addresses.iter().map(|address| address.subnet_id).collect::<Vec<_>>())
        }
        InterfaceRequest::Subnet(subnet_id) => {
            // A subnet that is not there is not found; one without an interface has none.
            subnet::get(work.tx, subnet_id)?;
            (router.interface_by_subnet(subnet_id)?, vec![subnet_id])
        }
    };
    let targets = floating_ip_targets(work, id)?;
    for address in port.addresses.iter().filter(|address| gone.contains(&address.subnet_id)) {
        router.check_interface_removal(address.subnet_id, address.cidr, &targets)?;
        ndp_proxy::check_interface_removal(work, id, address.subnet_id)?;
    }
    let project = port::get(work.tx, port.id)?.project_id;
    let kept = remaining(port, &gone);
    if kept.is_empty() {
        port::remove(work, port.id)?;
    } else {
        port::update(work, port.id, PortUpdate { fixed_ips: Some(kept), ..PortUpdate::default() })?;
    }
    if kind.distributed {
        snat::settle(work, id)?;
    }
    changed(work, id)?;
    Ok(Interface::new(id, project, port.id, port.network_id, gone))
}

fn remaining(port: &RouterPort, gone: &[SubnetId]) -> Vec<FixedIpRequest> {
    let kept = port.addresses.iter().filter(|address| !gone.contains(&address.subnet_id));
    kept.map(|address| exactly(FixedIp { subnet_id: address.subnet_id, ip_address: address.ip_address })).collect()
}

/// The fixed addresses that floating IPs on this router lead to, whole or by port forwardings.
fn floating_ip_targets(work: &Work<'_>, id: RouterId) -> Result<Vec<FixedIp>, NetworkError> {
    Ok(work.tx.query(
        "SELECT fixed_ips.subnet_id, fixed_ips.ip_address
         FROM floating_ips JOIN port_forwardings ON port_forwardings.floatingip_id = floating_ips.id
             JOIN fixed_ips ON fixed_ips.port_id = port_forwardings.internal_port_id
                 AND fixed_ips.ip_address = port_forwardings.internal_ip_address
         WHERE floating_ips.router_id = ?1
         UNION SELECT fixed_ips.subnet_id, fixed_ips.ip_address
         FROM floating_ips JOIN fixed_ips ON fixed_ips.port_id = floating_ips.port_id
             AND fixed_ips.ip_address = floating_ips.fixed_ip_address
         WHERE floating_ips.router_id = ?1",
        params![id.0],
        |row| Ok(FixedIp { subnet_id: row.parse(0)?, ip_address: row.parse(1)? }),
    )?)
}

fn join(work: &Work<'_>, router: RouterId, port: PortId) -> Result<(), NetworkError> {
    work.tx.execute("INSERT INTO router_interfaces (port_id, router_id) VALUES (?1, ?2)", params![port.0, router.0])?;
    Ok(())
}

fn exactly(address: FixedIp) -> FixedIpRequest {
    FixedIpRequest { subnet_id: Some(address.subnet_id), ip_address: Some(address.ip_address) }
}
