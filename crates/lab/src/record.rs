//! What is written down so that any later process finds the lab again.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Intent;
use crate::process::ProcessId;
use crate::{Error, Paths, Result, Topology};

/// The lab as it was ordered (`lab.json`), written before anything else is made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Lab {
    /// Random; every process of the lab carries it in its environment.
    pub id: String,
    /// What was ordered.
    pub topology: Topology,
    /// Hosts have Open vSwitch only: no server, no agents.
    pub bare: bool,
    /// The program that supervises, serves and acts.
    pub program: std::path::PathBuf,
}

impl Lab {
    /// Reads the record of a lab that is up, or half up.
    pub fn read(paths: &Paths) -> Result<Self> {
        read(&paths.record())?.ok_or_else(|| Error::NotUp(paths.name().to_string()))
    }

    /// A node's supervisor, if it was started.
    pub fn node(&self, paths: &Paths, node: &str) -> Result<Option<Node>> {
        if !self.topology.nodes().any(|known| known == node) {
            let known: Vec<&str> = self.topology.nodes().collect();
            let lab = paths.name().to_string();
            return Err(Error::NoSuchHost { lab, host: node.to_owned(), known: known.join(", ") });
        }
        read(&paths.node_record(node))
    }
}

/// What a supervisor says of itself (`node.json`).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Node {
    /// The supervisor.
    pub supervisor: ProcessId,
    /// How far it has come.
    pub stage: Stage,
    /// Port on 127.0.0.1 of the machine under which the server answers, on the server's host.
    pub server_port: Option<u16>,
    /// Its processes.
    pub processes: BTreeMap<String, Process>,
}

/// Whether a node is a host or a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    /// A switch.
    Network,
    /// A host.
    Host,
}

/// How far a node has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Its namespaces stand, its cables are not plugged yet.
    Ready,
    /// All is set up.
    Up,
    /// Setting up failed; the text says why.
    Failed(String),
}

/// One process of a host, as its supervisor last saw it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Process {
    /// Absent while it waits to be started again.
    pub id: Option<ProcessId>,
    /// How often it had to be started again.
    pub restarts: u32,
    /// How it last ended, if it did.
    pub last_exit: Option<String>,
}

/// Reads a JSON file; none if it is not there.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).intent(|| format!("read {}", path.display())),
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| Error::Damaged { path: path.to_owned(), reason: error.to_string() })
}

/// Writes a file that readers see whole or not at all. `mode` is its permission.
pub(crate) fn write(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let written = fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(mode)
        .open(&draft)
        .and_then(|mut file| file.write_all(content))
        .and_then(|()| fs::rename(&draft, path));
    written.intent(|| format!("write {}", path.display()))
}

/// Writes a value as JSON.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T, mode: u32) -> Result<()> {
    let json = serde_json::to_vec_pretty(value)
        .map_err(|error| Error::Damaged { path: path.to_owned(), reason: error.to_string() })?;
    write(path, &json, mode)
}

/// Makes a folder and what is above it.
pub(crate) fn folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).intent(|| format!("make the folder {}", path.display()))
}
