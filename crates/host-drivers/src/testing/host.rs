//! A host of a test's own, without a switch.

use crate::DriverError;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

/// Runs `work` on a runtime whose threads all live in network and mount namespaces made for it, with a `/run`, and thus
/// named namespaces, of its own: [`Place::Host`](crate::Place::Host) is there. Nothing of the machine's is touched, and
/// everything goes with the test's process or thread.
pub fn in_a_host_of_its_own<F: Future<Output = ()>>(work: impl FnOnce() -> F) -> Result<(), DriverError> {
    const NONE: Option<&str> = None;
    let failed = |error: nix::Error| super::failed("unshare", error.into());
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).map_err(failed)?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE).map_err(failed)?;
    for (folder, kind) in [("/run", "tmpfs"), ("/sys", "sysfs")] {
        mount(Some(kind), folder, Some(kind), MsFlags::empty(), NONE).map_err(failed)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| super::failed("tokio", error))?.block_on(work());
    Ok(())
}
