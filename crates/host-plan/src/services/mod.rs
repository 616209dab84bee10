//! What runs in a namespace beside the kernel, as values: one [`NamespaceServices`] per namespace, a field per service.
//!
//! ```text
//! qdhcp-<network>    dhcp, dhcp6, dns, metadata
//! qrouter-<router>   ra (one per qr- device), metadata
//! ```
//! A service is a set of sockets in the namespace, owned by a task of the agent's process (`host-services`). Its value says
//! what it is bound to and what it answers; a value that differs in what is answered only is taken over by the running
//! service without a packet lost. To add one: a type here, a planner that fills it, its sockets in
//! [`NamespaceServices::sockets`], and its part of the agent's `rooms/services.rs`.

mod dhcp;
mod dhcp6;
mod dns;
mod metadata;
mod option;
mod ra;

pub use dhcp::{ClasslessRoute, DhcpLease, DhcpServer};
pub use dhcp6::{Dhcp6Client, Dhcp6Server};
pub use dns::{DnsServer, DnsUpstream};
pub use metadata::{MetadataInstance, MetadataProxy};
pub use option::{ExtraOption, Tag};
pub use ra::{AdvertisedPrefix, RouterAdvertisement};
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
    /// DHCPv6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dhcp6: Option<Dhcp6Server>,
    /// DNS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsServer>,
    /// Router advertisements, by the device that they are sent from.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ra: BTreeMap<String, RouterAdvertisement>,
    /// The metadata proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<MetadataProxy>,
}

impl NamespaceServices {
    /// Ports that somebody must listen on in the namespace, and for what: how it is told from outside whether all of it runs.
    pub fn sockets(&self) -> BTreeMap<(Transport, u16), &'static str> {
        let dhcp = self.dhcp.iter().map(|_| ((Transport::Udp, 67), "DHCP"));
        let dhcp6 = self.dhcp6.iter().map(|_| ((Transport::Udp, 547), "DHCPv6"));
        let dns = self.dns.iter().flat_map(|_| [Transport::Udp, Transport::Tcp].map(|by| ((by, 53), "DNS")));
        let metadata = self.metadata.iter().flat_map(|proxy| &proxy.listens);
        let metadata = metadata.map(|address| ((Transport::Tcp, address.port()), "metadata"));
        dhcp.chain(dhcp6).chain(dns).chain(metadata).collect()
    }

    /// Whether nothing runs.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
