//! What a router says of itself on an IPv6 link (RFC 4861 section 4.2).

use net_types::{Ipv6Net, MacAddr};
use serde::{Deserialize, Serialize};
use std::net::Ipv6Addr;

/// The router advertisement of one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterAdvertisement {
    /// The device that it is sent from.
    pub device: String,
    /// The device's hardware address (source link-layer address option).
    pub mac: MacAddr,
    /// Addresses come from DHCPv6 (M flag).
    pub managed: bool,
    /// Other parameters come from DHCPv6 (O flag).
    pub other: bool,
    /// Bytes of the largest IP packet (MTU option); none when IPv6 cannot be carried in it.
    pub mtu: Option<u32>,
    /// Seconds for which the router is a default router.
    pub router_lifetime: u16,
    /// Seconds between unsolicited advertisements, at least.
    pub min_interval: u16,
    /// Seconds between unsolicited advertisements, at most.
    pub max_interval: u16,
    /// Prefixes of the link.
    pub prefixes: Vec<AdvertisedPrefix>,
    /// DNS servers (RFC 8106 section 5.1), in order.
    pub dns_servers: Vec<Ipv6Addr>,
    /// Routes by this router (RFC 4191 section 2.3), for as long as it is a default router.
    pub routes: Vec<Ipv6Net>,
}

/// A prefix information option (RFC 4861 section 4.6.2). Every prefix is on-link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdvertisedPrefix {
    /// The prefix, host bits zero.
    pub prefix: Ipv6Net,
    /// Stations make addresses of it by themselves (A flag).
    pub autonomous: bool,
    /// Seconds for which it is on-link.
    pub valid_seconds: u32,
    /// Seconds for which addresses made of it are preferred.
    pub preferred_seconds: u32,
}
