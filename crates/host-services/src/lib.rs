//! Services that live in network namespaces, all in one process: DHCP for IPv4.
//!
//! In: tables computed by the planner ([`Leases`]). Out: packets. A service is a task of the ordinary runtime that owns
//! sockets which were opened inside its namespace; no process is started, no thread stays behind in a namespace, and a new
//! table is swapped in without closing a socket. Nothing here writes addresses, devices or flows: that is the agent's.
//!
//! What to answer is decided by a pure function ([`dhcp_reply`]); the task around it only moves bytes.

mod dhcp;
mod error;
mod limit;

pub use dhcp::{
    Destination, DhcpCounters, DhcpServer, DhcpSockets, Leases, Reply, ReplyKind, Silence, dhcp_reply, fuzz_dhcp,
};
pub use error::ServiceError;
