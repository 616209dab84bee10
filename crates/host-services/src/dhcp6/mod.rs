//! A DHCPv6 server for one network (RFC 8415), answering known clients with exactly the addresses that the API gave them.
//!
//! ```text
//!             qdhcp-NETWORK namespace, device tapXXXXXXXXXXX
//!   client ──▶ AF_PACKET socket (UDP to port 547 only) ──▶ reply(packet, frame's source, table) ──▶ AF_PACKET socket ──▶ client
//!                                                                         ▲
//!                                              agent ── new table ────────┘
//! ```
//! A client's DUID may be anything and its link-local address too (RFC 7217), so that neither tells which port it is. The
//! frame does: the switch lets nobody send with another port's hardware address. Datagrams are therefore taken and sent with
//! their frames; the ordinary UDP socket beside them only keeps the port, hears what is thrown away, and lets the kernel
//! know that somebody listens to the group.
//!
//! Relay agents are not served: every network has a server on its own wire.

mod message;
mod reply;
mod server;
mod socket;
#[cfg(test)]
mod tests;

/// Whom a server answers, by hardware address, and with what.
pub type Dhcp6Clients = std::collections::BTreeMap<net_types::MacAddr, host_plan::Dhcp6Client>;

pub use reply::{Dhcp6Reply, Dhcp6Silence, dhcp6_reply, fuzz_dhcp6};
pub use server::Dhcp6Server;
pub use socket::Dhcp6Sockets;
