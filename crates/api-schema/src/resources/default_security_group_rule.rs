//! The rules that a new security group begins with: they belong to nobody, and an administrator makes them.

use super::security_group_rule::{ETHERTYPE, PORT_NUMBER, PREFIX, PROTOCOL};
use super::standard;
use crate::{Attribute, Kind, Literal, Methods, NotFound, Resource, Stored};

/// See the module.
pub static DEFAULT_SECURITY_GROUP_RULE: Resource = Resource {
    name: "default_security_group_rule",
    collection: "default_security_group_rules",
    not_found: NotFound {
        kind: "DefaultSecurityGroupRuleNotFound",
        before: "Default Security Group rule ",
        after: " does not exist",
    },
    alias: Some("security-groups-default-rules"),
    table: "default_security_group_rules",
    from: "default_security_group_rules",
    methods: Methods { create: true, update: false, delete: true },
    attributes: &[
        standard::id("default_security_group_rules.id"),
        // A request may name a project, which means nothing.
        Attribute::new("project_id", Kind::Text(255), Stored::Nowhere).optional().hidden(),
        Attribute::new(
            "direction",
            Kind::Words(&["ingress", "egress"]),
            Stored::Text("default_security_group_rules.direction"),
        )
        .required()
        .sort(),
        Attribute::new("ethertype", Kind::Custom(&ETHERTYPE), Stored::Text("default_security_group_rules.ethertype"))
            .default(Literal::Text("IPv4"))
            .sort(),
        Attribute::new("protocol", Kind::Custom(&PROTOCOL), Stored::Text("default_security_group_rules.protocol"))
            .nullable()
            .default(Literal::Null)
            .sort(),
        Attribute::new(
            "port_range_min",
            Kind::Custom(&PORT_NUMBER),
            Stored::Integer("default_security_group_rules.port_range_min"),
        )
        .nullable()
        .default(Literal::Null)
        .sort(),
        Attribute::new(
            "port_range_max",
            Kind::Custom(&PORT_NUMBER),
            Stored::Integer("default_security_group_rules.port_range_max"),
        )
        .nullable()
        .default(Literal::Null)
        .sort(),
        Attribute::new(
            "remote_ip_prefix",
            Kind::Custom(&PREFIX),
            Stored::Text("default_security_group_rules.remote_ip_prefix"),
        )
        .nullable()
        .default(Literal::Null)
        .sort(),
        Attribute::new("remote_group_id", Kind::Text(36), Stored::Text("default_security_group_rules.remote_group_id"))
            .nullable()
            .default(Literal::Null)
            .sort(),
        Attribute::new(
            "remote_address_group_id",
            Kind::Text(36),
            Stored::Text("default_security_group_rules.remote_address_group_id"),
        )
        .nullable()
        .default(Literal::Null)
        .sort(),
        Attribute::new("description", Kind::Text(255), Stored::Text("default_security_group_rules.description"))
            .default(Literal::Text(""))
            .filter(),
        Attribute::new(
            "used_in_default_sg",
            Kind::Boolean,
            Stored::Boolean("default_security_group_rules.used_in_default_sg"),
        )
        .required()
        .filter(),
        Attribute::new(
            "used_in_non_default_sg",
            Kind::Boolean,
            Stored::Boolean("default_security_group_rules.used_in_non_default_sg"),
        )
        .required()
        .filter(),
    ],
    ..Resource::BASE
};
