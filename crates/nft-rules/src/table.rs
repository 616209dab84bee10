//! Tables and what they hold.

use crate::{ElementType, Object, Rule, Value};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Address family of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // the words of nft(8)
pub enum Family {
    Ip,
    Ip6,
    Inet,
    Arp,
    Bridge,
    Netdev,
}

impl Family {
    /// The word of nft(8).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Inet => "inet",
            Self::Arp => "arp",
            Self::Bridge => "bridge",
            Self::Netdev => "netdev",
        }
    }
}

/// One table: the unit that is installed, compared and removed as a whole.
///
/// Names are of letters, digits, `_`, `-` and `.`, and not words of nft's language (`mark`, `fwd`, `ip`, ... do not parse);
/// planners choose them, they never come from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Address family.
    pub family: Family,
    /// Name.
    pub name: String,
    /// Named sets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sets: BTreeMap<String, Set>,
    /// Named maps.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub maps: BTreeMap<String, Map>,
    /// Counters, limits, helpers, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub objects: BTreeMap<String, Object>,
    /// Chains.
    pub chains: BTreeMap<String, Chain>,
    /// Things that were read back and that this crate has no type for, as JSON; never written. A table that has some
    /// differs from every plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
}

impl Table {
    /// An empty table.
    pub fn new(family: Family, name: impl Into<String>) -> Self {
        Self {
            family,
            name: name.into(),
            sets: BTreeMap::new(),
            maps: BTreeMap::new(),
            objects: BTreeMap::new(),
            chains: BTreeMap::new(),
            unreadable: vec![],
        }
    }

    /// Adds a chain.
    pub fn chain(&mut self, name: impl Into<String>, chain: Chain) -> &mut Self {
        self.chains.insert(name.into(), chain);
        self
    }

    /// Adds a map.
    pub fn map(&mut self, name: impl Into<String>, map: Map) -> &mut Self {
        self.maps.insert(name.into(), map);
        self
    }

    /// Adds a counter, limit or helper.
    pub fn object(&mut self, name: impl Into<String>, object: Object) -> &mut Self {
        self.objects.insert(name.into(), object);
        self
    }

    /// Adds a set.
    pub fn set(&mut self, name: impl Into<String>, set: Set) -> &mut Self {
        self.sets.insert(name.into(), set);
        self
    }
}

/// A named set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Set {
    /// What its elements are.
    pub of: ElementType,
    /// Whether elements may be prefixes.
    pub interval: bool,
    /// The elements.
    pub elements: BTreeSet<Value>,
}

/// A named map: a lookup whose cost does not grow with its size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Map {
    /// What is looked up.
    pub from: ElementType,
    /// What is found.
    pub to: ElementType,
    /// Whether keys may be prefixes or ranges.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interval: bool,
    /// The entries.
    #[serde(with = "entries")]
    pub elements: BTreeMap<Value, Value>,
}

/// JSON object keys must be text, so entries are written as pairs.
mod entries {
    use super::{BTreeMap, Value};
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(map: &BTreeMap<Value, Value>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map.iter())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<Value, Value>, D::Error> {
        Ok(Vec::<(Value, Value)>::deserialize(deserializer)?.into_iter().collect())
    }
}

impl Map {
    /// An empty map.
    pub fn new(from: impl Into<ElementType>, to: impl Into<ElementType>) -> Self {
        Self { from: from.into(), to: to.into(), interval: false, elements: BTreeMap::new() }
    }

    /// An empty map whose keys may be prefixes or ranges.
    pub fn intervals(from: impl Into<ElementType>, to: impl Into<ElementType>) -> Self {
        Self { interval: true, ..Self::new(from, to) }
    }
}

/// What a base chain is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // the words of nft(8)
pub enum Kind {
    Filter,
    Nat,
    Route,
}

impl Kind {
    /// The word of nft(8).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Nat => "nat",
            Self::Route => "route",
        }
    }
}

/// Where in the packet's way a base chain stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // the words of nft(8)
pub enum Hook {
    Ingress,
    Prerouting,
    Input,
    Forward,
    Output,
    Postrouting,
}

impl Hook {
    /// The word of nft(8).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
        }
    }
}

/// What becomes of packets that no rule of a base chain decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // the words of nft(8)
pub enum Policy {
    Accept,
    Drop,
}

/// What makes a chain a base chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// What it is for.
    pub kind: Kind,
    /// Where it stands.
    pub hook: Hook,
    /// The device, for [`Hook::Ingress`]. nft 1.0.6 leaves it out of its JSON, so that it reads back as none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Lower comes first; -100 is `dstnat`, 100 `srcnat`, -150 `mangle`.
    pub priority: i32,
    /// Default verdict.
    pub policy: Policy,
}

/// A chain.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Chain {
    /// None: it is only jumped to.
    pub base: Option<Base>,
    /// In order.
    pub rules: Vec<Rule>,
}

impl Chain {
    /// A chain that is only jumped to.
    pub fn new() -> Self {
        Self::default()
    }

    /// A base chain with policy accept.
    pub fn base(kind: Kind, hook: Hook, priority: i32) -> Self {
        Self { base: Some(Base { kind, hook, device: None, priority, policy: Policy::Accept }), rules: vec![] }
    }

    /// A base chain that sees the frames of one device before anything else does (family netdev).
    pub fn ingress(device: impl Into<String>, priority: i32, policy: Policy) -> Self {
        let base = Base { kind: Kind::Filter, hook: Hook::Ingress, device: Some(device.into()), priority, policy };
        Self { base: Some(base), rules: vec![] }
    }

    /// Appends a rule.
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }
}
