//! Security groups and their rules: what a rule may say, which two rules are the same, which rules a new group has.
//!
//! In: a rule as a request gives it, read into a [`Rule`] by the `parse` functions here. Out: the rule as it is kept
//! ([`Rule::checked`]), or Neutron's refusal. Enforcing the rules is the host's part.

mod group;
mod protocol;

pub use group::{DEFAULT_GROUP, check_group_deletion, check_group_update, check_new_name, check_same_statefulness};
pub use protocol::{parse_protocol, protocol_number};

use crate::ModelError;
use net_types::{IpNet, SecurityGroupId};
use protocol::{HAS_PORTS, ICMP, ICMPV6};
use serde::{Deserialize, Serialize};
use std::{collections::HashSet, fmt, net::IpAddr, str::FromStr};
use uuid::Uuid;

/// Which way the packets go, seen from the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To the instance.
    Ingress,
    /// From the instance.
    Egress,
}

/// The IP version that a rule is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Ethertype {
    /// IPv4.
    IPv4,
    /// IPv6.
    IPv6,
}

/// What a security group rule lets through.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rule {
    /// Which way.
    pub direction: Direction,
    /// Of which IP version.
    pub ethertype: Ethertype,
    /// A name that Neutron knows or a decimal number; none: any protocol.
    pub protocol: Option<String>,
    /// Lowest port, or the ICMP type.
    pub port_range_min: Option<u16>,
    /// Highest port, or the ICMP code.
    pub port_range_max: Option<u16>,
    /// From or to these addresses; kept with host bits, as given.
    pub remote_ip_prefix: Option<IpNet>,
    /// From or to the ports of this group.
    pub remote_group_id: Option<SecurityGroupId>,
    /// From or to the addresses of this address group.
    pub remote_address_group_id: Option<Uuid>,
}

impl Direction {
    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }
}

impl Ethertype {
    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IPv4 => "IPv4",
            Self::IPv6 => "IPv6",
        }
    }

    fn of(net: IpNet) -> Self {
        match net {
            IpNet::V4(_) => Self::IPv4,
            IpNet::V6(_) => Self::IPv6,
        }
    }
}

impl fmt::Display for Ethertype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Ethertype {
    type Err = ModelError;

    /// In any mixture of cases.
    fn from_str(text: &str) -> Result<Self, ModelError> {
        [Self::IPv4, Self::IPv6].into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(text)).ok_or_else(|| {
            ModelError::SecurityGroupRuleInvalidEtherType { ethertype: text.to_owned(), values: "['IPv4', 'IPv6']" }
        })
    }
}

/// Reads `port_range_min` and `port_range_max`: a number from 0 to 65535, as a number or as text.
pub fn parse_port(text: &str) -> Result<u16, ModelError> {
    text.trim().parse().map_err(|_| ModelError::SecurityGroupInvalidPortValue { port: text.to_owned() })
}

/// Reads `remote_ip_prefix`: a prefix, or an address, which is a prefix of its own.
pub fn parse_prefix(text: &str) -> Result<IpNet, ModelError> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse().or_else(|_| address()).map_err(|_| ModelError::InvalidCIDR { input: text.to_owned() })
}

impl Rule {
    /// The rule in the form in which it is kept, if it makes sense.
    pub fn checked(mut self) -> Result<Self, ModelError> {
        self.rename_ipv6_icmp();
        if (self.port_range_min, self.port_range_max) == (Some(1), Some(u16::MAX)) {
            // Every port: no range at all says the same and costs the hosts less.
            (self.port_range_min, self.port_range_max) = (None, None);
        }
        self.check_range()?;
        if let Some(cidr) = self.remote_ip_prefix.filter(|cidr| Ethertype::of(*cidr) != self.ethertype) {
            let (ethertype, cidr) = (self.ethertype.to_string(), cidr.to_string());
            return Err(ModelError::SecurityGroupRuleParameterConflict { ethertype, cidr });
        }
        if let Some(name) = self.protocol.as_deref().filter(|name| protocol::is_ipv6_only(name))
            && self.ethertype == Ethertype::IPv4
        {
            let (ethertype, protocol) = (self.ethertype.to_string(), name.to_owned());
            return Err(ModelError::SecurityGroupEthertypeConflictWithProtocol { ethertype, protocol });
        }
        let remotes =
            [self.remote_ip_prefix.is_some(), self.remote_group_id.is_some(), self.remote_address_group_id.is_some()];
        if remotes.into_iter().filter(|given| *given).count() > 1 {
            return Err(ModelError::SecurityGroupMultipleRemoteEntites);
        }
        Ok(self)
    }

    /// `normalized_cidr`: the remote prefix without host bits.
    pub fn normalized_cidr(&self) -> Option<IpNet> {
        self.remote_ip_prefix.map(|cidr| cidr.trunc())
    }

    /// In IPv6 rules ICMP is ICMPv6, however it is called.
    fn rename_ipv6_icmp(&mut self) {
        if self.ethertype != Ethertype::IPv6 {
            return;
        }
        let canonical = match self.protocol.as_deref() {
            Some("icmp" | "icmpv6") => "ipv6-icmp",
            Some("1") => "58",
            _ => return,
        };
        self.protocol = Some(canonical.to_owned());
    }

    fn check_range(&self) -> Result<(), ModelError> {
        let (min, max) = (self.port_range_min, self.port_range_max);
        if min.is_none() && max.is_none() {
            return Ok(());
        }
        let number = self.protocol.as_deref().and_then(protocol_number);
        let protocol = number.ok_or(ModelError::SecurityGroupProtocolRequiredWithPorts)?;
        if HAS_PORTS.contains(&protocol) {
            if min == Some(0) || max == Some(0) {
                return Err(ModelError::SecurityGroupInvalidPortValue { port: "0".to_owned() });
            }
            return match (min, max) {
                (Some(min), Some(max)) if min <= max => Ok(()),
                _ => Err(ModelError::SecurityGroupInvalidPortRange),
            };
        }
        if [ICMP, ICMPV6].contains(&protocol) {
            for (value, attr, field) in [(min, "port_range_min", "type"), (max, "port_range_max", "code")] {
                if let Some(value) = value.filter(|value| *value > 255) {
                    return Err(ModelError::SecurityGroupInvalidIcmpValue { field, attr, value });
                }
            }
            return match (min, max) {
                (None, Some(value)) => Err(ModelError::SecurityGroupMissingIcmpType { value }),
                _ => Ok(()),
            };
        }
        let valid_port_protocols = "DCCP, SCTP, TCP, UDP, UDPLITE";
        Err(ModelError::SecurityGroupInvalidProtocolForPort { protocol, valid_port_protocols })
    }

    /// What makes two rules of a group the same, in one text: `tcp` is 6, and all addresses are no prefix.
    pub fn match_key(&self) -> String {
        let protocol = self.protocol.as_deref().map(|name| match protocol_number(name) {
            Some(number) => number.to_string(),
            None => name.to_owned(),
        });
        let part = |part: Option<String>| part.unwrap_or_else(|| "-".to_owned());
        [
            self.direction.as_str().to_owned(),
            self.ethertype.as_str().to_owned(),
            part(protocol),
            part(self.port_range_min.map(|port| port.to_string())),
            part(self.port_range_max.map(|port| port.to_string())),
            part(self.remote_ip_prefix.filter(|cidr| cidr.prefix_len() > 0).map(|cidr| cidr.to_string())),
            part(self.remote_group_id.map(|id| id.to_string())),
            part(self.remote_address_group_id.map(|id| id.to_string())),
        ]
        .join(" ")
    }
}

/// Refuses rules that a request has twice.
pub fn check_duplicates<'a>(keys: impl IntoIterator<Item = &'a str>) -> Result<(), ModelError> {
    let mut known = HashSet::new();
    match keys.into_iter().all(|key| known.insert(key)) {
        true => Ok(()),
        false => Err(ModelError::DuplicateSecurityGroupRuleInPost),
    }
}

/// Refuses rules of one request that are for several groups or projects.
pub fn check_single_group<'a>(rules: impl IntoIterator<Item = (SecurityGroupId, &'a str)>) -> Result<(), ModelError> {
    let mut rules = rules.into_iter();
    let Some((group, project)) = rules.next() else { return Ok(()) };
    rules.try_for_each(|(other_group, other_project)| match (other_group == group, other_project == project) {
        (false, _) => Err(ModelError::SecurityGroupNotSingleGroupRules),
        (_, false) => Err(ModelError::SecurityGroupRulesNotSingleProject),
        _ => Ok(()),
    })
}

#[cfg(test)]
mod tests;
