//! Routers: they join subnets, and lead out by a gateway on an external network.

use super::standard;
use crate::{
    Action, Attribute, Children, Custom, JsonType, Kind, Literal, Methods, Nested, NotFound, Object, Refusal, Resource,
    Stored, python_display,
};
use serde_json::{Map, Value};

const ROUTES: Children = Children {
    table: "router_routes",
    owner: "router_id",
    fields: &[("destination", "destination"), ("nexthop", "nexthop")],
    order: "destination, nexthop",
};
/// A policy of the gateway, or of its network: then Neutron shows that the gateway has none of its own.
const ANY_QOS: &str = "COALESCE(routers.gateway_qos_policy_id,
    (SELECT networks.qos_policy_id FROM networks WHERE networks.id = gateway.network_id))";
const GATEWAY: Object = Object {
    present: "routers.gateway_port_id",
    members: &[
        ("network_id", Stored::Text("gateway.network_id")),
        (
            "external_fixed_ips",
            Stored::Children(Children {
                table: "fixed_ips JOIN routers AS owner ON owner.gateway_port_id = fixed_ips.port_id",
                owner: "owner.id",
                fields: &[("subnet_id", "fixed_ips.subnet_id"), ("ip_address", "fixed_ips.ip_address")],
                order: "fixed_ips.position",
            }),
        ),
        ("enable_snat", Stored::Boolean("router_gateways.enable_snat")),
        ("qos_policy_id", Stored::TextIf("routers.gateway_qos_policy_id", ANY_QOS)),
    ],
};

/// `{"network_id", "external_fixed_ips", "enable_snat", "qos_policy_id"}`, the first required; null and `{}` mean no gateway.
const GATEWAY_INFO: Custom = Custom { name: "external gateway", json: JsonType::Object, parse: gateway_info };

fn gateway_info(value: Value) -> Result<Value, Refusal> {
    let mut members = match value {
        Value::Object(members) if members.is_empty() => return Ok(Value::Null),
        Value::Object(members) => members,
        other => return Err(Refusal::Check(format!("'{}' is not a dictionary", python_display(&other)))),
    };
    let known = [
        ("network_id", Kind::Uuid),
        ("external_fixed_ips", Kind::FixedIps),
        ("enable_snat", Kind::Boolean),
        ("qos_policy_id", Kind::Uuid),
    ];
    let mut info = Map::new();
    for (name, kind) in known {
        match members.remove(name) {
            Some(Value::Null) if name == "external_fixed_ips" => {}
            Some(Value::Null) if name == "qos_policy_id" => {
                info.insert(name.to_owned(), Value::Null);
            }
            Some(member) => {
                info.insert(name.to_owned(), kind.parse(member)?);
            }
            None if name == "network_id" => {
                let given: Vec<String> = members.keys().map(|key| format!("'{key}'")).collect();
                return Err(Refusal::Check(format!(
                    "Validation of dictionary's keys failed. Expected keys: {{'network_id'}} Provided keys: {{{}}}",
                    given.join(", ")
                )));
            }
            None => {}
        }
    }
    if !members.is_empty() {
        let unknown: Vec<String> = members.into_iter().map(|(key, _)| key).collect();
        return Err(Refusal::Check(format!("Unexpected keys supplied: {}", unknown.join(", "))));
    }
    Ok(Value::Object(info))
}

/// What the actions on `external_gateways` take: a list of such objects; null and `{}` are an empty one. QoS is the router's,
/// so it is not a gateway's.
const GATEWAYS: Custom = Custom { name: "external gateways", json: JsonType::Array, parse: gateway_infos };

fn gateway_infos(value: Value) -> Result<Value, Refusal> {
    let gateways = match value {
        Value::Array(gateways) => gateways,
        // The openstack client says so when it has none to say.
        Value::Object(members) if members.is_empty() => Vec::new(),
        Value::Null => Vec::new(),
        other => return Err(Refusal::Check(format!("'{}' is not a list", python_display(&other)))),
    };
    let parse = |gateway: Value| match gateway {
        Value::Object(members) if members.contains_key("qos_policy_id") => {
            Err(Refusal::Check("Unexpected keys supplied: qos_policy_id".to_owned()))
        }
        Value::Object(members) if members.is_empty() => Err(Refusal::Check("'{}' names no network".to_owned())),
        gateway => gateway_info(gateway),
    };
    Ok(Value::Array(gateways.into_iter().map(parse).collect::<Result<_, _>>()?))
}

/// See the module.
pub static ROUTER: Resource = Resource {
    name: "router",
    collection: "routers",
    not_found: NotFound { kind: "RouterNotFound", before: "Router ", after: " could not be found" },
    alias: Some("router"),
    table: "routers",
    from: "routers LEFT JOIN ports AS gateway ON gateway.id = routers.gateway_port_id
        LEFT JOIN router_gateways ON router_gateways.port_id = routers.gateway_port_id",
    parents: &[],
    methods: Methods::ALL,
    actions: &[
        Action { name: "add_router_interface", method: "PUT" },
        Action { name: "remove_router_interface", method: "PUT" },
        Action { name: "add_extraroutes", method: "PUT" },
        Action { name: "remove_extraroutes", method: "PUT" },
        Action { name: "add_external_gateways", method: "PUT" },
        Action { name: "update_external_gateways", method: "PUT" },
        Action { name: "remove_external_gateways", method: "PUT" },
    ],
    quota: true,
    attributes: &[
        standard::id("routers.id"),
        standard::name("routers.name"),
        standard::project("routers.project_id"),
        standard::admin_state_up("routers.admin_state_up"),
        Attribute::new("status", Kind::Text(16), Stored::Text("routers.status")).sort(),
        Attribute::new("external_gateway_info", Kind::Custom(&GATEWAY_INFO), Stored::Object(GATEWAY))
            .nullable()
            .default(Literal::Null)
            .put()
            .policy(),
        Attribute::new(
            "external_gateways",
            Kind::Custom(&GATEWAYS),
            Stored::Nested(Nested {
                resource: "router_gateway",
                owner: "router_gateways.router_id",
                order: "CASE WHEN gateway.id = owner.gateway_port_id THEN 0 ELSE 1 END, router_gateways.position",
            }),
        )
        .policy()
        .from_extension("external-gateway-multihoming"),
        standard::description("routers.description"),
        Attribute::new(
            "availability_zones",
            Kind::ZoneHints,
            Stored::Children(Children {
                table: "l3_agent_routers JOIN agents ON agents.id = l3_agent_routers.agent_id",
                owner: "l3_agent_routers.router_id",
                fields: &[("", "agents.availability_zone")],
                order: "agents.availability_zone",
            }),
        )
        .from_extension("router_availability_zone"),
        Attribute::new("availability_zone_hints", Kind::ZoneHints, Stored::Json("routers.availability_zone_hints"))
            .default(Literal::EmptyList)
            .from_extension("router_availability_zone"),
        Attribute::new("routes", Kind::HostRoutes, Stored::Children(ROUTES))
            .null_is_empty()
            .put()
            .from_extension("extraroute"),
        Attribute::new("distributed", Kind::Boolean, Stored::Boolean("routers.distributed"))
            .nullable()
            .optional()
            .put()
            .filter()
            .policy()
            .from_extension("dvr"),
        Attribute::new("ha", Kind::Boolean, Stored::Boolean("routers.ha"))
            .nullable()
            .optional()
            .put()
            .filter()
            .policy()
            .from_extension("l3-ha"),
        Attribute::new("flavor_id", Kind::Uuid, Stored::Text("routers.flavor_id"))
            .nullable()
            .optional()
            .sort()
            .from_extension("l3-flavors"),
        Attribute::new(
            "enable_ndp_proxy",
            Kind::Boolean,
            Stored::Boolean("CASE WHEN routers.gateway_port_id IS NULL THEN 0 ELSE routers.enable_ndp_proxy END"),
        )
        .nullable()
        .optional()
        .put()
        .filter()
        .from_extension("l3-ext-ndp-proxy"),
        Attribute::new(
            "enable_default_route_ecmp",
            Kind::Boolean,
            Stored::Boolean("routers.enable_default_route_ecmp"),
        )
        .nullable()
        .optional()
        .put()
        .policy()
        .from_extension("enable-default-route-ecmp"),
        Attribute::new("conntrack_helpers", Kind::Object, Stored::Children(super::conntrack_helper::OF_ROUTER))
            .from_extension("expose-l3-conntrack-helper"),
        standard::tags(),
        standard::created_at("routers.created_at"),
        standard::updated_at("routers.updated_at"),
        standard::revision("routers.revision_number"),
    ],
    ..Resource::BASE
};
