//! What policy may know of the caller.

use crate::condition::Of;

/// Taken from the token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The user's id.
    pub user_id: String,
    /// The project that the token is scoped to; empty: none.
    pub project_id: String,
    /// The domain that the token is scoped to; empty: none.
    pub domain_id: String,
    /// Whether the token is scoped to the system.
    pub system_scope: bool,
    /// Whether the project is the cloud's administrators'.
    pub is_admin_project: bool,
    /// Names of the roles, with those that they imply.
    pub roles: Vec<String>,
    /// Roles of the service token that came along (`X-Service-Token`).
    pub service_roles: Vec<String>,
}

impl Credentials {
    /// The caller's own value.
    pub fn own(&self, of: Of) -> &str {
        match of {
            Of::User => &self.user_id,
            Of::Project => &self.project_id,
            Of::Domain => &self.domain_id,
        }
    }

    pub(crate) fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own.eq_ignore_ascii_case(role))
    }

    pub(crate) fn has_service_role(&self, role: &str) -> bool {
        self.service_roles.iter().any(|own| own.eq_ignore_ascii_case(role))
    }

    /// Whether the token is for a domain or the system: Neutron's rules are all for projects (oslo.policy's `scope_types`,
    /// which it enforces), so such a token may do nothing, whatever its roles.
    pub(crate) fn is_of_another_scope(&self) -> bool {
        self.system_scope || !self.domain_id.is_empty()
    }

    /// The value that a rule names on its left side.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        match name {
            "system_scope" => self.system_scope.then_some("all"),
            "is_admin_project" => Some(if self.is_admin_project { "True" } else { "False" }),
            other => named(other).map(|of| self.own(of)),
        }
    }
}

/// What of the caller a rule means by a name, where callers of one standing differ.
pub(crate) fn named(name: &str) -> Option<Of> {
    match name {
        "project_id" | "tenant_id" => Some(Of::Project),
        "user_id" => Some(Of::User),
        "domain_id" => Some(Of::Domain),
        _ => None,
    }
}

/// All of a caller that the meaning of rules depends on: callers of one standing meet the same conditions, each with its own
/// values in [`crate::Condition::Own`]. What is made from rules for one of them serves the others.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Standing {
    pub(crate) roles: Vec<String>,
    pub(crate) service_roles: Vec<String>,
    pub(crate) is_admin_project: bool,
    pub(crate) is_of_another_scope: bool,
    /// Of [`Of::ALL`], which the caller has at all.
    pub(crate) has: [bool; Of::ALL.len()],
    /// These themselves, where a rule names one.
    pub(crate) named: Option<[String; Of::ALL.len()]>,
}
