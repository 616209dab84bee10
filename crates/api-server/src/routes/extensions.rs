//! `/v2.0/extensions`: what clients may rely on.

use crate::asked::Asked;
use crate::error::{ApiError, json_response};
use api_schema::extension;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

/// All of them. What is no GET is not found, as in Neutron.
pub fn list(asked: &Asked) -> Result<Response, ApiError> {
    if asked.method != Method::GET {
        return Err(ApiError::NoSuchPath);
    }
    let extensions: Vec<Value> = extension::ALL.iter().map(extension::Extension::json).collect();
    Ok(json_response(StatusCode::OK, json!({"extensions": extensions}).to_string().into_bytes()))
}

/// One.
pub fn show(asked: &Asked, alias: &str) -> Result<Response, ApiError> {
    if asked.method != Method::GET {
        return Err(ApiError::NoSuchPath);
    }
    let found = extension::find(alias).ok_or_else(|| ApiError::NotFound {
        kind: "HTTPNotFound",
        message: format!("Extension with alias {alias} does not exist"),
    })?;
    Ok(json_response(StatusCode::OK, json!({"extension": found.json()}).to_string().into_bytes()))
}
