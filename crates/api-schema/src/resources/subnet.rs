//! Subnets: a prefix on a network, the ranges that addresses come from, and what DHCP tells.

use super::standard;
use crate::{
    Attribute, Children, Custom, JsonType, Kind, Literal, Methods, NotFound, Parent, Refusal, Resource, Sharing,
    Stored, python_display,
};
use serde_json::Value;

const POOLS: Children = Children {
    table: "subnet_allocation_pools",
    owner: "subnet_id",
    fields: &[("start", "first_ip"), ("end", "last_ip")],
    order: "position",
};
const NAMESERVERS: Children =
    Children { table: "subnet_dns_nameservers", owner: "subnet_id", fields: &[("", "address")], order: "position" };
const HOST_ROUTES: Children = Children {
    table: "subnet_host_routes",
    owner: "subnet_id",
    fields: &[("destination", "destination"), ("nexthop", "nexthop")],
    order: "position",
};
const IPV6_MODES: &[&str] = &["dhcpv6-stateful", "dhcpv6-stateless", "slaac"];
/// A subnet is shared as its network is.
const SHARING: Sharing = Sharing { object: "subnets.network_id", actions: &["access_as_shared", "access_as_external"] };

/// The id of a pool, or the word for a prefix that a router is delegated.
const POOL_ID: Custom = Custom { name: "subnet pool id", json: JsonType::String, parse: pool_id };

/// Owners of devices that a subnet is for.
const SERVICE_TYPES: Custom = Custom { name: "list of device owners", json: JsonType::Array, parse: service_types };

fn service_types(value: Value) -> Result<Value, Refusal> {
    let Value::Array(items) = &value else {
        return Err(Refusal::Plain("Subnet service types must be a list.".to_owned()));
    };
    for item in items {
        let refuse = |kind, text: &str| {
            Err(Refusal::Named(kind, format!("Subnet service type {} {text}.", python_display(item))))
        };
        let Some(owner) = item.as_str() else { return refuse("InvalidInputSubnetServiceType", "is not a string") };
        // Neutron takes each letter of "compute:" for a prefix of its own: who relies on "trunk:subport" finds it taken too.
        let known = ["network:", "neutron:"].iter().any(|prefix| owner.starts_with(prefix));
        if owner.len() > 255 || owner.contains('\0') || !(known || owner.starts_with(|c| "compute:".contains(c))) {
            return refuse("InvalidSubnetServiceType", "does not correspond to a valid device owner");
        }
    }
    Ok(value)
}

fn pool_id(value: Value) -> Result<Value, Refusal> {
    if value == "prefix_delegation" { Ok(value) } else { Kind::Uuid.parse(value) }
}

/// See the module.
pub static SUBNET: Resource = Resource {
    name: "subnet",
    collection: "subnets",
    not_found: NotFound::new("SubnetNotFound", "Subnet "),
    alias: None,
    table: "subnets",
    from: "subnets",
    parents: &[Parent { name: "network", attribute: "network_id", column: "subnets.network_id", table: "networks" }],
    methods: Methods::ALL,
    actions: &[],
    quota: true,
    attributes: &[
        standard::id("subnets.id"),
        standard::name("subnets.name"),
        standard::project("subnets.project_id"),
        Attribute::new("network_id", Kind::Uuid, Stored::Text("subnets.network_id")).required().sort(),
        Attribute::new("ip_version", Kind::Numbers(&[4, 6]), Stored::Integer("subnets.ip_version")).required().sort(),
        Attribute::new("subnetpool_id", Kind::Custom(&POOL_ID), Stored::Text("subnets.subnetpool_id"))
            .nullable()
            .optional()
            .sort(),
        Attribute::new("use_default_subnetpool", Kind::Boolean, Stored::Nowhere)
            .default(Literal::Bool(false))
            .hidden()
            .from_extension("default-subnetpools"),
        Attribute::new("enable_dhcp", Kind::Boolean, Stored::Boolean("subnets.enable_dhcp"))
            .default(Literal::Bool(true))
            .put()
            .sort(),
        Attribute::new("ipv6_ra_mode", Kind::Words(IPV6_MODES), Stored::Text("subnets.ipv6_ra_mode"))
            .nullable()
            .optional()
            .sort(),
        Attribute::new("ipv6_address_mode", Kind::Words(IPV6_MODES), Stored::Text("subnets.ipv6_address_mode"))
            .nullable()
            .optional()
            .sort(),
        Attribute::new("gateway_ip", Kind::IpAddress, Stored::Text("subnets.gateway_ip"))
            .nullable()
            .optional()
            .put()
            .sort(),
        Attribute::new("cidr", Kind::Cidr, Stored::Text("subnets.cidr")).nullable().optional().sort(),
        Attribute::new("prefixlen", Kind::NonNegative, Stored::Nowhere).optional().hidden(),
        Attribute::new("allocation_pools", Kind::AllocationPools, Stored::Children(POOLS))
            .null_is_empty()
            .optional()
            .put(),
        Attribute::new("host_routes", Kind::HostRoutes, Stored::Children(HOST_ROUTES)).null_is_empty().optional().put(),
        Attribute::new("dns_nameservers", Kind::Nameservers, Stored::Children(NAMESERVERS))
            .null_is_empty()
            .optional()
            .put(),
        standard::description("subnets.description"),
        Attribute::new(
            "router:external",
            Kind::Boolean,
            Stored::Boolean("(SELECT external FROM networks WHERE networks.id = subnets.network_id)"),
        )
        .filter()
        .from_extension("subnet-external-network"),
        Attribute::new("shared", Kind::Boolean, Stored::Shared(SHARING)).filter().hidden(),
        // The policy rules of this name exist, but Neutron does not ask them.
        Attribute::new("service_types", Kind::Custom(&SERVICE_TYPES), Stored::Json("subnets.service_types"))
            .null_is_empty()
            .optional()
            .put()
            .from_extension("subnet-service-types"),
        Attribute::new("segment_id", Kind::Uuid, Stored::Text("subnets.segment_id"))
            .nullable()
            .default(Literal::Null)
            .put()
            .sort()
            .policy()
            .from_extension("segment"),
        Attribute::new("dns_publish_fixed_ip", Kind::Boolean, Stored::Boolean("subnets.dns_publish_fixed_ip"))
            .default(Literal::Bool(false))
            .put()
            .from_extension("subnet-dns-publish-fixed-ip"),
        standard::tags(),
        standard::created_at("subnets.created_at"),
        standard::updated_at("subnets.updated_at"),
        standard::revision("subnets.revision_number"),
    ],
    ..Resource::BASE
};
