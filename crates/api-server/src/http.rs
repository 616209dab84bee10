//! From an HTTP request to the engine and back.

use crate::api::Api;
use crate::auth::Caller;
use crate::engine::{self, Change, Outcome};
use crate::error::{ApiError, json_response};
use crate::path::Path;
use crate::query::Query;
use crate::registry::{self, Relation, Rules};
use crate::routes;
use api_schema::Resource;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use std::sync::Arc;

/// The API as an axum router; it takes every path that is left to it.
pub fn router(api: Arc<Api>) -> Router {
    Router::new().route("/openapi.json", get(routes::openapi::show)).fallback(handle).with_state(api)
}

/// A request, taken apart.
pub(crate) struct Asked {
    pub method: Method,
    pub path: Path,
    pub query: Query,
    /// Scheme, host and path, as the client sees them: links start so.
    pub url: String,
    /// Scheme and host.
    pub base: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

async fn handle(State(api): State<Arc<Api>>, request: Request<Body>) -> Response {
    let mut response = match answer(&api, request).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    };
    let id = format!("req-{}", uuid::Uuid::new_v4());
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HeaderName::from_static("x-openstack-request-id"), value);
    }
    response
}

async fn answer(api: &Arc<Api>, request: Request<Body>) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let path = Path::parse(parts.uri.path());
    let header = |name: HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = header(HeaderName::from_static("x-forwarded-proto")).unwrap_or("http");
    let base = format!("{scheme}://{}", header(header::HOST).unwrap_or("localhost"));
    let url = format!("{base}{}", parts.uri.path());
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    if path == Path::Versions {
        return routes::versions::versions(&parts.method, &base);
    }
    let who = authenticate(api, &parts.headers, &base).await?;
    let body = to_bytes(body, api.config.max_request_body_size).await.map_err(|_| ApiError::TooLarge)?;
    let asked = Asked { method: parts.method, path, query, url, base, headers: parts.headers, body };
    route(api, who, asked).await
}

async fn authenticate(api: &Api, headers: &HeaderMap, base: &str) -> Result<Caller, ApiError> {
    let token = headers.get("x-auth-token").and_then(|value| value.to_str().ok());
    let caller = match token {
        Some(token) => api.authenticator.authenticate(token).await,
        None => None,
    };
    caller.ok_or_else(|| {
        ApiError::Unauthorized(match api.config.www_authenticate_uri.as_str() {
            "" => format!("{base}{}", identity::PATH),
            uri => uri.to_owned(),
        })
    })
}

async fn route(api: &Arc<Api>, who: Caller, asked: Asked) -> Result<Response, ApiError> {
    match asked.path.clone() {
        Path::Root => routes::versions::root(&asked),
        Path::Collection(collection) if collection == "extensions" => routes::extensions::list(&asked),
        Path::Item(collection, alias) if collection == "extensions" => routes::extensions::show(&asked, &alias),
        Path::Collection(collection) if collection == "quotas" => routes::quotas::list(api, &who, &asked).await,
        Path::Item(collection, project) if collection == "quotas" => {
            routes::quotas::item(api, who, &asked, project).await
        }
        Path::Member(collection, project, what) if collection == "quotas" => {
            routes::quotas::member(api, &who, &asked, &project, &what).await
        }
        Path::Collection(collection) => {
            let rules = registry::find(&collection).ok_or(ApiError::NoSuchPath)?;
            match asked.method {
                Method::GET => list(api, who, rules, asked).await,
                Method::POST if rules.resource.methods.create => {
                    let body = json(rules.resource, &asked.body)?;
                    let wanted = Change::create(api, rules, &who.credentials, body)?;
                    change(api, who, rules, wanted, None).await
                }
                _ => Err(ApiError::NoSuchMethod),
            }
        }
        Path::Item(collection, id) => {
            let rules = registry::find(&collection).ok_or(ApiError::NoSuchPath)?;
            let if_match = if_match(&asked.headers)?;
            match asked.method {
                Method::GET => show(api, &who, rules.resource, &id, &asked),
                Method::PUT if rules.update.is_some() => {
                    let body = json(rules.resource, &asked.body)?;
                    let wanted = Change::update(api, rules, &who.credentials, id, body)?;
                    change(api, who, rules, wanted, if_match).await
                }
                Method::DELETE if rules.delete.is_some() => {
                    if !asked.body.is_empty() {
                        return Err(ApiError::bad("Request body is not supported in DELETE."));
                    }
                    change(api, who, rules, Change::Delete(id), if_match).await
                }
                _ => Err(ApiError::NoSuchMethod),
            }
        }
        Path::Member(collection, id, member) => {
            let rules = registry::find(&collection).ok_or(ApiError::NoSuchPath)?;
            if member == "tags" && rules.resource.attribute("tags").is_some() {
                return routes::tags::all(api, who, rules, id, &asked).await;
            }
            let related = |relation: &&Relation| relation.of.name == rules.resource.name && relation.name == member;
            if let Some(relation) = registry::RELATIONS.iter().find(related) {
                return match asked.method {
                    Method::GET => list_related(api, who, relation, id, asked).await,
                    _ => Err(ApiError::NoSuchMethod),
                };
            }
            let (action, _) = rules.actions.iter().find(|(name, _)| *name == member).ok_or(ApiError::NoSuchPath)?;
            if asked.method != Method::PUT {
                return Err(ApiError::NoSuchMethod);
            }
            let body = parse(&asked.body)?;
            change(api, who, rules, Change::Action(id, action, body), None).await
        }
        Path::Deep(parts) => match parts.as_slice() {
            [collection, id, tags, tag] if tags == "tags" => {
                let tagged = |rules: &&Rules| rules.resource.attribute("tags").is_some();
                let rules = registry::find(collection).filter(tagged).ok_or(ApiError::NoSuchPath)?;
                routes::tags::one(api, who, rules, id.clone(), tag, &asked).await
            }
            _ => Err(ApiError::NoSuchPath),
        },
        Path::Unknown | Path::Versions => Err(ApiError::NoSuchPath),
    }
}

/// A body that must be a JSON object.
pub(crate) fn parse(body: &Bytes) -> Result<serde_json::Value, ApiError> {
    match serde_json::from_slice(body) {
        Ok(value @ serde_json::Value::Object(_)) => Ok(value),
        _ => Err(ApiError::bad("Body contains invalid data")),
    }
}

/// A body that must be there and hold the resource.
pub(crate) fn json(resource: &Resource, body: &Bytes) -> Result<serde_json::Value, ApiError> {
    if body.is_empty() {
        return Err(ApiError::bad(format!("Unable to find '{}' in request body", resource.name)));
    }
    parse(body)
}

/// `If-Match: revision_number=5`.
fn if_match(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let bad = |msg: &str| {
        ApiError::Schema(api_schema::SchemaError::Named {
            kind: "BadRequest",
            message: format!("Bad if-match request: {msg}."),
        })
    };
    let mut found = None;
    for value in headers.get_all(header::IF_MATCH) {
        let text = value.to_str().unwrap_or_default();
        for tag in text.split(',').map(|tag| tag.trim().trim_matches('"')) {
            let Some(number) = tag.strip_prefix("revision_number=") else { continue };
            if found.is_some() {
                return Err(bad("Multiple revision_number etags are not supported."));
            }
            let number = number
                .parse()
                .map_err(|_| bad("Revision number etag must be in the format of revision_number=<int>"))?;
            found = Some(number);
        }
    }
    Ok(found)
}

async fn list(api: &Arc<Api>, who: Caller, rules: &'static Rules, asked: Asked) -> Result<Response, ApiError> {
    let resource = rules.resource;
    if let Some(before) = &rules.before_list
        && let Some(project) = engine::lacks(api, before, &who.credentials, &asked.query)?
    {
        let (shared, credentials) = (Arc::clone(api), who.credentials.clone());
        api.store.write(move |tx| engine::make_before_list(&shared, tx, before, &credentials, &project)).await?;
    }
    let shared = Arc::clone(api);
    let look = move |snapshot: &store::Snapshot<'_>| {
        engine::list(&shared, snapshot, resource, &who.credentials, &asked.query, &asked.url)
    };
    let body = api.store.read(look).await?;
    Ok(json_response(StatusCode::OK, body))
}

async fn list_related(
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

fn show(
    api: &Arc<Api>,
    who: &Caller,
    resource: &'static Resource,
    id: &str,
    asked: &Asked,
) -> Result<Response, ApiError> {
    // A few look-ups by key: cheaper than changing threads.
    let body = api
        .store
        .read_blocking(|snapshot| engine::show(api, snapshot, resource, &who.credentials, id, &asked.query))?;
    Ok(json_response(StatusCode::OK, body))
}

pub(crate) async fn change(
    api: &Arc<Api>,
    who: Caller,
    rules: &'static Rules,
    change: Change,
    if_match: Option<u64>,
) -> Result<Response, ApiError> {
    let shared = Arc::clone(api);
    let outcome = api.store.write(move |tx| change.clone().run(&shared, tx, rules, &who.credentials, if_match)).await?;
    Ok(match outcome {
        Outcome::Created(body) => json_response(StatusCode::CREATED, body),
        Outcome::Done(body) => json_response(StatusCode::OK, body),
        Outcome::Gone => StatusCode::NO_CONTENT.into_response(),
    })
}
