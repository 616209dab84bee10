//! What a DHCPv6 server answers (RFC 8415).

use super::ExtraOption;
use net_types::{MacAddr, NetworkId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::Ipv6Addr;

/// The DHCPv6 server of a network, in its `qdhcp-` namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dhcp6Server {
    /// The network that it serves; stands in the log.
    pub network: NetworkId,
    /// The device that it listens on.
    pub device: String,
    /// The device's MAC: the server's DUID and its link-local address follow from it.
    pub mac: MacAddr,
    /// Whom it answers; nobody else.
    pub clients: BTreeMap<MacAddr, Dhcp6Client>,
}

/// What one client is told; option numbers in parentheses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dhcp6Client {
    /// Its addresses on stateful subnets (5), in order; none: it makes them by itself, or was not given any.
    pub addresses: Vec<Ipv6Addr>,
    /// Seconds for which the addresses are valid and preferred; `u32::MAX` is for ever.
    pub lease_seconds: u32,
    /// DNS servers (23), in order.
    pub dns_servers: Vec<Ipv6Addr>,
    /// Domain (24); empty: none.
    pub domain: String,
    /// Name without domain (39).
    pub hostname: String,
    /// What this port is told beyond that, or otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<ExtraOption>,
}
