//! Networking in the store: its tables, typed rows, and the units of work upon them.
//!
//! **What for.** One module per resource with what its requests do: `create`, `update`, `delete`, each a plain function
//! over a [`Work`] (the open transaction, the caller, the clock's reading), calling the next step by name. The API and the
//! host feed both build on it, so that a port made for DHCP takes the same way as one made by a client.
//!
//! **In:** typed requests (`PortCreate`, `PortUpdate`, ...), which the API reads from checked bodies. **Out:** rows changed,
//! revisions raised and changes logged in that one transaction, or a [`NetworkError`].
//! **May not:** know HTTP, JSON bodies, tokens or policy. What can be decided without the database is in `network-model`.

pub mod address_group;
pub mod address_scope;
pub mod agent;
pub mod auto_topology;
mod config;
pub mod conntrack_helper;
pub mod default_security_group_rule;
pub mod default_statefulness;
pub mod dhcp_agent;
mod error;
pub mod flavor;
pub mod floating_ip;
pub mod ha_network;
pub mod instance_metadata;
pub mod ip_availability;
pub mod l3_agent;
pub mod local_ip;
pub mod log;
pub mod metering;
pub mod ndp_proxy;
pub mod network;
pub mod nova;
pub mod port;
pub mod port_forwarding;
pub mod qos;
pub mod quota;
pub mod rbac;
pub mod request;
pub mod router;
pub mod schema;
pub mod security_group;
pub mod security_group_rule;
pub mod segment;
pub mod subnet;
pub mod subnetpool;
pub mod tag;
pub mod tap;
pub mod tap_mirror;
pub mod trunk;
mod work;

pub use config::{NetworkConfig, NetworkOptions};
pub use error::NetworkError;
pub use work::{Caller, Work};

/// Brings the tables of networking up to date, and has what quotas limit counted: for the program's start.
pub fn prepare(store: &store::Store) -> Result<(), store::StoreError> {
    store.migrate(schema::MIGRATIONS)?;
    store.keep_tallies(&quota::tallies())
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
