//! Networking in the store: its tables, typed rows, and the units of work upon them.
//!
//! In: typed requests, an open transaction, the caller, the clock's reading. Out: rows changed, revisions raised, changes
//! logged, in that one transaction. The API and the host feed both build on this, so that a port made for DHCP takes the
//! same way as one made by a client. It may not know HTTP, JSON bodies or tokens.

pub mod schema;
