//! What a client asks: a request, taken apart, and what its body and headers must be. Nothing here is answered.

use crate::error::ApiError;
use crate::path::Path;
use crate::query::Query;
use api_schema::Resource;
use axum::http::{HeaderMap, Method, header};
use bytes::Bytes;
use serde_json::Value;

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

/// A body that must be a JSON object.
pub(crate) fn parse(body: &Bytes) -> Result<Value, ApiError> {
    match serde_json::from_slice(body) {
        Ok(value @ Value::Object(_)) => Ok(value),
        _ => Err(ApiError::bad("Body contains invalid data")),
    }
}

/// A body that must be there and hold the resource.
pub(crate) fn json(resource: &Resource, body: &Bytes) -> Result<Value, ApiError> {
    if body.is_empty() {
        return Err(ApiError::bad(format!("Unable to find '{}' in request body", resource.key())));
    }
    parse(body)
}

/// `If-Match: revision_number=5`.
pub(crate) fn if_match(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
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
