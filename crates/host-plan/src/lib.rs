//! From what a host must realise to how: [`HostView`](host_view::HostView) in, bridges, flows, namespaces, NAT and DHCP
//! tables out, and the difference to what is there.
//!
//! Everything is a pure function of the view, the operator's [`HostConfig`] and the [`LocalState`] that OVSDB keeps: no I/O,
//! no clock, no randomness, so that the agent, a dry run and the tests plan the same. The planners are meant to be read
//! as the documentation of the data plane; each module starts with a diagram of what it programs.

mod bridges;
mod config;
mod dhcp;
mod diff;
mod exports;
mod firewall;
mod flow_set;
mod host_plan;
mod ids;
mod integration_bridge;
mod local_ip;
mod local_vlan;
mod logs;
mod metadata;
mod mirror;
pub mod names;
mod namespaces;
mod physical_bridge;
mod plan;
mod qos;
mod router;
mod services;
mod state;
mod trunk;
mod tunnel_bridge;
mod wiring;

pub use config::{Datapath, HostConfig, MetadataConfig, TunnelEndpoint};
pub use diff::{Action, diff};
pub use exports::{Exports, Ipfix, NetFlow, SFlow};
pub use firewall::{ConnectionRules, FlowRules, TrackedConnection, flow_rules};
pub use host_plan::{
    Attachment, Bridge, BridgePort, DEAD_VLAN, DROPPED_TABLE, Device, Endpoint, FLOW_OWNER, HostPlan, Mirror,
    Namespace, OUR_METERS, OWNER_KEY, PortKind, PortTag, Route,
};
pub use local_ip::zones_of;
pub use logs::{LogLimits, Logged};
pub use plan::plan;
pub use qos::limited_port;
pub use router::{Forwarded, NAT_TABLE, is_optional, metered_label};
pub use services::{
    AdvertisedPrefix, ClasslessRoute, Dhcp6Client, Dhcp6Server, DhcpLease, DhcpServer, DnsServer, DnsUpstream,
    ExtraOption, MetadataInstance, MetadataProxy, NamespaceServices, RouterAdvertisement, Tag, Transport,
};
pub use state::{Interface, LocalState};
