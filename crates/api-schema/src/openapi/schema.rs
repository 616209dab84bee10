//! JSON schemas of a resource: what is shown, what a POST takes, what a PUT takes.

use super::{Members, type_name};
use crate::attribute::{Attribute, Null, Post, Stored, Visible};
use crate::body::literal;
use crate::kind::{JsonType, Kind};
use crate::{Literal, Resource};
use serde_json::{Value, json};

/// `Port` (as shown), `PortCreate`, `PortUpdate`.
pub fn schemas(resource: &Resource) -> Members {
    let name = type_name(resource);
    let mut schemas = Members::new();
    schemas.insert(name.clone(), shown(resource));
    if resource.methods.create {
        schemas.insert(format!("{name}Create"), request(resource, |attribute| attribute.post != Post::Refused, true));
    }
    if resource.methods.update {
        schemas.insert(format!("{name}Update"), request(resource, |attribute| attribute.put, false));
    }
    schemas
}

/// No member is required: `fields` leaves out what was not asked for, and policy hides what the caller may not see.
fn shown(resource: &Resource) -> Value {
    let mut members = Members::new();
    for attribute in resource.attributes.iter().filter(|attribute| attribute.visible != Visible::Never) {
        if attribute.stored != Stored::Nowhere {
            members.insert(attribute.name.to_owned(), or_null(json_type(attribute)));
        }
    }
    if members.contains_key("project_id") {
        members.insert("tenant_id".into(), json!({"type": ["string", "null"], "deprecated": true}));
    }
    json!({"type": "object", "properties": members})
}

fn json_type(attribute: &Attribute) -> Value {
    // What is shown is not checked again; its JSON type is what clients rely on.
    match attribute.stored {
        Stored::Children(_) | Stored::Derived(_) | Stored::Nested(_) | Stored::NestedEach(_) => {
            json!({"type": "array"})
        }
        Stored::ChildrenIf(..) => json!({"type": ["array", "null"]}),
        Stored::Object(_) => json!({"type": "object"}),
        Stored::Computed(json) => json!({"type": type_word(json)}),
        _ => json!({"type": type_word(attribute.kind.json())}),
    }
}

/// JSON Schema's word.
fn type_word(json: JsonType) -> &'static str {
    match json {
        JsonType::Boolean => "boolean",
        JsonType::Integer => "integer",
        JsonType::String => "string",
        JsonType::Array => "array",
        JsonType::Object => "object",
    }
}

fn request(resource: &Resource, takes: impl Fn(&Attribute) -> bool, create: bool) -> Value {
    let mut members = Members::new();
    let mut required = Vec::new();
    for attribute in resource.attributes.iter().filter(|attribute| takes(attribute)) {
        let mut schema = of_kind(&attribute.kind);
        if attribute.null != Null::Refused || matches!(attribute.post, Post::Default(Literal::Null)) {
            schema = or_null(schema);
        }
        if let (true, Post::Default(default)) = (create, attribute.post) {
            schema["default"] = literal(default);
        }
        if create && attribute.post == Post::Required {
            required.push(attribute.name);
        }
        members.insert(attribute.name.to_owned(), schema);
    }
    if let (true, Some(project)) = (create, members.get("project_id").cloned()) {
        members.insert("tenant_id".into(), project);
    }
    let mut schema = json!({"type": "object", "properties": members, "additionalProperties": false});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// Null, too.
fn or_null(mut schema: Value) -> Value {
    match schema.get("type").cloned() {
        Some(Value::String(one)) => schema["type"] = json!([one, "null"]),
        _ => return json!({"anyOf": [schema, {"type": "null"}]}),
    }
    if let Some(Value::Array(words)) = schema.get_mut("enum") {
        words.push(Value::Null);
    }
    schema
}

/// What values a kind takes, in their canonical form. (Many kinds take other forms too, `"true"` for true, as Neutron does;
/// a description that clients are made from says the right one.)
pub fn of_kind(kind: &Kind) -> Value {
    match kind {
        Kind::Boolean => json!({"type": "boolean"}),
        Kind::NonNegative => json!({"type": "integer", "minimum": 0}),
        Kind::Range(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
        Kind::Numbers(numbers) => json!({"type": "integer", "enum": numbers}),
        Kind::Text(most) | Kind::Name(most) => json!({"type": "string", "maxLength": most}),
        Kind::Words(words) => json!({"type": "string", "enum": words}),
        Kind::Uuid => uuid(),
        Kind::UuidList => json!({"type": "array", "items": uuid(), "uniqueItems": true}),
        Kind::IpAddress => address(),
        Kind::Cidr => json!({"type": "string", "description": "address/prefix length", "examples": ["192.0.2.0/24"]}),
        Kind::MacOrGenerate => {
            json!({"type": ["string", "null"], "description": "EUI-48, or null to have one made", "examples": ["fa:16:3e:00:00:01"]})
        }
        Kind::Object => json!({"type": "object"}),
        Kind::AllocationPools => list_of(&[("start", address()), ("end", address())], &["start", "end"]),
        Kind::Nameservers => json!({"type": "array", "items": address(), "uniqueItems": true}),
        Kind::HostRoutes => {
            list_of(&[("destination", of_kind(&Kind::Cidr)), ("nexthop", address())], &["destination", "nexthop"])
        }
        Kind::FixedIps => list_of(&[("subnet_id", uuid()), ("ip_address", address())], &[]),
        Kind::AddressPairs => list_of(
            &[("ip_address", json!({"type": "string"})), ("mac_address", of_kind(&Kind::MacOrGenerate))],
            &["ip_address"],
        ),
        Kind::ZoneHints => json!({"type": "array", "items": {"type": "string", "maxLength": 255}}),
        Kind::TextList(most) => json!({"type": "array", "items": {"type": "string", "maxLength": most}}),
        Kind::DnsName | Kind::DnsRelativeName => {
            json!({"type": "string", "maxLength": 255, "description": "name in DNS"})
        }
        Kind::DnsDomain => {
            json!({"type": "string", "maxLength": 255, "description": "domain with its trailing dot", "examples": ["example.org."]})
        }
        Kind::Custom(custom) => {
            json!({"type": type_word(custom.json), "description": custom.name})
        }
    }
}

fn uuid() -> Value {
    json!({"type": "string", "format": "uuid"})
}

fn address() -> Value {
    json!({"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]})
}

fn list_of(members: &[(&str, Value)], required: &[&str]) -> Value {
    let properties: Members = members.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    let mut item = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !required.is_empty() {
        item["required"] = json!(required);
    }
    json!({"type": "array", "items": item})
}

/// What a refusal is answered with.
pub(super) fn neutron_error() -> Value {
    json!({
        "type": "object", "required": ["NeutronError"],
        "properties": {"NeutronError": {
            "type": "object", "required": ["type", "message", "detail"],
            "properties": {
                "type": {"type": "string", "description": "Neutron's name of the error", "examples": ["PortNotFound"]},
                "message": {"type": "string"},
                "detail": {"type": "string"},
            },
        }},
    })
}

/// What a missing or bad token is answered with, as keystonemiddleware does.
pub(super) fn identity_error() -> Value {
    json!({
        "type": "object", "required": ["error"],
        "properties": {"error": {
            "type": "object", "required": ["code", "title", "message"],
            "properties": {
                "code": {"type": "integer"}, "title": {"type": "string"}, "message": {"type": "string"},
            },
        }},
    })
}
