//! Quality of service: which rules a policy can hold together, and what its guarantees ask of Placement.
//!
//! In: rules as stored. Out: the refusal with Neutron's name, or the groups of `resource_request`.

use crate::ModelError;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// The DSCP marks that IP knows (class selectors, assured and expedited forwarding).
pub const DSCP_MARKS: &[i64] = &[0, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 44, 46, 48, 56];

/// What a rule does. The order is that in which a policy shows its rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleKind {
    /// At most so many kbit/s.
    BandwidthLimit,
    /// Packets leave with this mark.
    DscpMarking,
    /// At least so many kbit/s.
    MinimumBandwidth,
    /// At least so many thousand packets/s.
    MinimumPacketRate,
    /// At most so many thousand packets/s.
    PacketRateLimit,
}

impl RuleKind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::BandwidthLimit,
        Self::DscpMarking,
        Self::MinimumBandwidth,
        Self::MinimumPacketRate,
        Self::PacketRateLimit,
    ];

    /// Neutron's name for it, the `type` of a rule.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BandwidthLimit => "bandwidth_limit",
            Self::DscpMarking => "dscp_marking",
            Self::MinimumBandwidth => "minimum_bandwidth",
            Self::MinimumPacketRate => "minimum_packet_rate",
            Self::PacketRateLimit => "packet_rate_limit",
        }
    }

    /// Whether it is a guarantee that Placement must know of.
    pub fn is_minimum(self) -> bool {
        matches!(self, Self::MinimumBandwidth | Self::MinimumPacketRate)
    }
}

impl fmt::Display for RuleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no kind of rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no QoS rule type")]
pub struct UnknownKind(String);

impl FromStr for RuleKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

/// One rule of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its id.
    pub id: Uuid,
    /// What it does.
    pub kind: RuleKind,
    /// `ingress`, `egress`, `any`; none: marks have no direction.
    pub direction: Option<String>,
    /// kbit/s, thousand packets/s, or the mark.
    pub rate: i64,
}

/// What a request says of a rule: a change may leave things as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given<'a> {
    /// The direction, if it is named.
    pub direction: Option<&'a str>,
    /// The rate, if it is named.
    pub rate: Option<i64>,
}

/// Refuses a rule that the others of its policy contradict. `rule` is the rule as it would be, `given` what was asked.
pub fn check_conflicts(policy: Uuid, others: &[Rule], rule: &Rule, given: Given<'_>) -> Result<(), ModelError> {
    for other in others {
        let same_direction = given.direction.is_none() || other.direction.as_deref() == given.direction;
        let contradicts = match (rule.kind, other.kind, given.rate) {
            (RuleKind::BandwidthLimit, RuleKind::MinimumBandwidth, Some(most)) => other.rate > most,
            (RuleKind::MinimumBandwidth, RuleKind::BandwidthLimit, Some(least)) => other.rate < least,
            _ => false,
        };
        if same_direction && contradicts {
            return Err(conflict(policy, given.rate.unwrap_or_default(), other, other.rate));
        }
    }
    for other in others.iter().filter(|other| other.id != rule.id && other.kind == rule.kind) {
        let (new, old) = (rule.direction.as_deref(), other.direction.as_deref());
        // Packets are guaranteed in both directions together or in each by itself.
        if rule.kind == RuleKind::MinimumPacketRate && new != old && (new == Some("any") || old == Some("any")) {
            return Err(conflict(policy, new.unwrap_or_default(), other, old.unwrap_or_default()));
        }
    }
    match others
        .iter()
        .find(|other| other.id != rule.id && other.kind == rule.kind && other.direction == rule.direction)
    {
        Some(other) => Err(ModelError::QoSRulesConflict {
            new_rule_type: rule.kind.as_str(),
            rule_id: other.id,
            policy_id: policy,
        }),
        None => Ok(()),
    }
}

fn conflict(policy_id: Uuid, new: impl fmt::Display, other: &Rule, value: impl fmt::Display) -> ModelError {
    ModelError::QoSRuleParameterConflict {
        rule_value: new.to_string(),
        policy_id,
        existing_rule: other.kind.as_str(),
        existing_value: value.to_string(),
    }
}

/// `resource_request` of a port: what Nova asks Placement for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResourceRequest {
    /// Each is to be granted by one provider.
    pub request_groups: Vec<RequestGroup>,
    /// The groups that must come from one host's tree of providers.
    pub same_subtree: Vec<Uuid>,
}

/// Resources from one provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RequestGroup {
    /// The same for the same port and rules, as Nova finds the allocation by it.
    pub id: Uuid,
    /// Traits of the provider.
    pub required: Vec<String>,
    /// Resource class to amount.
    pub resources: BTreeMap<&'static str, i64>,
}

/// What a port asks for by the guarantees of its policy; `physical_network` is none for tunnels.
pub fn resource_request(
    port: Uuid,
    vnic_type: &str,
    physical_network: Option<&str>,
    rules: &[Rule],
) -> Option<ResourceRequest> {
    let network = match physical_network {
        Some(name) => trait_name("PHYSNET", name),
        None => "CUSTOM_NETWORK_TUNNEL_PROVIDER".to_owned(),
    };
    let vnic = trait_name("VNIC_TYPE", vnic_type);
    let groups = [
        group(port, rules, RuleKind::MinimumBandwidth, vec![network, vnic.clone()]),
        group(port, rules, RuleKind::MinimumPacketRate, vec![vnic]),
    ];
    let request_groups: Vec<RequestGroup> = groups.into_iter().flatten().collect();
    let same_subtree: Vec<Uuid> = request_groups.iter().map(|group| group.id).collect();
    (!request_groups.is_empty()).then_some(ResourceRequest { request_groups, same_subtree })
}

fn group(port: Uuid, rules: &[Rule], kind: RuleKind, required: Vec<String>) -> Option<RequestGroup> {
    let mut rules: Vec<&Rule> = rules.iter().filter(|rule| rule.kind == kind).collect();
    rules.sort_by_key(|rule| rule.id);
    let names: Vec<String> = rules.iter().map(|rule| rule.id.to_string()).collect();
    let resources: BTreeMap<&'static str, i64> =
        rules.iter().filter_map(|rule| Some((resource_class(rule)?, rule.rate))).collect();
    let id = Uuid::new_v5(&port, names.join(":").as_bytes());
    (!resources.is_empty()).then_some(RequestGroup { id, required, resources })
}

fn resource_class(rule: &Rule) -> Option<&'static str> {
    match (rule.kind, rule.direction.as_deref()) {
        (RuleKind::MinimumBandwidth, Some("ingress")) => Some("NET_BW_IGR_KILOBIT_PER_SEC"),
        (RuleKind::MinimumBandwidth, _) => Some("NET_BW_EGR_KILOBIT_PER_SEC"),
        (RuleKind::MinimumPacketRate, Some("ingress")) => Some("NET_PACKET_RATE_IGR_KILOPACKET_PER_SEC"),
        (RuleKind::MinimumPacketRate, Some("egress")) => Some("NET_PACKET_RATE_EGR_KILOPACKET_PER_SEC"),
        (RuleKind::MinimumPacketRate, _) => Some("NET_PACKET_RATE_KILOPACKET_PER_SEC"),
        _ => None,
    }
}

/// Traits are upper-case words; whatever else is between two of them becomes one `_`.
fn trait_name(kind: &str, name: &str) -> String {
    let mut text = String::from("CUSTOM_");
    for c in format!("{kind}_{name}").chars() {
        match c {
            letter if letter.is_ascii_alphanumeric() => text.push(letter.to_ascii_uppercase()),
            _ if text.ends_with('_') => {}
            _ => text.push('_'),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(id: u128, kind: RuleKind, direction: &str, rate: i64) -> Rule {
        Rule {
            id: Uuid::from_u128(id),
            kind,
            direction: Some(direction.into()).filter(|d: &String| !d.is_empty()),
            rate,
        }
    }

    fn check(others: &[Rule], new: &Rule) -> Result<(), String> {
        let given = Given { direction: new.direction.as_deref(), rate: Some(new.rate) };
        check_conflicts(Uuid::nil(), others, new, given).map_err(|error| error.to_string())
    }

    #[test]
    fn a_limit_below_a_guarantee_of_its_direction_is_refused() {
        let least = rule(1, RuleKind::MinimumBandwidth, "egress", 100);
        let most = |direction: &str, rate| rule(2, RuleKind::BandwidthLimit, direction, rate);
        let refused = check(std::slice::from_ref(&least), &most("egress", 99)).unwrap_err();
        assert_eq!(
            refused,
            "Unable to add the rule with value 99 to the policy 00000000-0000-0000-0000-000000000000 as the existing rule of \
             type minimum_bandwidth has value 100."
        );
        assert_eq!(check(std::slice::from_ref(&least), &most("egress", 100)), Ok(()));
        assert_eq!(check(std::slice::from_ref(&least), &most("ingress", 1)), Ok(()));
        assert!(check(&[most("egress", 99)], &least).is_err());
    }

    #[test]
    fn one_rule_of_a_kind_and_direction() {
        let one = rule(1, RuleKind::PacketRateLimit, "egress", 5);
        assert!(check(std::slice::from_ref(&one), &rule(2, RuleKind::PacketRateLimit, "egress", 6)).is_err());
        assert_eq!(check(std::slice::from_ref(&one), &rule(2, RuleKind::PacketRateLimit, "ingress", 6)), Ok(()));
        assert_eq!(
            check(std::slice::from_ref(&one), &rule(1, RuleKind::PacketRateLimit, "egress", 7)),
            Ok(()),
            "itself"
        );
        let mark = rule(1, RuleKind::DscpMarking, "", 8);
        assert!(check(&[mark], &rule(2, RuleKind::DscpMarking, "", 10)).is_err());
    }

    #[test]
    fn packets_are_guaranteed_together_or_by_direction() {
        let both = rule(1, RuleKind::MinimumPacketRate, "any", 5);
        let refused = check(&[both], &rule(2, RuleKind::MinimumPacketRate, "egress", 5)).unwrap_err();
        assert!(refused.starts_with("Unable to add the rule with value egress"), "{refused}");
        assert!(refused.ends_with("minimum_packet_rate has value any."), "{refused}");
    }

    #[test]
    fn groups_have_the_ids_that_neutron_gives_them() {
        let port = Uuid::parse_str("10000000-0000-4000-8000-000000000001").unwrap();
        let rules = [
            rule(2, RuleKind::MinimumBandwidth, "ingress", 300),
            rule(1, RuleKind::MinimumBandwidth, "egress", 200),
            rule(3, RuleKind::MinimumPacketRate, "any", 4),
            rule(4, RuleKind::BandwidthLimit, "egress", 4),
        ];
        let request = resource_request(port, "direct-physical", Some("phys--net.1"), &rules).unwrap();
        let [bandwidth, packets] = request.request_groups.as_slice() else { panic!("two groups") };
        // python3 -c 'import uuid; print(uuid.uuid5(uuid.UUID(PORT), "RULE1:RULE2"))'
        assert_eq!(bandwidth.id.to_string(), "6495b776-4515-5096-8cca-8a428a4eabfe");
        assert_eq!(bandwidth.required, ["CUSTOM_PHYSNET_PHYS_NET_1", "CUSTOM_VNIC_TYPE_DIRECT_PHYSICAL"]);
        let amounts: Vec<_> = bandwidth.resources.iter().map(|(class, amount)| (*class, *amount)).collect();
        assert_eq!(amounts, [("NET_BW_EGR_KILOBIT_PER_SEC", 200), ("NET_BW_IGR_KILOBIT_PER_SEC", 300)]);
        assert_eq!(packets.required, ["CUSTOM_VNIC_TYPE_DIRECT_PHYSICAL"]);
        assert_eq!(request.same_subtree, [bandwidth.id, packets.id]);
        let tunnel = resource_request(port, "normal", None, &rules).unwrap();
        assert_eq!(tunnel.request_groups[0].required[0], "CUSTOM_NETWORK_TUNNEL_PROVIDER");
        assert_eq!(resource_request(port, "normal", None, &rules[3..]), None);
    }
}
