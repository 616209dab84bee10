//! `GET /openapi.json`: the API as it is declared, as OpenAPI 3.1. It needs no token, for it tells nothing of the cloud.
//!
//! Resources come from their declarations. What has routes of its own (quotas, extensions, tags) is described here, beside
//! the routes.

use crate::error::json_response;
use crate::registry;
use api_schema::openapi::{self, Members, Operation, path_parameter};
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
        if rules.resource.is_tagged() {
            paths.extend(tags(&rules.resource.path()));
            // Neutron has the tags of all objects without the prefix of their collection, too.
            if !rules.resource.prefix.is_empty() {
                paths.extend(tags(rules.resource.collection));
            }
        }
    }
    paths.extend(relations());
    paths.extend(quotas());
    paths.extend(auto_topology());
    paths.extend(versions());
    paths.extend(extensions());
    openapi::document(env!("CARGO_PKG_VERSION"), paths, schemas)
}

/// `{"tags": ["red"]}`.
fn tag_list() -> Value {
    json!({"type": "object", "required": ["tags"], "additionalProperties": false, "properties": {
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 255}},
    }})
}

fn tags(path: &str) -> Members {
    let whose = path.replace(['/', '-'], "_");
    let named = |verb: &str, summary: &str| Operation::new(&format!("{verb}_of_{whose}"), summary, "tags");
    let mut paths = Members::new();
    paths.insert(
        format!("/v2.0/{path}/{{id}}/tags"),
        json!({
            "parameters": [path_parameter("id")],
            "get": named("list_tags", "The tags of an object").answers(200, "The tags.", tag_list()).json(),
            "post": named("add_tags", "Add several").body(tag_list()).answers(201, "All tags.", tag_list()).json(),
            "put": named("replace_tags", "Replace all").body(tag_list()).answers(200, "All tags.", tag_list()).json(),
            "delete": named("clear_tags", "Remove all").answers_empty(204, "They are gone.").json(),
        }),
    );
    paths.insert(
        format!("/v2.0/{path}/{{id}}/tags/{{tag}}"),
        json!({
            "parameters": [path_parameter("id"), path_parameter("tag")],
            "get": named("has_tag", "Whether an object has a tag").answers_empty(204, "It has.").json(),
            "put": named("add_tag", "Add one").answers(201, "It has it now.", json!({"type": "null"})).json(),
            "delete": named("remove_tag", "Remove one").answers_empty(204, "It is gone.").json(),
        }),
    );
    paths
}

fn relations() -> Members {
    let mut paths = Members::new();
    for relation in registry::RELATIONS {
        let (of, listed) = (relation.of, relation.resource);
        let named = |verb: &str, summary: &str| {
            let name = format!("{verb}_{}_of_{}", relation.name.replace('-', "_"), of.name);
            Operation::new(&name, summary, of.collection)
        };
        let answer = json!({"type": "object", "required": [listed.collection], "properties": {
            listed.collection: {"type": "array", "items": {"$ref": format!("#/components/schemas/{}", openapi::type_name(listed))}},
        }});
        let list = named("list", "List what belongs to an object").answers(200, "The objects.", answer);
        let mut of_list = json!({"parameters": [path_parameter("id")], "get": list.json()});
        let path = format!("/v2.0/{}/{{id}}/{}", of.path(), relation.name);
        let done = |operation: Operation, answered: bool, status: u16| match answered {
            true => operation.answers(status, "Done.", json!({"type": "null"})).json(),
            false => operation.answers_empty(204, "Done.").json(),
        };
        if let Some(add) = &relation.add {
            let operation = named("add", "Bring two objects together").body(json!({"type": "object"}));
            of_list["post"] = done(operation, add.answered, 201);
        }
        if let Some(remove) = &relation.remove {
            let operation = named("remove", "Part two objects");
            let item = json!({
                "parameters": [path_parameter("id"), path_parameter("other_id")],
                "delete": done(operation, remove.answered, 201),
            });
            paths.insert(format!("{path}/{{other_id}}"), item);
        }
        paths.insert(path, of_list);
    }
    paths
}

fn quotas() -> Members {
    let limits = json!({"type": "object", "properties": {"project_id": {"type": "string"}},
                        "additionalProperties": {"type": "integer", "minimum": -1}});
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
        json!({"parameters": [path_parameter("project_id")], "get": item.json()})
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

fn auto_topology() -> Members {
    let named = |name: &str, summary: &str| Operation::new(name, summary, "auto_allocated_topology");
    let text = || json!({"type": "string"});
    let shown = json!({"type": "object", "required": ["auto_allocated_topology"], "properties": {
        "auto_allocated_topology": {
            "type": "object", "required": ["id", "project_id", "tenant_id"],
            "properties": {"id": text(), "project_id": text(), "tenant_id": {"type": "string", "deprecated": true}},
        },
    }});
    let get = named("get_auto_allocated_topology", "The project's network; it is made if there is none")
        .query(
            "fields",
            json!({"type": "string", "enum": ["dry-run"], "description": "only say whether it could be made"}),
        )
        .answers(200, "The id of the network, or `dry-run=pass`.", shown);
    let delete = named("delete_auto_allocated_topology", "Remove the network and what was made with it")
        .answers_empty(204, "It is gone.");
    let item = json!({"parameters": [path_parameter("project_id")], "get": get.json(), "delete": delete.json()});
    Members::from_iter([("/v2.0/auto-allocated-topology/{project_id}".to_owned(), item)])
}

fn versions() -> Members {
    let named = |name: &str, summary: &str| Operation::new(name, summary, "versions");
    let list = |of: &str| json!({"type": "object", "required": [of], "properties": {of: {"type": "array", "items": {"type": "object"}}}});
    let versions =
        named("list_versions", "The versions of the API").open().answers(200, "The versions.", list("versions"));
    let root = named("list_resources", "What the API has").answers(200, "The resources.", list("resources"));
    Members::from_iter([
        ("/".to_owned(), json!({"get": versions.json()})),
        ("/v2.0/".to_owned(), json!({"get": root.json()})),
    ])
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
    paths.insert(
        "/v2.0/extensions/{alias}".into(),
        json!({"parameters": [path_parameter("alias")], "get": show.json()}),
    );
    paths
}
