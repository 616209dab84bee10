//! Rules of QoS policies, one resource a kind: they stand inside their policy's path, and most of them in a path of their own
//! too, for clients that do not know the policy (`alias_...`). All are rows of one table.

use super::standard;
use crate::{Attribute, Kind, Literal, Methods, NotFound, Parent, Resource, Stored};
use network_model::qos::DSCP_MARKS;

const POLICY: Parent =
    Parent { name: "qos_policy", attribute: "qos_policy_id", column: "qos_rule.qos_policy_id", table: "qos_policies" };

const ID: Attribute = standard::id("qos_rule.id");
/// What a policy shows of its rules besides.
const POLICY_ID: Attribute =
    Attribute::new("qos_policy_id", Kind::Uuid, Stored::Text("qos_rule.qos_policy_id")).nested();
const TYPE: Attribute = Attribute::new("type", Kind::Text(32), Stored::Text("qos_rule.kind")).nested();

const fn rate(name: &'static str) -> Attribute {
    Attribute::new(name, Kind::Range(0, i32::MAX as i64), Stored::Integer("qos_rule.rate")).required().put().sort()
}

const fn burst(name: &'static str) -> Attribute {
    Attribute::new(name, Kind::Range(0, i32::MAX as i64), Stored::Integer("qos_rule.burst"))
        .default(Literal::Integer(0))
        .put()
        .sort()
}

const fn direction(directions: &'static [&'static str], alias: &'static str) -> Attribute {
    Attribute::new("direction", Kind::Words(directions), Stored::Text("qos_rule.direction"))
        .default(Literal::Text("egress"))
        .put()
        .sort()
        .from_extension(alias)
}

const MARK: Attribute =
    Attribute::new("dscp_mark", Kind::Numbers(DSCP_MARKS), Stored::Integer("qos_rule.rate")).required().put().sort();

const BANDWIDTH_LIMIT: &[Attribute] = &[
    ID,
    rate("max_kbps"),
    burst("max_burst_kbps"),
    direction(&["ingress", "egress"], "qos-bw-limit-direction"),
    POLICY_ID,
    TYPE,
];
const DSCP_MARKING: &[Attribute] = &[ID, MARK, POLICY_ID, TYPE];
const MINIMUM_BANDWIDTH: &[Attribute] =
    &[ID, rate("min_kbps"), direction(&["ingress", "egress"], "qos-bw-minimum-ingress"), POLICY_ID, TYPE];
const MINIMUM_PACKET_RATE: &[Attribute] =
    &[ID, rate("min_kpps"), direction(&["any", "ingress", "egress"], "qos-pps-minimum"), POLICY_ID, TYPE];
const PACKET_RATE_LIMIT: &[Attribute] =
    &[ID, rate("max_kpps"), burst("max_burst_kpps"), direction(&["ingress", "egress"], "qos-pps"), POLICY_ID, TYPE];

/// What all kinds have in common.
const RULE: Resource = Resource {
    not_found: NotFound {
        kind: "QosRuleNotFound",
        before: "QoS rule ",
        after: " for policy {parent} could not be found.",
    },
    table: "qos_rule",
    ..Resource::BASE
};

/// A rule inside its policy.
macro_rules! rule {
    ($NAME:ident, $kind:literal, $alias:literal, $attributes:expr) => {
        /// See the module.
        pub static $NAME: Resource = Resource {
            name: concat!("qos_", $kind, "_rule"),
            key: concat!($kind, "_rule"),
            rule: concat!("policy_", $kind, "_rule"),
            collection: concat!($kind, "_rules"),
            inside: Some(POLICY),
            alias: Some($alias),
            from: concat!("(SELECT * FROM qos_rules WHERE kind = '", $kind, "') AS qos_rule"),
            methods: Methods::ALL,
            attributes: $attributes,
            ..RULE
        };
    };
}

/// The same rule without its policy's path: known by its id, neither listed nor made.
macro_rules! rule_alias {
    ($NAME:ident, $kind:literal, $alias:literal, $attributes:expr) => {
        /// See the module.
        pub static $NAME: Resource = Resource {
            name: concat!("alias_", $kind, "_rule"),
            collection: concat!("alias_", $kind, "_rules"),
            prefix: "qos",
            parents: &[POLICY],
            alias: Some($alias),
            from: concat!("(SELECT * FROM qos_rules WHERE kind = '", $kind, "') AS qos_rule"),
            methods: Methods { create: false, update: true, delete: true },
            listed: false,
            attributes: $attributes,
            ..RULE
        };
    };
}

rule!(QOS_BANDWIDTH_LIMIT_RULE, "bandwidth_limit", "qos", BANDWIDTH_LIMIT);
rule!(QOS_DSCP_MARKING_RULE, "dscp_marking", "qos", DSCP_MARKING);
rule!(QOS_MINIMUM_BANDWIDTH_RULE, "minimum_bandwidth", "qos", MINIMUM_BANDWIDTH);
rule!(QOS_MINIMUM_PACKET_RATE_RULE, "minimum_packet_rate", "qos-pps-minimum", MINIMUM_PACKET_RATE);
rule!(QOS_PACKET_RATE_LIMIT_RULE, "packet_rate_limit", "qos-pps", PACKET_RATE_LIMIT);
rule_alias!(ALIAS_BANDWIDTH_LIMIT_RULE, "bandwidth_limit", "qos-rules-alias", BANDWIDTH_LIMIT);
rule_alias!(ALIAS_DSCP_MARKING_RULE, "dscp_marking", "qos-rules-alias", DSCP_MARKING);
rule_alias!(ALIAS_MINIMUM_BANDWIDTH_RULE, "minimum_bandwidth", "qos-rules-alias", MINIMUM_BANDWIDTH);
rule_alias!(ALIAS_MINIMUM_PACKET_RATE_RULE, "minimum_packet_rate", "qos-pps-minimum-rule-alias", MINIMUM_PACKET_RATE);
