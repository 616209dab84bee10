//! Named network namespaces, as iproute2 keeps them: a bind mount in `/run/netns`.
//!
//! Nothing here forks, and no thread of the async runtime ever changes its namespace: what must happen inside one runs on a
//! thread of its own that ends afterwards. Sockets opened there stay in that namespace and may be used from anywhere.

use crate::DriverError;
use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use tokio::sync::oneshot;

/// Where names of namespaces are files.
const FOLDER: &str = "/run/netns";

/// Where something happens: in the process's own network namespace, or in a named one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// The process's own namespace: the host.
    Host,
    /// A named one.
    Namespace(String),
}

impl Place {
    /// A named namespace.
    pub fn named(name: impl Into<String>) -> Self {
        Self::Namespace(name.into())
    }

    /// The namespace as a file, to move devices into or to enter.
    pub fn open(&self) -> Result<File, DriverError> {
        let path = match self {
            Self::Host => PathBuf::from("/proc/thread-self/ns/net"),
            Self::Namespace(name) => path(name)?,
        };
        File::open(&path).map_err(|source| DriverError::Namespace { name: self.to_string(), what: "open", source })
    }

    /// Runs `work` with the calling thread inside; waits for it.
    ///
    /// For blocking contexts; async code calls [`Place::run`].
    pub fn run_blocking<T, F>(&self, work: F) -> Result<T, DriverError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (answer, answered) = std::sync::mpsc::sync_channel(1);
        self.on_a_thread(work, move |result| drop(answer.send(result)))?;
        answered.recv().unwrap_or_else(|_| Err(self.died()))
    }

    /// Runs `work`, which may block, on a thread inside. The runtime is entered there, so that `work` can register sockets
    /// with it.
    pub async fn run<T, F>(&self, work: F) -> Result<T, DriverError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let runtime = tokio::runtime::Handle::current();
        let inside = move || {
            let _entered = runtime.enter();
            work()
        };
        let (answer, answered) = oneshot::channel();
        self.on_a_thread(inside, move |result| drop(answer.send(result)))?;
        answered.await.unwrap_or_else(|_| Err(self.died()))
    }

    fn on_a_thread<T, F, R>(&self, work: F, answer: R) -> Result<(), DriverError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
        R: FnOnce(Result<T, DriverError>) + Send + 'static,
    {
        let file = match self {
            Self::Host => None,
            Self::Namespace(_) => Some(self.open()?),
        };
        let name = self.to_string();
        let inside = move || {
            let entered = file.map_or(Ok(()), |file| setns(file, CloneFlags::CLONE_NEWNET));
            answer(match entered {
                Ok(()) => Ok(work()),
                Err(source) => Err(DriverError::Namespace { name, what: "enter", source: source.into() }),
            });
        };
        std::thread::Builder::new()
            .name("in-netns".into())
            .spawn(inside)
            .map(drop)
            .map_err(|source| DriverError::Namespace { name: self.to_string(), what: "start a thread in", source })
    }

    fn died(&self) -> DriverError {
        DriverError::Namespace {
            name: self.to_string(),
            what: "work in",
            source: io::Error::other("the thread panicked"),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Host => f.write_str("the host's own"),
            Self::Namespace(name) => f.write_str(name),
        }
    }
}

/// The file of a name; a name that is no plain file name is refused.
fn path(name: &str) -> Result<PathBuf, DriverError> {
    if name.is_empty() || name == "." || name == ".." || name.contains('/') {
        let source = io::Error::from(io::ErrorKind::InvalidInput);
        return Err(DriverError::Namespace { name: name.into(), what: "name", source });
    }
    Ok(Path::new(FOLDER).join(name))
}

/// Names of all namespaces, ours or not.
pub fn list() -> Result<Vec<String>, DriverError> {
    let failed = |source| DriverError::Namespace { name: FOLDER.into(), what: "list", source };
    match fs::read_dir(FOLDER) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed(error)),
        Ok(entries) => entries
            .filter_map(|entry| entry.map(|entry| entry.file_name().into_string().ok()).transpose())
            .collect::<io::Result<_>>()
            .map_err(failed),
    }
}

/// Whether a namespace of that name is there and usable: a file that nothing is mounted on is the rest of a broken attempt.
pub fn exists(name: &str) -> Result<bool, DriverError> {
    let path = path(name)?;
    Ok(nix::sys::statfs::statfs(&path).is_ok_and(|stat| stat.filesystem_type() == nix::sys::statfs::NSFS_MAGIC))
}

/// Makes a namespace, with its loopback device still down; fine when it is there.
pub fn create(name: &str) -> Result<(), DriverError> {
    if exists(name)? {
        return Ok(());
    }
    let failed = |source| DriverError::Namespace { name: name.into(), what: "create", source };
    let path = path(name)?;
    share_folder().map_err(failed)?;
    // A rest of an attempt that broke off is mounted over.
    File::create(&path).map_err(failed)?;
    let target = path.clone();
    let make = move || -> nix::Result<()> {
        unshare(CloneFlags::CLONE_NEWNET)?;
        mount(Some("/proc/thread-self/ns/net"), &target, None::<&str>, MsFlags::MS_BIND, None::<&str>)
    };
    let thread = std::thread::Builder::new().name("new-netns".into()).spawn(make).map_err(failed)?;
    let made = thread.join().unwrap_or(Err(nix::Error::EIO));
    made.map_err(|error| {
        drop(fs::remove_file(&path));
        failed(error.into())
    })
}

/// Removes a namespace and with it every device inside that nothing else holds; fine when it is not there.
pub fn delete(name: &str) -> Result<(), DriverError> {
    let failed = |source| DriverError::Namespace { name: name.into(), what: "delete", source };
    let path = path(name)?;
    match umount2(&path, MntFlags::MNT_DETACH) {
        // EINVAL: nothing is mounted there.
        Ok(()) | Err(nix::Error::EINVAL | nix::Error::ENOENT) => {}
        Err(error) => return Err(failed(error.into())),
    }
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
        _ => Ok(()),
    }
}

/// Makes the folder a shared mount, as iproute2 does, so that namespaces made later are seen, and gone, in other mount
/// namespaces too.
fn share_folder() -> io::Result<()> {
    const NONE: Option<&str> = None;
    fs::create_dir_all(FOLDER)?;
    // Two who do this for the first time must not stack two mounts: the lower one would hide namespaces for ever.
    let _lock =
        Flock::lock(File::open(FOLDER)?, FlockArg::LockExclusive).map_err(|(_, error)| io::Error::from(error))?;
    let share = || mount(NONE, FOLDER, NONE, MsFlags::MS_SHARED | MsFlags::MS_REC, NONE);
    match share() {
        // Not a mount point of its own yet.
        Err(nix::Error::EINVAL) => {
            mount(Some(FOLDER), FOLDER, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE)?;
            share()?;
            Ok(())
        }
        other => other.map_err(io::Error::from),
    }
}
