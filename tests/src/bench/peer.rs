//! What the reference implementation, Neutron 29.0.0, costs: figures of another run, to be read beside ours.
//!
//! Taken on a machine of the same kind (2 processors, Open vSwitch 3.1.0 with the userspace datapath): MariaDB 10.11,
//! uwsgi with 2 workers, no Keystone. The machine was busy, so its processor times are comparable and its seconds are long.

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

/// Resident memory of API, RPC and periodic workers, MiB (no agent).
pub const SERVER_MIB: f64 = 1519.0;
/// Resident memory of all processes of the API, the agents and Open vSwitch of one host with 2 networks, MiB.
pub const ALL_MIB: f64 = 3588.0;
/// How many processes those are.
pub const ALL_PROCESSES: usize = 32;
/// Seconds from plugging to the first ping, empty host: median and 95th percentile.
pub const PLUG_TO_PING: (f64, f64) = (1.42, 2.42);
/// Seconds from plugging to ACTIVE, empty host: median and 95th percentile.
pub const PLUG_TO_ACTIVE: (f64, f64) = (1.76, 3.27);
/// With 200 ports plugged: plug to first ping.
pub const PLUG_TO_PING_200: (f64, f64) = (1.24, 2.22);
/// With 200 ports plugged: plug to ACTIVE.
pub const PLUG_TO_ACTIVE_200: (f64, f64) = (1.40, 2.32);
/// Seconds until a restarted agent has processed 200 ports.
pub const RESTART_200: f64 = 95.0;
/// Processor seconds of the restarted agent with 200 ports.
pub const RESTART_200_CPU: f64 = 12.5;
/// Resident memory of the agent with 200 ports, MiB.
pub const AGENT_200_MIB: f64 = 205.0;
/// What a network adds on the host that serves its DHCP and metadata (a dnsmasq and a haproxy), resident MiB.
pub const NETWORK_MIB: f64 = 8.3;
/// Flows on br-int with 200 ports.
pub const FLOWS_200: usize = 12_031;
/// Seconds from plugging 150 ports at once until all are ACTIVE.
pub const PLUG_150_ALL_ACTIVE: f64 = 79.0;
