//! The codec and the difference against the real Open vSwitch: what is sent compares equal to what is read back, and is
//! printed as `ovs-ofctl` prints it. Needs root and Open vSwitch; makes namespaces of its own.

// A failed expectation ends a test, also in what helps it.
#![allow(clippy::unwrap_used, clippy::panic)]

mod random;
mod switch;

use net_types::MacAddr;
use openflow::{
    Action, CookieOwner, Field, Flow, Learn, LearnSpec, LearnValue, Match, PortNo, SubField, text,
    wire::{
        AsyncConfig, Body, BundleStep, CtFlush, FlowEvent, FlowMod, FlowMonitorRequest, FlowUpdate, Message, MeterBand,
        MeterCommand, MeterMod, PacketOut, PortDescReply, PortReason, SwitchConfig,
    },
};
use proptest::strategy::{Strategy, ValueTree};
use std::collections::{BTreeMap, BTreeSet};
use switch::{Connection, Switch};

/// What Neutron programs, with ports numbered in the order in which they are named.
fn neutron_flows(dump: &str) -> Vec<Flow> {
    let mut ports = BTreeMap::new();
    for name in dump.split('"').skip(1).step_by(2) {
        let next = ports.len() as u32 + 1;
        ports.entry(name).or_insert(PortNo(next));
    }
    dump.lines().map(|line| text::parse_flow(line, &|name| ports.get(name).copied()).unwrap()).collect()
}

fn neutron_bridges() -> [Vec<Flow>; 4] {
    [
        neutron_flows(include_str!("../vectors/br-int.flows")),
        neutron_flows(include_str!("../vectors/br-tun.flows")),
        neutron_flows(include_str!("../vectors/br-tun-other-host.flows")),
        neutron_flows(include_str!("../vectors/br-phys.flows")),
    ]
}

fn sorted(mut flows: Vec<Flow>) -> Vec<Flow> {
    openflow::sort(&mut flows);
    flows
}

/// What `ovs-ofctl` prints, in no order.
fn dumped(switch: &Switch) -> BTreeSet<String> {
    switch.ofctl("dump-flows", &[]).lines().map(|line| line.trim().to_owned()).collect()
}

/// Our text of these flows is `ovs-ofctl`'s.
fn printed_alike(flows: &[Flow], switch: &Switch) {
    let (ours, theirs) = (flows.iter().map(Flow::to_string).collect(), dumped(switch));
    let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>();
    assert_eq!(only(&ours, &theirs), only(&theirs, &ours));
}

#[test]
fn neutrons_flows_are_read_back_equal_and_printed_alike() {
    let switch = Switch::start("neutron");
    let mut connection = switch.connect();
    for flows in neutron_bridges() {
        let plan: Vec<Flow> = flows.into_iter().map(|flow| flow.cookie(0x4e01)).collect();
        connection.reach(&plan, CookieOwner::EVERYONE);
        // The dumps hold a learned flow, which a plan never deletes.
        let (installed, _) = connection.flows();
        let lasting: Vec<Flow> = installed.iter().filter(|flow| flow.hard_timeout == 0).cloned().collect();
        let wanted: Vec<Flow> = plan.iter().filter(|flow| flow.hard_timeout == 0).cloned().collect();
        assert_eq!(lasting, sorted(wanted));
        assert!(openflow::diff(&installed, &plan, CookieOwner::EVERYONE).is_empty());
        printed_alike(&installed, &switch);
    }
}

#[test]
fn every_action_and_field_is_read_back_equal() {
    let switch = Switch::start("various");
    switch.ofctl("add-group", &["group_id=4,type=all,bucket=output:1"]);
    let mut connection = switch.connect();
    let bands = vec![MeterBand { rate: 1000, burst: 200 }];
    let meter = MeterMod { command: MeterCommand::Add, id: 1, packets: false, stats: false, bands };
    connection.checked(Body::MeterMod(meter)).unwrap();
    let lines = include_str!("../vectors/flow-stats.flows").lines();
    let flows: Vec<Flow> = lines.map(|line| line.parse().unwrap()).collect();
    connection.bundle(&flows.iter().cloned().map(FlowMod::add).collect::<Vec<_>>()).unwrap();
    let (installed, _) = connection.flows();
    assert_eq!(installed, sorted(flows));
    printed_alike(&installed, &switch);
}

/// The law behind everything: no flow that a planner could write looks different when it is read back.
#[test]
fn random_flows_are_read_back_equal() {
    let switch = Switch::start("random");
    let mut connection = switch.connect();
    let mut runner = proptest::test_runner::TestRunner::default();
    let flows = random::flows(1000).new_tree(&mut runner).unwrap().current();
    let wanted = openflow::apply(&[], &openflow::diff(&[], &flows, CookieOwner::EVERYONE));
    if let Err(refusals) = connection.bundle(&wanted.iter().cloned().map(FlowMod::add).collect::<Vec<_>>()) {
        let refused =
            refusals.iter().map(|refusal| format!("{}: {:?}\n", refusal.error, refusal.index.map(|at| &wanted[at])));
        panic!("{}", refused.collect::<String>());
    }
    let (installed, _) = connection.flows();
    if let Some(flow) = wanted.iter().find(|flow| !installed.contains(flow)) {
        let found = installed.iter().find(|found| found.cookie == flow.cookie);
        panic!("sent  {flow}\nfound {found:?}");
    }
    assert_eq!(installed.len(), wanted.len());
    printed_alike(&installed, &switch);
}

#[test]
fn a_bundle_with_a_refused_flow_changes_nothing() {
    let switch = Switch::start("refused");
    let mut connection = switch.connect();
    let before = Flow::table(0).priority(1).actions([Action::normal()]);
    connection.bundle(&[FlowMod::add(before.clone())]).unwrap();
    let good = |table| FlowMod::add(Flow::table(table).actions([Action::normal()]));
    // An ARP field is set on packets of any kind, and a table is left backwards.
    let unfit = FlowMod::add(Flow::table(1).actions([Action::set(Field::ArpOp, 2u16)]));
    let backwards = FlowMod::add(Flow::table(9).actions([Action::goto(3)]));
    let refusals =
        connection.bundle(&[good(1), unfit, FlowMod::delete_strict(&before), backwards, good(2)]).unwrap_err();
    assert_eq!(
        refusals.iter().map(|refusal| (refusal.index, refusal.error.name())).collect::<Vec<_>>(),
        [(Some(1), Some("OFPBAC_MATCH_INCONSISTENT")), (Some(3), Some("OFPBIC_BAD_TABLE_ID"))]
    );
    assert_eq!(connection.flows().0, std::slice::from_ref(&before));
    // And the connection is good for more.
    connection.bundle(&[FlowMod::delete_strict(&before)]).unwrap();
    assert_eq!(connection.flows().0, []);
}

#[test]
fn only_the_difference_is_written_and_foreign_flows_stay() {
    let switch = Switch::start("diff");
    let mut connection = switch.connect();
    let owner = CookieOwner::new(0x4e << 56, 0xff << 56);
    let [plan, ..] = neutron_bridges();
    let plan: Vec<Flow> = plan.into_iter().map(|flow| flow.cookie(owner.value() | 1)).collect();
    let foreign = Flow::table(200).priority(5).cookie(7).actions([Action::output(9u32)]);
    connection.bundle(&[FlowMod::add(foreign.clone())]).unwrap();
    assert_eq!(connection.reach(&plan, owner).add.len(), plan.len());
    assert!(connection.reach(&plan, owner).is_empty());

    let mut next = plan[1..].to_vec();
    next[0] = next[0].clone().actions([Action::normal()]).idle_timeout(9);
    next.push(Flow::table(100).priority(1).cookie(owner.value()).drop());
    let difference = connection.reach(&next, owner);
    assert_eq!((difference.add.len(), difference.modify.len(), difference.delete.len()), (1, 1, 1));
    next.push(foreign);
    assert_eq!(connection.flows().0, sorted(next));
}

#[test]
fn thousands_of_flows_come_back_in_several_parts() {
    let switch = Switch::start("many");
    let mut connection = switch.connect();
    let flow = |reg: u32| {
        let matches = Match::new().reg(Field::Reg5, reg).ip_src(std::net::IpAddr::from([10, 0, 0, 1]));
        Flow::table(82).priority(73).matching(matches).actions([Action::conjunction(22, 1, 2)])
    };
    let plan: Vec<Flow> = (0..5000).map(flow).collect();
    connection.reach(&plan, CookieOwner::EVERYONE);
    let (installed, parts) = connection.flows();
    assert!(parts > 1, "{parts}");
    assert_eq!(installed, sorted(plan));
}

#[test]
fn a_learned_flow_is_left_alone() {
    let switch = Switch::start("learn");
    let mut connection = switch.connect();
    let owner = CookieOwner::new(0x4e << 56, 0xff << 56);
    let learn = Learn {
        table: 20,
        priority: 1,
        cookie: owner.value(),
        hard_timeout: 300,
        specs: vec![
            LearnSpec::Match {
                field: SubField::whole(Field::EthDst),
                from: LearnValue::Field(SubField::whole(Field::EthSrc)),
            },
            LearnSpec::Output(SubField::whole(Field::InPort)),
        ],
        ..Learn::default()
    };
    let plan = [Flow::table(0).priority(1).cookie(owner.value()).actions([learn.into()])];
    connection.reach(&plan, owner);
    let source = MacAddr([0xfa, 0x16, 0x3e, 0, 0, 7]);
    let data = [&MacAddr::BROADCAST.0[..], &source.0, &[0x08, 0x06], &[0; 46]].concat();
    let through_tables = vec![Action::Output(PortNo::TABLE)];
    connection.checked(Body::PacketOut(PacketOut { in_port: PortNo(5), actions: through_tables, data })).unwrap();
    let learned = Flow::table(20).priority(1).cookie(owner.value()).hard_timeout(300);
    let learned = learned.matching(Match::new().dl_dst(source)).actions([Action::output(5u32)]);
    assert_eq!(connection.flows().0, sorted(vec![plan[0].clone(), learned]));
    assert!(connection.reach(&plan, owner).is_empty());
}

/// What is told until the barrier's answer, which comes after it.
fn updates(connection: &mut Connection) -> Vec<FlowUpdate> {
    let barrier = connection.send(Body::BarrierRequest);
    let mut updates = vec![];
    loop {
        match connection.receive() {
            Message { body: Body::FlowMonitorReply(told), .. } => updates.extend(told.updates),
            Message { xid, body: Body::BarrierReply } if xid == barrier => return updates,
            Message { body: Body::Error(error), .. } => panic!("{error:?}"),
            _ => {}
        }
    }
}

#[test]
fn changes_of_flows_are_told_own_ones_by_their_request_alone() {
    let switch = Switch::start("monitor");
    let (mut connection, mut other) = (switch.connect(), switch.connect());
    let owner = CookieOwner::new(0x4e << 56, 0xff << 56);
    let flow = |table| Flow::table(table).priority(7).cookie(owner.value());
    connection.checked(Body::FlowMonitorRequest(FlowMonitorRequest::all(1))).unwrap();
    let arp = FlowMonitorRequest { id: 1, table: Some(3), matches: Match::new().arp() };
    other.checked(Body::FlowMonitorRequest(arp)).unwrap();

    // In a bundle, which is how flows are written. Only its sender can tell them from others'.
    let plan = [flow(3), flow(3).priority(9).matching(Match::new().arp()), flow(4)];
    connection.bundle(&plan.iter().cloned().map(FlowMod::add).collect::<Vec<_>>()).unwrap();
    let own = updates(&mut connection);
    assert!(own.iter().all(|update| matches!(update, FlowUpdate::Own(_))), "{own:?}");
    assert!(!own.iter().any(|update| update.concerns(owner)));
    let [FlowUpdate::Flow { event: FlowEvent::Added, table: 3, priority: 9, cookie, .. }] = updates(&mut other)[..]
    else {
        panic!("one flow of the table and match that were asked for")
    };
    assert_eq!(cookie, owner.value());

    let told = |connection: &mut Connection| -> Vec<(FlowEvent, u8, bool)> {
        let of = |update: FlowUpdate| match update {
            FlowUpdate::Flow { event, table, .. } => (event, table, update.concerns(owner)),
            other => panic!("{other:?}"),
        };
        updates(connection).into_iter().map(of).collect()
    };
    other.bundle(&[FlowMod::delete_strict(&flow(4))]).unwrap();
    assert_eq!(told(&mut connection), [(FlowEvent::Removed, 4, true)]);
    other.bundle(&[FlowMod::add(flow(3).cookie(5))]).unwrap();
    assert_eq!(
        told(&mut connection),
        [(FlowEvent::Added, 3, true)],
        "it may stand in the place of another one, as it does"
    );
    switch.ofctl("mod-flows", &["table=3,actions=NORMAL"]);
    let modified = told(&mut connection);
    assert!(
        !modified.is_empty() && modified.iter().all(|told| *told == (FlowEvent::Modified, 3, true)),
        "{modified:?}"
    );
    other.bundle(&[FlowMod::add(flow(6).hard_timeout(300)), FlowMod::delete_strict(&flow(3).cookie(5))]).unwrap();
    assert_eq!(told(&mut connection), [(FlowEvent::Added, 6, false), (FlowEvent::Removed, 3, false)]);
}

fn ports(connection: &mut Connection) -> PortDescReply {
    connection.send(Body::PortDescRequest);
    loop {
        if let Body::PortDescReply(reply) = connection.receive().body {
            return reply;
        }
    }
}

#[test]
fn ports_and_packets_are_told_over_the_management_socket() {
    let switch = Switch::start("ports");
    let mut connection = switch.connect();
    let features = loop {
        connection.send(Body::FeaturesRequest);
        if let Body::FeaturesReply(features) = connection.receive().body {
            break features;
        }
    };
    assert_eq!(features.tables, 254);
    let local = ports(&mut connection).ports;
    assert_eq!(
        local.iter().map(|port| (port.port, port.name.as_str())).collect::<Vec<_>>(),
        [(PortNo::LOCAL, "br-test")]
    );

    connection.checked(Body::SetConfig(SwitchConfig { flags: 0, miss_send_len: 128 })).unwrap();
    connection.checked(Body::SetAsync(AsyncConfig::EVERYTHING)).unwrap();
    switch.vsctl(&[
        "add-port",
        "br-test",
        "tap1",
        "--",
        "set",
        "interface",
        "tap1",
        "type=internal",
        "ofport_request=5",
    ]);
    let added = loop {
        if let Body::PortStatus(status) = connection.receive().body {
            break status;
        }
    };
    assert_eq!((added.reason, added.port.port, added.port.name.as_str()), (PortReason::Added, PortNo(5), "tap1"));
    assert_eq!(ports(&mut connection).ports.len(), 2);

    let to_us = Flow::table(0).cookie(77).matching(Match::new().arp()).actions([Action::output(PortNo::CONTROLLER)]);
    connection.bundle(&[FlowMod::add(to_us)]).unwrap();
    let data = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 1], &[0x08, 0x06], &[9; 46]].concat();
    let actions = vec![Action::Output(PortNo::TABLE)];
    connection.send(Body::PacketOut(PacketOut { in_port: PortNo(5), actions, data: data.clone() }));
    let packet = loop {
        if let Body::PacketIn(packet) = connection.receive().body {
            break packet;
        }
    };
    assert_eq!((packet.cookie, packet.table, packet.data), (77, 0, data));
    assert_eq!(packet.metadata.exact(Field::InPort), Some(5));
}

#[test]
fn connections_are_forgotten_and_bad_requests_named() {
    let switch = Switch::start("ct");
    let mut connection = switch.connect();
    connection.checked(Body::CtFlushZone(5)).unwrap();
    let original = openflow::wire::CtTuple { src: Some([10, 0, 0, 1].into()), ..Default::default() };
    let flush = CtFlush { zone: Some(5), protocol: 6, original: Some(original), reply: None };
    connection.checked(Body::CtFlush(flush)).unwrap();
    let refused = connection.checked(FlowMod::add(Flow::table(0).actions([Action::Meter(9)]))).unwrap_err();
    assert_eq!(refused.name(), Some("OFPMMFC_INVALID_METER"));
}

/// A step is only expected from the messages of its own bundle.
#[test]
fn an_unopened_bundle_is_refused_as_a_whole() {
    let switch = Switch::start("unopened");
    let mut connection = switch.connect();
    let flow = FlowMod::add(Flow::table(0).actions([Action::normal()]));
    let (mut first, octets) = openflow::wire::Bundle::start(7, 1000, std::slice::from_ref(&flow)).unwrap();
    // The same bundle opened twice: the second is refused, and with it its change.
    let (mut second, again) = openflow::wire::Bundle::start(7, 2000, &[flow]).unwrap();
    connection.write(&octets);
    connection.write(&again);
    let mut ended = vec![];
    while ended.len() < 2 {
        let message = connection.receive();
        for (name, bundle) in [("first", &mut first), ("second", &mut second)] {
            match bundle.receive(&message).unwrap() {
                BundleStep::Send(octets) => connection.write(&octets),
                BundleStep::Committed => ended.push((name, None)),
                BundleStep::Refused(refusals) => ended.push((name, Some(refusals[0].clone()))),
                BundleStep::NotOurs | BundleStep::Wait => {}
            }
        }
    }
    let refusal = ended.iter().find(|(name, _)| *name == "second").and_then(|(_, refusal)| refusal.clone()).unwrap();
    assert_eq!((refusal.index, refusal.error.name()), (None, Some("OFPBFC_BAD_ID")));
}
