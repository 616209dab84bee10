//! Chaos: everything of a working network is killed, cut off or filled up, in an order that a seed gives, while packets flow
//! and are counted one by one; afterwards every host must be what its plan says.
//!
//! ```text
//!   traffic    senders and echoes in probes and hosts: UDP, ICMP, TCP, one number each 20 ms     (processes of their own)
//!   postgres   a PostgreSQL for the server, which is killed as well (in place of filling the server's disk)
//!   scene      the lab, the ways of the packets, what can be harmed
//!   run        calm first (what the datapath loses by itself), then harm after harm, then the count and the audit
//! ```
//! The law: while agents, the server (and with it the writer of its database), PostgreSQL or ovsdb-server die, the management network is
//! cut or the server's disk is full, no packet of an established flow is lost beyond what the datapath loses in calm. What
//! ovs-vswitchd's own death costs is the userspace datapath's, and told; but every flow must go on afterwards, and no TCP
//! stream may break.

mod postgres;
mod random;
mod run;
mod scene;
pub mod traffic;

pub use postgres::Postgres;
pub use run::{Account, Chaos, run};
