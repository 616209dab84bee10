//! The HTTP face: every route stands in [`route`], what is common to all calls in this file.

mod call;
mod collections;
mod grants;
mod passwords;
mod tokens;
mod versions;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::routing::any;
use serde_json::{Value as Json, json};

use crate::grants::Target;
use crate::{Identity, IdentityError, PATH, resources};
use call::Call;

/// Keystone's `max_request_body_size`.
const MAX_BODY: usize = 114_688;

/// What a call answers.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    body: Option<Json>,
    headers: Vec<(HeaderName, String)>,
}

impl Answer {
    fn new(status: StatusCode, body: Json) -> Self {
        Self { status, body: Some(body), headers: Vec::new() }
    }
    fn ok(body: Json) -> Self {
        Self::new(StatusCode::OK, body)
    }
    fn created(body: Json) -> Self {
        Self::new(StatusCode::CREATED, body)
    }
    fn no_content() -> Self {
        Self { status: StatusCode::NO_CONTENT, body: None, headers: Vec::new() }
    }
    fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

type Answered = Result<Answer, IdentityError>;

impl Identity {
    /// Everything at and below [`crate::PATH`], to be merged into the server's router (`nest` would not take `/identity/`,
    /// which clients ask for).
    pub fn router(&self) -> Router {
        async fn handle(State(identity): State<Identity>, request: Request) -> Response {
            identity.handle(request).await
        }
        let (root, slash, below) = (PATH.to_owned(), format!("{PATH}/"), format!("{PATH}/{{*path}}"));
        Router::new()
            .route(&root, any(handle))
            .route(&slash, any(handle))
            .route(&below, any(handle))
            .with_state(self.clone())
    }

    /// Answers one request at or below [`crate::PATH`].
    pub async fn handle(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let base = self.base_url(&parts.headers);
        let call = match axum::body::to_bytes(body, MAX_BODY).await {
            Ok(bytes) => Call::new(parts, bytes, base.clone()),
            Err(_) => Err(IdentityError::TooLarge),
        };
        let answer = match call {
            Ok(call) => route(self, call).await,
            Err(error) => Err(error),
        };
        let answer = answer.unwrap_or_else(|error| failure(&error, &base));
        render(answer)
    }

    /// `http://address[:port]` as the client that sent these headers knows this server: `public_url`, or the Host header
    /// with the scheme of X-Forwarded-Proto.
    #[must_use]
    pub fn base_url(&self, headers: &HeaderMap) -> String {
        if let Some(url) = &self.inner.config.public_url {
            return url.trim_end_matches('/').to_owned();
        }
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let scheme = if text("x-forwarded-proto").eq_ignore_ascii_case("https") { "https" } else { "http" };
        let is_address = |host: &str| {
            !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:-_[]".contains(&byte))
        };
        let host = Some(text("host")).filter(|host| is_address(host)).unwrap_or("localhost");
        format!("{scheme}://{host}")
    }

    /// The 401 of the token-checking middleware, for the networking API: body and `WWW-Authenticate` as clients know them.
    #[must_use]
    pub fn unauthorized_response(&self, headers: &HeaderMap) -> Response {
        render(failure(&IdentityError::unauthorized("no valid token"), &self.base_url(headers)))
    }
}

/// Every route. The path decides first, so that a wrong method on a known path is told from an unknown path.
async fn route(identity: &Identity, call: Call) -> Answered {
    let segments: Vec<String> = call.segments.clone();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let read = call.method == Method::GET || call.method == Method::HEAD;
    let method = call.method.clone();
    let wrong = Err(IdentityError::NoMethod);
    match segments.as_slice() {
        [] if read => Ok(versions::all(&call)),
        ["v3"] if read => Ok(versions::v3(&call)),
        ["v3", "auth", "tokens"] => match method {
            Method::POST => tokens::create(identity, call).await,
            Method::DELETE => tokens::revoke(identity, &call).await,
            _ if read => tokens::show(identity, call).await,
            _ => wrong,
        },
        ["v3", "auth", "catalog"] if read => tokens::catalog(identity, call).await,
        ["v3", "auth", "projects"] if read => tokens::own_projects(identity, call).await,
        ["v3", "auth", "domains"] if read => tokens::own_domains(identity, call).await,
        ["v3", "auth", "system"] if read => {
            identity.caller(&call)?;
            Ok(Answer::ok(json!({"system": [], "links": call.list_links()})))
        }
        ["v3", "users", user, "projects"] if read => tokens::projects_of(identity, call, user).await,
        ["v3", "users", user, "groups"] if read => collections::groups_of(identity, &call, user).await,
        ["v3", "users", user, "password"] => match method {
            Method::POST => passwords::change(identity, &call, user).await,
            _ => wrong,
        },
        ["v3", "groups"] if read => {
            identity.administrator(&call, "identity:list_groups")?;
            Ok(Answer::ok(json!({"groups": [], "links": call.list_links()})))
        }
        ["v3", "groups", ..] if !read => {
            identity.administrator(&call, "identity:create_group")?;
            Err(IdentityError::bad_request("Groups are not supported here: give roles to users."))
        }
        ["v3", "users", user, "application_credentials", rest @ ..] => {
            identity.self_or_administrator(&call, user, "identity:list_application_credentials")?;
            match rest {
                [] if read => Ok(Answer::ok(json!({"application_credentials": [], "links": call.list_links()}))),
                [id] if read || method == Method::DELETE => {
                    Err(IdentityError::NotFound { kind: "application credential", id: (*id).to_owned() })
                }
                _ => Err(IdentityError::bad_request(
                    "Application credentials are not supported here: make a user with the roles that the program needs.",
                )),
            }
        }
        ["v3", "groups", id, ..] if read => {
            identity.administrator(&call, "identity:get_group")?;
            Err(IdentityError::NotFound { kind: "group", id: (*id).to_owned() })
        }
        ["v3", "role_assignments"] if read => grants::list(identity, call).await,
        ["v3", "role_inferences"] if read => grants::inferences(identity, call).await,
        ["v3", "roles", prior, "implies"] if read => grants::implied_by(identity, call, prior).await,
        ["v3", "roles", prior, "implies", implied] => grants::implication(identity, call, prior, implied).await,
        ["v3", plural @ ("projects" | "domains"), target, "users", user, "roles", rest @ ..] if rest.len() <= 1 => {
            let kind = if *plural == "projects" { Target::Project } else { Target::Domain };
            match rest.first() {
                None if read => grants::of_user(identity, call, kind, target, user).await,
                None => wrong,
                Some(role) => grants::one(identity, call, kind, target, user, role).await,
            }
        }
        ["v3", plural] if let Some(resource) = resources::by_plural(plural) => match method {
            Method::POST => collections::create(identity, call, resource).await,
            _ if read => collections::list(identity, call, resource).await,
            _ => wrong,
        },
        ["v3", plural, id] if let Some(resource) = resources::by_plural(plural) => match method {
            Method::PATCH => collections::update(identity, call, resource, id).await,
            Method::DELETE => collections::delete(identity, call, resource, id).await,
            _ if read => collections::show(identity, call, resource, id).await,
            _ => wrong,
        },
        [] | ["v3"] | ["v3", "auth", "catalog" | "projects" | "domains" | "system"] => wrong,
        _ => Err(IdentityError::NoRoute),
    }
}

fn failure(error: &IdentityError, base: &str) -> Answer {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if status.is_server_error() {
        tracing::error!(error = error_text::sentence(error), "an identity call failed");
    } else {
        tracing::debug!(%error, "an identity call was refused");
    }
    let body = json!({"error": {"code": status.as_u16(), "message": error.public_message(), "title": error.title()}});
    let answer = Answer::new(status, body);
    match status {
        StatusCode::UNAUTHORIZED => {
            answer.with(header::WWW_AUTHENTICATE, format!("Keystone uri=\"{base}{}/v3\"", PATH))
        }
        _ => answer,
    }
}

fn render(answer: Answer) -> Response {
    let (body, has_body) = match answer.body {
        Some(json) => (Body::from(json.to_string()), true),
        None => (Body::empty(), false),
    };
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    if has_body {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    headers.insert(header::VARY, HeaderValue::from_static("X-Auth-Token"));
    let request_id = format!("req-{}", uuid::Uuid::new_v4());
    for (name, value) in
        answer.headers.into_iter().chain([(HeaderName::from_static("x-openstack-request-id"), request_id)])
    {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    response
}
