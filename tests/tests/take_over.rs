//! A highly available router on two hosts: what ends on the active one, and who forwards then.
//!
//! ```text
//!    world 172.16.0.1 ─┬─ net1  router `edge`, preferred  ─┐
//!                      └─ net2  router `edge`             ─┼─ underlay ── compute1  p1 (with a floating IP); the witness
//! ```
//! World pings the floating IP all the time. Waits are upper bounds only; how long a take-over took is printed, and
//! `TAKE_OVERS=10` measures that many, and their median.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use serde_json::Value;
use std::cell::RefCell;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use system_tests::bench::hosts::processes;
use system_tests::bench::server::{User, text};
use system_tests::lab::Probe;
use system_tests::{Client, Lab, command};

const HOSTS: [&str; 2] = ["net1", "net2"];

struct World {
    lab: Lab,
    user: Client,
    api: RefCell<User>,
    p1: Probe,
    floating_ip: String,
    router: String,
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let looks = [
                "tail -n 30 /var/log/neutronium/agent.log",
                "ovs-vsctl --columns=name,bfd_status find interface bfd:enable=true",
                "ovs-ofctl -O OpenFlow14 dump-flows br-int table=63; ovs-ofctl -O OpenFlow14 dump-flows br-int table=64",
            ];
            self.lab.tell(&["net1", "net2", "compute1"], &looks);
        }
        let _ = self.lab.run(&["lab", "down"]);
    }
}

impl World {
    fn build() -> Self {
        let lab = Lab::new(&format!("takeover-{}", std::process::id()));
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/labs/two-routers.toml");
        lab.run(&["lab", "up", file]).unwrap();
        let user = Client::new(&lab, "admin", None, "admin").unwrap();
        user.batch(&[
            "network create public --external --share --provider-network-type flat --provider-physical-network physnet1",
            "subnet create public-subnet --network public --subnet-range 172.16.0.0/24 --gateway 172.16.0.1 \
             --allocation-pool start=172.16.0.100,end=172.16.0.199",
            "network create net",
            "subnet create subnet --network net --subnet-range 10.0.0.0/24",
            "security group create open",
            "security group rule create open --protocol icmp",
            "router create edge --ha --external-gateway public",
            "router add subnet edge subnet",
        ])
        .unwrap();
        let router = user.text("id", &["router", "show", "edge"]).unwrap();
        let p1 = lab.create_probe(&user, "p1", "net", "compute1", &["--security-group", "open"]).unwrap();
        let floating_ip =
            user.text("floating_ip_address", &["floating", "ip", "create", "public", "--port", &p1.port]).unwrap();
        let status: Value = serde_json::from_str(&lab.run(&["lab", "status", "--json"]).unwrap()).unwrap();
        let address = text(&status, "server_url").unwrap().strip_prefix("http://").unwrap().parse().unwrap();
        let api = User::sign_in(address, "admin", &user.environment()["OS_PASSWORD"], "admin").unwrap().into();
        Self { lab, user, api, p1, floating_ip, router }
    }

    fn wait(&self, what: &str, is_so: impl Fn() -> bool) {
        self.lab.wait_until(what, || Ok(is_so())).unwrap();
    }

    /// Where the API says the router is active, of the two.
    fn active(&self) -> Vec<String> {
        let path = format!("/v2.0/routers/{}/l3-agents", self.router);
        let agents = self.api.borrow_mut().ask("GET", &path, None).unwrap();
        let agents = agents["agents"].as_array().unwrap();
        assert_eq!(agents.len(), 2);
        let active = agents.iter().filter(|agent| agent["ha_state"] == "active");
        active.map(|agent| text(agent, "host").unwrap().to_owned()).collect()
    }

    /// The same by the real client.
    fn listed(&self) -> Vec<(String, String)> {
        let rows = self.user.json(&["network", "agent", "list", "--router", "edge", "--long"]).unwrap();
        let row = |row: &Value| (text(row, "Host").unwrap().to_owned(), text(row, "HA State").unwrap().to_owned());
        let mut rows: Vec<_> = rows.as_array().unwrap().iter().map(row).collect();
        rows.sort();
        rows
    }

    /// Where the switch lets the router's packets out.
    fn open(&self) -> Vec<&'static str> {
        let script = format!(
            "port=$(ip netns exec qrouter-{} ls /sys/class/net | grep ^qg-) && \
             ovs-appctl ofproto/trace br-int in_port=$port,ip,dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:02",
            self.router
        );
        let lets_out = |host: &&str| {
            let trace = self.lab.exec(host, &["sh", "-c", &script]).unwrap_or_default();
            trace.lines().any(|line| line.starts_with("73. "))
        };
        HOSTS.into_iter().filter(lets_out).collect()
    }

    fn is_active_on(&self, host: &str) -> bool {
        self.open() == [host] && self.active() == [host]
    }

    fn world_reaches_p1(&self) -> bool {
        self.lab.exec("world", &["ping", "-n", "-c", "1", "-W", "1", &self.floating_ip]).is_ok()
    }

    fn p1_reaches_world(&self) -> bool {
        command::output(&mut self.p1.command(&["ping", "-n", "-c", "1", "-W", "1", "172.16.0.1"]))
            .unwrap()
            .status
            .success()
    }

    fn signal(&self, host: &str, process: &str, signal: &str) {
        let is_it = |(node, name, _): &(String, String, u32)| node == host && name == process;
        let pid = processes(&self.lab).unwrap().into_iter().find(is_it).map(|(.., pid)| pid).unwrap();
        command::run(Command::new("kill").args([signal, &pid.to_string()])).unwrap();
    }

    /// Cuts a host off from the others, or no longer.
    fn underlay(&self, host: &str, state: &str) {
        self.lab.exec("underlay", &["ip", "link", "set", &format!("{host}-eth1"), state]).unwrap();
    }
}

/// World's pings to the floating IP, twenty a second.
struct Pings {
    child: Child,
}

impl Pings {
    fn start(world: &World) -> Self {
        let words = ["ping", "-n", "-D", "-i", "0.05", "-W", "1", &world.floating_ip];
        let mut command = world.lab.exec_command("world", &words);
        Self { child: command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap() }
    }

    /// The longest time without an answer, and whether one came twice.
    fn stop(mut self) -> (Duration, bool) {
        let _ = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        let mut said = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        let at = |line: &str| line.strip_prefix('[')?.split_once(']')?.0.parse::<f64>().ok();
        let times: Vec<f64> = said.lines().filter(|line| line.contains("icmp_seq=")).filter_map(at).collect();
        let gap = times.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
        (Duration::from_secs_f64(gap), said.contains("DUP!"))
    }
}

impl Drop for Pings {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn one_host_forwards_whatever_ends_on_the_other() {
    let world = World::build();
    world.wait("the router is on both hosts, active on one", || world.active().len() == 1 && world.open().len() == 1);
    let [first, second] = if world.is_active_on("net1") { HOSTS } else { ["net2", "net1"] };
    world.wait("the floating IP answers", || world.world_reaches_p1() && world.p1_reaches_world());

    // An agent that dies takes nothing with it, and nothing moves.
    let pings = Pings::start(&world);
    world.lab.run(&["lab", "restart", first, "agent", "--kill"]).unwrap();
    world.wait("the successor has taken up its work", || {
        let log = world.lab.exec(first, &["cat", "/var/log/neutronium/agent.log"]).unwrap();
        log.matches("connected to OVSDB").count() == 2
    });
    let (gap, twice) = pings.stop();
    assert!(world.is_active_on(first) && !twice && gap < Duration::from_millis(900), "{gap:?}");

    let rounds = std::env::var("TAKE_OVERS").ok().and_then(|count| count.parse().ok()).unwrap_or(1);
    let mut took = Vec::new();
    for _ in 0..rounds {
        // Cut off, and back.
        let pings = Pings::start(&world);
        std::thread::sleep(Duration::from_millis(500));
        world.underlay(first, "down");
        world.wait("the other one is active", || world.is_active_on(second));
        world.wait("packets flow", || world.world_reaches_p1() && world.p1_reaches_world());
        let (gap, twice) = pings.stop();
        eprintln!("cut off: {gap:?} without an answer");
        assert!(!twice, "two were active");
        took.push(gap);
        let pings = Pings::start(&world);
        world.underlay(first, "up");
        world.wait("exactly the preferred one is active", || world.is_active_on(first));
        world.wait("packets flow", || world.world_reaches_p1() && world.p1_reaches_world());
        let (gap, twice) = pings.stop();
        eprintln!("back again: {gap:?} without an answer");
        assert!(!twice, "two were active");
    }
    took.sort_unstable();
    eprintln!("take-over: median {:?} of {}", took[took.len() / 2], took.len());
    assert!(took[took.len() / 2] < Duration::from_secs(15), "far beyond what it takes");

    let is = |host: &str| (host.to_owned(), if host == first { "active" } else { "standby" }.to_owned());
    assert_eq!(world.listed(), HOSTS.map(is));

    // All that forwards on a host stops at once, and goes on later as if nothing had been.
    world.signal(first, "ovs-vswitchd", "-STOP");
    world.wait("the other one is active", || world.active() == [second]);
    world.wait("packets flow", || world.world_reaches_p1() && world.p1_reaches_world());
    world.signal(first, "ovs-vswitchd", "-CONT");
    world.wait("exactly the preferred one is active", || world.is_active_on(first));
    world.wait("packets flow", || world.world_reaches_p1() && world.p1_reaches_world());

    // Its switch dies; another one is started, and the first host has the router at the end.
    world.lab.run(&["lab", "restart", first, "ovs-vswitchd", "--kill"]).unwrap();
    world.wait("exactly the preferred one is active", || world.is_active_on(first));
    world.wait("packets flow", || world.world_reaches_p1() && world.p1_reaches_world());
}
