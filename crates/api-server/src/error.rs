//! Refusals and failures, and the one place where they become HTTP answers in Neutron's form.

use api_schema::{Resource, SchemaError};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use network_model::ModelError;
use network_store::NetworkError;
use serde_json::json;
use store::StoreError;

/// Why a request is not answered with what it asked for.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No token, or no good one. The text is the `WWW-Authenticate` URI.
    #[error("The request you have made requires authentication.")]
    Unauthorized(String),
    /// Whoever knows tokens cannot be asked.
    #[error("The Keystone service is temporarily unavailable.")]
    IdentityUnavailable,
    /// There is nothing at this path.
    #[error("The resource could not be found.")]
    NoSuchPath,
    /// The path exists, but not for this method.
    #[error("The server could not comply with the request since it is either malformed or otherwise incorrect.")]
    NoSuchMethod,
    /// The object is there, and its kind has nothing that could be changed.
    #[error("")]
    NotImplemented,
    /// The object does not exist, or not for this caller.
    #[error("{message}")]
    NotFound {
        /// Neutron's name for it (`PortNotFound`).
        kind: &'static str,
        /// The whole message.
        message: String,
    },
    /// Policy forbids it.
    #[error("{0} is disallowed by policy")]
    Forbidden(String),
    /// The body is longer than allowed.
    #[error("Request is too large.")]
    TooLarge,
    /// The body or query does not fit the declaration.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The object has changed since the client looked (`If-Match`).
    #[error("Constrained to {expected}, but current revision is {current}")]
    RevisionMismatch {
        /// What the client has seen.
        expected: u64,
        /// What is.
        current: u64,
    },
    /// The rules or the database.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A declaration and the type that its rules read do not fit together: our mistake.
    #[error("the request of {resource} does not fit its declaration: {reason}")]
    Declaration {
        /// The resource.
        resource: &'static str,
        /// serde's complaint.
        reason: String,
    },
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::Network(error.into())
    }
}

impl From<ModelError> for ApiError {
    fn from(error: ModelError) -> Self {
        Self::Network(error.into())
    }
}

impl ApiError {
    /// A body or query that is wrong, in words.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::Schema(SchemaError::BadRequest(message.into()))
    }

    /// That an object is not there.
    pub fn not_found(resource: &Resource, id: &str) -> Self {
        Self::NotFound { kind: resource.not_found.kind, message: resource.not_found.message(id, None) }
    }

    /// HTTP status and Neutron's name.
    fn status_and_type(&self) -> (u16, &'static str) {
        match self {
            Self::Unauthorized(_) => (401, "Unauthorized"),
            Self::IdentityUnavailable => (503, "ServiceUnavailable"),
            Self::NoSuchPath => (404, "HTTPNotFound"),
            Self::NoSuchMethod => (405, "HTTPMethodNotAllowed"),
            Self::NotImplemented => (501, "NotImplementedError"),
            Self::NotFound { kind, .. } => (404, kind),
            Self::Forbidden(_) => (403, "PolicyNotAuthorized"),
            Self::TooLarge => (413, "HTTPRequestEntityTooLarge"),
            Self::Schema(error) => (400, error.kind()),
            Self::RevisionMismatch { .. } => (412, "RevisionNumberConstraintFailed"),
            Self::Network(NetworkError::Refused(error)) => (error.status(), error.type_name()),
            Self::Network(NetworkError::Named { kind, status, .. }) => (*status, kind),
            Self::Network(NetworkError::Store(error)) => match error {
                StoreError::UniqueViolation { .. } => (409, "DBDuplicateEntry"),
                StoreError::ForeignKeyViolation => (409, "InUse"),
                StoreError::Busy
                | StoreError::Full
                | StoreError::Closed
                | StoreError::Disconnected { .. }
                | StoreError::Unknown { .. } => (503, "ServiceUnavailable"),
                _ => (500, "HTTPInternalServerError"),
            },
            Self::Declaration { .. } => (500, "HTTPInternalServerError"),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, kind) = self.status_and_type();
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if matches!(self, Self::Unauthorized(_) | Self::IdentityUnavailable) {
            // As keystonemiddleware answers, not Neutron.
            let title = status.canonical_reason().unwrap_or_default();
            let body = json!({"error": {"code": status.as_u16(), "title": title, "message": self.to_string()}});
            let mut response = json_response(status, body.to_string().into_bytes());
            if let Self::Unauthorized(uri) = &self
                && let Ok(value) = HeaderValue::from_str(&format!("Keystone uri=\"{uri}\""))
            {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
            }
            return response;
        }
        let message = match &self {
            _ if status == StatusCode::INTERNAL_SERVER_ERROR => {
                // The cause is for the log, not for the client.
                tracing::error!(error = &self as &dyn std::error::Error, "request failed");
                "Request Failed: internal server error while processing your request.".to_owned()
            }
            other => other.to_string(),
        };
        // Neutron wraps this one alone in its own name.
        let wrapper = if matches!(self, Self::NotImplemented) { kind } else { "NeutronError" };
        let body = json!({wrapper: {"type": kind, "message": message, "detail": ""}});
        json_response(status, body.to_string().into_bytes())
    }
}

/// An answer whose body is JSON.
pub(crate) fn json_response(status: StatusCode, body: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}
