//! Neutron's default rules (secure RBAC), one file per resource.

mod agent;
mod availability_zone;
mod floating_ip;
mod network;
mod port;
mod quota;
mod router;
mod security_group;
mod subnet;

const ADMIN: &str = "rule:admin_only";
const SERVICE: &str = "rule:service_api";
const ADMIN_OR_SERVICE: &str = "(rule:admin_only) or (rule:service_api)";
const ADMIN_OR_PROJECT_MANAGER: &str = "(rule:admin_only) or (role:manager and project_id:%(project_id)s)";
const ADMIN_OR_PROJECT_MEMBER: &str = "(rule:admin_only) or (role:member and project_id:%(project_id)s)";
const ADMIN_OR_PROJECT_READER: &str = "(rule:admin_only) or (role:reader and project_id:%(project_id)s)";

const BASE: &[(&str, &str)] = &[
    ("context_is_admin", "role:admin"),
    ("context_with_global_access", "!"),
    ("context_can_set_project_id", "!"),
    ("context_is_advsvc", "role:advsvc"),
    ("service_api", "role:service"),
    ("owner", "project_id:%(project_id)s"),
    ("admin_or_owner", "rule:context_is_admin or rule:owner"),
    ("admin_or_network_owner", "rule:context_is_admin or project_id:%(network:project_id)s"),
    ("admin_owner_or_network_owner", "rule:owner or rule:admin_or_network_owner"),
    ("network_owner", "project_id:%(network:project_id)s"),
    ("admin_only", "rule:context_is_admin"),
    ("regular_user", ""),
    ("shared", "field:networks:shared=True"),
    ("default", "rule:admin_or_owner"),
    ("ext_parent_owner", "project_id:%(ext_parent:project_id)s"),
    ("sg_owner", "project_id:%(security_group:project_id)s"),
];

/// Name and text of every default rule.
pub(crate) fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    [
        BASE,
        network::RULES,
        subnet::RULES,
        port::RULES,
        security_group::RULES,
        router::RULES,
        floating_ip::RULES,
        agent::RULES,
        availability_zone::RULES,
        quota::RULES,
    ]
    .into_iter()
    .flatten()
    .copied()
}
