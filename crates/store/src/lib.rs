//! Migrations, the unit of work with group commit, the change log; SQLite.
