//! Paths and operations of a resource.

use super::{Members, type_name};
use crate::Resource;
use serde_json::{Value, json};

/// One operation, built step by step; every operation can be answered with the common refusals.
pub struct Operation(Value);

impl Operation {
    /// `id` is unique in the document (`list_ports`).
    pub fn new(id: &str, summary: &str, tag: &str) -> Self {
        Self(json!({"operationId": id, "summary": summary, "tags": [tag], "parameters": [], "responses": errors()}))
    }

    /// A query parameter.
    pub fn query(mut self, name: &str, schema: Value) -> Self {
        self.parameter(json!({"name": name, "in": "query", "schema": schema}));
        self
    }

    /// A request header.
    pub fn header(mut self, name: &str, description: &str) -> Self {
        self.parameter(json!({"name": name, "in": "header", "description": description, "schema": {"type": "string"}}));
        self
    }

    /// A JSON body.
    pub fn body(mut self, schema: Value) -> Self {
        self.0["requestBody"] = json!({"required": true, "content": {"application/json": {"schema": schema}}});
        self
    }

    /// The answer of a success.
    pub fn answers(mut self, status: u16, description: &str, schema: Value) -> Self {
        self.0["responses"][status.to_string()] =
            json!({"description": description, "content": {"application/json": {"schema": schema}}});
        self
    }

    /// A success without a body.
    pub fn answers_empty(mut self, status: u16, description: &str) -> Self {
        self.0["responses"][status.to_string()] = json!({"description": description});
        self
    }

    /// It needs no token.
    pub fn open(mut self) -> Self {
        self.0["security"] = json!([]);
        self
    }

    /// The finished operation.
    pub fn json(self) -> Value {
        self.0
    }

    fn parameter(&mut self, parameter: Value) {
        if let Some(parameters) = self.0["parameters"].as_array_mut() {
            parameters.push(parameter);
        }
    }
}

/// The answers that any operation may get.
pub fn errors() -> Value {
    let refusal = |description: &str, schema: &str| {
        let schema = json!({"$ref": format!("#/components/schemas/{schema}")});
        json!({"description": description, "content": {"application/json": {"schema": schema}}})
    };
    let refused = |description: &str| refusal(description, "NeutronError");
    json!({
        "400": refused("The request does not fit the declaration or the rules."),
        "401": refusal("No token, or no good one.", "IdentityError"),
        "403": refused("Policy forbids it."),
        "404": refused("There is no such object for this caller."),
        "405": refused("The path has no such method."),
        "409": refused("It is in use, exists already, or a quota is reached."),
        "412": refused("The object has another revision than If-Match wants."),
        "413": refused("The body is too large."),
        "503": refused("The database is busy, full or away: try again."),
    })
}

/// Every path of a resource: the collection, one object, its actions.
pub fn paths(resource: &Resource) -> Members {
    let (key, collection) = (resource.key(), resource.collection);
    let kind = type_name(resource);
    let one = |suffix: &str| envelope(key, reference(&format!("{kind}{suffix}")));
    let tag = plural(resource);
    let operation = |verb: &str, what: &str, summary: &str| Operation::new(&format!("{verb}_{what}"), summary, &tag);
    let fields = || json!({"type": "array", "items": {"type": "string"}});

    let mut list = operation("list", &tag, "List those that the caller may see").query("fields", fields());
    for (filter, schema) in filters(resource) {
        list = list.query(&filter, schema);
    }
    let many = json!({"type": "object", "required": [collection], "properties": {
        collection: {"type": "array", "items": reference(&kind)},
        format!("{collection}_links"): {"type": "array", "items": {"type": "object"}},
    }});
    let mut of_collection = json!({});
    if resource.listed {
        of_collection["get"] = list.answers(200, "The objects.", many.clone()).json();
    }
    if resource.methods.create {
        let several = json!({"type": "object", "required": [collection], "additionalProperties": false, "properties": {
            collection: {"type": "array", "minItems": 1, "items": reference(&format!("{kind}Create"))},
        }});
        let post = operation("create", resource.name, "Make one, or several at once")
            .body(json!({"oneOf": [one("Create"), several]}))
            .answers(201, "What was made.", json!({"oneOf": [one(""), many]}));
        of_collection["post"] = post.json();
    }

    let name = resource.name;
    let show = operation("show", name, "Show one").query("fields", fields());
    let mut of_object = json!({"get": show.answers(200, "The object.", one("")).json()});
    let if_match = "revision_number=N: only if the object still has this revision";
    if resource.methods.update {
        let put = operation("update", name, "Change one").header("If-Match", if_match).body(one("Update"));
        of_object["put"] = put.answers(200, "The object as it now is.", one("")).json();
    }
    if resource.methods.delete {
        let delete = operation("delete", name, "Remove one").header("If-Match", if_match);
        of_object["delete"] = delete.answers_empty(204, "It is gone.").json();
    }

    let base = format!("/v2.0/{}", resource.path());
    let parents = parents(resource);
    let of_one: Vec<Value> = parents.iter().cloned().chain([path_parameter(resource.path_key)]).collect();
    of_object["parameters"] = json!(of_one);
    let object = format!("{base}/{{{}}}", resource.path_key);
    let mut paths = Members::new();
    for action in resource.actions {
        let mut what = operation(action.name, &format!("of_{name}"), "A further request on one").answers(
            200,
            "What the request gives.",
            json!({"type": "object"}),
        );
        if action.method != "GET" {
            what = what.body(json!({"type": "object"}));
        }
        let method = action.method.to_ascii_lowercase();
        paths.insert(format!("{object}/{}", action.name), json!({"parameters": of_one, method: what.json()}));
    }
    if of_collection.as_object().is_some_and(|methods| !methods.is_empty()) {
        of_collection["parameters"] = json!(parents);
        paths.insert(base, of_collection);
    }
    paths.insert(object, of_object);
    paths
}

/// `qos_policies`, `floatingip_port_forwardings`: its words in the path, so that it is unique.
fn plural(resource: &Resource) -> String {
    let inside = resource.inside.as_ref().map(|parent| parent.name);
    [resource.prefix, inside.unwrap_or_default(), resource.collection]
        .iter()
        .filter(|word| !word.is_empty())
        .map(|word| word.replace('-', "_"))
        .collect::<Vec<_>>()
        .join("_")
}

/// The parts of the path that name the objects which a resource is inside of.
fn parents(resource: &Resource) -> Vec<Value> {
    let path = resource.path();
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names.map(path_parameter).collect()
}

/// A part of a path.
pub fn path_parameter(name: &str) -> Value {
    json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}})
}

/// The query parameters of a list, beside `fields`.
fn filters(resource: &Resource) -> Vec<(String, Value)> {
    let texts = || json!({"type": "array", "items": {"type": "string"}});
    let filtered = resource.attributes.iter().filter(|attribute| attribute.filter);
    let mut filters: Vec<(String, Value)> = filtered.map(|attribute| (attribute.name.to_owned(), texts())).collect();
    if resource.is_tagged() {
        filters.extend(["tags", "tags-any", "not-tags", "not-tags-any"].map(|name| (name.to_owned(), texts())));
    }
    if resource.attribute("updated_at").is_some() {
        filters.push(("changed_since".into(), json!({"type": "string", "format": "date-time"})));
    }
    let sorted: Vec<&str> =
        resource.attributes.iter().filter(|attribute| attribute.sort).map(|attribute| attribute.name).collect();
    if !sorted.is_empty() {
        filters.push(("sort_key".into(), json!({"type": "array", "items": {"type": "string", "enum": sorted}})));
        let directions = json!({"type": "array", "items": {"type": "string", "enum": ["asc", "desc"]}});
        filters.push(("sort_dir".into(), directions));
    }
    filters.push(("limit".into(), json!({"type": "integer", "minimum": 0})));
    filters.push(("marker".into(), json!({"type": "string"})));
    filters.push(("page_reverse".into(), json!({"type": "boolean"})));
    filters
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// `{"port": ...}`.
fn envelope(key: &str, schema: Value) -> Value {
    json!({"type": "object", "required": [key], "additionalProperties": false, "properties": {key: schema}})
}
