//! What a change of a security group costs: `cargo run --release -p host-plan --example measure_rules [MEMBERS] [HERE]`.
//!
//! MEMBERS ports are in one group (500) whose rules refer to the group itself, HERE of them are on this host (all). Prints for
//! each change how many flows it touches, and the time of planning everything anew and finding the difference.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // a tool for people

#[path = "../tests/support/mod.rs"]
mod support;

use host_plan::{Action, HostPlan, diff};
use host_view::{HostView, Remote, RemotePort, Segment, TunnelPeer};
use net_types::{NetworkType, Vni};
use std::time::{Duration, Instant};
use support::*;

const ROUNDS: usize = 5;

fn address(number: u32) -> String {
    format!("10.0.{}.{}", number / 250, 3 + number % 250)
}

fn mac_of(number: u32) -> String {
    format!("fa:16:3e:00:{:02x}:{:02x}", number >> 8, number & 255)
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|number| number.parse::<u32>().unwrap());
    let members = arguments.next().unwrap_or(500);
    let here = arguments.next().unwrap_or(members).min(members);
    let mut host = Host::empty();
    host.network("1", Segment::Vxlan { vni: Vni::new(1).unwrap() }, 1450);
    host.subnet("51", "1", "10.0.0.0/16", Some("10.0.0.1"));
    let rules =
        [tcp(22, 22, Remote::Any), tcp(8000, 8010, Remote::Group(id(WEB))), tcp(80, 80, Remote::Group(id(WEB)))];
    host.view.security_groups.insert(id(WEB), group(rules));
    host.view.tunnel_peers.insert(
        "peer".into(),
        TunnelPeer { address: ip("10.77.0.2"), mac: None, types: [NetworkType::Vxlan].into(), watched: false },
    );
    for number in 0..members {
        if number < here {
            let name = format!("{:x}", 0xa00_0000 + number);
            host.plug(NewPort::new(&name, "1", &mac_of(number), &[("51", &address(number))]).group(WEB));
        } else {
            let addresses = [ip(&address(number))].into();
            let value = RemotePort {
                network: id("1"),
                host: "peer".into(),
                mac: mac(&mac_of(number)),
                addresses,
                may_be_on: [].into(),
            };
            host.view.remote_ports.insert(id(&format!("{:x}", 0xb00_0000 + number)), value);
        }
    }
    host.view.group_members.insert(id(WEB), (0..members).map(|number| net(&address(number))).collect());
    let plan = host.settle();
    let flows: usize = plan.flows.values().map(Vec::len).sum();
    println!("{members} members, {here} of them here: {flows} flows");

    let a_rule = |view: &mut HostView| {
        let rule = tcp(443, 443, Remote::Any);
        view.security_groups.get_mut(&id(WEB)).unwrap().rules.insert(id("aa"), rule);
    };
    let a_group_rule = |view: &mut HostView| {
        let rule = tcp(9000, 9100, Remote::Group(id(WEB)));
        view.security_groups.get_mut(&id(WEB)).unwrap().rules.insert(id("ab"), rule);
    };
    let a_member = |view: &mut HostView| {
        view.group_members.get_mut(&id(WEB)).unwrap().insert(net("10.0.99.99"));
    };
    let no_member = |view: &mut HostView| {
        view.group_members.get_mut(&id(WEB)).unwrap().pop_last();
    };
    measure("a rule for everybody", &host, &plan, a_rule);
    measure("a rule for the group, 9000-9100", &host, &plan, a_group_rule);
    measure("a member more", &host, &plan, a_member);
    measure("a member less", &host, &plan, no_member);
}

fn measure(what: &str, host: &Host, plan: &HostPlan, change: impl Fn(&mut HostView)) {
    let mut best = (Duration::MAX, Duration::MAX);
    let mut touched = (0, 0, 0);
    for _ in 0..ROUNDS {
        let mut changed = host.clone();
        change(&mut changed.view);
        let start = Instant::now();
        let after = changed.plan();
        let planned = start.elapsed();
        let actions = diff(plan, &after);
        best = best.min((planned, start.elapsed() - planned));
        touched = (0, 0, 0);
        for action in &actions {
            if let Action::ChangeFlows { change, .. } = action {
                touched.0 += change.add.len();
                touched.1 += change.modify.len();
                touched.2 += change.delete.len();
            }
        }
    }
    let (added, modified, deleted) = touched;
    println!(
        "{what}: {added} flows added, {modified} modified, {deleted} deleted; planned in {:?}, difference in {:?}",
        best.0, best.1
    );
}
