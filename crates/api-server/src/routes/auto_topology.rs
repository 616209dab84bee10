//! `/v2.0/auto-allocated-topology/PROJECT`: a network for the asking.

use crate::api::Api;
use crate::asked::Asked;
use crate::auth::Caller;
use crate::error::{ApiError, json_response};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use network_store::{NetworkError, Work, auto_topology};
use serde_json::json;
use std::sync::Arc;

/// GET makes it if it is not there (`fields=dry-run`: only says whether it could), DELETE removes it.
pub async fn item(api: &Arc<Api>, who: Caller, asked: &Asked, project: &str) -> Result<Response, ApiError> {
    let credentials = who.credentials;
    let is_admin = api.policy.is_admin(&credentials);
    // Clients that know no project mean their own.
    let project = if project == "None" { credentials.project_id.clone() } else { project.to_owned() };
    if !is_admin && project != credentials.project_id {
        return Err(NetworkError::named("NotAuthorized", 403, "Not authorized.").into());
    }
    let rule = match asked.method {
        Method::GET => "get_auto_allocated_topology",
        Method::DELETE => "delete_auto_allocated_topology",
        _ => return Err(ApiError::NoSuchMethod),
    };
    if !super::allowed(api, &credentials, rule, &project) {
        return Err(ApiError::Forbidden(format!("rule:{rule}")));
    }
    let shown = |id: String, project: &str| {
        let body = json!({"auto_allocated_topology": {"id": id, "tenant_id": project, "project_id": project}});
        json_response(StatusCode::OK, body.to_string().into_bytes())
    };
    if asked.method == Method::GET {
        let fields: Vec<&str> = asked.query.all("fields").filter(|field| !field.is_empty()).collect();
        if fields.contains(&"dry-run") {
            api.store.read_blocking(auto_topology::requirements)?;
            return Ok(shown("dry-run=pass".to_owned(), &project));
        }
        if !fields.is_empty() {
            let message = "Bad auto_allocate request: Unrecognized field.";
            return Err(NetworkError::named("BadRequest", 400, message).into());
        }
        if let Some(network) = api.store.read_blocking(|snapshot| auto_topology::of_project(snapshot, &project))? {
            return Ok(shown(network.to_string(), &project));
        }
    }
    let (shared, removing, owner) = (Arc::clone(api), asked.method == Method::DELETE, project.clone());
    let network = api
        .store
        .write(move |tx| {
            let caller = network_store::Caller { project_id: &credentials.project_id, is_admin };
            let work = Work::new(tx, &shared.network, caller);
            if removing {
                auto_topology::delete(&work, &owner).map(|()| None)
            } else {
                auto_topology::ensure(&work, &owner).map(Some)
            }
        })
        .await?;
    Ok(match network {
        Some(network) => shown(network.to_string(), &project),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}
