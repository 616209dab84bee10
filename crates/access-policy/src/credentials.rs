//! What policy may know of the caller.

/// Taken from the token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The user's id.
    pub user_id: String,
    /// The project that the token is scoped to; empty: none.
    pub project_id: String,
    /// Names of the roles, with those that they imply.
    pub roles: Vec<String>,
    /// Roles of the service token that came along (`X-Service-Token`).
    pub service_roles: Vec<String>,
}

impl Credentials {
    pub(crate) fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own.eq_ignore_ascii_case(role))
    }

    pub(crate) fn has_service_role(&self, role: &str) -> bool {
        self.service_roles.iter().any(|own| own.eq_ignore_ascii_case(role))
    }

    /// The value that a rule names on its left side.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        match name {
            "project_id" | "tenant_id" => Some(&self.project_id),
            "user_id" => Some(&self.user_id),
            _ => None,
        }
    }
}
