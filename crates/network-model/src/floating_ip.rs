//! Floating IPs: an address of an external network that leads to a port's fixed address, by the router between the two.

use crate::{
    ModelError, device_owner,
    fixed_ips::{FixedIp, FixedIpRequest},
    router::Caller,
    subnet::Subnet,
};
use net_types::{FloatingIpId, NetworkId, PortId, RouterId, SubnetId};
use std::net::IpAddr;

/// The port that a floating IP shall lead to.
#[derive(Debug, Clone, Copy)]
pub struct TargetPort<'a> {
    /// Its id.
    pub id: PortId,
    /// Whose it is.
    pub project_id: &'a str,
    /// Its `device_owner`.
    pub device_owner: &'a str,
    /// Its addresses.
    pub fixed_ips: &'a [FixedIp],
}

/// What a request wants of the association.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Association {
    /// Stays as it is.
    Unchanged,
    /// Leads nowhere.
    None,
    /// Leads to a port, to its only IPv4 address or to the one named.
    To {
        /// The port.
        port_id: PortId,
        /// Which of its addresses.
        fixed_ip_address: Option<IpAddr>,
        /// Whether the floating IP led to this port before, so that it cannot be in its own way.
        already: bool,
    },
}

/// Reads what a request says of `port_id` and `fixed_ip_address`.
///
/// `port_id` is `None` when the body has none, `Some(None)` when it is null; `current` is the port that the floating IP
/// leads to now. A body that says nothing at all (`is_empty`) ends the association, as it has since the association was all
/// that there was to change.
pub fn association(
    port_id: Option<Option<PortId>>,
    fixed_ip_address: Option<IpAddr>,
    current: Option<PortId>,
    is_empty: bool,
) -> Result<Association, ModelError> {
    if fixed_ip_address.is_some() && port_id.flatten().is_none() {
        return Err(bad("fixed_ip_address cannot be specified without a port_id"));
    }
    Ok(match port_id {
        None if is_empty => Association::None,
        None => Association::Unchanged,
        Some(None) => Association::None,
        Some(Some(port_id)) => Association::To { port_id, fixed_ip_address, already: current == Some(port_id) },
    })
}

/// The fixed address that a floating IP of `project_id` shall lead to.
pub fn choose_fixed_ip(
    port: &TargetPort<'_>,
    wanted: Option<IpAddr>,
    project_id: &str,
    caller: Caller<'_>,
) -> Result<FixedIp, ModelError> {
    let id = port.id;
    if port.project_id != project_id && !caller.is_admin {
        return Err(bad(format!(
            "Cannot process floating IP association with Port {id}, since that port is owned by a different project"
        )));
    }
    if port.device_owner == device_owner::DHCP {
        return Err(bad(format!("Port {id} is unable to be assigned a floating IP")));
    }
    if let Some(address) = wanted {
        if address.is_ipv6() {
            return Err(bad(format!(
                "Cannot process floating IP association with {address}, since that is not an IPv4 address"
            )));
        }
        let found = port.fixed_ips.iter().find(|ip| ip.ip_address == address);
        return found.copied().ok_or_else(|| bad(format!("Port {id} does not have fixed ip {address}")));
    }
    let mut v4 = port.fixed_ips.iter().filter(|ip| ip.ip_address.is_ipv4());
    match (v4.next(), v4.next()) {
        (Some(only), None) => Ok(*only),
        (None, _) => Err(bad(format!("Cannot add floating IP to port {id} that has no fixed IPv4 addresses"))),
        (Some(_), Some(_)) => Err(bad(format!(
            "Port {id} has multiple fixed IPv4 addresses.  Must provide a specific IPv4 address when assigning a floating IP"
        ))),
    }
}

/// The router that leads from the fixed address's subnet to the external network: the one that has the subnet's gateway
/// address, else the first.
///
/// `routers` are those that have both an interface on the subnet and their gateway on the network, each with the address
/// of that interface.
pub fn choose_router(
    routers: &[(RouterId, IpAddr)],
    subnet: &Subnet,
    external_network_id: NetworkId,
    port_id: PortId,
) -> Result<RouterId, ModelError> {
    let default = routers.iter().find(|(_, address)| Some(*address) == subnet.gateway_ip);
    default.or(routers.first()).map(|(router, _)| *router).ok_or(ModelError::ExternalGatewayForFloatingIPNotFound {
        external_network_id,
        subnet_id: subnet.id,
        port_id,
    })
}

/// The router that a request names itself: it must have its gateway on the floating IP's network, and that is all.
pub fn check_requested_router(router_id: RouterId, network_id: NetworkId, has_gateway: bool) -> Result<(), ModelError> {
    if has_gateway {
        return Ok(());
    }
    Err(ModelError::Conflict { msg: format!("Router {router_id} has no external gateway on network {network_id}") })
}

/// Behind a distributed router a floating IP is on the host of its port, so that the port must be plugged in there.
pub fn check_vnic_type(router_is_distributed: bool, vnic_type: &str) -> Result<(), ModelError> {
    if router_is_distributed && !["normal", "smart-nic"].contains(&vnic_type) {
        return Err(bad("Port VNIC type is not valid to associate a FIP in DVR mode"));
    }
    Ok(())
}

/// A floating IP that is about to be led somewhere.
#[derive(Debug, Clone, Copy)]
pub struct FloatingIp {
    /// Its id.
    pub id: FloatingIpId,
    /// Its address.
    pub address: IpAddr,
    /// Its external network.
    pub network_id: NetworkId,
}

/// Refuses a second floating IP of one external network for a fixed address. `taken`: another one leads there.
pub fn check_not_associated(
    floating_ip: FloatingIp,
    port_id: PortId,
    fixed_ip: IpAddr,
    taken: bool,
) -> Result<(), ModelError> {
    if taken {
        return Err(ModelError::FloatingIPPortAlreadyAssociated {
            floating_ip_address: floating_ip.address,
            fip_id: floating_ip.id,
            port_id,
            fixed_ip,
            net_id: floating_ip.network_id,
        });
    }
    Ok(())
}

/// Checks the network of a new floating IP; `versions` are the IP versions of its subnets.
pub fn check_network(
    network_id: NetworkId,
    is_external: bool,
    versions: impl IntoIterator<Item = u8>,
) -> Result<(), ModelError> {
    if !is_external {
        return Err(bad(format!("Network {network_id} is not a valid external network")));
    }
    if !versions.into_iter().any(|version| version == 4) {
        return Err(bad(format!("Network {network_id} does not contain any IPv4 subnet")));
    }
    Ok(())
}

/// The entry of `fixed_ips` of the port that holds a new floating IP's address; nothing when the request leaves it open.
pub fn address_request(subnet_id: Option<SubnetId>, address: Option<IpAddr>) -> Option<FixedIpRequest> {
    (subnet_id.is_some() || address.is_some()).then_some(FixedIpRequest { subnet_id, ip_address: address })
}

/// The address of a new floating IP: the first IPv4 address that its port got.
pub fn address_of(network_id: NetworkId, fixed_ips: &[FixedIp]) -> Result<FixedIp, ModelError> {
    let v4 = fixed_ips.iter().find(|ip| ip.ip_address.is_ipv4());
    v4.copied().ok_or(ModelError::ExternalIpAddressExhausted { net_id: network_id })
}

/// Refuses to take a fixed address from a port while a floating IP leads to it. `kept` are the port's addresses after
/// the change.
pub fn check_fixed_ip_change(
    port_id: PortId,
    targets: impl IntoIterator<Item = IpAddr>,
    kept: &[IpAddr],
) -> Result<(), ModelError> {
    if targets.into_iter().all(|target| kept.contains(&target)) {
        return Ok(());
    }
    Err(ModelError::bad(
        "port",
        format!(
            "Cannot update the fixed_ips of the port {port_id}, because its original fixed_ip has been associated to a \
             floating ip"
        ),
    ))
}

fn bad(msg: impl Into<String>) -> ModelError {
    ModelError::bad("floatingip", msg)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const ME: Caller<'_> = Caller { project_id: "me", is_admin: false };

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn port_id(n: u128) -> PortId {
        PortId(Uuid::from_u128(n))
    }

    fn router_id(n: u128) -> RouterId {
        RouterId(Uuid::from_u128(n))
    }

    fn net_id() -> NetworkId {
        NetworkId(Uuid::from_u128(9))
    }

    fn fixed(addresses: &[&str]) -> Vec<FixedIp> {
        let subnet_id = SubnetId(Uuid::from_u128(1));
        addresses.iter().map(|addr| FixedIp { subnet_id, ip_address: ip(addr) }).collect()
    }

    fn choose(addresses: &[&str], wanted: Option<&str>) -> Result<IpAddr, String> {
        let fixed_ips = fixed(addresses);
        let port = TargetPort { id: port_id(1), project_id: "me", device_owner: "", fixed_ips: &fixed_ips };
        let chosen = choose_fixed_ip(&port, wanted.map(ip), "me", ME);
        chosen.map(|ip| ip.ip_address).map_err(|error| error.to_string().replace(&port_id(1).to_string(), "P"))
    }

    #[test]
    fn a_port_with_one_ipv4_address_needs_no_choice() {
        assert_eq!(choose(&["fd00::5", "10.0.0.5"], None), Ok(ip("10.0.0.5")));
        assert_eq!(choose(&["10.0.0.5", "10.0.0.6"], Some("10.0.0.6")), Ok(ip("10.0.0.6")));
        let bad = "Bad floatingip request: ";
        assert_eq!(
            choose(&["fd00::5"], None).unwrap_err(),
            format!("{bad}Cannot add floating IP to port P that has no fixed IPv4 addresses.")
        );
        assert_eq!(
            choose(&["10.0.0.5", "10.0.0.6"], None).unwrap_err(),
            format!(
                "{bad}Port P has multiple fixed IPv4 addresses.  Must provide a specific IPv4 address when assigning a \
                 floating IP."
            )
        );
        assert_eq!(
            choose(&["10.0.0.5"], Some("10.0.0.6")).unwrap_err(),
            format!("{bad}Port P does not have fixed ip 10.0.0.6.")
        );
        assert!(choose(&["fd00::5"], Some("fd00::5")).unwrap_err().contains("since that is not an IPv4 address"));
    }

    #[test]
    fn the_port_must_be_the_projects_and_no_dhcp_servers() {
        let fixed_ips = fixed(&["10.0.0.5"]);
        let port = TargetPort { id: port_id(1), project_id: "them", device_owner: "", fixed_ips: &fixed_ips };
        let error = choose_fixed_ip(&port, None, "me", ME).unwrap_err();
        assert!(error.to_string().contains("since that port is owned by a different project"));
        assert!(choose_fixed_ip(&port, None, "me", Caller { is_admin: true, ..ME }).is_ok());
        let dhcp = TargetPort { device_owner: device_owner::DHCP, project_id: "me", ..port };
        assert!(choose_fixed_ip(&dhcp, None, "me", ME).is_err());
    }

    #[test]
    fn the_subnets_own_gateway_is_preferred() {
        let subnet = Subnet {
            id: SubnetId(Uuid::from_u128(1)),
            cidr: "10.0.0.0/24".parse().unwrap(),
            gateway_ip: Some(ip("10.0.0.1")),
            ipv6_address_mode: None,
            ipv6_ra_mode: None,
        };
        let routers = [(router_id(1), ip("10.0.0.9")), (router_id(2), ip("10.0.0.1"))];
        assert_eq!(choose_router(&routers, &subnet, net_id(), port_id(1)), Ok(router_id(2)));
        assert_eq!(choose_router(&routers[..1], &subnet, net_id(), port_id(1)), Ok(router_id(1)));
        let error = choose_router(&[], &subnet, net_id(), port_id(1)).unwrap_err();
        assert_eq!((error.type_name(), error.status()), ("ExternalGatewayForFloatingIPNotFound", 404));
        assert_eq!(
            error.to_string(),
            format!(
                "External network {} is not reachable from subnet {}.  Therefore, cannot associate Port {} with a \
                 Floating IP.",
                net_id(),
                subnet.id,
                port_id(1)
            )
        );
    }

    #[test]
    fn what_a_request_says_of_the_association() {
        let (one, two) = (port_id(1), port_id(2));
        let to = |port_id, already| Association::To { port_id, fixed_ip_address: None, already };
        let read = |port, fixed, current| association(port, fixed, current, false);
        assert_eq!(read(None, None, Some(one)), Ok(Association::Unchanged), "a new description changes nothing");
        assert_eq!(association(None, None, Some(one), true), Ok(Association::None));
        assert_eq!(read(Some(Some(one)), None, Some(one)), Ok(to(one, true)));
        assert_eq!(read(Some(None), None, Some(one)), Ok(Association::None));
        assert_eq!(read(Some(Some(two)), None, Some(one)), Ok(to(two, false)));
        assert!(read(None, Some(ip("10.0.0.5")), Some(one)).is_err());
        assert!(read(Some(None), Some(ip("10.0.0.5")), None).is_err());
    }

    #[test]
    fn one_floating_ip_of_a_network_for_one_fixed_address() {
        let fip = FloatingIp { id: FloatingIpId(Uuid::from_u128(5)), address: ip("203.0.113.7"), network_id: net_id() };
        assert!(check_not_associated(fip, port_id(1), ip("10.0.0.5"), false).is_ok());
        let error = check_not_associated(fip, port_id(1), ip("10.0.0.5"), true).unwrap_err();
        assert_eq!(error.status(), 409);
        assert_eq!(
            error.to_string(),
            format!(
                "Cannot associate floating IP 203.0.113.7 ({}) with port {} using fixed IP 10.0.0.5, as that fixed IP \
                 already has a floating IP on external network {}.",
                fip.id,
                port_id(1),
                net_id()
            )
        );
    }

    #[test]
    fn only_an_external_network_with_ipv4_has_floating_ips() {
        assert!(check_network(net_id(), true, [6, 4]).is_ok());
        let text = |external, versions: &[u8]| {
            check_network(net_id(), external, versions.iter().copied()).unwrap_err().to_string()
        };
        assert!(text(false, &[4]).contains("is not a valid external network"));
        assert!(text(true, &[6]).contains("does not contain any IPv4 subnet"));
        assert_eq!(address_of(net_id(), &fixed(&["fd00::5", "203.0.113.7"])).unwrap().ip_address, ip("203.0.113.7"));
        assert_eq!(address_of(net_id(), &fixed(&["fd00::5"])).unwrap_err().status(), 400);
        assert_eq!(address_request(None, None), None);
    }

    #[test]
    fn a_fixed_address_with_a_floating_ip_stays() {
        let (a, b) = (ip("10.0.0.5"), ip("10.0.0.6"));
        assert!(check_fixed_ip_change(port_id(1), [a], &[a, b]).is_ok());
        assert!(check_fixed_ip_change(port_id(1), [a], &[b]).is_err());
    }
}
