//! The agent of one host: hears what the host must realise, makes it so, keeps it so, and says how far it is.
//!
//! In: the server's watch (see `host_view`), OVSDB, the OpenFlow connections, the clock. Out: bridges, ports, flows,
//! namespaces, filters, DHCP answers, and reports. What to do is decided in `host-plan`; how a layer is spoken to is
//! `host-drivers`; here is only when: [`tasks`] shows every task and channel.
//!
//! A first start, a restart, a lost connection and a change are one path: look at what is there, plan, write the
//! difference. Nothing is removed before a view is known, and things that are not ours are never touched.

mod audit;
mod backoff;
mod board;
mod cleanup;
mod config;
mod error;
mod keep;
mod known;
mod life;
mod lock;
mod logs;
mod memory;
mod metadata;
mod metering;
mod report;
mod rooms;
mod server;
mod switch;
pub mod tasks;
mod watch;

pub use audit::{Audit, Finding, How, KnownHost, Layer, Source, ViewFrom, audit, known_host};
pub use cleanup::{Cleanup, remove_everything};
pub use config::{
    AgentConfig, AgentSection, DhcpSection, Endpoint, MetadataSection, NetworkLogSection, OvsSection, RateLimitSection,
};
pub use error::AgentError;
pub use life::AgentState;
pub use metering::{Metered, Traffic, metering};
// What those say, and a dry run is given.
pub use host_plan::Device;
pub use host_view::HostView;
pub use tasks::run;
