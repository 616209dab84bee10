//! The gateway of a router: a port on an external network.

use super::has_floating_ips;
use crate::port::{self, PortCreate, PortUpdate};
use crate::qos::attach;
use crate::request::nullable;
use crate::{NetworkError, Work, ndp_proxy, network, subnet};
use net_types::{NetworkId, PortId};
use network_model::fixed_ips::FixedIpRequest;
use network_model::{device_owner, router::Router};
use serde::Deserialize;
use store::params;
use uuid::Uuid;

/// `external_gateway_info` of a checked body.
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

/// Gives the router this gateway, or none.
pub(super) fn set(work: &Work<'_>, router: &Router, info: Option<GatewayInfo>) -> Result<(), NetworkError> {
    let wanted = info.as_ref().map(|info| info.network_id);
    let current = router.gateway();
    if let Some(info) = &info {
        let network = network::get_visible(work, info.network_id)?;
        let subnets = subnet::of_network(work.tx, network.id)?;
        router.check_gateway(network.id, network.external, &subnets, &info.external_fixed_ips)?;
    }
    if let Some(port) = current.filter(|port| Some(port.network_id) != wanted) {
        router.check_gateway_change(wanted, has_floating_ips(work.tx, router.id)?)?;
        ndp_proxy::check_gateway_removal(work, router.id)?;
        write(work, router, None)?;
        port::remove(work, port.id)?;
    }
    // Without a gateway there is nothing that a policy could be of.
    if let Some(policy) = info.as_ref().map_or(Some(None), |info| info.qos_policy_id) {
        attach::change_gateway(work, router.id.0, policy)?;
    }
    if let Some(info) = info {
        match current.filter(|port| port.network_id == info.network_id) {
            Some(port) if router.gateway_addresses_change(&info.external_fixed_ips) => {
                let change = PortUpdate { fixed_ips: Some(info.external_fixed_ips), ..PortUpdate::default() };
                port::update(work, port.id, change)?;
            }
            Some(_) => {}
            None => {
                let (network, owner) = (info.network_id, device_owner::ROUTER_GATEWAY);
                // Nobody's, so that no project sees it among its ports.
                let port = PortCreate::of_service(network, "", owner, &router.id.to_string());
                let fixed_ips = Some(info.external_fixed_ips).filter(|wanted| !wanted.is_empty());
                let id = port::create(work, PortCreate { fixed_ips, ..port })?;
                write(work, router, Some(id))?;
            }
        }
        work.set("routers", router.id.0, "enable_snat", Some(info.enable_snat.unwrap_or(true)))?;
    }
    Ok(())
}

fn write(work: &Work<'_>, router: &Router, port: Option<PortId>) -> Result<(), NetworkError> {
    work.tx.execute(
        "UPDATE routers SET gateway_port_id = ?2 WHERE id = ?1",
        params![router.id.0, port.map(|port| port.0)],
    )?;
    Ok(())
}
