//! Networks.

use super::{ADMIN, ADMIN_OR_PROJECT_MEMBER};

pub(super) const RULES: &[(&str, &str)] = &[
    ("external", "field:networks:router:external=True"),
    ("create_network", ADMIN_OR_PROJECT_MEMBER),
    ("create_network:shared", ADMIN),
    ("create_network:router:external", ADMIN),
    ("create_network:is_default", ADMIN),
    ("create_network:port_security_enabled", ADMIN_OR_PROJECT_MEMBER),
    ("create_network:segments", ADMIN),
    ("create_network:provider:network_type", ADMIN),
    ("create_network:provider:physical_network", ADMIN),
    ("create_network:provider:segmentation_id", ADMIN),
    ("create_network:tags", ADMIN_OR_PROJECT_MEMBER),
    (
        "get_network",
        "(rule:admin_only) or (role:reader and project_id:%(project_id)s) or rule:service_api or rule:shared or rule:external or rule:context_is_advsvc",
    ),
    ("get_network:segments", ADMIN),
    ("get_network:provider:network_type", ADMIN),
    ("get_network:provider:physical_network", ADMIN),
    ("get_network:provider:segmentation_id", ADMIN),
    (
        "get_network:tags",
        "(rule:admin_only) or (role:reader and project_id:%(project_id)s) or rule:shared or rule:external or rule:context_is_advsvc",
    ),
    ("update_network", ADMIN_OR_PROJECT_MEMBER),
    ("update_network:segments", ADMIN),
    ("update_network:shared", ADMIN),
    ("update_network:provider:network_type", ADMIN),
    ("update_network:provider:physical_network", ADMIN),
    ("update_network:provider:segmentation_id", ADMIN),
    ("update_network:router:external", ADMIN),
    ("update_network:is_default", ADMIN),
    ("update_network:port_security_enabled", ADMIN_OR_PROJECT_MEMBER),
    ("update_network:tags", ADMIN_OR_PROJECT_MEMBER),
    ("delete_network", ADMIN_OR_PROJECT_MEMBER),
    ("delete_network:tags", ADMIN_OR_PROJECT_MEMBER),
];
