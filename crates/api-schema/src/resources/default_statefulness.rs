//! What `stateful` of a new security group is when its request says nothing: per project, or for all.

use super::standard;
use crate::{Attribute, Kind, Literal, Methods, NotFound, Resource, Stored};

/// See the module.
pub static DEFAULT_STATEFULNESS: Resource = Resource {
    name: "security_groups_default_statefulness",
    collection: "security_groups_default_statefulness",
    not_found: NotFound::new("SecurityGroupDefaultStatefulnessNotFound", "Security group default statefulness "),
    alias: Some("security-groups-default-statefulness"),
    table: "security_groups_default_statefulness",
    from: "security_groups_default_statefulness",
    methods: Methods::ALL,
    attributes: &[
        standard::id("security_groups_default_statefulness.id"),
        // Null: for every project that has no setting of its own.
        Attribute::new("project_id", Kind::Text(255), Stored::Text("security_groups_default_statefulness.project_id"))
            .nullable()
            .optional()
            .sort(),
        Attribute::new("stateful", Kind::Boolean, Stored::Boolean("security_groups_default_statefulness.stateful"))
            .default(Literal::Bool(true))
            .put()
            .sort(),
    ],
    ..Resource::BASE
};
