//! `POST /v3/auth/tokens`: reading the request, checking the proof, finding the scope.

use std::sync::Arc;

use serde_json::Value as Json;
use store::{Snapshot, params};

use crate::resource::Object;
use crate::token::{Method, ScopeId};
use crate::{Identity, IdentityError, TokenInfo, password};

/// An object by id, or by name within a domain where names need one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reference<D> {
    Id(String),
    Name(String, D),
}
type DomainRef = Reference<()>;
type InDomainRef = Reference<DomainRef>;

/// What a token is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ScopeRequest {
    /// Nothing is said: the user's default project, if it can be.
    Default,
    Unscoped,
    Project(InDomainRef),
    Domain(DomainRef),
    System,
}

/// An authentication request, its form checked. Not `Debug`: it holds a password or a token.
pub(crate) struct AuthRequest {
    password: Option<(InDomainRef, String)>,
    token: Option<String>,
    scope: ScopeRequest,
}

/// What was proven.
struct Proof {
    user_id: String,
    default_project_id: Option<String>,
    methods: Vec<Method>,
    parent: Option<Arc<TokenInfo>>,
}

impl AuthRequest {
    pub(crate) fn parse(body: &Json) -> Result<Self, IdentityError> {
        let auth = member(body, "auth")?;
        let identity = member_of(auth, "identity")?;
        let methods = identity.get("methods").and_then(Json::as_array).filter(|methods| !methods.is_empty());
        let methods = methods.ok_or_else(|| bad("auth.identity.methods", "must be a list of method names"))?;
        let mut request = Self { password: None, token: None, scope: scope(auth.get("scope"))? };
        for method in methods {
            match method.as_str() {
                Some("password") => {
                    let user = member_of(member_of(identity, "password")?, "user")?;
                    let password = user.get("password").and_then(Json::as_str);
                    let password = password.ok_or_else(|| bad("user.password", "must be a string"))?;
                    request.password = Some((in_domain(user, "user")?, password.to_owned()));
                }
                Some("token") => {
                    let id = member_of(identity, "token")?.get("id").and_then(Json::as_str);
                    request.token = Some(id.ok_or_else(|| bad("token.id", "must be a string"))?.to_owned());
                }
                Some(_) => return Err(IdentityError::unauthorized("unsupported authentication method")),
                None => return Err(bad("auth.identity.methods", "must be a list of method names")),
            }
        }
        Ok(request)
    }
}

fn bad(what: &str, why: &str) -> IdentityError {
    IdentityError::bad_request(format!("Invalid input for field '{what}': {why}."))
}

fn member<'j>(json: &'j Json, name: &str) -> Result<&'j Object, IdentityError> {
    json.get(name).and_then(Json::as_object).ok_or_else(|| bad(name, "an object is required"))
}

fn member_of<'j>(object: &'j Object, name: &str) -> Result<&'j Object, IdentityError> {
    object.get(name).and_then(Json::as_object).ok_or_else(|| bad(name, "an object is required"))
}

fn optional_text(object: &Object, what: &str, name: &str) -> Result<Option<String>, IdentityError> {
    match object.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(bad(&format!("{what}.{name}"), "must be a string")),
    }
}

fn domain(object: &Object) -> Result<DomainRef, IdentityError> {
    if let Some(id) = optional_text(object, "domain", "id")? {
        return Ok(Reference::Id(id));
    }
    match optional_text(object, "domain", "name")? {
        Some(name) => Ok(Reference::Name(name, ())),
        None => Err(bad("domain", "id or name is required")),
    }
}

fn in_domain(object: &Object, what: &str) -> Result<InDomainRef, IdentityError> {
    if let Some(id) = optional_text(object, what, "id")? {
        return Ok(Reference::Id(id));
    }
    match optional_text(object, what, "name")? {
        Some(name) => Ok(Reference::Name(name, domain(member_of(object, "domain")?)?)),
        None => Err(bad(what, "id or name is required")),
    }
}

fn scope(given: Option<&Json>) -> Result<ScopeRequest, IdentityError> {
    match given {
        None | Some(Json::Null) => Ok(ScopeRequest::Default),
        Some(Json::String(word)) if word == "unscoped" => Ok(ScopeRequest::Unscoped),
        Some(Json::Object(scope)) => {
            let mut kinds = scope.keys();
            match (kinds.next().map(String::as_str), kinds.next()) {
                (Some("project"), None) => {
                    in_domain(member_of(scope, "project")?, "project").map(ScopeRequest::Project)
                }
                (Some("domain"), None) => domain(member_of(scope, "domain")?).map(ScopeRequest::Domain),
                (Some("unscoped"), None) => Ok(ScopeRequest::Unscoped),
                (Some("system"), None) => Ok(ScopeRequest::System),
                _ => Err(bad("auth.scope", "one of project, domain, unscoped is required")),
            }
        }
        Some(_) => Err(bad("auth.scope", "must be an object")),
    }
}

impl Identity {
    /// A new token for whoever proves to be somebody.
    pub(crate) async fn authenticate(&self, request: AuthRequest) -> Result<(String, TokenInfo), IdentityError> {
        let proof = self.prove(request.password, request.token.as_deref()).await?;
        let identity = self.clone();
        let scope = request.scope;
        self.inner
            .store
            .read(move |snapshot| {
                let issue = |scope| {
                    identity.issue(snapshot, &proof.user_id, scope, proof.methods.clone(), proof.parent.as_deref())
                };
                match scope {
                    ScopeRequest::Unscoped => issue(ScopeId::Unscoped),
                    ScopeRequest::Project(project) => {
                        let id = find_in_domain(snapshot, "identity_project", &project)?;
                        issue(ScopeId::Project(id.ok_or(IdentityError::unauthorized("no such project"))?))
                    }
                    ScopeRequest::Domain(domain) => {
                        let id = find_domain(snapshot, &domain)?;
                        issue(ScopeId::Domain(id.ok_or(IdentityError::unauthorized("no such domain"))?))
                    }
                    ScopeRequest::System => Err(IdentityError::unauthorized("nobody has a role on the system")),
                    ScopeRequest::Default => match &proof.default_project_id {
                        Some(project) => match issue(ScopeId::Project(project.clone())) {
                            // A default project that is gone or closed to the user is as good as none.
                            Err(IdentityError::Unauthorized { .. }) => issue(ScopeId::Unscoped),
                            issued => issued,
                        },
                        None => issue(ScopeId::Unscoped),
                    },
                }
            })
            .await
    }

    /// Checks every proof that the request brings; all must be of the same user.
    async fn prove(
        &self,
        password: Option<(InDomainRef, String)>,
        token: Option<&str>,
    ) -> Result<Proof, IdentityError> {
        let parent = token.map(|token| self.validate(token)).transpose()?;
        let mut methods = parent.as_ref().map(|parent| parent.methods.clone()).unwrap_or_default();
        let mut proven = None;
        if let Some((user, password)) = password {
            let found = self.inner.store.read_blocking(|snapshot| find_user(snapshot, &user))?;
            let (id, default_project_id, stored) = match found {
                Some(user) => (Some(user.id), user.default_project_id, user.password_hash),
                None => (None, None, None),
            };
            if password.len() > password::MAX_LENGTH || !self.inner.passwords.verify(password, stored).await? {
                return Err(IdentityError::unauthorized("wrong user or password"));
            }
            proven = id.map(|id| (id, default_project_id));
            methods.push(Method::Password);
        }
        if let Some(parent) = &parent {
            methods.push(Method::Token);
            match &proven {
                Some((id, _)) if *id != parent.user.id => {
                    return Err(IdentityError::unauthorized("password and token are of different users"));
                }
                Some(_) => {}
                None => proven = Some((parent.user.id.clone(), None)),
            }
        }
        methods.sort_unstable();
        methods.dedup();
        let (user_id, default_project_id) = proven.ok_or(IdentityError::unauthorized("nothing was proven"))?;
        Ok(Proof { user_id, default_project_id, methods, parent })
    }

    /// Whether `password` is the user's, by id. Takes the same time for users who do not exist.
    pub(crate) async fn is_password_of(&self, user_id: &str, password: String) -> Result<bool, IdentityError> {
        let user = Reference::Id(user_id.to_owned());
        let stored = self.inner.store.read_blocking(|snapshot| find_user(snapshot, &user))?;
        if password.len() > password::MAX_LENGTH {
            return Ok(false);
        }
        self.inner.passwords.verify(password, stored.and_then(|user| user.password_hash)).await
    }
}

struct FoundUser {
    id: String,
    default_project_id: Option<String>,
    password_hash: Option<String>,
}

fn find_user(snapshot: &Snapshot<'_>, user: &InDomainRef) -> Result<Option<FoundUser>, IdentityError> {
    let Some(id) = find_in_domain(snapshot, "identity_user", user)? else { return Ok(None) };
    let found = snapshot.query_opt(
        "SELECT id, default_project_id, password_hash FROM identity_user WHERE id = ?1",
        params![&id],
        |row| Ok(FoundUser { id: row.get(0)?, default_project_id: row.get(1)?, password_hash: row.get(2)? }),
    )?;
    Ok(found)
}

fn find_domain(snapshot: &Snapshot<'_>, domain: &DomainRef) -> Result<Option<String>, IdentityError> {
    match domain {
        Reference::Id(id) => Ok(Some(id.clone())),
        Reference::Name(name, ()) => Ok(snapshot.query_opt(
            "SELECT id FROM identity_domain WHERE lower(name) = lower(?1)",
            params![name],
            |row| row.get(0),
        )?),
    }
}

fn find_in_domain(
    snapshot: &Snapshot<'_>,
    table: &'static str,
    reference: &InDomainRef,
) -> Result<Option<String>, IdentityError> {
    match reference {
        Reference::Id(id) => Ok(Some(id.clone())),
        Reference::Name(name, domain) => {
            let Some(domain_id) = find_domain(snapshot, domain)? else { return Ok(None) };
            let sql = format!("SELECT id FROM {table} WHERE lower(name) = lower(?1) AND domain_id = ?2");
            Ok(snapshot.query_opt(&sql, params![name, domain_id], |row| row.get(0))?)
        }
    }
}
