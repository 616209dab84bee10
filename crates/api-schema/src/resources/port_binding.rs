//! Bindings of a port: the one in use, and those on hosts that its instance may move to.

use crate::{
    Action, Attribute, Kind, Literal, Methods, NotFound, Parent, Resource, Stored, resources::port::VNIC_TYPES,
};

/// See the module.
pub static PORT_BINDING: Resource = Resource {
    name: "port_binding",
    key: "binding",
    rule: "port_binding",
    collection: "bindings",
    inside: Some(Parent { name: "port", attribute: "port_id", column: "port_bindings.port_id", table: "ports" }),
    path_key: "host",
    not_found: NotFound {
        kind: "PortBindingNotFound",
        before: "Binding for port {parent} for host ",
        after: " could not be found.",
    },
    alias: Some("binding-extended"),
    table: "port_bindings",
    // The binding in use stands with the port; its id is the port's.
    from: "(SELECT id, id AS port_id, binding_host AS host, binding_vnic_type AS vnic_type, binding_profile AS profile,
                binding_vif_type AS vif_type, binding_vif_details AS vif_details, 'ACTIVE' AS status FROM ports
            UNION ALL SELECT id, port_id, host, vnic_type, profile, vif_type, vif_details, 'INACTIVE' AS status
                FROM port_bindings) AS port_bindings",
    methods: Methods::ALL,
    actions: &[Action { name: "activate", method: "PUT" }],
    attributes: &[
        Attribute::new("host", Kind::Text(255), Stored::Text("port_bindings.host")).required().sort(),
        Attribute::new("vif_type", Kind::Text(64), Stored::Text("port_bindings.vif_type")).filter(),
        Attribute::new("vif_details", Kind::Object, Stored::Json("port_bindings.vif_details")),
        Attribute::new("vnic_type", Kind::Words(VNIC_TYPES), Stored::Text("port_bindings.vnic_type"))
            .default(Literal::Text("normal"))
            .put()
            .filter(),
        Attribute::new("profile", Kind::Object, Stored::Json("port_bindings.profile")).null_is_empty().optional().put(),
        Attribute::new("status", Kind::Text(16), Stored::Text("port_bindings.status")).filter(),
        Attribute::new("project_id", Kind::Text(255), Stored::Nowhere).optional().hidden(),
    ],
    ..Resource::BASE
};
