//! Networks: a broadcast domain, its segment on the wire, who may use it.

use super::standard;
use crate::{
    Attribute, Children, Custom, JsonType, Kind, Literal, Methods, NotFound, Refusal, Resource, Sharing, Stored,
    python_display,
};
use serde_json::{Map, Value};

const SUBNETS: Children = Children { table: "subnets", owner: "network_id", fields: &[("", "id")], order: "id" };
const SHARING: Sharing = Sharing { object: "networks.id", actions: &["access_as_shared", "access_as_external"] };

const SEVERAL_SEGMENTS: Children = Children {
    table: "network_segments",
    owner: "network_id",
    fields: &[
        ("provider:network_type", "network_type"),
        ("provider:physical_network", "physical_network"),
        ("provider:segmentation_id", "segmentation_id"),
    ],
    order: "position",
};
const SEGMENTS: Custom = Custom { name: "list of segments", json: JsonType::Array, parse: segments };
/// Whether all of the network is one broadcast domain: it is not when its subnets are on segments.
const L2_ADJACENCY: &str = "CASE WHEN EXISTS (SELECT 1 FROM subnets WHERE subnets.network_id = networks.id
    AND subnets.segment_id IS NOT NULL) THEN 0 ELSE 1 END";

/// Several segments of a new network, each as the provider attributes describe one.
fn segments(value: Value) -> Result<Value, Refusal> {
    let refuse = |value: &Value| Refusal::Conversion(format!("'{}' is not a list of segments", python_display(value)));
    let Value::Array(items) = value else { return Err(refuse(&value)) };
    let mut segments = Vec::with_capacity(items.len());
    for item in items {
        let Value::Object(mut members) = item else { return Err(refuse(&item)) };
        let mut segment = Map::new();
        for (name, kind) in [
            ("provider:network_type", Kind::Text(32)),
            ("provider:physical_network", Kind::Text(64)),
            ("provider:segmentation_id", Kind::Range(i64::MIN, i64::MAX)),
        ] {
            if let Some(given) = members.remove(name).filter(|given| !given.is_null()) {
                segment.insert(name.to_owned(), kind.parse(given)?);
            }
        }
        if let Some(unknown) = members.keys().next() {
            return Err(Refusal::Plain(format!("Unrecognized attribute(s) '{unknown}'")));
        }
        segments.push(Value::Object(segment));
    }
    Ok(Value::Array(segments))
}

/// The scope of the pools that the network's subnets are of: one for each IP version.
const IPV4_SCOPE: &str = "(SELECT max(subnetpools.address_scope_id) FROM subnets
    JOIN subnetpools ON subnetpools.id = subnets.subnetpool_id
    WHERE subnets.network_id = networks.id AND subnets.ip_version = 4)";
const IPV6_SCOPE: &str = "(SELECT max(subnetpools.address_scope_id) FROM subnets
    JOIN subnetpools ON subnetpools.id = subnets.subnetpool_id
    WHERE subnets.network_id = networks.id AND subnets.ip_version = 6)";

/// See the module.
pub static NETWORK: Resource = Resource {
    name: "network",
    collection: "networks",
    not_found: NotFound::new("NetworkNotFound", "Network "),
    alias: None,
    table: "networks",
    from: "networks LEFT JOIN network_segments AS segment ON segment.network_id = networks.id AND segment.is_only = 1",
    parents: &[],
    methods: Methods::ALL,
    actions: &[],
    quota: true,
    attributes: &[
        standard::id("networks.id"),
        standard::name("networks.name"),
        standard::project("networks.project_id"),
        standard::admin_state_up("networks.admin_state_up"),
        Attribute::new("mtu", Kind::NonNegative, Stored::Integer("networks.mtu"))
            .default(Literal::Integer(0))
            .put()
            .sort()
            .policy()
            .from_extension("net-mtu-writable"),
        standard::status("networks.status"),
        Attribute::new("subnets", Kind::UuidList, Stored::Children(SUBNETS)),
        Attribute::new("shared", Kind::Boolean, Stored::Shared(SHARING))
            .default(Literal::Bool(false))
            .put()
            .filter()
            .policy(),
        Attribute::new("availability_zone_hints", Kind::ZoneHints, Stored::Json("networks.availability_zone_hints"))
            .default(Literal::EmptyList)
            .from_extension("network_availability_zone"),
        Attribute::new(
            "availability_zones",
            Kind::ZoneHints,
            Stored::Children(Children {
                table: "dhcp_agent_networks JOIN agents ON agents.id = dhcp_agent_networks.agent_id",
                owner: "dhcp_agent_networks.network_id",
                fields: &[("", "agents.availability_zone")],
                order: "agents.availability_zone",
            }),
        )
        .from_extension("network_availability_zone"),
        Attribute::new("ipv4_address_scope", Kind::Uuid, Stored::Text(IPV4_SCOPE)).from_extension("address-scope"),
        Attribute::new("ipv6_address_scope", Kind::Uuid, Stored::Text(IPV6_SCOPE)).from_extension("address-scope"),
        Attribute::new("router:external", Kind::Boolean, Stored::Boolean("networks.external"))
            .default(Literal::Bool(false))
            .put()
            .filter()
            .policy()
            .from_extension("external-net"),
        standard::description("networks.description"),
        Attribute::new("port_security_enabled", Kind::Boolean, Stored::Boolean("networks.port_security_enabled"))
            .default(Literal::Bool(true))
            .put()
            .policy()
            .from_extension("port-security"),
        Attribute::new("dns_domain", Kind::DnsDomain, Stored::Text("networks.dns_domain"))
            .default(Literal::Text(""))
            .put()
            .from_extension("dns-integration"),
        Attribute::new("pvlan", Kind::Boolean, Stored::Boolean("networks.pvlan"))
            .default(Literal::Bool(false))
            .put()
            .filter()
            .from_extension("pvlan"),
        Attribute::new("is_default", Kind::Boolean, Stored::Boolean("networks.is_default"))
            .default(Literal::Bool(false))
            .put()
            .filter()
            .policy()
            .with("router:external"),
        Attribute::new("provider:network_type", Kind::Text(32), Stored::Text("segment.network_type"))
            .optional()
            .put()
            .filter()
            .policy()
            .from_extension("provider"),
        Attribute::new("provider:physical_network", Kind::Text(64), Stored::Text("segment.physical_network"))
            .nullable()
            .optional()
            .put()
            .filter()
            .policy()
            .from_extension("provider"),
        Attribute::new(
            "provider:segmentation_id",
            Kind::Range(i64::MIN, i64::MAX),
            Stored::Integer("segment.segmentation_id"),
        )
        .nullable()
        .optional()
        .put()
        .filter()
        .policy()
        .from_extension("provider"),
        // Only in a POST: the network becomes the HA network of the caller's project.
        Attribute::new("ha", Kind::Boolean, Stored::Nowhere)
            .default(Literal::Bool(false))
            .hidden()
            .from_extension("network_ha"),
        standard::qos_policy_id("networks.qos_policy_id", "qos"),
        Attribute::new(
            "segments",
            Kind::Custom(&SEGMENTS),
            Stored::ChildrenIf("CASE WHEN segment.id IS NULL THEN 1 END", SEVERAL_SEGMENTS),
        )
        .optional()
        .policy()
        .from_extension("multi-provider"),
        Attribute::new("l2_adjacency", Kind::Boolean, Stored::Boolean(L2_ADJACENCY)).from_extension("l2_adjacency"),
        standard::tags(),
        standard::created_at("networks.created_at"),
        standard::updated_at("networks.updated_at"),
        standard::revision("networks.revision_number"),
    ],
    ..Resource::BASE
};
