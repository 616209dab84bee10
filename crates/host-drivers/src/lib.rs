//! Thin clients of everything that holds a host's state: OVSDB, OpenFlow, netlink, namespaces, nft, conntrack.
//!
//! In: values (what to set, what to remove). Out: values (what is there), or which intent failed. A driver decides nothing:
//! what a host should look like is `host-plan`'s, when to look is `host-agent`'s.

pub mod announce;
pub mod attach;
pub mod conntrack;
mod error;
pub mod links;
pub mod netns;
pub mod nft;
pub mod offload;
pub mod openflow;
pub mod ovsdb;
mod program;
pub mod sysctl;
#[cfg(feature = "testing")]
pub mod testing;
pub mod unixctl;

pub use error::DriverError;
pub use netns::Place;
