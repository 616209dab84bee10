//! Routers that live on this host.

use super::network::HostRoute;
use net_types::{FloatingIpId, PortId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

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
