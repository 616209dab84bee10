//! What the operator decides about the API itself; about networks see [`network_store::NetworkOptions`].

use serde::{Deserialize, Serialize};

/// The `[api]` table of the configuration.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// Largest body of a request, bytes (`max_request_body_size`).
    pub max_request_body_size: usize,
    /// Most objects in one page of a list; -1: as many as asked for.
    pub pagination_max_limit: i64,
    /// Where clients get tokens: the URI in the `WWW-Authenticate` header of a 401; empty: from this very server.
    pub www_authenticate_uri: String,
    /// The operator's rules in place of the default ones, YAML or JSON in oslo.policy's language; empty: none. It is read again
    /// when it changes and on SIGHUP.
    pub policy_file: String,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            max_request_body_size: 114_688,
            pagination_max_limit: -1,
            www_authenticate_uri: String::new(),
            policy_file: String::new(),
        }
    }
}
