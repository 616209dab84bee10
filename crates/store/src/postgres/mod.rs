//! PostgreSQL behind the `Session` trait: connections, transactions, what happens when the database goes away.
//!
//! * **One writer at a time, over all servers.** A writing transaction begins by taking an advisory lock that it holds until
//!   COMMIT (`docs/adr`). So a unit of work sees and does exactly what it would on SQLite, and revisions are numbered in the
//!   order in which they become visible. Group commit makes up for it: one lock and one COMMIT carry many units.
//! * **Control statements travel with what follows.** BEGIN, SAVEPOINT and RELEASE are kept back and sent together with the
//!   next statement, so that they cost no waiting of their own.
//! * **No logged write is left in doubt.** When the connection breaks during COMMIT, the database is asked, once it is back, what
//!   became of the transaction, by the number that it gave it. After a crash it may have given that number to another one, and
//!   the revision as well; so what proves the commit is the newest entry of the change log, by its mark.

mod channel;
mod follow;
mod link;
mod meaning;
mod statements;
mod target;
mod wire;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use follow::Follower;
pub(crate) use target::Target;

use crate::session::{RowVisitor, Session};
use crate::tally::Tally;
use crate::value::Row;
use crate::{StoreError, Value};
use link::{Link, Reply};
use meaning::{TextRow, is_passing, statement_error};

/// Key of the lock that a writing transaction holds (`pg_locks.objid`). Any number would do, but all servers must agree.
const WRITERS_LOCK: i64 = 0x006e_6575_7472_6f6e;
/// The channel on which committed revisions are announced.
const CHANNEL: &str = "neutronium_changes";
/// How long a write waits for a database that has gone away; later ones fail at once, until it is back.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(100);

/// `invalid_parameter_value`, as `pg_xact_status` says of a number that was not given yet.
const NO_SUCH_TRANSACTION: &str = "22023";

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Writer,
    Reader,
}

/// Where the transaction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// There is none.
    Idle,
    /// Its BEGIN waits to be sent with the first statement.
    Waiting,
    /// It is open.
    Open,
    /// A statement was refused: the database takes nothing but a rollback, whole or to a savepoint.
    Failed,
}

/// One connection with its transaction.
pub(crate) struct Postgres {
    role: Role,
    target: Arc<Target>,
    inner: RefCell<Inner>,
}

struct Inner {
    /// `None` when the connection was lost.
    link: Option<Link>,
    state: State,
    /// Control statements to be sent before the next one, each with its `;`.
    pending: String,
    /// The number of the open transaction, by which its fate can be asked.
    transaction: Option<String>,
    /// The entries of the change log that it has made, also those that were undone since: revision and mark.
    marks: Vec<(u64, String)>,
    lost_at: Option<Instant>,
}

impl Postgres {
    /// The connection of this server's writer; refuses a database that would not keep our promises.
    pub(crate) fn open_writer(target: &Arc<Target>) -> Result<Self, StoreError> {
        let session = Self::open(target, Role::Writer)?;
        session.check()?;
        Ok(session)
    }

    /// A connection for readers: the database itself refuses writes through it.
    pub(crate) fn open_reader(target: &Arc<Target>) -> Result<Self, StoreError> {
        Self::open(target, Role::Reader)
    }

    fn open(target: &Arc<Target>, role: Role) -> Result<Self, StoreError> {
        let link = connect(target, role).map_err(disconnected)?;
        let inner = Inner {
            link: Some(link),
            state: State::Idle,
            pending: String::new(),
            transaction: None,
            marks: Vec::new(),
            lost_at: None,
        };
        Ok(Self { role, target: Arc::clone(target), inner: RefCell::new(inner) })
    }

    /// Texts must sort by their bytes, as on SQLite: lists, pages and ranges of keys rely on it. Tried rather than asked for: a
    /// collation has many names.
    fn check(&self) -> Result<(), StoreError> {
        let mut found = (0_i64, String::new(), 0_i64);
        self.begin_read()?;
        self.query(
            "SELECT current_setting('server_version_num')::bigint, current_setting('server_encoding'),
                    CASE WHEN 'B' < 'a' AND 'Z' < '_' AND 'z' < '\u{e9}' AND 'a b' < 'aa' THEN 1 ELSE 0 END",
            &[],
            true,
            &mut |row| {
                found = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(true)
            },
        )?;
        self.rollback()?;
        let (version, encoding, by_bytes) = found;
        let complaint = if version < 130_000 {
            format!("PostgreSQL 13 or newer is needed, this is {}", version / 10_000)
        } else if encoding != "UTF8" || by_bytes == 0 {
            "its encoding must be UTF-8 and its collation C; make it with: CREATE DATABASE ... TEMPLATE template0 \
             ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
                .to_owned()
        } else {
            return Ok(());
        };
        Err(StoreError::Open { path: self.target.to_string(), source: complaint.into() })
    }
}

fn connect(target: &Target, role: Role) -> std::io::Result<Link> {
    let mut link = Link::connect(target)?;
    if role == Role::Writer {
        // What was answered must be on the disk. Stronger settings of the operator's (remote_apply) stay.
        let reply = link.simple(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
        )?;
        if let Some(refusal) = reply.refused {
            return Err(std::io::Error::other(refusal));
        }
    }
    Ok(link)
}

fn disconnected(source: std::io::Error) -> StoreError {
    StoreError::Disconnected { source: Box::new(source) }
}

/// A connection for what is not a unit of work: making and removing databases of tests.
#[cfg(any(test, feature = "testing"))]
pub(crate) struct Administration(Link);

#[cfg(any(test, feature = "testing"))]
#[allow(clippy::unwrap_used)]
impl Administration {
    pub(crate) fn connect(url: &str) -> Self {
        Self(Link::connect(&Target::parse(url).unwrap()).unwrap())
    }
    /// Runs statements that give nothing; panics when they are refused.
    pub(crate) fn run(&mut self, sql: &str) {
        let reply = self.0.simple(sql).unwrap();
        assert!(reply.refused.is_none(), "{sql}: {:?}", reply.refused);
    }
}

impl Inner {
    fn lose(&mut self) {
        self.link = None;
        self.state = State::Idle;
        self.pending.clear();
    }

    /// One statement, after what is pending.
    fn exchange(&mut self, sql: &str, params: &[Value<'_>], first: bool) -> Result<Reply, StoreError> {
        match self.state {
            State::Failed => return Err(StoreError::Transaction { source: "an earlier statement was refused".into() }),
            State::Idle => return Err(StoreError::Transaction { source: "the transaction has ended".into() }),
            State::Waiting | State::Open => {}
        }
        let Some(link) = &mut self.link else {
            return Err(StoreError::Transaction { source: "the connection is lost".into() });
        };
        let (control, reply) = match link.run(&self.pending, sql, params, first) {
            Ok(replies) => replies,
            Err(error) => {
                self.lose();
                return Err(disconnected(error));
            }
        };
        let began = self.state == State::Waiting;
        self.state = State::Open;
        if let Some(control) = control {
            let text = std::mem::take(&mut self.pending);
            if let Some(refusal) = control.refused {
                // The lock was not to be had, or a savepoint is not there: nothing can be built on this transaction.
                self.end();
                return Err(statement_error(&text, refusal));
            }
            if began {
                self.transaction = control.last_text();
            }
        }
        match &reply.refused {
            None => Ok(reply),
            Some(refusal) => {
                self.state = State::Failed;
                if is_passing(refusal) {
                    self.end();
                }
                Err(statement_error(sql, refusal.clone()))
            }
        }
    }

    /// Rolls back; a connection that does not even do that is given up, which rolls back too.
    fn end(&mut self) {
        let begun = matches!(self.state, State::Open | State::Failed);
        self.pending.clear();
        self.state = State::Idle;
        if begun && let Some(link) = &mut self.link {
            match link.simple("ROLLBACK") {
                Ok(reply) if reply.refused.is_none() => {}
                _ => self.lose(),
            }
        }
    }

    /// Makes sure that there is a connection, waiting a while for a database that is being restarted.
    fn connected(&mut self, target: &Target, role: Role) -> Result<&mut Link, StoreError> {
        if self.link.as_mut().is_some_and(|link| !link.is_quiet()) {
            self.lose();
        }
        if self.link.is_none() {
            let since = *self.lost_at.get_or_insert_with(Instant::now);
            self.link = Some(loop {
                match connect(target, role) {
                    Ok(link) => break link,
                    Err(error) if since.elapsed() >= PATIENCE => return Err(disconnected(error)),
                    Err(_) => std::thread::sleep(PAUSE),
                }
            });
            tracing::info!(database = %target, "connected to the database again");
        }
        self.lost_at = None;
        self.link.as_mut().ok_or_else(|| StoreError::Transaction { source: "the connection is lost".into() })
    }

    /// The mark of what this transaction has logged last under a revision.
    fn mark_of(&self, revision: Option<u64>) -> Option<(u64, String)> {
        self.marks.iter().rev().find(|(logged, _)| Some(*logged) == revision).cloned()
    }

    /// Asks what became of a transaction whose COMMIT was not answered; `mark`: of its newest entry of the change log.
    fn fate(
        &mut self,
        target: &Target,
        number: &str,
        mark: Option<(u64, String)>,
        cause: std::io::Error,
    ) -> Result<(), StoreError> {
        tracing::warn!(error = %cause, "the connection to the database was lost while committing");
        let unknown = |cause| Err(StoreError::Unknown { source: Box::new(cause) });
        let since = Instant::now();
        loop {
            let Ok(link) = self.connected(target, Role::Writer) else { return unknown(cause) };
            // The number and the mark are the database's own texts.
            let asked = link.simple(&format!("SELECT pg_xact_status('{number}'::xid8)")).and_then(|reply| {
                // "In the future": a crash has taken it, and nobody has been given the number since.
                let never = reply.refused.as_ref().is_some_and(|refusal| refusal.code == NO_SUCH_TRANSACTION);
                let status = if never { Some("aborted".to_owned()) } else { reply.last_text() };
                let kept = match (status.as_deref(), &mark) {
                    // In a statement of its own: one that began before the commit would not see what it kept.
                    (Some("committed"), Some((revision, mark))) => Some(link.simple(&format!(
                        "SELECT count(*) FROM change_log WHERE revision = {revision} AND mark = '{mark}'"
                    ))?),
                    _ => None,
                };
                Ok((status, kept.and_then(|reply| reply.last_text())))
            });
            match asked {
                Ok((status, kept)) => match (status.as_deref(), kept.as_deref()) {
                    (Some("committed"), Some("1")) => return Ok(()),
                    // It was another transaction that has the number now.
                    (Some("committed"), Some("0")) | (Some("aborted"), _) => return Err(disconnected(cause)),
                    (Some("in progress"), _) if since.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
                    _ => return unknown(cause),
                },
                Err(_) if since.elapsed() < PATIENCE => self.lose(),
                Err(_) => return unknown(cause),
            }
        }
    }
}

impl Session for Postgres {
    fn execute(&self, sql: &str, params: &[Value<'_>]) -> Result<usize, StoreError> {
        let reply = self.inner.borrow_mut().exchange(sql, params, false)?;
        // `INSERT 0 5`, `UPDATE 3`.
        Ok(reply.tag.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0))
    }

    fn query(&self, sql: &str, params: &[Value<'_>], first: bool, each: RowVisitor<'_>) -> Result<(), StoreError> {
        // The whole answer is here before the first row is shown: what is shown it may ask the database in its turn.
        let reply = self.inner.borrow_mut().exchange(sql, params, first)?;
        let mut read = TextRow::new(reply.columns.as_deref().unwrap_or(&[]));
        for body in &reply.rows {
            if !each(&Row::new(&read(body)?))? {
                break;
            }
        }
        Ok(())
    }

    fn append(&self, entry: &[Value<'_>]) -> Result<u64, StoreError> {
        let (mut revision, mut mark) = (0, String::new());
        self.query(
            "INSERT INTO change_log (revision, resource, id, op, extra)
             SELECT coalesce(max(revision), 0) + 1, CAST(?1 AS TEXT), CAST(?2 AS TEXT), CAST(?3 AS TEXT), CAST(?4 AS TEXT)
             FROM change_log RETURNING revision, mark::text",
            entry,
            true,
            &mut |row| {
                (revision, mark) = (row.get(0)?, row.get(1)?);
                Ok(false)
            },
        )?;
        self.inner.borrow_mut().marks.push((revision, mark));
        Ok(revision)
    }

    fn script(&self, sql: &str) -> Result<(), StoreError> {
        let mut inner = self.inner.borrow_mut();
        // Brings what is pending out of the way, and with it the question whether the transaction stands.
        inner.exchange("SELECT 1", &[], true)?;
        let Some(link) = &mut inner.link else {
            return Err(StoreError::Transaction { source: "the connection is lost".into() });
        };
        match link.simple(sql) {
            Ok(Reply { refused: None, .. }) => Ok(()),
            Ok(Reply { refused: Some(refusal), .. }) => {
                inner.state = State::Failed;
                Err(statement_error(sql, refusal))
            }
            Err(error) => {
                inner.lose();
                Err(disconnected(error))
            }
        }
    }

    fn mark(&self, sql: &str) -> Result<(), StoreError> {
        let mut inner = self.inner.borrow_mut();
        if inner.state == State::Failed && sql.starts_with("ROLLBACK TO") {
            inner.state = State::Open;
        }
        match inner.state {
            State::Waiting | State::Open => {
                inner.pending.push_str(sql);
                inner.pending.push(';');
                Ok(())
            }
            State::Idle | State::Failed => {
                Err(StoreError::Transaction { source: "the transaction has ended or failed".into() })
            }
        }
    }

    fn begin(&self) -> Result<(), StoreError> {
        let mut inner = self.inner.borrow_mut();
        inner.connected(&self.target, self.role)?;
        inner.transaction = None;
        inner.marks.clear();
        inner.state = State::Waiting;
        // After the lock every statement sees all that was committed before it was ours (READ COMMITTED).
        inner.pending = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED;SELECT pg_advisory_xact_lock({WRITERS_LOCK});\
             SELECT pg_current_xact_id()::text;"
        );
        Ok(())
    }

    fn begin_read(&self) -> Result<(), StoreError> {
        let mut inner = self.inner.borrow_mut();
        inner.state = State::Waiting;
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;".clone_into(&mut inner.pending);
        Ok(())
    }

    fn commit(&self, logged: Option<u64>) -> Result<(), StoreError> {
        let mut inner = self.inner.borrow_mut();
        let state = std::mem::replace(&mut inner.state, State::Idle);
        let mut text = std::mem::take(&mut inner.pending);
        match state {
            State::Idle => return Err(StoreError::Transaction { source: "the transaction has ended".into() }),
            // Nothing was asked of the database, not even to begin.
            State::Waiting => return Ok(()),
            State::Open | State::Failed => {}
        }
        let Some(link) = &mut inner.link else {
            return Err(StoreError::Transaction { source: "the connection is lost".into() });
        };
        if self.role == Role::Reader {
            // Nobody waits for the end of a snapshot.
            return link.send("COMMIT").map_err(|error| {
                inner.lose();
                disconnected(error)
            });
        }
        if let Some(revision) = logged {
            text.push_str(&format!("SELECT pg_notify('{CHANNEL}','{revision}');"));
        }
        text.push_str("COMMIT");
        let reply = match link.simple(&text) {
            Ok(reply) => reply,
            Err(error) => {
                inner.lose();
                let mark = inner.mark_of(logged);
                return match inner.transaction.take() {
                    Some(number) => inner.fate(&self.target, &number, mark, error),
                    None => Err(StoreError::Unknown { source: Box::new(error) }),
                };
            }
        };
        if reply.status != b'I' {
            inner.state = State::Failed;
        }
        match reply.refused {
            Some(refusal) => Err(match statement_error("COMMIT", refusal) {
                kept @ (StoreError::Busy | StoreError::Full | StoreError::ForeignKeyViolation) => kept,
                other => StoreError::Transaction { source: Box::new(other) },
            }),
            // How PostgreSQL answers COMMIT when a statement of the transaction had been refused.
            None if reply.tag == "ROLLBACK" => {
                Err(StoreError::Transaction { source: "an earlier statement was refused".into() })
            }
            None => Ok(()),
        }
    }

    fn rollback(&self) -> Result<(), StoreError> {
        self.inner.borrow_mut().end();
        Ok(())
    }

    fn in_transaction(&self) -> bool {
        self.inner.borrow().state != State::Idle
    }

    fn why_ended(&self) -> StoreError {
        if self.inner.borrow().link.is_none() {
            StoreError::Disconnected { source: "the connection was lost".into() }
        } else {
            StoreError::Busy
        }
    }

    fn has_failed(&self) -> bool {
        self.inner.borrow().state == State::Failed
    }

    fn tally_script(&self, tally: &Tally) -> String {
        tally.postgres()
    }

    fn is_usable(&self) -> bool {
        self.inner.borrow_mut().link.as_mut().is_some_and(Link::is_quiet)
    }
}
