//! The metadata proxy: an instance asks 169.254.169.254, the metadata service learns who it is, signed.
//!
//! ```text
//!            qdhcp-NETWORK or qrouter-ROUTER                            the host's own namespace
//! instance ──▶ TCP, one socket per address ──▶ limit ──▶ who is it? ──▶ upstream ──▶ metadata service (Nova's or ours)
//!                                              429       404  ▲         X-Forwarded-For, X-Instance-ID, X-Tenant-ID,
//!                              agent ── new table ────────────┘         X-Instance-ID-Signature
//! ```
//! Nothing of an instance's own headers goes on, so that none can say that it is somebody else: method, path, query and
//! body do. A connection carries one request. Everything is bounded: connections of a client and of a proxy, requests in a
//! window of time, the size of what is asked and answered, and how long it may take; a client that uses up its share takes
//! nothing of another's.

mod rate;
mod server;
mod sign;
mod socket;
mod tls;
mod upstream;

/// Who asks, by address.
pub type MetadataClients = std::collections::BTreeMap<std::net::IpAddr, host_plan::MetadataInstance>;

pub use rate::{RateLimit, Window};
pub use server::{MetadataServer, MetadataService};
pub use sign::sign_instance_id;
pub use socket::MetadataSockets;
pub use upstream::{Upstream, UpstreamConfig};
