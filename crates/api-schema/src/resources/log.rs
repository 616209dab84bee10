//! Logs: which packets of security groups hosts shall write down, and of what such can be asked.

use super::standard;
use crate::{Attribute, Kind, Literal, Methods, NotFound, Resource, Stored};

/// See the module.
pub static LOG: Resource = Resource {
    name: "log",
    collection: "logs",
    prefix: "log",
    not_found: NotFound::new("LogResourceNotFound", "Log resource "),
    alias: Some("logging"),
    table: "logs",
    from: "logs",
    methods: Methods::ALL,
    attributes: &[
        standard::id("logs.id"),
        standard::project("logs.project_id"),
        standard::name("logs.name"),
        standard::description("logs.description"),
        Attribute::new("resource_type", Kind::Text(255), Stored::Text("logs.resource_type")).required().sort(),
        Attribute::new("resource_id", Kind::Uuid, Stored::Text("logs.resource_id"))
            .nullable()
            .default(Literal::Null)
            .sort(),
        Attribute::new("target_id", Kind::Uuid, Stored::Text("logs.target_id"))
            .nullable()
            .default(Literal::Null)
            .sort(),
        Attribute::new("event", Kind::Words(&["ACCEPT", "DROP", "ALL"]), Stored::Text("logs.event"))
            .default(Literal::Text("ALL"))
            .filter(),
        Attribute::new("enabled", Kind::Boolean, Stored::Boolean("logs.enabled"))
            .default(Literal::Bool(true))
            .put()
            .sort(),
        standard::created_at("logs.created_at"),
        standard::updated_at("logs.updated_at"),
        standard::revision("logs.revision_number"),
    ],
    ..Resource::BASE
};

/// Of what packets can be logged: those that security groups let pass or not.
pub static LOGGABLE_RESOURCE: Resource = Resource {
    name: "loggable_resource",
    collection: "loggable_resources",
    prefix: "log",
    not_found: NotFound::new("LoggableResourceNotFound", "Loggable resource "),
    alias: Some("logging"),
    table: "loggable_resources",
    from: "(SELECT 'security_group' AS id) AS loggable_resources",
    attributes: &[Attribute::new("type", Kind::Text(255), Stored::Text("loggable_resources.id"))],
    ..Resource::BASE
};
