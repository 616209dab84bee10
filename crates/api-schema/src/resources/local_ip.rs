//! Local IPs: addresses that on each host lead to a port of that host, and the ports that they lead to.

use super::standard;
use crate::{Attribute, Kind, Literal, Methods, NotFound, Parent, Resource, Stored};

/// Local IPs.
pub static LOCAL_IP: Resource = Resource {
    name: "local_ip",
    collection: "local_ips",
    segment: "local_ips",
    not_found: NotFound::new("LocalIPNotFound", "Local IP "),
    alias: Some("local_ip"),
    table: "local_ips",
    from: "local_ips",
    methods: Methods::ALL,
    attributes: &[
        standard::id("local_ips.id"),
        standard::name("local_ips.name"),
        standard::description("local_ips.description"),
        standard::project("local_ips.project_id"),
        Attribute::new("local_port_id", Kind::Uuid, Stored::Text("local_ips.local_port_id")).optional().sort(),
        Attribute::new("network_id", Kind::Uuid, Stored::Text("local_ips.network_id")).optional().sort(),
        Attribute::new("local_ip_address", Kind::IpAddress, Stored::Text("local_ips.local_ip_address"))
            .nullable()
            .optional()
            .sort(),
        Attribute::new("ip_mode", Kind::Words(&["translate", "passthrough"]), Stored::Text("local_ips.ip_mode"))
            .default(Literal::Text("translate"))
            .sort(),
        standard::created_at("local_ips.created_at"),
        standard::updated_at("local_ips.updated_at"),
        standard::revision("local_ips.revision_number"),
    ],
    ..Resource::BASE
};

/// `/v2.0/local_ips/ID/port_associations/PORT_ID`.
pub static LOCAL_IP_ASSOCIATION: Resource = Resource {
    name: "local_ip_association",
    key: "port_association",
    rule: "local_ip_port_association",
    collection: "port_associations",
    inside: Some(Parent {
        name: "local_ip",
        attribute: "local_ip_id",
        column: "local_ip_associations.local_ip_id",
        table: "local_ips",
    }),
    path_key: "fixed_port_id",
    not_found: NotFound {
        kind: "LocalIPAssociationNotFound",
        before: "Local IP {parent} association with port ",
        after: " could not be found.",
    },
    alias: Some("local_ip"),
    table: "local_ip_associations",
    from: "local_ip_associations JOIN local_ips AS local_ip ON local_ip.id = local_ip_associations.local_ip_id
        JOIN ports AS fixed_port ON fixed_port.id = local_ip_associations.fixed_port_id",
    methods: Methods { create: true, update: false, delete: true },
    attributes: &[
        Attribute::new("local_ip_id", Kind::Uuid, Stored::Text("local_ip_associations.local_ip_id")),
        Attribute::new("local_ip_address", Kind::IpAddress, Stored::Text("local_ip.local_ip_address")).sort(),
        Attribute::new("fixed_port_id", Kind::Uuid, Stored::Text("local_ip_associations.fixed_port_id"))
            .required()
            .sort(),
        Attribute::new("fixed_ip", Kind::IpAddress, Stored::Text("local_ip_associations.fixed_ip"))
            .nullable()
            .default(Literal::Null)
            .sort(),
        Attribute::new("host", Kind::Text(255), Stored::Text("fixed_port.binding_host")).sort(),
        standard::project("local_ip.project_id").hidden(),
    ],
    ..Resource::BASE
};
