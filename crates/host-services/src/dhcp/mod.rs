//! A DHCP server for one network (RFC 2131), answering known clients with exactly the addresses that the API gave them.
//!
//! ```text
//!             qdhcp-NETWORK namespace, device tapXXXXXXXXXXX
//!   client ──▶ UDP socket 0.0.0.0:67, bound to the device ──▶ reply(packet, table) ──▶ AF_PACKET socket ──▶ client's MAC
//!                                                                      ▲          └──▶ UDP socket ──▶ relay agent :67
//!                                              agent ── new table ─────┘
//! ```
//!
//! The table is the planner's ([`Leases`]). There is no lease file: what a client may have is in the table, so a lease cannot be lost, handed out twice or be at
//! odds with the API. A client without an address cannot answer ARP, so replies are addressed by hand: IP and UDP headers
//! are built here with their checksums (nothing is left to an offload that a virtual wire does not do), and the frame goes
//! to the client's MAC, or to everybody when the client asks for it.

mod datagram;
mod fuzz;
mod message;
mod reply;
mod server;
mod socket;
#[cfg(test)]
mod tests;

/// Whom a server answers, by hardware address, and with what.
pub type Leases = std::collections::BTreeMap<net_types::MacAddr, host_plan::DhcpLease>;

pub use fuzz::fuzz_dhcp;
pub use reply::{Destination, Reply, ReplyKind, Silence, dhcp_reply};
pub use server::{DhcpCounters, DhcpServer};
pub use socket::DhcpSockets;
