//! Floating IPs.

use super::{ADMIN_OR_PROJECT_MANAGER, ADMIN_OR_PROJECT_MEMBER, ADMIN_OR_PROJECT_READER};

pub(super) const RULES: &[(&str, &str)] = &[
    ("create_floatingip", ADMIN_OR_PROJECT_MEMBER),
    ("create_floatingip:floating_ip_address", ADMIN_OR_PROJECT_MANAGER),
    ("create_floatingip:router_id", ADMIN_OR_PROJECT_MEMBER),
    ("create_floatingip:tags", ADMIN_OR_PROJECT_MEMBER),
    ("get_floatingip", ADMIN_OR_PROJECT_READER),
    ("get_floatingip:tags", ADMIN_OR_PROJECT_READER),
    ("update_floatingip", ADMIN_OR_PROJECT_MEMBER),
    ("update_floatingip:router_id", ADMIN_OR_PROJECT_MEMBER),
    ("update_floatingip:tags", ADMIN_OR_PROJECT_MEMBER),
    ("delete_floatingip", ADMIN_OR_PROJECT_MEMBER),
    ("delete_floatingip:tags", ADMIN_OR_PROJECT_MEMBER),
];
