//! Random flows that the switch must take: prerequisites hold, and no field is used that only a wizard would.

use openflow::{
    Action, Ct, Field, Flow, FlowFlags, Learn, LearnSpec, LearnValue, Masked, Match, SubField, eth_type, ip_proto,
};
use proptest::{collection::vec, prelude::*, sample::select};

/// Fields that any packet has.
const ALWAYS: &[Field] = &[
    Field::InPort,
    Field::EthSrc,
    Field::EthDst,
    Field::VlanVid,
    Field::TunId,
    Field::TunSrc,
    Field::TunDst,
    Field::Metadata,
    Field::PktMark,
    Field::ConjId,
    Field::CtState,
    Field::CtZone,
    Field::CtMark,
    Field::CtLabel,
    Field::Reg0,
    Field::Reg5,
    Field::Reg6,
    Field::Reg15,
    Field::XReg1,
    Field::XXReg2,
];

/// Fields that the switch compares exactly or not at all.
const EXACT: &[Field] = &[
    Field::InPort,
    Field::ConjId,
    Field::CtZone,
    Field::IpDscp,
    Field::IpEcn,
    Field::IpTtl,
    Field::ArpOp,
    Field::Icmpv4Type,
    Field::Icmpv4Code,
    Field::Icmpv6Type,
    Field::Icmpv6Code,
];

const IP: &[Field] = &[Field::IpDscp, Field::IpEcn, Field::IpTtl];
const IPV4: &[Field] = &[Field::Ipv4Src, Field::Ipv4Dst];
const IPV6: &[Field] = &[Field::Ipv6Src, Field::Ipv6Dst, Field::Ipv6Label];
const ARP: &[Field] = &[Field::ArpOp, Field::ArpSpa, Field::ArpTpa, Field::ArpSha, Field::ArpTha];

/// An Ethernet type, perhaps an IP protocol, and the fields that come with them.
fn protocols() -> Vec<(Match, Vec<&'static [Field]>)> {
    let mut protocols = vec![(Match::new(), vec![]), (Match::new().arp(), vec![ARP]), (Match::new().rarp(), vec![ARP])];
    for (eth, addresses) in [(eth_type::IPV4, IPV4), (eth_type::IPV6, IPV6)] {
        let family = Match::new().eth_type(eth);
        protocols.push((family.clone(), vec![IP, addresses]));
        for (protocol, ports) in [
            (ip_proto::TCP, &[Field::TcpSrc, Field::TcpDst, Field::TcpFlags][..]),
            (ip_proto::UDP, &[Field::UdpSrc, Field::UdpDst]),
            (ip_proto::SCTP, &[Field::SctpSrc, Field::SctpDst]),
        ] {
            protocols.push((family.clone().ip_proto(protocol), vec![IP, addresses, ports]));
        }
    }
    protocols.push((Match::new().icmp(), vec![IP, IPV4, &[Field::Icmpv4Type, Field::Icmpv4Code]]));
    protocols.push((Match::new().icmp6(), vec![IP, IPV6, &[Field::Icmpv6Type, Field::Icmpv6Code]]));
    protocols.push((Match::new().icmp6_type(135), vec![IPV6, &[Field::NdTarget, Field::NdSll]]));
    protocols.push((Match::new().icmp6_type(136), vec![IPV6, &[Field::NdTarget, Field::NdTll]]));
    protocols
}

fn condition(field: Field, value: u128, mask: u128) -> Masked {
    let full = field.full_mask();
    match field {
        // Ordinary ports only.
        Field::InPort => Masked::exact(value % 0xff00),
        // An operation is eight bits to the switch.
        Field::ArpOp => Masked::exact(value & 0xff),
        // What could not be identified (0x10) cannot be committed.
        Field::CtState => Masked::new(value & 0xef, mask & 0xff),
        // Some tag with a certain id, or no tag.
        Field::VlanVid if mask & 1 == 0 => Masked::new(0, 0x1fff),
        Field::VlanVid => Masked::new(value | 0x1000, 0x1fff),
        _ if EXACT.contains(&field) => Masked::new(value & full, full),
        _ => Masked::new(value & full, mask & full),
    }
}

fn matches() -> impl Strategy<Value = Match> {
    let picks = vec((any::<prop::sample::Index>(), any::<u128>(), prop_oneof![Just(u128::MAX), any::<u128>()]), 0..6);
    (select(protocols()), picks).prop_map(|((mut matches, groups), picks)| {
        let fields: Vec<Field> = groups.concat().into_iter().chain(ALWAYS.iter().copied()).collect();
        for (pick, value, mask) in picks {
            let field = *pick.get(&fields);
            matches.set(field, condition(field, value, mask));
        }
        matches
    })
}

fn register() -> impl Strategy<Value = Field> {
    select(vec![Field::Reg0, Field::Reg7, Field::Reg15, Field::TunId, Field::Metadata, Field::XReg2, Field::EthDst])
}

fn part() -> impl Strategy<Value = SubField> {
    (register(), any::<u16>(), 1u16..=16).prop_map(|(field, offset, bits)| {
        let offset = offset % (field.info().bits - bits + 1);
        SubField { field, offset, bits }
    })
}

fn action() -> impl Strategy<Value = Action> {
    let load = (part(), any::<u64>()).prop_map(|(part, value)| Action::Load(value & ((1 << part.bits) - 1), part));
    let copy =
        (part(), register()).prop_map(|(from, to)| Action::Move(from, SubField { field: to, ..from_zero(from) }));
    // The switch takes zones from narrow fields only.
    let zone = select(vec![Field::Reg0, Field::Reg6, Field::Reg15]);
    let ct = (zone, any::<bool>(), any::<u32>()).prop_map(|(zone, commit, mark)| {
        let tracked = Ct::zone_from(SubField::bits(zone, 0, 15));
        if commit { tracked.commit().set_mark(mark).into() } else { tracked.table(72).into() }
    });
    let learn = (any::<u16>(), any::<u16>(), part()).prop_map(|(priority, hard_timeout, part)| {
        let specs = vec![
            LearnSpec::Match {
                field: SubField::whole(Field::EthDst),
                from: LearnValue::Field(SubField::whole(Field::EthSrc)),
            },
            LearnSpec::Load { field: part, from: LearnValue::Number(1) },
            LearnSpec::Load { field: SubField { offset: 0, ..part }, from: LearnValue::Field(part) },
            LearnSpec::Output(SubField::whole(Field::InPort)),
        ];
        Learn { table: 20, priority, hard_timeout, specs, ..Learn::default() }.into()
    });
    prop_oneof![
        (1u32..0xff00).prop_map(Action::output),
        part().prop_map(Action::OutputReg),
        Just(Action::normal()),
        Just(Action::in_port()),
        (0u8..254).prop_map(Action::resubmit),
        (register(), any::<u128>()).prop_map(|(field, value)| Action::set(field, value)),
        (1u16..4095).prop_map(|vid| Action::Load(u64::from(vid), SubField::bits(Field::VlanTci, 0, 11))),
        Just(Action::push_vlan()),
        any::<u32>().prop_map(Action::SetQueue),
        (register(), vec(1u16..0xff00, 1..6))
            .prop_map(|(field, ports)| Action::FirstLiving { into: SubField::bits(field, 0, 15), ports }),
        vec(any::<u8>(), 0..20).prop_map(Action::note),
        Just(Action::CtClear),
        load,
        copy,
        ct,
        learn,
    ]
}

fn from_zero(part: SubField) -> SubField {
    SubField { offset: 0, ..part }
}

/// Flows; two may have the same key, of which the switch keeps the last.
pub fn flows(count: usize) -> impl Strategy<Value = Vec<Flow>> {
    let head = (0u8..250, any::<u16>(), any::<u64>(), any::<u16>(), any::<bool>());
    let flow = (head, matches(), vec(action(), 0..5), any::<bool>()).prop_map(
        |((table, priority, cookie, idle_timeout, reset), matches, mut actions, goto)| {
            // Only IP can be tracked.
            let is_ip = [eth_type::IPV4, eth_type::IPV6].map(|family| Some(u128::from(family)));
            if !is_ip.contains(&matches.exact(Field::EthType)) {
                actions.retain(|action| !matches!(action, Action::Ct(_)));
            }
            // Two tags are all that it can hold.
            let first = actions.iter().position(|action| *action == Action::push_vlan());
            let mut index = 0..;
            actions.retain(|action| index.next() == first || *action != Action::push_vlan());
            if goto {
                actions.push(Action::goto(table + 1));
            }
            let flags = if reset { FlowFlags::RESET_COUNTS } else { FlowFlags::default() };
            let flow = Flow::table(table).priority(priority).cookie(cookie).idle_timeout(idle_timeout);
            flow.flags(flags).matching(matches).actions(actions)
        },
    );
    vec(flow, count)
}
