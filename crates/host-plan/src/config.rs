//! What the operator says of a host: comes from the agent's configuration file and does not change while it runs.

use crate::{DnsUpstream, Exports, LogLimits};
use host_view::AgentRole;
use net_types::{IpNet, MacAddr, NetworkType};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Which of Open vSwitch's datapaths carries the packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Datapath {
    /// In the switch's own process; works everywhere. Namespaces are attached by veth, checksums computed by the sender.
    Netdev,
    /// The kernel's `openvswitch` module. Namespaces are attached by internal ports.
    System,
}

impl Datapath {
    /// `datapath_type` in OVSDB.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Netdev => "netdev",
            Self::System => "system",
        }
    }
}

/// Where this host's tunnels end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunnelEndpoint {
    /// `local_ip`.
    pub local_ip: IpAddr,
    /// `tunnel_types`.
    pub types: BTreeSet<NetworkType>,
    /// The bridge whose own port carries `local_ip`; none: the address is looked after by somebody else.
    pub bridge: Option<String>,
    /// Length of the prefix that `local_ip` stands in; only used with `bridge`.
    pub prefix_len: u8,
    /// What the bridge's own port shall have as its MAC address, so that peers can know it; only used with `bridge`.
    pub mac: Option<MacAddr>,
}

impl TunnelEndpoint {
    /// Whether an address is of the same family, IPv4 or IPv6.
    pub(crate) fn is_of_family(&self, address: IpAddr) -> bool {
        self.local_ip.is_ipv4() == address.is_ipv4()
    }
}

impl TunnelEndpoint {
    /// `local_ip` with its prefix length; none when the length does not fit the family.
    pub fn address(&self) -> Option<IpNet> {
        IpNet::new(self.local_ip, self.prefix_len).ok()
    }
}

/// Which namespaces have a metadata proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetadataConfig {
    /// Whether there are proxies at all, those of routers among them (`enable_metadata_proxy`).
    pub proxy: bool,
    /// Networks with a subnet that no router leads out of have one beside their DHCP server (`enable_isolated_metadata`).
    pub isolated: bool,
    /// All networks with DHCP have one (`force_metadata`).
    pub force: bool,
}

impl Default for MetadataConfig {
    /// Wherever instances have no other way: as installers of Neutron set it, whose own default is off for isolated networks
    /// because a process is what it costs there.
    fn default() -> Self {
        Self { proxy: true, isolated: true, force: false }
    }
}

/// What the operator says of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostConfig {
    /// `integration_bridge`: `br-int`.
    pub integration_bridge: String,
    /// `tunnel_bridge`: `br-tun`.
    pub tunnel_bridge: String,
    /// `bridge_mappings`: physical network to bridge. These bridges are made by the operator and must exist.
    pub bridge_mappings: BTreeMap<String, String>,
    /// None: this host carries no tunnels and has no tunnel bridge.
    pub tunnel: Option<TunnelEndpoint>,
    /// The datapath of the bridges that are made.
    pub datapath: Datapath,
    /// Which parts the agent plays. Without l2 nothing is planned for the switch.
    pub roles: BTreeSet<AgentRole>,
    /// Whom the DNS servers of networks ask for names that are not the network's own.
    #[serde(default)]
    pub dns_upstream: DnsUpstream,
    /// Which namespaces have a metadata proxy.
    #[serde(default)]
    pub metadata: MetadataConfig,
    /// What the integration bridge tells collectors of its traffic.
    #[serde(default)]
    pub exports: Exports,
    /// How much is logged.
    #[serde(default)]
    pub network_log: LogLimits,
}

impl Default for HostConfig {
    /// Neutron's names, no physical network, no tunnels, all parts, the kernel datapath.
    fn default() -> Self {
        Self {
            integration_bridge: "br-int".into(),
            tunnel_bridge: "br-tun".into(),
            bridge_mappings: BTreeMap::new(),
            tunnel: None,
            datapath: Datapath::System,
            roles: [AgentRole::L2, AgentRole::Dhcp, AgentRole::L3].into(),
            dns_upstream: DnsUpstream::Nobody,
            metadata: MetadataConfig::default(),
            exports: Exports::default(),
            network_log: LogLimits::default(),
        }
    }
}
