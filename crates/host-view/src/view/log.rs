//! Logs: which packets of ports of this host are written down.

use net_types::{PortId, SecurityGroupId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What security groups have done with the packets that are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum LogEvent {
    /// Let them pass: first packets of connections.
    Accept,
    /// Refused them.
    Drop,
    /// Either.
    All,
}

impl LogEvent {
    /// Whether what passes is meant.
    pub fn is_accept(self) -> bool {
        self != Self::Drop
    }

    /// Whether what is refused is meant.
    pub fn is_drop(self) -> bool {
        self != Self::Accept
    }
}

/// A log that is enabled, as far as it is about ports of this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// `project_id`.
    pub project: String,
    /// `event`.
    pub event: LogEvent,
    /// `resource_id`: of what passes only what this group lets pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<SecurityGroupId>,
    /// Ports of this host that it is about.
    pub ports: BTreeSet<PortId>,
}
