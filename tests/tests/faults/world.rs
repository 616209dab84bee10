//! The lab that is harmed: instances on two hosts, a router, a floating IP; and the look after it that nothing is left.
//!
//! ```text
//!     world 203.0.113.1 ── network node (172.16.0.1) ── public 172.16.0.0/24
//!                                                          │ router `edge`: SNAT for p2, the floating IP for p1
//!                            net 10.0.0.0/24 (VXLAN) ──────┴── p1 (compute1)   p2 (compute2)
//! ```

use crate::stream::Stream;
use serde_json::{Value, json};
use system_tests::bench::hosts::processes;
use system_tests::bench::server::{User, text};
use system_tests::lab::Probe;
use system_tests::{Client, Lab};

/// An address outside.
pub const WORLD: &str = "203.0.113.1";
/// The host with the router and the DHCP server.
pub const NETWORK: &str = "network";

/// Everything that a scenario needs.
pub struct World {
    pub lab: Lab,
    pub user: Client,
    pub api: User,
    pub network: String,
    pub subnet: String,
    pub router: String,
    /// On compute1, with the floating IP.
    pub p1: Probe,
    /// On compute2.
    pub p2: Probe,
    pub floating_ip: String,
    /// Its end, however the scenario ends.
    _guard: Guard,
}

struct Guard(Lab);

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tell_logs(&self.0);
        }
        let _ = self.0.run(&["lab", "down"]);
    }
}

/// What the agents and the server said last: a scenario that failed is understood from that.
fn tell_logs(lab: &Lab) {
    for (host, process) in [("controller", "server"), (NETWORK, "agent"), ("compute1", "agent"), ("compute2", "agent")]
    {
        let file = format!("/var/log/neutronium/{process}.log");
        let said = lab.exec(host, &["tail", "-n", "12", &file]).unwrap_or_else(|failure| failure.to_string());
        eprintln!("---- {process} of {host}\n{said}");
    }
}

impl World {
    /// A lab of its own, in which everything works. `name` in at most twelve characters.
    pub fn build(name: &str) -> Self {
        let lab = Lab::new(&format!("{name}-{}", std::process::id()));
        let guard = Guard(lab.clone());
        lab.run(&["lab", "up"]).unwrap();
        let user = Client::new(&lab, "admin", None, "admin").unwrap();
        let mut api = sign_in(&lab, &user);
        let mut make = |path: &str, kind: &str, body: Value| api.make(&format!("/v2.0/{path}"), kind, &body).unwrap();
        let id = |object: &Value| text(object, "id").unwrap().to_owned();

        let public = id(&make(
            "networks",
            "network",
            json!({ "name": "public", "router:external": true, "shared": true, "provider:network_type": "flat",
                    "provider:physical_network": "physnet1" }),
        ));
        make(
            "subnets",
            "subnet",
            json!({ "network_id": public, "ip_version": 4, "cidr": "172.16.0.0/24", "gateway_ip": "172.16.0.1",
                    "allocation_pools": [{ "start": "172.16.0.100", "end": "172.16.0.199" }] }),
        );
        let made = make("networks", "network", json!({ "name": "net" }));
        let (network, project) = (id(&made), text(&made, "project_id").unwrap().to_owned());
        let subnet =
            id(&make("subnets", "subnet", json!({ "network_id": network, "ip_version": 4, "cidr": "10.0.0.0/24" })));
        let gateway = json!({ "network_id": public });
        let router = id(&make("routers", "router", json!({ "name": "edge", "external_gateway_info": gateway })));
        let path = format!("/v2.0/routers/{router}/add_router_interface");
        api.ask("PUT", &path, Some(&json!({ "subnet_id": subnet }))).unwrap();

        let path = format!("/v2.0/security-groups?name=default&project_id={project}");
        let groups = api.ask("GET", &path, None).unwrap();
        let rule = json!({ "security_group_id": id(&groups["security_groups"][0]), "direction": "ingress",
                           "ethertype": "IPv4", "protocol": "icmp" });
        api.make("/v2.0/security-group-rules", "security_group_rule", &rule).unwrap();

        let probe = |name: &str, host: &str| lab.create_probe(&user, name, "net", host, &[]).unwrap();
        let (p1, p2) = (probe("p1", "compute1"), probe("p2", "compute2"));
        let wish = json!({ "floating_network_id": public, "port_id": p1.port });
        let floating = api.make("/v2.0/floatingips", "floatingip", &wish).unwrap();
        let floating_ip = text(&floating, "floating_ip_address").unwrap().to_owned();

        let mut world = Self { lab, user, api, network, subnet, router, p1, p2, floating_ip, _guard: guard };
        world.wait("everything works", World::works);
        world
    }

    /// Takes the lab down; nothing of it may be left.
    pub fn end(self) {
        let name = self.lab.name().to_owned();
        let record = std::fs::read_to_string(format!("/run/neutronium/labs/{name}/lab.json")).unwrap();
        let record: Value = serde_json::from_str(&record).unwrap();
        let mark = format!("NEUTRONIUM_LAB_ID={}", text(&record, "id").unwrap());
        assert!(!marked(&mark).is_empty(), "its processes are known by their mark");
        self.lab.run(&["lab", "down"]).unwrap();
        assert_eq!(marked(&mark), Vec::<String>::new(), "processes are left");
        assert!(!std::path::Path::new("/run/neutronium/labs").join(&name).exists(), "files are left");
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let left: Vec<&str> = mounts.lines().filter(|line| line.contains(&format!("/labs/{name}"))).collect();
        assert_eq!(left, Vec::<&str>::new(), "mounts are left");
    }

    /// Waits until something is so.
    pub fn wait(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) {
        let lab = self.lab.clone();
        lab.wait_until(what, || Ok(is_so(self))).unwrap();
    }

    /// Whether packets go every way: across hosts, out through SNAT and the floating IP, in through the floating IP.
    pub fn works(&mut self) -> bool {
        let inward = || self.lab.exec(NETWORK, &["ping", "-n", "-c", "1", "-W", "1", &self.floating_ip]).is_ok();
        let ways = [(&self.p1, self.p2.address.as_str()), (&self.p1, WORLD), (&self.p2, WORLD)];
        ways.iter().all(|(from, to)| reaches(from, to)) && inward()
    }

    /// A new instance gets its address, its port becomes ACTIVE, and it reaches its neighbours and the world.
    pub fn newcomer_works(&mut self, host: &str) {
        let name = format!("new-{host}");
        let probe = self.lab.create_probe(&self.user, &name, "net", host, &[]).unwrap();
        self.wait_status(&probe.port, "ACTIVE");
        for to in [self.p1.address.clone(), self.p2.address.clone(), WORLD.to_owned()] {
            self.wait(&format!("{name} reaches {to}"), |_| reaches(&probe, &to));
        }
        self.lab.run(&["probe", "delete", &name]).unwrap();
    }

    /// Waits until a port has a status.
    pub fn wait_status(&mut self, port: &str, status: &str) {
        self.wait(&format!("port {port} is {status}"), |world| world.port(port)["status"] == *status);
    }

    /// A port as the API has it.
    pub fn port(&mut self, port: &str) -> Value {
        self.api.ask("GET", &format!("/v2.0/ports/{port}"), None).unwrap()["port"].take()
    }

    /// Signs in again: a server that died has taken the connection with it.
    pub fn sign_in_again(&mut self) {
        self.api = sign_in(&self.lab, &self.user);
    }

    /// Ends a process by the signal and waits until its successor has been started.
    pub fn restart(&self, host: &str, process: &str, how: How) {
        let words = ["lab", "restart", host, process, "--kill"];
        self.lab.run(if how == How::Kill { &words } else { &words[..4] }).unwrap();
    }

    /// The process that runs now.
    pub fn pid(&self, host: &str, process: &str) -> u32 {
        let is_it = |(node, name, _): &(String, String, u32)| node == host && name == process;
        processes(&self.lab).unwrap().into_iter().find(is_it).map(|(.., pid)| pid).unwrap()
    }

    /// Sends it a signal.
    pub fn signal(&self, host: &str, process: &str, signal: &str) {
        let pid = self.pid(host, process).to_string();
        system_tests::command::run(std::process::Command::new("kill").args([signal, &pid])).unwrap();
    }

    /// What a command on a host says; an error: nothing.
    pub fn says(&self, host: &str, words: &[&str]) -> String {
        self.lab.exec(host, words).unwrap_or_default()
    }

    /// Every way stays as it is while `harm` is done and for a while after it: not one packet is lost.
    ///
    /// `harm` must neither plug nor unplug: the userspace datapath of Open vSwitch 3.1 loses a packet now and then when a
    /// port comes or goes, whoever does it (`datapath_drop_upcall_error` in `ovs-appctl coverage/show`).
    pub fn loses_nothing(&mut self, harm: impl FnOnce(&mut Self)) {
        assert!(self.works(), "the ways are established");
        let streams = [
            Stream::start(&self.p1, "across hosts", &self.p2.address),
            Stream::start(&self.p1, "out by the floating IP", WORLD),
            Stream::start(&self.p2, "out by SNAT", WORLD),
        ];
        streams.iter().for_each(|stream| stream.wait_for_more(10));
        harm(self);
        streams.iter().for_each(|stream| stream.wait_for_more(40));
        let lost: Vec<_> = streams.into_iter().map(Stream::stop).collect();
        assert!(lost.iter().all(|(_, lost)| lost.is_empty()), "lost: {lost:?}");
    }
}

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// SIGTERM: it may tidy up.
    Ask,
    /// SIGKILL.
    Kill,
}

/// One ping.
pub fn reaches(from: &Probe, to: &str) -> bool {
    let mut command = from.command(&["ping", "-n", "-c", "1", "-W", "1", to]);
    let seen = system_tests::command::output(&mut command).unwrap();
    seen.status.success()
}

fn sign_in(lab: &Lab, user: &Client) -> User {
    let status: Value = serde_json::from_str(&lab.run(&["lab", "status", "--json"]).unwrap()).unwrap();
    let url = text(&status, "server_url").unwrap().to_owned();
    let address = url.strip_prefix("http://").unwrap().parse().unwrap();
    User::sign_in(address, "admin", &user.environment()["OS_PASSWORD"], "admin").unwrap()
}

/// Processes that carry a lab's mark.
fn marked(mark: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let has_it = |folder: &std::path::PathBuf| {
        std::fs::read(folder.join("environ"))
            .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes()))
    };
    let command = |folder: std::path::PathBuf| std::fs::read_to_string(folder.join("cmdline")).unwrap_or_default();
    entries.filter(has_it).map(command).collect()
}
