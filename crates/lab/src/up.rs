//! Brings a lab up: supervisors, cables, hosts in parallel.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::control::{Order, order};
use crate::credentials::random_hex;
use crate::error::Intent;
use crate::machine::Lock;
use crate::process::MARK;
use crate::record::{folder, write_json};
use crate::status::{State, status};
use crate::{Credentials, Error, Host, Lab, Paths, Result, Topology, cables, command, down, machine, preflight};

/// How long one step may take on a machine that is overwhelmed.
const PATIENCE: Duration = Duration::from_secs(120);

/// What of the caller's environment reaches the hosts' processes.
const PASSED_ON: &[&str] = &["HOME", "LANG", "NEUTRONIUM_LOG", "RUST_BACKTRACE"];

/// What to bring up.
#[derive(Debug, Clone)]
pub struct UpOptions {
    /// The lab.
    pub topology: Topology,
    /// Hosts get Open vSwitch but neither server nor agents.
    pub bare: bool,
    /// The `neutronium` program that supervises, serves and acts.
    pub program: PathBuf,
}

/// What `up` found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was not there and is now.
    Started,
    /// It was up; nothing was done.
    AlreadyUp,
}

/// Is told what happens.
pub trait Progress {
    /// A step begins.
    fn begin(&mut self, step: &str);
    /// The step that began last is done.
    fn done(&mut self, took: Duration);
    /// The step that began last failed.
    fn failed(&mut self);
    /// Something worth a line.
    fn note(&mut self, text: &str);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&mut self, _: &str) {}
    fn done(&mut self, _: Duration) {}
    fn failed(&mut self) {}
    fn note(&mut self, _: &str) {}
}

/// Brings the lab up. Up already: says so. Half up after a crash: removes what is there and builds it again.
pub fn up(paths: &Paths, options: &UpOptions, progress: &mut dyn Progress) -> Result<Outcome> {
    preflight::check(&options.topology)?;
    if !options.bare && options.topology.server().is_none() && options.topology.hosts.iter().any(Host::runs_agent) {
        return Err(Error::Preflight(
            "the topology has agents but no host with the role \"server\": give one host that role, or use --bare"
                .to_owned(),
        ));
    }
    let lock = Lock::take(paths)?;
    if paths.state().exists() {
        let whole = status(paths).is_ok_and(|status| status.nodes.iter().all(|node| node.state == State::Up));
        if whole {
            let lab = Lab::read(paths)?;
            if lab.topology == options.topology && lab.bare == options.bare {
                return Ok(Outcome::AlreadyUp);
            }
            return Err(Error::Preflight(format!(
                "lab \"{}\" is up already, of another kind ({}): take it down first, or choose another name by --lab",
                paths.name(),
                lab.topology.name
            )));
        }
        progress.note("the lab was started before but is not whole: it is removed and built again");
        step(progress, "remove what is left", || down::remove(paths).map(drop))?;
    }

    let nodes: Vec<String> = options.topology.nodes().map(str::to_owned).collect();
    let lab = Lab {
        id: random_hex(16)?,
        topology: options.topology.clone(),
        bare: options.bare,
        program: options.program.clone(),
    };
    folder(&paths.state())?;
    write_json(&paths.record(), &lab, 0o644)?;
    Credentials::make(paths)?;
    machine::enlarge_receive_buffer()?;

    step(progress, "make the namespaces", || start_supervisors(paths, &lab, &nodes))?;
    step(progress, "plug the cables", || plug(paths, &lab))?;
    let what =
        if lab.bare { "set up the hosts: Open vSwitch" } else { "set up the hosts: Open vSwitch, server, agents" };
    step(progress, what, || go(paths, &nodes))?;
    if !lab.bare && lab.topology.server().is_some() {
        step(progress, "hear from the server", || hear_server(paths, &lab))?;
    }
    drop(lock);
    Ok(Outcome::Started)
}

fn step<T>(progress: &mut dyn Progress, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    progress.begin(name);
    let start = Instant::now();
    let outcome = work();
    match &outcome {
        Ok(_) => progress.done(start.elapsed()),
        Err(_) => progress.failed(),
    }
    outcome
}

fn start_supervisors(paths: &Paths, lab: &Lab, nodes: &[String]) -> Result<()> {
    let mut started: Vec<(&String, Child)> = Vec::new();
    for node in nodes {
        folder(&paths.log(node))?;
        let path = paths.log(node).join("supervisor.log");
        let log = File::create(&path).intent(|| format!("open {}", path.display()))?;
        let errors = log.try_clone().intent(|| format!("open {}", path.display()))?;
        let child = Command::new(&lab.program)
            .args(["lab", "supervise", "--lab", paths.name().as_str(), node])
            // The caller's environment is no business of the hosts; it may hold secrets.
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| PASSED_ON.iter().any(|passed| name == passed)))
            .env(MARK, &lab.id)
            .env("PATH", search_path())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .current_dir("/")
            .spawn()
            .intent(|| format!("start {}", lab.program.display()))?;
        started.push((node, child));
    }
    let until = Instant::now() + PATIENCE;
    for (node, mut child) in started {
        while !(paths.control(node).exists() && lab.node(paths, node)?.is_some()) {
            let dead = !matches!(child.try_wait(), Ok(None));
            if dead || Instant::now() > until {
                return Err(Error::Host {
                    host: node.clone(),
                    reason: last_words(paths, node, "supervisor")
                        .unwrap_or_else(|| "its supervisor did not start".to_owned()),
                    log: paths.log(node),
                });
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    Ok(())
}

/// A search path on which daemons are found, also when the caller's has no sbin.
pub(crate) fn search_path() -> std::ffi::OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/usr/bin:/sbin:/bin");
    path
}

fn last_words(paths: &Paths, node: &str, process: &str) -> Option<String> {
    let log = std::fs::read_to_string(paths.log(node).join(format!("{process}.log"))).ok()?;
    log.lines().rev().find(|line| !line.trim().is_empty()).map(str::to_owned)
}

fn plug(paths: &Paths, lab: &Lab) -> Result<()> {
    let mut pids = std::collections::BTreeMap::new();
    for name in lab.topology.nodes() {
        let node = lab.node(paths, name)?;
        pids.insert(name, node.map_or(0, |node| node.supervisor.pid));
    }
    let batch = cables::plug(&lab.topology, |name| pids.get(name).copied().unwrap_or(0));
    command::feed("ip", &["-batch", "-"], &batch).map(drop)
}

/// Tells all at once and waits for all; the first that failed speaks.
fn go(paths: &Paths, nodes: &[String]) -> Result<()> {
    std::thread::scope(|scope| {
        let waits: Vec<_> =
            nodes.iter().map(|node| scope.spawn(move || order(paths, node, &Order::Go, PATIENCE))).collect();
        waits
            .into_iter()
            .try_for_each(|wait| wait.join().unwrap_or_else(|_| Err(Error::NotUp(paths.name().to_string()))))
    })
}

/// The listening socket is there before the server is, so only an answer counts.
fn hear_server(paths: &Paths, lab: &Lab) -> Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, lab.server_port(paths)?));
    let until = Instant::now() + PATIENCE;
    loop {
        if answers(address).unwrap_or(false) {
            return Ok(());
        }
        let server = lab.topology.server().map(|host| host.name.clone()).unwrap_or_default();
        let restarts = lab.node(paths, &server)?.and_then(|node| Some(node.processes.get("server")?.restarts));
        if Instant::now() > until || restarts.unwrap_or(0) > 3 {
            return Err(Error::Host {
                log: paths.log(&server),
                reason: match last_words(paths, &server, "server") {
                    Some(words) => format!("the server does not answer; its last words: {words}"),
                    None => "the server does not answer".to_owned(),
                },
                host: server,
            });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn answers(address: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut start = [0; 7];
    stream.read_exact(&mut start)?;
    Ok(start == *b"HTTP/1.")
}
