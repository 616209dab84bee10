//! What a DHCP server answers (RFC 2131).

use super::ExtraOption;
use net_types::{Ipv4Net, MacAddr, NetworkId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// The DHCP server of a network, in its `qdhcp-` namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DhcpServer {
    /// The network that it serves; stands in the log.
    pub network: NetworkId,
    /// The device that it listens on.
    pub device: String,
    /// Whom it answers; nobody else.
    pub leases: BTreeMap<MacAddr, DhcpLease>,
}

/// What one client is told (RFC 2131); option numbers in parentheses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DhcpLease {
    /// The address that the API gave it (`yiaddr`).
    pub address: Ipv4Addr,
    /// Length of its subnet's prefix (1, and the broadcast address, 28, follow from it).
    pub prefix_len: u8,
    /// The server's address on that subnet (54).
    pub server: Ipv4Addr,
    /// The gateway (3).
    pub router: Option<Ipv4Addr>,
    /// DNS servers (6), in order.
    pub dns_servers: Vec<Ipv4Addr>,
    /// Name without domain (12).
    pub hostname: String,
    /// Domain (15).
    pub domain: String,
    /// Bytes of the largest IP packet (26).
    pub mtu: u16,
    /// Seconds (51); `u32::MAX` is for ever.
    pub lease_seconds: u32,
    /// Classless static routes (121, and 249 for old Windows), in order, the default route among them when there are
    /// any. A next hop of 0.0.0.0 means on-link.
    pub classless_routes: Vec<ClasslessRoute>,
    /// What this port is told beyond that, or otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<ExtraOption>,
}

/// A route that a client is told (RFC 3442).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClasslessRoute {
    /// Where to.
    pub destination: Ipv4Net,
    /// By whom.
    pub via: Ipv4Addr,
}
