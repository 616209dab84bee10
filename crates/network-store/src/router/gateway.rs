//! The first gateway of a router, `external_gateway_info`: a port on an external network.

use super::gateways;
use crate::port::{self, PortUpdate};
use crate::qos::attach;
use crate::request::nullable;
use crate::{NetworkError, Work, ndp_proxy, network, subnet};
use net_types::NetworkId;
use network_model::fixed_ips::FixedIpRequest;
use network_model::router::{Router, WantedGateway};
use network_model::subnet::Subnet;
use serde::Deserialize;
use uuid::Uuid;

/// `external_gateway_info` of a checked body, or one of its `external_gateways`.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // The members that the declaration explains.
pub struct GatewayInfo {
    pub network_id: NetworkId,
    #[serde(default)]
    pub external_fixed_ips: Vec<FixedIpRequest>,
    pub enable_snat: Option<bool>,
    #[serde(default, deserialize_with = "nullable")]
    pub qos_policy_id: Option<Option<Uuid>>,
}

impl GatewayInfo {
    /// What names it.
    pub(super) fn wanted(&self) -> WantedGateway<'_> {
        WantedGateway { network_id: self.network_id, fixed_ips: &self.external_fixed_ips }
    }

    /// Checks its network and addresses; the network's subnets.
    pub(super) fn check(&self, work: &Work<'_>) -> Result<Vec<Subnet>, NetworkError> {
        let network = network::get_visible(work, self.network_id)?;
        let subnets = subnet::of_network(work.tx, network.id)?;
        self.wanted().check(network.external, &subnets)?;
        Ok(subnets)
    }
}

/// Gives the router this first gateway, or none: then the next one, if there are more, is the first.
pub(super) fn set(work: &Work<'_>, router: &Router, info: Option<GatewayInfo>) -> Result<(), NetworkError> {
    let wanted = info.as_ref().map(|info| info.network_id);
    let current = router.gateway();
    if let Some(info) = &info {
        router.check_first_gateway(info.network_id, &info.check(work)?)?;
    }
    if let Some(port) = current.filter(|port| Some(port.network_id) != wanted) {
        gateways::check_removal(work, router, port)?;
        ndp_proxy::check_gateway_removal(work, router.id)?;
        gateways::point_at(work, router.id, None)?;
        port::remove(work, port.id)?;
    }
    // Without a gateway there is nothing that a policy could be of.
    if let Some(policy) = info.as_ref().map_or(Some(None), |info| info.qos_policy_id) {
        attach::change_gateway(work, router.id.0, policy)?;
    }
    let Some(info) = info else {
        let next = router.gateways().nth(1);
        return gateways::point_at(work, router.id, next.map(|port| port.id));
    };
    let enable_snat = info.enable_snat.unwrap_or(true);
    match current.filter(|port| port.network_id == info.network_id) {
        Some(port) => {
            if port.addresses_change(&info.external_fixed_ips) {
                ndp_proxy::check_gateway_addresses(work, router.id, &info.external_fixed_ips)?;
                let change = PortUpdate { fixed_ips: Some(info.external_fixed_ips), ..PortUpdate::default() };
                port::update(work, port.id, change)?;
            }
            gateways::set_snat(work, port.id, enable_snat)
        }
        None => {
            let port = gateways::create(work, router.id, info)?;
            gateways::point_at(work, router.id, Some(port))
        }
    }
}
