//! Who may ask for metadata on this host, and who that is.

use net_types::{MacAddr, NetworkId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// A port of an instance, on a network that this host serves with DHCP or that a router of this host leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetadataClient {
    /// Its network.
    pub network: NetworkId,
    /// Its MAC address, which its IPv6 link-local address follows from.
    pub mac: MacAddr,
    /// Its addresses.
    pub addresses: BTreeSet<IpAddr>,
    /// The instance (`device_id`).
    pub instance: String,
    /// Whose the port is (`project_id`).
    pub project: String,
}
