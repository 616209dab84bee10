//! What limits and marks the traffic of a port: the rules of its QoS policy, or of its network's.

use serde::{Deserialize, Serialize};

/// The rules that a host enforces; guarantees (`minimum_bandwidth`, `minimum_packet_rate`) are for whoever places instances.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PortQos {
    /// From the port.
    pub egress: Limits,
    /// Towards the port.
    pub ingress: Limits,
    /// `dscp_mark` of what the port sends, 0 to 56.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dscp: Option<u8>,
}

/// Limits of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// In kbit/s and kbit (`max_kbps`, `max_burst_kbps`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Limit>,
    /// In packets/s and packets (a thousandth of `max_kpps` and `max_burst_kpps`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packets: Option<Limit>,
}

/// A limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Units a second.
    pub rate: u32,
    /// Units that may come at once; 0 leaves it to the host.
    pub burst: u32,
}
