//! Floating IPs: addresses of external networks that lead to ports.

use super::standard;
use crate::{Attribute, Kind, Literal, Methods, NotFound, Object, Resource, Stored};

const PORT_DETAILS: Object = Object {
    present: "target.id",
    members: &[
        ("name", Stored::Text("target.name")),
        ("network_id", Stored::Text("target.network_id")),
        ("mac_address", Stored::Text("target.mac_address")),
        ("admin_state_up", Stored::Boolean("target.admin_state_up")),
        ("status", Stored::Text("target.status")),
        ("device_id", Stored::Text("target.device_id")),
        ("device_owner", Stored::Text("target.device_owner")),
    ],
};

/// See the module.
pub static FLOATING_IP: Resource = Resource {
    name: "floatingip",
    collection: "floatingips",
    not_found: NotFound { kind: "FloatingIPNotFound", before: "Floating IP ", after: " could not be found" },
    alias: Some("router"),
    table: "floating_ips",
    from: "floating_ips LEFT JOIN ports AS target ON target.id = floating_ips.port_id",
    parents: &[],
    methods: Methods::ALL,
    actions: &[],
    quota: true,
    attributes: &[
        standard::id("floating_ips.id"),
        standard::project("floating_ips.project_id"),
        Attribute::new("floating_ip_address", Kind::IpAddress, Stored::Text("floating_ips.floating_ip_address"))
            .nullable()
            .default(Literal::Null)
            .sort()
            .policy(),
        Attribute::new("subnet_id", Kind::Uuid, Stored::Nowhere).nullable().default(Literal::Null).hidden(),
        Attribute::new("floating_network_id", Kind::Uuid, Stored::Text("floating_ips.floating_network_id"))
            .required()
            .sort(),
        Attribute::new("router_id", Kind::Uuid, Stored::Text("floating_ips.router_id"))
            .nullable()
            .default(Literal::Null)
            .put()
            .sort()
            .policy()
            .from_extension("floating-ip-router-writable"),
        Attribute::new("port_id", Kind::Uuid, Stored::Text("floating_ips.port_id"))
            .nullable()
            .default(Literal::Null)
            .put()
            .filter(),
        Attribute::new("fixed_ip_address", Kind::IpAddress, Stored::Text("floating_ips.fixed_ip_address"))
            .nullable()
            .default(Literal::Null)
            .put()
            .sort(),
        standard::status("floating_ips.status"),
        standard::description("floating_ips.description"),
        Attribute::new("port_details", Kind::Object, Stored::Object(PORT_DETAILS)).from_extension("fip-port-details"),
        Attribute::new("port_forwardings", Kind::Object, Stored::Children(super::port_forwarding::OF_FLOATING_IP))
            .from_extension("expose-port-forwarding-in-fip"),
        // They are for an external DNS service, and without one nothing keeps them.
        Attribute::new("dns_name", Kind::DnsRelativeName, Stored::Constant(Literal::Text("")))
            .default(Literal::Text(""))
            .from_extension("dns-integration"),
        Attribute::new("dns_domain", Kind::DnsDomain, Stored::Constant(Literal::Text("")))
            .default(Literal::Text(""))
            .from_extension("dns-integration"),
        standard::qos_policy_id("floating_ips.qos_policy_id", "qos-fip"),
        standard::tags(),
        standard::created_at("floating_ips.created_at"),
        standard::updated_at("floating_ips.updated_at"),
        standard::revision("floating_ips.revision_number"),
    ],
    ..Resource::BASE
};
