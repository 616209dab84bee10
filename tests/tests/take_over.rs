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

use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;
use system_tests::bench::hosts::processes;
use system_tests::bench::server::{User, text};
use system_tests::lab::{PING, Probe};
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

/// What the routers are put on, by id: the network outside, and subnets.
struct Networks {
    public: String,
    subnet: String,
    six: String,
    a: String,
    b: String,
}

impl Networks {
    /// By the API, while the client is being loaded: how it says such things is seen in other scenarios.
    fn make(api: &mut User) -> Self {
        let physical = json!({ "name": "public", "router:external": true, "shared": true,
            "provider:network_type": "flat", "provider:physical_network": "physnet1" });
        let public = make(api, "networks", "network", &physical);
        let [net, a, b] = ["net", "a", "b"].map(|name| make(api, "networks", "network", &json!({ "name": name })));
        let pool = json!([{ "start": "172.16.0.100", "end": "172.16.0.199" }]);
        let outside = json!({ "network_id": public, "cidr": "172.16.0.0/24", "ip_version": 4,
            "gateway_ip": "172.16.0.1", "allocation_pools": pool });
        make(api, "subnets", "subnet", &outside);
        let [subnet, a, b] = [(net.as_str(), 0), (a.as_str(), 1), (b.as_str(), 2)].map(|(network, number)| {
            let body = json!({ "network_id": network, "cidr": format!("10.{number}.0.0/24"), "ip_version": 4 });
            make(api, "subnets", "subnet", &body)
        });
        // What is answered for must be of one scope with the outside.
        let scope = make(api, "address-scopes", "address_scope", &json!({ "name": "six", "ip_version": 6 }));
        let pool = json!({ "name": "six", "address_scope_id": scope, "prefixes": ["2001:db8::/32"],
            "default_prefixlen": 64 });
        let pool = make(api, "subnetpools", "subnetpool", &pool);
        let outside = json!({ "network_id": public, "subnetpool_id": pool, "cidr": "2001:db8:f::/64", "ip_version": 6,
            "enable_dhcp": false });
        make(api, "subnets", "subnet", &outside);
        let inside = json!({ "network_id": net, "subnetpool_id": pool, "cidr": "2001:db8:1::/64", "ip_version": 6,
            "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac" });
        let six = make(api, "subnets", "subnet", &inside);
        let open = make(api, "security-groups", "security_group", &json!({ "name": "open" }));
        for (family, protocol) in [("IPv4", "icmp"), ("IPv6", "ipv6-icmp")] {
            let rule = json!({ "security_group_id": open, "direction": "ingress", "ethertype": family,
                "protocol": protocol });
            make(api, "security-group-rules", "security_group_rule", &rule);
        }
        let label = make(api, "metering/metering-labels", "metering_label", &json!({ "name": "pings" }));
        for prefix in ["10.1.0.0/24", "10.2.0.0/24"] {
            let rule = json!({ "metering_label_id": label, "direction": "egress", "remote_ip_prefix": prefix });
            make(api, "metering/metering-label-rules", "metering_label_rule", &rule);
        }
        Self { public, subnet, six, a, b }
    }
}

/// Makes one object; its id.
fn make(api: &mut User, path: &str, kind: &str, body: &Value) -> String {
    let made = api.make(&format!("/v2.0/{path}"), kind, body).unwrap();
    text(&made, "id").unwrap().to_owned()
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
        let status: Value = serde_json::from_str(&lab.run(&["lab", "status", "--json"]).unwrap()).unwrap();
        let address = text(&status, "server_url").unwrap().strip_prefix("http://").unwrap().parse().unwrap();
        let mut api = User::sign_in(address, "admin", &user.environment()["OS_PASSWORD"], "admin").unwrap();
        let networks = Networks::make(&mut api);
        // The instances need no router to get their addresses.
        let probe = |name: &'static str, network: &'static str, host: &'static str| {
            let (lab, user) = (&lab, &user);
            move || lab.create_probe(user, name, network, host, &["--security-group", "open"]).unwrap()
        };
        let (p1, p2, p3) = std::thread::scope(|all| {
            let made = [probe("p1", "net", "compute1"), probe("p2", "a", "compute1"), probe("p3", "b", "compute2")]
                .map(|make| all.spawn(make));
            made.map(|made| made.join().unwrap()).into()
        });
        let router = |words: &str| {
            let words = ["router create --ha --external-gateway public", words].join(" ");
            user.text("id", &words.split(' ').collect::<Vec<_>>()).unwrap()
        };
        let (edge, spread) = (router("edge"), router("spread --distributed"));
        user.run(&["router", "set", "edge", "--enable-ndp-proxy"]).unwrap();
        let Networks { public, subnet, six, a, b } = networks;
        for (router, subnet) in [(&edge, subnet), (&edge, six), (&spread, a), (&spread, b)] {
            let path = format!("/v2.0/routers/{router}/add_router_interface");
            api.ask("PUT", &path, Some(&json!({ "subnet_id": subnet }))).unwrap();
        }
        let [floating_ip, local_floating_ip] = [&p1, &p2].map(|probe| {
            let asked = json!({ "floating_network_id": public, "port_id": probe.port });
            let made = api.make("/v2.0/floatingips", "floatingip", &asked).unwrap();
            text(&made, "floating_ip_address").unwrap().to_owned()
        });
        // World believes that the network inside is on its own link, and asks for its stations there.
        let world = "ip -6 addr add 2001:db8:f::1/64 dev eth0 nodad; ip -6 route add 2001:db8:1::/64 dev eth0";
        lab.exec("world", &["sh", "-c", world]).unwrap();
        let shown = api.ask("GET", &format!("/v2.0/ports/{}", p1.port), None).unwrap();
        let fixed = shown["port"]["fixed_ips"].as_array().unwrap();
        let mut addresses = fixed.iter().filter_map(|ip| ip["ip_address"].as_str());
        let proxied = addresses.find(|address| address.contains(':')).unwrap().to_owned();
        let proxy = ["router", "ndp", "proxy", "create", "edge", "--name", "p1", "--port", &p1.port];
        user.run(&[&proxy[..], &["--ip-address", &proxied]].concat()).unwrap();
        let api = api.into();
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
        let routers = self.routers();
        routers.iter().all(|router| self.active(router) == [host])
            && routers.iter().all(|router| self.open(router) == [host])
    }

    /// Packets that metering labels have counted of a router on a host.
    fn counted(&self, host: &str, router: &str) -> u64 {
        let said = self.lab.exec(host, &[&self.lab.program(), "metering", "--router", router, "--json"]).unwrap();
        let counted: Vec<Value> = serde_json::from_str(&said).unwrap();
        counted.iter().map(|one| one["packets"].as_u64().unwrap()).sum()
    }

    /// In and out of both routers, by whatever way.
    fn packets_flow(&self) -> bool {
        let to = |address| [&PING[..], &[address]].concat();
        let inwards = [&self.floating_ip, &self.proxied, &self.local_floating_ip];
        let inwards = inwards.into_iter().map(|address| self.lab.exec_command("world", &to(address)));
        let outwards = [&self.p1, &self.p3].into_iter().map(|probe| probe.command(&to("172.16.0.1")));
        // All at once.
        let silent = |command: &mut Command| command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let all: Vec<Child> = inwards.chain(outwards).map(|mut command| silent(&mut command)).collect();
        let answered: Vec<bool> = all.into_iter().map(|mut ping| ping.wait().unwrap().success()).collect();
        !answered.contains(&false)
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
    said: BufReader<ChildStdout>,
    /// Up to the first answer.
    first: String,
}

impl Pings {
    fn words(address: &str) -> [&str; 8] {
        ["ping", "-n", "-D", "-i", "0.05", "-W", "1", address]
    }

    /// Returns when the first was answered.
    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut said, mut first) = (BufReader::new(child.stdout.take().unwrap()), String::new());
        while !first.contains("icmp_seq=") {
            assert!(said.read_line(&mut first).unwrap() > 0, "{first}");
        }
        Self { child, said, first }
    }

    /// The longest time without an answer, and whether one came twice.
    fn stop(mut self) -> (Duration, bool) {
        let _ = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        let mut said = std::mem::take(&mut self.first);
        self.said.read_to_string(&mut said).unwrap();
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
