//! What the reference implementation, Neutron 29.0.0, costs: figures of another run, to be read beside ours.
//!
//! Taken on a machine of the same kind (2 processors, Open vSwitch 3.1.0 with the userspace datapath): MariaDB 10.11,
//! uwsgi with 2 workers, no Keystone. The machine was busy, so its processor times are comparable and its seconds are long.
//! A Neutron that is there can be measured in the same run instead: its API by `bench --peer`, its agents by
//! `bench --neutron-agents`.

use super::unexpected;
use crate::{Failure, command};
use serde::Deserialize;
use std::process::Command;

/// Milliseconds of processor time of uwsgi and of the database together, per operation.
#[derive(Debug, Clone, Copy)]
pub struct PeerCost {
    /// With one client.
    pub one: f64,
    /// With eight.
    pub eight: f64,
}

impl PeerCost {
    /// The figure for a number of clients, if it was taken.
    pub fn at(self, clients: usize) -> Option<f64> {
        match clients {
            1 => Some(self.one),
            8 => Some(self.eight),
            _ => None,
        }
    }
}

/// What an operation costs there.
pub fn operation(name: &str) -> Option<PeerCost> {
    let cost = |one: f64, eight: f64| Some(PeerCost { one, eight });
    match name {
        "network create" => cost(86.0 + 23.0, 99.0 + 16.0),
        "subnet create" => cost(87.0 + 25.0, 114.0 + 21.0),
        "port create" => cost(165.0 + 46.0, 182.0 + 33.0),
        "port show" => cost(25.0 + 6.5, 21.0 + 3.4),
        "port update (name)" => cost(140.0 + 39.0, 110.0 + 23.0),
        "port delete" => cost(132.0 + 42.0, 136.0 + 28.0),
        "security group rule create" => cost(80.0 + 20.0, 92.0 + 16.0),
        "router create" => cost(52.0 + 12.0, 56.0 + 7.5),
        "router add interface" => cost(677.0 + 177.0, 510.0 + 76.0),
        "floating IP create" => cost(319.0 + 90.0, 292.0 + 55.0),
        "list ports by device_id" => cost(37.0 + 6.7, 24.0 + 6.1),
        _ => None,
    }
}

/// A list of a project with 1,000 ports, one client: milliseconds of processor time of uwsgi and database.
pub fn list(name: &str) -> Option<f64> {
    match name {
        "all ports of the project" => Some(5712.0 + 1401.0),
        "all ports of the project, fields=id" => Some(5196.0 + 1213.0),
        _ => None,
    }
}

/// Port create by ports that are in the subnet already: milliseconds of processor time of uwsgi and database.
pub fn port_create_at(ports: usize) -> Option<f64> {
    match ports {
        0 => Some(181.0 + 67.0),
        5_000 => Some(486.0 + 103.0),
        10_000 => Some(776.0 + 135.0),
        _ => None,
    }
}

/// What Neutron's agents cost on one host. What is `None` was not measured.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agents {
    /// Whether they were measured right before ours on the same machine, or in another run.
    #[serde(skip)]
    same_run: bool,
    /// Seconds from plugging to the first ping, empty host: median and 95th percentile.
    pub plug_to_ping: Option<[f64; 2]>,
    /// Seconds from plugging to ACTIVE, empty host: median and 95th percentile.
    pub plug_to_active: Option<[f64; 2]>,
    /// The same to the first ping with 200 ports plugged.
    pub plug_to_ping_200: Option<[f64; 2]>,
    /// The same to ACTIVE with 200 ports plugged.
    pub plug_to_active_200: Option<[f64; 2]>,
    /// How many ports `plug_all_active` is about.
    pub plug_all: usize,
    /// Seconds from plugging so many ports at once until all are ACTIVE.
    pub plug_all_active: Option<f64>,
    /// Flows on br-int with 200 ports.
    pub flows_200: Option<f64>,
    /// Seconds until a restarted agent has processed 200 ports.
    pub restart_200: Option<f64>,
    /// Processor seconds of the restarted agent with 200 ports.
    pub restart_200_cpu: Option<f64>,
    /// Pings lost meanwhile, between ports of the host.
    pub restart_200_lost: Option<f64>,
    /// Resident memory of the agent with 200 ports, MiB.
    pub agent_200_mib: Option<f64>,
    /// What a network adds on the host that serves its DHCP and metadata, resident MiB.
    pub network_mib: Option<f64>,
    /// The processes that it adds (a dnsmasq and a haproxy).
    pub network_processes: Option<f64>,
    /// Resident memory of all processes of the API, the agents and Open vSwitch of one host with 2 networks, MiB.
    pub all_mib: Option<f64>,
    /// How many processes those are.
    pub all_processes: Option<f64>,
}

impl Agents {
    /// The figures of another run, on a busy machine of the same kind.
    pub const OF_ANOTHER_RUN: Self = Self {
        same_run: false,
        plug_to_ping: Some([1.42, 2.42]),
        plug_to_active: Some([1.76, 3.27]),
        plug_to_ping_200: Some([1.24, 2.22]),
        plug_to_active_200: Some([1.40, 2.32]),
        plug_all: 150,
        plug_all_active: Some(79.0),
        flows_200: Some(12_031.0),
        restart_200: Some(95.0),
        restart_200_cpu: Some(12.5),
        restart_200_lost: Some(0.0),
        agent_200_mib: Some(205.0),
        network_mib: Some(8.3),
        network_processes: Some(2.0),
        all_mib: Some(3588.0),
        all_processes: Some(32.0),
    };

    /// Lets `command` (for `sh -c`) measure them now. It prints one JSON object with the fields of this type, and nothing else to
    /// its standard output; what is missing was not measured.
    pub fn measured_by(command: &str) -> Result<Self, Failure> {
        let said = command::run(Command::new("sh").args(["-c", command]))?;
        let figures: Self =
            serde_json::from_str(&said).map_err(|error| unexpected(command, format!("{error}: {said}")))?;
        Ok(Self { same_run: true, ..figures })
    }

    /// "in the same run", as the notes of tables say it.
    pub fn when(&self) -> &'static str {
        if self.same_run { "in the same run" } else { "in another run" }
    }
}
