//! Lets the engine read or change what is asked, and makes the HTTP response of it.

use crate::api::Api;
use crate::asked::Asked;
use crate::auth::Caller;
use crate::engine::{self, Change, Outcome, Place};
use crate::error::{ApiError, json_response};
use crate::registry::Relation;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// GET of a collection.
pub(crate) async fn list(api: &Arc<Api>, who: Caller, place: Place, asked: Asked) -> Result<Response, ApiError> {
    if let Some(before) = &place.rules.before_list
        && let Some(project) = engine::lacks(api, before, &who.credentials, &asked.query)?
    {
        let (shared, credentials) = (Arc::clone(api), who.credentials.clone());
        api.store.write(move |tx| engine::make_before_list(&shared, tx, before, &credentials, &project)).await?;
    }
    let shared = Arc::clone(api);
    let look = move |snapshot: &store::Snapshot<'_>| {
        engine::list(&shared, snapshot, &place, &who.credentials, &asked.query, &asked.url)
    };
    let body = api.store.read(look).await?;
    Ok(json_response(StatusCode::OK, body))
}

/// GET of what an object has to do with.
pub(crate) async fn list_related(
    api: &Arc<Api>,
    who: Caller,
    relation: &'static Relation,
    id: String,
    asked: Asked,
) -> Result<Response, ApiError> {
    let shared = Arc::clone(api);
    let look = move |snapshot: &store::Snapshot<'_>| {
        engine::related(&shared, snapshot, relation, &who.credentials, &id, &asked.query, &asked.url)
    };
    let body = api.store.read(look).await?;
    Ok(json_response(StatusCode::OK, body))
}

/// GET of an object.
pub(crate) fn show(api: &Arc<Api>, who: &Caller, place: &Place, id: &str, asked: &Asked) -> Result<Response, ApiError> {
    // A few look-ups by key: cheaper than changing threads.
    let body =
        api.store.read_blocking(|snapshot| engine::show(api, snapshot, place, &who.credentials, id, &asked.query))?;
    Ok(json_response(StatusCode::OK, body))
}

/// Whatever changes something, as one unit of work.
pub(crate) async fn change(
    api: &Arc<Api>,
    who: Caller,
    place: Place,
    change: Change,
    if_match: Option<u64>,
) -> Result<Response, ApiError> {
    let shared = Arc::clone(api);
    let outcome =
        api.store.write(move |tx| change.clone().run(&shared, tx, &place, &who.credentials, if_match)).await?;
    Ok(match outcome {
        Outcome::Created(body) => json_response(StatusCode::CREATED, body),
        Outcome::Done(body) => json_response(StatusCode::OK, body),
        Outcome::Gone => StatusCode::NO_CONTENT.into_response(),
    })
}
