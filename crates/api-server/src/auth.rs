//! Who makes the request: the two ways to know it, the built-in identity and an external Keystone.

use access_policy::Credentials;
use identity::Identity;
use keystone_client::{CheckError, Scope, TokenChecker, TokenInfo};
use std::future::Future;
use std::pin::Pin;

pub use keystone_client::Presented;

/// A checked token, as far as the API cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// User, project and roles.
    pub credentials: Credentials,
}

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// The tokens are not good; the API does not tell why.
    Unauthorized,
    /// Whoever knows tokens cannot be asked.
    Unavailable,
}

/// What becomes of a request's tokens.
pub type Authentication<'a> = Pin<Box<dyn Future<Output = Result<Caller, Denial>> + Send + 'a>>;

/// Checks tokens.
pub trait Authenticator: Send + Sync + 'static {
    /// Who makes the request that brought these tokens.
    fn authenticate<'a>(&'a self, presented: Presented<'a>) -> Authentication<'a>;
}

impl Authenticator for Identity {
    fn authenticate<'a>(&'a self, presented: Presented<'a>) -> Authentication<'a> {
        let names = |info: &identity::TokenInfo| info.role_names().map(str::to_owned).collect();
        Box::pin(async move {
            let checked = self.validate_both(presented.token, presented.service_token);
            let (info, service) = checked.map_err(|error| match error {
                identity::IdentityError::Store(_) => Denial::Unavailable,
                _ => Denial::Unauthorized,
            })?;
            Ok(Caller {
                credentials: Credentials {
                    user_id: info.user.id.clone(),
                    project_id: info.project_id().unwrap_or_default().to_owned(),
                    domain_id: info.scope.domain_id().unwrap_or_default().to_owned(),
                    system_scope: false,
                    is_admin_project: true,
                    roles: names(&info),
                    service_roles: service.map(|service| names(&service)).unwrap_or_default(),
                },
            })
        })
    }
}

impl Authenticator for TokenChecker {
    fn authenticate<'a>(&'a self, presented: Presented<'a>) -> Authentication<'a> {
        Box::pin(async move {
            let checked = self.check(presented).await.map_err(|error| match error {
                CheckError::Invalid => Denial::Unauthorized,
                CheckError::Unavailable(_) => Denial::Unavailable,
            })?;
            let service_roles = checked.service.map(|service| service.roles.clone()).unwrap_or_default();
            Ok(Caller { credentials: credentials(&checked.user, service_roles) })
        })
    }
}

fn credentials(user: &TokenInfo, service_roles: Vec<String>) -> Credentials {
    let (mut project_id, mut domain_id, mut system_scope) = (String::new(), String::new(), false);
    match &user.scope {
        Scope::Project(id) => project_id.clone_from(id),
        Scope::Domain(id) => domain_id.clone_from(id),
        Scope::System => system_scope = true,
        Scope::Unscoped => {}
    }
    Credentials {
        user_id: user.user_id.clone(),
        project_id,
        domain_id,
        system_scope,
        is_admin_project: user.is_admin_project,
        roles: user.roles.clone(),
        service_roles,
    }
}
