//! Ports.

use super::{ADMIN, ADMIN_OR_SERVICE, SERVICE};

pub(super) const RULES: &[(&str, &str)] = &[
    ("network_device", "field:port:device_owner=~^network:"),
    ("compute_device", "field:port:device_owner=~^compute:"),
    ("baremetal_device", "field:port:device_owner=~^baremetal:"),
    ("manila_device", "field:port:device_owner=~^manila:"),
    ("admin_or_data_plane_int", "rule:context_is_admin or role:data_plane_integrator"),
    ("create_port", "(rule:admin_only) or (rule:service_api) or role:member and rule:network_owner or rule:shared"),
    ("create_port:device_id", "(rule:admin_only) or (role:member and project_id:%(project_id)s) or rule:service_api"),
    (
        "create_port:device_owner",
        "not rule:network_device or (rule:admin_only) or (rule:service_api) or role:member and rule:network_owner",
    ),
    ("create_port:mac_address", "(rule:admin_only) or (rule:service_api) or role:member and rule:network_owner"),
    (
        "create_port:fixed_ips",
        "(rule:admin_only) or (rule:service_api) or role:member and rule:network_owner or rule:shared",
    ),
    (
        "create_port:fixed_ips:ip_address",
        "(rule:admin_only) or (rule:service_api) or role:member and rule:network_owner",
    ),
    (
        "create_port:fixed_ips:subnet_id",
        "(rule:admin_only) or (rule:service_api) or role:member and rule:network_owner or rule:shared",
    ),
    (
        "create_port:port_security_enabled",
        "(rule:admin_only) or (rule:service_api) or role:member and rule:network_owner",
    ),
    ("create_port:binding:host_id", ADMIN_OR_SERVICE),
    ("create_port:binding:profile", SERVICE),
    (
        "create_port:binding:vnic_type",
        "(rule:admin_only) or (role:member and project_id:%(project_id)s) or rule:service_api",
    ),
    (
        "create_port:allowed_address_pairs",
        "(rule:admin_only) or (role:member and rule:network_owner) or rule:service_api",
    ),
    (
        "create_port:allowed_address_pairs:mac_address",
        "(rule:admin_only) or (role:member and rule:network_owner) or rule:service_api",
    ),
    (
        "create_port:allowed_address_pairs:ip_address",
        "(rule:admin_only) or (role:member and rule:network_owner) or rule:service_api",
    ),
    ("create_port:hints", ADMIN),
    ("create_port:trusted", ADMIN),
    ("create_port:tags", "(rule:admin_only) or (role:member and project_id:%(project_id)s) or rule:context_is_advsvc"),
    (
        "get_port",
        "(rule:admin_only) or (rule:service_api) or role:reader and rule:network_owner or role:reader and project_id:%(project_id)s",
    ),
    ("get_port:binding:vif_type", ADMIN_OR_SERVICE),
    ("get_port:binding:vif_details", ADMIN_OR_SERVICE),
    ("get_port:binding:host_id", ADMIN_OR_SERVICE),
    ("get_port:binding:profile", ADMIN_OR_SERVICE),
    ("get_port:resource_request", ADMIN),
    ("get_port:hints", ADMIN),
    ("get_port:trusted", ADMIN),
    (
        "get_port:tags",
        "rule:context_is_advsvc or (rule:admin_only) or (role:reader and rule:network_owner) or role:reader and project_id:%(project_id)s",
    ),
    ("update_port", "(rule:admin_only) or (rule:service_api) or role:member and project_id:%(project_id)s"),
    ("update_port:device_id", "(rule:admin_only) or (role:member and project_id:%(project_id)s) or rule:service_api"),
    (
        "update_port:device_owner",
        "not rule:network_device or (rule:admin_only) or (rule:service_api) or role:member and rule:network_owner",
    ),
    ("update_port:mac_address", "(rule:admin_only) or (rule:service_api) or role:manager and rule:network_owner"),
    ("update_port:fixed_ips", "(rule:admin_only) or (rule:service_api) or role:member and rule:network_owner"),
    (
        "update_port:fixed_ips:ip_address",
        "(rule:admin_only) or (rule:service_api) or role:member and rule:network_owner",
    ),
    (
        "update_port:fixed_ips:subnet_id",
        "(rule:admin_only) or (rule:service_api) or role:member and rule:network_owner or rule:shared",
    ),
    (
        "update_port:port_security_enabled",
        "(rule:admin_only) or (rule:service_api) or role:member and rule:network_owner",
    ),
    ("update_port:binding:host_id", ADMIN_OR_SERVICE),
    ("update_port:binding:profile", SERVICE),
    (
        "update_port:binding:vnic_type",
        "(rule:admin_only) or (rule:service_api) or role:member and project_id:%(project_id)s",
    ),
    (
        "update_port:allowed_address_pairs",
        "(rule:admin_only) or (role:member and rule:network_owner) or rule:service_api",
    ),
    (
        "update_port:allowed_address_pairs:mac_address",
        "(rule:admin_only) or (role:member and rule:network_owner) or rule:service_api",
    ),
    (
        "update_port:allowed_address_pairs:ip_address",
        "(rule:admin_only) or (role:member and rule:network_owner) or rule:service_api",
    ),
    ("update_port:data_plane_status", "rule:admin_only or role:data_plane_integrator"),
    ("update_port:hints", ADMIN),
    ("update_port:trusted", ADMIN),
    ("update_port:tags", "(rule:admin_only) or (role:member and project_id:%(project_id)s) or rule:context_is_advsvc"),
    (
        "delete_port",
        "(rule:admin_only) or (rule:service_api) or (service_roles:service and (role:member and rule:network_owner or role:member and project_id:%(project_id)s)) or (not rule:compute_device and not rule:baremetal_device and not rule:manila_device and (role:member and rule:network_owner or role:member and project_id:%(project_id)s))",
    ),
    (
        "delete_port:tags",
        "rule:context_is_advsvc or role:member and project_id:%(project_id)s or (rule:admin_only) or (role:member and rule:network_owner)",
    ),
];
