//! Networks that this host serves with DHCP, and whom it may answer.

use super::port::FixedIp;
use net_types::{MacAddr, NetworkId, PortId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// A network that this host serves with DHCP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dhcp {
    /// The DHCP port (in `ports`), whose addresses the server answers from.
    pub port: PortId,
    /// `dns_domain` of the deployment, without the trailing dot ("openstacklocal").
    pub domain: String,
    /// Lease time in seconds (`dhcp_lease_duration`); `u32::MAX` is for ever.
    pub lease_seconds: u32,
    /// Addresses of the routers of the network's subnets that lead to metadata; a subnet without one is isolated.
    pub routers: BTreeSet<IpAddr>,
    /// Addresses of all of the network's DHCP servers, whatever host they are on: they answer DNS, too.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub servers: BTreeSet<FixedIp>,
}

/// A port that DHCP may answer, with exactly the addresses that the API gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DhcpClient {
    /// Its network.
    pub network: NetworkId,
    /// Its MAC address.
    pub mac: MacAddr,
    /// Its addresses on subnets that DHCP serves.
    pub fixed_ips: Vec<FixedIp>,
    /// Its name; none: `host-` and the address with dashes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// `extra_dhcp_opts`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub options: BTreeSet<ExtraDhcpOption>,
}

/// One of a port's `extra_dhcp_opts`, as the API has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExtraDhcpOption {
    /// `opt_name`: dnsmasq's name or number of it, with tags before (`tag:ipxe,67`).
    pub name: String,
    /// `opt_value`; empty: not to be told at all.
    pub value: String,
    /// 4 or 6.
    pub ip_version: u8,
}
