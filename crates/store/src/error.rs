//! What can go wrong with the database, named after the intent that failed.

use std::error::Error;

/// The driver's own error, boxed so that no caller depends on which database is behind.
pub(crate) type Cause = Box<dyn Error + Send + Sync + 'static>;

/// A failed intent of the store. [`StoreError::is_retryable`] says whether the same unit of work may succeed if run again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database could not be opened, created or set up.
    #[error("cannot open the database {path}")]
    Open {
        /// Where it was looked for: a path, or a URL without its password.
        path: String,
        /// The driver's reason.
        #[source]
        source: Cause,
    },
    /// A migration's SQL failed; nothing of it remains.
    #[error("migration {name} failed")]
    Migrate {
        /// [`crate::Migration::name`].
        name: String,
        /// The driver's reason.
        #[source]
        source: Cause,
    },
    /// A migration that this database has already applied now reads differently: the schema is not what the program thinks.
    #[error("migration {name} was applied with other text than this program has")]
    MigrationChanged {
        /// [`crate::Migration::name`].
        name: String,
    },
    /// A UNIQUE or PRIMARY KEY constraint refused a row.
    #[error("a row with the same {columns} exists")]
    UniqueViolation {
        /// What the database names as violated: `table.column, table.column`.
        columns: String,
    },
    /// A row is still referred to, or refers to a row that is not there.
    #[error("a reference between rows would be broken")]
    ForeignKeyViolation,
    /// A CHECK or NOT NULL constraint refused a row.
    #[error("a constraint of the table refuses the row: {what}")]
    CheckViolation {
        /// The database's words.
        what: String,
    },
    /// Another process holds the database for longer than we wait, or got in the way; nothing of the unit of work is kept.
    #[error("the database is held by another process")]
    Busy,
    /// The database cannot be reached, or went away meanwhile; nothing of the unit of work is kept.
    #[error("the database cannot be reached")]
    Disconnected {
        /// The driver's reason.
        #[source]
        source: Cause,
    },
    /// The database went away during COMMIT and did not come back in time to say whether it had kept the unit of work. It is
    /// kept whole or not at all.
    #[error("the database went away before it said whether the write is kept")]
    Unknown {
        /// The driver's reason.
        #[source]
        source: Cause,
    },
    /// No space is left for the database.
    #[error("the disk or the database is full")]
    Full,
    /// A statement failed for another reason; `sql` is its text, which never contains values.
    #[error("statement failed: {sql}")]
    Statement {
        /// The SQL text, without parameters.
        sql: String,
        /// The driver's reason.
        #[source]
        source: Cause,
    },
    /// A column holds something that the reader does not expect.
    #[error("column {index} is not {expected}: {found}")]
    Column {
        /// Position in the SELECT list, from 0.
        index: usize,
        /// What was asked for.
        expected: &'static str,
        /// What is there (its kind, or the parser's complaint).
        found: String,
    },
    /// BEGIN, SAVEPOINT or COMMIT failed: nothing of the unit of work is kept.
    #[error("the transaction could not be completed")]
    Transaction {
        /// The driver's reason.
        #[source]
        source: Cause,
    },
    /// The unit of work panicked; what it wrote was rolled back.
    #[error("the unit of work panicked: {message}")]
    Panicked {
        /// The panic's message.
        message: String,
    },
    /// A unit of work asked the store for another one and would have waited for itself.
    #[error("a unit of work cannot wait for another")]
    Nested,
    /// The store is shutting down: the writer no longer takes work.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Whether running the same unit of work again, a little later, may succeed without anybody changing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Busy | Self::Disconnected { .. })
    }

    /// Whether a row with the same key exists already.
    #[must_use]
    pub fn is_unique_violation(&self) -> bool {
        matches!(self, Self::UniqueViolation { .. })
    }
}
