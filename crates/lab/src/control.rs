//! Orders to a node's supervisor: one line of JSON each way over its Unix socket.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Intent;
use crate::{Error, Lab, Paths, Result};

/// What a supervisor can be told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "lowercase")]
pub(crate) enum Order {
    /// The cables are plugged: set up and start.
    Go,
    /// End a process; it is started again.
    Restart {
        /// Its name.
        process: String,
        /// By SIGKILL instead of SIGTERM.
        kill: bool,
    },
    /// End a process; it is not started again until that is ordered.
    Stop {
        /// Its name.
        process: String,
    },
    /// Start a process that was stopped.
    Start {
        /// Its name.
        process: String,
    },
}

/// The answer: nothing more to say, or what went wrong.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Answer {
    /// Done.
    Done,
    /// Not done.
    Failed(String),
}

/// Gives an order and waits for the answer.
pub(crate) fn order(paths: &Paths, node: &str, order: &Order, patience: Duration) -> Result<()> {
    let broken = || Error::Broken { lab: paths.name().to_string(), host: node.to_owned() };
    let mut stream = UnixStream::connect(paths.control(node)).map_err(|_| broken())?;
    let mut line = serde_json::to_string(order).map_err(|error| Error::Host {
        host: node.to_owned(),
        reason: error.to_string(),
        log: paths.log(node),
    })?;
    line.push('\n');
    let mut answer = String::new();
    stream
        .set_read_timeout(Some(patience))
        .and_then(|()| stream.write_all(line.as_bytes()))
        .and_then(|()| BufReader::new(&stream).read_line(&mut answer))
        .intent(|| format!("hear from the supervisor of {node} within {} s", patience.as_secs()))?;
    match serde_json::from_str(&answer) {
        Ok(Answer::Done) => Ok(()),
        Ok(Answer::Failed(reason)) => Err(Error::Host { host: node.to_owned(), reason, log: paths.log(node) }),
        Err(_) => Err(broken()),
    }
}

/// A wish to have a process ended and started again.
#[derive(Debug, Clone)]
pub struct Restart {
    /// On this host.
    pub host: String,
    /// `agent`, `server`, `ovs-vswitchd`, `ovsdb-server` or `world`.
    pub process: String,
    /// By SIGKILL, as a crash would.
    pub kill: bool,
}

/// Ends a process of a host; its supervisor starts it again. Returns when the old one is gone and the new one has started.
pub fn restart(paths: &Paths, wish: &Restart) -> Result<()> {
    let lab = Lab::read(paths)?;
    lab.node(paths, &wish.host)?;
    let wanted = Order::Restart { process: wish.process.clone(), kill: wish.kill };
    order(paths, &wish.host, &wanted, Duration::from_secs(30))
}

/// Ends a process of a host, which stays down. Returns when it is gone.
pub fn stop(paths: &Paths, host: &str, process: &str) -> Result<()> {
    Lab::read(paths)?.node(paths, host)?;
    order(paths, host, &Order::Stop { process: process.to_owned() }, Duration::from_secs(30))
}

/// Starts a process of a host that was stopped; nothing happens when it runs.
pub fn start(paths: &Paths, host: &str, process: &str) -> Result<()> {
    Lab::read(paths)?.node(paths, host)?;
    order(paths, host, &Order::Start { process: process.to_owned() }, Duration::from_secs(30))
}
