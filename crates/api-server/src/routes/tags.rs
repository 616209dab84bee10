//! `/v2.0/networks/ID/tags` and `/v2.0/networks/ID/tags/TAG`, of every resource that has tags.

use crate::answer::change;
use crate::api::Api;
use crate::asked::{Asked, parse};
use crate::auth::Caller;
use crate::engine::{Change, Place, TagChange, tags};
use crate::error::{ApiError, json_response};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::Arc;

/// The whole list.
pub async fn all(api: &Arc<Api>, who: Caller, place: Place, id: String, asked: &Asked) -> Result<Response, ApiError> {
    let wanted = match asked.method {
        Method::GET => {
            let tags = look(api, &who, &place, &id)?;
            return Ok(json_response(StatusCode::OK, json!({"tags": tags}).to_string().into_bytes()));
        }
        Method::PUT => TagChange::Replace(tags::read_body(&parse(&asked.body)?)?),
        Method::POST => TagChange::Add(tags::read_body(&parse(&asked.body)?)?),
        Method::DELETE => TagChange::Clear,
        _ => return Err(ApiError::NoSuchMethod),
    };
    change(api, who, place, Change::Tags(id, wanted), None).await
}

/// One tag.
pub async fn one(
    api: &Arc<Api>,
    who: Caller,
    place: Place,
    id: String,
    tag: &str,
    asked: &Asked,
) -> Result<Response, ApiError> {
    let tag = tags::read_one(tag)?;
    let wanted = match asked.method {
        Method::GET => {
            return if look(api, &who, &place, &id)?.contains(&tag) {
                Ok(StatusCode::NO_CONTENT.into_response())
            } else {
                Err(network_store::tag::not_found(&tag).into())
            };
        }
        Method::PUT => TagChange::AddOne(tag),
        Method::DELETE => TagChange::Remove(tag),
        _ => return Err(ApiError::NoSuchMethod),
    };
    change(api, who, place, Change::Tags(id, wanted), None).await
}

fn look(api: &Arc<Api>, who: &Caller, place: &Place, id: &str) -> Result<Vec<String>, ApiError> {
    api.store.read_blocking(|snapshot| tags::show(api, snapshot, place, &who.credentials, id))
}
