//! `/v3/auth/...`: tokens, and what their holder may see with them.

use axum::http::HeaderName;
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use store::{Snapshot, params};

use super::{Answer, Answered, Call};
use crate::authenticate::AuthRequest;
use crate::http::collections::presented;
use crate::resources::{DOMAIN, PROJECT};
use crate::{Identity, IdentityError, Scope, TokenInfo, catalog};

const SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");

/// `2026-11-22T03:20:42.000000Z`
fn instant(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// The token document; the catalogue only if the token is scoped and the caller wants it.
fn document(snapshot: &Snapshot<'_>, token: &TokenInfo, call: &Call) -> Result<Json, IdentityError> {
    let mut user = json!(token.user);
    user["password_expires_at"] = Json::Null;
    let mut body = json!({
        "methods": token.methods.iter().map(|method| method.as_str()).collect::<Vec<_>>(),
        "user": user,
        "audit_ids": token.audit_ids,
        "issued_at": instant(token.issued_at),
        "expires_at": instant(token.expires_at),
    });
    match &token.scope {
        Scope::Unscoped => return Ok(json!({"token": body})),
        Scope::Project(project) => {
            body["project"] = json!(project);
            body["is_domain"] = json!(false);
        }
        Scope::Domain(domain) => body["domain"] = json!(domain),
    }
    body["roles"] = json!(token.roles);
    if !call.flag("nocatalog") {
        body["catalog"] = Json::Array(catalog::of(snapshot, token, &call.base)?);
    }
    Ok(json!({"token": body}))
}

/// `POST /v3/auth/tokens`
pub(super) async fn create(identity: &Identity, call: Call) -> Answered {
    let request = AuthRequest::parse(&call.json()?)?;
    let (token, info) = identity.authenticate(request).await?;
    let body = identity.inner.store.read(move |snapshot| document(snapshot, &info, &call)).await?;
    Ok(Answer::created(body).with(SUBJECT_TOKEN, token))
}

/// The token that the call is about, if the caller may ask: its holder, services and administrators.
fn subject(
    identity: &Identity,
    call: &Call,
    action: &str,
    services: bool,
) -> Result<(String, TokenInfo), IdentityError> {
    let caller = identity.caller(call)?;
    let token = call
        .header(SUBJECT_TOKEN.as_str())
        .ok_or_else(|| IdentityError::bad_request("The header X-Subject-Token is required."))?;
    let own = call.header("x-auth-token") == Some(token);
    let allowed = own || caller.is_admin() || (services && caller.has_role("service"));
    // Only who may validate anybody's token may ask for one that has expired.
    let vouched = services && call.flag("allow_expired") && (caller.is_admin() || caller.has_role("service"));
    let validated = identity.validate(token);
    let subject = match if vouched { validated.or_else(|_| identity.validate_expired(token)) } else { validated } {
        Ok(subject) => subject,
        // The token itself is a secret: it is not repeated.
        Err(IdentityError::Unauthorized { .. }) if allowed => {
            return Err(IdentityError::NotFound { kind: "token", id: String::new() });
        }
        Err(IdentityError::Unauthorized { .. }) => return Err(IdentityError::forbidden(action)),
        Err(other) => return Err(other),
    };
    if allowed || subject.user.id == caller.user.id {
        Ok((token.to_owned(), subject.as_ref().clone()))
    } else {
        Err(IdentityError::forbidden(action))
    }
}

/// `GET`, `HEAD /v3/auth/tokens`
pub(super) async fn show(identity: &Identity, call: Call) -> Answered {
    let (token, info) = subject(identity, &call, "identity:validate_token", true)?;
    let body = identity.inner.store.read(move |snapshot| document(snapshot, &info, &call)).await?;
    Ok(Answer::ok(body).with(SUBJECT_TOKEN, token))
}

/// `DELETE /v3/auth/tokens`
pub(super) async fn revoke(identity: &Identity, call: &Call) -> Answered {
    let (_, info) = subject(identity, call, "identity:revoke_token", false)?;
    identity.revoke(&info).await?;
    Ok(Answer::no_content())
}

/// `GET /v3/auth/catalog`
pub(super) async fn catalog(identity: &Identity, call: Call) -> Answered {
    let caller = identity.caller(&call)?;
    if caller.scope == Scope::Unscoped {
        return Err(IdentityError::forbidden("identity:get_auth_catalog"));
    }
    let links = json!({"self": format!("{}/auth/catalog", call.v3())});
    let catalog = identity
        .inner
        .store
        .read(move |snapshot| Ok::<_, IdentityError>(catalog::of(snapshot, &caller, &call.base)?))
        .await?;
    Ok(Answer::ok(json!({"catalog": catalog, "links": links})))
}

/// `GET /v3/auth/projects`: what the caller could get a token for.
pub(super) async fn own_projects(identity: &Identity, call: Call) -> Answered {
    let caller = identity.caller(&call)?;
    list_targets(identity, call, &caller.user.id, Target::Project, true).await
}

/// `GET /v3/auth/domains`
pub(super) async fn own_domains(identity: &Identity, call: Call) -> Answered {
    let caller = identity.caller(&call)?;
    list_targets(identity, call, &caller.user.id, Target::Domain, true).await
}

/// `GET /v3/users/{id}/projects`: disabled ones too.
pub(super) async fn projects_of(identity: &Identity, call: Call, user: &str) -> Answered {
    identity.self_or_administrator(&call, user, "identity:list_user_projects")?;
    list_targets(identity, call, user, Target::Project, false).await
}

#[derive(Clone, Copy)]
enum Target {
    Project,
    Domain,
}

/// The projects or domains on which the user has a role.
async fn list_targets(identity: &Identity, call: Call, user: &str, target: Target, usable: bool) -> Answered {
    let (resource, table) = match target {
        Target::Project => (&PROJECT, "identity_project_role"),
        Target::Domain => (&DOMAIN, "identity_domain_role"),
    };
    let user = user.to_owned();
    let body = identity
        .inner
        .store
        .read(move |snapshot| {
            let sql = format!("SELECT DISTINCT target_id FROM {table} WHERE user_id = ?1");
            let held: Vec<String> = snapshot.query(&sql, params![&user], |row| row.get(0))?;
            let mut found = resource.list(snapshot, &call.query)?;
            found.retain(|object| {
                let id = object.get("id").and_then(Json::as_str).unwrap_or_default();
                held.iter().any(|held| held == id) && (!usable || object.get("enabled") == Some(&Json::Bool(true)))
            });
            let objects: Vec<Json> = found.into_iter().map(|object| presented(resource, object, &call)).collect();
            Ok::<_, IdentityError>(json!({resource.plural: objects, "links": call.list_links()}))
        })
        .await?;
    Ok(Answer::ok(body))
}
