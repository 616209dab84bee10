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
