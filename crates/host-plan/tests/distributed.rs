//! Distributed routers: plans of a copy and of the central host, and what the real switch makes of packets there.
#![allow(clippy::unwrap_used, clippy::panic)] // in helpers of tests, too

mod support;

use host_plan::HostPlan;
use support::real::{RealHost, Verdict};
use support::*;

/// What the router adds to a plan, as people read it: flows that name its MACs or addresses, and its namespace.
fn text(host: &mut Host) -> String {
    let plan = host.settle();
    let mut text = String::new();
    for bridge in plan.flows.keys() {
        text += &format!("== flows of {bridge}\n");
        let flows = flows_text(&plan, &host.state, bridge);
        let marks = ["d1:00:01", "d2:00:01", "10.41.0.1", "10.20.0.1", "nd_target=2001:db8:41::1 ", "sg-"];
        for flow in
            flows.lines().filter(|line| marks.iter().any(|mark| line.contains(mark)) || line.contains("table=1,"))
        {
            text += &format!("{flow}\n");
        }
    }
    let namespace = &plan.namespaces[&format!("qrouter-{DISTRIBUTED}")];
    for table in &namespace.nft {
        text += &format!("== nftables\n{}\n", table.install_script());
    }
    let mut rest = namespace.clone();
    rest.nft.clear();
    text + "== namespace\n" + &serde_json::to_string_pretty(&rest).unwrap()
}

#[test]
fn a_copy() {
    insta::assert_snapshot!(text(&mut Host::distributed(false)));
}

#[test]
fn the_central_host() {
    insta::assert_snapshot!(text(&mut Host::distributed(true)));
}

/// How much a distributed router costs depends on its interfaces, not on who is behind it.
#[test]
fn more_instances_mean_no_more_flows_of_the_router() {
    let of_router = |plan: &HostPlan| {
        let flows = plan.flows.values().flatten();
        flows.filter(|flow| flow.to_string().contains("02:ab:cd")).count()
    };
    let mut host = Host::distributed(false);
    let before = of_router(&host.settle());
    for n in 0..50 {
        let address = format!("10.41.0.{}", 100 + n);
        host.plug(
            NewPort::new(&format!("b{n:02x}"), "41", &format!("fa:16:3e:41:01:{n:02x}"), &[("541", &address)])
                .group(WEB),
        );
    }
    assert!(before > 0);
    assert_eq!(of_router(&host.settle()), before);
}

struct Traced(RealHost);

const OWN: &str = "02:ab:cd:d2:00:01";
const SHARED: &str = "fa:16:3e:d2:00:01";
const INSTANCE: &str = "fa:16:3e:41:00:05";
const ELSEWHERE: &str = "fa:16:3e:41:00:06";

impl Traced {
    fn new(central: bool) -> Self {
        Self(RealHost::new(&Host::distributed(central)))
    }

    fn sent_by_instance(&self, packet: &str) -> Verdict {
        self.0.trace(&host_plan::names::tap(id("a41")), &format!("{packet},dl_src={INSTANCE}"), &[])
    }

    fn sent_by_router(&self, packet: &str) -> Verdict {
        self.0.trace(&host_plan::names::router_interface(id("d2")), &format!("{packet},dl_src={SHARED}"), &[])
    }

    /// By the tunnel, into the network of the instance.
    fn by_tunnel(&self, packet: &str) -> Verdict {
        self.0.trace_on("br-tun", "vxlan-0a4d0002", &format!("{packet},tun_id=1041"), &[])
    }
}

fn is_seen_as(verdict: &Verdict, mac: &str) -> bool {
    let actions =
        verdict.trace.lines().filter(|line| line.starts_with("Datapath actions: ") || line.starts_with("Final flow: "));
    actions.collect::<String>().contains(&format!("src={mac}"))
}

#[test]
fn the_gateway_is_asked_and_answers_on_the_spot() {
    let qr = host_plan::names::router_interface(id("d2"));
    let traced = Traced::new(false);
    let asks = "arp,arp_op=1,dl_dst=ff:ff:ff:ff:ff:ff,arp_sha=fa:16:3e:41:00:05,arp_spa=10.41.0.5,arp_tpa=";
    let gateway = traced.sent_by_instance(&format!("{asks}10.41.0.1"));
    assert!(gateway.ports.contains(&qr) && !gateway.trace.contains("tnl_push"), "{}", gateway.trace);
    let stranger = traced.sent_by_instance(&format!("{asks}10.41.0.77"));
    assert!(stranger.trace.contains("tnl_push"), "{}", stranger.trace);
    let there = traced.sent_by_instance(&format!("ip,dl_dst={SHARED},nw_src=10.41.0.5,nw_dst=10.20.0.6,nw_ttl=64"));
    assert!(there.trace.contains("ct(") || there.only(&qr), "{}", there.trace);

    // From outside only what is for this host's own stand-in comes in.
    let by_mistake = traced.by_tunnel(&format!("ip,dl_src={ELSEWHERE},dl_dst={SHARED},nw_dst=10.20.0.6"));
    assert!(by_mistake.is_dropped(), "{}", by_mistake.trace);
    let answer = traced.by_tunnel(&format!(
        "arp,arp_op=2,dl_src={ELSEWHERE},dl_dst={OWN},arp_spa=10.41.0.6,arp_tpa=0.0.0.0,arp_sha={ELSEWHERE}"
    ));
    assert!(answer.only(&qr), "{}", answer.trace);
    let asked = traced.by_tunnel(&format!(
        "arp,arp_op=1,dl_src={ELSEWHERE},dl_dst=ff:ff:ff:ff:ff:ff,arp_spa=10.41.0.6,arp_tpa=10.41.0.1"
    ));
    assert!(asked.is_dropped(), "{}", asked.trace);

    let central = Traced::new(true);
    let foreign = central.by_tunnel(&format!("ip,dl_src={ELSEWHERE},dl_dst={SHARED},nw_dst=10.20.0.6"));
    assert!(foreign.only(&qr), "{}", foreign.trace);
}

#[test]
fn what_leaves_bears_the_hosts_own_mac_and_what_arrives_the_shared_one() {
    let traced = Traced::new(false);
    let routed = format!("ip,dl_dst={ELSEWHERE},nw_src=10.20.0.5,nw_dst=10.41.0.6,nw_ttl=63");
    let leaves = traced.sent_by_router(&routed);
    let said = traced.0.trace(
        &host_plan::names::router_interface(id("d2")),
        &format!("{routed},dl_src={SHARED}"),
        &["trk,new"],
    );
    assert!(is_seen_as(&said, OWN) && said.trace.contains("tnl_push"), "{}\n{}", leaves.trace, said.trace);
    // A copy asks for itself, not for the gateway.
    let asks = "arp,arp_op=1,dl_dst=ff:ff:ff:ff:ff:ff,arp_spa=10.41.0.1,arp_tpa=10.41.0.99";
    let asking = traced.sent_by_router(&format!("{asks},arp_sha={SHARED}"));
    assert!(asking.trace.contains("sip=0.0.0.0") && asking.trace.contains(&format!("sha={OWN}")), "{}", asking.trace);
    let advertises =
        traced.sent_by_router("icmp6,icmpv6_type=134,dl_dst=33:33:00:00:00:01,ipv6_src=fe80::1,ipv6_dst=ff02::1");
    assert!(!advertises.trace.contains("tnl_push"), "{}", advertises.trace);

    let arrives = traced.by_tunnel(&format!(
        "ip,dl_src=02:12:34:d2:00:01,dl_dst={INSTANCE},nw_src=10.20.0.6,nw_dst=10.41.0.5,nw_ttl=63"
    ));
    assert!(arrives.trace.contains(&format!("set_field:{SHARED}->eth_src")), "{}", arrives.trace);
    // An answer to one copy's question is everybody's.
    let answer =
        "icmp6,icmpv6_type=136,nd_target=2001:db8:41::5,ipv6_src=2001:db8:41::5,ipv6_dst=2001:db8:41::1,nw_ttl=255";
    let told = traced.sent_by_instance(&format!("{answer},dl_dst={SHARED}"));
    let qr = host_plan::names::router_interface(id("d2"));
    assert!(told.ports.contains(&qr) && told.trace.contains("tnl_push"), "{}", told.trace);

    // The central host is whom strangers know.
    let central = Traced::new(true);
    let leaves = central.0.trace(
        &host_plan::names::router_interface(id("d2")),
        &format!("{routed},dl_src={SHARED}"),
        &["trk,new"],
    );
    assert!(!is_seen_as(&leaves, OWN) && leaves.trace.contains("tnl_push"), "{}", leaves.trace);
}

/// What a copy is led to, and what it is led out by, moves together.
#[test]
fn who_stands_by_is_shut_for_copies_too() {
    let mut host = Host::distributed(true);
    host.view.tunnel_peers.get_mut("peer2").unwrap().watched = true;
    let preferred: std::collections::BTreeSet<String> = ["peer2".to_owned()].into();
    let router = host.view.routers.get_mut(&id(DISTRIBUTED)).unwrap();
    router.standby = Some(host_view::Standby { preferred: preferred.clone(), others: preferred, ..Default::default() });
    let plan = host.settle();
    let flows = flows_text(&plan, &host.state, "br-int");
    let snat =
        ["c1", "c2", "c3"].map(|port| (host_plan::names::router_snat(id(port)), format!("fa:16:3e:{port}:00:07")));
    let inside =
        ["d1", "d2"].map(|port| (host_plan::names::router_interface(id(port)), format!("fa:16:3e:{port}:00:01")));
    let gateway = (host_plan::names::router_gateway(id("d9")), "fa:16:3e:d9:00:01".to_owned());
    for (device, mac) in snat.into_iter().chain(inside).chain([gateway]) {
        let of = |table: &str, what: &str| {
            let found: Vec<&str> =
                flows.lines().filter(|flow| flow.starts_with(table) && flow.contains(what)).collect();
            assert!(!found.is_empty(), "{table} {what}");
            found
        };
        let leaves = of("table=60, priority=100", &format!("in_port=\"{device}\""));
        assert!(leaves.iter().all(|flow| flow.ends_with("resubmit(,63)")), "{leaves:?}");
        for table in ["table=60, priority=90", "table=94, priority=12"] {
            let arrives = of(table, &format!("dl_dst={mac}"));
            assert!(arrives.iter().all(|flow| flow.ends_with("resubmit(,64)")), "{arrives:?}");
        }
    }
}

#[test]
fn who_takes_over_is_heard_behind_tunnels() {
    let traced = Traced::new(true);
    let announced =
        format!("arp,arp_op=1,dl_dst=ff:ff:ff:ff:ff:ff,arp_spa=10.41.0.1,arp_tpa=10.41.0.1,arp_sha={SHARED}");
    let sent = traced.sent_by_router(&announced);
    assert!(sent.trace.contains("tnl_push"), "{}", sent.trace);
    // Others who ask for it are answered on the spot.
    let asked = "arp,arp_op=1,dl_dst=ff:ff:ff:ff:ff:ff,arp_sha=fa:16:3e:41:00:05,arp_spa=10.41.0.5,arp_tpa=10.41.0.1";
    let answered = traced.sent_by_instance(asked);
    assert!(!answered.trace.contains("tnl_push"), "{}", answered.trace);
}
