//! The lab that is harmed, the ways that packets go in it, and the harms.
//!
//! ```text
//!     world 203.0.113.1 ── network node (172.16.0.1) ── public 172.16.0.0/24
//!        ▲ out: p2, by SNAT      │ in: from here to the floating IP of p1
//!                            router ── net 10.0.0.0/24 (VXLAN) ── p1 (compute1) ◀─ across ── p2 (compute2)
//! ```

use super::postgres::Postgres;
use super::traffic::{Count, Kind, now};
use crate::bench::hosts::processes;
use crate::bench::server::{User, text};
use crate::bench::unexpected;
use crate::lab::Probe;
use crate::{Client, Failure, Lab};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const ECHO_PORT: &str = "7007";
const INTERVAL_MS: &str = "20";
const WORLD: &str = "203.0.113.1";
const PATIENCE: Duration = Duration::from_secs(90);
/// Where the server keeps its state in its host.
const STATE: &str = "/var/lib/neutronium";
/// Its file.
const CONFIG: &str = "/etc/neutronium/server.toml";
/// Hosts with an agent.
pub(super) const HOSTS: [&str; 3] = ["network", "compute1", "compute2"];

/// A process that is ended with the value.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Gone already in the ordinary case.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A sender that is under way.
pub(super) struct Stream {
    /// Which way it goes.
    pub way: &'static str,
    /// What it speaks.
    pub kind: Kind,
    process: Process,
    heard: Arc<Mutex<Heard>>,
}

#[derive(Default)]
struct Heard {
    last_back: u64,
    count: Option<Count>,
}

impl Stream {
    fn start(way: &'static str, kind: Kind, mut command: Command) -> Result<Self, Failure> {
        let shown = crate::command::line(&command);
        let failed = |source| Failure::Start { command: shown.clone(), source };
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(failed)?;
        let heard = Arc::new(Mutex::new(Heard::default()));
        if let Some(stdout) = child.stdout.take() {
            let heard = heard.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                    match line.split_once(' ') {
                        Some(("progress", rest)) => {
                            heard.last_back = rest.split(' ').nth(1).and_then(|at| at.parse().ok()).unwrap_or(0);
                        }
                        Some(("count", json)) => heard.count = serde_json::from_str(json).ok(),
                        _ => {}
                    }
                }
            });
        }
        Ok(Self { way, kind, process: Process(child), heard })
    }

    fn last_back(&self) -> u64 {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).last_back
    }

    /// Ends it; what became of everything.
    fn stop(&mut self) {
        drop(self.process.0.stdin.take());
    }

    fn count(mut self) -> Result<Count, Failure> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(count) = self.heard.lock().unwrap_or_else(PoisonError::into_inner).count.take() {
                return Ok(count);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.process.0.kill();
        Err(unexpected(&format!("{} {}", self.kind.as_str(), self.way), "it never said what it had sent".to_owned()))
    }
}

/// The lab and what goes on in it.
pub(super) struct Scene {
    pub lab: Lab,
    api: User,
    user: Client,
    network: String,
    chaos: PathBuf,
    echoes: Vec<Process>,
    down: Down,
}

struct Down(Lab);

impl Drop for Down {
    fn drop(&mut self) {
        let _ = self.0.run(&["lab", "down"]);
    }
}

impl Scene {
    /// A lab in which every way works; `chaos` is the program of the senders. With a PostgreSQL the server, which knows of
    /// nothing yet, begins anew in that.
    pub(super) fn build(lab: Lab, chaos: &Path, postgres: Option<&Postgres>) -> Result<(Self, Vec<Stream>), Failure> {
        let down = Down(lab.clone());
        lab.run(&["lab", "up"])?;
        let user = Client::new(&lab, "admin", None, "admin")?;
        if let Some(Postgres { url, .. }) = postgres {
            let edit = format!("/^\\[server\\]/a database = \"{url}\"");
            lab.exec("controller", &["sed", "-i", &edit, CONFIG])?;
            lab.run(&["lab", "restart", "controller", "server", "--kill"])?;
        }
        let mut api = None;
        lab.wait_until("the server takes a sign-in", || Ok(sign_in(&lab, &user).map(|user| api = Some(user)).is_ok()))?;
        let mut api = api.ok_or_else(|| unexpected("sign-in", "nobody"))?;
        lab.wait_until("every agent has reported", || {
            let agents = api.ask("GET", "/v2.0/agents?alive=true&fields=host", None)?;
            let said =
                |host: &&str| agents["agents"].as_array().is_some_and(|all| all.iter().any(|a| a["host"] == **host));
            Ok(HOSTS.iter().all(said))
        })?;
        let mut make = |path: &str, kind: &str, body: Value| api.make(&format!("/v2.0/{path}"), kind, &body);
        let id = |object: &Value| text(object, "id").map(str::to_owned);
        let public = id(&make(
            "networks",
            "network",
            json!({ "name": "public", "router:external": true, "provider:network_type": "flat",
                    "provider:physical_network": "physnet1" }),
        )?)?;
        let pool = json!([{ "start": "172.16.0.100", "end": "172.16.0.199" }]);
        make(
            "subnets",
            "subnet",
            json!({ "network_id": public, "ip_version": 4, "cidr": "172.16.0.0/24", "gateway_ip": "172.16.0.1",
                    "allocation_pools": pool }),
        )?;
        let made = make("networks", "network", json!({ "name": "net" }))?;
        let (network, project) = (id(&made)?, text(&made, "project_id")?.to_owned());
        let subnet = json!({ "network_id": network, "ip_version": 4, "cidr": "10.0.0.0/24" });
        let subnet = id(&make("subnets", "subnet", subnet)?)?;
        let router = json!({ "name": "edge", "external_gateway_info": { "network_id": public } });
        let router = id(&make("routers", "router", router)?)?;
        let path = format!("/v2.0/routers/{router}/add_router_interface");
        api.ask("PUT", &path, Some(&json!({ "subnet_id": subnet })))?;
        let groups = api.ask("GET", &format!("/v2.0/security-groups?name=default&project_id={project}"), None)?;
        for protocol in ["icmp", "tcp", "udp"] {
            let rule = json!({ "security_group_id": id(&groups["security_groups"][0])?, "direction": "ingress",
                               "ethertype": "IPv4", "protocol": protocol });
            api.make("/v2.0/security-group-rules", "security_group_rule", &rule)?;
        }
        let p1 = lab.create_probe(&user, "p1", "net", "compute1", &[])?;
        let p2 = lab.create_probe(&user, "p2", "net", "compute2", &[])?;
        let wish = json!({ "floating_network_id": public, "port_id": p1.port });
        let floating = api.make("/v2.0/floatingips", "floatingip", &wish)?;
        let floating = text(&floating, "floating_ip_address")?.to_owned();
        let scene = Self { lab, api, user, network, chaos: chaos.to_owned(), echoes: vec![], down };
        scene.with_traffic(&p1, &p2, &floating)
    }

    fn with_traffic(mut self, p1: &Probe, p2: &Probe, floating: &str) -> Result<(Self, Vec<Stream>), Failure> {
        let chaos = self.chaos.display().to_string();
        let echo = [chaos.as_str(), "echo", ECHO_PORT];
        for command in [p1.command(&echo), self.lab.exec_command("world", &echo)] {
            self.echoes.push(listening(command)?);
        }
        let lab = self.lab.clone();
        let pings = |command: &mut Command| Ok(crate::command::output(command)?.status.success());
        let ping = |to| ["ping", "-n", "-c", "1", "-W", "1", to];
        lab.wait_until("p2 reaches p1", || pings(&mut p2.command(&ping(&p1.address))))?;
        lab.wait_until("p2 reaches the world", || pings(&mut p2.command(&ping(WORLD))))?;
        lab.wait_until("the floating IP answers", || pings(&mut lab.exec_command("network", &ping(floating))))?;
        let mut streams = vec![];
        for kind in [Kind::Udp, Kind::Icmp, Kind::Tcp] {
            let send = |to| [chaos.as_str(), "send", kind.as_str(), to, ECHO_PORT, INTERVAL_MS];
            streams.push(Stream::start("across hosts", kind, p2.command(&send(&p1.address)))?);
            streams.push(Stream::start("out by SNAT", kind, p2.command(&send(WORLD)))?);
            let inward = self.lab.exec_command("network", &send(floating));
            streams.push(Stream::start("in by the floating IP", kind, inward)?);
        }
        self.everything_flows(&streams)?;
        Ok((self, streams))
    }

    /// Waits until every stream has heard something that was sent after now.
    pub(super) fn everything_flows(&self, streams: &[Stream]) -> Result<(), Failure> {
        let (start, since) = (Instant::now(), now());
        loop {
            let silent: Vec<String> = streams
                .iter()
                .filter(|stream| stream.last_back() <= since)
                .map(|stream| format!("{} {}", stream.kind.as_str(), stream.way))
                .collect();
            if silent.is_empty() {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                return Err(unexpected("traffic", format!("nothing comes back any more: {}", silent.join(", "))));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends the streams and counts.
    pub(super) fn counts(streams: Vec<Stream>) -> Result<Vec<(&'static str, Kind, Count)>, Failure> {
        let mut streams = streams;
        streams.iter_mut().for_each(Stream::stop);
        streams.into_iter().map(|stream| Ok((stream.way, stream.kind, stream.count()?))).collect()
    }

    /// Kills a process and waits until its successor has been started.
    pub(super) fn kill(&self, host: &str, process: &str) -> Result<(), Failure> {
        self.lab.run(&["lab", "restart", host, process, "--kill"]).map(drop)
    }

    /// Unplugs all hosts from the management network for a while.
    pub(super) fn cut_management(&self, pause: Duration) -> Result<(), Failure> {
        let set = |state: &str| {
            let ports = self.lab.exec("management", &["ls", "/sys/class/net"])?;
            for port in ports.split_whitespace().filter(|name| name.contains("-eth")) {
                self.lab.exec("management", &["ip", "link", "set", port, state])?;
            }
            Ok(())
        };
        set("down")?;
        std::thread::sleep(pause);
        set("up")
    }

    /// Puts the server's state on a file system of its own, small enough to be filled.
    pub(super) fn move_state_to_a_small_disk(&self) -> Result<(), Failure> {
        let is_it = |(node, name, _): &(String, String, u32)| node == "controller" && name == "server";
        let pid = processes(&self.lab)?.into_iter().find(is_it).map(|(.., pid)| pid.to_string());
        let pid = pid.ok_or_else(|| unexpected("lab status", "no server runs".to_owned()))?;
        let signal = |signal: &str| crate::command::run(Command::new("kill").args([signal, &pid]));
        signal("-STOP")?;
        let script = format!(
            "cp -a {STATE} /run/state && mount -t tmpfs -o size=48m,mode=0700 small {STATE} && cp -a /run/state/. {STATE}/ \
             && rm -r /run/state"
        );
        self.lab.exec("controller", &["sh", "-ec", &script])?;
        // What it has open is on the old one.
        self.kill("controller", "server")
    }

    /// Fills the server's disk: writes are refused in Neutron's words, reads are answered; with room again writes succeed, and
    /// of the refused ones nothing is there.
    pub(super) fn fill_disk(&mut self, pause: Duration) -> Result<(), Failure> {
        self.sign_in_again()?;
        let fill =
            format!("dd if=/dev/zero of={STATE}/fill bs=1M 2>/dev/null; dd if=/dev/zero of={STATE}/fill2 bs=512; true");
        self.lab.exec("controller", &["sh", "-c", &fill])?;
        let outcome = self.refuses_writes(pause);
        let free = format!("rm -f {STATE}/fill {STATE}/fill2");
        self.lab.exec("controller", &["sh", "-c", &free])?;
        outcome?;
        let lab = self.lab.clone();
        // It is the same server: nobody has started it again.
        lab.wait_until("the server writes again", || Ok(self.write("after").is_ok()))?;
        let left = self.api.ask("GET", "/v2.0/ports?name=full", None)?;
        if left["ports"].as_array().is_none_or(|ports| !ports.is_empty()) {
            return Err(unexpected("a refused write", format!("left something: {left}")));
        }
        Ok(())
    }

    fn refuses_writes(&mut self, pause: Duration) -> Result<(), Failure> {
        let (start, mut refused) = (Instant::now(), 0);
        // A database that has pages to spare goes on for a few writes.
        while refused == 0 || start.elapsed() < pause {
            match self.write("full") {
                Err(Failure::Unexpected { what, .. }) if what.starts_with('5') && what.contains("NeutronError") => {
                    refused += 1;
                }
                Err(failure) => return Err(failure),
                Ok(port) => {
                    let path = format!("/v2.0/ports/{}", text(&port, "id")?);
                    // A removal may find no room either: then the name tells that it is not half a port.
                    if self.api.ask("DELETE", &path, None).is_err() {
                        let name = json!({ "port": { "name": "before" } });
                        let _ = self.api.ask("PUT", &path, Some(&name));
                    }
                }
            }
            self.api.ask("GET", &format!("/v2.0/networks/{}", self.network), None)?;
            if start.elapsed() > PATIENCE {
                return Err(unexpected("a full disk", "writes are never refused".to_owned()));
            }
        }
        Ok(())
    }

    /// Waits until the server takes sign-ins and writes.
    pub(super) fn writes_again(&mut self) -> Result<(), Failure> {
        self.sign_in_again()?;
        let lab = self.lab.clone();
        let mut made = None;
        lab.wait_until("the server writes again", || Ok(self.write("after").map(|port| made = Some(port)).is_ok()))?;
        let path = format!("/v2.0/ports/{}", text(&made.unwrap_or_default(), "id")?);
        self.api.ask("DELETE", &path, None).map(drop)
    }

    fn write(&mut self, name: &str) -> Result<Value, Failure> {
        let body = json!({ "network_id": self.network, "name": name, "device_owner": "compute:none" });
        self.api.make("/v2.0/ports", "port", &body)
    }

    fn sign_in_again(&mut self) -> Result<(), Failure> {
        let (lab, user) = (self.lab.clone(), self.user.clone());
        lab.wait_until("the server takes a sign-in", || Ok(sign_in(&lab, &user).map(|api| self.api = api).is_ok()))
    }

    /// Every host is what its plan says, soon.
    pub(super) fn audit(&self) -> Result<(), Failure> {
        self.lab.run(&["lab", "audit", "--wait", "60"]).map(drop)
    }

    /// Takes it down.
    pub(super) fn end(self) -> Result<(), Failure> {
        let Self { lab, down, echoes, .. } = self;
        drop(echoes);
        lab.run(&["lab", "down"])?;
        drop(down);
        Ok(())
    }
}

/// Starts an echo and waits until it listens.
fn listening(mut command: Command) -> Result<Process, Failure> {
    let shown = crate::command::line(&command);
    let failed = |source| Failure::Start { command: shown.clone(), source };
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = command.spawn().map_err(failed)?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut line).map_err(failed)?;
    }
    let process = Process(child);
    if line.trim() == "ready" { Ok(process) } else { Err(unexpected(&shown, "it does not listen".to_owned())) }
}

fn sign_in(lab: &Lab, user: &Client) -> Result<User, Failure> {
    let status: Value = serde_json::from_str(&lab.run(&["lab", "status", "--json"])?)
        .map_err(|error| unexpected("lab status", error.to_string()))?;
    let url = text(&status, "server_url")?;
    let address = url.strip_prefix("http://").and_then(|address| address.parse().ok());
    let address = address.ok_or_else(|| unexpected("lab status", format!("the server's URL is {url}")))?;
    let password = user.environment().get("OS_PASSWORD").cloned().unwrap_or_default();
    User::sign_in(address, "admin", &password, "admin")
}
