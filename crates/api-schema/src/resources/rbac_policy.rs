//! RBAC policies: entries that let another project, or all of them, use an object that is not theirs.
//!
//! Which objects can be shared, and how, is a table of `network-store` (`rbac/shareable.rs`).

use super::standard;
use crate::{Attribute, Custom, JsonType, Kind, Methods, NotFound, Refusal, Resource, Stored, python_display};
use serde_json::Value;

/// Words are compared without case and the spaces around them; which words are types the rules know.
const OBJECT_TYPE: Custom = Custom {
    name: "type of objects that can be shared",
    json: JsonType::String,
    parse: |value| Ok(python_display(&value).trim().to_lowercase().into()),
};

/// `*` or the id of a project.
const TARGET: Custom = Custom { name: "project id or *", json: JsonType::String, parse: target };

fn target(value: Value) -> Result<Value, Refusal> {
    let text = python_display(&value);
    let plain = text.to_lowercase().replace("urn:", "").replace("uuid:", "").replace(['{', '}', '-'], "");
    if value.is_string() && (text == "*" || plain.len() == 32 && plain.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        return Ok(value);
    }
    Err(Refusal::Conversion(format!("'{text}' is not a valid target project ID; expected a UUID or '*'")))
}

/// See the module.
pub static RBAC_POLICY: Resource = Resource {
    name: "rbac_policy",
    collection: "rbac_policies",
    not_found: NotFound {
        kind: "RbacPolicyNotFound",
        before: "RBAC policy of type unknown with ID ",
        after: " not found",
    },
    alias: Some("rbac-policies"),
    table: "rbac_policies",
    from: "rbac_policies",
    methods: Methods::ALL,
    quota: true,
    attributes: &[
        standard::id("rbac_policies.id"),
        Attribute::new("object_type", Kind::Custom(&OBJECT_TYPE), Stored::Text("rbac_policies.object_type"))
            .required()
            .sort()
            .policy(),
        Attribute::new("object_id", Kind::Uuid, Stored::Text("rbac_policies.object_id")).required().sort().policy(),
        Attribute::new("target_tenant", Kind::Custom(&TARGET), Stored::Text("rbac_policies.target_project"))
            .required()
            .put()
            .sort()
            .policy(),
        standard::project("rbac_policies.project_id"),
        Attribute::new("action", Kind::Text(255), Stored::Text("rbac_policies.action")).required().sort().policy(),
    ],
    ..Resource::BASE
};
