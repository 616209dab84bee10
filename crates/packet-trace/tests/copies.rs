//! Who gets copies, against a plain reading of tap services and tap mirrors, over random hosts and packets: of what a source sends
//! and of what it receives, whatever decides so, one copy and no more; nobody else gets any.
//!
//! `NEUTRONIUM_RULES_HOSTS` says how many hosts are drawn, `NEUTRONIUM_TRACE_SEED` where the drawing starts.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // in helpers of tests, too
#![allow(clippy::print_stdout)] // how many were compared

mod common;
#[path = "../../host-plan/tests/support/mod.rs"]
mod support;

use common::random::{self, Dice};
use common::{Arrival, count, observed, state};
use host_plan::{DEAD_VLAN, HostPlan, names};
use host_view::{HostView, TapDirection};
use net_types::PortId;
use packet_trace::{Given, Packet, Step, Switch};
use std::collections::{BTreeMap, BTreeSet};
use support::Host;
use uuid::Uuid;

/// The port whose frames come or go by a device with this tag; none: nobody's, or a port that carries nothing.
fn port_at(host: &Host, plan: &HostPlan, bridge: &str, device: &str, tag: Option<u16>) -> Option<PortId> {
    if let Some((_, trunk)) = host.view.trunks.iter().find(|(id, _)| id.bridge() == bridge) {
        let by_tag = trunk.subports.iter().find(|(_, known)| Some(known.get()) == tag).map(|(port, _)| *port);
        let port = if tag.is_none() { Some(trunk.parent) } else { by_tag };
        let known = host.state.interfaces.get(device);
        let is_its = known.is_some_and(|known| known.bridge == bridge && known.iface_id == Some(trunk.parent));
        return port.filter(|_| is_its);
    }
    let carries = plan.tags.get(device).is_some_and(|planned| planned.tag != DEAD_VLAN);
    let is_its = carries && tag.is_none() && bridge == "br-int" && !device.starts_with("tm");
    host.state.interfaces.get(device).filter(|_| is_its)?.iface_id.filter(|port| host.view.ports.contains_key(port))
}

/// Which tap services (here or elsewhere) and tap mirrors want a copy when this port sends, or receives.
fn wishes(view: &HostView, plan: &HostPlan, port: PortId, wanted: fn(TapDirection) -> bool) -> Vec<(Uuid, u32)> {
    let served = |service: &host_view::TapService| {
        service.host.is_some() || plan.ports.get(&service.port) == Some(&host_view::PortState::Up)
    };
    let services = view.tap_services.iter().filter(|(_, service)| served(service));
    let services = services.filter(|(_, service)| service.sources.get(&port).is_some_and(|way| wanted(*way)));
    let mirrors = view.tap_mirrors.iter().filter(|(_, mirror)| mirror.port == port);
    let numbers = mirrors.flat_map(|(id, mirror)| mirror.numbers.iter().map(move |(way, number)| (*id, *way, *number)));
    let numbers = numbers.filter(|(_, way, _)| wanted(*way)).map(|(id, _, number)| (id, number));
    services.map(|(id, _)| (*id, 0)).chain(numbers).collect()
}

fn compare(host: &Host, plan: &HostPlan, switch: &Switch<'_>, arrival: &Arrival, seed: u64) -> [usize; 2] {
    let packet = Packet::parse(&arrival.packet).unwrap();
    let mut given = Given::states(arrival.states.iter().map(|name| state(name)));
    let trace = switch.send(&arrival.bridge, &arrival.port, &packet, &mut given);
    // Of whom a copy is expected, and whether mirrors of different bridges both see it.
    let mut expected: BTreeMap<(Uuid, u32), Vec<String>> = BTreeMap::new();
    let sender = port_at(host, plan, &arrival.bridge, &arrival.port, packet.vlan());
    for wish in sender.iter().flat_map(|port| wishes(&host.view, plan, *port, TapDirection::is_out)) {
        expected.entry(wish).or_default().push(arrival.bridge.clone());
    }
    // What copies are delivered to may be mirrored itself.
    let exits =
        trace.all_steps().into_iter().filter_map(|step| if let Step::Out(exit) = step { Some(exit) } else { None });
    for exit in exits {
        let receiver = port_at(host, plan, &exit.bridge, &exit.port, exit.packet.vlan());
        for wish in receiver.iter().flat_map(|port| wishes(&host.view, plan, *port, TapDirection::is_in)) {
            expected.entry(wish).or_default().push(exit.bridge.clone());
        }
    }
    expected.values_mut().for_each(|bridges| {
        bridges.sort();
        bridges.dedup();
    });
    let mut found: BTreeMap<(Uuid, u32), Vec<String>> = BTreeMap::new();
    for copied in trace.copies() {
        let taps = host.view.tap_services.keys().map(|id| (*id, 0));
        let mirrors = host.view.tap_mirrors.iter();
        let mirrors = mirrors.flat_map(|(id, mirror)| mirror.numbers.values().map(|number| (*id, *number)));
        let by_key = |id: Uuid, number: u32| {
            let ways = host.view.tap_mirrors.get(&id).map(|mirror| &mirror.numbers);
            let kind =
                ways.and_then(|ways| ways.iter().find(|(_, known)| **known == number)).map(|(way, _)| match way {
                    TapDirection::In => "tmi",
                    TapDirection::Out => "tmq",
                    TapDirection::Both => "tmb",
                });
            kind.is_none_or(|kind| copied.mirror.starts_with(kind))
        };
        let of =
            taps.chain(mirrors).find(|(id, number)| names::is_mirror_of(copied.mirror, *id) && by_key(*id, *number));
        found.entry(of.unwrap()).or_default().push(copied.bridge.to_owned());
        // Where it arrives, and that it is what was meant: to the tap service's port untagged, or by one tunnel.
        let exits: Vec<_> = copied.exits().collect();
        let service = host.view.tap_services.get(&of.unwrap().0);
        let here = service.filter(|service| service.host.is_none()).map(|service| names::tap(service.port));
        assert_eq!(exits.len(), 1, "seed {seed} {arrival:?}\n{trace}");
        assert_eq!(exits[0].tunnel.is_none(), here.is_some(), "seed {seed} {arrival:?}\n{trace}");
        assert!(here.is_none_or(|device| exits[0].port == device), "seed {seed} {arrival:?}\n{trace}");
        assert_eq!(exits[0].packet.vlan(), None, "seed {seed} {arrival:?}\n{trace}");
    }
    found.values_mut().for_each(|bridges| bridges.sort());
    // What the tunnel bridge answers comes back as another frame, and is copied as such.
    let is_answer = |step: &Step<'_>| matches!(step, Step::In { bridge: "br-int", port, .. } if port == "patch-tun");
    if trace.steps.iter().skip(1).any(is_answer) {
        found.values_mut().for_each(Vec::dedup);
    }
    assert_eq!(found, expected, "seed {seed} {arrival:?}\n{trace}");
    [usize::from(!found.is_empty()), usize::from(found.is_empty())]
}

#[test]
fn copies_go_where_a_reader_of_the_taps_expects_them() {
    let seed = count("NEUTRONIUM_TRACE_SEED", 1) as u64;
    let mut seen = [0, 0];
    for round in 0..count("NEUTRONIUM_RULES_HOSTS", 40) as u64 {
        let mut dice = Dice::new(0x7a90 + seed + round);
        let (mut host, places) = random::host(&mut dice);
        observed::trunk(&mut dice, &mut host);
        observed::limits(&mut dice, &mut host);
        observed::mirrors(&mut dice, &mut host);
        // As the feed has it: what a tap service's port receives is not copied again.
        let targets: BTreeSet<PortId> = host.view.tap_services.values().map(|service| service.port).collect();
        for service in host.view.tap_services.values_mut() {
            service.sources.retain(|port, _| !targets.contains(port));
        }
        host.view.tap_mirrors.retain(|_, mirror| !targets.contains(&mirror.port));
        let plan = host.settle();
        assert_eq!(plan.errors.iter().find(|error| error.contains("tap ")), None);
        let switch = Switch::new(&plan, &host.state);
        for _ in 0..60 {
            let arrival = match dice.percent(30) {
                true => observed::by_trunk(&mut dice, &places),
                false => random::arrival(&mut dice, &places),
            };
            if switch.number(&arrival.bridge, &arrival.port).is_some() {
                let [copied, not] = compare(&host, &plan, &switch, &arrival, seed + round);
                seen = [seen[0] + copied, seen[1] + not];
            }
        }
    }
    println!("{seen:?} were copied and not, all as the taps say");
    assert!(seen.iter().all(|count| *count > 200), "both must be tried: {seen:?}");
}
