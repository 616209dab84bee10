//! Who makes the request.

use access_policy::Credentials;
use std::future::Future;
use std::pin::Pin;

/// A checked token, as far as the API cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// User, project and roles.
    pub credentials: Credentials,
}

/// Checks tokens. The answer to a bad one is `None`; the API does not tell why.
pub trait Authenticator: Send + Sync + 'static {
    /// Who the bearer of `token` (`X-Auth-Token`) is.
    fn authenticate<'a>(&'a self, token: &'a str) -> Pin<Box<dyn Future<Output = Option<Caller>> + Send + 'a>>;
}

impl Authenticator for identity::Identity {
    fn authenticate<'a>(&'a self, token: &'a str) -> Pin<Box<dyn Future<Output = Option<Caller>> + Send + 'a>> {
        Box::pin(async move {
            let info = self.validate(token).ok()?;
            Some(Caller {
                credentials: Credentials {
                    user_id: info.user.id.clone(),
                    project_id: info.project_id().unwrap_or_default().to_owned(),
                    roles: info.role_names().map(str::to_owned).collect(),
                    service_roles: Vec::new(),
                },
            })
        })
    }
}
