//! The few things that labs share with the machine: the lock of each lab, and one global sysctl.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use nix::fcntl::{Flock, FlockArg};

use crate::error::Intent;
use crate::paths::labs;
use crate::record::folder;
use crate::{Error, Paths, Result};

/// Where the kernel takes the receive buffer of new sockets from. Open vSwitch's packet sockets need more than its default:
/// a burst through one card would lose frames, and TCP retransmits tens of thousands of segments. Ports come and go as
/// long as a lab is up, so the value stays as long.
const RECEIVE_BUFFER: &str = "/proc/sys/net/core/rmem_default";
const RECEIVE_BUFFER_BYTES: u64 = 8 * 1024 * 1024;

fn former_receive_buffer() -> PathBuf {
    Paths::base().join(".rmem_default")
}

/// The right to change a lab; held until dropped.
pub(crate) struct Lock {
    #[expect(dead_code, reason = "holding it is the purpose")]
    file: Flock<File>,
}

impl Lock {
    /// Takes the lab's lock or says that another command has it.
    pub(crate) fn take(paths: &Paths) -> Result<Self> {
        Self::of(paths.lock(), FlockArg::LockExclusiveNonblock)?.ok_or_else(|| Error::Busy(paths.name().to_string()))
    }

    fn of(path: PathBuf, how: FlockArg) -> Result<Option<Self>> {
        folder(Paths::base())?;
        loop {
            let file = File::create(&path).intent(|| format!("open {}", path.display()))?;
            let Ok(file) = Flock::lock(file, how) else { return Ok(None) };
            // Whoever had it may have removed the file with the lab: then ours is no longer the one others see.
            let ours = file.metadata().map(|metadata| metadata.ino()).ok();
            if fs::metadata(&path).map(|metadata| metadata.ino()).ok() == ours {
                return Ok(Some(Self { file }));
            }
        }
    }
}

/// Called by every lab that comes up.
pub(crate) fn enlarge_receive_buffer() -> Result<()> {
    let _lock = Lock::of(Paths::base().join(".machine.lock"), FlockArg::LockExclusive)?;
    let former = fs::read_to_string(RECEIVE_BUFFER).intent(|| format!("read {RECEIVE_BUFFER}"))?;
    if former.trim().parse::<u64>().is_ok_and(|bytes| bytes >= RECEIVE_BUFFER_BYTES) {
        return Ok(());
    }
    crate::record::write(&former_receive_buffer(), former.trim().as_bytes(), 0o600)?;
    fs::write(RECEIVE_BUFFER, RECEIVE_BUFFER_BYTES.to_string()).intent(|| format!("write {RECEIVE_BUFFER}"))
}

/// Called when a lab's folder is gone: the last one puts the machine back as it was and removes the folder of all labs.
pub(crate) fn leave(paths: &Paths) -> Result<()> {
    let lock = Lock::of(Paths::base().join(".machine.lock"), FlockArg::LockExclusive)?;
    let _ = fs::remove_file(paths.lock());
    if !labs().is_empty() {
        return Ok(());
    }
    if let Ok(former) = fs::read_to_string(former_receive_buffer()) {
        fs::write(RECEIVE_BUFFER, former).intent(|| format!("write {RECEIVE_BUFFER}"))?;
        let _ = fs::remove_file(former_receive_buffer());
    }
    let _ = fs::remove_file(Paths::base().join(".machine.lock"));
    drop(lock);
    // Only if empty: another command may have started meanwhile.
    let _ = fs::remove_dir(Paths::base());
    let _ = Paths::base().parent().map(fs::remove_dir);
    Ok(())
}
