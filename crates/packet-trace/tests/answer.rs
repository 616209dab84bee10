//! What is answered to a question: who let the packet pass, who else got a copy, who wrote it down; and copies of trunks' ports.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // in helpers of tests, too

#[path = "../../host-plan/tests/support/mod.rs"]
mod support;

use host_plan::names::tap;
use host_view::{Log, LogEvent, TapDirection, TapMirror, TapMirrorKind, TapService};
use packet_trace::{Answer, Question, Rooms, Step, Switch, Tracker, neighbours};
use support::*;
use uuid::Uuid;

const SERVICE: Uuid = Uuid::from_u128(0x7a90_0001_0000_4000_8000_0000_0000_0001);
const MIRROR: Uuid = Uuid::from_u128(0x7a90_0002_0000_4000_8000_0000_0000_0002);
const LOG: Uuid = Uuid::from_u128(0x106);

/// G2 is mirrored to G4 and logged, G3 to a collector.
fn host() -> Host {
    let mut host = Host::second_host();
    let service = TapService {
        port: id(G4),
        host: None,
        key: 0xff_fffe,
        sources: [(id(G2), TapDirection::Both)].into(),
        from: [].into(),
    };
    host.view.tap_services.insert(SERVICE, service);
    let numbers = [(TapDirection::Out, 102)].into();
    let mirror = TapMirror { port: id(G3), collector: ip("10.77.0.9"), kind: TapMirrorKind::ErspanV1, numbers };
    host.view.tap_mirrors.insert(MIRROR, mirror);
    let log = Log { project: "p".into(), event: LogEvent::All, group: None, ports: [id(G2)].into() };
    host.view.logs.insert(LOG, log);
    host.settle();
    host
}

fn ask(host: &Host, from: &str, port: u16) -> (Answer, String) {
    let plan = host.plan();
    let (switch, near) = (Switch::new(&plan, &host.state), neighbours(&host.view, &plan));
    let question = Question { from: id(from), protocol: 6, to: ip("10.10.2.144"), port };
    let packet = question.packet(&host.view).unwrap();
    let mut tracker = Tracker::default();
    let trace = Rooms::new(&plan).send(&switch, ("br-int", &tap(id(from))), &packet, &mut tracker, &near);
    let rules = host_plan::flow_rules(&host.view, &host.config, &host.state);
    (Answer::new(&trace, &host.view, &plan, &rules), trace.to_string())
}

#[test]
fn copies_and_logs_are_named() {
    let host = host();
    let (answer, picture) = ask(&host, G3, 22);
    let value = serde_json::to_value(&answer).unwrap();
    let expected = serde_json::json!({
        "leaves": [{ "bridge": "br-int", "port": tap(id(G2)) }],
        "allowed_by": [["00000000-0000-4000-8000-000000000000"], ["00000002-0000-4000-8000-000000000000"]],
        "logged": [{ "port": G2, "accepted": true, "project": "p", "logs": [LOG] }],
        "copies": [
            {
                "mirror": "tmq-7a900002-00",
                "tap_mirror": MIRROR,
                "leaves": [{ "bridge": "br-int", "port": "tmq-7a900002-00", "peer": "10.77.0.9", "key": 102 }],
            },
            {
                "mirror": "tmo-7a900001-00",
                "tap_service": SERVICE,
                "leaves": [{ "bridge": "br-int", "port": tap(id(G4)) }],
            },
        ],
    });
    assert_eq!(value, expected, "{picture}");
    insta::assert_snapshot!(answer.lines().join("\n"));
    assert!(
        picture.contains("       copied by mirror tmo-7a900001-00 of br-int:\n        br-int: in by tmp-"),
        "{picture}"
    );
    assert!(picture.contains("       logged, as entry 0x"), "{picture}");

    // Refused: written down, and what its sender sends is copied all the same.
    let (answer, picture) = ask(&host, G3, 23);
    assert!(answer.leaves.is_empty() && answer.dropped_by.is_some(), "{picture}");
    assert_eq!(answer.logged.iter().map(|logged| logged.accepted).collect::<Vec<_>>(), [false]);
    assert_eq!(answer.copies.iter().map(|copy| copy.tap_mirror).collect::<Vec<_>>(), [Some(MIRROR)]);
    // What refuses it is no flow of a copy's way.
    assert_ne!(answer.dropped_by.unwrap().priority, 250);
}

/// A copy to a port that is mirrored itself is copied again, by the other mirror and once.
#[test]
fn copies_of_copies_are_told_apart() {
    let mut host = host();
    let second = TapService {
        port: id(G1),
        host: None,
        key: 5,
        sources: [(id(G4), TapDirection::In), (id(G2), TapDirection::In)].into(),
        from: [].into(),
    };
    host.view.tap_services.insert(Uuid::from_u128(9), second);
    host.settle();
    let plan = host.plan();
    let switch = Switch::new(&plan, &host.state);
    let question = Question { from: id(G3), protocol: 6, to: ip("10.10.2.144"), port: 22 };
    let packet = question.packet(&host.view).unwrap();
    let trace = switch.send("br-int", &tap(id(G3)), &packet, &mut Tracker::default());
    assert_eq!(trace.exits().count(), 1, "{trace}");
    assert_eq!(trace.copies().len(), 3, "{trace}");
    let ports: Vec<&str> = trace.copies().iter().flat_map(|copy| copy.exits().map(|exit| exit.port.as_str())).collect();
    assert_eq!(ports.iter().filter(|port| **port == tap(id(G1))).count(), 1, "{trace}");
    let nested =
        |step: &&Step<'_>| matches!(step, Step::Copied(copied) if !copied.exits().any(|exit| exit.port == tap(id(G1))));
    assert!(trace.steps.iter().filter(nested).count() > 0, "{trace}");
}
