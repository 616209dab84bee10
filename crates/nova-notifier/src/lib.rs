//! Tells Nova what happens to its instances' ports: `POST /v2.1/os-server-external-events`.
//!
//! **What for.** Nova waits for `network-vif-plugged` before it lets an instance start, and reads an instance's addresses
//! anew when it hears `network-changed`. An event that is lost is an instance that does not come up.
//!
//! **In:** the queue that `network_store::nova` fills in the transactions of the changes; `[nova]` of the configuration.
//! **Out:** requests to Nova, in order, in batches; answered events leave the queue.
//! **May not:** decide what Nova hears (that is `network_model::nova_event`); hold an event anywhere but in the database.
//!
//! ```text
//! change ──► nova_events (same transaction) ──► claim: one server of those on the database sends
//!                                               ──► batch ──► Nova ──► answer ──► settled: gone from the queue
//!                                                                           └──► not now: again, after a pause
//! ```
//! Whatever dies in the middle, the queue is as it was: an event is told at least once, and those of one instance in order.

mod answer;
mod config;
mod sender;

pub use config::NovaConfig;
pub use sender::Notifier;
