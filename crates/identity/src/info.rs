//! What a checked token says: the answer that the networking API decides by.

use jiff::Timestamp;

use crate::token::Method;

/// An object by id and name.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Named {
    /// Its id: 32 hexadecimal digits, or `default` for the first domain.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// A user or project, with the domain it is in.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct InDomain {
    /// Its id.
    pub id: String,
    /// Its name, unique within the domain.
    pub name: String,
    /// The domain.
    pub domain: Named,
}

/// What the token is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Nothing but getting a scoped token.
    Unscoped,
    /// One project.
    Project(InDomain),
    /// One domain.
    Domain(Named),
}

impl Scope {
    /// The domain of a domain scope.
    #[must_use]
    pub fn domain_id(&self) -> Option<&str> {
        match self {
            Self::Domain(domain) => Some(&domain.id),
            Self::Unscoped | Self::Project(_) => None,
        }
    }
}

/// A token that was checked: who makes the request, with which roles, on what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenInfo {
    /// The user.
    pub user: InDomain,
    /// What the roles are good for.
    pub scope: Scope,
    /// The user's roles on the scope, those that they imply included, in no order; empty when unscoped.
    pub roles: Vec<Named>,
    /// How the user proved who they are.
    pub methods: Vec<Method>,
    /// This token's audit id, then the first one of its chain.
    pub audit_ids: Vec<String>,
    /// When it was made.
    pub issued_at: Timestamp,
    /// From when on it is no good.
    pub expires_at: Timestamp,
}

impl TokenInfo {
    /// Whether one of the roles, given or implied, is called `name` (Keystone compares role names without case).
    #[must_use]
    pub fn has_role(&self, name: &str) -> bool {
        self.roles.iter().any(|role| role.name.eq_ignore_ascii_case(name))
    }

    /// Whether the role `admin` is among the roles: what OpenStack's default policies call an administrator.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.has_role("admin")
    }

    /// The project of a project scope.
    #[must_use]
    pub fn project_id(&self) -> Option<&str> {
        match &self.scope {
            Scope::Project(project) => Some(&project.id),
            Scope::Unscoped | Scope::Domain(_) => None,
        }
    }

    /// The names of all roles.
    pub fn role_names(&self) -> impl Iterator<Item = &str> {
        self.roles.iter().map(|role| role.name.as_str())
    }
}
