//! OVSDB (RFC 7047) and the database of Open vSwitch: values, operations, monitor updates into a typed cache, and the
//! difference between what is there and what should be; sans-I/O.
//!
//! In: octets from a database server, what a planner wants of bridges and ports. Out: a copy of the database, octets to
//! send, transactions. Nothing here opens a socket, reads a clock or draws a number: connections live in `host-drivers`.
//!
//! * [`Framer`] cuts a stream into JSON objects, [`Message`] reads and writes them.
//! * [`Operation`] and [`Transaction`] change the database; [`Transaction::outcome`] says what came of it.
//! * [`MonitorMethod`] and [`Update`] feed a [`Cache`] of [`Bridge`], [`Port`] and [`Interface`] rows.
//! * [`plan`] compares a [`Cache`] with a [`Desired`] state and writes only the difference.

mod cache;
mod desired;
mod error;
mod framer;
mod fuzz;
pub mod model;
mod monitor;
mod operation;
mod plan;
mod rows;
mod rpc;
mod schema;
mod transaction;
mod value;

pub use cache::{Cache, Change, ChangeKind};
pub use desired::{Desired, DesiredBridge, DesiredMirror, DesiredPort, ExportKind, Owner, PORT_CONFIG_KEYS, PortVlan};
pub use error::Error;
pub use framer::{Framer, MAX_DEPTH, MAX_SIZE};
pub use fuzz::fuzz_decode;
pub use monitor::{COLUMNS, MONITOR_ID, MonitorMethod, RowChange, RowUpdate, Update};
pub use operation::{Condition, Function, Mutation, Mutator, Operation, Row};
pub use plan::{Conflict, Plan, plan};
pub use rows::{
    Bridge, Export, Interface, Ipfix, Mirror, NetFlow, OpenVSwitch, Port, SFlow, StringMap, TableName, TypedRow,
};
pub use rpc::Message;
pub use schema::{Column, Schema, Table};
pub use transaction::{OPEN_VSWITCH, Outcome, Transaction};
pub use value::{Atom, Real, Value};
