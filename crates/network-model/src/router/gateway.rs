//! Gateways: the first of a router is its `external_gateway_info`, and all of them are its `external_gateways`.
//!
//! In: the router, the networks and addresses that a request wants. Out: which gateway a request means, or a refusal.
//! Further gateways may be on the network of another one, but not on networks whose prefixes overlap.

use super::{Router, RouterPort, bad, extra_route};
use crate::ModelError;
use crate::fixed_ips::FixedIpRequest;
use crate::subnet::{Subnet, overlap};
use net_types::{NetworkId, PortId, SubnetId};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// A gateway as a request names it.
#[derive(Debug, Clone, Copy)]
pub struct WantedGateway<'a> {
    /// On which network.
    pub network_id: NetworkId,
    /// With which addresses, if that matters.
    pub fixed_ips: &'a [FixedIpRequest],
}

impl WantedGateway<'_> {
    /// Refuses networks that are not external, and the address of the next hop. `subnets` are those of the network.
    pub fn check(&self, is_external: bool, subnets: &[Subnet]) -> Result<(), ModelError> {
        if !is_external {
            return Err(bad(format!("Network {} is not an external network", self.network_id)));
        }
        let gateways: BTreeSet<IpAddr> = subnets.iter().filter_map(|subnet| subnet.gateway_ip).collect();
        match self.addresses().find(|addr| gateways.contains(addr)) {
            Some(taken) => Err(bad(format!("External IP {taken} is the same as the gateway IP"))),
            None => Ok(()),
        }
    }

    fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.fixed_ips.iter().filter_map(|ip| ip.ip_address)
    }
}

impl RouterPort {
    /// Whether a request's external addresses are others than this gateway has. A request without any changes nothing.
    pub fn addresses_change(&self, wanted: &[FixedIpRequest]) -> bool {
        let subnets = |ids: &mut dyn Iterator<Item = SubnetId>| ids.collect::<BTreeSet<_>>();
        !wanted.is_empty()
            && (subnets(&mut wanted.iter().filter_map(|ip| ip.subnet_id))
                != subnets(&mut self.addresses.iter().map(|ip| ip.subnet_id))
                || wanted.iter().filter_map(|ip| ip.ip_address).collect::<BTreeSet<_>>()
                    != self.addresses.iter().map(|ip| ip.ip_address).collect())
    }
}

impl Router {
    /// Its gateways, the first one first.
    pub fn gateways(&self) -> impl Iterator<Item = &RouterPort> {
        self.ports.iter().filter(|port| port.is_gateway)
    }

    /// The first gateway, if it has any.
    pub fn gateway(&self) -> Option<&RouterPort> {
        self.gateways().next()
    }

    /// Checks a change of the first gateway to a network with these subnets: the one there is may go or stay.
    pub fn check_first_gateway(&self, network_id: NetworkId, subnets: &[Subnet]) -> Result<(), ModelError> {
        let first = self.gateway();
        if first.is_none_or(|port| port.network_id != network_id) {
            self.check_external_subnets(first.map(|port| port.id), network_id, subnets)?;
        }
        self.check_routes_without(first.map(|port| port.id), subnets)
    }

    /// Checks one more gateway on a network with these subnets.
    pub fn check_further_gateway(&self, network_id: NetworkId, subnets: &[Subnet]) -> Result<(), ModelError> {
        self.check_external_subnets(None, network_id, subnets)
    }

    fn check_external_subnets(
        &self,
        leaving: Option<PortId>,
        network_id: NetworkId,
        subnets: &[Subnet],
    ) -> Result<(), ModelError> {
        let interfaces = Router { ports: self.interfaces().cloned().collect(), ..self.clone() };
        let new: Vec<_> = subnets.iter().map(|subnet| (subnet.id, subnet.cidr)).collect();
        interfaces.check_new_subnets(&new)?;
        let elsewhere = self.gateways().filter(|port| Some(port.id) != leaving && port.network_id != network_id);
        for (id, cidr) in elsewhere.filter_map(|port| self.external_subnets.get(&port.network_id)).flatten() {
            if let Some((new_id, new_cidr)) = new.iter().find(|(_, new_cidr)| overlap(*cidr, *new_cidr)) {
                return Err(bad(format!(
                    "Cidr {new_cidr} of subnet {new_id} overlaps with cidr {cidr} of subnet {id}"
                )));
            }
        }
        Ok(())
    }

    /// The extra routes must still work without one port, and with another on these subnets.
    fn check_routes_without(&self, leaving: Option<PortId>, subnets: &[Subnet]) -> Result<(), ModelError> {
        if self.routes.is_empty() {
            return Ok(());
        }
        let staying = self.ports.iter().filter(|port| Some(port.id) != leaving);
        let addresses: Vec<_> = staying.flat_map(|port| &port.addresses).collect();
        let cidrs: Vec<_> =
            addresses.iter().map(|address| address.cidr).chain(subnets.iter().map(|subnet| subnet.cidr)).collect();
        let own: Vec<_> = addresses.iter().map(|address| address.ip_address).collect();
        extra_route::check_nexthops(&self.routes, &cidrs, &own)
    }

    /// Refuses to take a gateway away while floating IPs come in by it: of its network, and by no other gateway there.
    pub fn check_gateway_removal(&self, port: &RouterPort, has_floating_ips: bool) -> Result<(), ModelError> {
        let others = || self.gateways().any(|other| other.id != port.id && other.network_id == port.network_id);
        if has_floating_ips && !others() {
            let (router_id, net_id) = (self.id, port.network_id);
            return Err(ModelError::RouterExternalGatewayInUseByFloatingIp { router_id, net_id });
        }
        Ok(())
    }

    /// Refuses to delete a router that has interfaces, or whose gateways floating IPs need.
    pub fn check_deletion(&self, has_floating_ips: bool) -> Result<(), ModelError> {
        let ports: Vec<String> = self.interfaces().map(|port| port.id.to_string()).collect();
        if !ports.is_empty() {
            let reason = format!("has ports still attached: {}", ports.join(", "));
            return Err(ModelError::RouterInUse { router_id: self.id, reason });
        }
        match self.gateway() {
            Some(port) if has_floating_ips => {
                let (router_id, net_id) = (self.id, port.network_id);
                Err(ModelError::RouterExternalGatewayInUseByFloatingIp { router_id, net_id })
            }
            _ => Ok(()),
        }
    }

    /// The gateway that a request means, other than those that it has meant already (`taken`): the one on the network
    /// that has one of the addresses, or the only one there when no address is said. Which of several is meant must be said.
    pub fn matching_gateway(
        &self,
        wanted: &WantedGateway<'_>,
        taken: &[PortId],
    ) -> Result<Option<&RouterPort>, ModelError> {
        let network_id = wanted.network_id;
        let mut there =
            self.gateways().filter(|port| port.network_id == network_id && !taken.contains(&port.id)).peekable();
        let addresses: BTreeSet<IpAddr> = wanted.addresses().collect();
        if !addresses.is_empty() {
            return Ok(there.find(|port| port.addresses.iter().any(|own| addresses.contains(&own.ip_address))));
        }
        let only = there.next();
        if there.peek().is_some() {
            return Err(ModelError::UnableToMatchGateways {
                router_id: self.id,
                reason: format!(
                    "multiple gateway ports are attached to the same network {network_id} but external_fixed_ips parameter is \
                     not specified in the request"
                ),
            });
        }
        Ok(only)
    }
}
