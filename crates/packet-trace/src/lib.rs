//! What a plan does with a packet: a walker through the tables of all bridges of a [`HostPlan`](host_plan::HostPlan), step
//! by step, without a switch.
//!
//! ```text
//! Packet ── Switch::send(port) ──▶ table 0 ──▶ actions ──┬─ resubmit, goto ──▶ the next table
//!                                     ▲                  ├─ ct(table=N) ─▶ Connections ──▶ again, tracked, in N
//!                                     │                  ├─ NORMAL ──▶ Fdb and access VLANs ──▶ ports
//!                                     └── patch ports ───┴─ output ──▶ ports, tunnels
//! ```
//! [`Rooms`] takes what reaches a namespace's device through its routes and packet filter, and back into the switch.
//! [`Question`] makes the packet from a question in the API's terms, [`Answer`] says in them what became of it.
//!
//! What mirrors copy on the way is told apart from the packet itself ([`Trace::copies`]), and so is what is written down
//! ([`Trace::logged`]).
//!
//! In: a plan, the numbers of its ports ([`LocalState`](host_plan::LocalState)), a packet, what the connection tracker
//! knows. Out: a [`Trace`]: every flow that decided something, and where the packet (or its copies) left. Nothing here asks a
//! real switch: that both agree is what `tests/real_switch.rs` is for.
//!
//! Modelled as Open vSwitch does it: priorities and conjunctions, registers that patch ports forget, recirculation through
//! the connection tracker, NORMAL with access ports, trunks, learned stations and reserved addresses. Not modelled: groups,
//! action sets, bonds, timeouts; whatever of these a packet meets is said in the trace ([`Step::NotModelled`]).

mod answer;
mod connections;
mod normal;
mod packet;
mod question;
mod room;
mod table;
mod trace;
mod walk;

pub use answer::{Answer, Copy, Leaves, Refusal};
pub use connections::{Connections, Given, Tracked, Tracker};
pub use normal::Fdb;
pub use packet::Packet;
pub use question::{Entrance, Question, neighbours, rules_met};
pub use room::{Neighbours, Rooms};
pub use trace::{Copied, Exit, Step, Trace};
pub use walk::Switch;
