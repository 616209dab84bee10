//! Networks, what carries them between hosts, and subnets.

use net_types::{AddressScopeId, IpNet, NetworkId, NetworkType, VlanId, Vni};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A network as a host sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// What carries it between hosts.
    pub segment: Segment,
    /// Bytes of the largest IP packet.
    pub mtu: u16,
    /// A network that is administratively down carries nothing.
    pub admin_state_up: bool,
    /// `router:external`.
    pub external: bool,
}

/// What carries a network's frames.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Segment {
    /// Nothing: each host is alone with it.
    Local,
    /// Untagged frames on a physical network.
    Flat {
        /// Name of the physical network, as in `bridge_mappings`.
        physical_network: String,
    },
    /// Tagged frames on a physical network.
    Vlan {
        /// Name of the physical network, as in `bridge_mappings`.
        physical_network: String,
        /// The tag on the wire.
        vlan: VlanId,
    },
    /// A VXLAN tunnel network.
    Vxlan {
        /// Its VNI.
        vni: Vni,
    },
    /// A Geneve tunnel network.
    Geneve {
        /// Its VNI.
        vni: Vni,
    },
    /// A GRE tunnel network.
    Gre {
        /// Its 32-bit key.
        key: u32,
    },
}

impl Segment {
    /// `provider:network_type`.
    pub fn network_type(&self) -> NetworkType {
        match self {
            Self::Local => NetworkType::Local,
            Self::Flat { .. } => NetworkType::Flat,
            Self::Vlan { .. } => NetworkType::Vlan,
            Self::Vxlan { .. } => NetworkType::Vxlan,
            Self::Geneve { .. } => NetworkType::Geneve,
            Self::Gre { .. } => NetworkType::Gre,
        }
    }

    /// The tunnel key, for the types that have one.
    pub fn tunnel_key(&self) -> Option<u32> {
        match self {
            Self::Vxlan { vni } | Self::Geneve { vni } => Some(vni.get()),
            Self::Gre { key } => Some(*key),
            Self::Local | Self::Flat { .. } | Self::Vlan { .. } => None,
        }
    }

    /// The physical network, for the types that have one.
    pub fn physical_network(&self) -> Option<&str> {
        match self {
            Self::Flat { physical_network } | Self::Vlan { physical_network, .. } => Some(physical_network),
            _ => None,
        }
    }
}

/// A subnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// Its network.
    pub network: NetworkId,
    /// Its prefix, host bits zero.
    pub cidr: IpNet,
    /// `gateway_ip`.
    pub gateway: Option<IpAddr>,
    /// Whether DHCP serves it.
    pub enable_dhcp: bool,
    /// `dns_nameservers`, in order.
    pub dns_nameservers: Vec<IpAddr>,
    /// `host_routes`.
    pub host_routes: Vec<HostRoute>,
    /// `ipv6_address_mode`: `slaac`, `dhcpv6-stateful` or `dhcpv6-stateless`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6_address_mode: Option<String>,
    /// `ipv6_ra_mode`, the same words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6_ra_mode: Option<String>,
    /// The address scope of its pool: routers route nothing between two of them but by translation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_scope: Option<AddressScopeId>,
}

/// A static route: of a subnet (`host_routes`) or of a router (`routes`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HostRoute {
    /// Where to.
    pub destination: IpNet,
    /// By whom.
    pub nexthop: IpAddr,
}
