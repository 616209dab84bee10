//! What runs in a namespace beside the kernel, as values: one [`NamespaceServices`] per namespace, a field per service.
//!
//! ```text
//! qdhcp-<network>    dhcp
//! ```
//! A service is a set of sockets in the namespace, owned by a task of the agent's process (`host-services`). Its value says
//! what it is bound to and what it answers; a value that differs in what is answered only is taken over by the running
//! service without a packet lost. To add one: a type here, a planner that fills it, its sockets in
//! [`NamespaceServices::sockets`], and its part of the agent's `rooms/services.rs`.

mod dhcp;

pub use dhcp::{ClasslessRoute, DhcpLease, DhcpServer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Transport protocol of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// A socket that is bound.
    Udp,
    /// A socket that listens.
    Tcp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        })
    }
}

/// The services of one namespace; what is none does not run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NamespaceServices {
    /// DHCP for IPv4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dhcp: Option<DhcpServer>,
}

impl NamespaceServices {
    /// Ports that somebody must listen on in the namespace, and for what: how it is told from outside whether all of it runs.
    pub fn sockets(&self) -> BTreeMap<(Transport, u16), &'static str> {
        self.dhcp.iter().map(|_| ((Transport::Udp, 67), "DHCP")).collect()
    }

    /// Whether nothing runs.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
