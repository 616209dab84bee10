//! Connection tracking helpers of routers: `/v2.0/routers/ID/conntrack_helpers`.

use super::standard;
use crate::TRANSPORT_PROTOCOLS;
use crate::{Attribute, Children, Kind, Methods, NotFound, Parent, Resource, Stored};

/// The helpers of a router, as it shows them.
pub(super) const OF_ROUTER: Children = Children {
    table: "conntrack_helpers",
    owner: "router_id",
    fields: &[("protocol", "protocol"), ("port", "port"), ("helper", "helper")],
    order: "id",
};

/// See the module.
pub static CONNTRACK_HELPER: Resource = Resource {
    name: "conntrack_helper",
    rule: "router_conntrack_helper",
    collection: "conntrack_helpers",
    inside: Some(Parent {
        name: "router",
        attribute: "router_id",
        column: "conntrack_helpers.router_id",
        table: "routers",
    }),
    not_found: NotFound::new("ConntrackHelperNotFound", "Conntrack Helper "),
    alias: Some("l3-conntrack-helper"),
    table: "conntrack_helpers",
    from: "conntrack_helpers JOIN routers AS helped ON helped.id = conntrack_helpers.router_id",
    methods: Methods::ALL,
    attributes: &[
        standard::id("conntrack_helpers.id"),
        standard::project("helped.project_id").hidden(),
        Attribute::new("protocol", Kind::Words(TRANSPORT_PROTOCOLS), Stored::Text("conntrack_helpers.protocol"))
            .required()
            .put()
            .sort(),
        Attribute::new("port", Kind::Range(1, 65535), Stored::Integer("conntrack_helpers.port"))
            .required()
            .put()
            .sort(),
        Attribute::new("helper", Kind::Text(64), Stored::Text("conntrack_helpers.helper")).required().put().sort(),
    ],
    ..Resource::BASE
};
