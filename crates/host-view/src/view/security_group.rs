//! Security groups and their rules.

use net_types::{IpNet, PortRange, SecurityGroupId, SecurityGroupRuleId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A group's rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroup {
    /// Whether connections are tracked.
    pub stateful: bool,
    /// The rules; what none of them allows is dropped.
    pub rules: BTreeMap<SecurityGroupRuleId, SecurityGroupRule>,
}

/// Whose traffic a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Towards the port.
    Ingress,
    /// From the port.
    Egress,
}

/// `ethertype`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EtherType {
    /// `IPv4`.
    IPv4,
    /// `IPv6`.
    IPv6,
}

impl EtherType {
    /// The family of an address.
    pub fn of(address: &IpAddr) -> Self {
        if address.is_ipv4() { Self::IPv4 } else { Self::IPv6 }
    }
}

/// Something that a group allows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SecurityGroupRule {
    /// Towards the port or from it.
    pub direction: Direction,
    /// The IP family.
    pub ethertype: EtherType,
    /// IP protocol number; none: every protocol.
    pub protocol: Option<u8>,
    /// What is compared of the protocol's own header.
    pub matching: RuleMatch,
    /// The other side.
    pub remote: Remote,
}

/// What is compared of a protocol's own header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleMatch {
    /// Nothing.
    Any,
    /// The destination port (TCP, UDP, SCTP, DCCP, UDP-Lite).
    Ports(PortRange),
    /// The ICMP or ICMPv6 type, and the code if given.
    Icmp {
        /// Type.
        kind: u8,
        /// Code.
        code: Option<u8>,
    },
}

/// The other side of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Remote {
    /// Anybody.
    Any,
    /// `remote_ip_prefix`.
    Prefix(IpNet),
    /// `remote_group_id` or `remote_address_group_id` (ids never clash); its addresses stand in `group_members`.
    Group(SecurityGroupId),
}
