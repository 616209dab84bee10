//! Local IPs: addresses that on this host lead to a port of this host.

use net_types::PortId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What becomes of packets to a local IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LocalIpMode {
    /// They get the port's own address instead, and answers the local IP again.
    Translate,
    /// The port gets them as they are: it has the address itself.
    Passthrough,
}

/// A local IP that leads to ports of this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalIp {
    /// `local_ip_address`.
    pub address: IpAddr,
    /// `ip_mode`.
    pub mode: LocalIpMode,
    /// Ports of this host that it is associated with, and the `fixed_ip` of each; it leads to the first that is wired.
    pub ports: BTreeMap<PortId, IpAddr>,
}
