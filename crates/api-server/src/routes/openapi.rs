//! `GET /openapi.json`: the API as it is declared, as OpenAPI 3.1. It needs no token, for it tells nothing of the cloud.
//!
//! Resources come from their declarations. What has routes of its own (quotas, extensions, tags) is described here, beside
//! the routes.

use crate::error::json_response;
use crate::registry;
use api_schema::openapi::{self, Members, Operation};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use std::sync::LazyLock;

static DOCUMENT: LazyLock<Vec<u8>> = LazyLock::new(|| document().to_string().into_bytes());

/// The answer.
pub async fn show() -> Response {
    json_response(StatusCode::OK, DOCUMENT.clone())
}

/// The whole description.
pub fn document() -> Value {
    let mut paths = Members::new();
    let mut schemas = Members::new();
    for rules in registry::all() {
        paths.extend(openapi::paths(rules.resource));
        schemas.extend(openapi::schemas(rules.resource));
        if rules.resource.attribute("tags").is_some() {
            paths.extend(tags(rules.resource.collection, &rules.resource.path()));
        }
    }
    paths.extend(relations());
    paths.extend(quotas());
    paths.extend(extensions());
    openapi::document(env!("CARGO_PKG_VERSION"), paths, schemas)
}

fn parameter(name: &str) -> Value {
    json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}})
}

/// `{"tags": ["red"]}`.
fn tag_list() -> Value {
    json!({"type": "object", "required": ["tags"], "additionalProperties": false, "properties": {
        "tags": {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 255}},
    }})
}

fn tags(collection: &str, path: &str) -> Members {
    let named = |verb: &str, summary: &str| Operation::new(&format!("{verb}_of_{collection}"), summary, "tags");
    let mut paths = Members::new();
    paths.insert(
        format!("/v2.0/{path}/{{id}}/tags"),
        json!({
            "parameters": [parameter("id")],
            "get": named("list_tags", "The tags of an object").answers(200, "The tags.", tag_list()).json(),
            "post": named("add_tags", "Add several").body(tag_list()).answers(201, "All tags.", tag_list()).json(),
            "put": named("replace_tags", "Replace all").body(tag_list()).answers(200, "All tags.", tag_list()).json(),
            "delete": named("clear_tags", "Remove all").answers_empty(204, "They are gone.").json(),
        }),
    );
    paths.insert(
        format!("/v2.0/{path}/{{id}}/tags/{{tag}}"),
        json!({
            "parameters": [parameter("id"), parameter("tag")],
            "get": named("has_tag", "Whether an object has a tag").answers_empty(204, "It has.").json(),
            "put": named("add_tag", "Add one").answers(201, "It has it now.", json!({"type": "null"})).json(),
            "delete": named("remove_tag", "Remove one").answers_empty(204, "It is gone.").json(),
        }),
    );
    paths
}

fn relations() -> Members {
    let described = registry::RELATIONS.iter().map(|relation| {
        let name = format!("list_{}_of_{}", relation.name.replace('-', "_"), relation.of.name);
        let kind = openapi::type_name(relation.resource);
        let collection = relation.resource.collection;
        let answer = json!({"type": "object", "required": [collection], "properties": {
            collection: {"type": "array", "items": {"$ref": format!("#/components/schemas/{kind}")}},
        }});
        let list = Operation::new(&name, "List what belongs to an object", relation.of.collection);
        let item = json!({
            "parameters": [parameter("id")],
            "get": list.answers(200, "The objects.", answer).json(),
        });
        (format!("/v2.0/{}/{{id}}/{}", relation.of.path(), relation.name), item)
    });
    described.collect()
}

fn quotas() -> Members {
    let limits = json!({"type": "object", "additionalProperties": {"type": "integer", "minimum": -1}});
    let quota = json!({"type": "object", "required": ["quota"], "properties": {"quota": limits}});
    let body = json!({"type": "object", "required": ["quota"], "additionalProperties": false, "properties": {
        "quota": {"type": "object", "additionalProperties": {"type": "integer", "minimum": -1, "maximum": i32::MAX}},
    }});
    let named = |name: &str, summary: &str| Operation::new(name, summary, "quotas");
    let many = json!({"type": "object", "required": ["quotas"], "properties": {
        "quotas": {"type": "array", "items": {"type": "object"}},
    }});
    let of_project = |name: &str, summary: &str, answer: Value| {
        let item = named(name, summary).answers(200, "The limits, -1 being none.", answer);
        json!({"parameters": [parameter("project_id")], "get": item.json()})
    };
    let details = json!({"type": "object", "required": ["quota"], "properties": {"quota": {"type": "object"}}});
    let mut item = of_project("show_quota", "The limits of a project", quota.clone());
    item["put"] = named("update_quota", "Change limits").body(body).answers(200, "All limits.", quota.clone()).json();
    item["delete"] = named("reset_quota", "Back to the defaults").answers_empty(204, "Done.").json();
    let mut paths = Members::new();
    let list = named("list_quotas", "The projects that have limits of their own").answers(200, "Their limits.", many);
    paths.insert("/v2.0/quotas".into(), json!({"get": list.json()}));
    paths.insert("/v2.0/quotas/{project_id}".into(), item);
    paths.insert(
        "/v2.0/quotas/{project_id}/default".into(),
        of_project("show_default_quota", "The default limits", quota),
    );
    paths.insert(
        "/v2.0/quotas/{project_id}/details.json".into(),
        of_project("show_quota_details", "Limits, and what is used and reserved of them", details),
    );
    paths
}

fn extensions() -> Members {
    let extension = json!({"type": "object", "required": ["alias", "name", "description", "updated", "links"]});
    let named = |name: &str, summary: &str| Operation::new(name, summary, "extensions");
    let many = json!({"type": "object", "required": ["extensions"], "properties": {
        "extensions": {"type": "array", "items": extension},
    }});
    let one = json!({"type": "object", "required": ["extension"], "properties": {"extension": extension}});
    let mut paths = Members::new();
    let list = named("list_extensions", "What this server can do").answers(200, "The extensions.", many);
    paths.insert("/v2.0/extensions".into(), json!({"get": list.json()}));
    let show = named("show_extension", "One extension").answers(200, "The extension.", one);
    paths.insert("/v2.0/extensions/{alias}".into(), json!({"parameters": [parameter("alias")], "get": show.json()}));
    paths
}
