//! Where a metadata proxy listens, and whom it knows.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// The metadata proxy of a network or a router, in its `qdhcp-` or `qrouter-` namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetadataProxy {
    /// The network or router; stands in the log.
    pub name: String,
    /// The device that it listens on; none: any device of the namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Where it listens.
    pub listens: BTreeSet<SocketAddr>,
    /// Whom it knows by address; others get no answer but 404.
    pub clients: BTreeMap<IpAddr, MetadataInstance>,
}

/// Who asks from an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MetadataInstance {
    /// Goes on as `X-Instance-ID`.
    pub instance: String,
    /// Goes on as `X-Tenant-ID`.
    pub project: String,
}
