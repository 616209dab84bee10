//! Advertisements to a real kernel that listens to them.
//!
//! Needs root, iproute2 and ethtool.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use host_plan::{AdvertisedPrefix, RouterAdvertisement};
use host_services::{RaServer, RaSocket};
use support::{SERVER_MAC, Wire, inside, sh, wait_for};

fn advertisement(prefix: &str, autonomous: bool) -> RouterAdvertisement {
    RouterAdvertisement {
        device: "tap0".to_owned(),
        mac: SERVER_MAC,
        managed: !autonomous,
        other: false,
        mtu: Some(1400),
        router_lifetime: 300,
        min_interval: 30,
        max_interval: 100,
        prefixes: vec![AdvertisedPrefix {
            prefix: prefix.parse().unwrap(),
            autonomous,
            valid_seconds: 86_400,
            preferred_seconds: 14_400,
        }],
        dns_servers: vec!["2001:db8::53".parse().unwrap()],
        routes: vec!["fe80::a9fe:a9fe/128".parse().unwrap()],
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kernel_makes_its_address_and_its_way_out_of_it() {
    let wire = Wire::new("ra", "ip netns exec $server sysctl -qw net.ipv6.conf.all.forwarding=1");
    let client = &wire.client;
    let socket = inside(&wire.server, || RaSocket::open("tap0")).unwrap();
    let server = RaServer::start("tap0", socket, advertisement("2001:db8:7::/64", true)).unwrap();

    let addresses = format!("ip -n {client} -6 addr show dev eth0 scope global");
    wait_for(&addresses, |said| said.contains("2001:db8:7:0:f816:3eff:fe00:11/64")).await;
    let route = sh(&format!("ip -n {client} -6 route show default"));
    assert!(route.contains("via fe80::f816:3eff:fe00:2 dev eth0 proto ra"), "{route}");
    let mtu = sh(&format!("ip netns exec {client} cat /proc/sys/net/ipv6/conf/eth0/mtu"));
    assert_eq!(mtu.trim(), "1400");

    // Another prefix, and no address to be made of it: told at once, to the same socket.
    server.set(&advertisement("2001:db8:8::/64", false));
    wait_for(&format!("ip -n {client} -6 route show dev eth0"), |said| said.contains("2001:db8:8::/64")).await;
    assert!(!sh(&addresses).contains("2001:db8:8:"), "not autonomous");

    // A station that comes later asks, and need not wait for the next one.
    sh(&format!("ip -n {client} link set eth0 down; ip -n {client} -6 addr flush dev eth0"));
    server.set(&advertisement("2001:db8:9::/64", true));
    sh(&format!("ip -n {client} link set eth0 up"));
    wait_for(&addresses, |said| said.contains("2001:db8:9:0:f816:3eff:fe00:11/64")).await;
    server.stop().await;
}
