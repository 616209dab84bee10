//! NDP proxies: IPv6 addresses that a router answers for on its external network.

use super::standard;
use crate::{Attribute, Kind, Literal, Methods, NotFound, Resource, Stored};

/// See the module.
pub static NDP_PROXY: Resource = Resource {
    name: "ndp_proxy",
    collection: "ndp_proxies",
    segment: "ndp_proxies",
    not_found: NotFound::new("NDPProxyNotFound", "Ndp proxy "),
    alias: Some("l3-ndp-proxy"),
    table: "ndp_proxies",
    from: "ndp_proxies",
    methods: Methods::ALL,
    attributes: &[
        standard::id("ndp_proxies.id"),
        standard::name("ndp_proxies.name"),
        standard::project("ndp_proxies.project_id"),
        Attribute::new("router_id", Kind::Uuid, Stored::Text("ndp_proxies.router_id")).required().sort(),
        Attribute::new("port_id", Kind::Uuid, Stored::Text("ndp_proxies.port_id")).required().sort(),
        Attribute::new("ip_address", Kind::IpAddress, Stored::Text("ndp_proxies.ip_address"))
            .nullable()
            .default(Literal::Null)
            .sort(),
        standard::description("ndp_proxies.description"),
        standard::created_at("ndp_proxies.created_at"),
        standard::updated_at("ndp_proxies.updated_at"),
        standard::revision("ndp_proxies.revision_number"),
    ],
    ..Resource::BASE
};
