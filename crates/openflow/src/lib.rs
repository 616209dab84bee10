//! OpenFlow 1.4 with Open vSwitch's Nicira extensions: flows as values, their text and their wire form; sans-I/O.
//!
//! In: what a planner wants of a bridge, octets from a switch, text in `ovs-ofctl` notation. Out: flows that compare
//! equal when the switch treats them alike, the difference between two sets of them, octets to send. Nothing here opens
//! a socket, reads a clock or draws a number: connections live in `host-drivers`.
//!
//! * [`Flow`], [`Match`], [`Action`]: build them; [`Field`] declares every field once.
//! * `Display` and `FromStr` of flows speak `ovs-ofctl`; [`text`] does so with the names of ports.
//! * [`wire`] encodes and decodes messages; [`wire::Framer`] cuts a stream into them.
//! * [`diff`] says what to add, modify and delete, and leaves flows of other owners alone.

mod action;
pub mod ct_state;
mod diff;
mod error;
mod field;
mod flow;
mod fuzz;
#[cfg(test)]
mod generate;
mod masked;
mod matching;
mod meter;
mod port;
mod serde_text;
pub mod text;
pub mod wire;

pub use action::{Action, Ct, CtZone, Learn, LearnSpec, LearnValue, Nat, NatPorts, NatSide, SubField};
pub use ct_state::CtState;
pub use diff::{CookieOwner, FlowDiff, apply, diff, diff_sorted, sort};
pub use error::Error;
pub use field::{Field, FieldInfo, Format, OxmId};
pub use flow::{Flow, FlowFlags, FlowKey};
#[doc(hidden)]
pub use fuzz::fuzz_decode;
pub use masked::Masked;
pub use matching::{Match, eth_type, ip_proto};
pub use meter::{Meter, MeterDiff, apply_meters, diff_meters};
pub use port::PortNo;
