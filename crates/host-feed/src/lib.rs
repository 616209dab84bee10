//! What each host must realise, streamed to it; and what hosts say back.
//!
//! In: committed rows (by the change log) and the agents' reports. Out: one [`host_view::HostView`] per host as a resumable
//! watch stream, port and floating IP status, DHCP and L3 scheduling, agents' liveness. Never a plan: how a host realises
//! its view is the agent's business, and no flow, device or local VLAN is known here.
//!
//! ```text
//!  store ── change log ──► hub ── topology (all rows that matter, in memory)
//!                           │        └─ affected hosts ─ compute ─► HostView per host ──► stream ──► agent
//!                           │                                                                        │
//!                           ├─◄ readiness ◄── sessions (what each host has realised) ◄── report ◄────┘
//!                           │       └─► units of work: port and floating IP status
//!                           └─► schedule ─► units of work: DHCP ports, agent bindings, router ports' hosts
//! ```

mod affected;
mod agents;
mod compute;
mod config;
mod distributed;
mod election;
mod error;
mod http;
mod hub;
mod load;
mod published;
mod row;
mod schedule;
mod shared;
mod state;
mod status;
mod topology;

#[cfg(test)]
mod distributed_tests;
#[cfg(test)]
mod l3_tests;
#[cfg(test)]
mod local_ip_tests;
#[cfg(test)]
mod log_tests;
#[cfg(test)]
mod qos_tests;
#[cfg(test)]
mod router_tests;
#[cfg(test)]
mod shared_tests;
#[cfg(test)]
mod tap_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trunk_tests;

pub use config::FeedConfig;
pub use error::FeedError;
pub use hub::Feed;
