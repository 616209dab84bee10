//! One request, taken apart, and who makes it.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::Query;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use serde_json::{Value as Json, json};

use crate::{Identity, IdentityError, PATH, TokenInfo};

/// One request.
pub(super) struct Call {
    pub(super) method: Method,
    /// The path below [`PATH`], decoded, without empty parts.
    pub(super) segments: Vec<String>,
    pub(super) query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
    /// `http://address[:port]`.
    pub(super) base: String,
    /// Path and query as they came, below [`PATH`].
    path_and_query: String,
}

impl Call {
    pub(super) fn new(parts: Parts, body: Bytes, base: String) -> Result<Self, IdentityError> {
        let path = parts.uri.path();
        let path = path.strip_prefix(PATH).unwrap_or(path);
        let segments = path.split('/').filter(|part| !part.is_empty()).map(decoded).collect::<Option<_>>();
        let segments = segments.ok_or_else(|| IdentityError::bad_request("The path is not UTF-8."))?;
        let Query(query) = Query::try_from_uri(&parts.uri)
            .map_err(|_| IdentityError::bad_request("The query string cannot be read."))?;
        let path_and_query = match parts.uri.query() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        };
        Ok(Self { method: parts.method, segments, query, headers: parts.headers, body, base, path_and_query })
    }

    /// The body as JSON.
    pub(super) fn json(&self) -> Result<Json, IdentityError> {
        serde_json::from_slice(&self.body)
            .map_err(|_| IdentityError::bad_request("The request body is not valid JSON."))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty())
    }

    /// A parameter of the query; the last one counts.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that is on when it is there, unless it says no.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.parameter(name)
            .is_some_and(|value| !matches!(value.to_ascii_lowercase().as_str(), "0" | "false" | "no" | "off"))
    }

    /// `http://address/identity/v3`.
    pub(super) fn v3(&self) -> String {
        format!("{}{PATH}/v3", self.base)
    }

    /// The `links` of a list: everything comes on one page.
    pub(super) fn list_links(&self) -> Json {
        json!({"next": null, "self": format!("{}{PATH}{}", self.base, self.path_and_query), "previous": null})
    }
}

/// A part as it is meant; `None` when that is not UTF-8.
fn decoded(part: &str) -> Option<String> {
    percent_encoding::percent_decode_str(part).decode_utf8().ok().map(Cow::into_owned)
}

impl Identity {
    /// Who makes the call.
    pub(super) fn caller(&self, call: &Call) -> Result<Arc<TokenInfo>, IdentityError> {
        let token = call.header("x-auth-token").ok_or(IdentityError::unauthorized("no token"))?;
        self.validate(token)
    }

    /// Who makes the call, who must be an administrator; `action` is Keystone's policy name.
    pub(super) fn administrator(&self, call: &Call, action: &str) -> Result<Arc<TokenInfo>, IdentityError> {
        let caller = self.caller(call)?;
        if caller.is_admin() { Ok(caller) } else { Err(IdentityError::forbidden(action)) }
    }

    /// Who makes the call, who must be this user or an administrator.
    pub(super) fn self_or_administrator(
        &self,
        call: &Call,
        user_id: &str,
        action: &str,
    ) -> Result<Arc<TokenInfo>, IdentityError> {
        let caller = self.caller(call)?;
        if caller.is_admin() || caller.user.id == user_id { Ok(caller) } else { Err(IdentityError::forbidden(action)) }
    }
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn paths_are_decoded_once_and_strictly() {
        assert_eq!(decoded("a%20b%2Fc").as_deref(), Some("a b/c"));
        assert_eq!(decoded("%e2%82%ac").as_deref(), Some("€"));
        assert_eq!(decoded("%252F").as_deref(), Some("%2F"));
        assert_eq!(decoded("100%").as_deref(), Some("100%"));
        assert_eq!(decoded("%zz").as_deref(), Some("%zz"));
        assert_eq!(decoded("%ff"), None);
    }
}
