//! One of a router's `external_gateways`, as the router shows it: not an object of the API by itself.

use crate::{Attribute, Children, Kind, Resource, Stored};

const FIXED_IPS: Children = Children {
    table: "fixed_ips",
    owner: "fixed_ips.port_id",
    fields: &[("subnet_id", "fixed_ips.subnet_id"), ("ip_address", "fixed_ips.ip_address")],
    order: "fixed_ips.position",
};

/// See the module. It is known by the id of its port.
pub static ROUTER_GATEWAY: Resource = Resource {
    name: "router_gateway",
    collection: "external_gateways",
    table: "gateway",
    from: "router_gateways JOIN ports AS gateway ON gateway.id = router_gateways.port_id
        JOIN routers AS owner ON owner.id = router_gateways.router_id",
    attributes: &[
        Attribute::new("network_id", Kind::Uuid, Stored::Text("gateway.network_id")),
        Attribute::new("external_fixed_ips", Kind::FixedIps, Stored::Children(FIXED_IPS)),
        Attribute::new("enable_snat", Kind::Boolean, Stored::Boolean("router_gateways.enable_snat")),
    ],
    ..Resource::BASE
};
