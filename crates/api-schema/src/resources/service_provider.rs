//! Who makes services: the kinds of routers that there are.

use crate::{Attribute, Kind, Methods, NotFound, Resource, Stored};

/// The names that `network_model::router::Provider` knows; none is the default, a router's kind decides.
const FROM: &str = "(SELECT 'dvrha' AS id, 0 AS position UNION ALL SELECT 'dvr', 1 UNION ALL SELECT 'ha', 2
    UNION ALL SELECT 'single_node', 3) AS service_providers";

/// See the module.
pub static SERVICE_PROVIDER: Resource = Resource {
    name: "service_provider",
    collection: "service_providers",
    not_found: NotFound::new("ServiceProviderNotFound", "Service provider "),
    alias: Some("service-type"),
    table: "service_providers",
    from: FROM,
    methods: Methods::READ,
    attributes: &[
        Attribute::new(
            "service_type",
            Kind::Text(255),
            Stored::Text("CASE WHEN service_providers.position >= 0 THEN 'L3_ROUTER_NAT' END"),
        )
        .filter(),
        Attribute::new("name", Kind::Text(255), Stored::Text("service_providers.id")).filter(),
        Attribute::new(
            "default",
            Kind::Boolean,
            Stored::Boolean("CASE WHEN service_providers.position < 0 THEN 1 ELSE 0 END"),
        )
        .filter(),
    ],
    ..Resource::BASE
};
