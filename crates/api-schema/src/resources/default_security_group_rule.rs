//! The rules that a new security group begins with: they belong to nobody, and an administrator makes them.

use super::security_group_rule::{direction, ethertype, port, protocol, remote, remote_ip_prefix};
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
        direction("default_security_group_rules.direction"),
        ethertype("default_security_group_rules.ethertype"),
        protocol("default_security_group_rules.protocol"),
        port("port_range_min", "default_security_group_rules.port_range_min"),
        port("port_range_max", "default_security_group_rules.port_range_max"),
        remote_ip_prefix("default_security_group_rules.remote_ip_prefix"),
        remote("remote_group_id", "default_security_group_rules.remote_group_id"),
        remote("remote_address_group_id", "default_security_group_rules.remote_address_group_id"),
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
