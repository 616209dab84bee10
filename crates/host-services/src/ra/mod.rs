//! Router advertisements (RFC 4861 section 6.2) of one device, without a radvd.
//!
//! ```text
//!             qrouter-ROUTER namespace, device qr-XXXXXXXXXXX
//!   schedule ── 3 at the start, then every 30 to 100 s ──┬──▶ ff02::1
//!   station ──▶ solicitation, without an address yet ────┘    (at least 3 s apart)
//!   station ──▶ solicitation ──▶ the same message, at once ──▶ the station
//! ```
//! What is said is the planner's ([`host_plan::RouterAdvertisement`]); a new value is told at once. Nothing is said when the
//! service ends: another host may be about to take the router over, under the same addresses.

mod message;
mod schedule;
mod server;
mod socket;

pub use message::{encode_advertisement, fuzz_ra};
pub use server::RaServer;
pub use socket::RaSocket;
