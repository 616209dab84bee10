//! The change log: one row per changed object, written in the transaction that changes it.
//!
//! Its revision grows by commit order and is the clock of the whole system: desired state is streamed by it, readiness is
//! derived from it. The log is trimmed from its old end; who asks for what is gone must read the whole state instead.

use crate::session::{Snapshot, Tx};
use crate::{Migration, StoreError, params};

/// On SQLite.
pub(crate) const MIGRATION: Migration = Migration {
    name: "store/0001-change-log",
    sql: "CREATE TABLE change_log (
    revision INTEGER PRIMARY KEY AUTOINCREMENT,
    resource TEXT NOT NULL,
    id TEXT NOT NULL,
    op TEXT NOT NULL,
    extra TEXT
);
CREATE TABLE change_log_trim (only_row BIGINT PRIMARY KEY NOT NULL CHECK (only_row = 1), up_to BIGINT NOT NULL);
INSERT INTO change_log_trim (only_row, up_to) VALUES (1, 0);",
};

/// On SQLite, after [`MIGRATION`]: AUTOINCREMENT keeps its own table of the numbers that were given, a page more in every
/// commit. Without it the number after the greatest is given, which is never given twice: the newest entry stays.
pub(crate) const WITHOUT_SEQUENCE: Migration = Migration {
    name: "store/0003-change-log-without-sequence",
    sql: "CREATE TABLE change_log_next (
    revision INTEGER PRIMARY KEY,
    resource TEXT NOT NULL,
    id TEXT NOT NULL,
    op TEXT NOT NULL,
    extra TEXT
);
INSERT INTO change_log_next (revision, resource, id, op, extra) SELECT revision, resource, id, op, extra FROM change_log;
DROP TABLE change_log;
ALTER TABLE change_log_next RENAME TO change_log;",
};

/// On PostgreSQL: the number comes with the row.
pub(crate) const MIGRATION_POSTGRES: Migration = Migration {
    name: MIGRATION.name,
    sql: "CREATE TABLE change_log (
    revision BIGINT PRIMARY KEY,
    resource TEXT NOT NULL,
    id TEXT NOT NULL,
    op TEXT NOT NULL,
    extra TEXT
);
CREATE TABLE change_log_trim (only_row BIGINT PRIMARY KEY NOT NULL CHECK (only_row = 1), up_to BIGINT NOT NULL);
INSERT INTO change_log_trim (only_row, up_to) VALUES (1, 0);",
};

/// On PostgreSQL, after [`MIGRATION_POSTGRES`]: what tells an entry from any other one, also from one that was given the same
/// revision by a transaction with the same number, after a crash had taken the first.
pub(crate) const MARK_POSTGRES: Migration = Migration {
    name: "store/0003-change-log-mark",
    sql: "ALTER TABLE change_log ADD COLUMN mark UUID NOT NULL DEFAULT gen_random_uuid();",
};

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// It is new.
    Create,
    /// It was there and differs now.
    Update,
    /// It is gone.
    Delete,
}

impl Operation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

impl std::str::FromStr for Operation {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "create" => Ok(Self::Create),
            "update" => Ok(Self::Update),
            "delete" => Ok(Self::Delete),
            other => Err(format!("unknown operation {other:?}")),
        }
    }
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Its place in the order of all changes, from 1.
    pub revision: u64,
    /// Which kind of object: the name that the writer gave (`port`).
    pub resource: String,
    /// The object's id.
    pub id: String,
    /// What happened to it.
    pub op: Operation,
    /// What readers need to know of an object that may be gone (its network, its host), as the writer gave it.
    pub extra: Option<serde_json::Value>,
}

/// The answer to "what happened since?".
#[derive(Debug, Clone, PartialEq)]
pub enum Changes {
    /// The next entries in order, at most as many as asked for; fewer means that there are no more.
    Page(Vec<Change>),
    /// Entries after the asked revision have been trimmed: read the whole state, then go on from [`Snapshot::revision`].
    Trimmed {
        /// Changes after this revision are still known.
        up_to: u64,
    },
}

impl Tx<'_> {
    /// Notes that the object changed; the revision given to the change. Revisions are visible to others when the unit of
    /// work is committed, in commit order.
    pub fn log_change(
        &self,
        resource: &str,
        id: &str,
        op: Operation,
        extra: Option<&serde_json::Value>,
    ) -> Result<u64, StoreError> {
        // Counting up is safe because only one transaction writes at a time, on whichever server: there are no gaps, and no
        // number becomes visible before a smaller one. The newest entry is never trimmed.
        let revision = self.session.append(params![resource, id, op.as_str(), extra.map(ToString::to_string)])?;
        self.logged.set(Some(revision));
        Ok(revision)
    }

    /// Forgets all but the newest `keep` entries (at least one stays, it carries the revision); how many went.
    pub fn trim_changes(&self, keep: u64) -> Result<usize, StoreError> {
        let up_to = self.revision()?.saturating_sub(keep.max(1));
        let gone = self.execute("DELETE FROM change_log WHERE revision <= ?1", params![up_to])?;
        if gone > 0 {
            self.execute("UPDATE change_log_trim SET up_to = ?1 WHERE only_row = 1", params![up_to])?;
        }
        Ok(gone)
    }
}

impl Snapshot<'_> {
    /// The newest revision in this view; 0 when nothing ever changed.
    pub fn revision(&self) -> Result<u64, StoreError> {
        self.count("SELECT max(revision) FROM change_log", &[])
    }

    /// The changes after `revision`, oldest first, at most `limit`.
    pub fn changes_since(&self, revision: u64, limit: usize) -> Result<Changes, StoreError> {
        let up_to = self.count("SELECT up_to FROM change_log_trim", &[])?;
        if revision < up_to {
            return Ok(Changes::Trimmed { up_to });
        }
        let page = self.query(
            "SELECT revision, resource, id, op, extra FROM change_log WHERE revision > ?1 ORDER BY revision LIMIT ?2",
            params![revision, limit],
            |row| {
                Ok(Change {
                    revision: row.get(0)?,
                    resource: row.get(1)?,
                    id: row.get(2)?,
                    op: row.parse(3)?,
                    extra: row.parse_opt(4)?,
                })
            },
        )?;
        Ok(Changes::Page(page))
    }
}
