//! What logs add to a plan, as text: flows with the numbers of their entries, the meter, and what the numbers mean.
#![allow(clippy::unwrap_used, clippy::panic)] // in helpers of tests, too

mod support;

use host_view::{Log, LogEvent};
use support::*;
use uuid::Uuid;

fn log(host: &mut Host, number: u128, event: LogEvent, group: Option<&str>, ports: &[&str]) {
    let log = Log {
        project: format!("project {}", number % 2),
        event,
        group: group.map(id),
        ports: ports.iter().map(|port| id(port)).collect(),
    };
    host.view.logs.insert(Uuid::from_u128(number), log);
}

/// Flows, meter and meanings that are there with logs and not without.
fn text(host: &mut Host) -> String {
    let quiet = Host { view: host_view::HostView { logs: [].into(), ..host.view.clone() }, ..host.clone() }.settle();
    let plan = host.settle();
    assert_eq!(plan.bridges, quiet.bridges);
    let known: std::collections::HashSet<_> = quiet.flows["br-int"].iter().map(ToString::to_string).collect();
    assert!(known.iter().all(|flow| plan.flows["br-int"].iter().any(|now| now.to_string() == *flow)));
    let names = |port: openflow::PortNo| {
        let mut interfaces = host.state.interfaces.iter();
        let here = interfaces.find(|(_, known)| known.bridge == "br-int" && known.ofport == Some(port.0));
        here.map(|(name, _)| name.clone())
    };
    let mut text = String::new();
    for flow in plan.flows["br-int"].iter().filter(|flow| !known.contains(&flow.to_string())) {
        let number = flow.cookie as u32;
        text += &format!("{number:08x} {}\n", openflow::text::print_flow(&flow.clone().cookie(0), &names));
    }
    for (number, meter) in &plan.meters["br-int"] {
        text += &format!("meter {number:#x}: {meter:?}\n");
    }
    for (number, logged) in &plan.logged {
        let logs: Vec<String> = logged.logs.iter().map(|id| id.as_u128().to_string()).collect();
        let verdict = if logged.accepted { "ACCEPT" } else { "DROP" };
        text += &format!("{number:08x} {verdict} of {}, {}, log {}\n", logged.port, logged.project, logs.join(" and "));
    }
    text
}

/// A port in one group, whatever is logged of it; another port in two groups, of which one is logged.
#[test]
fn what_logs_add() {
    let mut host = Host::vlan_port_with_address_pair();
    host.view.ports.get_mut(&id(G3)).unwrap().security_groups.insert(id(WEB));
    log(&mut host, 1, LogEvent::All, None, &[G2]);
    // Of one group only: the same as of all for G2, whose only one it is; rule by rule for G3.
    log(&mut host, 2, LogEvent::Accept, Some(WEB), &[G2, G3]);
    log(&mut host, 3, LogEvent::Drop, Some(WEB), &[G3]);
    // Without port security, or not here: nothing is refused, so nothing is logged.
    log(&mut host, 4, LogEvent::All, None, &[G1, H2]);
    insta::assert_snapshot!(text(&mut host));
}

#[test]
fn without_a_port_that_is_logged_there_is_no_meter() {
    let mut host = Host::vlan_port_with_address_pair();
    log(&mut host, 4, LogEvent::All, None, &[G1, H2]);
    let plan = host.settle();
    assert!(plan.logged.is_empty() && plan.meters.is_empty());
}
