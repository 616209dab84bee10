//! What the operator decides about networks, under Neutron's option names.

use crate::nova::NovaEvents;
use net_types::{IpNet, MacAddr};
use network_model::router::RouterKind;
use network_model::segment::{SegmentConfig, SegmentTypes};
use network_model::{ModelError, mac};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// As written in the configuration file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkOptions {
    /// Network types and their ranges, MTUs (`[ml2]` and its type drivers).
    pub ml2: SegmentConfig,
    /// First octets of the MAC addresses that ports get: three, or four when the fourth is not zero.
    pub base_mac: String,
    /// Domain that DHCP tells to instances, with a trailing dot.
    pub dns_domain: String,
    /// Most `allowed_address_pairs` of one port.
    pub max_allowed_address_pair: usize,
    /// Zones that networks and routers without hints are scheduled to; none: any.
    pub default_availability_zones: Vec<String>,
    /// Whether routers are distributed unless a request says otherwise.
    pub router_distributed: bool,
    /// Whether routers are highly available unless a request says otherwise.
    pub l3_ha: bool,
    /// Most L3 agents that a highly available router is scheduled to; 0: all.
    pub max_l3_agents_per_router: usize,
    /// Whether a router that is not highly available leaves an agent that is not alive. Its host may still forward, when only
    /// its agent has died: then two do.
    pub allow_automatic_l3agent_failover: bool,
    /// The subnet of every project's HA network.
    pub l3_ha_net_cidr: String,
    /// Connection tracking helpers that routers may have, and the protocols of each.
    pub allowed_conntrack_helpers: BTreeMap<String, Vec<String>>,
    /// An agent is alive while its last heartbeat is younger, seconds.
    pub agent_down_time: u32,
    /// Limits for projects that have none of their own, by resource (`port = 500`); -1: none. Neutron's `quota_port` and so on.
    pub quotas: BTreeMap<String, i64>,
}

impl Default for NetworkOptions {
    fn default() -> Self {
        Self {
            ml2: SegmentConfig::default(),
            base_mac: mac::DEFAULT_BASE_MAC.to_string(),
            dns_domain: "openstacklocal.".to_owned(),
            max_allowed_address_pair: 10,
            default_availability_zones: Vec::new(),
            router_distributed: false,
            l3_ha: false,
            max_l3_agents_per_router: 3,
            allow_automatic_l3agent_failover: false,
            allowed_conntrack_helpers: conntrack_helpers(),
            l3_ha_net_cidr: "169.254.192.0/18".to_owned(),
            agent_down_time: 75,
            quotas: BTreeMap::new(),
        }
    }
}

/// The helpers of the kernel that Neutron allows.
fn conntrack_helpers() -> BTreeMap<String, Vec<String>> {
    let known: [(&str, &[&str]); 10] = [
        ("amanda", &["tcp"]),
        ("ftp", &["tcp"]),
        ("h323", &["udp", "tcp"]),
        ("irc", &["tcp"]),
        ("netbios-ns", &["udp"]),
        ("pptp", &["tcp"]),
        ("sane", &["tcp"]),
        ("sip", &["udp", "tcp"]),
        ("snmp", &["udp"]),
        ("tftp", &["udp"]),
    ];
    let owned = |(name, protocols): (&str, &[&str])| {
        (name.to_owned(), protocols.iter().map(|protocol| (*protocol).to_owned()).collect())
    };
    known.into_iter().map(owned).collect()
}

/// The options, read and checked.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// Which segments networks may get.
    pub segments: SegmentTypes,
    /// See [`NetworkOptions::base_mac`].
    pub base_mac: MacAddr,
    /// See [`NetworkOptions::dns_domain`].
    pub dns_domain: String,
    /// See [`NetworkOptions::max_allowed_address_pair`].
    pub max_allowed_address_pair: usize,
    /// See [`NetworkOptions::default_availability_zones`].
    pub default_availability_zones: Vec<String>,
    /// See [`NetworkOptions::router_distributed`] and [`NetworkOptions::l3_ha`].
    pub router_kind: RouterKind,
    /// See [`NetworkOptions::max_l3_agents_per_router`].
    pub max_l3_agents_per_router: usize,
    /// See [`NetworkOptions::allow_automatic_l3agent_failover`].
    pub allow_automatic_l3agent_failover: bool,
    /// See [`NetworkOptions::l3_ha_net_cidr`].
    pub l3_ha_net_cidr: IpNet,
    /// See [`NetworkOptions::allowed_conntrack_helpers`].
    pub allowed_conntrack_helpers: BTreeMap<String, Vec<String>>,
    /// See [`NetworkOptions::agent_down_time`].
    pub agent_down_time: u32,
    /// See [`NetworkOptions::quotas`].
    pub quotas: BTreeMap<String, i64>,
    /// What Nova is told; nothing as long as nobody sets it (`[nova]` of the server's configuration).
    pub nova: NovaEvents,
}

impl NetworkConfig {
    /// Reads the options; the error names the option.
    pub fn new(options: &NetworkOptions) -> Result<Self, ModelError> {
        let invalid = |opt_name, opt_value: &str| ModelError::InvalidConfigurationOption {
            opt_name,
            opt_value: opt_value.to_owned(),
        };
        let base_mac: MacAddr = options.base_mac.parse().map_err(|_| invalid("base_mac", &options.base_mac))?;
        if base_mac.is_multicast() {
            return Err(invalid("base_mac", &options.base_mac));
        }
        let l3_ha_net_cidr: IpNet =
            options.l3_ha_net_cidr.parse().map_err(|_| invalid("l3_ha_net_cidr", &options.l3_ha_net_cidr))?;
        if l3_ha_net_cidr.addr() != l3_ha_net_cidr.network() {
            return Err(invalid("l3_ha_net_cidr", &options.l3_ha_net_cidr));
        }
        for name in options.quotas.keys() {
            if !crate::quota::names().contains(name.as_str()) {
                return Err(invalid("quotas", name));
            }
        }
        Ok(Self {
            segments: SegmentTypes::new(&options.ml2)?,
            base_mac,
            dns_domain: options.dns_domain.clone(),
            max_allowed_address_pair: options.max_allowed_address_pair,
            default_availability_zones: options.default_availability_zones.clone(),
            router_kind: RouterKind { distributed: options.router_distributed, ha: options.l3_ha },
            max_l3_agents_per_router: options.max_l3_agents_per_router,
            allow_automatic_l3agent_failover: options.allow_automatic_l3agent_failover,
            l3_ha_net_cidr,
            allowed_conntrack_helpers: options.allowed_conntrack_helpers.clone(),
            agent_down_time: options.agent_down_time,
            quotas: options.quotas.clone(),
            nova: NovaEvents::default(),
        })
    }

    /// The limit for a project that has none of its own; -1: none.
    pub fn default_quota(&self, resource: &str) -> i64 {
        network_model::quota::limit_of(resource, &self.quotas)
    }
}
