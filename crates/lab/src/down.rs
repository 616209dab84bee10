//! Takes a lab down, also one that crashed half way up: ends its supervisors, then whatever still carries its mark or lives
//! in its namespaces, removes its folder, and puts the machine back. Namespaces, mounts and devices go with their processes.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::error::Intent;
use crate::machine::{self, Lock};
use crate::process::{Belonging, ProcessId};
use crate::record::{self, Node};
use crate::{Error, Lab, Paths, Result};

/// Supervisors end their processes in turn, each within seconds.
const GRACE: Duration = Duration::from_secs(15);

/// What `down` found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// There was no such lab.
    Nothing,
    /// It is gone.
    Lab {
        /// Processes beside the supervisors' own that had to be ended.
        stragglers: usize,
    },
}

/// Takes the lab down. Not there: says so.
pub fn down(paths: &Paths) -> Result<Removed> {
    if !paths.state().exists() && !paths.lock().exists() {
        return Ok(Removed::Nothing);
    }
    let lock = Lock::take(paths)?;
    let removed = if paths.state().exists() { remove(paths)? } else { Removed::Nothing };
    machine::leave(paths)?;
    drop(lock);
    Ok(removed)
}

/// The same without the machine; the caller holds the lock.
pub(crate) fn remove(paths: &Paths) -> Result<Removed> {
    let supervisors: Vec<ProcessId> = nodes(paths).iter().map(|node| node.supervisor).collect();
    let mark = Lab::read(paths).map(|lab| lab.id).unwrap_or_default();
    let belonging = Belonging::find(&mark, &supervisors);
    for supervisor in &supervisors {
        supervisor.signal(Signal::SIGTERM);
    }
    wait_for(&supervisors, GRACE);

    let mut stragglers = BTreeSet::new();
    let mut rest = belonging.processes();
    let until = Instant::now() + GRACE;
    let mut signal = Signal::SIGTERM;
    while !rest.is_empty() {
        if Instant::now() > until {
            let pids: Vec<String> = rest.iter().map(|process| process.pid.to_string()).collect();
            return Err(Error::System {
                what: format!("end the lab's processes {}", pids.join(", ")),
                source: std::io::ErrorKind::TimedOut.into(),
            });
        }
        for process in &rest {
            process.signal(signal);
            stragglers.insert(process.pid);
        }
        wait_for(&rest, Duration::from_secs(1));
        signal = Signal::SIGKILL;
        rest = belonging.processes();
    }
    fs::remove_dir_all(paths.state()).intent(|| format!("remove {}", paths.state().display()))?;
    Ok(Removed::Lab { stragglers: stragglers.len() })
}

fn wait_for(processes: &[ProcessId], patience: Duration) {
    let until = Instant::now() + patience;
    while Instant::now() < until && processes.iter().any(|process| process.lives()) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What every supervisor wrote down, whether or not the lab's own record is readable.
fn nodes(paths: &Paths) -> Vec<Node> {
    let Ok(entries) = fs::read_dir(paths.state().join("nodes")) else { return Vec::new() };
    entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            record::read(&paths.node_record(&name)).ok().flatten()
        })
        .collect()
}
