//! The declarations as an OpenAPI 3.1 description.
//!
//! **What for.** Clients are generated from it, and fuzzers ([schemathesis](https://schemathesis.readthedocs.io)) hold the
//! server to it. It says what the declarations say and nothing else, so that the two cannot drift apart.
//! **In:** [`Resource`]s. **Out:** JSON: [`paths`] and [`schemas`] of a resource, and the parts that all share ([`document`]).
//! **May not:** know of any resource by name, or of routes that are not declared (`api-server` adds its own).

mod operation;
mod schema;

use crate::Resource;
use serde_json::{Map, Value, json};

pub use operation::{Operation, errors, path_parameter, paths};
pub use schema::{of_kind, schemas};

/// A JSON object under construction.
pub type Members = Map<String, Value>;

/// The whole description: `paths` and `schemas` are what resources and routes have contributed.
pub fn document(version: &str, paths: Members, schemas: Members) -> Value {
    let mut components = Members::new();
    components.insert("NeutronError".into(), schema::neutron_error());
    components.insert("IdentityError".into(), schema::identity_error());
    components.extend(schemas);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "OpenStack Networking API v2.0",
            "description": "The Networking API as Neutronium serves it.",
            "version": version,
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {
                "type": "apiKey", "in": "header", "name": "X-Auth-Token", "description": "A Keystone token.",
            }},
            "schemas": components,
        },
    })
}

/// `Port` for `port`, `SecurityGroupRule` for `security_group_rule`.
pub fn type_name(resource: &Resource) -> String {
    let words = resource.name.split('_').filter(|word| !word.is_empty());
    words.map(|word| word[..1].to_ascii_uppercase() + &word[1..]).collect()
}

#[cfg(test)]
mod tests;
