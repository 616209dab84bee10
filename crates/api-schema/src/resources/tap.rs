//! Port mirroring (Tap as a Service): ports whose frames are copied, to another port or to a collector outside.

use super::standard;
use crate::{Attribute, Custom, JsonType, Kind, Literal, Methods, NotFound, Refusal, Resource, Stored, python_display};
use serde_json::Value;

const fn description(column: &'static str) -> Attribute {
    Attribute::new("description", Kind::Text(1024), Stored::Text(column)).default(Literal::Text("")).put().filter()
}

const fn no_such(kind: &'static str, before: &'static str) -> NotFound {
    NotFound { kind, before, after: " does not exist" }
}

/// Tap services: the ports that copies are delivered to.
pub static TAP_SERVICE: Resource = Resource {
    name: "tap_service",
    collection: "tap_services",
    segment: "tap_services",
    prefix: "taas",
    // Two spaces, as Neutron has them.
    not_found: no_such("TapServiceNotFound", "Tap Service  "),
    alias: Some("taas"),
    table: "tap_services",
    from: "tap_services JOIN ports AS port ON port.id = tap_services.port_id",
    methods: Methods::ALL,
    attributes: &[
        standard::id("tap_services.id"),
        standard::project("tap_services.project_id"),
        standard::name("tap_services.name"),
        description("tap_services.description"),
        Attribute::new("port_id", Kind::Uuid, Stored::Text("tap_services.port_id")).required().sort(),
        standard::status("CASE WHEN port.status = 'ACTIVE' THEN 'ACTIVE' ELSE 'DOWN' END"),
    ],
    ..Resource::BASE
};

/// Tap flows: the ports whose frames are copied to a tap service.
pub static TAP_FLOW: Resource = Resource {
    name: "tap_flow",
    collection: "tap_flows",
    segment: "tap_flows",
    prefix: "taas",
    not_found: no_such("TapFlowNotFound", "Tap Flow  "),
    alias: Some("taas"),
    table: "tap_flows",
    from: "tap_flows JOIN ports AS source ON source.id = tap_flows.source_port
        JOIN tap_services AS service ON service.id = tap_flows.tap_service_id JOIN ports AS port ON port.id = service.port_id",
    methods: Methods::ALL,
    attributes: &[
        standard::id("tap_flows.id"),
        standard::project("tap_flows.project_id"),
        standard::name("tap_flows.name"),
        description("tap_flows.description"),
        Attribute::new("tap_service_id", Kind::Uuid, Stored::Text("tap_flows.tap_service_id")).required().sort(),
        Attribute::new("source_port", Kind::Uuid, Stored::Text("tap_flows.source_port")).required().sort(),
        Attribute::new("direction", Kind::Words(&["IN", "OUT", "BOTH"]), Stored::Text("tap_flows.direction"))
            .required()
            .sort(),
        standard::status("CASE WHEN source.status = 'ACTIVE' AND port.status = 'ACTIVE' THEN 'ACTIVE' ELSE 'DOWN' END"),
    ],
    ..Resource::BASE
};

/// `{"IN": 101, "OUT": 102}`: the number that the copies of a direction bear.
const DIRECTIONS: Custom = Custom { name: "numbers of directions", json: JsonType::Object, parse: directions };
const DIRECTION_NAMES: [&str; 3] = ["IN", "OUT", "BOTH"];

fn directions(value: Value) -> Result<Value, Refusal> {
    let Value::Object(members) = &value else {
        return Err(Refusal::Check(format!("'{}' is not a dictionary", python_display(&value))));
    };
    let unknown: Vec<&str> =
        members.keys().map(String::as_str).filter(|name| !DIRECTION_NAMES.contains(name)).collect();
    if !unknown.is_empty() {
        return Err(Refusal::Check(format!("Unexpected keys supplied: {}", unknown.join(", "))));
    }
    for number in members.values() {
        let read = match number {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        match read {
            None => return Err(Refusal::Check(format!("'{}' is not an integer", python_display(number)))),
            // What GRE's header has room for.
            Some(number) if u32::try_from(number).is_err() => {
                return Err(Refusal::Check(format!("{number} is not a number of 32 bits")));
            }
            Some(_) => {}
        }
    }
    Ok(value)
}

/// Tap mirrors: the ports whose frames are copied to a collector outside.
pub static TAP_MIRROR: Resource = Resource {
    name: "tap_mirror",
    collection: "tap_mirrors",
    segment: "tap_mirrors",
    prefix: "taas",
    not_found: no_such("TapMirrorNotFound", "Tap Mirror "),
    alias: Some("tap-mirror"),
    table: "tap_mirrors",
    from: "tap_mirrors",
    methods: Methods::ALL,
    attributes: &[
        standard::id("tap_mirrors.id"),
        standard::project("tap_mirrors.project_id"),
        standard::name("tap_mirrors.name"),
        description("tap_mirrors.description"),
        Attribute::new("port_id", Kind::Uuid, Stored::Text("tap_mirrors.port_id")).required().sort(),
        Attribute::new("directions", Kind::Custom(&DIRECTIONS), Stored::Json("tap_mirrors.directions")).required(),
        Attribute::new("remote_ip", Kind::IpAddress, Stored::Text("tap_mirrors.remote_ip")).required().sort(),
        Attribute::new("mirror_type", Kind::Words(&["erspanv1", "gre"]), Stored::Text("tap_mirrors.mirror_type"))
            .required()
            .sort(),
    ],
    ..Resource::BASE
};

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn directions_have_numbers() {
        for good in [json!({"IN": 1, "OUT": "2"}), json!({"BOTH": 0}), json!({"IN": 4_294_967_295_u32}), json!({})] {
            assert_eq!(directions(good.clone()), Ok(good));
        }
        let reason = |value: Value| match directions(value) {
            Err(Refusal::Check(reason)) => reason,
            other => panic!("expected a refusal, got {other:?}"),
        };
        assert_eq!(reason(json!([])), "'[]' is not a dictionary");
        assert_eq!(reason(json!({"in": 1})), "Unexpected keys supplied: in");
        assert_eq!(reason(json!({"IN": "x"})), "'x' is not an integer");
        assert_eq!(reason(json!({"IN": 4_294_967_296_u64})), "4294967296 is not a number of 32 bits");
        assert_eq!(reason(json!({"IN": -1})), "-1 is not a number of 32 bits");
    }
}
