//! Attributes that many resources have in the same form.

use crate::{Attribute, Children, Kind, Literal, Sharing, Stored};

/// `id`.
pub const fn id(column: &'static str) -> Attribute {
    Attribute::new("id", Kind::Uuid, Stored::Text(column)).sort()
}

/// `project_id`, shown as `tenant_id` too.
pub const fn project(column: &'static str) -> Attribute {
    Attribute::new("project_id", Kind::Text(255), Stored::Text(column)).optional().sort()
}

/// `name`, empty by default.
pub const fn name(column: &'static str) -> Attribute {
    Attribute::new("name", Kind::Name(255), Stored::Text(column)).default(Literal::Text("")).put().sort()
}

/// `description`, empty by default.
pub const fn description(column: &'static str) -> Attribute {
    Attribute::new("description", Kind::Text(255), Stored::Text(column))
        .default(Literal::Text(""))
        .put()
        .filter()
        .from_extension("standard-attr-description")
}

/// `admin_state_up`, true by default.
pub const fn admin_state_up(column: &'static str) -> Attribute {
    Attribute::new("admin_state_up", Kind::Boolean, Stored::Boolean(column)).default(Literal::Bool(true)).put().sort()
}

/// `status`, never written by clients.
pub const fn status(column: &'static str) -> Attribute {
    Attribute::new("status", Kind::Text(16), Stored::Text(column)).sort()
}

/// `qos_policy_id`: which QoS policy it has.
pub const fn qos_policy_id(column: &'static str, alias: &'static str) -> Attribute {
    Attribute::new("qos_policy_id", Kind::Uuid, Stored::Text(column))
        .nullable()
        .default(Literal::Null)
        .put()
        .policy()
        .from_extension(alias)
}

/// `tags`; `id` is the column of the object's id.
pub const fn tags() -> Attribute {
    const TAGS: Children = Children { table: "tags", owner: "object_id", fields: &[("", "tag")], order: "tag" };
    Attribute::new("tags", Kind::TextList(255), Stored::Children(TAGS))
}

/// `revision_number`.
pub const fn revision(column: &'static str) -> Attribute {
    Attribute::new("revision_number", Kind::NonNegative, Stored::Integer(column))
        .sort()
        .from_extension("standard-attr-revisions")
}

/// `created_at`.
pub const fn created_at(column: &'static str) -> Attribute {
    Attribute::new("created_at", Kind::Text(32), Stored::Time(column)).sort().from_extension("standard-attr-timestamp")
}

/// `updated_at`.
pub const fn updated_at(column: &'static str) -> Attribute {
    Attribute::new("updated_at", Kind::Text(32), Stored::Time(column)).sort().from_extension("standard-attr-timestamp")
}

/// `shared`, of objects that other projects can be let use by `/v2.0/rbac-policies`: whether they are shared with the caller.
/// `object` is the column of the object's id. Where a request may say it, add `.default(Literal::Bool(false)).policy()`.
pub const fn shared(object: &'static str) -> Attribute {
    let sharing = Sharing { object, actions: &["access_as_shared"] };
    Attribute::new("shared", Kind::Boolean, Stored::Shared(sharing)).filter()
}
