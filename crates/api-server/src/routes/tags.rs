//! `/v2.0/networks/ID/tags` and `/v2.0/networks/ID/tags/TAG`, of every resource that has tags.

use crate::api::Api;
use crate::auth::Caller;
use crate::engine::{Change, TagChange, tags};
use crate::error::{ApiError, json_response};
use crate::http::{Asked, change, parse};
use crate::registry::Rules;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::Arc;

/// The whole list.
pub async fn all(
    api: &Arc<Api>,
    who: Caller,
    rules: &'static Rules,
    id: String,
    asked: &Asked,
) -> Result<Response, ApiError> {
    let wanted = match asked.method {
        Method::GET => {
            let tags = look(api, &who, rules, &id)?;
            return Ok(json_response(StatusCode::OK, json!({"tags": tags}).to_string().into_bytes()));
        }
        Method::PUT => TagChange::Replace(tags::read_body(&parse(&asked.body)?)?),
        Method::POST => TagChange::Add(tags::read_body(&parse(&asked.body)?)?),
        Method::DELETE => TagChange::Clear,
        _ => return Err(ApiError::NoSuchMethod),
    };
    change(api, who, rules, Change::Tags(id, wanted), None).await
}

/// One tag.
pub async fn one(
    api: &Arc<Api>,
    who: Caller,
    rules: &'static Rules,
    id: String,
    tag: &str,
    asked: &Asked,
) -> Result<Response, ApiError> {
    let tag = tags::read_one(tag)?;
    let wanted = match asked.method {
        Method::GET => {
            return if look(api, &who, rules, &id)?.contains(&tag) {
                Ok(StatusCode::NO_CONTENT.into_response())
            } else {
                Err(network_store::tag::not_found(&tag).into())
            };
        }
        Method::PUT => TagChange::AddOne(tag),
        Method::DELETE => TagChange::Remove(tag),
        _ => return Err(ApiError::NoSuchMethod),
    };
    change(api, who, rules, Change::Tags(id, wanted), None).await
}

fn look(api: &Arc<Api>, who: &Caller, rules: &Rules, id: &str) -> Result<Vec<String>, ApiError> {
    api.store.read_blocking(|snapshot| tags::show(api, snapshot, rules.resource, &who.credentials, id))
}
