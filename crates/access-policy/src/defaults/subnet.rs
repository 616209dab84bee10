//! Subnets.

use super::ADMIN;

pub(super) const RULES: &[(&str, &str)] = &[
    ("external_network", "field:subnets:router:external=True"),
    ("create_subnet", "(rule:admin_only) or (role:member and rule:network_owner)"),
    ("create_subnet:segment_id", ADMIN),
    ("create_subnet:service_types", ADMIN),
    (
        "create_subnet:tags",
        "role:member and project_id:%(project_id)s or (rule:admin_only) or (role:member and rule:network_owner)",
    ),
    (
        "get_subnet",
        "role:reader and project_id:%(project_id)s or rule:shared or rule:external_network or (rule:admin_only) or (role:reader and rule:network_owner) or rule:service_api",
    ),
    ("get_subnet:segment_id", ADMIN),
    (
        "get_subnet:tags",
        "role:reader and project_id:%(project_id)s or rule:shared or rule:external_network or (rule:admin_only) or (role:reader and rule:network_owner)",
    ),
    (
        "update_subnet",
        "role:member and project_id:%(project_id)s or (rule:admin_only) or (role:member and rule:network_owner)",
    ),
    ("update_subnet:segment_id", ADMIN),
    ("update_subnet:service_types", ADMIN),
    ("update_subnet:leak_routes", ADMIN),
    (
        "update_subnet:tags",
        "role:member and project_id:%(project_id)s or (rule:admin_only) or (role:member and rule:network_owner)",
    ),
    (
        "delete_subnet",
        "role:member and project_id:%(project_id)s or (rule:admin_only) or (role:member and rule:network_owner)",
    ),
    (
        "delete_subnet:tags",
        "role:member and project_id:%(project_id)s or (rule:admin_only) or (role:member and rule:network_owner)",
    ),
];
