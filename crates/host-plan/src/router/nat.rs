//! All address translation of a router: one nftables table, replaced as a whole in one transaction, in which a packet
//! costs one lookup however many floating IPs there are. The module above draws its chains.

use host_view::Router;
use nft_rules::{Chain, DataType, Family, Field, Hook, Kind, Map, Nat, Rule, Statement, Table, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The table of ours in every router's namespace.
pub const NAT_TABLE: &str = "neutronium";

/// Map of that table: floating address to fixed address.
const FLOATING_TO_FIXED: &str = "floating_to_fixed";
/// Map of that table, the other way round.
const FIXED_TO_FLOATING: &str = "fixed_to_floating";
/// Chain of that table.
const SOURCE_NAT: &str = "source_nat";

/// Bits of the packet mark that say where a packet is from (Neutron's `ROUTER_MARK_MASK`).
pub(super) const MARK_MASK: u32 = 0xffff;
/// In by the gateway device (Neutron's `external_ingress_mark`).
const FROM_OUTSIDE: u32 = 0x2;

/// Floating to fixed IPv4 addresses. A fixed address has one floating IP only (its first): replies can have but one source.
pub(super) fn floating_ips(router: &Router) -> BTreeMap<IpAddr, IpAddr> {
    let wanted: BTreeMap<IpAddr, IpAddr> = router
        .floating_ips
        .values()
        .filter(|floating| floating.floating_address.is_ipv4() && floating.fixed_address.is_ipv4())
        .map(|floating| (floating.floating_address, floating.fixed_address))
        .collect();
    let mut seen = BTreeSet::new();
    wanted.into_iter().filter(|(_, fixed)| seen.insert(*fixed)).collect()
}

/// Adds all translation to the table. `gateways`: each device that leads out, and the address that what leaves by it takes;
/// `untranslated` comes before any of those is given.
pub(super) fn add(
    table: &mut Table,
    gateways: &[(&str, Option<IpAddr>)],
    floating_ips: &BTreeMap<IpAddr, IpAddr>,
    untranslated: impl Iterator<Item = Rule>,
) {
    let map =
        |entries: BTreeMap<Value, Value>| Map { elements: entries, ..Map::new(DataType::Ipv4Addr, DataType::Ipv4Addr) };
    let to_fixed = || Rule::new().then(Statement::Dnat(Nat::map(Field::IpDaddr, FLOATING_TO_FIXED)));
    let from_outside = Statement::SetMark { value: FROM_OUTSIDE, mask: MARK_MASK };
    let source_nat = || Statement::Goto(SOURCE_NAT.into());

    // One to one, so the port can stay as it is: then a connection outlives the host that its router was on.
    let mut sources = Chain::new().rule(Rule::new().then(Statement::Snat(Nat::map(Field::IpSaddr, FIXED_TO_FLOATING))));
    let snat = |address: IpAddr| Statement::Snat(Nat::to(address).fully_random());
    if gateways.iter().any(|(_, address)| address.is_some()) {
        sources.rules.extend(untranslated);
    }
    for (gateway, address) in gateways.iter().filter_map(|(gateway, address)| Some((*gateway, (*address)?))) {
        sources = sources.rule(Rule::new().is(Field::OifName, gateway).then(snat(address)));
    }
    if let Some(address) = gateways.iter().find_map(|(_, address)| *address) {
        sources = sources.rule(
            Rule::new()
                .masked_is_not(Field::MetaMark, MARK_MASK, FROM_OUTSIDE)
                .has(Field::CtStatus, "dnat")
                .then(snat(address)),
        );
    }
    let mut marks = Chain::base(Kind::Filter, Hook::Prerouting, -150);
    let mut leaving = Chain::base(Kind::Nat, Hook::Postrouting, 100);
    for (gateway, _) in gateways {
        marks = marks.rule(Rule::new().is(Field::IifName, *gateway).then(from_outside.clone()));
        leaving = leaving.rule(Rule::new().is(Field::OifName, *gateway).then(source_nat()));
    }

    table
        .map(FLOATING_TO_FIXED, map(floating_ips.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect()))
        .map(FIXED_TO_FLOATING, map(floating_ips.iter().map(|(a, b)| ((*b).into(), (*a).into())).collect()))
        .chain("from_outside", marks)
        .chain("prerouting", Chain::base(Kind::Nat, Hook::Prerouting, -100).rule(to_fixed()))
        .chain("output", Chain::base(Kind::Nat, Hook::Output, -100).rule(to_fixed()))
        .chain("postrouting", leaving.rule(Rule::new().has(Field::CtStatus, "dnat").then(source_nat())))
        .chain(SOURCE_NAT, sources);
}

/// Floating to fixed addresses that a namespace's tables translate.
pub(crate) fn floating_ips_in(tables: &[Table]) -> BTreeMap<IpAddr, IpAddr> {
    let ours = |table: &&Table| table.family == Family::Ip && table.name == NAT_TABLE;
    let entries = tables.iter().filter(ours).filter_map(|table| table.maps.get(FLOATING_TO_FIXED));
    let addresses = |(floating, fixed): (&Value, &Value)| match (floating, fixed) {
        (Value::Address(floating), Value::Address(fixed)) => Some((*floating, *fixed)),
        _ => None,
    };
    entries.flat_map(|map| &map.elements).filter_map(addresses).collect()
}
