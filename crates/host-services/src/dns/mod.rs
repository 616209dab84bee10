//! A DNS server for one network: the names of the network's ports, and the way to other names.
//!
//! ```text
//!   qdhcp-NETWORK namespace, device tapXXXXXXXXXXX           │ the agent's own namespace (the host's)
//!   instance ──▶ UDP, TCP 53 at the DHCP port's addresses    │
//!                  │ too many from one: dropped              │
//!                  ├── the network's own name, or nobody to ask ──▶ answer
//!                  └── anything else ────────────────────────│──▶ resolver 1, resolver 2, ... ──▶ its answer, as it came
//! ```
//! What is known and who is asked is the planner's ([`host_plan::DnsServer`]). Nothing of the host's is ever answered: no
//! `/etc/hosts`, and names of a single label are never asked upstream, where a resolver on the host itself might know them.

mod answer;
mod clients;
mod server;
mod socket;
mod upstream;

pub use answer::{DnsAnswer, DnsZone, dns_answer, fuzz_dns};
pub use server::DnsServer;
pub use socket::DnsSockets;
