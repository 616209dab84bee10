//! One agent per host: whoever works on the host, or undoes its work, holds `agent.lock` in the agent's folder. The kernel lets
//! go of it when the process ends, however it ends.

use crate::AgentError;
use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

/// A process that was killed may take a moment to be gone.
const PATIENCE: Duration = Duration::from_secs(2);

/// Held until dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: Flock<File>,
}

impl Lock {
    /// Takes it, or says that an agent runs.
    pub(crate) fn take(state_dir: &Path) -> Result<Self, AgentError> {
        let path = state_dir.join("agent.lock");
        let failed = |source| AgentError::WriteFile { path: path.clone(), source };
        std::fs::create_dir_all(state_dir).map_err(failed)?;
        let mut file = File::create(&path).map_err(failed)?;
        let until = Instant::now() + PATIENCE;
        loop {
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(held) => return Ok(Self { _file: held }),
                Err((back, nix::Error::EWOULDBLOCK)) if Instant::now() < until => {
                    file = back;
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err((_, nix::Error::EWOULDBLOCK)) => return Err(AgentError::AnotherRuns { path }),
                Err((_, error)) => return Err(failed(error.into())),
            }
        }
    }
}

/// Whether an agent holds it.
pub(crate) fn is_held(state_dir: &Path) -> bool {
    let Ok(file) = File::open(state_dir.join("agent.lock")) else { return false };
    // Let go of at once: an agent that starts just now tries for a while.
    matches!(Flock::lock(file, FlockArg::LockSharedNonblock), Err((_, nix::Error::EWOULDBLOCK)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_held(folder.path()));
        let first = Lock::take(folder.path()).unwrap();
        assert!(is_held(folder.path()));
        let refused = Lock::take(folder.path()).unwrap_err();
        assert!(matches!(refused, AgentError::AnotherRuns { .. }), "{refused}");
        drop(first);
        assert!(!is_held(folder.path()));
        Lock::take(folder.path()).unwrap();
    }
}
