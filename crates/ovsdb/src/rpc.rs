//! JSON-RPC 1.0 messages as OVSDB uses them (RFC 7047, section 4): both sides may ask.

use crate::Error;
use serde_json::{Value as Json, json};

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Wants an answer with the same id.
    Request {
        /// Chosen by the asker; any JSON but null.
        id: Json,
        /// What is asked.
        method: String,
        /// Its parameters, an array.
        params: Json,
    },
    /// Wants none.
    Notification {
        /// What is told.
        method: String,
        /// Its parameters, an array.
        params: Json,
    },
    /// Answers a request.
    Response {
        /// Of the request.
        id: Json,
        /// The result, or the error.
        result: Result<Json, Json>,
    },
}

impl Message {
    /// A request with a number for id.
    pub fn request(id: u64, method: &str, params: Json) -> Self {
        Self::Request { id: json!(id), method: method.to_owned(), params }
    }

    /// The keep-alive (section 4.1.11); the peer answers with the same parameters.
    pub fn echo() -> Self {
        Self::Request { id: json!("echo"), method: "echo".to_owned(), params: json!([]) }
    }

    /// The answer that a request of the peer must get: an echo its parameters, everything else an error.
    pub fn answer(id: Json, method: &str, params: Json) -> Self {
        let result = if method == "echo" { Ok(params) } else { Err(json!({"error": "unknown method"})) };
        Self::Response { id, result }
    }

    /// From a value that a [`Framer`](crate::Framer) gave.
    pub fn from_json(json: Json) -> Result<Self, Error> {
        let Json::Object(mut object) = json else { return Err(Error::Message { reason: "not an object" }) };
        let mut take = |key: &str| object.remove(key).unwrap_or(Json::Null);
        let (id, method, params, result, error) =
            (take("id"), take("method"), take("params"), take("result"), take("error"));
        match (method, params) {
            (Json::String(method), params @ Json::Array(_)) => Ok(match id {
                Json::Null => Self::Notification { method, params },
                id => Self::Request { id, method, params },
            }),
            (Json::Null, Json::Null) if !id.is_null() => {
                Ok(Self::Response { id, result: if error.is_null() { Ok(result) } else { Err(error) } })
            }
            (Json::Null, Json::Null) => Err(Error::Message { reason: "neither method nor id" }),
            (Json::Null, _) | (Json::String(_), _) => Err(Error::Message { reason: "parameters are not an array" }),
            _ => Err(Error::Message { reason: "the method is not text" }),
        }
    }

    /// As it stands on the wire.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Request { id, method, params } => json!({"id": id, "method": method, "params": params}),
            Self::Notification { method, params } => json!({"id": null, "method": method, "params": params}),
            Self::Response { id, result: Ok(result) } => json!({"id": id, "result": result, "error": null}),
            Self::Response { id, result: Err(error) } => json!({"id": id, "result": null, "error": error}),
        }
    }

    /// Octets to send.
    pub fn encode(&self) -> Vec<u8> {
        self.to_json().to_string().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::tests::json as any_json;
    use proptest::prelude::*;

    #[test]
    fn an_echo_is_answered_in_kind() {
        let Message::Request { id, method, params } =
            Message::from_json(json!({"id": "echo", "method": "echo", "params": [1]})).unwrap()
        else {
            panic!("a request")
        };
        assert_eq!(Message::answer(id, &method, params).to_json(), json!({"id": "echo", "result": [1], "error": null}));
    }

    #[test]
    fn malformed_messages_are_refused() {
        for wrong in [json!([]), json!({}), json!({"method": 1, "params": []}), json!({"method": "a", "params": {}})] {
            assert!(Message::from_json(wrong.clone()).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_understood_is_written_back(json in any_json()) {
            if let Ok(message) = Message::from_json(json) {
                prop_assert_eq!(Message::from_json(message.to_json()), Ok(message));
            }
        }
    }
}
