//! The walker and a real Open vSwitch, side by side: for random hosts and packets both must say the same, flow by flow.
//!
//! `NEUTRONIUM_TRACE_HOSTS` and `NEUTRONIUM_TRACE_PACKETS` say how many hosts are drawn and how many packets for each;
//! `NEUTRONIUM_TRACE_SEED` where the drawing starts. A failure names its seed.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // in helpers of tests, too
#![allow(clippy::print_stdout)] // how many were compared

mod common;
#[path = "../../host-plan/tests/support/mod.rs"]
mod support;

use common::random::{self, Dice};
use common::real::{Fate, Place, Tracer};
use common::{Arrival, count, state};
use common::{anywhere, gates, observed};
use openflow::PortNo;
use packet_trace::{Exit, Given, Packet, Step, Switch, Trace};
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
    opened: usize,
    closed: usize,
    taken_in: usize,
    left_out: usize,
}

/// What gates made of a packet: let it out of a highly available router or not, into one or not.
fn through_gates(trace: &Trace<'_>, seen: &mut Seen) {
    for flow in trace.flows() {
        match gates::GATES.iter().position(|table| *table == flow.table) {
            Some(0) if flow.priority == 20 => seen.opened += 1,
            Some(0) => seen.closed += 1,
            Some(_) if flow.priority == 20 => seen.taken_in += 1,
            Some(_) => seen.left_out += 1,
            None => {}
        }
    }
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
    through_gates(&trace, seen);
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

/// In how many states of the other hosts each host is looked at.
const TURNS: usize = 4;

/// What a highly available router's port sends goes on only while the rule has the router be active here, as the other hosts
/// now are; an agent that has looked earlier may have closed its gates, and opens none that the switch would not.
fn only_the_active_one_forwards(switch: &Switch<'_>, host: &Host) {
    // Who says that it is impaired is company, and only the agent knows.
    if host.state.interfaces.values().any(|session| session.is_impaired) {
        return;
    }
    let packet = "dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:02,dl_type=0x88cc";
    for device in host.state.interfaces.keys() {
        let Some(standby) = gates::gated(host, device) else { continue };
        let mut given = Given::states([]);
        let trace = switch.send("br-int", device, &Packet::parse(packet).unwrap(), &mut given);
        let passes = trace.flows().any(|flow| flow.table == 73);
        assert!(!passes || gates::is_active(host, standby), "{standby:?}\n{trace}");
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
        gates::routers(&mut dice, &mut drawn);
        let known = gates::known(&mut dice, &drawn);
        observed::limits(&mut dice, &mut drawn);
        observed::logs(&mut dice, &mut drawn);
        observed::mirrors(&mut dice, &mut drawn);
        let real = match &mut real {
            Some(real) => {
                real.host.view = drawn.view;
                real.known = known;
                real.settle();
                real
            }
            None => {
                let real = real.insert(RealHost::new(&drawn));
                real.known = known;
                real.settle();
                for (collector, mac) in observed::COLLECTORS {
                    real.switch.appctl(&["tnl/neigh/set", "br-under", collector, mac]).unwrap();
                }
                real
            }
        };
        let tracer = tracer.get_or_insert_with(|| Tracer::new(&real.switch));
        tracer.read_names();
        let stations = anywhere::stations(&real.host);
        for turn in 0..TURNS {
            // Hosts come and go, and at first no agent looks.
            if turn > 0 {
                gates::later(&mut dice, &mut real.host);
            }
            real.set_alive(&gates::alive(&real.host));
            let mut switch = Switch::new(&real.plan, &real.host.state);
            teach(&mut dice, &real.host, &mut switch, tracer, &mut taught);
            for _ in 0..packets / TURNS {
                let special = match dice.roll(25) {
                    0 | 1 => Some(observed::by_trunk(&mut dice, &places)),
                    2 | 3 => observed::by_tunnel(&mut dice, &places, &real.plan),
                    4 | 5 => Some(anywhere::arrival(&mut dice, &real.host, &stations)),
                    6..=13 => gates::arrival(&mut dice, &real.host, &stations, &switch),
                    _ => None,
                };
                let arrival = special.unwrap_or_else(|| random::arrival(&mut dice, &places));
                compare(&switch, tracer, &arrival, &said, &mut seen);
            }
            only_the_active_one_forwards(&switch, &real.host);
        }
    }
    println!("{seen:?}, all as the real switch does");
    let all = hosts * packets;
    assert!(seen.delivered > all / 5 && seen.dropped > all / 5, "both must be tried: {seen:?}");
    let rare = [seen.copied, 4 * seen.copied_twice, seen.logged, seen.by_trunk];
    let gates = [seen.opened, seen.closed, seen.taken_in, seen.left_out];
    assert!(gates.iter().all(|count| *count > all / 200), "gates must be tried: {seen:?}");
    assert!(rare.iter().all(|count| *count > all / 40), "all of it must be tried: {seen:?}");
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
        let (switch, stations) = (Switch::new(&real.plan, &real.host.state), anywhere::stations(&real.host));
        let mut seen = Seen::default();
        for _ in 0..packets {
            let arrival = anywhere::arrival(&mut dice, &real.host, &stations);
            compare(&switch, &mut tracer, &arrival, &format!("NEUTRONIUM_TRACE_SEED={seed}"), &mut seen);
        }
        println!("{seen:?}, central: {central}, all as the real switch does");
        assert!(seen.delivered > packets / 10 && seen.dropped > packets / 10, "both must be tried: {seen:?}");
    }
}
