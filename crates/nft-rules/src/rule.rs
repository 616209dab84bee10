//! Rules: conditions, then what is done.

use crate::Key;
use net_types::{IpNet, MacAddr, PortRange};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A constant, or an element of a set or map.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Value {
    /// An address.
    Address(IpAddr),
    /// A prefix that is shorter than an address.
    Prefix(IpNet),
    /// A MAC address.
    Mac(MacAddr),
    /// A number: port, mark, protocol.
    Number(u32),
    /// Ports from the first to the last.
    Ports(PortRange),
    /// A word: device name (a trailing `*` matches any rest), state, status.
    Word(String),
    /// Any of several words or numbers.
    AnyOf(Vec<Value>),
    /// The elements of a named set.
    Set(String),
    /// One of each: an element of joined types.
    Joined(Vec<Value>),
}

impl From<IpAddr> for Value {
    fn from(address: IpAddr) -> Self {
        Self::Address(address)
    }
}

impl From<IpNet> for Value {
    /// A full-length prefix is its address, as the kernel reports it.
    fn from(prefix: IpNet) -> Self {
        if prefix.prefix_len() == prefix.max_prefix_len() {
            Self::Address(prefix.addr())
        } else {
            Self::Prefix(prefix.trunc())
        }
    }
}

impl From<PortRange> for Value {
    /// A range of one port is that port, as the kernel reports it.
    fn from(ports: PortRange) -> Self {
        if ports.first() == ports.last() { Self::Number(ports.first().into()) } else { Self::Ports(ports) }
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Value {
    fn from(word: &str) -> Self {
        Self::Word(word.to_owned())
    }
}

/// Something of a packet or of its connection that can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // named like nft's own expressions
pub enum Field {
    IifName,
    OifName,
    MetaMark,
    MetaL4Proto,
    CtState,
    CtStatus,
    CtDirection,
    CtMark,
    IpSaddr,
    IpDaddr,
    Ip6Saddr,
    Ip6Daddr,
    TcpSport,
    TcpDport,
    UdpSport,
    UdpDport,
    /// Of any protocol that has ports.
    ThDport,
}

impl Field {
    pub(crate) const ALL: [Self; 17] = [
        Self::IifName,
        Self::OifName,
        Self::MetaMark,
        Self::MetaL4Proto,
        Self::CtState,
        Self::CtStatus,
        Self::CtDirection,
        Self::CtMark,
        Self::IpSaddr,
        Self::IpDaddr,
        Self::Ip6Saddr,
        Self::Ip6Daddr,
        Self::TcpSport,
        Self::TcpDport,
        Self::UdpSport,
        Self::UdpDport,
        Self::ThDport,
    ];

    /// The two words of nft(8): the object and its key.
    pub(crate) fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::IifName => ("meta", "iifname"),
            Self::OifName => ("meta", "oifname"),
            Self::MetaMark => ("meta", "mark"),
            Self::MetaL4Proto => ("meta", "l4proto"),
            Self::CtState => ("ct", "state"),
            Self::CtStatus => ("ct", "status"),
            Self::CtDirection => ("ct", "direction"),
            Self::CtMark => ("ct", "mark"),
            Self::IpSaddr => ("ip", "saddr"),
            Self::IpDaddr => ("ip", "daddr"),
            Self::Ip6Saddr => ("ip6", "saddr"),
            Self::Ip6Daddr => ("ip6", "daddr"),
            Self::TcpSport => ("tcp", "sport"),
            Self::TcpDport => ("tcp", "dport"),
            Self::UdpSport => ("udp", "sport"),
            Self::UdpDport => ("udp", "dport"),
            Self::ThDport => ("th", "dport"),
        }
    }
}

/// How the two sides are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operator {
    /// Equal, or a member of the set.
    Is,
    /// Not equal, not a member.
    IsNot,
    /// One of these bits is set (states, statuses).
    Has,
    /// None of these bits is set.
    HasNot,
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    /// What is looked at.
    pub field: Field,
    /// Bits that count; none: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<u32>,
    /// The comparison.
    pub operator: Operator,
    /// With what.
    pub value: Value,
}

/// An address to translate to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NatAddress {
    /// Always this one.
    Address(IpAddr),
    /// The one, and the port if it says one, that a named map has for this key; the rule does not match when it has none.
    Map {
        /// What is looked up.
        key: Key,
        /// Where.
        map: String,
    },
}

/// How addresses are translated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nat {
    /// To what.
    pub to: NatAddress,
    /// Draw source ports at random.
    pub fully_random: bool,
}

impl Nat {
    /// To this address.
    pub fn to(address: IpAddr) -> Self {
        Self { to: NatAddress::Address(address), fully_random: false }
    }

    /// To what the map has for this key.
    pub fn map(key: impl Into<Key>, map: impl Into<String>) -> Self {
        Self { to: NatAddress::Map { key: key.into(), map: map.into() }, fully_random: false }
    }

    /// Drawing source ports at random.
    pub fn fully_random(self) -> Self {
        Self { fully_random: true, ..self }
    }
}

/// Something that is done with a packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the words of nft(8)
pub enum Statement {
    Accept,
    Drop,
    Return,
    /// Counts packets and octets; what it has counted is not part of the value.
    Counter,
    Jump(String),
    Goto(String),
    /// Sets the packet's mark: those bits of `mask` to `value`.
    SetMark {
        value: u32,
        mask: u32,
    },
    /// Sets the connection's mark: those bits of `mask` to `value`.
    SetCtMark {
        value: u32,
        mask: u32,
    },
    /// Sets the packet's mark to what a named map has for this key, if it has something.
    SetMarkByMap {
        key: Key,
        map: String,
    },
    /// Counts into this counter of the table.
    Count(String),
    /// Goes on with what is beyond the limit of the table that a named map has for this key.
    LimitByMap {
        key: Key,
        map: String,
    },
    /// Has the connection followed by this helper of the table.
    CtHelper(String),
    Snat(Nat),
    Dnat(Nat),
    /// To the host itself, on this port.
    Redirect(u16),
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rule {
    /// All of them must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<Match>,
    /// In order.
    pub statements: Vec<Statement>,
    /// For people; no quotes in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

impl Rule {
    /// A rule without conditions that does nothing.
    pub fn new() -> Self {
        Self::default()
    }

    fn when(mut self, field: Field, mask: Option<u32>, operator: Operator, value: impl Into<Value>) -> Self {
        self.matches.push(Match { field, mask, operator, value: value.into() });
        self
    }

    /// When the field is this value.
    pub fn is(self, field: Field, value: impl Into<Value>) -> Self {
        self.when(field, None, Operator::Is, value)
    }

    /// When the field is not this value.
    pub fn is_not(self, field: Field, value: impl Into<Value>) -> Self {
        self.when(field, None, Operator::IsNot, value)
    }

    /// When the field has this bit (`ct status dnat`, `ct state established`).
    pub fn has(self, field: Field, value: impl Into<Value>) -> Self {
        self.when(field, None, Operator::Has, value)
    }

    /// When the field does not have this bit.
    pub fn has_not(self, field: Field, value: impl Into<Value>) -> Self {
        self.when(field, None, Operator::HasNot, value)
    }

    /// When these bits of the field are not this value.
    pub fn masked_is_not(self, field: Field, mask: u32, value: u32) -> Self {
        self.when(field, Some(mask), Operator::IsNot, value)
    }

    /// When these bits of the field are this value.
    pub fn masked_is(self, field: Field, mask: u32, value: u32) -> Self {
        self.when(field, Some(mask), Operator::Is, value)
    }

    /// Then do this.
    pub fn then(mut self, statement: Statement) -> Self {
        self.statements.push(statement);
        self
    }

    /// A note for people.
    pub fn comment(self, comment: impl Into<String>) -> Self {
        Self { comment: Some(comment.into()), ..self }
    }
}
