use super::*;
use crate::resources;
use std::collections::BTreeSet;

fn whole() -> Value {
    let all = resources::ALL.iter();
    document("2.0", all.clone().flat_map(|resource| paths(resource)).collect(), all.flat_map(|r| schemas(r)).collect())
}

/// Every `$ref` of a value.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                match member.as_str() {
                    Some(target) if key == "$ref" => {
                        found.insert(target.to_owned());
                    }
                    _ => references(member, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = whole();
    let mut found = BTreeSet::new();
    references(&document["paths"], &mut found);
    assert!(found.len() > resources::ALL.len());
    for reference in found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
}

#[test]
fn operations_have_names_of_their_own() {
    let document = whole();
    let mut seen = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values().filter(|value| value.get("operationId").is_some()) {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            assert!(seen.insert(id.clone()), "{id} stands twice, once at {path}");
        }
    }
    assert!(
        seen.contains("list_ports") && seen.contains("create_port") && seen.contains("add_router_interface_of_router")
    );
}

#[test]
fn a_description_says_what_the_declaration_says() {
    let document = whole();
    let create = &document["components"]["schemas"]["PortCreate"];
    assert_eq!(create["required"], json!(["network_id"]));
    assert_eq!(create["properties"]["binding:vnic_type"]["default"], "normal");
    assert_eq!(create["properties"]["mac_address"]["type"], json!(["string", "null"]));
    assert!(create["properties"].get("status").is_none(), "no request may write it");
    let update = &document["components"]["schemas"]["PortUpdate"];
    assert!(update["properties"].get("network_id").is_none(), "a port does not change its network");
    let shown = &document["components"]["schemas"]["Port"]["properties"];
    assert_eq!(shown["fixed_ips"]["type"], json!(["array", "null"]));
    let filters = document["paths"]["/v2.0/ports"]["get"]["parameters"].as_array().unwrap();
    assert!(filters.iter().any(|filter| filter["name"] == "device_owner"));
}
