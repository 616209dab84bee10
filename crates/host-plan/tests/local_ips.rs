//! Local IPs: exactly which flows one costs, and when it costs none. What packets become of them is in `real_traffic.rs`.

#![allow(clippy::unwrap_used, clippy::panic)] // in helpers of tests, too

mod support;

use host_view::{LocalIp, LocalIpMode};
use std::collections::{BTreeMap, BTreeSet};
use support::*;
use uuid::Uuid;

fn local_ip(address: &str, mode: LocalIpMode, ports: &[(&str, &str)]) -> LocalIp {
    LocalIp { address: ip(address), mode, ports: ports.iter().map(|(port, fixed)| (id(port), ip(fixed))).collect() }
}

/// The flows of br-int that are there only because of these.
fn added(local_ips: &[LocalIp]) -> String {
    let mut host = Host::second_host();
    let flows = |host: &mut Host| -> BTreeSet<String> {
        host.settle().flows["br-int"].iter().map(|flow| flow.clone().cookie(0).to_string()).collect()
    };
    let before = flows(&mut host);
    host.view.local_ips = (1..).map(Uuid::from_u128).zip(local_ips.iter().cloned()).collect();
    let after = flows(&mut host);
    assert!(before.is_subset(&after), "no other flow changes");
    after.difference(&before).cloned().collect::<Vec<_>>().join("\n")
}

const TO_SECURED: (&str, &str) = (G2, "10.10.2.144");

#[test]
fn what_one_costs() {
    let secured = local_ip("10.10.9.9", LocalIpMode::Translate, &[TO_SECURED]);
    insta::assert_snapshot!("local_ip_to_a_secured_port", added(std::slice::from_ref(&secured)));
    // Another host's port, and a later one of this host, change nothing.
    let first = local_ip("10.10.9.9", LocalIpMode::Translate, &[TO_SECURED, ("77", "10.10.0.77")]);
    assert_eq!(added(std::slice::from_ref(&first)), added(&[secured]));
    let second = local_ip("10.10.9.9", LocalIpMode::Translate, &[(G1, "10.10.3.181")]);
    assert_eq!(added(&[first.clone(), second]), added(&[first]));

    // On a VLAN network frames from outside bear the segment's tag.
    let passing = local_ip("10.20.0.9", LocalIpMode::Passthrough, &[(G4, "10.20.0.35")]);
    insta::assert_snapshot!("local_ip_passed_through", added(&[passing]));
    // Nothing is translated into itself.
    let own = added(&[local_ip("10.20.0.35", LocalIpMode::Translate, &[(G4, "10.20.0.35")])]);
    assert!(!own.contains("nat"), "{own}");
}

#[test]
fn what_leads_nowhere_costs_nothing_and_what_cannot_be_is_said() {
    assert_eq!(added(&[local_ip("10.10.9.9", LocalIpMode::Translate, &[("77", "10.10.0.77")])]), "");
    let mut host = Host::second_host();
    let v6 = local_ip("2001:db8::9", LocalIpMode::Translate, &[(G2, "2001:db8::2")]);
    host.view.local_ips.insert(Uuid::from_u128(1), v6);
    let plan = host.settle();
    assert!(plan.errors.iter().any(|error| error.contains("only IPv4")), "{:?}", plan.errors);
    assert_eq!(plan.translations, BTreeMap::new());
}
