//! Faults in a working network: processes that die, devices that leave, things undone by hand. Nobody helps: all of it must
//! become whole by itself, and what the dead process only supervised must not notice that it was gone.
//!
//! Each scenario has a lab of its own ([`world`]), and looks at the end that taking it down leaves nothing. Waits are upper
//! bounds only; no assertion depends on how fast the machine is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod flows;
mod stream;
mod world;

use flows::Flows;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use system_tests::Failure;
use system_tests::bench::server::{User, text};
use world::{How, NETWORK, WORLD, World, reaches};

#[test]
fn a_killed_agent_is_not_noticed_by_packets_and_takes_up_its_work() {
    let mut world = World::build("agents");
    for host in ["compute1", NETWORK] {
        let before = Flows::read(&world, host);
        world.loses_nothing(|world| {
            world.restart(host, "agent", How::Kill);
            world.wait("the successor has taken up its work", |world| {
                let log = world.says(host, &["cat", "/var/log/neutronium/agent.log"]);
                log.matches("connected to OVSDB").count() == 2
            });
        });
        // It has looked at everything when what is new works.
        world.newcomer_works(if host == NETWORK { "compute2" } else { host });
        let after = Flows::read(&world, host);
        assert_eq!(after.all(), before.all(), "{host}");
        assert_eq!(after.touched_since(&before), Vec::<&str>::new(), "{host}: written again");
    }
    world.end();
}

#[test]
fn what_changes_while_an_agent_is_away_is_done_when_it_is_back() {
    let mut world = World::build("away");
    let gone = world.lab.create_probe(&world.user, "gone", "net", "compute1", &[]).unwrap();
    world.wait_status(&gone.port, "ACTIVE");
    // Stopped, not dead: its supervisor does not start another one yet.
    world.signal("compute1", "agent", "-STOP");
    world.signal(NETWORK, "agent", "-STOP");
    world.lab.run(&["probe", "delete", "gone"]).unwrap();
    let second = json!({ "name": "second", "admin_state_up": true });
    let second = world.api.make("/v2.0/routers", "router", &second).unwrap();
    let network = world.api.make("/v2.0/networks", "network", &json!({ "name": "late" })).unwrap();
    let subnet = json!({ "network_id": network["id"], "ip_version": 4, "cidr": "10.9.0.0/24" });
    let subnet = world.api.make("/v2.0/subnets", "subnet", &subnet).unwrap();
    let path = format!("/v2.0/routers/{}/add_router_interface", text(&second, "id").unwrap());
    world.api.ask("PUT", &path, Some(&json!({ "subnet_id": subnet["id"] }))).unwrap();
    // A device comes while nobody looks, and waits for its port to be realised.
    let host = "compute1";
    let port = plug_by_hand(&mut world, host, "late");
    assert_eq!(world.port(&port)["status"], "DOWN", "nobody has realised it");

    world.restart("compute1", "agent", How::Kill);
    world.restart(NETWORK, "agent", How::Kill);
    world.wait_status(&port, "ACTIVE");
    let namespace = format!("qrouter-{}", text(&second, "id").unwrap());
    world.wait("the new router has its address", |world| {
        world.says(NETWORK, &["ip", "-n", &namespace, "addr"]).contains("10.9.0.1/24")
    });
    world.wait("nothing leads to the instance that was deleted", |world| {
        let whole = |flow: &str| flow.split(|c: char| !c.is_ascii_digit() && c != '.').any(|word| word == gone.address);
        !Flows::read(world, "compute1").all().into_iter().any(whole)
    });
    world.wait("what was there works as before", World::works);
    // And the other way: things go while nobody looks.
    let router = format!("qrouter-{}", world.router);
    let devices = world.says(NETWORK, &["ip", "netns", "exec", &router, "ls", "/sys/class/net"]);
    let device = devices.split_whitespace().find(|name| name.starts_with("qr-")).unwrap().to_owned();
    world.signal(NETWORK, "agent", "-STOP");
    let port = world.floating_ip.clone();
    let floating = world.api.ask("GET", &format!("/v2.0/floatingips?floating_ip_address={port}"), None).unwrap();
    let id = text(&floating["floatingips"][0], "id").unwrap().to_owned();
    world.api.ask("DELETE", &format!("/v2.0/floatingips/{id}"), None).unwrap();
    let path = format!("/v2.0/routers/{}/remove_router_interface", world.router);
    let subnet = json!({ "subnet_id": world.subnet });
    world.api.ask("PUT", &path, Some(&subnet)).unwrap();
    world.api.ask("DELETE", &format!("/v2.0/routers/{}", world.router), None).unwrap();
    assert!(world.says(NETWORK, &["ip", "netns"]).contains(&router), "nobody has removed it");
    world.restart(NETWORK, "agent", How::Kill);
    world.wait("the router is gone with its ports", |world| {
        !world.says(NETWORK, &["ip", "netns"]).contains(&router)
            && !world.says(NETWORK, &["ovs-vsctl", "list-ports", "br-int"]).contains(&device)
    });
    world.end();
}

/// A port of the API's, bound to a host.
fn make_port(world: &mut World, host: &str, name: &str) -> Value {
    let body = json!({ "network_id": world.network, "name": name, "device_id": name, "device_owner": "compute:hand",
                       "binding:host_id": host });
    world.api.make("/v2.0/ports", "port", &body).unwrap()
}

/// Plugs a device for a port as a hypervisor does, without waiting for anything.
fn plug(world: &World, host: &str, port: &Value) {
    let (id, mac) = (text(port, "id").unwrap(), text(port, "mac_address").unwrap());
    let tap: String = format!("tap{id}").chars().take(14).collect();
    make_device(world, host, &tap);
    let (interface, attached) = (format!("external_ids:iface-id={id}"), format!("external_ids:attached-mac=\"{mac}\""));
    let plug = ["ovs-vsctl", "--no-wait", "add-port", "br-int", &tap, "--", "set", "Interface", &tap, &interface];
    world.lab.exec(host, &[&plug[..], &[&attached]].concat()).unwrap();
}

/// Both; the port's id.
fn plug_by_hand(world: &mut World, host: &str, name: &str) -> String {
    let port = make_port(world, host, name);
    plug(world, host, &port);
    text(&port, "id").unwrap().to_owned()
}

/// A pair of devices whose first end is named so.
fn make_device(world: &World, host: &str, tap: &str) {
    let other = tap.replacen("tap", "hnd", 1);
    world.lab.exec(host, &["ip", "link", "add", tap, "up", "type", "veth", "peer", "name", &other]).unwrap();
    world.lab.exec(host, &["ip", "link", "set", &other, "up"]).unwrap();
}

#[test]
fn a_killed_server_is_not_noticed_by_packets_and_forgets_nothing_it_has_answered() {
    let mut world = World::build("server");
    let project = world.api.ask("GET", &format!("/v2.0/networks/{}", world.network), None).unwrap();
    let quotas = json!({ "quota": { "port": -1, "security_group": -1, "security_group_rule": -1 } });
    let path = format!("/v2.0/quotas/{}", text(&project["network"], "project_id").unwrap());
    world.api.ask("PUT", &path, Some(&quotas)).unwrap();
    world.loses_nothing(|world| {
        let writers = Writers::default();
        std::thread::scope(|scope| {
            for number in 0..3 {
                let (writers, address) = (&writers, world.api.address());
                let (network, password) = (world.network.clone(), world.user.environment()["OS_PASSWORD"].clone());
                scope.spawn(move || writers.write(address, &password, &network, number));
            }
            // In the middle of writes, several times.
            for _ in 0..3 {
                let wanted = writers.kept() + 25;
                let start = Instant::now();
                while writers.kept() < wanted {
                    assert!(start.elapsed() < Duration::from_secs(60), "the writers make progress");
                    std::thread::sleep(Duration::from_millis(1));
                }
                world.restart("controller", "server", How::Kill);
            }
            writers.stop.store(true, Ordering::Relaxed);
        });
        world.sign_in_again();
        everything_answered_is_there(world, &writers);
    });
    // The agents follow again, without hands.
    world.newcomer_works("compute1");

    // A port that was made before, and whose device comes while the server hears nothing.
    let port = make_port(&mut world, "compute2", "before");
    world.signal("controller", "server", "-STOP");
    plug(&world, "compute2", &port);
    world.restart("controller", "server", How::Kill);
    world.sign_in_again();
    world.wait_status(text(&port, "id").unwrap(), "ACTIVE");
    world.end();
}

/// Clients that write until they are stopped, and remember what was answered.
#[derive(Default)]
struct Writers {
    stop: AtomicBool,
    /// Path to what the server answered to the last write.
    objects: Mutex<BTreeMap<String, Value>>,
    /// Paths of objects whose removal was answered.
    removed: Mutex<Vec<String>>,
    /// Names of objects whose creation found no answer: they may be there, whole, or not.
    unsure: Mutex<Vec<String>>,
}

impl Writers {
    /// How many objects there must be by what was answered.
    fn kept(&self) -> usize {
        self.objects.lock().unwrap().len()
    }

    /// One client: ports, their names, their removal; security groups with rules.
    fn write(&self, address: std::net::SocketAddr, password: &str, network: &str, number: usize) {
        let sign_in = || User::sign_in(address, "admin", password, "admin");
        let mut user = None;
        for turn in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let Some(api) = user.as_mut() else {
                // The lab's supervisor holds the socket while the server starts; a connection may still break off.
                user = sign_in().ok();
                continue;
            };
            if self.turn(api, network, &format!("w{number}-{turn}")).is_none() {
                user = None;
            }
        }
    }

    /// Some writes; none when one was not answered.
    fn turn(&self, api: &mut User, network: &str, name: &str) -> Option<()> {
        let port = json!({ "network_id": network, "name": name, "device_owner": "compute:none" });
        let port = self.create(api, "ports", "port", name, &port)?;
        let group = self.create(api, "security-groups", "security_group", name, &json!({ "name": name }))?;
        let rule = json!({ "security_group_id": group["id"], "direction": "ingress", "ethertype": "IPv4",
                           "protocol": "tcp", "port_range_min": 1, "port_range_max": 9 });
        self.create(api, "security-group-rules", "security_group_rule", "", &rule)?;
        let path = format!("/v2.0/ports/{}", port["id"].as_str()?);
        // While it is not answered, either is right; nobody looks at it then.
        let before = self.objects.lock().unwrap().remove(&path);
        let renamed = json!({ "port": { "description": "renamed", "security_groups": [group["id"]] } });
        let mut renamed = unless_answered(api.ask("PUT", &path, Some(&renamed)))?;
        assert!(before.is_some());
        self.objects.lock().unwrap().insert(path.clone(), renamed["port"].take());
        if name.ends_with('3') {
            self.objects.lock().unwrap().remove(&path);
            unless_answered(api.ask("DELETE", &path, None))?;
            self.removed.lock().unwrap().push(path);
        }
        Some(())
    }

    fn create(&self, api: &mut User, path: &str, kind: &str, name: &str, body: &Value) -> Option<Value> {
        match api.make(&format!("/v2.0/{path}"), kind, body) {
            Ok(made) => {
                let path = format!("/v2.0/{path}/{}", text(&made, "id").unwrap());
                self.objects.lock().unwrap().insert(path, made.clone());
                Some(made)
            }
            Err(failure) => {
                assert!(!was_answered(&failure), "{failure}");
                self.unsure.lock().unwrap().push(name.to_owned());
                None
            }
        }
    }
}

/// Whether the server said no, in HTTP's words; a connection that broke off is no answer.
fn was_answered(failure: &Failure) -> bool {
    matches!(failure, Failure::Unexpected { what, .. } if what.starts_with(|c: char| c.is_ascii_digit()))
}

fn unless_answered(outcome: Result<Value, Failure>) -> Option<Value> {
    assert!(!outcome.as_ref().is_err_and(was_answered), "{outcome:?}");
    outcome.ok()
}

/// What was answered is as it was answered, and what was not is whole or not there.
fn everything_answered_is_there(world: &mut World, writers: &Writers) {
    let objects = writers.objects.lock().unwrap();
    for (path, answered) in objects.iter() {
        let kind = path.split('/').nth(2).unwrap();
        let kind = BTreeMap::from([
            ("ports", "port"),
            ("security-groups", "security_group"),
            ("security-group-rules", "security_group_rule"),
        ])[kind];
        let mut found = world.api.ask("GET", path, None).unwrap();
        let mut answered = answered.clone();
        for volatile in ["security_group_rules", "revision_number", "updated_at", "status"] {
            // A group has got rules since; those were answered too, and are looked at themselves.
            found[kind].as_object_mut().unwrap().remove(volatile);
            answered.as_object_mut().unwrap().remove(volatile);
        }
        assert_eq!(found[kind], answered, "{path}");
    }
    for path in writers.removed.lock().unwrap().iter() {
        assert!(world.api.ask("GET", path, None).is_err(), "{path} was removed");
    }
    let ports = world.api.ask("GET", &format!("/v2.0/ports?network_id={}", world.network), None).unwrap();
    let ports = ports["ports"].as_array().unwrap();
    let mut addresses = BTreeMap::new();
    for port in ports {
        let fixed = port["fixed_ips"].as_array().unwrap();
        assert_eq!(fixed.len(), 1, "each has its address: {port}");
        let address = fixed[0]["ip_address"].as_str().unwrap().to_owned();
        assert_eq!(addresses.insert(address, &port["id"]), None, "an address is one port's: {port}");
        let of_writer = port["name"].as_str().unwrap().starts_with('w');
        assert!(!of_writer || port["security_groups"].as_array().unwrap().len() == 1, "each has its group: {port}");
    }
    for name in writers.unsure.lock().unwrap().iter().filter(|name| !name.is_empty()) {
        let groups = world.api.ask("GET", &format!("/v2.0/security-groups?name={name}"), None).unwrap();
        for group in groups["security_groups"].as_array().unwrap() {
            // The two that let everything out come with the group, or it is not there.
            assert!(group["security_group_rules"].as_array().unwrap().len() >= 2, "{group}");
        }
    }
}

#[test]
fn a_switch_that_was_restarted_is_made_whole() {
    let mut world = World::build("switch");
    for host in ["compute1", NETWORK] {
        for how in [How::Ask, How::Kill] {
            let before = Flows::read(&world, host);
            world.restart(host, "ovs-vswitchd", how);
            world.wait(&format!("{host}, {how:?}: everything works again"), World::works);
            world.newcomer_works(if host == NETWORK { "compute2" } else { host });
            assert_eq!(Flows::read(&world, host).all(), before.all(), "{host}, {how:?}");
        }
    }
    world.end();
}

#[test]
fn a_host_whose_processes_all_die_while_the_server_is_away_is_made_whole() {
    let mut world = World::build("alone");
    // What is kept may be half a second behind what is realised.
    for (host, last) in
        [("compute1", &world.p2.address), ("compute2", &world.p2.address), (NETWORK, &world.floating_ip)]
    {
        let last = format!("\"{last}");
        let kept = |world: &World| world.says(host, &["cat", "/var/lib/neutronium/view.json"]).contains(&last);
        world.lab.wait_until(&format!("{host} keeps its view"), || Ok(kept(&world))).unwrap();
    }
    // It hears and answers nothing, and nobody starts another one.
    world.signal("controller", "server", "-STOP");
    for host in ["compute1", NETWORK] {
        world.restart(host, "agent", How::Kill);
        world.restart(host, "ovs-vswitchd", How::Kill);
        world.restart(host, "ovsdb-server", How::Kill);
    }
    world.wait("everything works again, by what the agents have kept", World::works);
    world.signal("controller", "server", "-CONT");
    world.sign_in_again();
    world.newcomer_works("compute1");
    world.end();
}

#[test]
fn a_restarted_database_is_not_noticed_by_packets() {
    let mut world = World::build("database");
    for host in ["compute1", NETWORK] {
        for how in [How::Ask, How::Kill] {
            let before = Flows::read(&world, host);
            world.loses_nothing(|world| world.restart(host, "ovsdb-server", how));
            world.newcomer_works(if host == NETWORK { "compute2" } else { host });
            assert_eq!(Flows::read(&world, host).touched_since(&before), Vec::<&str>::new(), "{host}, {how:?}");
        }
    }
    world.end();
}

#[test]
fn a_port_is_active_for_as_long_as_its_device_is_there() {
    let mut world = World::build("device");
    let host = "compute1";
    let body = json!({ "network_id": world.network, "device_id": "x", "device_owner": "compute:hand",
                       "binding:host_id": host });
    let port = world.api.make("/v2.0/ports", "port", &body).unwrap();
    let waits = text(&port, "id").unwrap().to_owned();
    let plugged = plug_by_hand(&mut world, host, "plugged");
    world.wait_status(&plugged, "ACTIVE");
    assert_eq!(world.port(&waits)["status"], "DOWN", "it has no device yet");

    let tap: String = format!("tap{plugged}").chars().take(14).collect();
    world.lab.exec(host, &["ip", "link", "delete", &tap]).unwrap();
    world.wait_status(&plugged, "DOWN");
    // As a hypervisor plugs: what is there of that name goes first.
    let (id, old) = (format!("external_ids:iface-id={plugged}"), ["ovs-vsctl", "--if-exists", "del-port", &tap]);
    let new = ["ovs-vsctl", "--no-wait", "add-port", "br-int", &tap, "--", "set", "Interface", &tap, &id];
    make_device(&world, host, &tap);
    world.lab.exec(host, &old).unwrap();
    world.lab.exec(host, &new).unwrap();
    world.wait_status(&plugged, "ACTIVE");
    world.lab.exec(host, &old).unwrap();
    world.wait_status(&plugged, "DOWN");
    world.lab.exec(host, &new).unwrap();
    world.wait_status(&plugged, "ACTIVE");
    // A router's end: it is the agent's own, and comes back by itself.
    let ports = world.api.ask("GET", &format!("/v2.0/ports?device_id={}", world.router), None).unwrap();
    let inner =
        ports["ports"].as_array().unwrap().iter().find(|port| port["device_owner"] == "network:router_interface");
    let inner = text(inner.unwrap(), "id").unwrap().to_owned();
    world.wait_status(&inner, "ACTIVE");
    let device: String = format!("qr-{inner}").chars().take(14).collect();
    world.lab.exec(NETWORK, &["ip", "link", "delete", &device]).unwrap();
    world.wait("the router reaches its network again", |world| reaches(&world.p2, WORLD));
    world.wait_status(&inner, "ACTIVE");
    world.end();
}

#[test]
fn what_is_undone_by_hand_is_mended() {
    let mut world = World::build("drift");
    let router = format!("qrouter-{}", world.router);
    let dhcp = format!("qdhcp-{}", world.network);
    let device = |world: &World, namespace: &str, prefix: &str| {
        let names = world.says(NETWORK, &["ip", "netns", "exec", namespace, "ls", "/sys/class/net"]);
        names.split_whitespace().find(|name| name.starts_with(prefix)).unwrap().to_owned()
    };
    let inner = device(&world, &router, "qr-");
    let before = Flows::read(&world, "compute1").all().iter().map(ToString::to_string).collect::<Vec<_>>();
    let foreign = "cookie=0x77,table=0,priority=9,dl_type=0x88b5,actions=drop";
    world.lab.exec("compute1", &["ovs-ofctl", "-O", "OpenFlow14", "add-flow", "br-int", foreign]).unwrap();
    for bridge in ["br-int", "br-tun"] {
        let ours = "cookie=0x4e65757400000000/0xffffffff00000000";
        world.lab.exec("compute1", &["ovs-ofctl", "-O", "OpenFlow14", "del-flows", bridge, ours]).unwrap();
    }
    assert!(!reaches(&world.p1, &world.p2.address), "the harm is done");
    world.wait("flows are back", World::works);
    let mut after = Flows::read(&world, "compute1").all().iter().map(ToString::to_string).collect::<Vec<_>>();
    let others = after.iter().position(|flow| flow.contains("cookie=0x77,"));
    assert!(others.is_some(), "a flow of somebody else is left alone");
    after.remove(others.unwrap());
    assert_eq!(after, before);

    let inside = format!("ip netns exec {router}");
    // Tables are listed in the order in which they were made.
    let filters = format!("{inside} nft -s list table ip neutronium");
    let (addresses, routes) = (format!("{inside} ip -o -4 addr show dev {inner}"), format!("{inside} ip route"));
    let (own_ports, tunnel_ports) = ("ovs-vsctl list-ports br-int", "ovs-vsctl list-ports br-tun");
    for (what, harm, look) in [
        ("flows", "ovs-ofctl -O OpenFlow14 mod-flows br-tun table=0,actions=drop", "true"),
        ("the router's address", &format!("{inside} ip addr flush dev {inner} scope global"), &addresses),
        ("the router's filters", &format!("{inside} nft flush ruleset"), &filters),
        ("the router's way out", &format!("{inside} ip route delete default"), &routes),
        (
            "forwarding",
            &format!("{inside} sysctl -qw net.ipv4.ip_forward=0"),
            &format!("{inside} sysctl net.ipv4.ip_forward"),
        ),
        ("a device that is down", &format!("{inside} ip link set {inner} down"), &routes),
        ("the router's namespace", &format!("ip netns delete {router}"), &filters),
        ("the router's port", &format!("ovs-vsctl del-port br-int {inner}"), own_ports),
        ("the tunnel bridge", "ovs-vsctl del-br br-tun", tunnel_ports),
        ("patches", "ovs-vsctl del-port patch-tun -- del-port patch-int -- del-port int-br-ex", own_ports),
        ("the tunnel endpoint", "ip addr flush dev br-phys", "ip -4 -br addr show dev br-phys"),
        ("the local VLAN", &format!("ovs-vsctl clear Port {inner} tag"), &format!("ovs-vsctl get Port {inner} tag")),
    ] {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let look = |world: &World| world.says(NETWORK, &words(look).iter().map(String::as_str).collect::<Vec<_>>());
        let before = look(&world);
        world.lab.exec(NETWORK, &words(harm).iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        world.wait(&format!("{what}: as it was: {before}"), |world| look(world) == before);
        world.wait(&format!("{what}: everything works again"), World::works);
    }
    world.lab.exec(NETWORK, &["ip", "netns", "delete", &dhcp]).unwrap();
    world.wait("the DHCP server is back", |world| world.says(NETWORK, &["ip", "netns"]).contains(&dhcp));
    world.newcomer_works("compute1");
    world.end();
}
