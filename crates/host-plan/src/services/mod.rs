//! What runs in a namespace beside the kernel, as values: one [`NamespaceServices`] per namespace, a field per service.
//!
//! ```text
//! qdhcp-<network>    dhcp
//! ```
//! A service is a set of sockets in the namespace, owned by a task of the agent's process (`host-services`). Its value says
//! what it is bound to and what it answers; a value that differs in what is answered only is taken over by the running
//! service without a packet lost. To add one: a type here, a planner that fills it, and its part of the agent's
//! `rooms/services.rs`.

mod dhcp;

pub use dhcp::{ClasslessRoute, DhcpLease, DhcpServer};
use serde::{Deserialize, Serialize};

/// The services of one namespace; what is none does not run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NamespaceServices {
    /// DHCP for IPv4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dhcp: Option<DhcpServer>,
}

impl NamespaceServices {
    /// Whether nothing runs.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
