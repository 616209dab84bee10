//! Random flows for property tests: every field and every action, well formed as a planner would make them.

use crate::{
    Action, Ct, CtZone, Field, Flow, FlowFlags, Learn, LearnSpec, LearnValue, Masked, Match, Nat, NatPorts, NatSide,
    PortNo, SubField,
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use std::net::{Ipv4Addr, Ipv6Addr};

pub(crate) fn flow() -> impl Strategy<Value = Flow> {
    let head = (0u8..254, any::<u16>(), any::<u64>(), any::<u16>(), any::<u16>(), any::<u16>());
    (head, matches(), vec(action(), 0..5), option::of(any::<u8>()), option::of((any::<u64>(), any::<u64>()))).prop_map(
        |((table, priority, cookie, idle, hard, flags), matches, mut actions, goto, metadata)| {
            actions.extend(goto.map(Action::goto));
            actions.extend(metadata.map(|(value, mask)| Action::WriteMetadata(value & mask, mask)));
            let flow = Flow::table(table).priority(priority).cookie(cookie).idle_timeout(idle).hard_timeout(hard);
            flow.flags(FlowFlags::from_bits(flags)).matching(matches).actions(actions)
        },
    )
}

fn field() -> impl Strategy<Value = Field> {
    select(Field::ALL)
}

/// Any fields, the shared names of the notation resolved by the protocol that their owner presupposes.
fn matches() -> impl Strategy<Value = Match> {
    let condition = (field(), any::<u128>(), prop_oneof![Just(u128::MAX), any::<u128>()]);
    vec(condition, 0..6).prop_map(|conditions| {
        conditions.into_iter().fold(Match::new(), |matches, (field, value, mask)| {
            let full = field.full_mask();
            // Ports and flags have no notation for a partial mask, nor do ToS and VLAN priority.
            let exact = matches!(
                field,
                Field::InPort
                    | Field::InPortNxm
                    | Field::ActsetOutput
                    | Field::EthType
                    | Field::IpTos
                    | Field::IpDscp
                    | Field::VlanPcp
                    | Field::IpProto
            );
            let mask = if exact { full } else { mask };
            let mask = if field == Field::VlanTci { mask & 0x1fff } else { mask };
            prerequisites(matches, field).field(field, Masked::new(value & full, mask & full))
        })
    })
}

fn prerequisites(matches: Match, field: Field) -> Match {
    match field {
        Field::TcpSrc | Field::TcpDst | Field::TcpFlags => matches.tcp(),
        Field::UdpSrc | Field::UdpDst => matches.udp(),
        Field::SctpSrc | Field::SctpDst => matches.sctp(),
        Field::Icmpv4Type | Field::Icmpv4Code => matches.icmp(),
        Field::Icmpv6Type | Field::Icmpv6Code | Field::NdTarget | Field::NdSll | Field::NdTll => matches.icmp6(),
        _ => matches,
    }
}

fn part(max: u16) -> impl Strategy<Value = SubField> {
    (field(), any::<u16>(), 1..=max).prop_map(|(field, offset, bits)| {
        let width = field.info().bits;
        let bits = 1 + (bits - 1) % width;
        SubField { field, offset: offset % (width - bits + 1), bits }
    })
}

/// Two parts of the same width.
fn parts() -> impl Strategy<Value = (SubField, SubField)> {
    (part(128), part(128)).prop_map(|(a, b)| {
        let bits = a.bits.min(b.bits);
        (SubField { bits, ..a }, SubField { bits, ..b })
    })
}

fn port() -> impl Strategy<Value = PortNo> {
    let reserved = [PortNo::IN_PORT, PortNo::NORMAL, PortNo::LOCAL, PortNo::FLOOD, PortNo::ALL];
    prop_oneof![(0u32..0xff00).prop_map(PortNo), select(reserved.to_vec())]
}

fn low(value: u128, bits: u16) -> u128 {
    value & u128::MAX >> (128 - u32::from(bits))
}

fn action() -> impl Strategy<Value = Action> {
    let resubmit = (port(), option::of(0u8..255)).prop_map(|(port, table)| Action::Resubmit { port, table });
    let conjunction = (any::<u32>(), 1u8..=64, 0u8..10).prop_map(|(id, of, n)| Action::conjunction(id, 1 + n % of, of));
    let load = (part(64), any::<u64>()).prop_map(|(to, value)| Action::Load(low(value.into(), to.bits) as u64, to));
    let first_living = (part(64), vec(0u16..0xff00, 1..5)).prop_filter_map("room for a port", |(into, ports)| {
        (into.bits >= 16).then_some(Action::FirstLiving { into, ports })
    });
    prop_oneof![
        port().prop_map(Action::output),
        part(64).prop_map(Action::OutputReg),
        any::<u16>().prop_map(Action::Controller),
        any::<u32>().prop_map(Action::Group),
        (0..u32::MAX).prop_map(Action::ControllerMetered),
        any::<u32>().prop_map(Action::SetQueue),
        Just(Action::push_vlan()),
        Just(Action::PopVlan),
        Just(Action::DecTtl),
        set_field(),
        load,
        parts().prop_map(|(from, to)| Action::Move(from, to)),
        resubmit,
        conjunction,
        first_living,
        vec(any::<u8>(), 0..20).prop_map(Action::note),
        Just(Action::CtClear),
        ct(),
        learn(),
    ]
}

fn set_field() -> impl Strategy<Value = Action> {
    (field(), any::<u128>()).prop_map(|(field, value)| Action::set(field, value & field.full_mask()))
}

fn ct() -> impl Strategy<Value = Action> {
    let zone = prop_oneof![
        any::<u16>().prop_map(CtZone::Number),
        part(64)
            .prop_filter("zones come from fields with short headers", |zone| zone.field.info().nxm.class != 0xffff)
            .prop_map(CtZone::Field)
    ];
    let exec = vec(set_field(), 0..3);
    (any::<bool>(), any::<bool>(), zone, option::of(0u8..255), select(vec![0u16, 21, 69]), option::of(nat()), exec)
        .prop_map(|(commit, force, zone, next_table, alg, nat, exec)| {
            Ct { commit, force: force && commit, zone, next_table, alg, nat, exec }.into()
        })
}

fn nat() -> impl Strategy<Value = Nat> {
    let v4 = (any::<u32>(), any::<u32>()).prop_map(|(a, b)| (Ipv4Addr::from(a).into(), Ipv4Addr::from(b).into()));
    let v6 = (any::<u128>(), any::<u128>()).prop_map(|(a, b)| (Ipv6Addr::from(a).into(), Ipv6Addr::from(b).into()));
    let chosen = (
        select(vec![NatSide::Source, NatSide::Destination]),
        any::<bool>(),
        option::of(select(vec![NatPorts::Hash, NatPorts::Random])),
        prop_oneof![v4, v6],
        option::of((any::<u16>(), any::<u16>())),
    );
    // Only a side with addresses may say more.
    prop_oneof![
        Just(Nat::default()),
        chosen.prop_map(|(side, persistent, ports_by, addresses, ports)| {
            Nat { side: Some(side), persistent, ports_by, addresses: Some(addresses), ports }
        })
    ]
}

fn learn() -> impl Strategy<Value = Action> {
    let number =
        (part(128), any::<u128>()).prop_map(|(field, value)| (field, LearnValue::Number(low(value, field.bits))));
    let copied = parts().prop_map(|(field, from)| (field, LearnValue::Field(from)));
    let sides = prop_oneof![number, copied];
    let spec = (sides, 0..3).prop_map(|((field, from), kind)| match kind {
        0 => LearnSpec::Match { field, from },
        1 => LearnSpec::Load { field, from },
        _ => LearnSpec::Output(field),
    });
    let head = (any::<u8>(), any::<u16>(), any::<u64>(), any::<[u16; 4]>(), any::<[bool; 2]>());
    (head, vec(spec, 0..4)).prop_map(|((table, priority, cookie, timeouts, flags), specs)| {
        let [idle_timeout, hard_timeout, fin_idle_timeout, fin_hard_timeout] = timeouts;
        let [send_flow_removed, delete_learned] = flags;
        Learn {
            table,
            priority,
            cookie,
            idle_timeout,
            hard_timeout,
            fin_idle_timeout,
            fin_hard_timeout,
            send_flow_removed,
            delete_learned,
            specs,
        }
        .into()
    })
}
