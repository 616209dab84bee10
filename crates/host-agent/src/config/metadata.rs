//! `[metadata]`: names are Neutron's, those of its metadata, DHCP and L3 agents' configuration.

use host_plan::MetadataConfig;
use host_services::{RateLimit, Window};
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// How instances reach the metadata service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetadataSection {
    /// Whether this host has proxies at all.
    pub enable_metadata_proxy: bool,
    /// On networks with a subnet that no router leads out of, beside the DHCP server.
    pub enable_isolated_metadata: bool,
    /// On all networks with DHCP.
    pub force_metadata: bool,
    /// Nova's metadata service; none: the server's own.
    pub nova_metadata_host: Option<String>,
    /// Its port.
    pub nova_metadata_port: u16,
    /// `http` or `https`.
    pub nova_metadata_protocol: String,
    /// Whom to trust with `https`; none: the system's authorities.
    pub auth_ca_cert: Option<PathBuf>,
    /// File with the secret that is shared with Nova (`metadata_proxy_shared_secret`); none: with the server's own service
    /// the agents' secret, with Nova's an empty one, as Neutron's default. Surrounding white space does not count.
    pub metadata_proxy_shared_secret_file: Option<PathBuf>,
    /// How often each address may ask.
    pub rate_limit: RateLimitSection,
}

/// `[metadata_rate_limiting]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimitSection {
    /// Whether there is a limit.
    pub rate_limit_enabled: bool,
    /// Seconds.
    pub base_window_duration: u32,
    /// Requests in that time.
    pub base_query_rate_limit: u32,
    /// Seconds, fewer.
    pub burst_window_duration: u32,
    /// Requests in that time.
    pub burst_query_rate_limit: u32,
}

impl Default for MetadataSection {
    fn default() -> Self {
        let MetadataConfig { proxy, isolated, force } = MetadataConfig::default();
        Self {
            enable_metadata_proxy: proxy,
            enable_isolated_metadata: isolated,
            force_metadata: force,
            nova_metadata_host: None,
            nova_metadata_port: 8775,
            nova_metadata_protocol: "http".to_owned(),
            auth_ca_cert: None,
            metadata_proxy_shared_secret_file: None,
            rate_limit: RateLimitSection::default(),
        }
    }
}

impl Default for RateLimitSection {
    /// On, unlike Neutron's: what cloud-init asks when an instance starts passes.
    fn default() -> Self {
        let RateLimit { base, burst } = RateLimit::default();
        let seconds = |window: Window| u32::try_from(window.length.as_secs()).unwrap_or(u32::MAX);
        Self {
            rate_limit_enabled: true,
            base_window_duration: seconds(base),
            base_query_rate_limit: base.requests,
            burst_window_duration: seconds(burst),
            burst_query_rate_limit: burst.requests,
        }
    }
}

impl MetadataSection {
    /// What is wrong with it, if anything.
    pub(super) fn check(&self) -> Option<String> {
        if !["http", "https"].contains(&self.nova_metadata_protocol.as_str()) {
            return Some("[metadata] nova_metadata_protocol is http or https".to_owned());
        }
        let rates = &self.rate_limit;
        if rates.base_window_duration == 0 || rates.burst_window_duration == 0 {
            let what = "[metadata] rate_limit: base_window_duration and burst_window_duration are at least 1 second";
            return Some(what.to_owned());
        }
        None
    }

    /// What the planner must know.
    pub(super) fn plan(&self) -> MetadataConfig {
        MetadataConfig {
            proxy: self.enable_metadata_proxy,
            isolated: self.enable_isolated_metadata,
            force: self.force_metadata,
        }
    }

    /// Where Nova's metadata service is, if that is whom to ask.
    pub fn nova(&self) -> Option<String> {
        let host = self.nova_metadata_host.as_ref()?;
        // An IPv6 address stands in brackets in a URL.
        let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.clone() };
        Some(format!("{}://{host}:{}", self.nova_metadata_protocol, self.nova_metadata_port))
    }
}

impl RateLimitSection {
    /// The limit; none: there is none.
    pub fn limit(&self) -> Option<RateLimit> {
        let window = |seconds: u32, requests| Window { length: Duration::from_secs(seconds.into()), requests };
        self.rate_limit_enabled.then(|| RateLimit {
            base: window(self.base_window_duration, self.base_query_rate_limit),
            burst: window(self.burst_window_duration, self.burst_query_rate_limit),
        })
    }
}
