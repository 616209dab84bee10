//! Which database: the one place that tells SQLite from PostgreSQL.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::postgres::{Follower, Postgres, Target};
use crate::revision::Revision;
use crate::session::Session;
use crate::sqlite::Sqlite;
use crate::{Migration, Observer, Options, StoreError, change_log, tally};

/// Units of work in one COMMIT on PostgreSQL, at most: with more subtransactions than it keeps beside a transaction (64),
/// every snapshot becomes dearer. And other servers wait meanwhile.
const POSTGRES_GROUP: usize = 60;

/// A database that can be opened.
pub(crate) enum Database {
    /// A file, ours alone.
    Sqlite(PathBuf),
    /// A database of a PostgreSQL server, shared.
    Postgres(Arc<Target>),
}

impl Database {
    /// A path, or a URL of PostgreSQL.
    pub(crate) fn of(place: &Path) -> Result<Self, StoreError> {
        match place.to_str().filter(|text| Target::is_meant_by(text)) {
            // The URL itself is not shown: it may hold a password where the parser did not expect one.
            Some(url) => match Target::parse(url) {
                Ok(target) => Ok(Self::Postgres(Arc::new(target))),
                Err(reason) => Err(StoreError::Open { path: "postgresql://...".to_owned(), source: reason.into() }),
            },
            None => Ok(Self::Sqlite(place.to_path_buf())),
        }
    }

    /// Whether it is reached over a connection.
    pub(crate) fn is_remote(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    pub(crate) fn open_writer(&self, options: &Options) -> Result<Box<dyn Session + Send>, StoreError> {
        match self {
            Self::Sqlite(path) => {
                let mut session = Sqlite::open_writer(path)?;
                session.observe(options.observe.clone());
                if let Some(pages) = options.max_pages {
                    session.limit_pages(pages)?;
                }
                Ok(Box::new(session))
            }
            Self::Postgres(target) => match Postgres::open_writer(target) {
                Err(StoreError::Disconnected { source }) => Err(StoreError::Open { path: self.to_string(), source }),
                other => Ok(Box::new(other?)),
            },
        }
    }

    pub(crate) fn open_reader(&self, observe: Option<Observer>) -> Result<Box<dyn Session + Send>, StoreError> {
        Ok(match self {
            Self::Sqlite(path) => {
                let mut session = Sqlite::open_reader(path)?;
                session.observe(observe);
                Box::new(session)
            }
            Self::Postgres(target) => Box::new(Postgres::open_reader(target)?),
        })
    }

    /// Follows the changes of other servers, where there can be others.
    pub(crate) fn follow(&self, revision: &Arc<Revision>) -> Result<Option<Follower>, StoreError> {
        let Self::Postgres(target) = self else { return Ok(None) };
        let revision = Arc::clone(revision);
        Follower::start(Arc::clone(target), Arc::new(move |newest| revision.publish(newest))).map(Some)
    }

    /// The store's own tables, in the words of this database.
    pub(crate) fn migrations(&self) -> &'static [Migration] {
        match self {
            Self::Sqlite(_) => &[change_log::MIGRATION, tally::MIGRATION, change_log::WITHOUT_SEQUENCE],
            Self::Postgres(_) => &[change_log::MIGRATION_POSTGRES, tally::MIGRATION, change_log::MARK_POSTGRES],
        }
    }

    pub(crate) fn max_group(&self, options: &Options) -> usize {
        let most = if self.is_remote() { POSTGRES_GROUP } else { usize::MAX };
        options.max_group.clamp(1, most)
    }
}

/// For people: never with a password.
impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "{}", path.display()),
            Self::Postgres(target) => write!(f, "{target}"),
        }
    }
}
