//! QoS rule types: which kinds of rules hosts can realise, and with what values. Every host has Open vSwitch, which knows all.

use crate::{Attribute, Kind, NotFound, Resource, Stored};

/// The ways in which a host realises rules: `[{"name", "supported_parameters"}]`.
macro_rules! drivers {
    ($($parameter:expr),*) => {
        concat!(
            r#"[{"name": "openvswitch", "supported_parameters": ["#,
            drivers!(@list $($parameter),*),
            "]}]"
        )
    };
    (@list $first:expr) => { $first };
    (@list $first:expr, $($rest:expr),*) => { concat!($first, ", ", drivers!(@list $($rest),*)) };
}

/// A parameter with numbers up to the largest that fits into 31 bits.
macro_rules! number {
    ($name:literal) => {
        concat!(
            r#"{"parameter_name": ""#,
            $name,
            r#"", "parameter_values": {"start": 0, "end": 2147483647}, "parameter_type": "range"}"#
        )
    };
}

/// A parameter with a few values.
macro_rules! choice {
    ($name:literal, $values:literal) => {
        concat!(
            r#"{"parameter_name": ""#,
            $name,
            r#"", "parameter_values": "#,
            $values,
            r#", "parameter_type": "choices"}"#
        )
    };
}

/// One row.
macro_rules! rule_type {
    ($name:literal, $($parameter:expr),*) => {
        concat!("SELECT '", $name, "' AS id, '", drivers!($($parameter),*), "' AS drivers")
    };
}

const FROM: &str = concat!(
    "(",
    rule_type!(
        "bandwidth_limit",
        number!("max_kbps"),
        number!("max_burst_kbps"),
        choice!("direction", r#"["ingress", "egress"]"#)
    ),
    " UNION ALL ",
    rule_type!(
        "dscp_marking",
        choice!("dscp_mark", "[0, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 44, 46, 48, 56]")
    ),
    " UNION ALL ",
    rule_type!("minimum_bandwidth", number!("min_kbps"), choice!("direction", r#"["ingress", "egress"]"#)),
    " UNION ALL ",
    rule_type!("minimum_packet_rate", number!("min_kpps"), choice!("direction", r#"["any", "ingress", "egress"]"#)),
    " UNION ALL ",
    rule_type!(
        "packet_rate_limit",
        number!("max_kpps"),
        number!("max_burst_kpps"),
        choice!("direction", r#"["ingress", "egress"]"#)
    ),
    ") AS qos_rule_types"
);

/// See the module.
pub static QOS_RULE_TYPE: Resource = Resource {
    name: "qos_rule_type",
    key: "rule_type",
    collection: "rule_types",
    prefix: "qos",
    not_found: NotFound::new("QosRuleTypeNotFound", "QoS rule type "),
    alias: Some("qos"),
    table: "qos_rule_types",
    from: FROM,
    attributes: &[
        Attribute::new("type", Kind::Text(32), Stored::Text("qos_rule_types.id")),
        Attribute::new("drivers", Kind::Object, Stored::Json("qos_rule_types.drivers"))
            .alone()
            .from_extension("qos-rule-type-details"),
        // All types are supported by all hosts, so that either way of asking finds the same.
        Attribute::new("all_rules", Kind::Boolean, Stored::Nowhere)
            .filter()
            .hidden()
            .from_extension("qos-rule-type-filter"),
        Attribute::new("all_supported", Kind::Boolean, Stored::Nowhere)
            .filter()
            .hidden()
            .from_extension("qos-rule-type-filter"),
    ],
    // The details are about the hosts.
    show_rule: Some("context_is_admin"),
    ..Resource::BASE
};
