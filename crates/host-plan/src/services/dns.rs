//! What a DNS server answers by itself, and whom it asks for the rest.

use net_types::NetworkId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The DNS server of a network, in its `qdhcp-` namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsServer {
    /// The network that it serves; stands in the log.
    pub network: NetworkId,
    /// The device that it listens on.
    pub device: String,
    /// The addresses that it listens on, UDP and TCP port 53.
    pub addresses: BTreeSet<IpAddr>,
    /// Domain of the names below, without the trailing dot; may be empty.
    pub domain: String,
    /// Names of the network's ports, without domain, by address.
    pub names: BTreeMap<IpAddr, String>,
    /// Who answers for all other names.
    pub upstream: DnsUpstream,
}

/// Whom to ask for names that are not the network's own. The questions leave from the host's namespace, never from the tenant's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DnsUpstream {
    /// Nobody: they are refused.
    #[default]
    Nobody,
    /// The resolvers of the host's `/etc/resolv.conf`, as it stands when asked (`dnsmasq_local_resolv`).
    HostResolvers,
    /// These, in order (`dnsmasq_dns_servers`).
    Servers(Vec<IpAddr>),
}
