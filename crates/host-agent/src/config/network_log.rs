//! `[network_log]`: where and how much is logged of what security groups accept and refuse; names and defaults are Neutron's.

use host_plan::LogLimits;
use serde::Deserialize;
use std::path::PathBuf;

/// The section.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkLogSection {
    /// Packets a second, of all ports of the host together; at least 100.
    pub rate_limit: u32,
    /// Packets at once; at least 25.
    pub burst_limit: u32,
    /// The file that lines are appended to; absent: the agent's own log.
    pub local_output_log_base: Option<PathBuf>,
}

impl Default for NetworkLogSection {
    fn default() -> Self {
        let LogLimits { rate, burst } = LogLimits::default();
        Self { rate_limit: rate, burst_limit: burst, local_output_log_base: None }
    }
}

impl NetworkLogSection {
    /// What is wrong with it.
    pub(super) fn check(&self) -> Result<(), String> {
        let least = Self::default();
        if self.rate_limit < least.rate_limit {
            return Err(format!("[network_log] rate_limit is at least {}", least.rate_limit));
        }
        if self.burst_limit < least.burst_limit {
            return Err(format!("[network_log] burst_limit is at least {}", least.burst_limit));
        }
        Ok(())
    }

    /// As the planner needs it.
    pub(super) fn limits(&self) -> LogLimits {
        LogLimits { rate: self.rate_limit, burst: self.burst_limit }
    }
}
