//! What logs of security groups tell of connections, against a plain reading of the groups, over random hosts.
//!
//! `NEUTRONIUM_RULES_HOSTS` says how many hosts are drawn, `NEUTRONIUM_TRACE_SEED` where the drawing starts.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // in helpers of tests, too
#![allow(clippy::print_stdout)] // how many were compared

mod common;
#[path = "../../host-plan/tests/support/mod.rs"]
mod support;

use common::random::{self, Dice, device, port_name};
use common::reading::{Connection, accepting, allows, is_own, port, secured};
use common::{count, observed};
use host_plan::Logged;
use host_view::{Direction, EtherType, HostView, Log, LogEvent, Remote, SecurityGroup, SecurityGroupRule, Segment};
use net_types::{PortId, Vni};
use packet_trace::{Packet, Switch, Tracker};
use std::collections::BTreeSet;
use support::*;
use uuid::Uuid;

/// What is written down of a connection's first packet: port, whether it was accepted, log.
#[derive(Default)]
struct Written {
    must: BTreeSet<(PortId, bool, Uuid)>,
    /// By a remote group of the log's group, where another group may have accepted it before.
    may: BTreeSet<(PortId, bool, Uuid)>,
}

impl Written {
    fn of(view: &HostView, of: &Connection) -> Self {
        let (from, to) = (port(view, of.from), port(view, of.to));
        let mut found = Self::default();
        if !from.admin_state_up {
            return found;
        }
        if secured(from) {
            let accepted = is_own(from, of.source) && allows(view, from, Direction::Egress, of.target, of);
            found.asked(view, of, of.from, Direction::Egress, accepted);
            if !accepted {
                return found;
            }
        }
        // Frames to a MAC of another network, or of a port that is down, find nobody.
        if from.network == to.network && to.admin_state_up && secured(to) {
            let accepted = allows(view, to, Direction::Ingress, of.source, of);
            found.asked(view, of, of.to, Direction::Ingress, accepted);
        }
        found
    }

    /// One of the two ports has decided.
    fn asked(&mut self, view: &HostView, of: &Connection, number: u64, direction: Direction, accepted: bool) {
        let (id, groups) = (id::<PortId>(&port_name(number)), &port(view, number).security_groups);
        let other = if direction == Direction::Egress { of.target } else { of.source };
        for (log, wants) in view.logs.iter().filter(|(_, log)| log.ports.contains(&id)) {
            let entry = (id, accepted, *log);
            match wants.group.filter(|group| accepted && !groups.iter().eq([group])) {
                _ if !(if accepted { wants.event.is_accept() } else { wants.event.is_drop() }) => {}
                None => drop(self.must.insert(entry)),
                Some(group) => {
                    let mut rules = accepting(view, &group, direction, other, of).peekable();
                    let by_any = rules.peek().is_some();
                    if rules.any(|rule| !matches!(rule.remote, Remote::Group(_))) {
                        self.must.insert(entry);
                    } else if by_any {
                        self.may.insert(entry);
                    }
                }
            }
        }
    }
}

#[test]
fn logs_tell_what_a_reader_of_the_rules_expects() {
    let seed = count("NEUTRONIUM_TRACE_SEED", 1) as u64;
    let (mut accepted, mut refused, mut partly) = (0, 0, 0);
    let hosts = count("NEUTRONIUM_RULES_HOSTS", 200) as u64;
    for round in 0..hosts {
        let mut dice = Dice::new(0x106 + seed + round);
        let (mut host, places) = random::host(&mut dice);
        // Of stateless groups nothing is logged, for they know no first packet.
        host.view.security_groups.values_mut().for_each(|group| group.stateful = true);
        observed::logs(&mut dice, &mut host);
        let ports = host.view.ports.clone();
        for log in host.view.logs.values_mut() {
            let Some(group) = log.group else { continue };
            log.ports.retain(|id| ports[id].security_groups.contains(&group));
        }
        let plan = host.settle();
        let switch = Switch::new(&plan, &host.state);
        for _ in 0..60 {
            let wish = Connection::draw(&mut dice, &places);
            let expected = Written::of(&host.view, &wish);
            let mut tracker = Tracker::default();
            let trace = switch.send("br-int", &device(wish.from), &wish.packet(false), &mut tracker);
            let entries = trace.logged().into_iter().map(|number| plan.logged[&number].clone());
            let said = entries.flat_map(|logged| {
                let Logged { port, accepted, logs, .. } = logged;
                logs.into_iter().map(move |log| (port, accepted, log))
            });
            let said: Vec<_> = said.collect();
            let each: BTreeSet<_> = said.iter().copied().collect();
            assert_eq!(said.len(), each.len(), "seed {}: each once: {wish:?}\n{trace}", seed + round);
            let certain: BTreeSet<_> = each.difference(&expected.may).copied().collect();
            assert_eq!(certain, expected.must, "seed {} {wish:?}\n{trace}", seed + round);
            partly += expected.may.intersection(&each).count();
            accepted += expected.must.iter().filter(|(_, accepted, _)| *accepted).count();
            refused += expected.must.iter().filter(|(_, accepted, _)| !*accepted).count();
        }
    }
    println!(
        "{accepted} acceptances, {partly} by remote groups of one of several, {refused} refusals, all as the rules say"
    );
    let tried = accepted > 1000 && refused > 1000 && partly > 2;
    assert!(hosts < 200 || tried, "all must be tried: {accepted}, {partly}, {refused}");
}

/// What let it out, to members of a remote group, says nothing of what lets it in.
#[test]
fn a_log_of_one_group_is_silent_of_what_another_has_accepted() {
    let (sender, receiver) = ("b1", "b2");
    let mut host = Host::empty();
    host.network("1", Segment::Vxlan { vni: Vni::new(7).unwrap() }, 1450);
    host.subnet("41", "1", "10.0.0.0/24", None);
    let [out, open, closed] = ["91", "92", "93"];
    let members = || Remote::Group(id(closed));
    let to_members = SecurityGroupRule { remote: members(), ..rule(Direction::Egress, EtherType::IPv4) };
    let rules = [(out, to_members), (open, tcp(80, 80, Remote::Any)), (closed, tcp(80, 80, members()))];
    for (group, rule) in rules {
        let rules = [(id("1"), rule)].into();
        host.view.security_groups.insert(id(group), SecurityGroup { stateful: true, rules });
    }
    host.view.group_members.insert(id(closed), [net("10.0.0.2/32")].into());
    let stations = [(sender, "fa:16:3e:00:00:01", "10.0.0.1"), (receiver, "fa:16:3e:00:00:02", "10.0.0.2")];
    for (name, mac, address) in stations {
        let new = NewPort::new(name, "1", mac, &[("41", address)]);
        host.plug(if name == sender { new.group(out) } else { new.group(open).group(closed) });
    }
    let told = |host: &mut Host, group: &str| {
        let ports = [id(receiver)].into();
        let log = Log { project: "p".into(), event: LogEvent::Accept, group: Some(id(group)), ports };
        host.view.logs = [(Uuid::from_u128(1), log)].into();
        let plan = host.settle();
        let [(_, from, source), (_, to, target)] = stations;
        let text = format!("tcp,dl_src={from},dl_dst={to},nw_src={source},nw_dst={target},tcp_src=4000,tcp_dst=80");
        let packet = Packet::parse(&text).unwrap();
        let switch = Switch::new(&plan, &host.state);
        let trace = switch.send("br-int", &host_plan::names::tap(id(sender)), &packet, &mut Tracker::default());
        assert!(trace.reaches(&host_plan::names::tap(id(receiver))), "{trace}");
        (trace.logged().len(), trace.to_string())
    };
    assert_eq!(told(&mut host, open).0, 1);
    let (times, trace) = told(&mut host, closed);
    assert_eq!(times, 0, "{trace}");
}
