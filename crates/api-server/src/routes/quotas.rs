//! `/v2.0/quotas`: limits by project.

use crate::api::Api;
use crate::auth::Caller;
use crate::error::{ApiError, json_response};
use crate::http::{Asked, parse};
use crate::registry;
use access_policy::{Condition, Credentials, Target};
use api_schema::{Kind, SchemaError};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use network_model::quota::DEFAULTS;
use network_store::{NetworkConfig, NetworkError};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{Snapshot, params};

/// The project whose quota it is.
struct Owner<'a>(&'a str);

impl Target for Owner<'_> {
    fn value(&self, key: &str) -> Option<Cow<'_, str>> {
        (key == "project_id").then_some(Cow::Borrowed(self.0))
    }
    fn field(&self, _: &str, _: &str) -> Option<Cow<'_, str>> {
        None
    }
}

fn allowed(api: &Api, who: &Credentials, rule: &str, project: &str) -> bool {
    api.policy.condition(rule, who).holds(&Owner(project))
}

fn ok(body: &Value) -> Response {
    json_response(StatusCode::OK, body.to_string().into_bytes())
}

fn admin_required() -> ApiError {
    NetworkError::named(
        "AdminRequired",
        403,
        "User does not have admin privileges: Only admin can view or configure quota.",
    )
    .into()
}

/// Quota limits of one project, as shown: only what this server has.
fn shown(limits: &BTreeMap<String, i64>, project: &str) -> Value {
    let mut members: Map<String, Value> = limits.iter().map(|(name, limit)| (name.clone(), (*limit).into())).collect();
    members.insert("project_id".into(), project.into());
    Value::Object(members)
}

/// Every project that has limits of its own.
pub async fn list(api: &Arc<Api>, who: &Caller, asked: &Asked) -> Result<Response, ApiError> {
    if asked.method != Method::GET {
        return Err(ApiError::NoSuchMethod);
    }
    if api.policy.condition("update_quota", &who.credentials) != Condition::Always {
        return Err(admin_required());
    }
    let shared = Arc::clone(api);
    let quotas = api
        .store
        .read(move |snapshot| {
            let projects: Vec<String> =
                snapshot.query("SELECT DISTINCT project_id FROM quotas ORDER BY project_id", &[], |row| row.get(0))?;
            let quotas = projects.iter().map(|project| {
                Ok::<_, ApiError>(shown(&network_store::quota::limits(snapshot, &shared.network, project)?, project))
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
            let own = &who.credentials.project_id;
            Ok(ok(&json!({"tenant": {"tenant_id": own}, "project": {"project_id": own}})))
        }
        Method::GET => {
            // A quota that one may not see is not there.
            if !allowed(api, &who.credentials, "get_quota", &project) && project != who.credentials.project_id {
                return Err(ApiError::NoSuchPath);
            }
            let limits =
                api.store.read_blocking(|snapshot| network_store::quota::limits(snapshot, &api.network, &project))?;
            Ok(ok(&json!({"quota": shown(&limits, &project)})))
        }
        Method::PUT => {
            let (wanted, force) = limits_of(&asked.body)?;
            forbid(api, &who.credentials, "update_quota", &project)?;
            let network = Arc::clone(&api.network);
            let limits = api
                .store
                .write(move |tx| {
                    for (name, limit) in &wanted {
                        if !force {
                            check_used(tx, &project, name, *limit)?;
                        }
                        tx.execute(
                            "INSERT INTO quotas (project_id, resource, quota_limit) VALUES (?1, ?2, ?3)
                             ON CONFLICT (project_id, resource) DO UPDATE SET quota_limit = excluded.quota_limit",
                            params![&project, name, *limit],
                        )?;
                    }
                    Ok::<_, ApiError>(shown(&network_store::quota::limits(tx, &network, &project)?, &project))
                })
                .await?;
            Ok(ok(&json!({"quota": limits})))
        }
        Method::DELETE => {
            forbid(api, &who.credentials, "delete_quota", &project)?;
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
    if !allowed(api, &who.credentials, "get_quota", project) && project != who.credentials.project_id {
        return Err(ApiError::NoSuchPath);
    }
    if what == "default" {
        let limits = DEFAULTS.iter().map(|(name, _)| ((*name).to_owned(), api.network.default_quota(name))).collect();
        return Ok(ok(&json!({"quota": shown(&limits, project)})));
    }
    let shared = Arc::clone(api);
    let owner = project.to_owned();
    let details = api.store.read(move |snapshot| details(snapshot, &shared.network, &owner)).await?;
    Ok(ok(&json!({"quota": details})))
}

fn details(snapshot: &Snapshot<'_>, config: &NetworkConfig, project: &str) -> Result<Value, ApiError> {
    let mut members = Map::new();
    for (name, limit) in network_store::quota::limits(snapshot, config, project)? {
        let counted = registry::all().map(|rules| rules.resource).find(|resource| resource.name == name);
        let used = match counted {
            Some(resource) if resource.quota => snapshot
                .count(&format!("SELECT count(*) FROM {} WHERE project_id = ?1", resource.table), params![project])?,
            _ => 0,
        };
        members.insert(name, json!({"limit": limit, "used": used, "reserved": 0}));
    }
    Ok(Value::Object(members))
}

/// How many objects of a kind a project has.
fn used(snapshot: &Snapshot<'_>, project: &str, name: &str) -> Result<u64, ApiError> {
    let counted = registry::all().map(|rules| rules.resource).find(|resource| resource.name == name);
    match counted {
        Some(resource) if resource.quota => Ok(snapshot
            .count(&format!("SELECT count(*) FROM {} WHERE project_id = ?1", resource.table), params![project])?),
        _ => Ok(0),
    }
}

/// A limit below what is used is refused, unless forced.
fn check_used(snapshot: &Snapshot<'_>, project: &str, name: &str, limit: i64) -> Result<(), ApiError> {
    let Ok(most) = u64::try_from(limit) else { return Ok(()) };
    let used = used(snapshot, project, name)?;
    if used > most {
        return Err(ApiError::bad(format!(
            "Quota limit {limit} for {name} must be greater than or equal to already used {used}"
        )));
    }
    Ok(())
}

fn forbid(api: &Api, who: &Credentials, rule: &str, project: &str) -> Result<(), ApiError> {
    match allowed(api, who, rule, project) {
        true => Ok(()),
        // One's own quota may be seen, so it may be said that it cannot be changed.
        false if project == who.project_id => Err(ApiError::Forbidden(format!("rule:{rule}"))),
        false => Err(ApiError::NoSuchPath),
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
    // Since checking is the default, asking for it says nothing.
    for (name, value) in members.iter().filter(|(name, _)| !matches!(name.as_str(), "force" | "check_limit")) {
        if matches!(name.as_str(), "tenant_id" | "project_id") {
            return Err(ApiError::bad(format!("Cannot update read-only attribute {name}")));
        }
        if !DEFAULTS.iter().any(|(known, _)| known == name) {
            return Err(ApiError::bad(format!("Unrecognized attribute(s) '{name}'")));
        }
        let limit = Kind::Range(-1, i64::from(i32::MAX)).parse(value.clone()).map_err(|refusal| {
            let error = match refusal {
                api_schema::Refusal::Conversion(reason) => SchemaError::InvalidInput(reason),
                api_schema::Refusal::Check(reason) | api_schema::Refusal::Plain(reason) => {
                    SchemaError::BadRequest(format!("Invalid input for {name}. Reason: {reason}."))
                }
                api_schema::Refusal::Named(kind, message) => SchemaError::Named { kind, message },
            };
            ApiError::Schema(error)
        })?;
        limits.push((name.clone(), limit.as_i64().unwrap_or(-1)));
    }
    Ok((limits, force))
}
