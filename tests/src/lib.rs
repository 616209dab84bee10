//! Whole-system scenarios: a lab of the binary's own making, the real `openstack` client, real packets.
//!
//! [`demonstration`] is what `make lab` shows a person; the test of the same name holds it to every word. The scenarios with
//! faults are in `tests/`. Nothing here knows a crate of the product: what it sees, a user sees.

pub mod bench;
pub mod capture;
pub mod chaos;
pub mod client;
pub mod command;
pub mod demonstration;
pub mod lab;
pub mod labs;
pub mod story;

pub use client::Client;
pub use command::Failure;
pub use lab::Lab;
