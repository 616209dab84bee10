//! The value itself. Maps are ordered, so that equal views have equal bytes.

mod dhcp;
mod local_ip;
mod log;
mod metadata;
mod network;
mod port;
mod qos;
mod router;
mod security_group;
mod tap;
mod trunk;

pub use dhcp::{Dhcp, DhcpClient, ExtraDhcpOption};
pub use local_ip::{LocalIp, LocalIpMode};
pub use log::{Log, LogEvent};
pub use metadata::MetadataClient;
use net_types::{IpNet, NetworkId, PortId, RouterId, SecurityGroupId, SubnetId, TrunkId};
pub use network::{HostRoute, Network, Segment, Subnet};
pub use port::{AddressPair, FixedIp, Port, RemotePort, TunnelPeer};
pub use qos::{Limit, Limits, PortQos};
pub use router::{
    BandwidthLimits, ConntrackHelper, Distributed, FloatingIp, Gateway, MeteringRule, PortForwarding, Router, Standby,
    station_mac, station_prefix,
};
pub use security_group::{Direction, EtherType, Remote, RuleMatch, SecurityGroup, SecurityGroupRule};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
pub use tap::{TapDirection, TapMirror, TapMirrorKind, TapService};
pub use trunk::Trunk;
use uuid::Uuid;

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
    /// allowed address pairs, of all hosts), and of every address group.
    pub group_members: BTreeMap<SecurityGroupId, BTreeSet<IpNet>>,
    /// Networks that this host serves with DHCP.
    pub dhcp: BTreeMap<NetworkId, Dhcp>,
    /// Ports that those servers may answer, on whatever host they are.
    pub dhcp_clients: BTreeMap<PortId, DhcpClient>,
    /// Ports of instances that may ask for metadata here, on whatever host they are.
    pub metadata_clients: BTreeMap<PortId, MetadataClient>,
    /// Routers that live on this host.
    pub routers: BTreeMap<RouterId, Router>,
    /// Tunnel endpoints of the other hosts, by host name.
    pub tunnel_peers: BTreeMap<String, TunnelPeer>,
    /// Limits and marks of ports of this host that have any.
    pub qos: BTreeMap<PortId, PortQos>,
    /// Trunks whose parent is a port of this host.
    pub trunks: BTreeMap<TrunkId, Trunk>,
    /// Tap services that this host has a part in.
    pub tap_services: BTreeMap<Uuid, TapService>,
    /// Ports of this host that are mirrored to collectors outside.
    pub tap_mirrors: BTreeMap<Uuid, TapMirror>,
    /// Local IPs that lead to ports of this host.
    pub local_ips: BTreeMap<Uuid, LocalIp>,
    /// Logs that are about ports of this host.
    pub logs: BTreeMap<Uuid, Log>,
}
