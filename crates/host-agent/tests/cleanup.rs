//! What `agent --remove` takes away, and what it leaves: a host with things of others in every layer.
//!
//! Needs root, Open vSwitch, iproute2, ethtool and nft.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::view::{add_port, add_router, mac};
use common::{Host, on_a_host};
use host_agent::{Layer, ViewFrom, audit, remove_everything};
use std::time::Duration;

/// What others have on the host, in words that do not change by themselves.
fn of_others(host: &Host) -> String {
    let run = |line: &str| host.switch.run(&["sh", "-ec", line]).unwrap();
    let vsctl = |line: &str| host.switch.vsctl(&line.split(' ').collect::<Vec<_>>()).unwrap();
    let flows = |bridge: &str, cookie: &str| {
        let all = host.switch.ofctl(&["--no-stats", "dump-flows", bridge]).unwrap();
        all.lines().filter(|line| line.contains(cookie)).map(str::trim).collect::<Vec<_>>().join("\n")
    };
    let neighbours = host.switch.appctl(&["tnl/neigh/show"]).unwrap();
    let foreign: Vec<&str> = neighbours.lines().filter(|line| line.contains("192.0.2.99")).collect();
    [
        vsctl("--columns=name,external_ids,other_config,fail_mode list bridge br-mine"),
        vsctl("list-ports br-mine"),
        vsctl("list-ports br-ex").replace("phy-br-ex\n", ""),
        vsctl("--columns=name,tag,external_ids list port mine1"),
        vsctl("--columns=name,tag,external_ids list port plain1"),
        flows("br-mine", "priority=7"),
        flows("br-ex", "cookie=0x99"),
        flows("br-int", "cookie=0x98"),
        run("ls /run/netns | grep mine"),
        run("ip netns exec mine ip -o -4 addr show dev lo"),
        run("nft -s list table inet mine; nft -s list table netdev mine-quiet"),
        run("nft -s list chain netdev neutronium-quiet in_probe0"),
        run("ip -o -4 addr show dev br-phys | grep -o 198.51.100.1/24"),
        run("ip -o link show dev mine1 | grep -o mine1"),
        foreign.join("\n"),
    ]
    .join("\n")
}

/// Things of others, in every layer, some of them with names like ours.
fn settle_others(host: &Host) {
    let vsctl = |line: &str| host.switch.vsctl(&line.split(' ').collect::<Vec<_>>()).unwrap();
    for bridge in ["br-mine", "br-ex", "br-phys"] {
        vsctl(&format!("add-br {bridge} -- set bridge {bridge} datapath_type=netdev fail_mode=secure"));
        host.switch.wait_for_bridge(bridge).unwrap();
    }
    host.switch.ofctl(&["add-flow", "br-mine", "table=7,priority=7,actions=drop"]).unwrap();
    host.switch.ofctl(&["add-flow", "br-ex", "cookie=0x99,table=7,priority=7,actions=drop"]).unwrap();
    let script = "
        ip netns add mine; ip -n mine addr add 192.0.2.77/32 dev lo; ip netns add qdhcp-mine
        nft 'add table inet mine; add chain inet mine c; add rule inet mine c tcp dport 1 drop'
        ip link add mine1 type veth peer name mine2; ip link set mine1 up; ip link set mine2 up
        ip link add plain1 type veth peer name plain2; ip link set plain1 up; ip link set plain2 up
        ip link add probe0 type veth peer name probe1; ip link set probe0 up
        nft 'add table netdev mine-quiet'
        nft 'add chain netdev mine-quiet c { type filter hook ingress device \"mine2\" priority 0; }'
        ip link add wire1 type veth peer name wire2; ip link set wire1 up
        ip addr add 198.51.100.1/24 dev br-phys; ip link set br-phys up";
    host.switch.run(&["sh", "-ec", script]).unwrap();
    vsctl("set bridge br-mine external_ids:mine=yes -- add-port br-ex wire1 -- add-port br-mine wire2");
}

#[test]
fn what_is_of_others_stays_and_all_of_ours_goes() {
    on_a_host(|host| async move {
        settle_others(&host);
        let config = host.config(
            "bridge_mappings = { physnet1 = 'br-ex' }\nlocal_ip = '192.0.2.11'\n\
             endpoint = { bridge = 'br-phys', prefix_len = 24 }",
        );
        let agent = host.agent_with(config.clone());
        let mut made = None;
        host.server.change(|view| {
            let routed = add_router(view);
            made = Some((routed, add_port(view, routed.net, "compute:nova", mac(1), "10.0.0.11")));
        });
        let (routed, instance) = made.unwrap();
        for port in routed.ports() {
            host.server.until_up(port).await;
        }
        // A hypervisor's port on our bridge, and one that nobody knows.
        let interface = format!("external_ids:iface-id={instance}");
        host.switch.vsctl(&["add-port", "br-int", "mine1", "--", "set", "Interface", "mine1", &interface]).unwrap();
        host.switch.vsctl(&["add-port", "br-int", "plain1", "tag=5"]).unwrap();
        host.switch.ofctl(&["add-flow", "br-int", "cookie=0x98,table=7,priority=7,actions=drop"]).unwrap();
        host.switch.appctl(&["tnl/neigh/set", "br-phys", "192.0.2.99", "02:00:00:00:00:99"]).unwrap();
        let quiet = "add chain netdev neutronium-quiet in_probe0 \
                     { type filter hook ingress device \"probe0\" priority -500; policy drop; }";
        host.switch.run(&["nft", quiet]).unwrap();
        host.server.until_up(instance).await;

        // Nothing is removed under a running agent.
        let refused = remove_everything(&config).await.unwrap_err();
        assert!(refused.to_string().contains("an agent runs"), "{refused}");
        let mut findings = vec![];
        for _ in 0..100 {
            findings = audit(&config, ViewFrom::Server).await.unwrap().findings;
            if findings.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(findings, [], "what is of others is no finding");
        // The instance's port loses the VLAN that we gave it.
        let tag = host.switch.vsctl(&["get", "Port", "mine1", "tag"]).unwrap();
        let before =
            of_others(&host).replace(&format!("tag                 : {}", tag.trim()), "tag                 : []");
        agent.stop().await;

        let cleanup = remove_everything(&config).await.unwrap();
        assert!(cleanup.errors.is_empty(), "{cleanup:?}");
        assert!(cleanup.kept.len() == 1 && cleanup.kept[0].contains("mine1, plain1"), "{cleanup:?}");
        let told = cleanup.removed.join("\n");
        for what in
            ["bridge br-tun", "flows of br-ex", "flows of br-int", "port int-br-ex of br-int", "1 tunnel neighbours"]
        {
            assert!(told.contains(what), "{what}: {told}");
        }
        assert_eq!(of_others(&host), before);
        // And nothing of ours is left, by anybody's count.
        let run = |line: &str| host.switch.run(&["sh", "-c", line]).unwrap_or_default();
        assert_eq!(run("ls /run/netns | grep -E '^q(dhcp|router)-' | grep -v mine"), "");
        assert_eq!(run("ip -o link | grep -E 'tap|qr-|qg-'"), "");
        assert_eq!(run("ip -o addr show dev br-phys | grep 192.0.2.11"), "");
        assert!(!host.switch.appctl(&["tnl/neigh/show"]).unwrap().contains("192.0.2.12"));
        let bridges = host.switch.vsctl(&["list-br"]).unwrap();
        assert_eq!(bridges.split_whitespace().collect::<Vec<_>>(), ["br-ex", "br-int", "br-mine", "br-phys"]);
        assert_eq!(host.switch.vsctl(&["list-ports", "br-int"]).unwrap().trim(), "mine1\nplain1");
        for bridge in ["br-ex", "br-int"] {
            assert!(!host.flows(bridge).contains("cookie=0x4e6575"), "{}", host.flows(bridge));
        }
        let chains = run("nft list table netdev neutronium-quiet");
        assert_eq!(chains.matches("chain ").count(), 1, "{chains}");
        assert!(!host.state_dir().join("view.json").exists());
        // A second time there is nothing to do.
        let again = remove_everything(&config).await.unwrap();
        assert!(again.errors.is_empty() && again.removed.is_empty(), "{again:?}");

        // And an agent that comes again makes it whole.
        let agent = host.agent_with(config.clone());
        host.server.until_up(routed.dhcp).await;
        for _ in 0..100 {
            findings = audit(&config, ViewFrom::Kept).await.unwrap().findings;
            if findings.is_empty() && host.state_dir().join("view.json").exists() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(findings, []);
        agent.stop().await;
        let without = audit(&config, ViewFrom::Server).await.unwrap();
        assert!(without.findings.iter().all(|finding| finding.layer == Layer::Service), "{:?}", without.findings);
        assert_eq!(
            without.findings.len(),
            5,
            "DHCP's socket, the two of DNS and the two of metadata went with the agent"
        );
    });
}
