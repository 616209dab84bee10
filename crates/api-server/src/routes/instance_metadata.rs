//! `/v2.0/metadata/instances/ID`: what the server's own metadata service tells an instance; for administrators.
//!
//! PUT takes `{"instance": {"hostname": ..., "user_data": base64, "public_keys": {name: key}}}`, each of them optional, in the
//! place of what was there; GET shows it, DELETE forgets it. ID is the `device_id` of the instance's ports.

use crate::api::Api;
use crate::asked::Asked;
use crate::auth::Caller;
use crate::error::{ApiError, json_response};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use network_store::NetworkError;
use network_store::instance_metadata::{self, InstanceData};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Octets of the largest user data (Nova's limit, of the encoded form).
const LARGEST_USER_DATA: usize = 65_535;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    instance: Given,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Given {
    hostname: String,
    user_data: Option<String>,
    public_keys: BTreeMap<String, String>,
}

/// One instance's.
pub async fn item(api: &Arc<Api>, who: &Caller, asked: &Asked, device: &str) -> Result<Response, ApiError> {
    if !api.policy.is_admin(&who.credentials) {
        return Err(ApiError::Forbidden("rule:context_is_admin".to_owned()));
    }
    let device = device.to_owned();
    match asked.method {
        Method::GET => {
            let found = api.store.read(move |snapshot| instance_metadata::data(snapshot, &device)).await?;
            Ok(shown(&found.ok_or(ApiError::NoSuchPath)?))
        }
        Method::PUT => {
            let body: Body = serde_json::from_slice(&asked.body).map_err(|error| wrong(error.to_string()))?;
            let data = read(body.instance)?;
            let answer = shown(&data);
            api.store.write(move |tx| instance_metadata::put(tx, &device, &data)).await?;
            Ok(answer)
        }
        Method::DELETE => {
            let gone = api.store.write(move |tx| instance_metadata::delete(tx, &device)).await?;
            if gone { Ok(StatusCode::NO_CONTENT.into_response()) } else { Err(ApiError::NoSuchPath) }
        }
        _ => Err(ApiError::NoSuchMethod),
    }
}

fn wrong(reason: String) -> ApiError {
    NetworkError::named("BadRequest", 400, format!("Bad metadata of an instance: {reason}")).into()
}

fn read(given: Given) -> Result<InstanceData, ApiError> {
    let user_data = match given.user_data {
        Some(text) if text.len() > LARGEST_USER_DATA => return Err(wrong("user_data is too long".to_owned())),
        Some(text) => Some(BASE64.decode(text).map_err(|_| wrong("user_data is not base64".to_owned()))?),
        None => None,
    };
    Ok(InstanceData { hostname: given.hostname, user_data, public_keys: given.public_keys })
}

fn shown(data: &InstanceData) -> Response {
    let instance = Given {
        hostname: data.hostname.clone(),
        user_data: data.user_data.as_ref().map(|octets| BASE64.encode(octets)),
        public_keys: data.public_keys.clone(),
    };
    json_response(StatusCode::OK, serde_json::json!(Body { instance }).to_string().into_bytes())
}
