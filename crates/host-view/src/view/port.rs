//! Ports of this host and of others, and the endpoints behind which the others are.

use net_types::{IpNet, MacAddr, NetworkId, NetworkType, SecurityGroupId, SubnetId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::IpAddr;

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
    /// Of a highly available router's port: all hosts, this one left out, that it may be active on at any moment. Empty: it is on
    /// `host` and nowhere else.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub may_be_on: BTreeSet<String>,
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
    /// Whether this host and that one watch whether the other lives, for the sake of highly available routers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub watched: bool,
}
