//! Highly available routers on two hosts: what ends on the active one, and who forwards then. One of them is distributed: there
//! only what is central may have to be taken over.
//!
//! ```text
//!    world 172.16.0.1 ─┬─ net1      routers `edge` and `spread`, preferred ─┐
//!                      ├─ net2      both again                             ─┼─ underlay
//!                      ├─ compute1  p1 behind `edge`, p2 behind `spread`, each with a floating IP; the witness
//!                      └─ compute2  p3 behind `spread`, without one
//! ```
//! World pings floating IPs all the time, p3 pings world and p2. Waits are upper bounds only; how long a take-over took is
//! printed, and `TAKE_OVERS=10` measures that many, and their median. World also reaches p1 by its IPv6 address, which the
//! active host answers for (NDP proxy).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;
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
    /// Behind `edge`.
    p1: Probe,
    floating_ip: String,
    /// What `edge` answers for outside.
    proxied: String,
    /// Behind `spread`: with a floating IP, and without.
    p2: Probe,
    p3: Probe,
    local_floating_ip: String,
    edge: String,
    spread: String,
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let looks = [
                "tail -n 30 /var/log/neutronium/agent.log",
                "ovs-vsctl --columns=name,bfd_status find interface bfd:enable=true",
                "ovs-ofctl -O OpenFlow14 dump-flows br-int table=63; ovs-ofctl -O OpenFlow14 dump-flows br-int table=64",
            ];
            self.lab.tell(&["net1", "net2", "compute1", "compute2"], &looks);
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
        user.session(&[
            "network create public --external --share --provider-network-type flat --provider-physical-network physnet1",
            "subnet create public-subnet --network public --subnet-range 172.16.0.0/24 --gateway 172.16.0.1 \
             --allocation-pool start=172.16.0.100,end=172.16.0.199",
            // What is answered for must be of one scope with the outside.
            "address scope create six --ip-version 6",
            "subnet pool create six --address-scope six --pool-prefix 2001:db8::/32 --default-prefix-length 64",
            "subnet create public-six --network public --ip-version 6 --subnet-pool six --subnet-range 2001:db8:f::/64 \
             --no-dhcp",
            "network create net",
            "subnet create subnet --network net --subnet-range 10.0.0.0/24",
            "subnet create six --network net --subnet-pool six --subnet-range 2001:db8:1::/64 --ip-version 6 \
             --ipv6-ra-mode slaac --ipv6-address-mode slaac",
            "network create a",
            "subnet create a --network a --subnet-range 10.1.0.0/24",
            "network create b",
            "subnet create b --network b --subnet-range 10.2.0.0/24",
            "security group create open",
            "security group rule create open --protocol icmp",
            "security group rule create open --protocol ipv6-icmp --ethertype IPv6",
            "network meter create pings",
            "network meter rule create pings --egress --remote-ip-prefix 10.1.0.0/24",
            "network meter rule create pings --egress --remote-ip-prefix 10.2.0.0/24",
            "router create edge --ha --external-gateway public",
            "router set edge --enable-ndp-proxy",
            "router add subnet edge subnet",
            "router add subnet edge six",
            "router create spread --ha --distributed --external-gateway public",
            "router add subnet spread a",
            "router add subnet spread b",
        ])
        .unwrap();
        let [edge, spread] = ["edge", "spread"].map(|name| user.text("id", &["router", "show", name]).unwrap());
        let probe = |name: &str, network: &str, host: &str| {
            lab.create_probe(&user, name, network, host, &["--security-group", "open"]).unwrap()
        };
        let (p1, p2, p3) = (probe("p1", "net", "compute1"), probe("p2", "a", "compute1"), probe("p3", "b", "compute2"));
        let [floating_ip, local_floating_ip] = [&p1, &p2].map(|probe| {
            user.text("floating_ip_address", &["floating", "ip", "create", "public", "--port", &probe.port]).unwrap()
        });
        // World believes that the network inside is on its own link, and asks for its stations there.
        let world = "ip -6 addr add 2001:db8:f::1/64 dev eth0 nodad; ip -6 route add 2001:db8:1::/64 dev eth0";
        lab.exec("world", &["sh", "-c", world]).unwrap();
        let shown = user.json(&["port", "show", &p1.port]).unwrap();
        let mut addresses = shown["fixed_ips"].as_array().unwrap().iter().filter_map(|ip| ip["ip_address"].as_str());
        let proxied = addresses.find(|address| address.contains(':')).unwrap().to_owned();
        let proxy = ["router", "ndp", "proxy", "create", "edge", "--name", "p1", "--port", &p1.port];
        user.run(&[&proxy[..], &["--ip-address", &proxied]].concat()).unwrap();
        let status: Value = serde_json::from_str(&lab.run(&["lab", "status", "--json"]).unwrap()).unwrap();
        let address = text(&status, "server_url").unwrap().strip_prefix("http://").unwrap().parse().unwrap();
        let api = User::sign_in(address, "admin", &user.environment()["OS_PASSWORD"], "admin").unwrap().into();
        Self { lab, user, api, p1, floating_ip, proxied, p2, p3, local_floating_ip, edge, spread }
    }

    fn wait(&self, what: &str, is_so: impl Fn() -> bool) {
        self.lab.wait_until(what, || Ok(is_so())).unwrap();
    }

    /// Where the API says that a router is active, of the two.
    fn active(&self, router: &str) -> Vec<String> {
        let path = format!("/v2.0/routers/{router}/l3-agents");
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

    /// Where the switch lets a router's packets out.
    fn open(&self, router: &str) -> Vec<&'static str> {
        let script = format!(
            "port=$(ip netns exec qrouter-{router} ls /sys/class/net | grep ^qg-) && \
             ovs-appctl ofproto/trace br-int in_port=$port,ip,dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:02"
        );
        let lets_out = |host: &&str| {
            let trace = self.lab.exec(host, &["sh", "-c", &script]).unwrap_or_default();
            trace.lines().any(|line| line.starts_with("73. "))
        };
        HOSTS.into_iter().filter(lets_out).collect()
    }

    fn routers(&self) -> [&str; 2] {
        [&self.edge, &self.spread]
    }

    fn is_active_on(&self, host: &str) -> bool {
        self.routers().iter().all(|router| self.open(router) == [host] && self.active(router) == [host])
    }

    fn world_reaches(&self, address: &str) -> bool {
        self.lab.exec("world", &["ping", "-n", "-c", "1", "-W", "1", address]).is_ok()
    }

    fn reaches_world(&self, probe: &Probe) -> bool {
        let ping = ["ping", "-n", "-c", "1", "-W", "1", "172.16.0.1"];
        command::output(&mut probe.command(&ping)).unwrap().status.success()
    }

    /// Packets that metering labels have counted of a router on a host.
    fn counted(&self, host: &str, router: &str) -> u64 {
        let said = self.lab.exec(host, &[&self.lab.program(), "metering", "--router", router, "--json"]).unwrap();
        let counted: Vec<Value> = serde_json::from_str(&said).unwrap();
        counted.iter().map(|one| one["packets"].as_u64().unwrap()).sum()
    }

    /// In and out of both routers, by whatever way.
    fn packets_flow(&self) -> bool {
        [&self.floating_ip, &self.proxied, &self.local_floating_ip].iter().all(|address| self.world_reaches(address))
            && [&self.p1, &self.p3].iter().all(|probe| self.reaches_world(probe))
    }

    fn world_pings(&self, address: &str) -> Pings {
        Pings::start(self.lab.exec_command("world", &Pings::words(address)))
    }

    fn pings_of(&self, probe: &Probe, address: &str) -> Pings {
        Pings::start(probe.command(&Pings::words(address)))
    }

    fn signal(&self, host: &str, process: &str, signal: &str) {
        let is_it = |(node, name, _): &(String, String, u32)| node == host && name == process;
        let pid = processes(&self.lab).unwrap().into_iter().find(is_it).map(|(.., pid)| pid).unwrap();
        command::run(Command::new("kill").args([signal, &pid.to_string()])).unwrap();
    }

    /// Takes the carrier from a host's card in a network, or gives it back.
    fn carrier(&self, host: &str, network: &Cut, state: &str) {
        let card = format!("{host}-{}", network.card);
        self.lab.exec(network.switch, &["ip", "link", "set", &card, state]).unwrap();
    }
}

/// What is cut.
struct Cut {
    what: &'static str,
    switch: &'static str,
    card: &'static str,
}

const CUTS: [Cut; 2] = [
    Cut { what: "cut off from the other hosts", switch: "underlay", card: "eth1" },
    Cut { what: "cut off from the external network", switch: "outside", card: "eth2" },
];

/// Pings, twenty a second.
struct Pings {
    child: Child,
}

impl Pings {
    fn words(address: &str) -> [&str; 8] {
        ["ping", "-n", "-D", "-i", "0.05", "-W", "1", address]
    }

    fn start(mut command: Command) -> Self {
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

/// What goes by a copy: no other host's end is noticed.
const UNDISTURBED: Duration = Duration::from_millis(900);

#[test]
fn one_host_forwards_whatever_ends_on_the_other() {
    let world = World::build();
    world.wait("the routers are on both hosts, active on one", || {
        world.routers().iter().all(|router| world.active(router).len() == 1 && world.open(router).len() == 1)
    });
    let [first, second] = if world.is_active_on("net1") { HOSTS } else { ["net2", "net1"] };
    world.wait("both on the same", || world.is_active_on(first));
    world.wait("packets flow", || world.packets_flow());

    // What goes out is counted where it does: by its floating IP beside the instance, without one by the active host.
    for (host, counts) in [(first, true), ("compute1", true), (second, false)] {
        assert_eq!(world.counted(host, &world.spread) > 0, counts, "{host}");
    }

    // An agent that dies takes nothing with it, and nothing moves.
    let pings = world.world_pings(&world.floating_ip);
    world.lab.run(&["lab", "restart", first, "agent", "--kill"]).unwrap();
    world.wait("the successor has taken up its work", || {
        let log = world.lab.exec(first, &["cat", "/var/log/neutronium/agent.log"]).unwrap();
        log.matches("connected to OVSDB").count() == 2
    });
    let (gap, twice) = pings.stop();
    assert!(world.is_active_on(first) && !twice && gap < UNDISTURBED, "{gap:?}");

    let rounds = std::env::var("TAKE_OVERS").ok().and_then(|count| count.parse().ok()).unwrap_or(1);
    let mut took: BTreeMap<(&str, &str), Vec<Duration>> = BTreeMap::new();
    for (round, cut) in (0..rounds).flat_map(|round| CUTS.iter().map(move |cut| (round, cut))) {
        // Cut off, and back.
        for (state, then) in [("down", second), ("up", first)] {
            let ways = [
                ("in by a floating IP", world.world_pings(&world.floating_ip)),
                ("out of the distributed router", world.pings_of(&world.p3, "172.16.0.1")),
                ("its floating IP", world.world_pings(&world.local_floating_ip)),
                ("its neighbour", world.pings_of(&world.p3, &world.p2.address)),
            ];
            std::thread::sleep(Duration::from_millis(500));
            world.carrier(first, cut, state);
            world.wait("exactly one is active, the one that should be", || world.is_active_on(then));
            world.wait("packets flow", || world.packets_flow());
            for (way, pings) in ways {
                let (gap, twice) = pings.stop();
                eprintln!("{round}, {}, {state}: {way} {gap:?} without an answer", cut.what);
                assert!(!twice, "{way}: two were active");
                assert!(gap < UNDISTURBED || !way.starts_with("its "), "{way}: {gap:?}");
                if state == "down" {
                    took.entry((cut.what, way)).or_default().push(gap);
                }
            }
        }
    }
    for ((cut, way), mut took) in took {
        took.sort_unstable();
        eprintln!("{cut}, {way}: median {:?} of {}", took[took.len() / 2], took.len());
        assert!(took[took.len() / 2] < Duration::from_secs(15), "far beyond what it takes");
    }

    let is = |host: &str| (host.to_owned(), if host == first { "active" } else { "standby" }.to_owned());
    assert_eq!(world.listed(), HOSTS.map(is));

    // All that forwards on a host stops at once, and goes on later as if nothing had been.
    let beside = [world.world_pings(&world.local_floating_ip), world.pings_of(&world.p3, &world.p2.address)];
    world.signal(first, "ovs-vswitchd", "-STOP");
    world.wait("the other one is active", || world.routers().iter().all(|router| world.active(router) == [second]));
    world.wait("packets flow", || world.packets_flow());
    for pings in beside {
        let (gap, twice) = pings.stop();
        assert!(!twice && gap < UNDISTURBED, "{gap:?}");
    }
    world.signal(first, "ovs-vswitchd", "-CONT");
    world.wait("exactly the preferred one is active", || world.is_active_on(first));
    world.wait("packets flow", || world.packets_flow());

    // Its switch dies; another one is started, and the first host has the routers at the end.
    world.lab.run(&["lab", "restart", first, "ovs-vswitchd", "--kill"]).unwrap();
    world.wait("exactly the preferred one is active", || world.is_active_on(first));
    world.wait("packets flow", || world.packets_flow());
}
