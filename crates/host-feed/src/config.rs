//! `[agents]` of the server's configuration, and what of `[ml2]`-like settings the feed needs.

use serde::Deserialize;

/// Settings of the feed; names are Neutron's where Neutron has them.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeedConfig {
    /// What agents must present; read by the program from `[agents] secret` or `secret_file`.
    pub agent_secret: String,
    /// Seconds without a report after which an agent counts as dead.
    pub agent_down_time: u64,
    /// How many DHCP agents serve a network.
    pub dhcp_agents_per_network: usize,
    /// Seconds; -1 is for ever.
    pub dhcp_lease_duration: i64,
    /// Domain that instances are told.
    pub dns_domain: String,
}

impl Default for FeedConfig {
    fn default() -> Self {
        Self {
            agent_secret: String::new(),
            agent_down_time: 75,
            dhcp_agents_per_network: 1,
            dhcp_lease_duration: 86_400,
            dns_domain: "openstacklocal.".to_owned(),
        }
    }
}

impl std::fmt::Debug for FeedConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FeedConfig").field("agent_down_time", &self.agent_down_time).finish_non_exhaustive()
    }
}
