//! `/v2.0/quotas`: limits by project.

use super::allowed;
use crate::api::Api;
use crate::asked::{Asked, parse};
use crate::auth::Caller;
use crate::error::{ApiError, json_response};
use access_policy::{Condition, Credentials};
use api_schema::{Kind, SchemaError};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use network_store::{NetworkConfig, NetworkError, quota};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use store::{Snapshot, StoreError, Tx, params};

fn ok(body: &Value) -> Response {
    json_response(StatusCode::OK, body.to_string().into_bytes())
}

fn admin_required(what: &str) -> ApiError {
    NetworkError::named("AdminRequired", 403, format!("User does not have admin privileges: {what}.")).into()
}

/// Every project that has limits of its own.
pub async fn list(api: &Arc<Api>, who: &Caller, asked: &Asked) -> Result<Response, ApiError> {
    if asked.method != Method::GET {
        return Err(ApiError::NoSuchMethod);
    }
    if api.policy.condition("update_quota", &who.credentials) != Condition::Always {
        return Err(admin_required("Only admin can view or configure quota"));
    }
    let shared = Arc::clone(api);
    let quotas = api
        .store
        .read(move |snapshot| {
            let projects: Vec<String> =
                snapshot.query("SELECT DISTINCT project_id FROM quotas ORDER BY project_id", &[], |row| row.get(0))?;
            let quotas = projects.iter().map(|project| {
                let mut shown = json!(quota::limits(snapshot, &shared.network, project)?);
                if let Some(members) = shown.as_object_mut() {
                    members.insert("project_id".into(), project.as_str().into());
                    members.insert("tenant_id".into(), project.as_str().into());
                }
                Ok::<_, ApiError>(shown)
            });
            quotas.collect::<Result<Vec<_>, _>>()
        })
        .await?;
    Ok(ok(&json!({"quotas": quotas})))
}

/// One project's limits: shown, set, or given back to the defaults.
pub async fn item(api: &Arc<Api>, who: Caller, asked: &Asked, project: String) -> Result<Response, ApiError> {
    match asked.method {
        // What old clients ask to learn their project.
        Method::GET if matches!(project.as_str(), "tenant" | "project") => {
            Ok(ok(&json!({ &project: {format!("{project}_id"): &who.credentials.project_id} })))
        }
        Method::GET => {
            let credentials = &who.credentials;
            if !allowed(api, credentials, "get_quota", &project) && project != credentials.project_id {
                return Err(ApiError::Forbidden("rule:get_quota".into()));
            }
            let limits = api.store.read_blocking(|snapshot| quota::limits(snapshot, &api.network, &project))?;
            Ok(ok(&json!({"quota": limits})))
        }
        Method::PUT => {
            enforce(api, &who.credentials, "update_quota", &project)?;
            let (wanted, force) = limits_of(&asked.body)?;
            let network = Arc::clone(&api.network);
            let limits = api
                .store
                .write(move |tx| {
                    for (name, limit) in &wanted {
                        if !force {
                            check_used(tx, &project, name, *limit)?;
                        }
                        quota::set_limit(tx, &project, name, *limit)?;
                    }
                    Ok::<_, ApiError>(json!(quota::limits(tx, &network, &project)?))
                })
                .await?;
            Ok(ok(&json!({"quota": limits})))
        }
        Method::DELETE => {
            enforce(api, &who.credentials, "delete_quota", &project)?;
            api.store
                .write(move |tx| {
                    let gone = tx.execute("DELETE FROM quotas WHERE project_id = ?1", params![&project])?;
                    match gone {
                        0 => Err(ApiError::NotFound {
                            kind: "TenantQuotaNotFound",
                            message: format!("Quota for tenant {project} could not be found."),
                        }),
                        _ => Ok(()),
                    }
                })
                .await?;
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        _ => Err(ApiError::NoSuchMethod),
    }
}

/// `default` and `details` of one project.
pub async fn member(
    api: &Arc<Api>,
    who: &Caller,
    asked: &Asked,
    project: &str,
    what: &str,
) -> Result<Response, ApiError> {
    if !matches!(what, "default" | "details") {
        return Err(ApiError::NoSuchPath);
    }
    if asked.method != Method::GET {
        return Err(ApiError::NoSuchMethod);
    }
    let own = project == who.credentials.project_id;
    if what == "default" {
        if !own && !allowed(api, &who.credentials, "get_quota", project) {
            return Err(ApiError::Forbidden("rule:get_quota".into()));
        }
        return Ok(ok(&json!({"quota": quota::defaults(&api.network)})));
    }
    if !own && !api.policy.is_admin(&who.credentials) {
        return Err(admin_required("Only admin is authorized to access quotas for another project"));
    }
    let details = api.store.read_blocking(|snapshot| details(snapshot, &api.network, project))?;
    Ok(ok(&json!({"quota": details})))
}

/// Limits and what is used of them. Nothing is ever reserved (see [`network_store::quota`]).
fn details(snapshot: &Snapshot<'_>, config: &NetworkConfig, project: &str) -> Result<Value, StoreError> {
    let mut members = Map::new();
    for (name, limit) in quota::limits(snapshot, config, project)? {
        let used = snapshot.tally(project, &name)?;
        members.insert(name, json!({"limit": limit, "used": used, "reserved": 0}));
    }
    Ok(Value::Object(members))
}

/// A limit below what is used is refused, unless forced.
fn check_used(tx: &Tx<'_>, project: &str, name: &str, limit: i64) -> Result<(), ApiError> {
    let Ok(most) = u64::try_from(limit) else { return Ok(()) };
    let used = tx.tally(project, name)?;
    if used > most {
        return Err(ApiError::bad(format!(
            "Quota limit {limit} for {name} must be greater than or equal to already used {used}"
        )));
    }
    Ok(())
}

fn enforce(api: &Api, who: &Credentials, rule: &str, project: &str) -> Result<(), ApiError> {
    match allowed(api, who, rule, project) {
        true => Ok(()),
        false => Err(ApiError::Forbidden(format!("rule:{rule}"))),
    }
}

/// The limits of a body, and whether they hold even if more is used already.
fn limits_of(body: &bytes::Bytes) -> Result<(Vec<(String, i64)>, bool), ApiError> {
    let missing = || ApiError::bad("Unable to find 'quota' in request body");
    if body.is_empty() {
        return Err(missing());
    }
    let body = parse(body)?;
    let members = match body.get("quota") {
        None | Some(Value::Null) => return Err(missing()),
        Some(Value::Object(members)) => members,
        Some(_) => return Err(ApiError::bad("Object 'quota' contains invalid data")),
    };
    let force = members.get("force") == Some(&Value::Bool(true));
    let mut limits = Vec::with_capacity(members.len());
    let known = quota::names();
    // Since checking is the default, asking for it says nothing.
    for (name, value) in members.iter().filter(|(name, _)| !matches!(name.as_str(), "force" | "check_limit")) {
        if matches!(name.as_str(), "tenant_id" | "project_id") {
            return Err(ApiError::bad(format!("Cannot update read-only attribute {name}")));
        }
        if !known.contains(name.as_str()) {
            return Err(ApiError::bad(format!("Unrecognized attribute(s) '{name}'")));
        }
        let limit = Kind::Range(-1, i64::from(i32::MAX))
            .parse(value.clone())
            .map_err(|refusal| SchemaError::refused(name, refusal))?;
        limits.push((name.clone(), limit.as_i64().unwrap_or(-1)));
    }
    Ok((limits, force))
}
