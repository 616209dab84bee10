//! Ports: where a device meets a network, with its addresses, its protection, and the host it is bound to.

use super::{port_kinds, standard};
use crate::{
    AddMember, Attribute, Children, Derived, Kind, Known, Literal, Members, Methods, NotFound, Object, Parent,
    Resource, Stored,
};

const FIXED_IPS: Children = Children {
    table: "fixed_ips",
    owner: "fixed_ips.port_id",
    fields: &[("subnet_id", "fixed_ips.subnet_id"), ("ip_address", "fixed_ips.ip_address")],
    order: "fixed_ips.position",
};
const DNS_ASSIGNMENT: Derived = Derived {
    rows: Children { fields: &[("ip_address", "fixed_ips.ip_address")], ..FIXED_IPS },
    of_object: &["ports.dns_name", ":dot_domain"],
    members: Members(names),
};
const DHCP_OPTIONS: Children = Children {
    table: "port_dhcp_options",
    owner: "port_id",
    fields: &[("opt_name", "opt_name"), ("opt_value", "opt_value"), ("ip_version", "ip_version")],
    order: "opt_name, ip_version",
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
const TRUNK_DETAILS: Object = Object {
    present: TRUNK_ID,
    members: &[
        ("trunk_id", Stored::Text(TRUNK_ID)),
        (
            "sub_ports",
            Stored::Children(Children {
                table: "trunk_subports JOIN trunks ON trunks.id = trunk_subports.trunk_id
                        JOIN ports AS subport ON subport.id = trunk_subports.port_id",
                owner: "trunks.port_id",
                fields: &[
                    ("segmentation_id", "trunk_subports.segmentation_id"),
                    ("segmentation_type", "trunk_subports.segmentation_type"),
                    ("port_id", "trunk_subports.port_id"),
                    ("mac_address", "subport.mac_address"),
                ],
                order: "trunk_subports.segmentation_id",
            }),
        ),
    ],
};
// Whether there is any trunk at all is looked up once for all ports, and mostly there is none.
const TRUNK_ID: &str = "CASE WHEN EXISTS (SELECT 1 FROM trunks WHERE trunks.port_id > '')
    THEN (SELECT trunks.id FROM trunks WHERE trunks.port_id = ports.id) END";
// The same with networks that have a policy.
const NETWORK_QOS: &str = "CASE WHEN EXISTS (SELECT 1 FROM networks WHERE networks.qos_policy_id > '')
    THEN (SELECT networks.qos_policy_id FROM networks WHERE networks.id = ports.network_id) END";
const NUMA_POLICIES: &[&str] = &["required", "preferred", "socket", "legacy"];
const PVLAN_TYPES: &[&str] = &["isolated", "promiscuous", "community"];
pub(super) const VNIC_TYPES: &[&str] = &[
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

/// What DHCP and DNS call a port at one of its addresses: by its name, or by the address if it has none.
fn names(known: Known<'_>, add: &mut AddMember<'_>) {
    let ([address], [name, dot_domain]) = (known.row, known.object) else { return };
    // With room for both: this is done for every address of a list.
    let mut host = String::with_capacity("host-".len() + name.len().max(address.len()) + dot_domain.len());
    if name.is_empty() {
        host.push_str("host-");
        host.extend(address.chars().map(|c| if matches!(c, '.' | ':') { '-' } else { c }));
    } else {
        host.push_str(name);
    }
    add("hostname", &host);
    if !host.ends_with('.') {
        host.push_str(dot_domain);
    }
    add("fqdn", &host);
}

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
        Attribute::new("extra_dhcp_opts", Kind::Custom(&port_kinds::DHCP_OPTIONS), Stored::Children(DHCP_OPTIONS))
            .null_is_empty()
            .optional()
            .put()
            .from_extension("extra_dhcp_opt"),
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
        Attribute::new("dns_name", Kind::DnsName, Stored::Text("ports.dns_name"))
            .default(Literal::Text(""))
            .put()
            .from_extension("dns-integration"),
        Attribute::new("dns_assignment", Kind::Object, Stored::Derived(&DNS_ASSIGNMENT))
            .from_extension("dns-integration"),
        Attribute::new("dns_domain", Kind::DnsDomain, Stored::Text("ports.dns_domain"))
            .default(Literal::Text(""))
            .put()
            .from_extension("dns-domain-ports"),
        Attribute::new("numa_affinity_policy", Kind::Words(NUMA_POLICIES), Stored::Text("ports.numa_affinity_policy"))
            .nullable()
            .default(Literal::Null)
            .put()
            .from_extension("port-numa-affinity-policy"),
        Attribute::new("device_profile", Kind::Text(255), Stored::Text("ports.device_profile"))
            .nullable()
            .default(Literal::Null)
            .from_extension("port-device-profile"),
        Attribute::new(
            "hardware_offload_type",
            Kind::Words(&["switchdev"]),
            Stored::Text("ports.hardware_offload_type"),
        )
        .optional()
        .policy()
        .from_extension("port-hardware-offload-type"),
        Attribute::new("trusted", Kind::Boolean, Stored::Boolean("ports.trusted"))
            .optional()
            .put()
            .policy()
            .from_extension("port-trusted-vif"),
        Attribute::new("hints", Kind::Custom(&port_kinds::HINTS), Stored::Json("ports.hints"))
            .nullable()
            .default(Literal::Null)
            .put()
            .policy()
            .from_extension("port-hints"),
        Attribute::new("data_plane_status", Kind::Words(&["ACTIVE", "DOWN"]), Stored::Text("ports.data_plane_status"))
            .nullable()
            .put()
            .policy()
            .from_extension("data-plane-status"),
        Attribute::new("propagate_uplink_status", Kind::Boolean, Stored::Boolean("ports.propagate_uplink_status"))
            .default(Literal::Bool(true))
            .put()
            .from_extension("uplink-status-propagation"),
        Attribute::new("pvlan_type", Kind::Words(PVLAN_TYPES), Stored::Text("ports.pvlan_type"))
            .nullable()
            .default(Literal::Null)
            .put()
            .filter()
            .from_extension("pvlan"),
        Attribute::new("pvlan_community", Kind::Custom(&port_kinds::COMMUNITY), Stored::Text("ports.pvlan_community"))
            .nullable()
            .default(Literal::Null)
            .put()
            .filter()
            .from_extension("pvlan"),
        standard::qos_policy_id("ports.qos_policy_id", "qos"),
        Attribute::new("qos_network_policy_id", Kind::Uuid, Stored::Text(NETWORK_QOS))
            .from_extension("qos-port-network-policy"),
        Attribute::new("resource_request", Kind::Object, Stored::Json("ports.resource_request"))
            .from_extension("port-resource-request"),
        Attribute::new("trunk_details", Kind::Object, Stored::Object(TRUNK_DETAILS)).from_extension("trunk-details"),
        Attribute::new("ip_allocation", Kind::Text(16), Stored::Text("ports.ip_allocation"))
            .from_extension("ip_allocation"),
        standard::tags().default(Literal::EmptyList),
        standard::created_at("ports.created_at"),
        standard::updated_at("ports.updated_at"),
        standard::revision("ports.revision_number"),
    ],
    ..Resource::BASE
};
