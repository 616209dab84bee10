//! What the server's metadata service tells a probe (`--user-data`, `--key`): put there by the operator, as Nova would know it.

use crate::cloud::{Cloud, CloudError};
use crate::exit::Failure;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::Method;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// What is given on the command line.
#[derive(Default)]
pub(super) struct Told {
    pub(super) user_data: Option<PathBuf>,
    pub(super) keys: Vec<PathBuf>,
}

impl Told {
    /// The body of the request; none when there is nothing to tell.
    pub(super) fn read(&self, name: &str) -> Result<Option<Value>, Failure> {
        if self.user_data.is_none() && self.keys.is_empty() {
            return Ok(None);
        }
        let read = |path: &Path| {
            std::fs::read(path).map_err(|error| Failure::refused(format!("cannot read {}: {error}", path.display())))
        };
        let mut keys = Map::new();
        for path in &self.keys {
            let key = String::from_utf8_lossy(&read(path)?).trim().to_owned();
            let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            keys.insert(name, key.into());
        }
        let user_data = self.user_data.as_deref().map(read).transpose()?.map(|octets| BASE64.encode(octets));
        Ok(Some(json!({"instance": {"hostname": name, "user_data": user_data, "public_keys": keys}})))
    }
}

/// Has the metadata service tell it.
pub(super) async fn tell(operator: &Cloud, device: Uuid, body: &Value) -> Result<(), CloudError> {
    operator.networking(Method::PUT, &path(device), Some(body)).await.map(|_| ())
}

/// Has the metadata service forget it; fine when there was nothing.
pub(super) async fn forget(operator: &Cloud, device: Uuid) -> Result<(), CloudError> {
    match operator.networking(Method::DELETE, &path(device), None).await {
        Ok(_) | Err(CloudError::Refused { status: 404, .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn path(device: Uuid) -> String {
    format!("metadata/instances/{device}")
}
