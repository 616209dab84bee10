//! The value itself. Maps are ordered, so that equal views have equal bytes.

use net_types::{
    FloatingIpId, IpNet, MacAddr, NetworkId, NetworkType, PortId, PortRange, RouterId, SecurityGroupId,
    SecurityGroupRuleId, SubnetId, VlanId, Vni,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// All that one host must realise.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HostView {
    /// Networks that a port below stands on.
    pub networks: BTreeMap<NetworkId, Network>,
    /// Subnets of those networks.
    pub subnets: BTreeMap<SubnetId, Subnet>,
    /// Ports bound to this host, of whatever owner.
    pub ports: BTreeMap<PortId, Port>,
    /// Ports of the same (tunnelled) networks that are bound to other hosts.
    pub remote_ports: BTreeMap<PortId, RemotePort>,
    /// Groups that a port of this host is in.
    pub security_groups: BTreeMap<SecurityGroupId, SecurityGroup>,
    /// Addresses of the members of every group that a rule above refers to as its remote group (fixed addresses and
    /// allowed address pairs, of all hosts).
    pub group_members: BTreeMap<SecurityGroupId, BTreeSet<IpNet>>,
    /// Networks that this host serves with DHCP.
    pub dhcp: BTreeMap<NetworkId, Dhcp>,
    /// Ports that those servers may answer, on whatever host they are.
    pub dhcp_clients: BTreeMap<PortId, DhcpClient>,
    /// Routers that live on this host.
    pub routers: BTreeMap<RouterId, Router>,
    /// Tunnel endpoints of the other hosts, by host name.
    pub tunnel_peers: BTreeMap<String, TunnelPeer>,
}

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
}

/// A static route: of a subnet (`host_routes`) or of a router (`routes`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HostRoute {
    /// Where to.
    pub destination: IpNet,
    /// By whom.
    pub nexthop: IpAddr,
}

/// One address of a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FixedIp {
    /// The subnet that it is from.
    pub subnet: SubnetId,
    /// The address.
    pub address: IpAddr,
}

/// An address that a port may use beside its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AddressPair {
    /// The port's own MAC when the API was given none.
    pub mac: MacAddr,
    /// An address or a prefix.
    pub address: IpNet,
}

/// A port bound to this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Its network.
    pub network: NetworkId,
    /// Its MAC address.
    pub mac: MacAddr,
    /// Its addresses.
    pub fixed_ips: Vec<FixedIp>,
    /// `device_owner`: `network:dhcp`, `network:router_interface`, `network:router_gateway`, `compute:...`.
    pub device_owner: String,
    /// `device_id`.
    pub device_id: String,
    /// A port that is administratively down carries nothing.
    pub admin_state_up: bool,
    /// Anti-spoofing and groups apply; false for the network's own ports.
    pub port_security: bool,
    /// Groups it is in.
    pub security_groups: BTreeSet<SecurityGroupId>,
    /// `allowed_address_pairs`.
    pub allowed_address_pairs: BTreeSet<AddressPair>,
}

/// A port of one of this host's tunnel networks, bound elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemotePort {
    /// Its network.
    pub network: NetworkId,
    /// The host it is bound to; its endpoint stands in `tunnel_peers`.
    pub host: String,
    /// Its MAC address.
    pub mac: MacAddr,
    /// Its addresses (for local ARP answers).
    pub addresses: BTreeSet<IpAddr>,
}

/// The tunnel endpoint of another host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunnelPeer {
    /// `local_ip` of that host.
    pub address: IpAddr,
    /// The MAC behind it, where the host has told it: lets the userspace datapath start without ARP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddr>,
    /// Tunnel types that the host takes part in.
    pub types: BTreeSet<NetworkType>,
}

/// A group's rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroup {
    /// Whether connections are tracked.
    pub stateful: bool,
    /// The rules; what none of them allows is dropped.
    pub rules: BTreeMap<SecurityGroupRuleId, SecurityGroupRule>,
}

/// Whose traffic a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Towards the port.
    Ingress,
    /// From the port.
    Egress,
}

/// `ethertype`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EtherType {
    /// `IPv4`.
    IPv4,
    /// `IPv6`.
    IPv6,
}

impl EtherType {
    /// The family of an address.
    pub fn of(address: &IpAddr) -> Self {
        if address.is_ipv4() { Self::IPv4 } else { Self::IPv6 }
    }
}

/// Something that a group allows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SecurityGroupRule {
    /// Towards the port or from it.
    pub direction: Direction,
    /// The IP family.
    pub ethertype: EtherType,
    /// IP protocol number; none: every protocol.
    pub protocol: Option<u8>,
    /// What is compared of the protocol's own header.
    pub matching: RuleMatch,
    /// The other side.
    pub remote: Remote,
}

/// What is compared of a protocol's own header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleMatch {
    /// Nothing.
    Any,
    /// The destination port (TCP, UDP, SCTP, DCCP, UDP-Lite).
    Ports(PortRange),
    /// The ICMP or ICMPv6 type, and the code if given.
    Icmp {
        /// Type.
        kind: u8,
        /// Code.
        code: Option<u8>,
    },
}

/// The other side of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Remote {
    /// Anybody.
    Any,
    /// `remote_ip_prefix`.
    Prefix(IpNet),
    /// `remote_group_id`; its addresses stand in `group_members`.
    Group(SecurityGroupId),
}

/// A network that this host serves with DHCP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dhcp {
    /// The DHCP port (in `ports`), whose addresses the server answers from.
    pub port: PortId,
    /// `dns_domain` of the deployment, without the trailing dot ("openstacklocal").
    pub domain: String,
    /// Lease time in seconds (`dhcp_lease_duration`); `u32::MAX` is for ever.
    pub lease_seconds: u32,
    /// Addresses of the routers of the network's subnets that lead to metadata; a subnet without one is isolated.
    pub routers: BTreeSet<IpAddr>,
}

/// A port that DHCP may answer, with exactly the addresses that the API gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DhcpClient {
    /// Its network.
    pub network: NetworkId,
    /// Its MAC address.
    pub mac: MacAddr,
    /// Its addresses on subnets that DHCP serves.
    pub fixed_ips: Vec<FixedIp>,
    /// Its name; none: `host-` and the address with dashes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
}

/// A router that lives on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Router {
    /// A router that is administratively down forwards nothing.
    pub admin_state_up: bool,
    /// Its internal ports (in `ports`).
    pub interfaces: BTreeSet<PortId>,
    /// Its way out.
    pub gateway: Option<Gateway>,
    /// `routes` (extra routes).
    pub routes: BTreeSet<HostRoute>,
    /// Floating IPs that it realises.
    pub floating_ips: BTreeMap<FloatingIpId, FloatingIp>,
}

/// `external_gateway_info`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gateway {
    /// The gateway port (in `ports`).
    pub port: PortId,
    /// Whether what leaves by it takes its address.
    pub enable_snat: bool,
}

/// A floating IP that a router realises.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FloatingIp {
    /// The outside address.
    pub floating_address: IpAddr,
    /// The inside address.
    pub fixed_address: IpAddr,
}
