//! Tallies: how many rows of a table each owner has, kept by the database itself.
//!
//! Counting rows takes longer the more there are; a tally is one row. Triggers keep it in the transaction that adds or
//! removes the rows, so that no code can forget to, not even where one DELETE takes rows of other tables along
//! (`ON DELETE CASCADE`). [`Store::keep_tallies`] makes the triggers at every start and counts anew.
//!
//! Triggers are the one thing that both databases have and write differently: their text is made here, per database.

use crate::session::{Snapshot, Tx};
use crate::{Migration, Store, StoreError, params};

pub(crate) const MIGRATION: Migration = Migration {
    name: "store/0002-tally",
    sql: "CREATE TABLE tally (
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    amount BIGINT NOT NULL,
    PRIMARY KEY (owner, name)
);",
};

/// Rows of `table` are counted by the text in the column `owner`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// What the tally is called (`port`).
    pub name: &'static str,
    /// Whose rows are counted (`ports`).
    pub table: &'static str,
    /// The column that says whose a row is (`project_id`); never NULL.
    pub owner: &'static str,
}

impl Tally {
    fn plus_one(&self, owner: &str) -> String {
        format!(
            "INSERT INTO tally (owner, name, amount) VALUES ({owner}, '{}', 1)
             ON CONFLICT (owner, name) DO UPDATE SET amount = tally.amount + 1;",
            self.name
        )
    }

    fn minus_one(&self, owner: &str) -> String {
        format!("UPDATE tally SET amount = amount - 1 WHERE owner = {owner} AND name = '{}';", self.name)
    }

    /// Makes the triggers anew, in SQLite's words.
    pub(crate) fn sqlite(&self) -> String {
        let Self { table, owner, .. } = self;
        let (new, old) = (format!("NEW.{owner}"), format!("OLD.{owner}"));
        let (plus, minus) = (self.plus_one(&new), self.minus_one(&old));
        format!(
            "DROP TRIGGER IF EXISTS tally_{table}_insert;
             DROP TRIGGER IF EXISTS tally_{table}_delete;
             DROP TRIGGER IF EXISTS tally_{table}_update;
             CREATE TRIGGER tally_{table}_insert AFTER INSERT ON {table} BEGIN {plus} END;
             CREATE TRIGGER tally_{table}_delete AFTER DELETE ON {table} BEGIN {minus} END;
             CREATE TRIGGER tally_{table}_update AFTER UPDATE OF {owner} ON {table} WHEN {old} <> {new}
             BEGIN {minus} {plus} END;"
        )
    }

    /// The same in PostgreSQL's words. The trigger is made only once: removing it would hold up whoever reads the table, on
    /// every server, whenever one of them starts.
    pub(crate) fn postgres(&self) -> String {
        let Self { table, owner, .. } = self;
        let (new, old) = (format!("NEW.{owner}"), format!("OLD.{owner}"));
        let (plus, minus) = (self.plus_one(&new), self.minus_one(&old));
        format!(
            "CREATE OR REPLACE FUNCTION tally_{table}() RETURNS trigger LANGUAGE plpgsql AS $tally$
             BEGIN
                 IF TG_OP <> 'INSERT' THEN {minus} END IF;
                 IF TG_OP <> 'DELETE' THEN {plus} END IF;
                 RETURN NULL;
             END $tally$;
             DO $make$
             BEGIN
                 IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgname = 'tally' AND tgrelid = '{table}'::regclass) THEN
                     CREATE TRIGGER tally AFTER INSERT OR DELETE OR UPDATE OF {owner} ON {table}
                     FOR EACH ROW EXECUTE FUNCTION tally_{table}();
                 END IF;
             END $make$;"
        )
    }
}

impl Store {
    /// Has the database keep these tallies from now on, and sets them right: for the program's start, it counts every row.
    pub fn keep_tallies(&self, tallies: &[Tally]) -> Result<(), StoreError> {
        let tallies = tallies.to_vec();
        self.write_blocking(move |tx| tallies.iter().try_for_each(|tally| tx.keep_tally(tally)))
    }
}

impl Tx<'_> {
    fn keep_tally(&self, tally: &Tally) -> Result<(), StoreError> {
        let Tally { name, table, owner } = tally;
        self.session.script(&self.session.tally_script(tally))?;
        self.execute("DELETE FROM tally WHERE name = ?1", params![*name])?;
        self.execute(
            &format!(
                "INSERT INTO tally (owner, name, amount) SELECT {owner}, ?1, count(*) FROM {table} GROUP BY {owner}"
            ),
            params![*name],
        )?;
        Ok(())
    }
}

impl Snapshot<'_> {
    /// How many rows an owner has; 0 also when nobody keeps that tally.
    pub fn tally(&self, owner: &str, name: &str) -> Result<u64, StoreError> {
        self.count("SELECT amount FROM tally WHERE owner = ?1 AND name = ?2", params![owner, name])
    }
}

#[cfg(test)]
mod tests;
