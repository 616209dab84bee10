//! Services that live in network namespaces, all in one process: DHCP for IPv4 and IPv6, router advertisements, DNS, and the
//! metadata proxy.
//!
//! In: tables computed by the planner ([`Leases`]). Out: packets. A service is a task of the ordinary runtime that owns
//! sockets which were opened inside its namespace; no process is started, no thread stays behind in a namespace, and a new
//! table is swapped in without closing a socket. Nothing here writes addresses, devices or flows: that is the agent's.
//!
//! What to say is decided by pure functions ([`dhcp_reply`], [`dhcp6_reply`],
//! [`encode_advertisement`], [`dns_answer`]); the tasks around them move bytes.

mod dhcp;
mod dhcp6;
mod dns;
mod error;
mod limit;
mod metadata;
mod packet;
mod ra;

pub use dhcp::{
    Destination, DhcpCounters, DhcpServer, DhcpSockets, Leases, Reply, ReplyKind, Silence, dhcp_reply, fuzz_dhcp,
};
pub use dhcp6::{Dhcp6Clients, Dhcp6Reply, Dhcp6Server, Dhcp6Silence, Dhcp6Sockets, dhcp6_reply, fuzz_dhcp6};
pub use dns::{DnsAnswer, DnsServer, DnsSockets, DnsZone, dns_answer, fuzz_dns};
pub use error::ServiceError;
pub use metadata::{
    MetadataClients, MetadataServer, MetadataService, MetadataSockets, RateLimit, Upstream, UpstreamConfig, Window,
    sign_instance_id,
};
pub use ra::{RaServer, RaSocket, encode_advertisement, fuzz_ra};
