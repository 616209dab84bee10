//! Bodies: from the JSON that a client sent to the values that the rules read.
//!
//! The order of the checks is Neutron's, because with several mistakes in one body clients see the first.

use crate::attribute::{Attribute, Literal, Null, Post, Visible};
use crate::resource::Resource;
use crate::{SchemaError, python_display};
use serde_json::{Map, Value};

/// Who writes, as far as bodies depend on it.
#[derive(Debug, Clone, Copy)]
pub struct Author<'a> {
    /// The project of the token.
    pub project_id: &'a str,
    /// Whether another project's id may be given.
    pub any_project: bool,
}

/// One object of a body, checked.
#[derive(Debug, Clone)]
pub struct Request {
    /// Attribute name to canonical value. Absent attributes without a default are absent. `project_id` is always there in
    /// a creation of something owned; `tenant_id` never is.
    pub values: Map<String, Value>,
    /// What the client really asked for, for policy: given, and not just the default repeated.
    pub explicit: Vec<&'static Attribute>,
}

/// A POST's body: one object, or several.
#[derive(Debug, Clone)]
pub enum Creation {
    /// `{"port": {...}}`
    One(Request),
    /// `{"ports": [{...}, ...]}`
    Bulk(Vec<Request>),
}

fn bad(message: impl Into<String>) -> SchemaError {
    SchemaError::BadRequest(message.into())
}

/// Reads the body of a POST on the collection.
pub fn creation(resource: &Resource, author: Author<'_>, body: Value) -> Result<Creation, SchemaError> {
    let mut members = members(body)?;
    // Of a resource whose plural is its singular, what the key holds tells one from several.
    let one = resource.collection == resource.key() && members.get(resource.key()).is_some_and(Value::is_object);
    if !one && let Some(items) = members.remove(resource.collection) {
        let Value::Array(items) = items else { return Err(bad("Body contains invalid data")) };
        if items.is_empty() {
            return Err(bad("Resources required"));
        }
        let requests = items.into_iter().map(|item| {
            let object = match item {
                // Both forms are read: [{"port": {...}}] and [{...}].
                Value::Object(mut wrapped) if wrapped.contains_key(resource.key()) => {
                    wrapped.remove(resource.key()).unwrap_or(Value::Null)
                }
                bare => bare,
            };
            create_one(resource, author, object)
        });
        return requests.collect::<Result<_, _>>().map(Creation::Bulk);
    }
    create_one(resource, author, take(resource, &mut members)?).map(Creation::One)
}

/// Reads the body of a PUT on an object.
pub fn update(resource: &Resource, author: Author<'_>, body: Value) -> Result<Request, SchemaError> {
    let mut members = members(body)?;
    if members.get(resource.collection).is_some_and(|items| resource.collection != resource.key() || items.is_array()) {
        return Err(bad("Bulk operation not supported"));
    }
    let mut object = object(resource, take(resource, &mut members)?)?;
    own(author, &mut object)?;
    known(resource, &object)?;
    for attribute in resource.attributes {
        if object.contains_key(attribute.name) && !attribute.put {
            return Err(bad(format!("Cannot update read-only attribute {}", attribute.name)));
        }
    }
    let mut request = Request { values: Map::new(), explicit: Vec::new() };
    for attribute in resource.attributes {
        if let Some(value) = object.remove(attribute.name) {
            request.values.insert(attribute.name.into(), parse(attribute, value)?);
            request.explicit.push(attribute);
        }
    }
    Ok(request)
}

fn members(body: Value) -> Result<Map<String, Value>, SchemaError> {
    match body {
        Value::Object(members) => Ok(members),
        _ => Err(bad("Body contains invalid data")),
    }
}

fn take(resource: &Resource, members: &mut Map<String, Value>) -> Result<Value, SchemaError> {
    match members.remove(resource.key()) {
        None | Some(Value::Null) => Err(bad(format!("Unable to find '{}' in request body", resource.key()))),
        Some(object) => Ok(object),
    }
}

fn object(resource: &Resource, value: Value) -> Result<Map<String, Value>, SchemaError> {
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(bad(format!("Object '{}' contains invalid data", resource.key()))),
    }
}

fn create_one(resource: &Resource, author: Author<'_>, value: Value) -> Result<Request, SchemaError> {
    let mut object = object(resource, value)?;
    own(author, &mut object)?;
    known(resource, &object)?;
    for attribute in resource.attributes {
        let given = object.contains_key(attribute.name);
        match attribute.post {
            Post::Required if !given => {
                return Err(bad(format!(
                    "Failed to parse request. Required attribute '{}' not specified",
                    attribute.name
                )));
            }
            Post::Refused if given => {
                return Err(bad(format!("Attribute '{}' not allowed in POST", attribute.name)));
            }
            _ => {}
        }
    }
    let mut request = Request { values: Map::new(), explicit: Vec::new() };
    for attribute in resource.attributes {
        match (object.remove(attribute.name), attribute.post) {
            (Some(value), post) => {
                let value = parse(attribute, value)?;
                if !matches!(post, Post::Default(default) if literal(default) == value) {
                    request.explicit.push(attribute);
                }
                request.values.insert(attribute.name.into(), value);
            }
            (None, Post::Default(default)) => {
                request.values.insert(attribute.name.into(), literal(default));
            }
            (None, _) => {}
        }
    }
    if resource.attribute("project_id").is_some() && !request.values.contains_key("project_id") {
        request.values.insert("project_id".into(), author.project_id.into());
    }
    Ok(request)
}

fn parse(attribute: &Attribute, value: Value) -> Result<Value, SchemaError> {
    let value = match (value, attribute.null) {
        (Value::Null, Null::Kept) => return Ok(Value::Null),
        (Value::Null, Null::Empty) if attribute.kind.json() == crate::JsonType::Object => Value::Object(Map::new()),
        (Value::Null, Null::Empty) => Value::Array(Vec::new()),
        (value, _) => value,
    };
    attribute.kind.parse(value).map_err(|refusal| SchemaError::refused(attribute.name, refusal))
}

/// `tenant_id` and `project_id` are one attribute under two names.
fn own(author: Author<'_>, object: &mut Map<String, Value>) -> Result<(), SchemaError> {
    let tenant = object.remove("tenant_id");
    match (tenant, object.get("project_id")) {
        (Some(tenant), Some(project)) if tenant != *project => {
            return Err(bad("'project_id' and 'tenant_id' do not match"));
        }
        (Some(tenant), None) => {
            object.insert("project_id".into(), tenant);
        }
        _ => {}
    }
    match object.get("project_id") {
        Some(project) if !author.any_project && project.as_str() != Some(author.project_id) => Err(bad(
            "Specifying 'project_id' other than the authenticated project in request is not allowed for the current user.",
        )),
        _ => Ok(()),
    }
}

fn known(resource: &Resource, object: &Map<String, Value>) -> Result<(), SchemaError> {
    // What only its owner's creation shows is no attribute of its own.
    let is_known = |name: &str| resource.attribute(name).is_some_and(|known| known.visible != Visible::NestedWhenNew);
    let unknown: Vec<&str> = object.keys().map(String::as_str).filter(|name| !is_known(name)).collect();
    if unknown.is_empty() { Ok(()) } else { Err(bad(format!("Unrecognized attribute(s) '{}'", unknown.join(", ")))) }
}

/// The JSON of a constant.
pub fn literal(literal: Literal) -> Value {
    match literal {
        Literal::Null => Value::Null,
        Literal::Bool(flag) => Value::Bool(flag),
        Literal::Integer(number) => number.into(),
        Literal::Text(text) => text.into(),
        Literal::EmptyList => Value::Array(Vec::new()),
        Literal::EmptyObject => Value::Object(Map::new()),
    }
}

/// Checks one value of a filter as the attribute's values are checked; the error is the attribute's.
pub fn filter_value(attribute: &Attribute, text: &str) -> Result<Value, SchemaError> {
    match attribute.kind.json() {
        // Only conversions apply to filters, so that a word that is no UUID simply finds nothing.
        crate::JsonType::Boolean | crate::JsonType::Integer => attribute
            .kind
            .parse(Value::String(text.to_owned()))
            .map_err(|refusal| SchemaError::refused(attribute.name, refusal)),
        _ => Ok(attribute.kind.parse(Value::String(text.to_owned())).unwrap_or_else(|_| text.into())),
    }
}

/// The keys that were given but that no list knows, in Neutron's words.
pub fn unknown_filters(names: &[String]) -> SchemaError {
    let names = Value::Array(names.iter().map(|n| Value::String(n.clone())).collect());
    bad(format!("{} is invalid attribute for filtering", python_display(&names)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::{NETWORK, PORT, SECURITY_GROUP_RULE, SUBNET};
    use serde_json::json;

    const OWN: Author<'static> = Author { project_id: "own", any_project: false };
    const NET: &str = "0c1d2e3f-0000-4000-8000-000000000000";

    fn one(resource: &Resource, members: Value) -> Result<Request, SchemaError> {
        match creation(resource, OWN, json!({ resource.name: members }))? {
            Creation::One(request) => Ok(request),
            Creation::Bulk(_) => panic!("one was asked for"),
        }
    }

    fn explicit(request: &Request) -> Vec<&str> {
        request.explicit.iter().map(|attribute| attribute.name).collect()
    }

    #[test]
    fn defaults_are_filled_in_and_absent_is_not_null() {
        let request = one(&SUBNET, json!({"network_id": NET, "ip_version": "4", "gateway_ip": null})).unwrap();
        assert_eq!(request.values["enable_dhcp"], true);
        assert_eq!(request.values["ip_version"], 4);
        assert_eq!(request.values.get("gateway_ip"), Some(&Value::Null));
        assert_eq!(request.values.get("cidr"), None);
        assert_eq!(request.values["project_id"], "own");
    }

    #[test]
    fn what_only_repeats_the_default_is_not_asked_for() {
        let request = one(&NETWORK, json!({"shared": "no", "mtu": 0, "router:external": true, "name": ""})).unwrap();
        assert_eq!(explicit(&request), ["router:external"]);
        let changed = update(&NETWORK, OWN, json!({"network": {"shared": false}})).unwrap();
        assert_eq!(explicit(&changed), ["shared"], "a change says what it says");
    }

    #[test]
    fn null_stands_for_the_empty_list_where_neutron_says_so() {
        let members = json!({"network_id": NET, "security_groups": null, "binding:profile": null});
        let request = one(&PORT, members).unwrap();
        assert_eq!((&request.values["security_groups"], &request.values["binding:profile"]), (&json!([]), &json!({})));
        let refused = one(&PORT, json!({"network_id": NET, "fixed_ips": null})).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "Invalid input for fixed_ips. Reason: Invalid data format for fixed IP: 'None'."
        );
    }

    #[test]
    fn what_only_a_new_owner_shows_of_it_is_no_attribute() {
        let members = json!({"security_group_id": NET, "direction": "ingress", "tags": ["x"]});
        let refused = one(&SECURITY_GROUP_RULE, members).unwrap_err();
        assert_eq!(refused.to_string(), "Unrecognized attribute(s) 'tags'");
        let refused = one(&NETWORK, json!({"tags": ["x"]})).unwrap_err();
        assert_eq!(refused.to_string(), "Attribute 'tags' not allowed in POST");
    }

    #[test]
    fn tenant_and_project_are_one() {
        let admin = Author { any_project: true, ..OWN };
        let made = creation(&NETWORK, admin, json!({"network": {"tenant_id": "x"}})).unwrap();
        let Creation::One(request) = made else { panic!("one was asked for") };
        assert_eq!((request.values.get("project_id"), request.values.get("tenant_id")), (Some(&json!("x")), None));
        let refused = update(&NETWORK, OWN, json!({"network": {"tenant_id": "own"}})).unwrap_err();
        assert_eq!(refused.to_string(), "Cannot update read-only attribute project_id");
    }

    #[test]
    fn bulk_items_come_bare_or_wrapped() {
        let body = json!({"networks": [{"name": "a"}, {"network": {"name": "b"}}]});
        let Creation::Bulk(requests) = creation(&NETWORK, OWN, body).unwrap() else { panic!("several were asked for") };
        let names: Vec<&Value> = requests.iter().map(|request| &request.values["name"]).collect();
        assert_eq!(names, ["a", "b"]);
    }
}
