//! Allowed address pairs: instances that share a virtual address, by their own MAC or by a virtual one, on one host or two.

#![allow(clippy::unwrap_used, clippy::panic)] // in helpers of tests, too

#[path = "../../host-plan/tests/support/mod.rs"]
mod support;

use host_plan::{ConnectionRules, HostPlan, TrackedConnection};
use host_view::{Direction, EtherType, Remote, RemotePort, Segment, TunnelPeer};
use net_types::{NetworkType, Vni};
use packet_trace::{Packet, Switch, Tracker};
use support::*;

const VIRTUAL: &str = "00:00:5e:00:01:33";
const CLIENT: (&str, &str) = ("fa:16:3e:00:00:03", "10.0.0.3");

/// Instances 1 and 2 may use the virtual address, instance 3 is a client; `other_host`: 2 is elsewhere.
fn host(other_host: bool) -> Host {
    let mut host = Host::empty();
    host.network("1", Segment::Vxlan { vni: Vni::new(7).unwrap() }, 1450);
    host.subnet("41", "1", "10.0.0.0/24", None);
    let web = [tcp(80, 80, Remote::Any), rule(Direction::Egress, EtherType::IPv4)];
    host.view.security_groups.insert(id(WEB), group(web));
    for number in 1..=3 {
        let mac_text = format!("fa:16:3e:00:00:0{number}");
        let mut new =
            NewPort::new(&format!("b{number}"), "1", &mac_text, &[("41", &format!("10.0.0.{number}"))]).group(WEB);
        if number < 3 {
            new = new.pair(VIRTUAL, "10.0.0.100").pair(&mac_text, "10.0.0.101");
        }
        if number != 2 || !other_host {
            host.plug(new);
            continue;
        }
        let peer =
            TunnelPeer { address: ip("10.77.0.2"), mac: None, types: [NetworkType::Vxlan].into(), watched: false };
        host.view.tunnel_peers.insert("peer".into(), peer);
        let addresses = [ip("10.0.0.2")].into();
        let remote =
            RemotePort { network: id("1"), host: "peer".into(), mac: mac(&mac_text), addresses, may_be_on: [].into() };
        host.view.remote_ports.insert(id("e2"), remote);
    }
    host
}

fn tap(number: u8) -> String {
    host_plan::names::tap(id(&format!("b{number}")))
}

fn tcp_text(from: (&str, &str), to: (&str, &str), ports: (u16, u16)) -> Packet {
    let ((from, source), (to, target)) = (from, to);
    let (low, high) = ports;
    let text = format!("tcp,dl_src={from},dl_dst={to},nw_src={source},nw_dst={target},tcp_src={low},tcp_dst={high}");
    Packet::parse(&text).unwrap()
}

#[test]
fn whoever_holds_the_virtual_address_is_reached_and_answers() {
    let mut host = host(false);
    let plan = host.settle();
    let switch = Switch::new(&plan, &host.state);
    for (station, address) in [((VIRTUAL), "10.0.0.100"), ("fa:16:3e:00:00:01", "10.0.0.101")] {
        let mut tracker = Tracker::default();
        let trace = switch.send("br-int", &tap(3), &tcp_text(CLIENT, (station, address), (4000, 80)), &mut tracker);
        assert!(trace.reaches(&tap(1)), "{trace}");
        let trace = switch.send("br-int", &tap(1), &tcp_text((station, address), CLIENT, (80, 4000)), &mut tracker);
        assert!(trace.reaches(&tap(3)), "{trace}");
    }
    // The announcement of whoever takes over.
    let text = format!(
        "arp,dl_src={VIRTUAL},dl_dst=ff:ff:ff:ff:ff:ff,arp_op=1,arp_sha={VIRTUAL},arp_spa=10.0.0.100,arp_tpa=10.0.0.100"
    );
    let trace = switch.send("br-int", &tap(2), &Packet::parse(&text).unwrap(), &mut Tracker::default());
    assert!(trace.reaches(&tap(3)) && trace.reaches(&tap(1)), "{trace}");
    // The client has no such pair.
    let trace = switch.send("br-int", &tap(3), &Packet::parse(&text).unwrap(), &mut Tracker::default());
    assert!(trace.is_dropped(), "{trace}");
    assert_eq!(trace.dropped_by().unwrap().table, 71);
}

#[test]
fn the_virtual_address_may_be_on_another_host() {
    let mut host = host(true);
    let plan = host.settle();
    let switch = Switch::new(&plan, &host.state);
    let mut tracker = Tracker::default();
    let trace = switch.send("br-int", &tap(3), &tcp_text(CLIENT, (VIRTUAL, "10.0.0.100"), (4000, 80)), &mut tracker);
    let tunnels: Vec<_> = trace.exits().filter_map(|exit| exit.tunnel).collect();
    assert_eq!(tunnels, [(ip("10.77.0.2"), 7)], "{trace}");
    assert!(trace.reaches(&tap(1)), "{trace}");
    // The other host's answer is one, though nothing here has answered.
    let mut answer = tcp_text((VIRTUAL, "10.0.0.100"), CLIENT, (80, 4000));
    answer.set(openflow::Field::TunId, 7);
    let trace = switch.send("br-tun", "vxlan-0a4d0002", &answer, &mut tracker);
    assert!(trace.reaches(&tap(3)), "{trace}");
    // Elsewhere is looked for only where several may have the address.
    let own = tcp_text(CLIENT, ("fa:16:3e:00:00:01", "10.0.0.101"), (4000, 80));
    let trace = switch.send("br-int", &tap(3), &own, &mut Tracker::default());
    assert!(trace.reaches(&tap(1)) && trace.exits().all(|exit| exit.tunnel.is_none()), "{trace}");
}

/// Whether a TCP connection to port 80 must be forgotten.
fn must_go(host: &Host, plan: &HostPlan, source: &str, target: &str) -> bool {
    let zone = plan.local_vlans[&id("1")].get();
    let (source, target) = (ip(source), ip(target));
    let (protocol, ports) = (openflow::ip_proto::TCP, (4000, 80));
    let connection = TrackedConnection { zone, protocol, source, target, answerer: target, ports, icmp: None, mark: 0 };
    ConnectionRules::new(&host.view, plan).must_go(&connection)
}

/// Neither of those who share an address here may begin anything; but an instance without port security, or one of another
/// host, may have it, too.
#[test]
fn a_connection_from_a_shared_address_outlives_the_rules_of_those_who_share_it() {
    let mut host = host(false);
    let plan = host.settle();
    let must_go = |host: &Host, source: &str| must_go(host, &plan, source, "10.0.0.3");
    let sources = ["10.0.0.1", "10.0.0.100", "10.0.0.101"];
    assert_eq!(sources.map(|source| must_go(&host, source)), [false, false, false]);
    for sharer in ["b1", "b2"] {
        host.view.ports.get_mut(&id(sharer)).unwrap().security_groups.clear();
    }
    assert_eq!(sources.map(|source| must_go(&host, source)), [true, false, false]);
    // Whoever it is from: the client refuses it.
    host.view.ports.get_mut(&id("b3")).unwrap().security_groups.clear();
    assert_eq!(sources.map(|source| must_go(&host, source)), [true, true, true]);
}

#[test]
fn a_shared_mac_has_a_link_local_address_too() {
    let mut host = host(false);
    let plan = host.settle();
    let of_the_mac = mac(VIRTUAL).link_local().to_string();
    assert!(!must_go(&host, &plan, &of_the_mac, "fe80::99"), "with somebody on another host");
    assert!(must_go(&host, &plan, "fe80::98", "fe80::99"), "of nobody here");
}
