//! The schema's history: each crate contributes its own migrations, each is applied once, in the order given.

use crate::error::Cause;
use crate::session::Tx;
use crate::{StoreError, params};

/// One step of the schema. Once released, its text never changes: a correction is a further migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// Unique over all crates, crate first: `identity/0001-base`.
    pub name: &'static str,
    /// Statements separated by `;`.
    pub sql: &'static str,
}

/// The store's own table of applied migrations; made outside the mechanism that it serves.
pub(crate) const BOOTSTRAP: &str = "CREATE TABLE IF NOT EXISTS schema_migration (
    name TEXT PRIMARY KEY NOT NULL,
    sql TEXT NOT NULL,
    applied_at BIGINT NOT NULL
)";

/// Applies what is missing of `migrations`; refuses a changed text. Names of those that were applied now.
pub(crate) fn apply(
    tx: &Tx<'_>,
    migrations: &[Migration],
    now: jiff::Timestamp,
) -> Result<Vec<&'static str>, StoreError> {
    let mut applied = Vec::new();
    for migration in migrations {
        let known =
            tx.query_opt("SELECT sql FROM schema_migration WHERE name = ?1", params![migration.name], |row| {
                row.get::<String>(0)
            })?;
        match known {
            Some(sql) if sql == migration.sql => {}
            Some(_) => return Err(StoreError::MigrationChanged { name: migration.name.to_owned() }),
            None => {
                let failed = |source: StoreError| StoreError::Migrate {
                    name: migration.name.to_owned(),
                    source: Box::new(source) as Cause,
                };
                tx.session.script(migration.sql).map_err(failed)?;
                tx.execute(
                    "INSERT INTO schema_migration (name, sql, applied_at) VALUES (?1, ?2, ?3)",
                    params![migration.name, migration.sql, now],
                )?;
                applied.push(migration.name);
            }
        }
    }
    Ok(applied)
}
