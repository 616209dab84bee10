//! What a unit of work holds in its hands: [`Snapshot`] to read, [`Tx`] to read and write.
//!
//! Both are thin faces of a backend's `Session`, the one trait that SQLite and PostgreSQL implement.

use std::cell::Cell;
use std::ops::Deref;

use crate::tally::Tally;
use crate::value::Row;
use crate::{StoreError, Value};

/// What a database connection must do for us. Object-safe, synchronous, used by one thread at a time.
///
/// SQL arrives with `?1`-style placeholders; a backend that writes them otherwise rewrites and caches the text.
pub(crate) trait Session {
    /// Runs one statement; the number of rows changed.
    fn execute(&self, sql: &str, params: &[Value<'_>]) -> Result<usize, StoreError>;
    /// Runs one query and shows each row until `each` says `false` or fails. With `first`, only the first row is of interest.
    fn query(&self, sql: &str, params: &[Value<'_>], first: bool, each: RowVisitor<'_>) -> Result<(), StoreError>;
    /// Adds an entry of these four values (resource, id, op, extra) to the change log; its revision, one more than the
    /// greatest.
    fn append(&self, entry: &[Value<'_>]) -> Result<u64, StoreError>;
    /// Runs several statements without parameters, separated by `;`.
    fn script(&self, sql: &str) -> Result<(), StoreError>;
    /// Runs one SAVEPOINT, RELEASE or ROLLBACK TO. It may be kept back until the next statement, which then tells its error.
    fn mark(&self, sql: &str) -> Result<(), StoreError>;
    /// Opens a transaction that may write. From its first statement on, no other transaction writes until it ends.
    fn begin(&self) -> Result<(), StoreError>;
    /// Opens a transaction for reading: it sees one snapshot, taken no later than by its first query.
    fn begin_read(&self) -> Result<(), StoreError>;
    /// Makes the open transaction durable, and tells other servers its newest revision if it logged one. After
    /// [`StoreError::Unknown`] it may be durable all the same; after every other error nothing of it is kept.
    fn commit(&self, logged: Option<u64>) -> Result<(), StoreError>;
    /// Forgets the open transaction.
    fn rollback(&self) -> Result<(), StoreError>;
    /// Whether a transaction is open; a database may end it on its own after a disk error.
    fn in_transaction(&self) -> bool;
    /// The statements that make the triggers of a tally, in this database's words.
    fn tally_script(&self, tally: &Tally) -> String;
    /// Why the database ended a transaction that was neither committed nor rolled back by us.
    fn why_ended(&self) -> StoreError {
        StoreError::Transaction { source: "the database ended the transaction".into() }
    }
    /// Whether a statement was refused and the transaction can only be rolled back, whole or to a savepoint.
    fn has_failed(&self) -> bool {
        false
    }
    /// Whether an idle session can be used again, as far as can be told without asking the database.
    fn is_usable(&self) -> bool {
        true
    }
}

/// Called with each row; `Ok(false)` stops the query.
pub(crate) type RowVisitor<'v> = &'v mut dyn FnMut(&Row<'_>) -> Result<bool, StoreError>;

/// A consistent view of the database: whatever others commit meanwhile, it does not change.
pub struct Snapshot<'c> {
    pub(crate) session: &'c dyn Session,
}

impl<'c> Snapshot<'c> {
    pub(crate) fn new(session: &'c dyn Session) -> Self {
        Self { session }
    }

    /// All rows of a query, each turned into a value by `map`.
    pub fn query<T>(
        &self,
        sql: &str,
        params: &[Value<'_>],
        mut map: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        self.session.query(sql, params, false, &mut |row| {
            found.push(map(row)?);
            Ok(true)
        })?;
        Ok(found)
    }

    /// The first row of a query, if there is one.
    pub fn query_opt<T>(
        &self,
        sql: &str,
        params: &[Value<'_>],
        mut map: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut found = None;
        self.session.query(sql, params, true, &mut |row| {
            found = Some(map(row)?);
            Ok(false)
        })?;
        Ok(found)
    }

    /// Shows every row to `each`, without collecting: for long lists written straight to an answer.
    pub fn for_each(
        &self,
        sql: &str,
        params: &[Value<'_>],
        mut each: impl FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.session.query(sql, params, false, &mut |row| each(row).map(|()| true))
    }

    /// Whether the query gives any row.
    pub fn exists(&self, sql: &str, params: &[Value<'_>]) -> Result<bool, StoreError> {
        Ok(self.query_opt(sql, params, |_| Ok(()))?.is_some())
    }

    /// The single number of a `SELECT count(...)`; 0 when there is no row or NULL.
    pub fn count(&self, sql: &str, params: &[Value<'_>]) -> Result<u64, StoreError> {
        Ok(self.query_opt(sql, params, |row| row.get::<Option<u64>>(0))?.flatten().unwrap_or(0))
    }
}

/// An open unit of work. It reads its own writes; it is a [`Snapshot`], so functions that only read take `&Snapshot`.
pub struct Tx<'c> {
    snapshot: Snapshot<'c>,
    /// The newest revision logged through this unit of work.
    pub(crate) logged: Cell<Option<u64>>,
    depth: Cell<u32>,
}

impl<'c> Deref for Tx<'c> {
    type Target = Snapshot<'c>;
    fn deref(&self) -> &Self::Target {
        &self.snapshot
    }
}

impl<'c> Tx<'c> {
    pub(crate) fn new(session: &'c dyn Session) -> Self {
        Self { snapshot: Snapshot::new(session), logged: Cell::new(None), depth: Cell::new(0) }
    }

    /// Runs one INSERT, UPDATE or DELETE; the number of rows changed.
    pub fn execute(&self, sql: &str, params: &[Value<'_>]) -> Result<usize, StoreError> {
        self.session.execute(sql, params)
    }

    /// Tries a part of the work: when `part` fails, only what it wrote is undone and the unit of work goes on.
    ///
    /// A statement that may be refused and whose refusal is not the end (PostgreSQL otherwise aborts the whole
    /// transaction) belongs in here.
    pub fn savepoint<T, E: From<StoreError>>(&self, part: impl FnOnce(&Self) -> Result<T, E>) -> Result<T, E> {
        let depth = self.depth.get();
        let logged = self.logged.get();
        self.session.mark(&format!("SAVEPOINT part_{depth}"))?;
        self.depth.set(depth + 1);
        let outcome = part(self);
        self.depth.set(depth);
        if outcome.is_err() {
            self.logged.set(logged);
        }
        if outcome.is_ok() || self.session.in_transaction() {
            if outcome.is_err() {
                self.session.mark(&format!("ROLLBACK TO SAVEPOINT part_{depth}"))?;
            }
            self.session.mark(&format!("RELEASE SAVEPOINT part_{depth}"))?;
        }
        outcome
    }
}
