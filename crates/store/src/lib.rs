//! The database: migrations, units of work with group commit, snapshots for readers, and the change log.
//!
//! **What for.** Everything that Neutronium keeps is rows in one SQL database. A request's change is a *unit of work*:
//! a plain synchronous function over a [`Tx`] that reads, decides and writes, and commits as a whole or not at all. The
//! same transaction appends to the change log ([`Tx::log_change`]), from which every other part learns what happened, so
//! that there is no change without a notice and no notice without a change.
//!
//! The database is an SQLite file of this process alone, or a PostgreSQL that several servers share: [`Store::open`] tells
//! them apart by what it is given, and nobody above does. On PostgreSQL one unit of work runs at a time over all servers, so
//! that it may read and then write without thinking of others, and every server hears of every change
//! (`docs/adr/0008-several-servers.md`). Whoever keeps something in memory beside the database must follow the change log.
//!
//! **In:** SQL text with `?1` placeholders and [`Value`]s; migrations contributed by the crates that own the tables.
//! **Out:** [`Row`]s, revisions, [`StoreError`]s that say whether to try again.
//! **May not:** know any resource; let a database driver's type out of this crate (both are behind the `Session`
//! trait, see `docs/adr/0002-sql-layer.md`); answer a write before it is on the disk
//! (`docs/adr/0003-group-commit.md`).
//!
//! ```no_run
//! use store::{Migration, Operation, Store, StoreError, params};
//! # async fn example() -> Result<(), StoreError> {
//! let store = Store::open("/var/lib/neutronium/neutronium.db")?;
//! store.migrate(&[Migration { name: "network/0001", sql: "CREATE TABLE network (id TEXT PRIMARY KEY, mtu BIGINT NOT NULL)" }])?;
//! let revision = store
//!     .write(|tx| {
//!         tx.execute("INSERT INTO network (id, mtu) VALUES (?1, ?2)", params!["a", 1500])?;
//!         tx.log_change("network", "a", Operation::Create, None)
//!     })
//!     .await?;
//! let mtus: Vec<u32> = store.read(|snap| snap.query("SELECT mtu FROM network", &[], |row| row.get(0))).await?;
//! # let _ = (revision, mtus); Ok(()) }
//! ```
//!
//! SQL that both databases understand: integers are declared `BIGINT` (booleans too, 0 and 1), texts `TEXT`, instants
//! `BIGINT` microseconds since 1970; `INSERT ... ON CONFLICT`, `RETURNING`, common table expressions and window functions
//! are fine. Not portable: `AUTOINCREMENT`, `COLLATE NOCASE` (write `lower(x) = lower(?1)`), `INSERT OR IGNORE`, JSON
//! functions, `rowid`, a `?` outside placeholders and quotes.

mod change_log;
mod database;
mod error;
mod gate;
mod migration;
mod postgres;
mod revision;
mod session;
mod sqlite;
mod store;
mod tally;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod value;
mod writer;

#[cfg(test)]
mod tests;

pub use change_log::{Change, Changes, Operation};
pub use error::StoreError;
pub use migration::Migration;
pub use session::{Snapshot, Tx};
pub use store::{Observer, Options, Stats, Store};
pub use tally::Tally;
pub use value::{FromColumn, Raw, Row, Value};
