//! Sets' elements, maps' keys and values, and what of a packet they are compared with: single, or several joined.

use crate::Field;
use serde::{Deserialize, Serialize};

/// Type of the elements of sets and maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the words of nft(8)
pub enum DataType {
    Ipv4Addr,
    Ipv6Addr,
    EtherAddr,
    InetProto,
    InetService,
    Mark,
    Ifname,
    /// The name of a counter of the table (values of maps only).
    Counter,
    /// The name of a limit of the table (values of maps only).
    Limit,
}

impl DataType {
    pub(crate) const ALL: [Self; 9] = [
        Self::Ipv4Addr,
        Self::Ipv6Addr,
        Self::EtherAddr,
        Self::InetProto,
        Self::InetService,
        Self::Mark,
        Self::Ifname,
        Self::Counter,
        Self::Limit,
    ];

    /// The word of nft(8).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ipv4Addr => "ipv4_addr",
            Self::Ipv6Addr => "ipv6_addr",
            Self::EtherAddr => "ether_addr",
            Self::InetProto => "inet_proto",
            Self::InetService => "inet_service",
            Self::Mark => "mark",
            Self::Ifname => "ifname",
            Self::Counter => "counter",
            Self::Limit => "limit",
        }
    }

    /// Whether nft wants such words in quotes.
    pub(crate) fn is_quoted(self) -> bool {
        matches!(self, Self::Ifname | Self::Counter | Self::Limit)
    }
}

/// What elements are: of one type, or of several joined (`ipv4_addr . inet_service`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ElementType {
    /// Of this type.
    One(DataType),
    /// One of each.
    Joined(Vec<DataType>),
}

impl ElementType {
    /// The types, in order.
    pub fn parts(&self) -> &[DataType] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Joined(several) => several,
        }
    }
}

impl From<DataType> for ElementType {
    fn from(one: DataType) -> Self {
        Self::One(one)
    }
}

impl<const N: usize> From<[DataType; N]> for ElementType {
    fn from(several: [DataType; N]) -> Self {
        Self::Joined(several.into())
    }
}

/// What is looked up in a map: one field, or several joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Key {
    /// This field.
    One(Field),
    /// All of these.
    Joined(Vec<Field>),
}

impl Key {
    /// The fields, in order.
    pub fn parts(&self) -> &[Field] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Joined(several) => several,
        }
    }
}

impl From<Field> for Key {
    fn from(one: Field) -> Self {
        Self::One(one)
    }
}

impl<const N: usize> From<[Field; N]> for Key {
    fn from(several: [Field; N]) -> Self {
        Self::Joined(several.into())
    }
}
