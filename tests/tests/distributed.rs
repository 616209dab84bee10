//! A distributed router: what goes on when the network node is cut off from everything, and what needs it.
//!
//! ```text
//!    world 172.16.0.1 ─┬─ network   SNAT, DHCP
//!                      ├─ compute1  p1 on `tunnelled`, p3 on `tagged`
//!                      └─ compute2  p2 on `tagged`, later with a floating IP; p4 on `tunnelled`
//! ```

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

use serde_json::Value;
use system_tests::lab::{Probe, Seen};
use system_tests::{Client, Lab};

struct World {
    lab: Lab,
    user: Client,
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let looks = [
                "tail -n 20 /var/log/neutronium/agent.log",
                "for n in $(ip netns list | cut -d' ' -f1); do echo \"-- $n\"; ip netns exec $n sh -c \
                     'ip -br addr; ip route; ip rule; ip route show table 4096; ip neigh'; done",
                "ovs-ofctl -O OpenFlow14 --names dump-flows br-int | grep -e 02: -e table=94",
                "ovs-ofctl -O OpenFlow14 --names dump-flows br-tun",
                "ovs-ofctl -O OpenFlow14 --names dump-flows br-ex",
            ];
            self.lab.tell(&["network", "compute1", "compute2"], &looks);
        }
        let _ = self.lab.run(&["lab", "down"]);
    }
}

impl World {
    fn build() -> Self {
        let lab = Lab::new(&format!("distributed-{}", std::process::id()));
        lab.run(&["lab", "up", concat!(env!("CARGO_MANIFEST_DIR"), "/labs/distributed.toml")]).unwrap();
        let user = Client::new(&lab, "admin", None, "admin").unwrap();
        let slaac = "--ip-version 6 --ipv6-ra-mode slaac --ipv6-address-mode slaac";
        user.batch(&[
            "network create public --external --share --provider-network-type flat --provider-physical-network physnet1",
            "subnet create public-subnet --network public --subnet-range 172.16.0.0/24 --gateway 172.16.0.1 \
             --allocation-pool start=172.16.0.100,end=172.16.0.199",
            "network create tunnelled",
            "subnet create a4 --network tunnelled --subnet-range 10.0.0.0/24",
            &format!("subnet create a6 --network tunnelled --subnet-range 2001:db8:a::/64 {slaac}"),
            "network create tagged --provider-network-type vlan --provider-physical-network physnet1 --provider-segment 101",
            "subnet create b4 --network tagged --subnet-range 10.0.1.0/24",
            &format!("subnet create b6 --network tagged --subnet-range 2001:db8:b::/64 {slaac}"),
            "security group create open",
            "security group rule create open --protocol icmp",
            "security group rule create open --protocol ipv6-icmp --ethertype IPv6",
            "router create edge --distributed --external-gateway public",
            "router add subnet edge a4",
            "router add subnet edge a6",
            "router add subnet edge b4",
            "router add subnet edge b6",
        ])
        .unwrap();
        Self { lab, user }
    }

    fn probe(&self, name: &str, network: &str, host: &str) -> Probe {
        self.lab.create_probe(&self.user, name, network, host, &["--security-group", "open"]).unwrap()
    }

    fn wait(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        self.lab.wait_until(what, || Ok(is_so())).unwrap();
    }

    fn reaches(&self, from: &Probe, to: &str) -> bool {
        from.ping(to).unwrap() != Seen::Silence
    }

    fn world_reaches(&self, address: &str) -> bool {
        self.lab.exec("world", &["ping", "-n", "-c", "1", "-W", "1", address]).is_ok()
    }

    /// Addresses in a host's namespace of the router; none: it has no such namespace.
    fn addresses(&self, host: &str) -> Option<String> {
        let script = "ip netns exec $(ip netns list | grep -o 'qrouter-[^ ]*') ip -br addr";
        self.lab.exec(host, &["sh", "-c", script]).ok()
    }

    /// Cuts the network node off from underlay and outside, or no longer.
    fn network_node(&self, state: &str) {
        for (switch, card) in [("underlay", "network-eth1"), ("outside", "network-eth2")] {
            self.lab.exec(switch, &["ip", "link", "set", card, state]).unwrap();
        }
    }

    /// The IPv6 address of a port.
    fn six(&self, port: &str) -> String {
        let shown = self.user.json(&["port", "show", port]).unwrap();
        let addresses = shown["fixed_ips"].as_array().unwrap().iter();
        let mut addresses = addresses.filter_map(|fixed| fixed["ip_address"].as_str());
        addresses.find(|address| address.contains(':')).unwrap().to_owned()
    }

    fn listed(&self, owner: &str) -> Vec<Value> {
        let rows = self.user.json(&["port", "list", "--device-owner", owner, "--long"]).unwrap();
        rows.as_array().unwrap().clone()
    }
}

#[test]
fn packets_take_the_short_way_and_go_on_without_the_network_node() {
    let world = World::build();
    let [p1, p3] = [("p1", "tunnelled"), ("p3", "tagged")].map(|(name, net)| world.probe(name, net, "compute1"));
    let [p2, p4] = [("p2", "tagged"), ("p4", "tunnelled")].map(|(name, net)| world.probe(name, net, "compute2"));
    world.wait("out by the network node", || world.reaches(&p1, "172.16.0.1") && world.reaches(&p2, "172.16.0.1"));
    let snat = world.listed("network:router_centralized_snat");
    assert!(snat.len() == 4 && snat.iter().all(|port| port["Status"] == "ACTIVE"), "{snat:?}");
    assert!(world.listed("network:router_interface_distributed").iter().all(|port| port["Status"] == "ACTIVE"));
    let floating_ip =
        world.user.text("floating_ip_address", &["floating", "ip", "create", "public", "--port", &p2.port]).unwrap();
    world.wait("the floating IP is where its instance is", || {
        world.addresses("compute2").is_some_and(|addresses| addresses.contains(&floating_ip))
    });
    assert!(!world.addresses("network").unwrap().contains(&floating_ip));
    world.wait("it answers", || world.world_reaches(&floating_ip));
    let status = world.user.text("status", &["floating", "ip", "show", &floating_ip]).unwrap();
    assert_eq!(status, "ACTIVE");
    // A neighbour by that address, too: out by the network node, and in where the instance is.
    assert!(world.reaches(&p1, &floating_ip));

    // Nothing was sent yet between them: what works now, works without the network node altogether.
    world.network_node("down");
    for (from, to) in [(&p1, &p2), (&p1, &p3), (&p2, &p4), (&p3, &p4)] {
        world.wait(&format!("{} to {}", from.name, to.name), || world.reaches(from, &to.address));
        let six = world.six(&to.port);
        world.wait(&format!("{} to {} by IPv6", from.name, to.name), || world.reaches(from, &six));
    }
    assert!(world.world_reaches(&floating_ip) && world.reaches(&p2, "172.16.0.1"), "by its floating IP");
    assert!(!world.reaches(&p1, "172.16.0.1"), "SNAT is the network node's");
    world.network_node("up");
    world.wait("SNAT is back", || world.reaches(&p1, "172.16.0.1"));

    // The instances of compute2 go, and its router with them; another one has the floating IP elsewhere.
    let p5 = world.probe("p5", "tagged", "compute1");
    world.user.run(&["floating", "ip", "set", "--port", &p5.port, &floating_ip]).unwrap();
    for probe in [&p2, &p4] {
        world.lab.run(&["probe", "delete", &probe.name]).unwrap();
    }
    world.wait("compute2 has no router", || world.addresses("compute2").is_none());
    world.wait("the floating IP has moved", || world.world_reaches(&floating_ip));
    assert!(world.addresses("compute1").unwrap().contains(&floating_ip));
    world.wait("and p5 goes out by it", || world.reaches(&p5, "172.16.0.1"));
}
