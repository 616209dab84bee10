//! The wire form against octets that Open vSwitch 3.1's own tools and switch produced.

use super::*;
use crate::{Action, CookieOwner, Flow, Match, PortNo};
use net_types::MacAddr;

fn octets(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

/// Decodes to this, and encodes to the very octets.
fn exactly(hex: &str, xid: u32, body: impl Into<Body>) {
    let message = Message::new(xid, body);
    assert_eq!(Message::decode(&octets(hex)), Ok(message.clone()));
    assert_eq!(message.encode().unwrap(), octets(hex), "{message:?}");
}

/// Each line: what `ovs-ofctl add-flow` sent, and what `dump-flows` printed of it afterwards.
#[test]
fn flow_mods_of_ovs_ofctl_mean_what_the_switch_prints() {
    for line in include_str!("../../tests/vectors/flow-mods.txt").lines() {
        let (hex, text) = line.split_once(' ').unwrap();
        let message = Message::decode(&octets(hex)).unwrap_or_else(|error| panic!("{text}: {error}"));
        let flow: Flow = text.parse().unwrap();
        assert_eq!(message.body, Body::FlowMod(FlowMod::add(flow)), "{text}");
        // The order of fields may differ, the length may not.
        let again = message.encode().unwrap();
        assert_eq!(again.len(), hex.len() / 2, "{text}");
        assert_eq!(Message::decode(&again), Ok(message), "{text}");
    }
}

#[test]
fn a_reply_of_the_switch_is_read_as_ovs_ofctl_prints_it() {
    let message = Message::decode(&octets(include_str!("../../tests/vectors/flow-stats.hex").trim())).unwrap();
    let Body::FlowStatsReply(reply) = &message.body else { panic!("{message:?}") };
    assert_eq!(reply.unreadable, []);
    assert!(!reply.more);
    let printed: Vec<_> = reply.flows.iter().map(|stats| stats.flow.to_string()).collect();
    let expected: Vec<_> = include_str!("../../tests/vectors/flow-stats.flows").lines().collect();
    assert_eq!(printed, expected);
}

#[test]
fn an_unknown_field_spoils_only_its_own_flow() {
    let known = Flow::table(3).cookie(9).matching(Match::new().in_port(1u32)).actions([Action::normal()]);
    let stats = |flow: &Flow| FlowStats { flow: flow.clone(), seconds: 1, packets: 2, octets: 3 };
    let reply = FlowStatsReply { flows: vec![stats(&known), stats(&known)], ..FlowStatsReply::default() };
    let mut octets = Message::new(1, Body::FlowStatsReply(reply)).encode().unwrap();
    // The class of the first flow's only field: after two headers and the fixed part.
    octets[16 + 48 + 4] = 0x12;
    let Body::FlowStatsReply(reply) = Message::decode(&octets).unwrap().body else { panic!() };
    assert_eq!(reply.flows, [stats(&known)]);
    assert_eq!(reply.unreadable.iter().map(|flow| (flow.table, flow.cookie)).collect::<Vec<_>>(), [(3, 9)]);
}

#[test]
fn a_reply_in_parts_is_put_together() {
    let part = |table: u8, more: bool| {
        let flow = FlowStats { flow: Flow::table(table), seconds: 0, packets: 0, octets: 0 };
        let reply = FlowStatsReply { flows: vec![flow], unreadable: vec![], more };
        match Message::decode(&Message::new(4, Body::FlowStatsReply(reply)).encode().unwrap()).unwrap().body {
            Body::FlowStatsReply(reply) => reply,
            other => panic!("{other:?}"),
        }
    };
    let mut all = part(1, true);
    assert!(all.more);
    all.append(part(2, false));
    assert!(!all.more);
    assert_eq!(all.flows.iter().map(|stats| stats.flow.table).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn session_messages() {
    exactly("05000010000000010001000800000020", 1, Body::Hello(Hello::openflow14()));
    exactly("0514000800000003", 3, Body::BarrierRequest);
    exactly("0515000800000003", 3, Body::BarrierReply);
    exactly("0502000a000000010102", 1, Body::EchoRequest(vec![1, 2]));
    // OpenFlow 1.0 without a bitmap, and 1.5 offering 1.0 to 1.5.
    let versions = |hex: &str| match Message::decode(&octets(hex)).unwrap().body {
        Body::Hello(hello) => hello,
        other => panic!("{other:?}"),
    };
    assert!(!versions("0100000800000001").speaks_openflow14());
    assert!(versions("06000010000000010001000800000072").speaks_openflow14());
    let refusal = ErrorMessage { kind: 2, code: 10, data: vec![5, 14, 0, 8, 0, 0, 0, 9] };
    assert_eq!(refusal.to_string(), "OFPBAC_MATCH_INCONSISTENT");
    exactly("050100140000000900020 00a050e000800000009".replace(' ', "").as_str(), 9, Body::Error(refusal));
}

/// As `ovs-ofctl ct-flush` sends them.
#[test]
fn connections_are_forgotten() {
    let zone = CtFlush { zone: Some(5), ..CtFlush::default() };
    exactly("0504002000000002000023200000002000000000000000000002000800050000", 2, Body::CtFlush(zone));
    let ssh = CtTuple {
        src: Some("10.0.0.1".parse().unwrap()),
        dst: Some("10.0.0.2".parse().unwrap()),
        src_port: Some(1),
        dst_port: Some(22),
        icmp: None,
    };
    exactly(
        "05040068000000020000232000000020060000000000000000000048000000000000001400000000000000000000ffff0a00000100000000\
         0001001400000000000000000000ffff0a00000200000000000200080001000000030008001600000002000800050000",
        2,
        Body::CtFlush(CtFlush { zone: Some(5), protocol: 6, original: Some(ssh), reply: None }),
    );
    let ping = CtTuple { src: ssh.src, icmp: Some((10, 8, 0)), ..CtTuple::default() };
    let reply = CtTuple { icmp: Some((0, 0, 0)), ..CtTuple::default() };
    exactly(
        "05040070000000020000232000000020010000000000000000000038000000000000001400000000000000000000ffff0a00000100000000\
         00040008000a000000050005080000000006000500000000000100200000000000040008000000000005000500000000\
         0006000500000000",
        2,
        Body::CtFlush(CtFlush { zone: None, protocol: 1, original: Some(ping), reply: Some(reply) }),
    );
    exactly("05040018000000010000232000000 01d0000000000000007".replace(' ', "").as_str(), 1, Body::CtFlushZone(7));
}

/// As `ovs-ofctl add-meter` and `del-meter` send them.
#[test]
fn meters() {
    let drop = |rate, burst| vec![MeterBand { rate, burst }];
    exactly(
        "051d0020000000020000000d0000000300010010000003e8000000c800000000",
        2,
        Body::MeterMod(MeterMod {
            command: MeterCommand::Add,
            id: 3,
            packets: false,
            stats: true,
            bands: drop(1000, 200),
        }),
    );
    exactly(
        "051d002000000002000000020000000400010010000000070000000000000000",
        2,
        Body::MeterMod(MeterMod { command: MeterCommand::Add, id: 4, packets: true, stats: false, bands: drop(7, 0) }),
    );
}

/// As `ovs-ofctl add-flow` sends `controller(meter_id=16384)`, alone and as logs have it: the very octets.
#[test]
fn metered_copies_to_the_controller() {
    let copy = Action::ControllerMetered(0x4000);
    exactly(
        "050e005800000002000000000000000000000000000000000000000000000454ffffffffffffffffffffffff0000000000010004000000000004\
         002000000000ffff00180000232000250000000000000005000800004000",
        2,
        FlowMod::add(Flow::table(0).priority(1108).actions([copy.clone()])),
    );
    let bit = crate::SubField::bits(crate::Field::Reg11, 1, 1);
    let flow = Flow::table(92).priority(1107).matching(Match::new().reg(crate::Field::Reg5, 7));
    exactly(
        "050e008800000002000000000000000000000000000000005c00000000000453ffffffffffffffffffffffff000000000001000c00010a040000\
         0007000000000004004800000000ffff00180000232000070040000116040000000000000001ffff001800002320002500000000000000050008\
         00004000ffff001000002320000efff85c000000",
        2,
        FlowMod::add(flow.actions([Action::load(1, bit), copy, Action::resubmit(92)])),
    );
    // Other properties than the meter mean what nobody here asks for: the flow is somebody else's.
    let paused = "050e006000000002000000000000000000000000000000000000000000000454ffffffffffffffffffffffff000000000001000400000000\
                  0004002800000000ffff002000002320002500000000000000040004000000000005000800004000";
    assert!(Message::decode(&octets(paused)).is_err());
}

/// As `ovs-ofctl dump-meters` asks; a band that is no dropping one makes a meter somebody else's.
#[test]
fn meters_are_read_back() {
    exactly("0512001800000002000a000000000000ffffffff00000000", 2, Body::MeterConfigRequest);
    let meter = crate::Meter { packets: false, rate: 1000, burst: 200 };
    let config = MeterConfig::of(3, meter);
    exactly(
        "0513002800000002000a0000000000000018000d0000000300010010000003e8000000c800000000",
        2,
        Body::MeterConfigReply(MeterConfigReply { meters: vec![config.clone()], more: false }),
    );
    assert_eq!(config.as_meter(), Some(meter));
    let remark = "0513002800000002000a0000000000000018000d0000000300020010000003e8000000c801000000";
    match Message::decode(&octets(remark)).unwrap().body {
        Body::MeterConfigReply(reply) => assert_eq!(reply.meters[0].as_meter(), None),
        other => panic!("{other:?}"),
    }
    for short in ["0513001400000002000a00000000000000010000", "0513001400000002000a00000000000000090000"] {
        assert!(Message::decode(&octets(short)).is_err());
    }
}

#[test]
fn ports_packets_and_the_rest_survive_the_wire() {
    let port = PortDesc {
        port: PortNo(7),
        mac: MacAddr([0xfa, 0x16, 0x3e, 0, 0, 1]),
        name: "tapb433cbf7-b9".into(),
        config: 1,
        state: 1,
    };
    let controller = Action::output(PortNo::CONTROLLER);
    let flow = Flow::table(1).priority(2).cookie(3).matching(Match::new().arp()).actions([controller.clone()]);
    let bodies = [
        Body::EchoReply(vec![1]),
        Body::FeaturesRequest,
        Body::FeaturesReply(Features { datapath_id: 1, buffers: 2, tables: 254, auxiliary: 0, capabilities: 0x4f }),
        Body::SetConfig(SwitchConfig { flags: 0, miss_send_len: 128 }),
        Body::PortStatus(PortStatus { reason: PortReason::Deleted, port: port.clone() }),
        Body::PortDescRequest,
        Body::PortDescReply(PortDescReply { ports: vec![port.clone(), port], more: true }),
        Body::PacketIn(PacketIn {
            reason: 1,
            table: 3,
            cookie: 4,
            metadata: Match::new().in_port(5u32).reg(crate::Field::Reg5, 6),
            total_len: 60,
            data: vec![1, 2, 3],
        }),
        Body::PacketOut(PacketOut { in_port: PortNo::CONTROLLER, actions: vec![controller], data: vec![9; 60] }),
        Body::FlowRemoved(FlowRemoved {
            cookie: 1,
            priority: 2,
            reason: 3,
            table: 4,
            seconds: 5,
            packets: 6,
            octets: 7,
            matches: Match::new().vlan(5u16),
        }),
        Body::FlowStatsRequest(FlowStatsRequest {
            owner: CookieOwner::new(0x40, 0xf0),
            ..FlowStatsRequest::of_table(20)
        }),
        Body::SetAsync(AsyncConfig { packet_in: 7, port_status: 7, flow_removed: 15 }),
        Body::BundleAdd { bundle: 5, flags: 3, message: Box::new(FlowMod::delete_strict(&flow).into()) },
        FlowMod { check_overlap: true, ..FlowMod::modify_strict(flow.clone()) }.into(),
        FlowMod::delete_matching(CookieOwner::new(3, 3), None, Match::new().arp()).into(),
        Body::Unknown { kind: 200, octets: vec![1, 2, 3] },
    ];
    for body in bodies {
        let message = Message::new(0x0102_0304, body);
        assert_eq!(Message::decode(&message.encode().unwrap()), Ok(message));
    }
}

#[test]
fn what_the_format_has_no_room_for_is_refused() {
    let encode = |actions: Vec<Action>| {
        let flow = Flow { actions, ..Flow::table(0) };
        Message::new(1, FlowMod::add(flow)).encode()
    };
    let reg = crate::SubField::bits(crate::Field::Reg0, 0, 3);
    assert!(encode(vec![Action::Load(16, reg)]).is_err());
    assert!(encode(vec![Action::Load(15, reg)]).is_ok());
    assert!(encode(vec![Action::Move(reg, crate::Field::Reg1.into())]).is_err());
    assert!(encode(vec![Action::conjunction(1, 0, 2)]).is_err());
    assert!(encode(vec![Action::WriteActions(vec![Action::goto(1)])]).is_err());
    assert!(encode(vec![Action::Resubmit { port: PortNo(0x1_0000), table: None }]).is_err());
    assert!(encode(vec![Action::normal(); 5000]).is_err());
    let half = Match::new().field(crate::Field::VlanTci, crate::Masked::new(0x3000, 0x3000));
    assert!(Message::new(1, FlowMod::add(Flow::table(0).matching(half))).encode().is_err());
}
