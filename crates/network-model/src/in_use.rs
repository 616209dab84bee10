//! What may not be deleted, or stop being shared, because something uses it.

use crate::{
    ModelError,
    device_owner::{self, is_deleted_with_network, is_held_by_l3},
    subnet::Subnet,
};
use net_types::{NetworkId, PortId};

/// A port, as far as it keeps things alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortUse {
    /// Its id.
    pub id: PortId,
    /// Its `device_owner`.
    pub device_owner: String,
}

/// Refuses to delete a network that has ports of others than its own services.
pub fn check_network_deletion(net_id: NetworkId, ports: &[PortUse]) -> Result<(), ModelError> {
    let holding: Vec<String> = ports
        .iter()
        .filter(|port| !is_deleted_with_network(&port.device_owner))
        .map(|port| port.id.to_string())
        .collect();
    if holding.is_empty() {
        return Ok(());
    }
    let list = holding.join(",");
    let reason = format!("There are one or more ports still in use on the network, id for these ports is: {list}");
    Err(ModelError::NetworkInUse { net_id, reason })
}

/// Refuses to delete a subnet whose addresses are used. Addresses that SLAAC gave go with the subnet, unless a router
/// has one; `ports` are those that have an address of it.
pub fn check_subnet_deletion(subnet: &Subnet, ports: &[PortUse]) -> Result<(), ModelError> {
    let holds = |port: &PortUse| {
        device_owner::is_router_interface(&port.device_owner)
            || (!subnet.is_auto_address() && !is_deleted_with_network(&port.device_owner))
    };
    if ports.iter().any(holds) {
        let reason = "One or more ports have an IP allocation from this subnet".to_owned();
        return Err(ModelError::SubnetInUse { subnet_id: subnet.id, reason });
    }
    Ok(())
}

/// Refuses to delete a router's or floating IP's port by way of the port. `owner_exists` tells whether that router or
/// floating IP (`device_id`) is still there.
pub fn check_port_deletion(port: &PortUse, owner_exists: bool) -> Result<(), ModelError> {
    if owner_exists && is_held_by_l3(&port.device_owner) {
        let reason = format!("has device owner {}", port.device_owner);
        return Err(ModelError::ServicePortInUse { port_id: port.id, reason });
    }
    Ok(())
}

/// Refuses to stop sharing a network while other projects have ports or subnets on it.
///
/// `projects` are those of its subnets and of its ports but the network's own services.
pub fn check_unshare(name: &str, allowed: &[String], projects: &[String]) -> Result<(), ModelError> {
    if projects.iter().any(|project| !allowed.contains(project)) {
        return Err(ModelError::InvalidSharedSetting { network: name.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subnet::Ipv6Mode;

    fn port(n: u128, owner: &str) -> PortUse {
        PortUse { id: PortId(uuid::Uuid::from_u128(n)), device_owner: owner.to_owned() }
    }

    #[test]
    fn a_network_goes_with_its_dhcp_ports_only() {
        let net_id = "5a0fa2a2-6d5c-4a2c-8f0e-0d0c1c1d2e3f".parse().unwrap();
        assert!(check_network_deletion(net_id, &[port(1, "network:dhcp")]).is_ok());
        let error = check_network_deletion(net_id, &[port(1, "network:dhcp"), port(2, ""), port(3, "compute:nova")]);
        assert_eq!(
            error.unwrap_err().to_string(),
            "Unable to complete operation on network 5a0fa2a2-6d5c-4a2c-8f0e-0d0c1c1d2e3f. There are one or more ports \
             still in use on the network, id for these ports is: 00000000-0000-0000-0000-000000000002,\
             00000000-0000-0000-0000-000000000003."
        );
    }

    #[test]
    fn a_subnet_goes_when_only_its_services_or_slaac_use_it() {
        let id = "5a0fa2a2-6d5c-4a2c-8f0e-0d0c1c1d2e3f".parse().unwrap();
        let cidr = "fd00::/64".parse().unwrap();
        let plain = Subnet { id, cidr, gateway_ip: None, ipv6_address_mode: None, ipv6_ra_mode: None };
        let slaac = Subnet { ipv6_ra_mode: Some(Ipv6Mode::Slaac), ..plain.clone() };
        assert!(check_subnet_deletion(&plain, &[port(1, "network:dhcp")]).is_ok());
        assert!(check_subnet_deletion(&plain, &[port(1, "")]).is_err());
        assert!(check_subnet_deletion(&slaac, &[port(1, "")]).is_ok());
        let error = check_subnet_deletion(&slaac, &[port(1, "network:router_interface")]).unwrap_err();
        assert_eq!((error.type_name(), error.status()), ("SubnetInUse", 409));
    }

    #[test]
    fn a_routers_port_goes_with_the_router() {
        let held = port(1, "network:router_gateway");
        assert_eq!(
            check_port_deletion(&held, true).unwrap_err().to_string(),
            format!(
                "Port {} cannot be deleted directly via the port API: has device owner network:router_gateway.",
                held.id
            )
        );
        assert!(
            check_port_deletion(&held, false).is_ok() && check_port_deletion(&port(1, "network:dhcp"), true).is_ok()
        );
    }

    #[test]
    fn sharing_ends_when_only_the_owner_is_left() {
        let [a, b] = ["a", "b"].map(str::to_owned);
        assert!(check_unshare("net", std::slice::from_ref(&a), std::slice::from_ref(&a)).is_ok());
        assert!(check_unshare("net", &[a.clone(), b.clone()], &[a.clone(), b.clone()]).is_ok());
        assert_eq!(check_unshare("net", std::slice::from_ref(&a), &[a.clone(), b]).unwrap_err().status(), 409);
    }
}
