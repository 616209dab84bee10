//! How a lab is: read from what its supervisors wrote down and from `/proc`.

use serde::Serialize;

use crate::process::ProcessId;
use crate::record::Stage;
use crate::{Lab, NodeKind, Paths, Result, Role};

/// A whole lab.
#[derive(Debug, Clone, Serialize)]
pub struct LabStatus {
    /// Its name.
    pub lab: String,
    /// Its topology's name.
    pub topology: String,
    /// Where the server answers on this machine.
    pub server_url: Option<String>,
    /// Hosts and switches.
    pub nodes: Vec<HostStatus>,
}

/// A host or a switch.
#[derive(Debug, Clone, Serialize)]
pub struct HostStatus {
    /// Its name.
    pub name: String,
    /// Which of the two.
    pub kind: NodeKind,
    /// What it runs.
    pub roles: Vec<Role>,
    /// How it is.
    pub state: State,
    /// Why it failed, if it did.
    pub reason: Option<String>,
    /// Its supervisor's pid, in whose namespaces it lives.
    pub supervisor: Option<i32>,
    /// Its addresses: device and address.
    pub addresses: Vec<(String, String)>,
    /// Its processes.
    pub processes: Vec<ProcessStatus>,
}

/// How a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// All is set up.
    Up,
    /// On the way, or left there.
    Starting,
    /// Setting up failed.
    Failed,
    /// Its supervisor is gone or was never started.
    Gone,
}

/// One process.
#[derive(Debug, Clone, Serialize)]
pub struct ProcessStatus {
    /// Its name.
    pub name: String,
    /// Absent when it does not run now.
    pub pid: Option<i32>,
    /// How often it was started again.
    pub restarts: u32,
    /// How it last ended, if it did.
    pub last_exit: Option<String>,
    /// Resident memory, KiB.
    pub resident_kib: Option<u64>,
}

impl Lab {
    /// Port on 127.0.0.1 of the machine under which the server answers.
    pub fn server_port(&self, paths: &Paths) -> Result<u16> {
        let missing = || crate::Error::NotUp(paths.name().to_string());
        let host = self.topology.server().ok_or_else(missing)?;
        self.node(paths, &host.name)?.and_then(|node| node.server_port).ok_or_else(missing)
    }
}

/// Looks at a lab that is up, or half up.
pub fn status(paths: &Paths) -> Result<LabStatus> {
    let lab = Lab::read(paths)?;
    let mut nodes = Vec::new();
    for name in lab.topology.nodes() {
        let record = lab.node(paths, name)?;
        let host = lab.topology.host(name);
        let (state, reason) = match &record {
            Some(node) if !node.supervisor.lives() => (State::Gone, None),
            Some(node) => match &node.stage {
                Stage::Up => (State::Up, None),
                Stage::Ready => (State::Starting, None),
                Stage::Failed(reason) => (State::Failed, Some(reason.clone())),
            },
            None => (State::Gone, None),
        };
        let processes = record.iter().flat_map(|node| &node.processes).map(|(name, process)| {
            let id = process.id.filter(|id| id.lives());
            ProcessStatus {
                name: name.clone(),
                pid: id.map(|id| id.pid),
                restarts: process.restarts,
                last_exit: process.last_exit.clone(),
                resident_kib: id.and_then(ProcessId::resident_kib),
            }
        });
        let cards = host
            .iter()
            .flat_map(|host| &host.nics)
            .filter_map(|nic| Some((nic.name.clone(), nic.address?.to_string())));
        let bridges = host
            .iter()
            .flat_map(|host| &host.bridges)
            .filter_map(|bridge| Some((bridge.name.clone(), bridge.address?.addr().to_string())));
        nodes.push(HostStatus {
            name: name.to_owned(),
            kind: if host.is_some() { NodeKind::Host } else { NodeKind::Network },
            roles: host.map(|host| host.roles.clone()).unwrap_or_default(),
            state,
            reason,
            supervisor: record.as_ref().filter(|_| state != State::Gone).map(|node| node.supervisor.pid),
            addresses: cards.chain(bridges).collect(),
            processes: processes.collect(),
        });
    }
    Ok(LabStatus {
        lab: paths.name().to_string(),
        topology: lab.topology.name.clone(),
        server_url: lab.server_port(paths).ok().map(|port| format!("http://127.0.0.1:{port}")),
        nodes,
    })
}
