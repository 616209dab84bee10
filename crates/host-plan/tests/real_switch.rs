//! Plans on a real Open vSwitch: loaded by bundle, read back equal, and what becomes of packets.

#![allow(clippy::unwrap_used, clippy::panic)] // in helpers of tests, too

mod support;

use support::real::RealHost;
use support::*;

const G1_TAP: &str = "tapb3c9976f-4e";
const G2_TAP: &str = "tapb433cbf7-b9";
const G3_TAP: &str = "tap3b9e7cdf-62";
const G4_TAP: &str = "tap31cc4601-25";
const G1_MAC: &str = "fa:16:3e:c3:ac:c9";
const G2_MAC: &str = "fa:16:3e:51:ee:cd";
const G3_MAC: &str = "fa:16:3e:d3:9e:09";
const G4_MAC: &str = "fa:16:3e:33:a0:a6";
const H2_MAC: &str = "fa:16:3e:2e:29:90";
const STRANGER: &str = "fa:16:3e:99:99:99";

fn tcp_packet(from: (&str, &str), to: (&str, &str), port: u16) -> String {
    ip_packet("tcp", from, to) + &format!(",tcp_src=40000,tcp_dst={port}")
}

fn ip_packet(kind: &str, from: (&str, &str), to: (&str, &str)) -> String {
    let (source, target) = if from.1.contains(':') { ("ipv6_src", "ipv6_dst") } else { ("nw_src", "nw_dst") };
    format!("{kind},dl_src={},dl_dst={},{source}={},{target}={},nw_ttl=64", from.0, to.0, from.1, to.1)
}

fn arp_packet(mac: &str, address: &str, target: &str) -> String {
    format!("arp,dl_src={mac},dl_dst=ff:ff:ff:ff:ff:ff,arp_op=1,arp_sha={mac},arp_spa={address},arp_tpa={target}")
}

const G1: (&str, &str) = (G1_MAC, "10.10.3.181");
const G2: (&str, &str) = (G2_MAC, "10.10.2.144");
const G3: (&str, &str) = (G3_MAC, "10.10.2.71");
const G4: (&str, &str) = (G4_MAC, "10.20.0.35");
const NEW: &[&str] = &["trk,new", "trk,new"];
const ESTABLISHED: &[&str] = &["trk,est", "trk,est"];
const REPLY: &[&str] = &["trk,est,rpl", "trk,est,rpl"];

#[test]
fn every_state_is_loaded_and_read_back_equal() {
    for host in [Host::empty(), Host::vxlan_port_without_security(), Host::second_host()] {
        let real = RealHost::new(&host);
        for (bridge, flows) in &real.plan.flows {
            assert_eq!(real.flows(bridge), *flows, "{bridge}");
        }
    }
}

#[test]
fn a_secured_port_speaks_only_as_itself() {
    let real = RealHost::new(&Host::second_host());
    let accepted = |packet: &str, states: &[&str]| {
        let verdict = real.trace(G2_TAP, packet, states);
        assert!(!verdict.is_dropped(), "{}", verdict.trace);
    };
    let refused = |packet: &str, states: &[&str]| {
        let verdict = real.trace(G2_TAP, packet, states);
        assert!(verdict.is_dropped(), "{packet} leaves by {:?}\n{}", verdict.ports, verdict.trace);
    };
    let own_v6 = (G2_MAC, "fe80::f816:3eff:fe51:eecd");
    accepted(&tcp_packet(G2, G1, 80), NEW);
    refused(&tcp_packet((STRANGER, G2.1), G1, 80), NEW);
    refused(&tcp_packet((G2_MAC, "10.10.9.9"), G1, 80), NEW);
    accepted(&arp_packet(G2_MAC, G2.1, "10.10.3.181"), &[]);
    refused(&arp_packet(G2_MAC, "10.10.0.1", "10.10.3.181"), &[]);
    refused(&arp_packet(STRANGER, G2.1, "10.10.3.181"), &[]);
    accepted(&format!("rarp,dl_src={G2_MAC},dl_dst=ff:ff:ff:ff:ff:ff"), &[]);
    refused(&format!("rarp,dl_src={STRANGER},dl_dst=ff:ff:ff:ff:ff:ff"), &[]);

    // DHCP: it may ask before it has an address, and must not answer.
    let udp = |from: (&str, &str), to: (&str, &str), source: u16, target: u16| {
        ip_packet(if from.1.contains(':') { "udp6" } else { "udp" }, from, to)
            + &format!(",udp_src={source},udp_dst={target}")
    };
    let all = ("ff:ff:ff:ff:ff:ff", "255.255.255.255");
    accepted(&udp((G2_MAC, "0.0.0.0"), all, 68, 67), &[]);
    refused(&udp((STRANGER, "0.0.0.0"), all, 68, 67), &[]);
    refused(&udp((G2_MAC, "0.0.0.0"), all, 68, 53), NEW);
    refused(&udp(G2, all, 67, 68), NEW);
    refused(&udp(own_v6, ("33:33:00:01:00:02", "ff02::1"), 547, 546), NEW);
    accepted(&udp(own_v6, ("33:33:00:01:00:02", "ff02::1:2"), 546, 547), &[]);

    // Neighbour discovery: it may solicit, advertise its own address, and not play router.
    let icmp6 = |from: (&str, &str), kind: u8, rest: &str| {
        ip_packet("icmp6", from, ("33:33:00:00:00:01", "ff02::1")) + &format!(",icmpv6_type={kind},icmpv6_code=0{rest}")
    };
    accepted(&icmp6(own_v6, 133, ""), &[]);
    accepted(&icmp6(own_v6, 135, ",nd_target=fe80::1"), &[]);
    accepted(&icmp6(own_v6, 136, ",nd_target=fe80::f816:3eff:fe51:eecd"), &[]);
    refused(&icmp6(own_v6, 136, ",nd_target=fe80::1"), &["trk"]);
    refused(&icmp6(own_v6, 134, ""), &["trk"]);
    refused(&icmp6((G2_MAC, "fe80::1"), 135, ",nd_target=fe80::2"), &["trk"]);
    // What conntrack does not take for a connection is nothing that rules could allow.
    refused(&icmp6(own_v6, 137, ""), &["trk"]);
    refused(&tcp_packet(G2, G1, 80), &["trk,inv"]);
}

#[test]
fn a_port_without_security_may_say_anything() {
    let real = RealHost::new(&Host::second_host());
    let packet = tcp_packet((STRANGER, "10.99.99.99"), ("fa:16:3e:00:00:01", "10.99.99.1"), 80);
    let verdict = real.trace(G1_TAP, &packet, &[]);
    assert!(verdict.ports.contains("tap739c4cf2-0b"), "{}", verdict.trace);
    // But it stays in its network.
    for other in [G4_TAP, "qg-3214e3a1-fe", "wire"] {
        assert!(!verdict.ports.contains(other), "{}", verdict.trace);
    }
}

#[test]
fn only_what_the_groups_allow_reaches_a_secured_port() {
    let real = RealHost::new(&Host::second_host());
    let open = |from: &str, packet: String| {
        let verdict = real.trace(from, &packet, NEW);
        assert!(verdict.only(G2_TAP), "{packet}: {:?}\n{}", verdict.ports, verdict.trace);
        assert!(verdict.trace.contains("commit"), "a new connection must be remembered\n{}", verdict.trace);
    };
    let shut = |from: &str, packet: String| {
        let verdict = real.trace(from, &packet, NEW);
        assert!(verdict.is_dropped(), "{packet}: {:?}\n{}", verdict.ports, verdict.trace);
    };
    open(G1_TAP, tcp_packet(G1, G2, 22));
    shut(G1_TAP, tcp_packet(G1, G2, 23));
    open(G1_TAP, ip_packet("icmp", G1, G2) + ",icmp_type=8,icmp_code=0");
    shut(G1_TAP, ip_packet("udp", G1, G2) + ",udp_src=1,udp_dst=22");
    // 8000 to 8010 is for members of the remote group, whatever side of a port mask they ask for.
    for port in [8000, 8007, 8008, 8010] {
        open(G3_TAP, tcp_packet(G3, G2, port));
        shut(G1_TAP, tcp_packet(G1, G2, port));
    }
    for port in [7999, 8011] {
        shut(G3_TAP, tcp_packet(G3, G2, port));
    }
    // IPv6 is not allowed inwards by this group.
    let own_v6 = (G3_MAC, "fe80::f816:3eff:fed3:9e09");
    shut(G3_TAP, ip_packet("tcp6", own_v6, (G2_MAC, "fe80::f816:3eff:fe51:eecd")) + ",tcp_src=4,tcp_dst=22");
}

#[test]
fn answers_pass_and_connections_end_when_their_rule_goes() {
    let mut real = RealHost::new(&Host::second_host());
    let ssh = tcp_packet(G1, G2, 22);
    let answer = ip_packet("tcp", G2, G1) + ",tcp_src=22,tcp_dst=40000";
    assert!(real.trace(G1_TAP, &ssh, ESTABLISHED).only(G2_TAP));
    assert!(!real.trace(G2_TAP, &answer, REPLY).is_dropped());
    // A port that nobody may open connections to still hears answers, and errors about its connections.
    assert!(real.trace(G1_TAP, &tcp_packet(G1, G3, 50000), REPLY).only(G3_TAP));
    let unreachable = ip_packet("icmp", G1, G3) + ",icmp_type=3,icmp_code=1";
    assert!(real.trace(G1_TAP, &unreachable, &["trk,rel,rpl"]).only(G3_TAP));

    let web = real.host.view.security_groups.get_mut(&id(WEB)).unwrap();
    web.rules.retain(|_, rule| rule.protocol != Some(6) || rule.remote != host_view::Remote::Any);
    real.settle();
    assert!(real.trace(G1_TAP, &ssh, NEW).is_dropped());
    let verdict = real.trace(G1_TAP, &ssh, ESTABLISHED);
    assert!(verdict.is_dropped(), "{}", verdict.trace);
    assert!(verdict.trace.contains("mark=0x1"), "the connection must be marked\n{}", verdict.trace);
    // Others that are still allowed are not touched.
    assert!(real.trace(G3_TAP, &tcp_packet(G3, G2, 8005), ESTABLISHED).only(G2_TAP));
}

#[test]
fn allowed_address_pairs_are_allowed_and_no_more() {
    let real = RealHost::new(&Host::second_host());
    let to = ("fa:16:3e:71:f1:e8", "10.20.0.2");
    for (address, passes) in [("10.20.0.35", true), ("10.20.0.99", true), ("10.20.0.98", false)] {
        assert_eq!(!real.trace(G4_TAP, &arp_packet(G4_MAC, address, "10.20.0.2"), &[]).is_dropped(), passes);
        assert_eq!(!real.trace(G4_TAP, &tcp_packet((G4_MAC, address), to, 80), NEW).is_dropped(), passes);
    }
}

#[test]
fn physical_networks_carry_their_own_tags_and_no_local_ones() {
    let real = RealHost::new(&Host::second_host());
    // Out: local VLAN 2 leaves as 101.
    let verdict = real.trace(G4_TAP, &arp_packet(G4_MAC, G4.1, "10.20.0.1"), &[]);
    assert_eq!(verdict.tags.get("wire"), Some(&Some(101)), "{}", verdict.trace);
    assert!(!verdict.trace.contains("tnl_push"), "{}", verdict.trace);
    // Out: the flat network without a tag.
    let verdict = real.trace("qg-3214e3a1-fe", &arp_packet("fa:16:3e:9c:eb:28", "198.51.100.181", "198.51.100.1"), &[]);
    assert_eq!(verdict.tags.get("wire"), Some(&None), "{}", verdict.trace);
    assert!(!verdict.ports.contains(G4_TAP) && !verdict.ports.contains(G2_TAP), "{}", verdict.trace);
    // In: 101 is the VLAN network, untagged the flat one, everything else nobody's; local numbers mean nothing outside.
    let ssh = tcp_packet(("fa:16:3e:00:00:77", "10.20.0.77"), G4, 22);
    let tagged = |vlan: u16| format!("{ssh},dl_vlan={vlan}");
    let verdict = real.trace_on("br-phys", "wire", &tagged(101), &["trk,new"]);
    assert!(verdict.ports.contains(G4_TAP), "{}", verdict.trace);
    let verdict = real.trace_on("br-phys", "wire", &tagged(2), &["trk,new"]);
    assert!(!verdict.ports.contains(G4_TAP), "{}", verdict.trace);
    let verdict =
        real.trace_on("br-phys", "wire", &arp_packet("fa:16:3e:00:00:77", "198.51.100.7", "198.51.100.181"), &[]);
    assert!(verdict.ports.contains("qg-3214e3a1-fe") && !verdict.ports.contains(G4_TAP), "{}", verdict.trace);
}

#[test]
fn tunnels_carry_the_vni_to_the_hosts_that_need_it() {
    let real = RealHost::new(&Host::second_host());
    let to_h2 = tcp_packet(G2, (H2_MAC, "10.10.1.5"), 80);
    let verdict = real.trace(G2_TAP, &to_h2, NEW);
    assert!(verdict.trace.contains("vni=0x3e8") && verdict.trace.contains("dst=10.77.0.2"), "{}", verdict.trace);
    assert!(verdict.passed(20) && !verdict.passed(22), "{}", verdict.trace);
    // A question about an address elsewhere is answered here, and does not leave.
    let verdict = real.trace(G2_TAP, &arp_packet(G2_MAC, G2.1, "10.10.1.5"), &[]);
    assert!(verdict.ports.contains(G2_TAP) && !verdict.trace.contains("tnl_push"), "{}", verdict.trace);
    assert!(
        verdict.trace.contains(&format!("arp_sha={H2_MAC}")) || verdict.trace.contains("sha="),
        "{}",
        verdict.trace
    );
    // One about an unknown address is flooded, to the peer too.
    let verdict = real.trace(G2_TAP, &arp_packet(G2_MAC, G2.1, "10.10.1.6"), &[]);
    assert!(verdict.trace.contains("tnl_push") && verdict.ports.contains(G1_TAP), "{}", verdict.trace);
    assert!(!verdict.ports.contains(G4_TAP), "{}", verdict.trace);
    // The VLAN network does not go into tunnels at all.
    let verdict = real.trace(G4_TAP, &arp_packet(G4_MAC, G4.1, "10.20.0.1"), &[]);
    assert!(!verdict.trace.contains("tnl_push"), "{}", verdict.trace);

    // In: the known VNI reaches the port by its rules, an unknown one nobody.
    let inside = |vni: u32, port: u16| {
        let packet = tcp_packet((H2_MAC, "10.10.1.5"), G2, port);
        real.trace_on("br-tun", "vxlan-0a4d0002", &format!("{packet},tun_id={vni}"), &["trk,new"])
    };
    assert!(inside(1000, 22).only(G2_TAP), "{}", inside(1000, 22).trace);
    assert!(inside(1000, 8001).only(G2_TAP), "the peer is in the remote group");
    assert!(inside(1000, 23).is_dropped());
    assert!(inside(1001, 22).is_dropped());
}

/// Two VXLAN networks with the same addresses, a port of each with the same address and one client of each.
fn overlapping() -> Host {
    let mut host = Host::empty();
    host.view.security_groups.insert(id(WEB), group([tcp(22, 22, host_view::Remote::Any)]));
    for (network, subnet, vni) in [("a1", "5a1", 2001), ("b1", "5b1", 2002)] {
        host.network(network, host_view::Segment::Vxlan { vni: net_types::Vni::new(vni).unwrap() }, 1450);
        host.subnet(subnet, network, "10.0.0.0/24", None);
    }
    for (port, network, subnet, last, mac) in [
        ("a0000001", "a1", "5a1", 5, "fa:16:3e:aa:00:05"),
        ("a0000002", "a1", "5a1", 6, "fa:16:3e:aa:00:06"),
        ("b0000001", "b1", "5b1", 5, "fa:16:3e:bb:00:05"),
        ("b0000002", "b1", "5b1", 6, "fa:16:3e:bb:00:06"),
    ] {
        host.plug(NewPort::new(port, network, mac, &[(subnet, &format!("10.0.0.{last}"))]).group(WEB));
    }
    host
}

#[test]
fn networks_with_the_same_addresses_never_mix() {
    let real = RealHost::new(&overlapping());
    let to = |mac: &str| tcp_packet(("fa:16:3e:aa:00:05", "10.0.0.5"), (mac, "10.0.0.6"), 22);
    let zone = |trace: &str, port: &str| {
        let tag = real.switch.vsctl(&["get", "port", port, "tag"]).unwrap();
        assert!(trace.contains(&format!("zone={}", tag.trim())), "{trace}");
    };
    let verdict = real.trace("tapa0000001-00", &to("fa:16:3e:aa:00:06"), NEW);
    assert!(verdict.only("tapa0000002-00"), "{}", verdict.trace);
    zone(&verdict.trace, "tapa0000001-00");
    // The other network's MAC is unknown here: it is flooded in its own network, and nowhere else.
    let verdict = real.trace("tapa0000001-00", &to("fa:16:3e:bb:00:06"), NEW);
    assert!(!verdict.ports.iter().any(|port| port.starts_with("tapb")), "{}", verdict.trace);
    let verdict = real.trace(
        "tapb0000001-00",
        &tcp_packet(("fa:16:3e:bb:00:05", "10.0.0.5"), ("fa:16:3e:bb:00:06", "10.0.0.6"), 22),
        NEW,
    );
    assert!(verdict.only("tapb0000002-00"), "{}", verdict.trace);
    zone(&verdict.trace, "tapb0000001-00");
    let verdict = real.trace("tapa0000001-00", &arp_packet("fa:16:3e:aa:00:05", "10.0.0.5", "10.0.0.6"), &[]);
    assert!(verdict.ports.contains("tapa0000002-00"), "{}", verdict.trace);
    assert!(!verdict.ports.iter().any(|port| port.starts_with("tapb")), "{}", verdict.trace);
}

#[test]
fn ports_that_are_down_or_nobodys_carry_nothing() {
    let mut host = overlapping();
    host.view.ports.get_mut(&id("a0000002")).unwrap().admin_state_up = false;
    host.view.networks.get_mut(&id("b1")).unwrap().admin_state_up = false;
    host.view.ports.remove(&id("a0000001"));
    let real = RealHost::new(&host);
    for (port, last) in [("a0000001", 5), ("a0000002", 6), ("b0000001", 5), ("b0000002", 6)] {
        let device = format!("tap{port}-00");
        assert_eq!(real.switch.vsctl(&["get", "port", &device, "tag"]).unwrap().trim(), "4095");
        let mac = format!("fa:16:3e:{0}{0}:00:0{last}", port.split_at(1).0);
        let verdict = real.trace(&device, &arp_packet(&mac, &format!("10.0.0.{last}"), "10.0.0.1"), &[]);
        assert!(verdict.is_dropped(), "{}", verdict.trace);
    }
    // Nor does anything reach them.
    let mut host = overlapping();
    host.view.ports.get_mut(&id("a0000002")).unwrap().admin_state_up = false;
    let real = RealHost::new(&host);
    let packet = tcp_packet(("fa:16:3e:aa:00:05", "10.0.0.5"), ("fa:16:3e:aa:00:06", "10.0.0.6"), 22);
    assert!(!real.trace("tapa0000001-00", &packet, NEW).ports.contains("tapa0000002-00"));
    let question = arp_packet("fa:16:3e:aa:00:05", "10.0.0.5", "10.0.0.6");
    assert!(!real.trace("tapa0000001-00", &question, &[]).ports.contains("tapa0000002-00"));
}

#[test]
fn a_virtual_mac_reaches_all_ports_that_may_use_it() {
    let mut host = overlapping();
    let virtual_mac = "00:00:5e:00:01:07";
    for port in ["a0000001", "a0000002"] {
        let pair = host_view::AddressPair { mac: mac(virtual_mac), address: net("10.0.0.100") };
        host.view.ports.get_mut(&id(port)).unwrap().allowed_address_pairs.insert(pair);
    }
    host.plug(NewPort::new("a0000003", "a1", "fa:16:3e:aa:00:07", &[("5a1", "10.0.0.7")]).group(WEB));
    let real = RealHost::new(&host);
    let to = |port| tcp_packet(("fa:16:3e:aa:00:07", "10.0.0.7"), (virtual_mac, "10.0.0.100"), port);
    let verdict = real.trace("tapa0000003-00", &to(22), &["trk,new", "trk,new", "trk,new"]);
    assert_eq!(verdict.ports, ["tapa0000001-00", "tapa0000002-00"].map(String::from).into(), "{}", verdict.trace);
    assert!(real.trace("tapa0000003-00", &to(23), &["trk,new", "trk,new", "trk,new"]).is_dropped());
    let advertisement = arp_packet(virtual_mac, "10.0.0.100", "10.0.0.100");
    assert!(!real.trace("tapa0000001-00", &advertisement, &[]).is_dropped());
}

#[test]
fn a_stateless_group_looks_at_each_packet_alone() {
    let mut host = overlapping();
    let stateless = host_view::SecurityGroup { stateful: false, ..group([tcp(22, 22, host_view::Remote::Any)]) };
    host.view.security_groups.insert(id("57a7e1e5"), stateless);
    host.plug(NewPort::new("a0000003", "a1", "fa:16:3e:aa:00:07", &[("5a1", "10.0.0.7")]).group("57a7e1e5"));
    let real = RealHost::new(&host);
    let (stateful, stateless) = (("fa:16:3e:aa:00:05", "10.0.0.5"), ("fa:16:3e:aa:00:07", "10.0.0.7"));
    let verdict = real.trace("tapa0000001-00", &tcp_packet(stateful, stateless, 22), NEW);
    assert!(verdict.only("tapa0000003-00"), "{}", verdict.trace);
    // The stateful sender's connection is remembered, so that it hears the answer.
    assert!(verdict.trace.contains("commit"), "{}", verdict.trace);
    let answer = ip_packet("tcp", stateless, stateful) + ",tcp_src=22,tcp_dst=40000";
    let verdict = real.trace("tapa0000003-00", &answer, &["trk,est,rpl"]);
    assert!(verdict.only("tapa0000001-00"), "{}", verdict.trace);
    // To the stateless port an answer is a packet like any other.
    let answer = ip_packet("tcp", stateful, stateless) + ",tcp_src=80,tcp_dst=40000";
    let verdict = real.trace("tapa0000001-00", &answer, REPLY);
    assert!(verdict.is_dropped(), "{}", verdict.trace);
}

#[test]
fn frames_for_one_station_are_not_flooded() {
    let real = RealHost::new(&Host::second_host());
    let gateway = ("fa:16:3e:00:00:77", "10.20.0.1");
    // Nobody has learned the gateway on the wire, and answers to secured ports teach NORMAL nothing.
    let verdict = real.trace(G4_TAP, &tcp_packet(G4, gateway, 80), NEW);
    let outside = ["wire", "br-phys"].map(|port| (port.to_owned(), Some(101)));
    assert_eq!(verdict.tags, outside.into(), "{}", verdict.trace);
    // The DHCP server, and back again.
    let server = ("fa:16:3e:71:f1:e8", "10.20.0.2");
    assert!(real.trace(G4_TAP, &tcp_packet(G4, server, 80), NEW).only("tap28fe4fe7-56"));
    let answer = ip_packet("udp", server, G4) + ",udp_src=67,udp_dst=68";
    assert!(real.trace("tap28fe4fe7-56", &answer, &[]).only(G4_TAP));
    // ARP between secured ports here goes to the one that is asked.
    let arp_answer =
        format!("arp,dl_src={G3_MAC},dl_dst={G2_MAC},arp_op=2,arp_sha={G3_MAC},arp_spa=10.10.2.71,arp_tpa={}", G2.1);
    assert!(real.trace(G3_TAP, &arp_answer, &[]).only(G2_TAP));
    // From the wire to the router's gateway.
    let inward = tcp_packet(("fa:16:3e:00:00:78", "198.51.100.7"), ("fa:16:3e:9c:eb:28", "198.51.100.181"), 80);
    let verdict = real.trace_on("br-phys", "wire", &inward, &[]);
    assert_eq!(verdict.ports, ["br-phys", "qg-3214e3a1-fe"].map(String::from).into(), "{}", verdict.trace);
    // Where an instance without port security may hide more MACs, they are looked for,
    let verdict = real.trace(G2_TAP, &tcp_packet(G2, ("fa:16:3e:00:00:79", "10.10.9.9"), 80), NEW);
    assert!(verdict.ports.contains(G1_TAP) && verdict.trace.contains("tnl_push"), "{}", verdict.trace);
    // but not those that the API knows elsewhere: neither a neighbour with rules nor the bridge's own port has a copy.
    for (device, from) in [(G2_TAP, G2), (G1_TAP, G1)] {
        let verdict = real.trace(device, &tcp_packet(from, (H2_MAC, "10.10.1.5"), 80), NEW);
        assert!(verdict.trace.contains("tnl_push") && verdict.only("underlay"), "{}", verdict.trace);
    }
}

#[test]
fn no_port_tags_its_way_into_another_network() {
    let real = RealHost::new(&Host::second_host());
    let outside = ("fa:16:3e:00:00:77", "10.20.0.1");
    for vlan in [1, 2, 3, 101, 4000] {
        let tag = format!(",dl_vlan={vlan}");
        for (device, packet) in [
            (G4_TAP, tcp_packet(G4, outside, 80)),
            (G4_TAP, arp_packet(G4_MAC, G4.1, "10.20.0.1")),
            (G2_TAP, tcp_packet(G2, G4, 22)),
            // Without port security, and the network's own: they may forge anything but their network.
            (G1_TAP, tcp_packet(G1, G4, 22)),
            (G1_TAP, arp_packet(G1_MAC, G1.1, "10.20.0.35")),
            ("qg-3214e3a1-fe", tcp_packet(("fa:16:3e:9c:eb:28", "198.51.100.181"), G4, 22)),
        ] {
            let verdict = real.trace(device, &(packet + &tag), NEW);
            assert!(verdict.is_dropped(), "{device} {vlan} leaves by {:?}\n{}", verdict.ports, verdict.trace);
        }
    }
}
