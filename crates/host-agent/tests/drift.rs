//! What somebody changes by hand is noticed and undone: at once where the switch or the kernel tells, else by the timed looks.
//!
//! Needs root, Open vSwitch, iproute2, ethtool and nft.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::view::{add_router, id, ip};
use common::{Agent, Host, on_a_host};
use host_agent::{AgentConfig, ViewFrom, audit};
use host_view::FloatingIp;
use std::time::Duration;

const OVS: &str = "bridge_mappings = { physnet1 = 'br-ex' }\nlocal_ip = '192.0.2.11'\n\
                   endpoint = { bridge = 'br-phys', prefix_len = 24 }";

/// A host with a router that has everything, and a DHCP server; names of what is in it.
struct Scene {
    config: AgentConfig,
    agent: Agent,
    router: String,
    dhcp: String,
    inner: String,
    tap: String,
}

impl Scene {
    async fn build(host: &Host, audit_interval: u32) -> Self {
        for bridge in ["br-ex", "br-phys"] {
            host.switch.vsctl(&["add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev"]).unwrap();
            host.switch.wait_for_bridge(bridge).unwrap();
        }
        let mut config = host.config(OVS);
        config.agent.audit_interval = audit_interval;
        let agent = host.agent_with(config.clone());
        let mut made = None;
        host.server.change(|view| {
            let routed = add_router(view);
            let floating = FloatingIp { floating_address: ip("203.0.113.20"), fixed_address: ip("10.0.0.11") };
            view.routers.get_mut(&routed.router).unwrap().floating_ips.insert(id(), floating);
            made = Some(routed);
        });
        let routed = made.unwrap();
        for port in routed.ports() {
            host.server.until_up(port).await;
        }
        let scene = Self {
            config,
            agent,
            router: format!("qrouter-{}", routed.router),
            dhcp: format!("qdhcp-{}", routed.net.network),
            inner: format!("qr-{}", routed.inner.short()),
            tap: format!("tap{}", routed.dhcp.short()),
        };
        scene.becomes_whole("at first").await;
        scene
    }

    /// Waits until nothing differs from the plan.
    async fn becomes_whole(&self, what: &str) {
        let mut findings = vec![];
        for _ in 0..200 {
            findings = match audit(&self.config, ViewFrom::Server).await {
                Ok(audit) if audit.is_clean() => return,
                Ok(audit) => audit.findings,
                // The switch is busy with what was done to it.
                Err(_) => findings,
            };
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{what}: {findings:#?}");
    }

    /// Does harm, and waits until what is looked at is as it was before and nothing differs from the plan.
    async fn mends(&self, host: &Host, what: &str, harm: &str, look: &str) {
        let said = |line: &str| host.switch.run(&["sh", "-c", &self.named(host, line)]);
        let before = said(look).unwrap();
        said(&format!("set -e; {harm}")).unwrap_or_else(|error| panic!("{what}: {error}"));
        let mut after = String::new();
        for _ in 0..200 {
            after = said(look).unwrap_or_default();
            if after == before {
                return self.becomes_whole(what).await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{what}: it was\n{before}\nand is\n{after}");
    }

    fn named(&self, host: &Host, line: &str) -> String {
        line.replace("ROUTER", &format!("ip netns exec {}", self.router))
            .replace("QROUTER", &self.router)
            .replace("QDHCP", &self.dhcp)
            .replace("INNER", &self.inner)
            .replace("TAP", &self.tap)
            .replace("VSCTL", &format!("ovs-vsctl --db=unix:{}", host.switch.db_socket().display()))
            .replace("OFCTL", "ovs-ofctl -O OpenFlow14")
            .replace("BRIDGE/", &format!("unix:{}/", host.switch.rundir().display()))
            .replace("APPCTL", &format!("ovs-appctl -t {}", host.switch.ctl_socket().display()))
    }
}

const FLOWS: &str = "OFCTL --no-stats dump-flows BRIDGE/br-int.mgmt | sort";
const ADDRESSES: &str = "ROUTER ip -o -4 addr | sort";
const ROUTES: &str = "ROUTER ip route | sort";
const FILTERS: &str = "ROUTER nft -s list table ip neutronium";
const UP: &str = "ROUTER ip -o link show dev INNER | grep -c ',UP'";
const FORWARDING: &str = "ROUTER sysctl net.ipv4.ip_forward";

#[test]
fn what_is_told_is_mended_without_a_timer() {
    on_a_host(|host| async move {
        // No timed look comes while this runs.
        let scene = Scene::build(&host, 3600).await;
        for (what, harm, look) in [
            ("a route", "ROUTER ip route del default", ROUTES),
            ("a route of a stranger", "ROUTER ip route add 198.51.100.0/24 dev INNER proto static", ROUTES),
            ("an address", "ROUTER ip addr flush dev INNER scope global", ADDRESSES),
            ("an address of a stranger", "ROUTER ip addr add 10.0.0.99/24 dev INNER", ADDRESSES),
            ("a device that is down", "ROUTER ip link set INNER down", UP),
            ("the end in the host that is down", "ip link set INNER down", UP),
            ("a device", "ip link del INNER", UP),
            ("MTU", "ROUTER ip link set INNER mtu 1300", "ROUTER cat /sys/class/net/INNER/mtu"),
            ("a filter table", "ROUTER nft delete table ip neutronium", FILTERS),
            ("rules", "ROUTER nft flush chain ip neutronium postrouting", FILTERS),
            ("elements of a map", "ROUTER nft flush map ip neutronium floating_to_fixed", FILTERS),
            ("forwarding", "ROUTER sysctl -qw net.ipv4.ip_forward=0", FORWARDING),
            ("flows", "OFCTL del-flows BRIDGE/br-int.mgmt table=73", FLOWS),
            ("all flows", "OFCTL del-flows BRIDGE/br-int.mgmt", FLOWS),
            (
                "a flow that claims to be ours",
                "OFCTL add-flow BRIDGE/br-int.mgmt cookie=0x4e65757400000000,table=3,priority=3,actions=drop",
                FLOWS,
            ),
            ("a flow that took the place of ours", "OFCTL add-flow BRIDGE/br-int.mgmt priority=0,actions=drop", FLOWS),
            ("actions", "OFCTL mod-flows BRIDGE/br-int.mgmt table=94,actions=drop", FLOWS),
            ("a port", "VSCTL del-port br-int INNER", "VSCTL list-ports br-int | sort"),
            ("a VLAN", "VSCTL clear port TAP tag", "VSCTL get port TAP tag"),
            ("a tunnel", "VSCTL del-port vxlan-c000020c", "VSCTL list-ports br-tun | sort"),
            ("a bridge", "VSCTL del-br br-tun", "VSCTL list-ports br-tun | sort"),
            (
                "a port that claims to be ours",
                "VSCTL add-port br-int stray -- set interface stray type=internal \
              -- set port stray external_ids:neutronium-owner=agent",
                "VSCTL list-ports br-int | sort",
            ),
        ] {
            scene.mends(&host, what, harm, look).await;
        }
        scene.agent.stop().await;
    });
}

#[test]
fn what_nobody_tells_is_found_in_time() {
    on_a_host(|host| async move {
        let scene = Scene::build(&host, 1).await;
        for (what, harm, look) in [
            (
                "a parameter",
                "ROUTER sysctl -qw net.ipv4.conf.all.arp_ignore=0",
                "ROUTER sysctl net.ipv4.conf.all.arp_ignore",
            ),
            ("a namespace", "ip netns del QDHCP", "ip netns | grep -c qdhcp; ip -o link show TAP | grep -c ',UP'"),
            (
                "the chains that keep the host from hearing",
                "nft delete table netdev neutronium-quiet",
                "nft -s list table netdev neutronium-quiet | grep device | sort",
            ),
            ("a tunnel neighbour", "APPCTL tnl/neigh/flush", "APPCTL tnl/neigh/show | grep -c 192.0.2.12"),
            ("the endpoint's address", "ip addr flush dev br-phys scope global", "ip -o -4 addr show dev br-phys"),
            ("the endpoint's device", "ip link set br-phys down", "ip -o link show dev br-phys | grep -c ',UP'"),
        ] {
            scene.mends(&host, what, harm, look).await;
        }
        scene.agent.stop().await;
    });
}
