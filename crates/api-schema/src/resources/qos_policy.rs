//! QoS policies: named sets of rules that networks, ports, router gateways and floating IPs can have.

use super::standard;
use crate::{Attribute, Kind, Literal, Methods, Nested, NotFound, Resource, Stored};

/// The rules of a policy, by kind.
const RULES: &[Nested] = &[
    of_kind("qos_bandwidth_limit_rule"),
    of_kind("qos_dscp_marking_rule"),
    of_kind("qos_minimum_bandwidth_rule"),
    of_kind("qos_minimum_packet_rate_rule"),
    of_kind("qos_packet_rate_limit_rule"),
];

const fn of_kind(resource: &'static str) -> Nested {
    Nested { resource, owner: "qos_rule.qos_policy_id", order: "qos_rule.id" }
}

/// See the module.
pub static QOS_POLICY: Resource = Resource {
    name: "qos_policy",
    key: "policy",
    collection: "policies",
    prefix: "qos",
    not_found: NotFound::new("QosPolicyNotFound", "QoS policy "),
    alias: Some("qos"),
    table: "qos_policies",
    from: "qos_policies",
    methods: Methods::ALL,
    attributes: &[
        standard::id("qos_policies.id"),
        standard::name("qos_policies.name"),
        standard::description("qos_policies.description"),
        standard::shared("qos_policies.id").default(Literal::Bool(false)).put(),
        standard::project("qos_policies.project_id"),
        Attribute::new("rules", Kind::Object, Stored::NestedEach(RULES)),
        Attribute::new("is_default", Kind::Boolean, Stored::Boolean("qos_policies.is_default"))
            .default(Literal::Bool(false))
            .put()
            .filter()
            .from_extension("qos-default"),
        standard::tags(),
        standard::created_at("qos_policies.created_at"),
        standard::updated_at("qos_policies.updated_at"),
        standard::revision("qos_policies.revision_number"),
    ],
    ..Resource::BASE
};
