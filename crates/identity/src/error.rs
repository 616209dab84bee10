//! What can go wrong, and what Keystone answers for it.

use std::path::PathBuf;

use store::StoreError;

/// A failed intent of the identity service. [`IdentityError::status`] is the HTTP answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// No token, or one that is not good (any more), or a wrong password. The caller is told no more than that.
    #[error("not authenticated: {reason}")]
    Unauthorized {
        /// For the log only.
        reason: &'static str,
    },
    /// The token is good but its roles do not allow this.
    #[error("not allowed: {action}")]
    Forbidden {
        /// Keystone's policy name, or what is being refused in plain words.
        action: String,
    },
    /// There is no such object (or the caller may not know of it).
    #[error("no such {kind}: {id}")]
    NotFound {
        /// `project`, `user`, ...
        kind: &'static str,
        /// What was asked for.
        id: String,
    },
    /// There is no such path.
    #[error("no such path")]
    NoRoute,
    /// The path is there, but not with this method.
    #[error("no such method on this path")]
    NoMethod,
    /// An object with the same key exists.
    #[error("conflict storing {kind}: {detail}")]
    Conflict {
        /// `project`, `user`, ...
        kind: &'static str,
        /// What it clashes with.
        detail: String,
    },
    /// The request's body or a parameter is not what it must be.
    #[error("bad request: {message}")]
    BadRequest {
        /// For the caller.
        message: String,
    },
    /// The request's body is longer than allowed.
    #[error("request body too large")]
    TooLarge,
    /// The database failed.
    #[error("the database failed")]
    Store(#[from] StoreError),
    /// The key file cannot be read or made.
    #[error("cannot use the token keys in {path}")]
    KeyFile {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A password could not be hashed, or a stored hash could not be read.
    #[error("cannot hash a password: {0}")]
    PasswordHash(String),
    /// A token could not be sealed.
    #[error("cannot make a token")]
    Seal,
}

impl IdentityError {
    /// The HTTP status of the answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::BadRequest { .. } => 400,
            Self::Unauthorized { .. } => 401,
            Self::Forbidden { .. } => 403,
            Self::NotFound { .. } | Self::NoRoute => 404,
            Self::NoMethod => 405,
            Self::Conflict { .. } => 409,
            Self::TooLarge => 413,
            Self::Store(error) if error.is_retryable() => 503,
            Self::Store(_) | Self::KeyFile { .. } | Self::PasswordHash(_) | Self::Seal => 500,
        }
    }

    /// The reason phrase, Keystone's `title`.
    #[must_use]
    pub fn title(&self) -> &'static str {
        match self.status() {
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            409 => "Conflict",
            413 => "Request Entity Too Large",
            503 => "Service Unavailable",
            _ => "Internal Server Error",
        }
    }

    /// What the caller is told: for a server's own failure, nothing of its inside.
    #[must_use]
    pub fn public_message(&self) -> String {
        match self {
            Self::Unauthorized { .. } => "The request you have made requires authentication.".to_owned(),
            Self::Forbidden { action } => {
                format!("You are not authorized to perform the requested action: {action}.")
            }
            Self::NotFound { kind, id } if id.is_empty() => format!("Could not find {kind}."),
            Self::NotFound { kind, id } => format!("Could not find {kind}: {id}."),
            Self::NoRoute => "The resource could not be found.".to_owned(),
            Self::NoMethod => "The method is not allowed for the requested URL.".to_owned(),
            Self::Conflict { kind, detail } => {
                format!("Conflict occurred attempting to store {kind} - {detail}.")
            }
            Self::BadRequest { message } => message.clone(),
            Self::TooLarge => "Request is too large.".to_owned(),
            Self::Store(error) if error.is_retryable() => "The database is busy, try again.".to_owned(),
            Self::Store(_) | Self::KeyFile { .. } | Self::PasswordHash(_) | Self::Seal => {
                "An unexpected error prevented the server from fulfilling your request.".to_owned()
            }
        }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::BadRequest { message: message.into() }
    }

    pub(crate) fn unauthorized(reason: &'static str) -> Self {
        Self::Unauthorized { reason }
    }

    pub(crate) fn forbidden(action: impl Into<String>) -> Self {
        Self::Forbidden { action: action.into() }
    }
}
