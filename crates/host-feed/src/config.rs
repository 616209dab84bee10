//! `[agents]` of the server's configuration.

use serde::Deserialize;

/// Settings of the feed; names are Neutron's where Neutron has them.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeedConfig {
    /// What agents must present as their bearer token; empty lets nobody in.
    pub secret: String,
    /// How many DHCP agents serve a network.
    pub dhcp_agents_per_network: usize,
    /// Seconds; -1 is for ever.
    pub dhcp_lease_duration: i64,
}

impl Default for FeedConfig {
    fn default() -> Self {
        Self { secret: String::new(), dhcp_agents_per_network: 1, dhcp_lease_duration: 86_400 }
    }
}

impl std::fmt::Debug for FeedConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FeedConfig")
            .field("dhcp_agents_per_network", &self.dhcp_agents_per_network)
            .finish_non_exhaustive()
    }
}
