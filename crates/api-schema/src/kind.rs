//! The values that attributes take: conversion first, then the check, as Neutron does, with Neutron's messages.
//!
//! In: any JSON value. Out: the value in canonical form (what the rules and the database get), or a [`Refusal`].

mod addresses;
mod composite;
mod dns;
mod python;
mod scalars;

use serde_json::Value;

pub use python::display as python_display;

/// Why a value is refused. How it is wrapped in the answer differs, and clients look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Found by a check: "Invalid input for ATTRIBUTE. Reason: REASON.", an `HTTPBadRequest`.
    Check(String),
    /// Found by a conversion: "Invalid input for operation: REASON.", an `InvalidInput`.
    Conversion(String),
    /// Said as it is, an `HTTPBadRequest`.
    Plain(String),
    /// Said as it is, under an error type of its own.
    Named(&'static str, String),
}

/// A kind that only one resource has.
pub struct Custom {
    /// For documentation: "port range".
    pub name: &'static str,
    /// The JSON type that goes out.
    pub json: JsonType,
    /// Conversion and check.
    pub parse: fn(Value) -> Result<Value, Refusal>,
}

/// What JSON a kind's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonType {
    /// true, false.
    Boolean,
    /// Whole number.
    Integer,
    /// String.
    String,
    /// List.
    Array,
    /// Object.
    Object,
}

/// The protocols with ports, or nearly so, that the network's own translations know by name.
pub const TRANSPORT_PROTOCOLS: &[&str] = &["dccp", "icmp", "ipv6-icmp", "sctp", "tcp", "udp"];

/// What values an attribute takes.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// true, false, and the words and numbers that Neutron reads as such.
    Boolean,
    /// A whole number from 0.
    NonNegative,
    /// A whole number between bounds, given as a number or a string.
    Range(i64, i64),
    /// One of these numbers.
    Numbers(&'static [i64]),
    /// A string of at most so many characters.
    Text(usize),
    /// A string of at most so many printable characters that does not begin or end with a space.
    Name(usize),
    /// One of these words.
    Words(&'static [&'static str]),
    /// A UUID.
    Uuid,
    /// A list of different UUIDs.
    UuidList,
    /// An IPv4 or IPv6 address.
    IpAddress,
    /// An address with prefix length.
    Cidr,
    /// A MAC address; null: have one made.
    MacOrGenerate,
    /// An object, not looked into.
    Object,
    /// Allocation pools: `[{"start", "end"}]`.
    AllocationPools,
    /// Addresses of DNS servers.
    Nameservers,
    /// `[{"destination", "nexthop"}]`.
    HostRoutes,
    /// `[{"subnet_id", "ip_address"}]`, either or both.
    FixedIps,
    /// `[{"ip_address", "mac_address"}]`, the second optional.
    AddressPairs,
    /// Names of availability zones.
    ZoneHints,
    /// The name of a host in DNS: a label, a relative name or a full one.
    DnsName,
    /// A name in DNS to be put before a domain.
    DnsRelativeName,
    /// A domain of DNS with its trailing dot, or an empty text.
    DnsDomain,
    /// Names without meaning to us.
    TextList(usize),
    /// One resource's own.
    Custom(&'static Custom),
}

impl std::fmt::Debug for Custom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Kind {
    /// Converts and checks one value.
    pub fn parse(&self, value: Value) -> Result<Value, Refusal> {
        match self {
            Self::Boolean => scalars::boolean(value),
            Self::NonNegative => scalars::non_negative(value),
            Self::Range(least, most) => scalars::range(value, *least, *most),
            Self::Numbers(numbers) => scalars::numbers(value, numbers),
            Self::Text(most) => scalars::text(value, *most),
            Self::Name(most) => scalars::name(value, *most),
            Self::Words(words) => scalars::words(value, words),
            Self::Uuid => scalars::uuid(value),
            Self::UuidList => composite::uuids(value),
            Self::IpAddress => addresses::ip(value),
            Self::Cidr => addresses::cidr(value),
            Self::MacOrGenerate => match value {
                Value::Null => Ok(Value::Null),
                value => addresses::mac(value),
            },
            Self::Object => match value {
                Value::Object(_) => Ok(value),
                other => Err(Refusal::Check(format!("'{}' is not a dictionary", python_display(&other)))),
            },
            Self::AllocationPools => composite::allocation_pools(value),
            Self::Nameservers => composite::nameservers(value),
            Self::HostRoutes => composite::host_routes(value),
            Self::FixedIps => composite::fixed_ips(value),
            Self::AddressPairs => composite::address_pairs(value),
            Self::ZoneHints => composite::texts(value, 255),
            Self::DnsName => dns::host_name(value),
            Self::DnsRelativeName => dns::relative_name(value),
            Self::DnsDomain => dns::domain(value),
            Self::TextList(most) => composite::texts(value, *most),
            Self::Custom(custom) => (custom.parse)(value),
        }
    }

    /// The JSON type of its values.
    pub fn json(&self) -> JsonType {
        match self {
            Self::Boolean => JsonType::Boolean,
            Self::NonNegative | Self::Range(..) | Self::Numbers(_) => JsonType::Integer,
            Self::Object => JsonType::Object,
            Self::UuidList
            | Self::AllocationPools
            | Self::Nameservers
            | Self::HostRoutes
            | Self::FixedIps
            | Self::AddressPairs
            | Self::ZoneHints
            | Self::TextList(_) => JsonType::Array,
            Self::Custom(custom) => custom.json,
            _ => JsonType::String,
        }
    }
}

#[cfg(test)]
mod tests;
