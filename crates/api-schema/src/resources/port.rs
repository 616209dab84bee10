//! Ports: where a device meets a network, with its addresses, its protection, and the host it is bound to.

use super::standard;
use crate::{Attribute, Children, Kind, Literal, Methods, NotFound, Parent, Resource, Stored};

const FIXED_IPS: Children = Children {
    table: "fixed_ips",
    owner: "port_id",
    fields: &[("subnet_id", "subnet_id"), ("ip_address", "ip_address")],
    order: "position",
};
const SECURITY_GROUPS: Children = Children {
    table: "port_security_groups",
    owner: "port_id",
    fields: &[("", "security_group_id")],
    order: "security_group_id",
};
const ADDRESS_PAIRS: Children = Children {
    table: "port_address_pairs",
    owner: "port_id",
    fields: &[("mac_address", "mac_address"), ("ip_address", "ip_address")],
    order: "ip_address",
};
const VNIC_TYPES: &[&str] = &[
    "normal",
    "direct",
    "macvtap",
    "baremetal",
    "direct-physical",
    "virtio-forwarder",
    "smart-nic",
    "vdpa",
    "accelerator-direct",
    "accelerator-direct-physical",
    "remote-managed",
];

/// See the module.
pub static PORT: Resource = Resource {
    name: "port",
    collection: "ports",
    not_found: NotFound::new("PortNotFound", "Port "),
    alias: None,
    table: "ports",
    from: "ports",
    parents: &[Parent { name: "network", attribute: "network_id", column: "ports.network_id", table: "networks" }],
    methods: Methods::ALL,
    actions: &[],
    quota: true,
    attributes: &[
        standard::id("ports.id"),
        standard::name("ports.name"),
        Attribute::new("network_id", Kind::Uuid, Stored::Text("ports.network_id")).required().sort(),
        standard::project("ports.project_id"),
        Attribute::new("mac_address", Kind::MacOrGenerate, Stored::Text("ports.mac_address"))
            .optional()
            .put()
            .sort()
            .policy(),
        standard::admin_state_up("ports.admin_state_up"),
        standard::status("ports.status"),
        Attribute::new("device_id", Kind::Text(255), Stored::Text("ports.device_id"))
            .default(Literal::Text(""))
            .put()
            .sort()
            .policy(),
        Attribute::new("device_owner", Kind::Text(255), Stored::Text("ports.device_owner"))
            .default(Literal::Text(""))
            .put()
            .sort()
            .policy(),
        Attribute::new("fixed_ips", Kind::FixedIps, Stored::Children(FIXED_IPS)).optional().put().filter().policy(),
        Attribute::new("allowed_address_pairs", Kind::AddressPairs, Stored::Children(ADDRESS_PAIRS))
            .null_is_empty()
            .optional()
            .put()
            .policy()
            .from_extension("allowed-address-pairs"),
        Attribute::new("extra_dhcp_opts", Kind::Object, Stored::Constant(Literal::EmptyList)),
        Attribute::new("security_groups", Kind::UuidList, Stored::Children(SECURITY_GROUPS))
            .null_is_empty()
            .optional()
            .put()
            .filter()
            .from_extension("security-group"),
        standard::description("ports.description"),
        Attribute::new("binding:vnic_type", Kind::Words(VNIC_TYPES), Stored::Text("ports.binding_vnic_type"))
            .default(Literal::Text("normal"))
            .put()
            .policy()
            .from_extension("binding"),
        Attribute::new("port_security_enabled", Kind::Boolean, Stored::Boolean("ports.port_security_enabled"))
            .optional()
            .put()
            .policy()
            .from_extension("port-security"),
        Attribute::new("binding:profile", Kind::Object, Stored::Json("ports.binding_profile"))
            .null_is_empty()
            .optional()
            .put()
            .policy()
            .from_extension("binding"),
        Attribute::new("binding:host_id", Kind::Text(255), Stored::Text("ports.binding_host"))
            .nullable()
            .optional()
            .put()
            .filter()
            .policy()
            .from_extension("binding"),
        Attribute::new("binding:vif_type", Kind::Text(64), Stored::Text("ports.binding_vif_type"))
            .policy()
            .from_extension("binding"),
        Attribute::new("binding:vif_details", Kind::Object, Stored::Json("ports.binding_vif_details"))
            .policy()
            .from_extension("binding"),
        standard::tags(),
        standard::created_at("ports.created_at"),
        standard::updated_at("ports.updated_at"),
        standard::revision("ports.revision_number"),
    ],
    ..Resource::BASE
};
