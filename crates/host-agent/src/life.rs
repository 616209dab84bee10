//! Whether the agent of a host answers: a socket in the agent's folder, on which it says how far it is.
//!
//! ```text
//! agent  agent.sock (0600) ── each connection: one line of JSON, then closed ──▶ audit
//! ```
//! The lock (`lock`) only tells that there is a process. One that is stopped or stuck holds it as well, and mends nothing:
//! the kernel accepts a connection for it, but nobody ever writes. So whoever asks waits for the line, and not for long.
//!
//! In: the board, the newest view, the folder. Out: the line; [`AgentState`] for those who ask.

use crate::board::{Board, combine};
use crate::known::KnownView;
use crate::{AgentError, lock};
use serde::{Deserialize, Serialize};
use std::fs::{File, Permissions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

const FILE: &str = "agent.sock";
/// How long an agent may take to answer. It does nothing else for it than write a line.
const PATIENCE: Duration = Duration::from_secs(2);
/// Pause after a connection that could not be taken.
const PAUSE: Duration = Duration::from_millis(100);

/// Whether somebody cares for a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum AgentState {
    /// It answers.
    Answers {
        /// Its process.
        pid: u32,
        /// Revision of the newest view that it has heard of; 0: none yet.
        known: u64,
        /// Revision that it has realised in every layer; 0: none yet.
        realised: u64,
    },
    /// It runs, and does not answer: it is stopped, stuck, or only just starting.
    Silent,
    /// It does not run.
    Absent,
}

impl AgentState {
    /// Whether it answers.
    pub fn answers(&self) -> bool {
        matches!(self, Self::Answers { .. })
    }

    /// What is the matter, as the end of a sentence that begins with "the agent of this host"; none: nothing is.
    pub fn complaint(&self) -> Option<&'static str> {
        match self {
            Self::Answers { .. } => None,
            Self::Silent => Some("does not answer, though it runs (is it stopped?)"),
            Self::Absent => Some("does not run"),
        }
    }
}

/// What the agent writes.
#[derive(Serialize, Deserialize)]
struct Said {
    pid: u32,
    known: u64,
    realised: u64,
}

/// A socket's address has room for 107 octets, a folder's name may have more: it is gone to by the open folder.
struct Way {
    _folder: File,
    path: PathBuf,
}

impl Way {
    fn to(state_dir: &Path) -> std::io::Result<Self> {
        let folder = File::open(state_dir)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/{FILE}", folder.as_raw_fd()));
        Ok(Self { _folder: folder, path })
    }
}

/// The socket of an agent that holds the lock; it lets only the same user in.
pub(crate) fn listen(state_dir: &Path) -> Result<UnixListener, AgentError> {
    let listen = || {
        let way = Way::to(state_dir)?;
        // Left by one that is dead.
        match std::fs::remove_file(&way.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&way.path)?;
        std::fs::set_permissions(&way.path, Permissions::from_mode(0o600))?;
        Ok(listener)
    };
    listen().map_err(|source| AgentError::WriteFile { path: state_dir.join(FILE), source })
}

/// Removes what an agent that does not run any more has left.
pub(crate) fn remove(state_dir: &Path) -> Result<(), AgentError> {
    let path = state_dir.join(FILE);
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(AgentError::WriteFile { path, source }),
        _ => Ok(()),
    }
}

/// Answers for as long as it is polled.
pub(crate) async fn run(listener: UnixListener, known: watch::Receiver<Option<KnownView>>, board: Arc<Board>) {
    loop {
        let Ok((mut asker, _)) = listener.accept().await else {
            // Out of file descriptors, most likely.
            sleep(PAUSE).await;
            continue;
        };
        let realised = combine(&board.switch.borrow(), &board.rooms.borrow()).revision;
        let known = known.borrow().as_ref().map_or(0, |known| known.revision);
        let said = Said { pid: std::process::id(), known, realised };
        if let Ok(line) = serde_json::to_vec(&said) {
            // A few octets: they always fit. Who has left already is not missed.
            let _ = timeout(PATIENCE, asker.write_all(&line)).await;
        }
    }
}

/// Asks the agent whose folder this is; at most for two seconds.
pub(crate) async fn ask(state_dir: &Path) -> AgentState {
    if !lock::is_held(state_dir) {
        return AgentState::Absent;
    }
    let heard = async {
        let way = Way::to(state_dir)?;
        let mut agent = UnixStream::connect(&way.path).await?;
        let mut line = vec![];
        agent.read_to_end(&mut line).await?;
        Ok::<Said, std::io::Error>(serde_json::from_slice(&line)?)
    };
    match timeout(PATIENCE, heard).await {
        Ok(Ok(Said { pid, known, realised })) => AgentState::Answers { pid, known, realised },
        Ok(Err(_)) | Err(_) => AgentState::Silent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::Lock;

    #[tokio::test]
    async fn who_holds_the_lock_and_says_nothing_does_not_answer() {
        let folder = tempfile::tempdir().unwrap();
        // Longer than a socket's address may be.
        let state_dir = folder.path().join("x".repeat(120));
        assert_eq!(ask(&state_dir).await, AgentState::Absent);
        let _lock = Lock::take(&state_dir).unwrap();
        assert_eq!(ask(&state_dir).await, AgentState::Silent, "it has only just started");
        let listener = listen(&state_dir).unwrap();
        assert_eq!(ask(&state_dir).await, AgentState::Silent, "the kernel alone has taken the connection");
        let board = Arc::new(Board::new());
        let known = KnownView { revision: 7, view: Arc::default() };
        let known = watch::Sender::new(Some(known));
        let answers = tokio::spawn(run(listener, known.subscribe(), board));
        let expected = AgentState::Answers { pid: std::process::id(), known: 7, realised: 0 };
        assert_eq!(ask(&state_dir).await, expected);
        answers.abort();
        assert!(answers.await.is_err());
        // What one that has died left is no hindrance.
        drop(listen(&state_dir).unwrap());
        assert_eq!(ask(&state_dir).await, AgentState::Silent);
        for _ in 0..2 {
            remove(&state_dir).unwrap();
        }
        assert!(!state_dir.join(FILE).exists());
    }
}
