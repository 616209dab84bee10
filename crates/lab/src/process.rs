//! Who a process is: its pid together with its start time (pids are used again), the namespaces it lives in, and the mark
//! of the lab in its environment. Whatever is to be ended is asked for all this first: a stranger is never killed.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// Environment variable by which every process of a lab is known; its value is the lab's random id.
pub(crate) const MARK: &str = "NEUTRONIUM_LAB_ID";

/// One process, not merely one pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessId {
    /// Its pid.
    pub pid: i32,
    /// When it started, in clock ticks since boot (field 22 of `/proc/PID/stat`, proc(5)).
    pub started: u64,
}

impl ProcessId {
    /// The process that has this pid now.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        let (state, started) = stat(pid)?;
        (state != 'Z').then_some(Self { pid, started })
    }

    /// The calling process.
    pub(crate) fn own() -> Option<Self> {
        Self::of(i32::try_from(std::process::id()).ok()?)
    }

    /// Whether it still lives.
    pub(crate) fn lives(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Sends a signal if it still lives; whether it did.
    pub(crate) fn signal(self, signal: Signal) -> bool {
        self.lives() && kill(Pid::from_raw(self.pid), signal).is_ok()
    }

    /// Resident memory in KiB.
    pub(crate) fn resident_kib(self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix(" kB")?.trim().parse().ok()
    }
}

/// State and start time out of `/proc/PID/stat`; the name in parentheses may hold anything, so count from its end.
fn stat(pid: i32) -> Option<(char, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let started = fields.nth(18)?.parse().ok()?;
    Some((state, started))
}

/// A namespace's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NamespaceId {
    device: u64,
    inode: u64,
}

impl NamespaceId {
    /// Of the namespace that this file (in `/proc/PID/ns` or `/run/netns`) stands for.
    pub(crate) fn of(path: impl AsRef<Path>) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self { device: metadata.dev(), inode: metadata.ino() })
    }
}

/// By what the processes of a lab are known.
#[derive(Debug, Default)]
pub(crate) struct Belonging {
    /// The lab's random id, as its processes carry it in [`MARK`].
    pub(crate) mark: String,
    /// Network and mount namespaces of its nodes.
    pub(crate) namespaces: BTreeSet<NamespaceId>,
}

impl Belonging {
    /// Everything that lives in one of the namespaces or carries the mark, without the caller itself.
    pub(crate) fn processes(&self) -> Vec<ProcessId> {
        let own = std::process::id();
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
            .filter(|pid| u32::try_from(*pid) != Ok(own))
            .filter(|pid| self.owns(*pid))
            .filter_map(ProcessId::of)
            .collect()
    }

    fn owns(&self, pid: i32) -> bool {
        ["net", "mnt"].iter().any(|kind| {
            NamespaceId::of(format!("/proc/{pid}/ns/{kind}")).is_some_and(|id| self.namespaces.contains(&id))
        }) || self.marked(pid)
    }

    fn marked(&self, pid: i32) -> bool {
        let wanted = format!("{MARK}={}", self.mark);
        !self.mark.is_empty()
            && fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_with_another_start_time_is_a_stranger() {
        let own = ProcessId::own().unwrap();
        assert!(own.lives());
        let stranger = ProcessId { started: own.started.wrapping_add(1), ..own };
        assert!(!stranger.lives());
        assert!(!stranger.signal(Signal::SIGKILL), "we would not be here");
    }

    #[test]
    fn the_mark_finds_a_process_and_an_empty_one_finds_none() {
        let mark = format!("test-{}", std::process::id());
        let mut child = std::process::Command::new("sleep").arg("60").env(MARK, &mark).spawn().unwrap();
        let belonging = Belonging { mark, ..Belonging::default() };
        // The environment shows a moment after the start.
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        let mut found = belonging.processes();
        while found.is_empty() && std::time::Instant::now() < until {
            found = belonging.processes();
        }
        let none = Belonging::default().processes();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(found.iter().map(|p| p.pid).collect::<Vec<_>>(), [i32::try_from(child.id()).unwrap()]);
        assert_eq!(none, []);
    }
}
