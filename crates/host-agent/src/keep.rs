//! The last known view on disk, so that a host that starts while the server is away still becomes what it was.
//!
//! Written whole and put in place by a rename: a file that can be read is always one that was meant.

use crate::AgentError;
use crate::known::KnownView;
use host_view::HostView;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Who realises a change goes first: writing a large view takes a processor for some milliseconds.
const BEHIND: Duration = Duration::from_millis(100);
/// At most one write in this time: a burst of changes costs one write at its start and one at its end.
const PAUSE: Duration = Duration::from_millis(500);
const FILE: &str = "view.json";

/// The file's content.
#[derive(Serialize, Deserialize)]
struct Kept<V> {
    revision: u64,
    view: V,
}

/// What was kept; none when there is nothing, or nothing that can be read (which is said in the log).
pub(crate) fn load(state_dir: &Path) -> Option<KnownView> {
    let path = state_dir.join(FILE);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "the last known view cannot be read");
            return None;
        }
    };
    match serde_json::from_slice::<Kept<HostView>>(&bytes) {
        Ok(Kept { revision, view }) => Some(KnownView { revision, view: Arc::new(view) }),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "the last known view is of another version, or damaged");
            None
        }
    }
}

/// Writes a view.
pub(crate) fn save(state_dir: &Path, known: &KnownView) -> Result<(), AgentError> {
    let path = state_dir.join(FILE);
    let new = state_dir.join(format!("{FILE}.new"));
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(state_dir)?;
        let mut file = std::fs::File::create(&new)?;
        file.write_all(&serde_json::to_vec(&Kept { revision: known.revision, view: &*known.view })?)?;
        file.sync_all()?;
        std::fs::rename(&new, &path)
    };
    write().map_err(|source| AgentError::WriteFile { path: path.clone(), source })
}

/// Forgets what was kept.
pub(crate) fn remove(state_dir: &Path) -> Result<(), AgentError> {
    let path = state_dir.join(FILE);
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(AgentError::WriteFile { path, source }),
        _ => Ok(()),
    }
}

/// Keeps what is published, until the publisher is gone.
pub(crate) async fn run(state_dir: PathBuf, mut known: watch::Receiver<Option<KnownView>>) {
    let mut written: Option<Arc<HostView>> = None;
    while known.changed().await.is_ok() {
        // But the first one of all at once: until then there is nothing to go by.
        if written.is_some() {
            tokio::time::sleep(BEHIND).await;
        }
        let Some(current) = known.borrow_and_update().clone() else { continue };
        // A newer revision of the same view is not worth a write: the server says it again.
        if written.as_ref().is_some_and(|written| Arc::ptr_eq(written, &current.view)) {
            continue;
        }
        written = Some(current.view.clone());
        let directory = state_dir.clone();
        match tokio::task::spawn_blocking(move || save(&directory, &current)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error = &error as &dyn std::error::Error, "the view is not kept"),
            // The runtime is ending.
            Err(_) => return,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_and_damage_is_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let state_dir = directory.path().join("not yet there");
        assert_eq!(load(&state_dir), None);
        let known = KnownView { revision: 9, view: Arc::default() };
        save(&state_dir, &known).unwrap();
        assert_eq!(load(&state_dir), Some(known));
        std::fs::write(state_dir.join(FILE), "{\"revision\": 9, \"vi").unwrap();
        assert_eq!(load(&state_dir), None);
    }
}
