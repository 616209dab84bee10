//! A node's processes: started, watched, started again after a pause that grows while they keep dying.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::process::Command;
use tokio::sync::mpsc;

use super::Event;
use crate::error::Intent;
use crate::process::ProcessId;
use crate::record::Process;
use crate::{Error, Result};

/// First pause before a dead process is started again.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Who lived that long starts with the shortest pause again.
const HEALTHY: Duration = Duration::from_secs(10);
/// How long a process may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(3);

struct Child {
    state: Process,
    since: Instant,
    pause: Duration,
    /// Was stopped, and is not to be started again by itself.
    held: bool,
}

pub(super) struct Children {
    events: mpsc::UnboundedSender<Event>,
    /// By name, in the order of their start.
    children: BTreeMap<&'static str, Child>,
    order: Vec<&'static str>,
}

impl Children {
    pub(super) fn new(events: mpsc::UnboundedSender<Event>) -> Self {
        Self { events, children: BTreeMap::new(), order: Vec::new() }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.order.iter().copied()
    }

    /// Starts a process and watches it.
    pub(super) fn start(&mut self, name: &'static str, command: &mut Command) -> Result<()> {
        let mut process = command.spawn().intent(|| format!("start {name}"))?;
        let id = process.id().and_then(|pid| i32::try_from(pid).ok()).and_then(ProcessId::of);
        let entry = self.children.entry(name).or_insert_with(|| {
            self.order.push(name);
            Child {
                state: Process { id: None, restarts: 0, last_exit: None },
                since: Instant::now(),
                pause: SHORTEST_PAUSE,
                held: false,
            }
        });
        entry.since = Instant::now();
        entry.held = false;
        entry.state.id = id;
        let events = self.events.clone();
        tokio::spawn(async move {
            let how = match process.wait().await {
                Ok(status) => status.to_string(),
                Err(error) => error.to_string(),
            };
            // A process that was gone before it could be identified still has to be noticed.
            let _ = events.send(Event::Exited { name, id: id.unwrap_or(ProcessId { pid: 0, started: 0 }), how });
        });
        Ok(())
    }

    /// Notes the end of a process and sees to its next start.
    pub(super) fn ended(&mut self, name: &'static str, id: ProcessId, how: String) {
        let Some(child) = self.children.get_mut(name) else { return };
        if child.state.id.is_some_and(|current| current != id) {
            return;
        }
        child.state.id = None;
        child.state.last_exit = Some(how);
        child.state.restarts = child.state.restarts.saturating_add(1);
        if child.since.elapsed() >= HEALTHY {
            child.pause = SHORTEST_PAUSE;
        }
        if child.held {
            return;
        }
        let pause = child.pause;
        child.pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        let events = self.events.clone();
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let _ = events.send(Event::Due(name));
        });
    }

    /// Tells a process to end; its name if there is such a one. Whoever waits for its next start need not wait long.
    pub(super) fn end(&mut self, name: &str, kill: bool) -> Option<&'static str> {
        let (name, child) = self.children.iter_mut().find(|(known, _)| **known == name)?;
        child.pause = SHORTEST_PAUSE;
        if let Some(id) = child.state.id {
            id.signal(if kill { Signal::SIGKILL } else { Signal::SIGTERM });
        }
        Some(name)
    }

    /// Tells a process to end and to stay so; its name, and whether it still runs.
    pub(super) fn stop(&mut self, name: &str) -> Option<(&'static str, bool)> {
        let name = self.end(name, false)?;
        let child = self.children.get_mut(name)?;
        child.held = true;
        Some((name, child.state.id.is_some()))
    }

    /// The name of such a process, and whether it is to be started by whoever asks.
    pub(super) fn is_down(&self, name: &str) -> Option<(&'static str, bool)> {
        let (name, child) = self.children.iter().find(|(known, _)| **known == name)?;
        Some((name, child.state.id.is_none()))
    }

    /// Whether it was stopped.
    pub(super) fn is_held(&self, name: &str) -> bool {
        self.children.get(name).is_some_and(|child| child.held)
    }

    /// Ends all, the last started first, each with time to do it well.
    pub(super) async fn end_all(&mut self) {
        for name in self.order.iter().rev() {
            let Some(id) = self.children.get(name).and_then(|child| child.state.id) else { continue };
            id.signal(Signal::SIGTERM);
            let until = Instant::now() + GRACE;
            while id.lives() && Instant::now() < until {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            if id.signal(Signal::SIGKILL) {
                tracing::warn!(process = name, "did not end in time and was killed");
            }
        }
    }

    /// As the record has it.
    pub(super) fn report(&self) -> BTreeMap<String, Process> {
        self.children.iter().map(|(name, child)| ((*name).to_owned(), child.state.clone())).collect()
    }
}

/// A command whose output goes to the log of that name.
pub(super) fn logged(name: &str, program: &str, arguments: &[String], log_folder: &str) -> Result<Command> {
    let path = format!("{log_folder}/{name}.log");
    let log = std::fs::OpenOptions::new().create(true).append(true).open(&path).intent(|| format!("open {path}"))?;
    let errors = log.try_clone().map_err(|source| Error::System { what: format!("open {path}"), source })?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(std::process::Stdio::null()).stdout(log).stderr(errors).process_group(0);
    Ok(command)
}
