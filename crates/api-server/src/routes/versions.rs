//! `GET /`: which versions there are; `GET /v2.0/`: which resources.

use crate::asked::Asked;
use crate::error::{ApiError, json_response};
use crate::registry;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

/// Needs no token.
pub fn versions(method: &Method, base: &str) -> Result<Response, ApiError> {
    if method != Method::GET {
        return Err(ApiError::NoSuchMethod);
    }
    let links = json!([{"rel": "self", "href": format!("{base}/v2.0/")}]);
    let body = json!({"versions": [{"id": "v2.0", "status": "CURRENT", "links": links}]});
    Ok(json_response(StatusCode::OK, body.to_string().into_bytes()))
}

/// Clients that look for an API's root find it here.
pub fn root(asked: &Asked) -> Result<Response, ApiError> {
    if asked.method != Method::GET {
        return Err(ApiError::NoSuchMethod);
    }
    let resources: Vec<Value> = registry::all()
        .map(|rules| {
            let href = format!("{}/v2.0/{}", asked.base, rules.resource.path());
            let (name, collection) = (rules.resource.name, rules.resource.collection);
            json!({"name": name, "collection": collection, "links": [{"rel": "self", "href": href}]})
        })
        .collect();
    Ok(json_response(StatusCode::OK, json!({"resources": resources}).to_string().into_bytes()))
}
