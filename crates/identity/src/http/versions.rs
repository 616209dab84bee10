//! Which API there is, for clients without a token.

use axum::http::{StatusCode, header};
use serde_json::{Value as Json, json};

use super::{Answer, Call};

/// The newest Keystone API whose calls are a superset of ours.
fn version(call: &Call) -> Json {
    json!({
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": format!("{}/", call.v3())}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    })
}

/// `GET /identity`: 300 Multiple Choices, as Keystone answers although there is but one.
pub(super) fn all(call: &Call) -> Answer {
    Answer::new(StatusCode::MULTIPLE_CHOICES, json!({"versions": {"values": [version(call)]}}))
        .with(header::LOCATION, format!("{}/", call.v3()))
}

/// `GET /identity/v3`.
pub(super) fn v3(call: &Call) -> Answer {
    Answer::ok(json!({"version": version(call)}))
}
