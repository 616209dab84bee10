//! Who a process is: its pid together with its start time (pids are used again), the namespaces it lives in, and the mark
//! of the lab in its environment. Whatever is to be ended is asked for all this first: a stranger is never killed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// Environment variable by which every process of a lab is known; its value is the lab's random id.
pub(crate) const MARK: &str = "NEUTRONIUM_LAB_ID";

/// The kinds of namespaces by which a process is known to be of a node.
const KINDS: [&str; 2] = ["net", "mnt"];

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
        fs::metadata(path).ok().map(|metadata| Self::seen(&metadata))
    }

    /// Of the namespace that an open file keeps alive.
    fn held_by(file: &File) -> Option<Self> {
        file.metadata().ok().map(|metadata| Self::seen(&metadata))
    }

    fn seen(metadata: &fs::Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// By what the processes of a lab are known.
///
/// The kernel gives a namespace's inode to the next one as soon as it is gone, so each is held open for as long as it is
/// looked for: what is found in it cannot be a stranger's.
#[derive(Debug, Default)]
pub(crate) struct Belonging {
    /// The lab's random id, as its processes carry it in [`MARK`].
    mark: String,
    /// Network and mount namespaces of its nodes.
    namespaces: BTreeMap<NamespaceId, File>,
}

impl Belonging {
    /// What carries `mark` (an empty one is nobody's), and the namespaces that those and `supervisors` live in or have made.
    /// The machine's own namespaces are never among them.
    pub(crate) fn find(mark: &str, supervisors: &[ProcessId]) -> Self {
        let mut found = Self { mark: mark.to_owned(), namespaces: BTreeMap::new() };
        let mut holders: Vec<ProcessId> = supervisors.iter().copied().filter(|process| process.lives()).collect();
        holders.extend(found.processes());
        let machine: Vec<NamespaceId> = ["self", "1"]
            .iter()
            .flat_map(|pid| KINDS.map(|kind| NamespaceId::of(format!("/proc/{pid}/ns/{kind}"))))
            .flatten()
            .collect();
        for holder in holders {
            let folder = format!("/proc/{}", holder.pid);
            let mut paths: Vec<PathBuf> = KINDS.iter().map(|kind| format!("{folder}/ns/{kind}").into()).collect();
            if NamespaceId::of(format!("{folder}/ns/mnt")).is_some_and(|id| !machine.contains(&id)) {
                // Made inside the node: routers, DHCP servers, probes.
                let made = fs::read_dir(format!("{folder}/root/run/netns")).into_iter().flatten();
                paths.extend(made.filter_map(|entry| Some(entry.ok()?.path())));
            }
            for file in paths.into_iter().filter_map(|path| File::open(path).ok()) {
                let Some(id) = NamespaceId::held_by(&file).filter(|id| !machine.contains(id)) else { continue };
                // The pid may have gone to somebody else before the file was opened.
                if holder.lives() {
                    found.namespaces.insert(id, file);
                }
            }
        }
        found
    }

    /// Everything that lives in one of the namespaces or carries the mark, without the caller itself.
    pub(crate) fn processes(&self) -> Vec<ProcessId> {
        let own = std::process::id();
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
            .filter(|pid| u32::try_from(*pid) != Ok(own))
            .filter_map(ProcessId::of)
            .filter(|process| self.owns(process.pid) && process.lives())
            .collect()
    }

    fn owns(&self, pid: i32) -> bool {
        let lives_in = |kind| NamespaceId::of(format!("/proc/{pid}/ns/{kind}"));
        KINDS.iter().filter_map(lives_in).any(|id| self.namespaces.contains_key(&id)) || self.marked(pid)
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
        let belonging = Belonging::find(&mark, &[]);
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
