//! Which request goes where: token, path, method; what is then done is `answer`'s and the routes'.

use crate::answer::{change, list, list_related, show};
use crate::api::{Api, Current};
use crate::asked::{Asked, if_match, json, parse};
use crate::auth::{Caller, Denial, Presented};
use crate::engine::{self, Change, Place};
use crate::error::{ApiError, json_response};
use crate::path::Path;
use crate::query::Query;
use crate::registry;
use crate::routes;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;

/// The API as an axum router; it takes every path that is left to it.
pub fn router(api: impl Into<Current>) -> Router {
    Router::new().route("/openapi.json", get(routes::openapi::show)).fallback(handle).with_state(api.into())
}

async fn handle(State(current): State<Current>, request: Request<Body>) -> Response {
    let mut response = match answer(&current.get(), request).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    };
    // From the thread's own generator: asking the kernel for every request costs more than the rest of this line.
    let id = format!("req-{}", uuid::Builder::from_random_bytes(rand::random()).into_uuid());
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
    let who = authenticate(api, &parts, &base).await?;
    let body = to_bytes(body, api.config.max_request_body_size).await.map_err(|_| ApiError::TooLarge)?;
    let asked = Asked { method: parts.method, path, query, url, base, headers: parts.headers, body };
    route(api, who, asked).await
}

async fn authenticate(api: &Api, parts: &Parts, base: &str) -> Result<Caller, ApiError> {
    let header = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let checked = match header("x-auth-token") {
        Some(token) => {
            // An empty one is none, as to the middleware.
            let service_token = header("x-service-token").filter(|token| !token.is_empty());
            let (method, path) = (parts.method.as_str(), parts.uri.path());
            api.authenticator.authenticate(Presented { token, service_token, method, path }).await
        }
        None => Err(Denial::Unauthorized),
    };
    checked.map_err(|denial| match denial {
        Denial::Unavailable => ApiError::IdentityUnavailable,
        Denial::Unauthorized => ApiError::Unauthorized(match api.config.www_authenticate_uri.as_str() {
            "" => format!("{base}{}", identity::PATH),
            uri => uri.to_owned(),
        }),
    })
}

async fn route(api: &Arc<Api>, who: Caller, asked: Asked) -> Result<Response, ApiError> {
    let parts = match asked.path.clone() {
        Path::Root => return routes::versions::root(&asked),
        Path::Parts(parts) => parts,
        Path::Unknown | Path::Versions => return Err(ApiError::NoSuchPath),
    };
    let names: Vec<&str> = parts.iter().map(String::as_str).collect();
    match names.as_slice() {
        ["extensions"] => return routes::extensions::list(&asked),
        ["extensions", alias] => return routes::extensions::show(&asked, alias),
        ["auto-allocated-topology", project] => return routes::auto_topology::item(api, who, &asked, project).await,
        ["metadata", "instances", id] => return routes::instance_metadata::item(api, &who, &asked, id).await,
        ["quotas"] => return routes::quotas::list(api, &who, &asked).await,
        ["quotas", project] => return routes::quotas::item(api, who, &asked, (*project).to_owned()).await,
        ["quotas", project, what] => return routes::quotas::member(api, &who, &asked, project, what).await,
        _ => {}
    }
    let (place, rest) = Place::find(&parts).ok_or(ApiError::NoSuchPath)?;
    match rest {
        [] => collection(api, who, place, asked).await,
        [id] => item(api, who, place, id.clone(), asked).await,
        [id, member] => self::member(api, who, place, id.clone(), member, asked).await,
        [id, tags, tag] if tags == "tags" && place.resource().is_tagged() => {
            routes::tags::one(api, who, place, id.clone(), tag, &asked).await
        }
        [id, member, other] => {
            let relation = registry::relation(place.resource(), member).ok_or(ApiError::NoSuchPath)?;
            let remove = relation.remove.as_ref().filter(|_| asked.method == Method::DELETE);
            let remove = remove.ok_or(ApiError::NoSuchMethod)?;
            change(api, who, place, Change::Relation(id.clone(), remove, other.as_str().into()), None).await
        }
        _ => Err(ApiError::NoSuchPath),
    }
}

async fn collection(api: &Arc<Api>, who: Caller, place: Place, asked: Asked) -> Result<Response, ApiError> {
    let resource = place.resource();
    match asked.method {
        Method::GET if resource.listed => list(api, who, place, asked).await,
        Method::POST if resource.methods.create => {
            let body = json(resource, &asked.body)?;
            let wanted = Change::create(api, place.rules, &who.credentials, body)?;
            change(api, who, place, wanted, None).await
        }
        _ if !resource.listed => Err(ApiError::NoSuchPath),
        _ => Err(ApiError::NoSuchMethod),
    }
}

async fn item(api: &Arc<Api>, who: Caller, place: Place, id: String, asked: Asked) -> Result<Response, ApiError> {
    let if_match = if_match(&asked.headers)?;
    match asked.method {
        Method::GET => show(api, &who, &place, &id, &asked),
        // What only can be made has its body read too: that it says what cannot be changed is said before that nothing can.
        Method::PUT if place.rules.update.is_some() || place.resource().methods.create => {
            let body = json(place.resource(), &asked.body)?;
            let wanted = Change::update(api, place.rules, &who.credentials, id, body)?;
            change(api, who, place, wanted, if_match).await
        }
        Method::DELETE if place.rules.delete.is_some() => {
            if !asked.body.is_empty() {
                return Err(ApiError::bad("Request body is not supported in DELETE."));
            }
            change(api, who, place, Change::Delete(id), if_match).await
        }
        _ => Err(ApiError::NoSuchMethod),
    }
}

/// Tags, relations and actions of an object.
async fn member(
    api: &Arc<Api>,
    who: Caller,
    place: Place,
    id: String,
    member: &str,
    asked: Asked,
) -> Result<Response, ApiError> {
    if member == "tags" && place.resource().is_tagged() {
        return routes::tags::all(api, who, place, id, &asked).await;
    }
    if let Some(relation) = registry::relation(place.resource(), member) {
        return match (&asked.method, &relation.add) {
            (&Method::GET, _) => list_related(api, who, relation, id, asked).await,
            (&Method::POST, Some(add)) => {
                let body = parse(&asked.body)?;
                change(api, who, place, Change::Relation(id, add, body), None).await
            }
            _ => Err(ApiError::NoSuchMethod),
        };
    }
    if let Some((name, rule)) = place.rules.looks.iter().find(|(name, _)| *name == member) {
        if asked.method != Method::GET {
            return Err(ApiError::NoSuchMethod);
        }
        let body = api
            .store
            .read_blocking(|snapshot| engine::look(api, snapshot, &place, &who.credentials, &id, (name, *rule)))?;
        return Ok(json_response(StatusCode::OK, body));
    }
    let (action, _) = place.rules.actions.iter().find(|(name, _)| *name == member).ok_or(ApiError::NoSuchPath)?;
    if asked.method != Method::PUT {
        return Err(ApiError::NoSuchMethod);
    }
    let body = parse(&asked.body)?;
    change(api, who, place, Change::Action(id, action, body), None).await
}
