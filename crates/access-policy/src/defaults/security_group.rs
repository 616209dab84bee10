//! Security groups and their rules.

use super::ADMIN_OR_PROJECT_MEMBER;

pub(super) const RULES: &[(&str, &str)] = &[
    ("admin_or_sg_owner", "rule:context_is_admin or project_id:%(security_group:project_id)s"),
    ("admin_owner_or_sg_owner", "rule:owner or rule:admin_or_sg_owner"),
    ("shared_security_group", "field:security_groups:shared=True"),
    ("rule_default_sg", "field:security_group_rules:belongs_to_default_sg=True"),
    (
        "create_default_security_group",
        "(rule:admin_only) or (rule:service_api) or role:reader and project_id:%(project_id)s",
    ),
    ("create_security_group", ADMIN_OR_PROJECT_MEMBER),
    ("create_security_group:tags", ADMIN_OR_PROJECT_MEMBER),
    (
        "get_security_group",
        "(rule:admin_only) or (role:reader and project_id:%(project_id)s) or rule:shared_security_group",
    ),
    (
        "get_security_group:tags",
        "(rule:admin_only) or (role:reader and project_id:%(project_id)s) or rule:shared_security_group",
    ),
    ("update_security_group", ADMIN_OR_PROJECT_MEMBER),
    ("update_security_group:tags", ADMIN_OR_PROJECT_MEMBER),
    ("delete_security_group", ADMIN_OR_PROJECT_MEMBER),
    ("delete_security_group:tags", ADMIN_OR_PROJECT_MEMBER),
    ("create_security_group_rule", "(rule:admin_only) or (role:member and rule:sg_owner)"),
    ("get_security_group_rule", "(rule:admin_only) or (role:reader and rule:sg_owner)"),
    ("delete_security_group_rule", "(rule:admin_only) or (role:member and rule:sg_owner)"),
];
