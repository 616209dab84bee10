//! The API as clients see it, over a real store in a temporary directory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // The helpers are tests too.

mod address_groups;
mod agent_schedulers;
mod conntrack_helpers;
mod core;
mod flavors;
mod floating_ips;
mod instance_metadata;
mod lists;
mod local_ips;
mod logs;
mod metering;
mod model;
mod ndp_proxies;
mod new_security_groups;
mod openapi;
mod plans;
mod policy;
mod port_attributes;
mod port_bindings;
mod port_forwardings;
mod ports;
mod qos;
mod quotas;
mod rbac;
mod router_gateways;
mod router_kinds;
mod routers;
mod samples;
mod security_groups;
mod segment_ranges;
mod segments;
mod server;
mod subnetpools;
mod taps;
mod topologies;
mod trunks;
mod vlan_transparency;
mod walk;
