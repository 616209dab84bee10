//! Security group rules: each lets some traffic through. They are made and removed, never changed.

use super::standard;
use crate::{
    Attribute, Custom, JsonType, Kind, Literal, Methods, NotFound, Parent, Refusal, Resource, Stored, python_display,
};
use network_model::{ModelError, security_group};
use serde_json::Value;

static PROTOCOL: Custom = Custom {
    name: "IP protocol",
    json: JsonType::String,
    parse: |value| match &value {
        Value::Null => Ok(Value::Null),
        // Python takes a truth value for a number here.
        Value::Bool(flag) => parse_protocol(if *flag { "1" } else { "0" }),
        other => parse_protocol(&python_display(other)),
    },
};
static ETHERTYPE: Custom = Custom {
    name: "ethertype",
    json: JsonType::String,
    parse: |value| {
        let read = python_display(&value).parse::<security_group::Ethertype>();
        read.map(|ethertype| ethertype.as_str().into()).map_err(named)
    },
};
static PORT_NUMBER: Custom = Custom {
    name: "port number, ICMP type or ICMP code",
    json: JsonType::Integer,
    parse: |value| security_group::parse_port(&python_display(&value)).map(Value::from).map_err(named),
};
static PREFIX: Custom = Custom {
    name: "IP prefix",
    json: JsonType::String,
    parse: |value| match value.as_str() {
        // An empty text is no prefix.
        Some("") => Ok(Value::Null),
        _ => {
            let net = security_group::parse_prefix(&python_display(&value));
            net.map(|net| net.to_string().into()).map_err(named)
        }
    },
};

fn parse_protocol(text: &str) -> Result<Value, Refusal> {
    security_group::parse_protocol(text).map(|name| name.map_or(Value::Null, Value::String)).map_err(named)
}

fn named(error: ModelError) -> Refusal {
    Refusal::Named(error.type_name(), error.to_string())
}

// What a rule lets through, as the rules that new groups begin with say it too.

/// `direction`.
pub(super) const fn direction(column: &'static str) -> Attribute {
    Attribute::new("direction", Kind::Words(&["ingress", "egress"]), Stored::Text(column)).required().sort()
}

/// `ethertype`, IPv4 by default.
pub(super) const fn ethertype(column: &'static str) -> Attribute {
    Attribute::new("ethertype", Kind::Custom(&ETHERTYPE), Stored::Text(column)).default(Literal::Text("IPv4")).sort()
}

/// `protocol`; null: any.
pub(super) const fn protocol(column: &'static str) -> Attribute {
    Attribute::new("protocol", Kind::Custom(&PROTOCOL), Stored::Text(column)).nullable().default(Literal::Null).sort()
}

/// One end of the range of ports, or an ICMP type or code.
pub(super) const fn port(name: &'static str, column: &'static str) -> Attribute {
    Attribute::new(name, Kind::Custom(&PORT_NUMBER), Stored::Integer(column)).nullable().default(Literal::Null).sort()
}

/// `remote_ip_prefix`; null: from or to everywhere.
pub(super) const fn remote_ip_prefix(column: &'static str) -> Attribute {
    Attribute::new("remote_ip_prefix", Kind::Custom(&PREFIX), Stored::Text(column))
        .nullable()
        .default(Literal::Null)
        .sort()
}

/// A group whose members are meant. No UUID kind: what is none is a group that does not exist.
pub(super) const fn remote(name: &'static str, column: &'static str) -> Attribute {
    Attribute::new(name, Kind::Text(36), Stored::Text(column)).nullable().default(Literal::Null).sort()
}

/// See the module.
pub static SECURITY_GROUP_RULE: Resource = Resource {
    name: "security_group_rule",
    collection: "security_group_rules",
    not_found: NotFound { kind: "SecurityGroupRuleNotFound", before: "Security group rule ", after: " does not exist" },
    alias: Some("security-group"),
    table: "security_group_rules",
    from: "security_group_rules
           JOIN security_groups AS their_group ON their_group.id = security_group_rules.security_group_id",
    parents: &[Parent {
        name: "security_group",
        attribute: "security_group_id",
        column: "security_group_rules.security_group_id",
        table: "security_groups",
    }],
    methods: Methods { create: true, update: false, delete: true },
    actions: &[],
    quota: true,
    attributes: &[
        standard::id("security_group_rules.id"),
        standard::project("security_group_rules.project_id"),
        // Not a UUID kind: what is no UUID is a group that does not exist.
        Attribute::new("security_group_id", Kind::Text(36), Stored::Text("security_group_rules.security_group_id"))
            .required()
            .sort(),
        direction("security_group_rules.direction"),
        ethertype("security_group_rules.ethertype"),
        protocol("security_group_rules.protocol"),
        port("port_range_min", "security_group_rules.port_range_min"),
        port("port_range_max", "security_group_rules.port_range_max"),
        remote_ip_prefix("security_group_rules.remote_ip_prefix"),
        remote("remote_group_id", "security_group_rules.remote_group_id"),
        remote("remote_address_group_id", "security_group_rules.remote_address_group_id")
            .from_extension("security-groups-remote-address-group"),
        Attribute::new("normalized_cidr", Kind::Cidr, Stored::Text("security_group_rules.normalized_cidr"))
            .from_extension("security-groups-normalized-cidr"),
        Attribute::new("belongs_to_default_sg", Kind::Boolean, Stored::Boolean("their_group.is_default"))
            .filter()
            .from_extension("security-groups-rules-belongs-to-default-sg"),
        Attribute::new("description", Kind::Text(255), Stored::Text("security_group_rules.description"))
            .default(Literal::Text(""))
            .filter()
            .from_extension("standard-attr-description"),
        // They have no tags, and Neutron says so in new groups.
        Attribute::new("tags", Kind::TextList(255), Stored::Constant(Literal::EmptyList)).nested_when_new(),
        standard::created_at("security_group_rules.created_at"),
        standard::updated_at("security_group_rules.updated_at"),
        standard::revision("security_group_rules.revision_number"),
    ],
    ..Resource::BASE
};
