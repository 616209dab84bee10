//! Security groups: what reaches a port, and what leaves it.

use super::standard;
use crate::{Attribute, Kind, Literal, Methods, Nested, NotFound, Resource, Stored};

/// See the module.
pub static SECURITY_GROUP: Resource = Resource {
    name: "security_group",
    collection: "security_groups",
    not_found: NotFound { kind: "SecurityGroupNotFound", before: "Security group ", after: " does not exist" },
    alias: Some("security-group"),
    table: "security_groups",
    from: "security_groups",
    parents: &[],
    methods: Methods::ALL,
    actions: &[],
    quota: true,
    attributes: &[
        standard::id("security_groups.id"),
        // The name `default` is refused by the rules, since that is a conflict and not a mistake.
        Attribute::new("name", Kind::Text(255), Stored::Text("security_groups.name"))
            .default(Literal::Text(""))
            .put()
            .sort(),
        standard::project("security_groups.project_id"),
        standard::description("security_groups.description"),
        Attribute::new("stateful", Kind::Boolean, Stored::Boolean("security_groups.stateful"))
            .optional()
            .put()
            .filter()
            .from_extension("stateful-security-group"),
        standard::shared("security_groups.id").from_extension("security-groups-shared-filtering"),
        Attribute::new(
            "security_group_rules",
            Kind::Object,
            Stored::Nested(Nested {
                resource: "security_group_rule",
                owner: "security_group_rules.security_group_id",
                order: "security_group_rules.id",
            }),
        ),
        standard::tags(),
        standard::created_at("security_groups.created_at"),
        standard::updated_at("security_groups.updated_at"),
        standard::revision("security_groups.revision_number"),
    ],
    ..Resource::BASE
};
