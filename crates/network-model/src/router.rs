//! Routers: which interfaces and gateways may be added and removed, and which extra routes make sense.
//!
//! In: the router as the transaction has read it ([`Router`]) and what a request wants. Out: the port to make or change,
//! or Neutron's refusal.

mod extra_route;
mod gateway;
mod kind;
mod provider;

pub use extra_route::{add_routes, check_routes, remove_routes};
pub use gateway::WantedGateway;
pub use kind::{RouterKind, VIRTUAL_ROUTER_IDS, free_virtual_router_id};
pub use provider::{PROVIDERS, Provider};

use crate::{
    IpRange, ModelError,
    fixed_ips::FixedIp,
    subnet::{Route, Subnet, overlap},
};
use net_types::{IpNet, NetworkId, PortId, RouterId, SubnetId};
use std::{collections::BTreeMap, net::IpAddr};

/// An address of a router, and the prefix in which it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouterAddress {
    /// Of which subnet.
    pub subnet_id: SubnetId,
    /// The subnet's prefix.
    pub cidr: IpNet,
    /// The address.
    pub ip_address: IpAddr,
}

/// A port of a router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouterPort {
    /// Its id.
    pub id: PortId,
    /// On which network.
    pub network_id: NetworkId,
    /// Whether it is a gateway; otherwise it is an interface.
    pub is_gateway: bool,
    /// Its addresses.
    pub addresses: Vec<RouterAddress>,
}

/// A router as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Router {
    /// Its id.
    pub id: RouterId,
    /// Its interfaces and its gateways, of these the first (`external_gateway_info`) before the others.
    pub ports: Vec<RouterPort>,
    /// Every subnet of the gateways' networks, with an address of a gateway or not.
    pub external_subnets: BTreeMap<NetworkId, Vec<(SubnetId, IpNet)>>,
    /// Its extra routes.
    pub routes: Vec<Route>,
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// The project of the token.
    pub project_id: &'a str,
    /// Whether an administrator's.
    pub is_admin: bool,
}

/// A subnet that shall get an interface of the router.
#[derive(Debug, Clone, Copy)]
pub struct InterfaceSubnet<'a> {
    /// The subnet.
    pub subnet: &'a Subnet,
    /// On which network.
    pub network_id: NetworkId,
    /// Whose it is.
    pub project_id: &'a str,
    /// Its pools.
    pub allocation_pools: &'a [IpRange],
    /// Whether its network is shared with just the caller's project. (Being shared with everybody does not count.)
    pub shared_with_caller: bool,
}

/// How the router gets its interface on a subnet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewInterface {
    /// By a new port with this address.
    Port(FixedIp),
    /// By one more address on the port that it has on the IPv6 network.
    Address {
        /// That port.
        port_id: PortId,
        /// The new address.
        address: FixedIp,
    },
}

/// How a request to add or remove an interface names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InterfaceRequest {
    /// By the subnet that it is on.
    Subnet(SubnetId),
    /// By its port; to remove it, perhaps with a subnet that it must be on.
    Port(PortId, Option<SubnetId>),
}

impl InterfaceRequest {
    /// Reads `port_id` and `subnet_id` of the body. To add an interface, only one of them may be given.
    pub fn new(port_id: Option<&str>, subnet_id: Option<&str>, for_removal: bool) -> Result<Self, ModelError> {
        let no_uuid = |text: &str| bad(format!("'{text}' is not a valid UUID"));
        let port = port_id.map(|text| text.parse().map_err(|_| no_uuid(text))).transpose()?;
        let subnet = subnet_id.map(|text| text.parse().map_err(|_| no_uuid(text))).transpose()?;
        match (port, subnet) {
            (None, None) => Err(bad("Either subnet_id or port_id must be specified")),
            (Some(_), Some(_)) if !for_removal => Err(bad("Cannot specify both subnet-id and port-id")),
            (Some(port), subnet) => Ok(Self::Port(port, subnet)),
            (None, Some(subnet)) => Ok(Self::Subnet(subnet)),
        }
    }
}

impl Router {
    fn interfaces(&self) -> impl Iterator<Item = &RouterPort> {
        self.ports.iter().filter(|port| !port.is_gateway)
    }

    /// Adds an interface by naming the subnet: the router takes the subnet's gateway address.
    pub fn add_interface_by_subnet(
        &self,
        wanted: &InterfaceSubnet<'_>,
        caller: Caller<'_>,
    ) -> Result<NewInterface, ModelError> {
        let subnet = wanted.subnet;
        let Some(ip_address) = subnet.gateway_ip else {
            return Err(bad("Subnet for router interface must have a gateway IP"));
        };
        if wanted.project_id != caller.project_id && !caller.is_admin && !wanted.shared_with_caller {
            return Err(bad(format!(
                "Cannot add interface to router because subnet {} is not owned by project making the request",
                subnet.id
            )));
        }
        check_address_mode(subnet)?;
        self.check_new_subnets(&[(subnet.id, subnet.cidr)])?;
        let address = FixedIp { subnet_id: subnet.id, ip_address };
        let same_network = |port: &&RouterPort| port.network_id == wanted.network_id && has_ipv6(port);
        Ok(match self.interfaces().find(same_network) {
            Some(port) if subnet.ip_version() == 6 => NewInterface::Address { port_id: port.id, address },
            _ => NewInterface::Port(address),
        })
    }

    /// Checks a port that a request names as the new interface. `device_id` is what the port carries now; `addresses` are
    /// the port's, each with its subnet.
    pub fn check_interface_by_port(
        &self,
        port_id: PortId,
        network_id: NetworkId,
        device_id: &str,
        addresses: &[(IpAddr, InterfaceSubnet<'_>)],
        caller: Caller<'_>,
    ) -> Result<(), ModelError> {
        if !device_id.is_empty() {
            return Err(ModelError::PortInUse { net_id: network_id, port_id, device_id: device_id.to_owned() });
        }
        if addresses.is_empty() {
            return Err(bad("Router port must have at least one fixed IP"));
        }
        addresses.iter().try_for_each(|(_, wanted)| check_address_mode(wanted.subnet))?;
        if addresses.iter().any(|(addr, _)| addr.is_ipv6())
            && let Some(other) = self.ports.iter().find(|port| port.network_id == network_id && has_ipv6(port))
        {
            return Err(bad(format!(
                "Router already contains IPv6 port {} belonging to network id {network_id}. Only one IPv6 port from the \
                 same network subnet can be connected to a router.",
                other.id
            )));
        }
        let subnets: Vec<_> = addresses.iter().map(|(_, wanted)| (wanted.subnet.id, wanted.subnet.cidr)).collect();
        self.check_new_subnets(&subnets)?;
        if addresses.iter().filter(|(addr, _)| addr.is_ipv4()).count() > 1 {
            return Err(bad("Cannot have multiple IPv4 subnets on router port"));
        }
        let outside = |(addr, wanted): &&(IpAddr, InterfaceSubnet<'_>)| {
            wanted.project_id != caller.project_id && !wanted.allocation_pools.iter().any(|pool| pool.contains(*addr))
        };
        match addresses.iter().find(outside) {
            Some((_, wanted)) if !caller.is_admin => Err(bad(format!(
                "Cannot add interface to router because specified port {port_id} has an IP address out of the allocation \
                 pool of subnet {}, which is not owned by the project making the request",
                wanted.subnet.id
            ))),
            _ => Ok(()),
        }
    }

    /// Refuses subnets that the router has already, or whose prefixes would be ambiguous beside those it has.
    pub fn check_new_subnets(&self, new: &[(SubnetId, IpNet)]) -> Result<(), ModelError> {
        let mut known = Vec::new();
        for port in &self.ports {
            for address in &port.addresses {
                if new.iter().any(|(id, _)| *id == address.subnet_id) {
                    return Err(bad(format!("Router already has a port on subnet {}", address.subnet_id)));
                }
                known.push((address.subnet_id, address.cidr));
            }
            if port.is_gateway && !port.addresses.is_empty() {
                known.extend(self.external_subnets.get(&port.network_id).into_iter().flatten());
            }
        }
        for (id, cidr) in known {
            if let Some((new_id, new_cidr)) = new.iter().find(|(_, new_cidr)| overlap(cidr, *new_cidr)) {
                return Err(bad(format!(
                    "Cidr {new_cidr} of subnet {new_id} overlaps with cidr {cidr} of subnet {id}"
                )));
            }
        }
        Ok(())
    }

    /// The interface that a request to remove names by port, and perhaps a subnet that must be on it.
    pub fn interface_by_port(&self, port_id: PortId, subnet_id: Option<SubnetId>) -> Result<&RouterPort, ModelError> {
        let port = self
            .interfaces()
            .find(|port| port.id == port_id)
            .ok_or(ModelError::RouterInterfaceNotFound { router_id: self.id, port_id })?;
        match subnet_id.filter(|id| !port.addresses.iter().any(|address| address.subnet_id == *id)) {
            Some(subnet_id) => Err(ModelError::SubnetMismatchForPort { port_id, subnet_id }),
            None => Ok(port),
        }
    }

    /// The interface that a request to remove names by subnet. When it has other addresses too, it only loses this one.
    pub fn interface_by_subnet(&self, subnet_id: SubnetId) -> Result<&RouterPort, ModelError> {
        self.interfaces()
            .find(|port| port.addresses.iter().any(|address| address.subnet_id == subnet_id))
            .ok_or(ModelError::RouterInterfaceNotFoundForSubnet { router_id: self.id, subnet_id })
    }

    /// Refuses to take the router off a subnet that floating IPs or extra routes need.
    ///
    /// `floating_ip_targets` are the fixed addresses that floating IPs on this router lead to.
    pub fn check_interface_removal(
        &self,
        subnet_id: SubnetId,
        cidr: IpNet,
        floating_ip_targets: &[FixedIp],
    ) -> Result<(), ModelError> {
        let router_id = self.id;
        if floating_ip_targets.iter().any(|target| target.subnet_id == subnet_id) {
            return Err(ModelError::RouterInterfaceInUseByFloatingIP { router_id, subnet_id });
        }
        if self.routes.iter().any(|route| cidr.contains(&route.nexthop)) {
            return Err(ModelError::RouterInterfaceInUseByRoute { router_id, subnet_id });
        }
        Ok(())
    }
}

/// Routers announce only on subnets whose announcements are theirs.
fn check_address_mode(subnet: &Subnet) -> Result<(), ModelError> {
    if subnet.ip_version() == 6 && subnet.ipv6_ra_mode.is_none() && subnet.ipv6_address_mode.is_some() {
        return Err(bad(format!(
            "IPv6 subnet {} configured to receive RAs from an external router cannot be added to Neutron Router.",
            subnet.id
        )));
    }
    Ok(())
}

fn has_ipv6(port: &RouterPort) -> bool {
    port.addresses.iter().any(|address| address.ip_address.is_ipv6())
}

fn bad(msg: impl Into<String>) -> ModelError {
    ModelError::bad("router", msg)
}

#[cfg(test)]
mod tests;
