//! Trunks: ports of several networks that an instance reaches by the VLAN tags of one of them.

use super::standard;
use crate::{
    Action, Attribute, Children, Custom, JsonType, Kind, Literal, Methods, NotFound, Refusal, Resource, Stored,
    python_display,
};
use serde_json::Value;
use std::collections::HashSet;

const SUB_PORTS: Children = Children {
    table: "trunk_subports",
    owner: "trunk_id",
    fields: &[
        ("segmentation_id", "segmentation_id"),
        ("segmentation_type", "segmentation_type"),
        ("port_id", "port_id"),
    ],
    order: "segmentation_id",
};

/// `[{"port_id", "segmentation_type", "segmentation_id"}]`; a type of `inherit` needs no id, nor does what is only named to be
/// taken away.
pub const SUBPORT_LIST: Custom = Custom { name: "subports of a trunk", json: JsonType::Array, parse: subports };

fn subports(value: Value) -> Result<Value, Refusal> {
    let refuse = |reason: String| Err(Refusal::Check(reason));
    let Value::Array(items) = &value else {
        return refuse(format!("Invalid data format for subports: '{}' is not a list", python_display(&value)));
    };
    let mut ports: HashSet<String> = HashSet::with_capacity(items.len());
    let mut tags: HashSet<(&Value, &Value)> = HashSet::with_capacity(items.len());
    let mut canonical = Vec::with_capacity(items.len());
    for item in items {
        let Value::Object(members) = item else {
            return refuse(format!("Invalid data format for subport: '{}' is not a dict", python_display(item)));
        };
        let Some(given) = members.get("port_id") else {
            return refuse("A valid port UUID must be specified".to_owned());
        };
        let Ok(Value::String(port)) = Kind::Uuid.parse(given.clone()) else {
            return refuse(format!("Invalid UUID for subport: '{}'", python_display(given)));
        };
        if !ports.insert(port.clone()) {
            return refuse(format!("Non unique UUID for subport: '{}'", python_display(given)));
        }
        let mut subport = members.clone();
        subport.insert("port_id".into(), port.into());
        canonical.push(Value::Object(subport));
        let known = |name: &str| members.get(name).unwrap_or(&Value::Null);
        let (kind, tag) = (known("segmentation_type"), known("segmentation_id"));
        if kind == "inherit" {
            continue;
        }
        let missing = kind.as_str().is_none_or(str::is_empty) || tag.is_null();
        if missing && members.len() > 1 {
            return refuse(format!(
                "Invalid subport details '{}': missing segmentation information. Must specify both segmentation_id and segmentation_type",
                python_display(item)
            ));
        }
        if !tag.is_null() && !tags.insert((kind, tag)) {
            let (tag, port) = (python_display(tag), python_display(given));
            return refuse(format!("Segmentation ID '{tag}' for '{port}' is not unique"));
        }
    }
    Ok(Value::Array(canonical))
}

/// See the module.
pub static TRUNK: Resource = Resource {
    name: "trunk",
    collection: "trunks",
    not_found: NotFound::new("TrunkNotFound", "Trunk "),
    alias: Some("trunk"),
    table: "trunks",
    from: "trunks",
    methods: Methods::ALL,
    actions: &[
        Action { name: "add_subports", method: "PUT" },
        Action { name: "remove_subports", method: "PUT" },
        Action { name: "get_subports", method: "GET" },
    ],
    quota: true,
    attributes: &[
        standard::admin_state_up("trunks.admin_state_up"),
        standard::id("trunks.id"),
        standard::name("trunks.name"),
        standard::project("trunks.project_id"),
        Attribute::new("port_id", Kind::Uuid, Stored::Text("trunks.port_id")).required().sort(),
        standard::status("trunks.status"),
        Attribute::new("sub_ports", Kind::Custom(&SUBPORT_LIST), Stored::Children(SUB_PORTS))
            .default(Literal::EmptyList)
            .policy(),
        standard::description("trunks.description"),
        standard::tags(),
        standard::created_at("trunks.created_at"),
        standard::updated_at("trunks.updated_at"),
        standard::revision("trunks.revision_number"),
    ],
    ..Resource::BASE
};

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PORT: &str = "0c1d2e3f-0000-4000-8000-000000000000";

    #[test]
    fn subports_say_which_tag_is_theirs() {
        let one = |more: Value| {
            let mut subport = json!({"port_id": PORT});
            subport.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            subports(json!([subport]))
        };
        assert!(one(json!({"segmentation_type": "vlan", "segmentation_id": 5})).is_ok());
        assert!(one(json!({"segmentation_type": "inherit"})).is_ok() && one(json!({})).is_ok());
        for half in [json!({"segmentation_type": "vlan"}), json!({"segmentation_id": 5})] {
            assert!(
                matches!(one(half), Err(Refusal::Check(reason)) if reason.contains("missing segmentation information"))
            );
        }
        let reason = |value: Value| match subports(value) {
            Err(Refusal::Check(reason)) => reason,
            other => panic!("expected a refusal, got {other:?}"),
        };
        assert_eq!(reason(json!({"a": 1})), "Invalid data format for subports: '{'a': 1}' is not a list");
        assert_eq!(reason(json!([1])), "Invalid data format for subport: '1' is not a dict");
        assert_eq!(reason(json!([{}])), "A valid port UUID must be specified");
        assert_eq!(reason(json!([{"port_id": "x"}])), "Invalid UUID for subport: 'x'");
        assert_eq!(
            reason(json!([{"port_id": PORT}, {"port_id": PORT}])),
            format!("Non unique UUID for subport: '{PORT}'")
        );
        let other = PORT.replace('0', "1");
        let same = |port: &str| json!({"port_id": port, "segmentation_type": "vlan", "segmentation_id": 5});
        assert_eq!(
            reason(json!([same(PORT), same(&other)])),
            format!("Segmentation ID '5' for '{other}' is not unique")
        );
    }
}
