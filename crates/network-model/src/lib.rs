//! The rules of the networking API: invariants, defaults and allocation, as functions of what a transaction has read.
//!
//! In: typed values from the API's body and from the store's rows. Out: what to write, or the refusal with Neutron's name
//! and words ([`ModelError`]). Nothing here may do I/O, read a clock or draw a random number: randomness is a parameter.

pub mod binding;
pub mod candidates;
pub mod device_owner;
pub mod dns;
mod error;
pub mod fixed_ips;
pub mod floating_ip;
pub mod free_addresses;
pub mod in_use;
pub mod ip_range;
pub mod mac;
pub mod metering;
pub mod nova_event;
pub mod port;
pub mod port_forwarding;
pub mod prefix_set;
pub mod pvlan;
pub mod qos;
pub mod quota;
pub mod router;
pub mod security_group;
pub mod segment;
pub mod subnet;
pub mod subnet_pool;
pub mod trunk;

pub use error::{Fault, ModelError};
pub use ip_range::IpRange;
