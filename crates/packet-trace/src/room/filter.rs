//! A namespace's packet filter: which rules of the tables a packet meets at a hook, and what they do with it.

use super::Rooms;
use crate::trace::Step;
use crate::{Packet, Trace};
use nft_rules::{
    Base, Chain, Family, Field as NftField, Hook, Key, Kind, Match, Nat, NatAddress, Operator, Policy, Rule, Statement,
    Table, Value,
};
use openflow::Field;
use std::net::IpAddr;

/// How deep jumps may nest, as in the kernel.
const DEEPEST: usize = 16;

/// What a hook made of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// On it goes.
    Accepted,
    /// Dropped.
    Dropped,
}

/// A packet on its way through a namespace, with what the kernel notes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Passing {
    pub packet: Packet,
    pub iif: String,
    pub oif: String,
    pub mark: u32,
    /// First packet of its connection: only such packets see NAT chains.
    pub new: bool,
    /// The connection's destination, or source, is translated.
    pub dnat: bool,
    pub snat: bool,
    /// Mark of the connection.
    pub connection_mark: u32,
    /// To this port of the namespace itself.
    pub redirect: Option<u16>,
}

/// How a chain ended.
enum End {
    Verdict(Fate),
    Translated,
    Through,
}

impl<'a> Rooms<'a> {
    /// All base chains of a hook, in the order of their priorities.
    pub(super) fn hook(
        &self,
        name: &str,
        tables: &'a [Table],
        hook: Hook,
        passing: &mut Passing,
        trace: &mut Trace<'a>,
    ) -> Fate {
        let family = if passing.packet.get(Field::EthType) as u16 == openflow::eth_type::IPV6 { "ip6" } else { "ip" };
        let mut chains: Vec<(&Base, &Table, &String, &Chain)> = tables
            .iter()
            .filter(|table| table.family.as_str() == family || table.family == Family::Inet)
            .flat_map(|table| table.chains.iter().map(move |(name, chain)| (table, name, chain)))
            .filter_map(|(table, name, chain)| Some((chain.base.as_ref()?, table, name, chain)))
            .filter(|(base, ..)| base.hook == hook)
            .collect();
        chains.sort_by_key(|(base, ..)| base.priority);
        for (base, table, chain_name, chain) in chains {
            // The kernel remembers what the first packet was translated to.
            if base.kind == Kind::Nat && !passing.new {
                continue;
            }
            match self.chain((name, table, chain_name), chain, passing, trace, 0) {
                End::Verdict(Fate::Dropped) => return Fate::Dropped,
                End::Through if base.policy == Policy::Drop => {
                    let what = format!("chain {chain_name}: nothing accepts it");
                    trace.steps.push(Step::Room { namespace: name.to_owned(), what });
                    return Fate::Dropped;
                }
                End::Verdict(Fate::Accepted) | End::Translated | End::Through => {}
            }
        }
        Fate::Accepted
    }

    fn chain(
        &self,
        at: (&str, &'a Table, &str),
        chain: &'a Chain,
        passing: &mut Passing,
        trace: &mut Trace<'a>,
        depth: usize,
    ) -> End {
        let (namespace, table, name) = at;
        if depth > DEEPEST {
            trace.steps.push(Step::NotModelled(format!("chains that call each other in {namespace}")));
            return End::Through;
        }
        for rule in &chain.rules {
            if !rule.matches.iter().all(|condition| self.holds(condition, table, passing, trace)) {
                continue;
            }
            let said = rule.comment.clone().unwrap_or_else(|| words(rule));
            for statement in &rule.statements {
                let called = |to: &str| table.chains.get(to).map(|chain| (to.to_owned(), chain));
                match statement {
                    Statement::Accept | Statement::Drop => {
                        let fate = if *statement == Statement::Accept { Fate::Accepted } else { Fate::Dropped };
                        let what = format!("chain {name}: {said}");
                        trace.steps.push(Step::Room { namespace: namespace.to_owned(), what });
                        return End::Verdict(fate);
                    }
                    Statement::Return => return End::Through,
                    Statement::Jump(to) => {
                        if let Some((to, chain)) = called(to) {
                            match self.chain((namespace, table, &to), chain, passing, trace, depth + 1) {
                                End::Through => {}
                                end => return end,
                            }
                        }
                    }
                    Statement::Goto(to) => {
                        return match called(to) {
                            Some((to, chain)) => self.chain((namespace, table, &to), chain, passing, trace, depth + 1),
                            None => End::Through,
                        };
                    }
                    Statement::SetMark { value, mask } => passing.mark = passing.mark & !mask | value,
                    Statement::SetCtMark { value, mask } => {
                        passing.connection_mark = passing.connection_mark & !mask | value;
                    }
                    Statement::Snat(nat) | Statement::Dnat(nat) => {
                        let source = matches!(statement, Statement::Snat(_));
                        if let Some((to, port)) = translated(nat, table, passing) {
                            let which = if source { "source" } else { "destination" };
                            let what = format!("chain {name}: {which} becomes {to}");
                            trace.steps.push(Step::Room { namespace: namespace.to_owned(), what });
                            set_address(&mut passing.packet, source, to);
                            if let Some(port) = port {
                                super::set_port(&mut passing.packet, source, port);
                            }
                            *(if source { &mut passing.snat } else { &mut passing.dnat }) = true;
                            return End::Translated;
                        }
                        // A map without an entry: the rule does not match.
                        break;
                    }
                    Statement::SetMarkByMap { key, map } => match look_up(table, key, map, passing) {
                        Some(Value::Number(mark)) => passing.mark = *mark,
                        _ => break,
                    },
                    Statement::Redirect(port) => {
                        passing.redirect = Some(*port);
                        return End::Translated;
                    }
                    // A single packet is within every limit: the rule is for what comes beyond it.
                    Statement::LimitByMap { .. } => break,
                    // What counts or follows changes no packet's way.
                    Statement::Counter | Statement::Count(_) | Statement::CtHelper(_) => {}
                    #[allow(unreachable_patterns)] // what the planner may learn to say
                    other => trace.steps.push(Step::NotModelled(format!("{other:?} in chain {name}"))),
                }
            }
        }
        End::Through
    }

    fn holds(&self, condition: &Match, table: &Table, passing: &Passing, trace: &mut Trace<'a>) -> bool {
        let Some(found) = value_of(condition.field, passing) else { return false };
        let found = match (found, condition.mask) {
            (Found::Number(number), Some(mask)) => Found::Number(number & mask),
            (found, _) => found,
        };
        let Some(is) = equals(&found, &condition.value, table) else {
            trace.steps.push(Step::NotModelled(format!("{condition:?}")));
            return false;
        };
        match condition.operator {
            Operator::Is | Operator::Has => is,
            Operator::IsNot | Operator::HasNot => !is,
        }
    }
}

/// A rule as people may recognise it.
fn words(rule: &Rule) -> String {
    let conditions = rule
        .matches
        .iter()
        .map(|condition| format!("{:?} {:?} {:?}", condition.field, condition.operator, condition.value));
    let done = rule.statements.iter().map(|statement| format!("{statement:?}"));
    conditions.chain(done).collect::<Vec<_>>().join(", ")
}

enum Found {
    Number(u32),
    Address(IpAddr),
    Name(String),
    /// Any of these words.
    Words(Vec<&'static str>),
}

/// None: the packet has no such field, or it is not known here.
fn value_of(field: NftField, passing: &Passing) -> Option<Found> {
    let packet = &passing.packet;
    let port = |protocol: u8, field: Field| {
        (packet.get(Field::IpProto) == u128::from(protocol)).then(|| Found::Number(packet.get(field) as u32))
    };
    let address =
        |v6: bool, source: bool| super::address(packet, source).filter(|ip| ip.is_ipv6() == v6).map(Found::Address);
    match field {
        NftField::IifName => Some(Found::Name(passing.iif.clone())),
        NftField::OifName => Some(Found::Name(passing.oif.clone())),
        NftField::MetaMark => Some(Found::Number(passing.mark)),
        NftField::MetaL4Proto => Some(Found::Number(packet.get(Field::IpProto) as u32)),
        NftField::CtState => Some(Found::Words(vec![if passing.new { "new" } else { "established" }])),
        NftField::CtStatus => {
            let status = [(passing.dnat, "dnat"), (passing.snat, "snat")];
            Some(Found::Words(status.iter().filter(|(set, _)| *set).map(|(_, word)| *word).collect()))
        }
        // Of a connection that was let in, both ways pass.
        NftField::CtDirection => Some(Found::Name(if passing.new { "original" } else { "reply" }.to_owned())),
        NftField::IpSaddr => address(false, true),
        NftField::IpDaddr => address(false, false),
        NftField::Ip6Saddr => address(true, true),
        NftField::Ip6Daddr => address(true, false),
        NftField::TcpSport => port(6, Field::TcpSrc),
        NftField::TcpDport => port(6, Field::TcpDst),
        NftField::UdpSport => port(17, Field::UdpSrc),
        NftField::UdpDport => port(17, Field::UdpDst),
        NftField::ThDport => {
            let field = Field::transport_dst(packet.get(Field::IpProto) as u8)?;
            Some(Found::Number(packet.get(field) as u32))
        }
        NftField::CtMark => Some(Found::Number(passing.connection_mark)),
        #[allow(unreachable_patterns)] // what the planner may learn to look at
        _ => None,
    }
}

/// None: it is not known here how these are compared.
fn equals(found: &Found, value: &Value, table: &Table) -> Option<bool> {
    let protocol = |word: &str| match word {
        "tcp" => Some(6),
        "udp" => Some(17),
        "icmp" => Some(1),
        "sctp" => Some(132),
        "dccp" => Some(33),
        "udplite" => Some(136),
        "gre" => Some(47),
        "ipv6-icmp" | "icmpv6" => Some(58),
        _ => None,
    };
    match (found, value) {
        (found, Value::AnyOf(values)) => {
            values.iter().try_fold(false, |any, value| Some(any | equals(found, value, table)?))
        }
        (found, Value::Set(name)) => {
            let set = table.sets.get(name)?;
            set.elements.iter().try_fold(false, |any, value| Some(any | equals(found, value, table)?))
        }
        (Found::Number(found), Value::Number(number)) => Some(found == number),
        (Found::Number(found), Value::Ports(range)) => {
            Some(u16::try_from(*found).is_ok_and(|port| range.contains(port)))
        }
        (Found::Number(found), Value::Word(word)) => Some(*found == protocol(word)?),
        (Found::Address(found), Value::Address(address)) => Some(found == address),
        (Found::Address(found), Value::Prefix(prefix)) => Some(prefix.contains(found)),
        (Found::Name(found), Value::Word(word)) => Some(match word.strip_suffix('*') {
            Some(start) => found.starts_with(start),
            None => found == word,
        }),
        (Found::Words(found), Value::Word(word)) => Some(found.contains(&word.as_str())),
        _ => None,
    }
}

/// The new address, and the new port if one is said; none: the map has no entry for the packet.
fn translated(nat: &Nat, table: &Table, passing: &Passing) -> Option<(IpAddr, Option<u16>)> {
    let (key, map) = match &nat.to {
        NatAddress::Address(address) => return Some((*address, None)),
        NatAddress::Map { key, map } => (key, map),
        #[allow(unreachable_patterns)] // what the planner may learn to say
        _ => return None,
    };
    match look_up(table, key, map, passing)? {
        Value::Address(address) => Some((*address, None)),
        Value::Joined(parts) => match parts.as_slice() {
            [Value::Address(address), Value::Number(port)] => Some((*address, u16::try_from(*port).ok())),
            _ => None,
        },
        _ => None,
    }
}

/// What a map has for a key of the packet.
fn look_up<'t>(table: &'t Table, key: &Key, map: &str, passing: &Passing) -> Option<&'t Value> {
    let found: Vec<Found> = key.parts().iter().map(|field| value_of(*field, passing)).collect::<Option<_>>()?;
    let is = |element: &Value| match (element, found.as_slice()) {
        (Value::Joined(parts), found) => {
            parts.len() == found.len()
                && parts.iter().zip(found).all(|(part, found)| equals(found, part, table) == Some(true))
        }
        (value, [one]) => equals(one, value, table) == Some(true),
        _ => false,
    };
    table.maps.get(map)?.elements.iter().find(|(element, _)| is(element)).map(|(_, value)| value)
}

pub(super) fn set_address(packet: &mut Packet, source: bool, address: IpAddr) {
    let (v4, v6) = if source { (Field::Ipv4Src, Field::Ipv6Src) } else { (Field::Ipv4Dst, Field::Ipv6Dst) };
    match address {
        IpAddr::V4(address) => packet.set(v4, address.to_bits().into()),
        IpAddr::V6(address) => packet.set(v6, address.to_bits()),
    }
}
