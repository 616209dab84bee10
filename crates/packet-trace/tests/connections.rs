//! What becomes of connections when rules change, against a plain reading of the groups, over random hosts: nobody's traffic
//! ends that is still allowed, and all the other does.
//!
//! `NEUTRONIUM_RULES_HOSTS` says how many hosts are drawn, `NEUTRONIUM_TRACE_SEED` where the drawing starts.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // in helpers of tests, too
#![allow(clippy::print_stdout)] // how many were compared

mod common;
#[path = "../../host-plan/tests/support/mod.rs"]
mod support;

use common::count;
use common::random::{self, Dice, port_name};
use common::reading::{Connection, SOURCE_PORT, expected, passes, port, secured};
use host_view::HostView;
use net_types::IpNet;
use packet_trace::{Switch, Tracker};
use support::{Host, id, net};

#[test]
fn connections_live_exactly_as_long_as_they_are_allowed() {
    let seed = count("NEUTRONIUM_TRACE_SEED", 1) as u64;
    let (mut lived, mut ended) = (0, 0);
    let hosts = count("NEUTRONIUM_RULES_HOSTS", 200) as u64;
    for round in 0..hosts {
        let mut dice = Dice::new(0x00c0_ffee + seed + round);
        let (mut host, places) = random::host(&mut dice);
        host.view.security_groups.values_mut().for_each(|group| group.stateful = true);
        let plan = host.settle();
        let switch = Switch::new(&plan, &host.state);
        let mut tracker = Tracker::default();
        let mut open: Vec<Connection> = vec![];
        for _ in 0..40 {
            let wish = Connection::draw(&mut dice, &places);
            let has_state = [wish.from, wish.to].iter().any(|end| secured(port(&host.view, *end)));
            // Without ports, both directions would be one connection, and so would be a second one.
            let has_ports = matches!(wish.protocol, 6 | 17 | 132);
            let taken = open.iter().any(|other| {
                let same = (other.source, other.target) == (wish.source, wish.target);
                let same = same && (!has_ports || other.port == wish.port);
                other.protocol == wish.protocol && (other.from == wish.to || same)
            });
            let taken = taken || is_stolen(&host.view, &wish);
            if !taken && expected(&host.view, &wish) && has_state && passes(&switch, &wish, false, &mut tracker).0 {
                let (answered, trace) = passes(&switch, &wish, true, &mut tracker);
                assert!(answered, "{wish:?}\n{trace}");
                open.push(wish);
            }
        }
        let before = host.view.clone();
        change(&mut dice, &mut host);
        let plan = host.settle();
        let switch = Switch::new(&plan, &host.state);
        forget(&host, &plan, &open, &mut tracker);
        for wish in &open {
            let still = expected(&host.view, wish);
            // What the other side says passes as an answer, or because its own rules allow it.
            let (answered, trace) = passes(&switch, wish, true, &mut tracker.clone());
            let may = still || expected_back(&host.view, wish);
            // Where several may use an address, nobody can tell whose connection it is: it is left to the mark.
            if still || !is_shared(&host.view, wish) {
                assert_eq!(answered, may, "seed {} answers to {wish:?}\n{trace}", seed + round);
            }
            let (goes_on, trace) = passes(&switch, wish, false, &mut tracker);
            assert_eq!(goes_on, still, "seed {} {wish:?}\n{trace}", seed + round);
            // Once the first side has tried, the other cannot go on either.
            let (answered, trace) = passes(&switch, wish, true, &mut tracker);
            assert_eq!(answered, still, "seed {} answers to {wish:?}\n{trace}", seed + round);
            *if still { &mut lived } else { &mut ended } += 1;
        }
        // What is allowed again goes on.
        host.view = before;
        let plan = host.settle();
        let switch = Switch::new(&plan, &host.state);
        forget(&host, &plan, &open, &mut tracker);
        for wish in &open {
            for back in [false, true] {
                let (goes_on, trace) = passes(&switch, wish, back, &mut tracker);
                assert!(goes_on, "seed {} again {wish:?}\n{trace}", seed + round);
            }
        }
    }
    println!("{lived} went on, {ended} ended");
    assert!(hosts < 40 || (lived > hosts && ended > hosts), "both must be tried: {lived}, {ended}");
}

/// Whether it is begun with another port's own address, by whom nothing hinders to do so.
fn is_stolen(view: &HostView, of: &Connection) -> bool {
    let from = port(view, of.from);
    let others = view.ports.values().filter(|other| other.network == from.network && other.mac != from.mac);
    others.flat_map(|other| &other.fixed_ips).any(|fixed| fixed.address == of.source)
}

/// Whether another port may use an address of the connection, too; whoever has it only by a pair shares it.
fn is_shared(view: &HostView, of: &Connection) -> bool {
    let sides = [(of.from, of.source), (of.to, of.target)];
    sides.iter().any(|(number, address)| {
        let own = port(view, *number);
        if own.fixed_ips.iter().all(|fixed| fixed.address != *address) {
            return true;
        }
        let others = view.ports.iter().filter(|(other, _)| **other != id(&port_name(*number)));
        let network = port(view, *number).network;
        others.filter(|(_, other)| other.network == network).any(|(_, other)| {
            other.fixed_ips.iter().any(|fixed| fixed.address == *address)
                || other.allowed_address_pairs.iter().any(|pair| pair.address.contains(address))
        })
    })
}

/// The other side's packet, if it began a connection of its own.
fn expected_back(view: &HostView, of: &Connection) -> bool {
    let back =
        Connection { from: of.to, to: of.from, source: of.target, target: of.source, port: SOURCE_PORT, ..of.clone() };
    !matches!(of.protocol, 1 | 58) && expected(view, &back)
}

/// Forgets what the planner says must be forgotten.
fn forget(host: &Host, plan: &host_plan::HostPlan, open: &[Connection], tracker: &mut Tracker) {
    let rules = host_plan::ConnectionRules::new(&host.view, plan);
    for wish in open {
        let Some(zone) = plan.local_vlans.get(&port(&host.view, wish.from).network).map(|vlan| vlan.get()) else {
            continue;
        };
        let Some(mark) = tracker.mark(zone, &wish.packet(false)) else { continue };
        let ports = matches!(wish.protocol, 6 | 17 | 132).then_some((SOURCE_PORT, wish.port)).unwrap_or_default();
        let icmp = match wish.protocol {
            1 => Some((7, 8, wish.icmp_code)),
            58 => Some((7, 128, wish.icmp_code)),
            _ => None,
        };
        let connection = host_plan::TrackedConnection {
            zone,
            protocol: wish.protocol,
            source: wish.source,
            target: wish.target,
            answerer: wish.target,
            ports,
            icmp,
            mark,
        };
        if rules.must_go(&connection) {
            tracker.forget(zone, &wish.packet(false));
        }
    }
}

/// Rules come and go, members come and go, ports change their groups.
fn change(dice: &mut Dice, host: &mut Host) {
    for group in host.view.security_groups.values_mut() {
        group.rules.retain(|_, _| dice.percent(70));
        if dice.percent(50) {
            group.rules.insert(id("77"), random::rule(dice));
        }
    }
    for members in host.view.group_members.values_mut() {
        *members = members.iter().copied().filter(|_| dice.percent(70)).collect::<std::collections::BTreeSet<IpNet>>();
        if dice.percent(20) {
            members.insert(net("10.1.0.8/29"));
        }
    }
    for port in host.view.ports.values_mut().filter(|port| port.port_security) {
        if dice.percent(15) {
            port.security_groups.insert(id("90"));
        }
        if dice.percent(10) {
            port.security_groups.pop_first();
        }
    }
}
