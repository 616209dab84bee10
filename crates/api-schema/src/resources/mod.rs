//! The declarations.

mod agent;
mod network;
mod port;
mod standard;
mod subnet;

pub use agent::AGENT;
pub use network::NETWORK;
pub use port::PORT;
pub use subnet::SUBNET;

use crate::Resource;

/// Every resource of the API, in the order in which documentation shows them.
pub static ALL: &[&Resource] = &[&NETWORK, &SUBNET, &PORT, &AGENT];
