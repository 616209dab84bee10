//! What the agent tells the server: `POST /agent/v1/hosts/{host}/report`, as JSON; at start, after each change of what it
//! has realised, and as a heartbeat every `report_interval` seconds.

use net_types::{MacAddr, NetworkType, PortId, RouterId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// A part that an agent process plays; each is an agent of its own in the API's agent list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AgentRole {
    /// `Open vSwitch agent` / `neutron-openvswitch-agent`.
    L2,
    /// `DHCP agent` / `neutron-dhcp-agent`.
    Dhcp,
    /// `L3 agent` / `neutron-l3-agent`.
    L3,
}

/// What an L3 agent does with distributed routers (`agent_mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum L3Mode {
    /// Routers are scheduled to it; of distributed ones it has those only.
    #[default]
    Legacy,
    /// It has each distributed router that leads to ports of its host, and no router is scheduled to it.
    Dvr,
    /// Both.
    DvrSnat,
}

impl L3Mode {
    /// As in `configurations`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Dvr => "dvr",
            Self::DvrSnat => "dvr_snat",
        }
    }
}

/// What the host is and can carry; sent with every full report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostDescription {
    /// Parts played.
    pub roles: BTreeSet<AgentRole>,
    /// What the L3 part does with distributed routers.
    #[serde(default)]
    pub l3_mode: L3Mode,
    /// Physical network to bridge.
    pub bridge_mappings: BTreeMap<String, String>,
    /// Tunnel types carried.
    pub tunnel_types: BTreeSet<NetworkType>,
    /// Tunnel endpoint.
    pub local_ip: Option<IpAddr>,
    /// MAC behind the tunnel endpoint, where the agent knows it.
    pub endpoint_mac: Option<MacAddr>,
    /// `netdev` or `system`.
    pub datapath_type: String,
    /// `br-int`.
    pub integration_bridge: String,
    /// Availability zone of the DHCP and L3 agents.
    pub availability_zone: String,
    /// Version of the program.
    pub version: String,
    /// When the process started, in seconds since the epoch.
    pub started_at: u64,
}

/// How far a port of this host has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum PortState {
    /// Its device is there and all that it needs on this host is programmed.
    Up,
    /// Its device is not there (any more).
    Down,
    /// It cannot be realised.
    Failed {
        /// One sentence for the operator.
        reason: String,
    },
}

/// Whether a highly available router is active on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RouterState {
    /// It forwards.
    Active,
    /// It is ready to.
    Standby,
}

impl RouterState {
    /// `ha_state`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Standby => "standby",
        }
    }
}

/// What the agent has realised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostReport {
    /// Drawn by the agent at start: a report of another session than the one known must be full.
    pub session: uuid::Uuid,
    /// Every part of the host is as the view of this revision says (but for what `errors` names); 0: nothing yet.
    pub revision: u64,
    /// `ports` is all of them, not only the ones that changed.
    pub full: bool,
    /// Present in a full report.
    pub description: Option<HostDescription>,
    /// States of ports that changed since the last report that the server took (all of them in a full one).
    pub ports: BTreeMap<PortId, PortState>,
    /// Highly available routers of this host: whether they are active here. Said in every report.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub routers: BTreeMap<RouterId, RouterState>,
    /// What could not be realised beyond single ports, one sentence each ("router ...: ...").
    #[serde(default)]
    pub errors: Vec<String>,
}

/// The server's answer to a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportAnswer {
    /// The server does not know this session: send a full report next.
    pub full_report_wanted: bool,
}
