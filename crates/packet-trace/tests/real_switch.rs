//! The walker and a real Open vSwitch, side by side: for random hosts and packets both must say the same, flow by flow.
//!
//! `NEUTRONIUM_TRACE_HOSTS` and `NEUTRONIUM_TRACE_PACKETS` say how many hosts are drawn and how many packets for each;
//! `NEUTRONIUM_TRACE_SEED` where the drawing starts. A failure names its seed.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // in helpers of tests, too
#![allow(clippy::print_stdout)] // how many were compared

mod common;
#[path = "../../host-plan/tests/support/mod.rs"]
mod support;

use common::observed;
use common::random::{self, Dice};
use common::real::{Fate, Place, Tracer};
use common::{Arrival, count, state};
use openflow::PortNo;
use packet_trace::{Exit, Given, Packet, Step, Switch, Trace};
use std::net::IpAddr;
use support::Host;
use support::real::RealHost;

/// What the walker says of a packet and all copies of it, in the real switch's terms.
fn fate(trace: &Trace<'_>) -> Fate {
    let steps = trace.all_steps();
    let places = steps.iter().filter_map(|step| match step {
        Step::Out(Exit { tunnel: Some((peer, key)), .. }) => Some(Place::Tunnel(peer.to_string(), *key)),
        Step::Out(Exit { port, packet, .. }) => Some(Place::Port(port.clone(), packet.vlan())),
        _ => None,
    });
    let path = steps.iter().filter_map(|step| match step {
        Step::Flow { flow, .. } => Some((flow.table, Some(flow.priority))),
        Step::Miss { table, .. } => Some((*table, None)),
        _ => None,
    });
    let (mut places, mut logged) = (places.collect::<Vec<_>>(), trace.logged());
    places.sort();
    logged.sort_unstable();
    Fate { places, logged, path: path.collect() }
}

/// How often each of it was compared.
#[derive(Debug, Default)]
struct Seen {
    delivered: usize,
    dropped: usize,
    copied: usize,
    copied_twice: usize,
    logged: usize,
    by_trunk: usize,
}

fn compare(switch: &Switch<'_>, tracer: &mut Tracer, arrival: &Arrival, seed: &str, seen: &mut Seen) {
    let Some(number) = switch.number(&arrival.bridge, &arrival.port) else {
        seen.dropped += 1;
        return;
    };
    assert_ne!(PortNo(number), PortNo::LOCAL);
    let packet = Packet::parse(&arrival.packet).unwrap();
    let mut given = Given::states(arrival.states.iter().map(|name| state(name)));
    let trace = switch.send(&arrival.bridge, &arrival.port, &packet, &mut given);
    let states: Vec<String> = arrival.states.iter().map(|name| (*name).to_owned()).collect();
    let (expected, text) = tracer.trace(number, arrival, &states);
    // Of a packet that comes back from the connection tracker `ofproto/trace` looks its port up by number, but on the bridge where the
    // packet came in: that may be a port for copies. (Of real packets the switch knows better where they came in.)
    let mistaken = text.split("thaw").skip(1).any(|thawed| thawed.contains("reserved exclusively for mirroring"));
    if mistaken && arrival.bridge.starts_with("tbr-") {
        return;
    }
    let said = fate(&trace);
    assert_eq!(trace.not_modelled().next(), None, "{trace}");
    assert_eq!(said, expected, "{seed} {arrival:?}\n{trace}\n{text}");
    *if trace.is_dropped() { &mut seen.dropped } else { &mut seen.delivered } += 1;
    let copies = trace.copies().len();
    seen.copied += usize::from(copies > 0);
    seen.copied_twice += usize::from(copies > 1);
    seen.logged += usize::from(!said.logged.is_empty());
    let by_trunk = |exit: &Exit| exit.bridge.starts_with("tbr-");
    seen.by_trunk += usize::from(arrival.bridge.starts_with("tbr-") || trace.exits().any(by_trunk));
}

/// Stations that the real switch was told of: bridge, VLAN, address.
type Taught = Vec<(&'static str, u16, &'static str)>;

/// Gives both sides the same learned stations, and takes those of the last host away.
fn teach(dice: &mut Dice, host: &Host, switch: &mut Switch<'_>, tracer: &mut Tracer, taught: &mut Taught) {
    for (bridge, vlan, mac) in taught.drain(..) {
        tracer.run("fdb/del", &[bridge, &vlan.to_string(), mac]);
    }
    let mut tell = |bridge: &'static str, port: &str, vlan: u16, mac: &'static str| {
        if switch.number(bridge, port).is_some() {
            tracer.run("fdb/add", &[bridge, port, &vlan.to_string(), mac]);
            switch.learn(bridge, vlan, mac.parse().unwrap(), port);
            taught.push((bridge, vlan, mac));
        }
    };
    for (network, vlan) in &host.state.local_vlans {
        for (port, mac) in [("int-br-phys", "fa:16:3e:99:99:99"), ("patch-tun", "fa:16:3e:00:00:64")] {
            if dice.percent(40) && !network.to_string().starts_with("00000004") {
                tell("br-int", port, vlan.get(), mac);
            }
        }
    }
    for (vlan, mac) in [(101, "fa:16:3e:99:99:99"), (0, "fa:16:3e:99:99:99"), (0, "fa:16:3e:dd:00:03")] {
        let port = *dice.one(&["wire", "phy-br-phys"]);
        if dice.percent(40) {
            tell("br-phys", port, vlan, mac);
        }
    }
}

#[test]
fn the_walker_goes_where_the_switch_goes() {
    let (hosts, packets) = (count("NEUTRONIUM_TRACE_HOSTS", 6), count("NEUTRONIUM_TRACE_PACKETS", 400));
    let seed = count("NEUTRONIUM_TRACE_SEED", 1) as u64;
    let (mut real, mut tracer): (Option<RealHost>, Option<Tracer>) = (None, None);
    let (mut seen, mut taught) = (Seen::default(), Taught::new());
    for round in 0..hosts as u64 {
        let said = format!("NEUTRONIUM_TRACE_SEED={} NEUTRONIUM_TRACE_HOSTS=1", seed + round);
        let mut dice = Dice::new(seed + round);
        let (mut drawn, places) = random::host(&mut dice);
        random::local_ips(&mut dice, &mut drawn, &places);
        observed::tunnels(&mut dice, &mut drawn);
        observed::trunk(&mut dice, &mut drawn);
        observed::limits(&mut dice, &mut drawn);
        observed::logs(&mut dice, &mut drawn);
        observed::mirrors(&mut dice, &mut drawn);
        let real = match &mut real {
            Some(real) => {
                real.host.view = drawn.view;
                real.settle();
                real
            }
            None => {
                let real = real.insert(RealHost::new(&drawn));
                for (collector, mac) in observed::COLLECTORS {
                    real.switch.appctl(&["tnl/neigh/set", "br-under", collector, mac]).unwrap();
                }
                real
            }
        };
        let tracer = tracer.get_or_insert_with(|| Tracer::new(&real.switch));
        tracer.read_names();
        let mut switch = Switch::new(&real.plan, &real.host.state);
        teach(&mut dice, &real.host, &mut switch, tracer, &mut taught);
        for _ in 0..packets {
            let special = match dice.roll(25) {
                0 | 1 => Some(observed::by_trunk(&mut dice, &places)),
                2 | 3 => observed::by_tunnel(&mut dice, &places, &real.plan),
                _ => None,
            };
            let arrival = special.unwrap_or_else(|| random::arrival(&mut dice, &places));
            compare(&switch, tracer, &arrival, &said, &mut seen);
        }
    }
    println!("{seen:?}, all as the real switch does");
    let all = hosts * packets;
    assert!(seen.delivered > all / 5 && seen.dropped > all / 5, "both must be tried: {seen:?}");
    let rare = [seen.copied, 4 * seen.copied_twice, seen.logged, seen.by_trunk];
    assert!(rare.iter().all(|count| *count > all / 40), "all of it must be tried: {seen:?}");
}

/// Who may speak on the distributed host: MAC and addresses of all that it knows, and the stand-ins of hosts for its routers.
fn stations(host: &Host) -> Vec<(String, Vec<IpAddr>)> {
    let ports = host.view.ports.values();
    let here = ports.map(|port| (port.mac, port.fixed_ips.iter().map(|fixed| fixed.address).collect::<Vec<_>>()));
    let elsewhere = host.view.remote_ports.values().map(|port| (port.mac, port.addresses.iter().copied().collect()));
    let mut found: Vec<_> = here.chain(elsewhere).collect();
    let interfaces = host.view.routers.values().flat_map(|router| &router.interfaces);
    for port in interfaces.filter_map(|id| host.view.ports.get(id)) {
        for station in [0xabcd, 0xbeef] {
            let addresses = port.fixed_ips.iter().map(|fixed| fixed.address).collect();
            found.push((host_view::station_mac(port.mac, station), addresses));
        }
    }
    found.into_iter().map(|(mac, addresses)| (mac.to_string(), addresses)).collect()
}

/// From any port of the host, as the one whose port it is or as anybody else, to anybody.
fn any_arrival(dice: &mut Dice, host: &Host, stations: &[(String, Vec<IpAddr>)]) -> Arrival {
    let is_outside = |name: &str| name == "wire" || name.starts_with("vxlan-");
    let interfaces = host.state.interfaces.iter();
    let ports: Vec<_> = interfaces.filter(|(name, known)| is_outside(name) || known.iface_id.is_some()).collect();
    let (name, known) = *dice.one(&ports);
    let own = known.iface_id.and_then(|id| host.view.ports.get(&id)).filter(|_| dice.percent(85));
    let own = own.map(|port| (port.mac.to_string(), port.fixed_ips.iter().map(|fixed| fixed.address).collect()));
    let (from, sources) = own.unwrap_or_else(|| dice.one(stations).clone());
    let (mut to, targets) = dice.one(stations).clone();
    if dice.percent(15) {
        to = (*dice.one(&["ff:ff:ff:ff:ff:ff", "33:33:00:00:00:01", "fa:16:3e:99:99:99"])).to_owned();
    }
    let head = match name.as_str() {
        "wire" => *dice.one(&["", "dl_vlan=101,"]),
        name if name.starts_with("vxlan-") => *dice.one(&["tun_id=1000,", "tun_id=1041,"]),
        _ => "",
    };
    let v6 = dice.percent(30);
    let of = |addresses: &[IpAddr]| addresses.iter().find(|address| address.is_ipv6() == v6).copied();
    let (source, target) = (of(&sources), of(&targets));
    let ethernet = format!("dl_src={from},dl_dst={to}");
    let packet = match (source, target, dice.roll(3)) {
        (Some(IpAddr::V4(source)), Some(IpAddr::V4(target)), 0) => {
            let (op, source) = (1 + dice.roll(2), if dice.percent(20) { "0.0.0.0".into() } else { source.to_string() });
            format!("{ethernet},arp,arp_op={op},arp_sha={from},arp_spa={source},arp_tpa={target}")
        }
        (Some(IpAddr::V4(source)), Some(IpAddr::V4(target)), _) => {
            format!(
                "{ethernet},tcp,nw_src={source},nw_dst={target},nw_ttl=64,tcp_src=4000,tcp_dst={}",
                22 + dice.roll(2)
            )
        }
        (Some(IpAddr::V6(source)), Some(IpAddr::V6(target)), 0) => {
            let kind = *dice.one(&[134, 135, 136]);
            let about = if kind == 134 { String::new() } else { format!(",icmpv6_code=0,nd_target={target}") };
            format!("{ethernet},icmp6,ipv6_src={source},ipv6_dst={target},nw_ttl=255,icmpv6_type={kind}{about}")
        }
        (Some(IpAddr::V6(source)), Some(IpAddr::V6(target)), _) => {
            format!("{ethernet},tcp6,ipv6_src={source},ipv6_dst={target},nw_ttl=64,tcp_src=4000,tcp_dst=22")
        }
        _ => format!("{ethernet},dl_type=0x88cc"),
    };
    let states = vec![*dice.one(&["trk,new", "trk,est"]), "trk,new"];
    Arrival { bridge: known.bridge.clone(), port: name.clone(), packet: format!("{head}{packet}"), states }
}

#[test]
fn the_walker_follows_distributed_routers() {
    let packets = count("NEUTRONIUM_TRACE_PACKETS", 400);
    let seed = count("NEUTRONIUM_TRACE_SEED", 1) as u64;
    for central in [false, true] {
        let mut drawn = Host::distributed(central);
        let mut dice = Dice::new(seed);
        observed::logs(&mut dice, &mut drawn);
        let real = RealHost::new(&drawn);
        let mut tracer = Tracer::new(&real.switch);
        let (switch, stations) = (Switch::new(&real.plan, &real.host.state), stations(&real.host));
        let mut seen = Seen::default();
        for _ in 0..packets {
            let arrival = any_arrival(&mut dice, &real.host, &stations);
            compare(&switch, &mut tracer, &arrival, &format!("NEUTRONIUM_TRACE_SEED={seed}"), &mut seen);
        }
        println!("{seen:?}, central: {central}, all as the real switch does");
        assert!(seen.delivered > packets / 10 && seen.dropped > packets / 10, "both must be tried: {seen:?}");
    }
}
