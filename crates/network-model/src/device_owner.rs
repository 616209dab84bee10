//! What `device_owner` of a port means to the rules. (The attribute is free text: Nova writes `compute:nova`.)

/// What the owners of instances' ports begin with; the instance's zone follows.
pub const COMPUTE_PREFIX: &str = "compute:";
/// An interface of a router on a subnet.
pub const ROUTER_INTERFACE: &str = "network:router_interface";
/// The interface of a router on its external network.
pub const ROUTER_GATEWAY: &str = "network:router_gateway";
/// The port that holds a floating IP's address on the external network.
pub const FLOATING_IP: &str = "network:floatingip";
/// The port that holds a local IP's address.
pub const LOCAL_IP: &str = "network:local_ip";
/// A DHCP server's port.
pub const DHCP: &str = "network:dhcp";
/// An interface of a router that is active on one of several hosts.
pub const HA_REPLICATED_INTERFACE: &str = "network:ha_router_replicated_interface";
/// An interface of a router that is on every host.
pub const DVR_INTERFACE: &str = "network:router_interface_distributed";
/// The interface that does the SNAT of such a router.
pub const ROUTER_SNAT: &str = "network:router_centralized_snat";
/// The link on which the copies of a router agree who is active.
pub const ROUTER_HA_INTERFACE: &str = "network:router_ha_interface";
/// A port of a service that is on every host.
pub const DISTRIBUTED: &str = "network:distributed";
/// The gateway of floating IPs on every host.
pub const AGENT_GATEWAY: &str = "network:floatingip_agent_gateway";

/// Whether the port is a router's interface on a subnet of a project.
pub fn is_router_interface(owner: &str) -> bool {
    [ROUTER_INTERFACE, HA_REPLICATED_INTERFACE, DVR_INTERFACE].contains(&owner)
}

/// Whether the port is such an interface, or does the SNAT for one: they choose their addresses themselves.
pub fn is_router_interface_or_snat(owner: &str) -> bool {
    is_router_interface(owner) || owner == ROUTER_SNAT
}

/// Whether the port goes by itself when its network does, so that it does not hold the network or subnet.
pub fn is_deleted_with_network(owner: &str) -> bool {
    [DHCP, DISTRIBUTED, AGENT_GATEWAY].contains(&owner)
}

/// Whether the port gets the lowest free address rather than any, so that it stays out of the way of those that people choose.
pub fn takes_lowest_address(owner: &str) -> bool {
    [DHCP, DISTRIBUTED].contains(&owner)
}

/// Whether the port belongs to the network's own services, which are trusted not to spoof: it gets no security groups.
pub fn is_trusted(owner: &str) -> bool {
    owner.starts_with("network:")
}

/// Whether only the router or floating IP behind the port may delete it.
pub fn is_held_by_l3(owner: &str) -> bool {
    is_router_interface_or_snat(owner)
        || [ROUTER_GATEWAY, FLOATING_IP, ROUTER_HA_INTERFACE, AGENT_GATEWAY].contains(&owner)
}
