//! Setting a node up from inside its namespaces, as the machine's own network scripts and an installer would.

use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use super::Supervisor;
use super::children::logged;
use crate::error::Intent;
use crate::paths::LOG_INSIDE;
use crate::topology::{Datapath, Host, Role, Topology};
use crate::{Error, Result, cables, command, config, open_vswitch};

/// How long Open vSwitch may take to answer; minutes on a machine that is overwhelmed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Before the cables: loopback, and the switch that they will be plugged into.
pub(super) fn first(topology: &Topology, node: &str) -> Result<()> {
    let batch = match topology.network(node) {
        Some(_) => cables::switch(),
        None => "link set lo up\n".to_owned(),
    };
    command::feed("ip", &["-batch", "-"], &batch)?;
    if topology.network(node).is_some() {
        sysctl(&format!("net/ipv6/conf/{}/disable_ipv6", cables::SWITCH), "1")?;
    }
    Ok(())
}

impl Supervisor {
    /// After the cables: everything else. Returns when all that runs here has been started.
    pub(super) async fn set_up(&mut self) -> Result<()> {
        let topology = self.lab.topology.clone();
        if let Some(network) = topology.network(&self.node) {
            command::feed("ip", &["-batch", "-"], &cables::switch_ports(&topology, network))?;
            return Ok(());
        }
        let Some(host) = topology.host(&self.node) else { return Ok(()) };
        cards(&topology, host)?;
        if host.runs_agent() {
            self.open_vswitch(&topology, host).await?;
        }
        if self.lab.bare {
            return self.world(host);
        }
        if host.has(Role::Server) {
            let port = self.record.server_port.unwrap_or(config::SERVER_PORT);
            let text = config::server(&topology, host, port, &self.credentials)?;
            crate::record::write(config::SERVER.as_ref(), text.as_bytes(), 0o600)?;
            self.start("server")?;
        }
        if host.runs_agent() {
            crate::record::write(config::AGENT_SECRET.as_ref(), self.credentials.agent_secret.as_bytes(), 0o600)?;
            crate::record::write(config::AGENT.as_ref(), config::agent(&topology, host)?.as_bytes(), 0o644)?;
            self.start("agent")?;
        }
        self.world(host)
    }

    fn world(&mut self, host: &Host) -> Result<()> {
        if host.has(Role::World) { self.start("world") } else { Ok(()) }
    }

    async fn open_vswitch(&mut self, topology: &Topology, host: &Host) -> Result<()> {
        open_vswitch::create_db()?;
        self.start("ovsdb-server")?;
        let socket = format!("{}/db.sock", open_vswitch::RUNDIR);
        let until = Instant::now() + PATIENCE;
        while UnixStream::connect(&socket).is_err() {
            if Instant::now() > until {
                return Err(silent("ovsdb-server"));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let words = open_vswitch::bridges(topology, host);
        command::run("ovs-vsctl", &words.iter().map(String::as_str).collect::<Vec<_>>())?;
        self.start("ovs-vswitchd")?;
        let (topology, node) = (topology.clone(), self.node.clone());
        tokio::task::spawn_blocking(move || after_switch_start(&topology, &node))
            .await
            .map_err(|_| silent("ovs-vswitchd"))?
    }

    /// Starts one of the node's processes, at first and after its death.
    pub(super) fn start(&mut self, name: &'static str) -> Result<()> {
        let program = self.lab.program.to_string_lossy().into_owned();
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let mut command = match name {
            "ovsdb-server" => ovs_daemon(name, open_vswitch::ovsdb_server())?,
            "ovs-vswitchd" => ovs_daemon(name, open_vswitch::ovs_vswitchd())?,
            "agent" => logged(name, &program, &words(&["agent", "--config", config::AGENT]), LOG_INSIDE)?,
            "server" => return self.start_server(&program),
            _ => logged(name, &program, &words(&["lab", "world"]), LOG_INSIDE)?,
        };
        self.children.start(name, &mut command)
    }

    /// Hands the server the socket that listens on the machine's 127.0.0.1, as systemd would (sd_listen_fds(3)): it outlives
    /// the server, so callers wait instead of being refused while it starts again.
    fn start_server(&mut self, program: &str) -> Result<()> {
        let serve = [program, "server", "--config", config::SERVER];
        let Some(listener) = &self.listener else {
            let words: Vec<String> = serve.iter().skip(1).map(|&word| word.to_owned()).collect();
            return self.children.start("server", &mut logged("server", program, &words, LOG_INSIDE)?);
        };
        // The shell moves it to the promised number 3 and knows the pid that LISTEN_PID must name.
        let script = format!("LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\" 3<&{}", listener.as_raw_fd());
        let mut words = vec!["-c".to_owned(), script, "sh".to_owned()];
        words.extend(serve.iter().map(|&word| word.to_owned()));
        let mut command = logged("server", "sh", &words, LOG_INSIDE)?;
        let inherit = |flags| {
            fcntl(listener.as_fd(), FcntlArg::F_SETFD(flags))
                .intent(|| "hand the server its socket".to_owned())
                .map(drop)
        };
        inherit(FdFlag::empty())?;
        let started = self.children.start("server", &mut command);
        inherit(FdFlag::FD_CLOEXEC)?;
        started
    }
}

fn ovs_daemon(name: &str, line: Vec<String>) -> Result<tokio::process::Command> {
    // A daemon that was killed leaves its control sockets behind, one per pid.
    if let Ok(entries) = fs::read_dir(open_vswitch::RUNDIR) {
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            if file.starts_with(&format!("{name}.")) && file.ends_with(".ctl") {
                let _ = fs::remove_file(&path);
            }
        }
    }
    let (program, arguments) = line.split_first().ok_or_else(|| silent(name))?;
    logged(name, program, arguments, LOG_INSIDE)
}

fn silent(name: &str) -> Error {
    Error::Tool { command: name.to_owned(), reason: format!("no answer within {} s", PATIENCE.as_secs()) }
}

/// Addresses, routes and the ways of the cards.
fn cards(topology: &Topology, host: &Host) -> Result<()> {
    let ports = || host.bridges.iter().flat_map(|bridge| &bridge.ports);
    for port in ports() {
        sysctl(&format!("net/ipv6/conf/{port}/disable_ipv6"), "1")?;
    }
    // The user-space datapath reads a card by a packet socket, which must neither see frames without checksum nor
    // super-frames, and of which the kernel must not use its copy. The kernel's datapath takes the frames themselves.
    if topology.datapath == Datapath::Netdev {
        // Neighbours on such a card's network send what it reads.
        for card in host.nics.iter().filter(|card| topology.is_read_by_a_bridge(&card.network)) {
            command::run("ethtool", &["-K", &card.name, "tx", "off", "tso", "off", "gso", "off", "gro", "off"])?;
        }
        if ports().next().is_some() {
            command::feed("nft", &["-f", "-"], &open_vswitch::quiet(host))?;
        }
    }
    command::feed("ip", &["-batch", "-"], &cables::cards(topology, host))?;
    if let Some(card) = &host.masquerade {
        sysctl("net/ipv4/ip_forward", "1")?;
        command::feed("nft", &["-f", "-"], &open_vswitch::masquerade(host, card))?;
    }
    Ok(())
}

/// What has to be done whenever the switch has started: its taps are new, and so have no address.
pub(super) fn after_switch_start(topology: &Topology, node: &str) -> Result<()> {
    let Some(host) = topology.host(node) else { return Ok(()) };
    // A write that changes something and does not say --no-wait returns when the switch has taken the database up.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    let seconds = format!("--timeout={}", PATIENCE.as_secs());
    command::run(
        "ovs-vsctl",
        &[&seconds, "set", "Open_vSwitch", ".", &format!("external_ids:lab-switch-start={now}")],
    )?;
    let batch: String = host.bridges.iter().map(cables::bridge_port).collect();
    command::feed("ip", &["-batch", "-"], &batch)?;
    for arguments in open_vswitch::seed_neighbours(topology, host) {
        command::run("ovs-appctl", &arguments.each_ref().map(String::as_str))?;
    }
    Ok(())
}

fn sysctl(path: &str, value: &str) -> Result<()> {
    fs::write(format!("/proc/sys/{path}"), value).intent(|| format!("set {path} to {value}"))
}
