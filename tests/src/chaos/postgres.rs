//! A PostgreSQL of `tools/with-postgres` in place of the server's SQLite, and its death.

use crate::bench::unexpected;
use crate::{Failure, command};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long it may take to die, and to be there again.
const PATIENCE: Duration = Duration::from_secs(60);

/// The PostgreSQL that `tools/with-postgres` started; its database `postgres` is empty.
#[derive(Debug, Clone)]
pub struct Postgres {
    /// `postgresql://...`
    pub url: String,
    /// Its folder.
    pub folder: PathBuf,
}

impl Postgres {
    /// What the environment tells of it; none: nobody started one.
    pub fn from_environment() -> Option<Self> {
        let url = std::env::var("NEUTRONIUM_TEST_POSTGRES").ok()?;
        let folder = std::env::var_os("NEUTRONIUM_TEST_POSTGRES_FOLDER")?.into();
        Some(Self { url, folder })
    }

    /// `kill -9` of all its processes; returns when its successor has taken up the folder.
    pub(super) fn kill(&self) -> Result<(), Failure> {
        let none = || unexpected("postmaster.pid", "no process in it");
        let first = self.first_process().ok_or_else(none)?;
        let again = self.folder.join("again");
        std::fs::write(&again, "").map_err(|error| unexpected(&again.display().to_string(), error))?;
        // The first one would start the others again, and a successor would not start beside them.
        signal("-STOP", first)?;
        let path = format!("/proc/{first}/task/{first}/children");
        let children = std::fs::read_to_string(&path).map_err(|error| unexpected(&path, error))?;
        let children: Vec<u32> = children.split_whitespace().filter_map(|child| child.parse().ok()).collect();
        for child in &children {
            signal("-KILL", *child)?;
        }
        until("its processes are gone", || !children.iter().any(|child| lives(*child)))?;
        signal("-KILL", first)?;
        until("it is there again", || self.first_process().is_some_and(|pid| pid != first))
    }

    fn first_process(&self) -> Option<u32> {
        let text = std::fs::read_to_string(self.folder.join("data/postmaster.pid")).ok()?;
        text.lines().next()?.parse().ok()
    }
}

/// Of one that has ended, and of which its parent does not know yet, there is no program.
fn lives(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).join("exe").read_link().is_ok()
}

fn signal(signal: &str, pid: u32) -> Result<(), Failure> {
    command::run(Command::new("kill").args([signal, &pid.to_string()])).map(drop)
}

fn until(what: &str, mut is: impl FnMut() -> bool) -> Result<(), Failure> {
    let start = Instant::now();
    while !is() {
        if start.elapsed() > PATIENCE {
            return Err(unexpected("PostgreSQL", format!("not in time: {what}")));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
