//! Helpers for typed requests: what serde needs to tell "absent" from "null".

use serde::{Deserialize, Deserializer};

/// For `#[serde(default, deserialize_with = "request::nullable")] Option<Option<T>>`: absent is `None`, null is
/// `Some(None)`.
pub fn nullable<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
