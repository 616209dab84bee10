//! The agent of one host: hears what the host must realise, makes it so, keeps it so, and says how far it is.
//!
//! In: the server's watch (see `host_view`), OVSDB, the OpenFlow connections, the clock. Out: bridges, ports, flows,
//! namespaces, filters, DHCP answers, and reports. What to do is decided in `host-plan`; how a layer is spoken to is
//! `host-drivers`; here is only when: [`tasks`] shows every task and channel.
//!
//! A first start, a restart, a lost connection and a change are one path: look at what is there, plan, write the
//! difference. Nothing is removed before a view is known, and things that are not ours are never touched.

mod backoff;
mod board;
mod config;
mod error;
mod keep;
mod known;
mod preview;
mod report;
mod rooms;
mod server;
mod switch;
pub mod tasks;
mod watch;

pub use config::{AgentConfig, AgentSection, Endpoint, OvsSection};
pub use error::AgentError;
pub use preview::{Preview, plan_only, preview, remove_everything};
pub use tasks::run;
