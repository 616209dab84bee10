//! SQLite behind the `Session` trait: connections with their pragmas, statements from the cache, errors by meaning.

use std::borrow::Cow;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql};

use crate::error::Cause;
use crate::session::{RowVisitor, Session};
use crate::store::Observer;
use crate::tally::Tally;
use crate::value::{Columns, Raw, Row};
use crate::{StoreError, Value};

/// How long to wait for another process that holds the file (a backup, `neutronium db`).
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Pages of 4096 bytes in the log at which they are brought into the database.
const CHECKPOINT_PAGES: u32 = 4000;
/// Pages that the writer keeps in memory.
const WRITER_CACHE_PAGES: u32 = 4000;
/// Pages that each reader keeps in memory: those that a list of some thousand objects with their rows and indexes lies in. They
/// are dropped with every commit of the writer, and read again from the kernel's memory.
const READER_CACHE_PAGES: u32 = 2000;
/// Statements kept prepared per connection; the whole API has a few hundred texts.
const STATEMENT_CACHE: usize = 512;

/// One connection.
pub(crate) struct Sqlite {
    connection: Connection,
    observe: Option<Observer>,
}

impl Sqlite {
    /// The connection of the one writer. Creates the file.
    pub(crate) fn open_writer(path: &Path) -> Result<Self, StoreError> {
        // Password hashes are in it: a new file is its owner's alone. SQLite gives its -wal and -shm the same mode.
        let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
        made.map_err(|source| StoreError::Open { path: path.display().to_string(), source: Box::new(source) })?;
        let opened = || -> rusqlite::Result<Self> {
            let connection = Connection::open_with_flags(
                path,
                OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
            )?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            // WAL: readers never wait for the writer. FULL: COMMIT returns after fdatasync of the log, so that what was
            // answered survives a power cut (NORMAL would sync at checkpoints only).
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            // The longer the log, the more commits share the writing of a page that all of them change. And what is written
            // is looked for in the cache first: ids are random, so that each write touches leaves all over.
            connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
            connection.pragma_update(None, "cache_size", WRITER_CACHE_PAGES)?;
            Self::set_up(connection)
        };
        opened().map_err(|source| open_error(path, source))
    }

    /// A connection for readers: SQLite itself refuses writes through it.
    pub(crate) fn open_reader(path: &Path) -> Result<Self, StoreError> {
        let opened = || -> rusqlite::Result<Self> {
            let connection =
                Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.pragma_update(None, "query_only", true)?;
            connection.pragma_update(None, "cache_size", READER_CACHE_PAGES)?;
            Self::set_up(connection)
        };
        opened().map_err(|source| open_error(path, source))
    }

    fn set_up(connection: Connection) -> rusqlite::Result<Self> {
        connection.pragma_update(None, "foreign_keys", true)?;
        // What savepoints and statements can undo is kept in memory, however much it is, and never in a file.
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        // Plans never look at bound values: otherwise a statement with `LIMIT ?1` is parsed and planned anew at every use.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
        Ok(Self { connection, observe: None })
    }

    /// Whom to tell the text of every statement.
    pub(crate) fn observe(&mut self, observe: Option<Observer>) {
        self.observe = observe;
    }

    fn tell(&self, sql: &str) {
        if let Some(Observer(observe)) = &self.observe {
            observe(sql);
        }
    }

    fn control(&self, sql: &str) -> Result<(), StoreError> {
        self.execute(sql, &[]).map(|_| ()).map_err(|error| match error {
            StoreError::Busy | StoreError::Full | StoreError::ForeignKeyViolation => error,
            other => StoreError::Transaction { source: Box::new(other) },
        })
    }

    /// Limits the file to so many pages: what a full disk looks like, for tests.
    pub(crate) fn limit_pages(&self, pages: u32) -> Result<(), StoreError> {
        self.connection
            .pragma_update(None, "max_page_count", pages)
            .map_err(|source| statement_error("PRAGMA max_page_count", source))
    }
}

fn open_error(path: &Path, source: rusqlite::Error) -> StoreError {
    StoreError::Open { path: path.display().to_string(), source: Box::new(source) }
}

/// The meaning of SQLite's error codes for callers that know only intents.
fn statement_error(sql: &str, source: rusqlite::Error) -> StoreError {
    let rusqlite::Error::SqliteFailure(failure, ref message) = source else {
        return StoreError::Statement { sql: sql.to_owned(), source: Box::new(source) as Cause };
    };
    let detail = || {
        let text = message.clone().unwrap_or_default();
        text.split_once(": ").map_or(text.clone(), |(_, what)| what.to_owned())
    };
    match (failure.code, failure.extended_code) {
        (
            ErrorCode::ConstraintViolation,
            rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE
            | rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY
            | rusqlite::ffi::SQLITE_CONSTRAINT_ROWID,
        ) => StoreError::UniqueViolation { columns: detail() },
        (ErrorCode::ConstraintViolation, rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => {
            StoreError::ForeignKeyViolation
        }
        (ErrorCode::ConstraintViolation, _) => StoreError::CheckViolation { what: detail() },
        (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => StoreError::Busy,
        (ErrorCode::DiskFull, _) => StoreError::Full,
        _ => StoreError::Statement { sql: sql.to_owned(), source: Box::new(source) },
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Integer(v) => ValueRef::Integer(*v),
            Value::Real(v) => ValueRef::Real(*v),
            Value::Text(v) => ValueRef::Text(v.as_bytes()),
            Value::Blob(v) => ValueRef::Blob(v),
        }))
    }
}

impl Columns for rusqlite::Row<'_> {
    fn column(&self, index: usize) -> Result<Raw<'_>, StoreError> {
        let value = self.get_ref(index).map_err(|source| StoreError::Column {
            index,
            expected: "a column",
            found: source.to_string(),
        })?;
        Ok(match value {
            ValueRef::Null => Raw::Null,
            ValueRef::Integer(v) => Raw::Integer(v),
            ValueRef::Real(v) => Raw::Real(v),
            ValueRef::Text(v) => Raw::Text(v),
            ValueRef::Blob(v) => Raw::Blob(Cow::Borrowed(v)),
        })
    }
}

impl Session for Sqlite {
    fn execute(&self, sql: &str, params: &[Value<'_>]) -> Result<usize, StoreError> {
        self.tell(sql);
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(rusqlite::params_from_iter(params)))
            .map_err(|source| statement_error(sql, source))
    }

    fn query(&self, sql: &str, params: &[Value<'_>], _first: bool, each: RowVisitor<'_>) -> Result<(), StoreError> {
        self.tell(sql);
        let failed = |source| statement_error(sql, source);
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement.query(rusqlite::params_from_iter(params)).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            if !each(&Row::new(row))? {
                break;
            }
        }
        Ok(())
    }

    fn append(&self, entry: &[Value<'_>]) -> Result<u64, StoreError> {
        // SQLite itself gives the next number.
        self.execute("INSERT INTO change_log (resource, id, op, extra) VALUES (?1, ?2, ?3, ?4)", entry)?;
        Ok(u64::try_from(self.connection.last_insert_rowid()).unwrap_or_default())
    }

    fn script(&self, sql: &str) -> Result<(), StoreError> {
        self.connection.execute_batch(sql).map_err(|source| statement_error(sql, source))
    }

    fn mark(&self, sql: &str) -> Result<(), StoreError> {
        self.execute(sql, &[]).map(|_| ())
    }

    fn begin(&self) -> Result<(), StoreError> {
        // IMMEDIATE takes the write lock now: a transaction that read first and wrote later could fail half way.
        self.control("BEGIN IMMEDIATE")
    }

    fn begin_read(&self) -> Result<(), StoreError> {
        // The snapshot is taken by the first SELECT.
        self.control("BEGIN DEFERRED")
    }

    fn commit(&self, _logged: Option<u64>) -> Result<(), StoreError> {
        self.control("COMMIT")
    }

    fn rollback(&self) -> Result<(), StoreError> {
        self.control("ROLLBACK")
    }

    fn in_transaction(&self) -> bool {
        !self.connection.is_autocommit()
    }

    fn tally_script(&self, tally: &Tally) -> String {
        tally.sqlite()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_is_its_owner_s_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let writer = Sqlite::open_writer(&folder.path().join("test.db")).unwrap();
        writer.script("CREATE TABLE t (id BIGINT)").unwrap();
        let modes: Vec<u32> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().permissions().mode() & 0o777)
            .collect();
        assert_eq!(modes, [0o600; 3]);
    }

    /// What "an answered write survives power loss" rests on.
    #[test]
    fn the_writer_syncs_its_log_at_every_commit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let writer = Sqlite::open_writer(&path).unwrap();
        let reader = Sqlite::open_reader(&path).unwrap();
        let pragma = |session: &Sqlite, name: &str| -> String {
            session
                .connection
                .pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0).map(|v| format!("{v:?}")))
                .unwrap()
        };
        assert_eq!(pragma(&writer, "journal_mode"), r#"Text("wal")"#);
        assert_eq!(pragma(&writer, "synchronous"), "Integer(2)", "FULL");
        for session in [&writer, &reader] {
            assert_eq!(pragma(session, "foreign_keys"), "Integer(1)");
        }
        assert_eq!(pragma(&reader, "query_only"), "Integer(1)");
    }
}
