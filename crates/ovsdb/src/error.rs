//! The errors of this crate.

/// Why octets or JSON from a server could not be taken, or what it refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The stream is no sequence of JSON objects within the limits; the connection is beyond repair.
    #[error("cannot cut the stream into messages: {reason}")]
    Frame {
        /// Why.
        reason: String,
    },
    /// A message that is no JSON-RPC 1.0 request, notification or response.
    #[error("cannot understand a JSON-RPC message: {reason}")]
    Message {
        /// Why.
        reason: &'static str,
    },
    /// JSON that is not the named part of RFC 7047.
    #[error("cannot read {what}: {found}")]
    Parse {
        /// Which part, as a noun.
        what: &'static str,
        /// The JSON, cut short.
        found: String,
    },
    /// The server refused a request as a whole (RFC 7047, section 4.1).
    #[error("the database server refused {method}: {error}")]
    Refused {
        /// The request.
        method: String,
        /// The server's words.
        error: String,
    },
    /// The server refused a transaction; nothing of it was done (RFC 7047, section 4.1.3).
    #[error("the database refused the transaction at {operation}: {error}{}", details.as_ref().map(|text| format!(": {text}")).unwrap_or_default())]
    Transaction {
        /// Position of the refused operation; one past the last when the commit failed.
        index: usize,
        /// The operation in words; "commit" when the whole was refused.
        operation: String,
        /// One of the RFC's errors, such as `constraint violation` or `timed out`.
        error: String,
        /// The server's explanation.
        details: Option<String>,
    },
}

impl Error {
    /// Whether the same intent may succeed after looking again at what the database holds.
    pub fn is_worth_retrying(&self) -> bool {
        match self {
            // Somebody else changed what the transaction relied upon; `aborted` follows an earlier operation's error.
            Self::Transaction { error, .. } => {
                matches!(
                    error.as_str(),
                    "timed out" | "constraint violation" | "referential integrity violation" | "aborted"
                )
            }
            Self::Refused { error, .. } => error == "canceled" || error == "not leader",
            Self::Frame { .. } | Self::Message { .. } | Self::Parse { .. } => false,
        }
    }

    pub(crate) fn parse(what: &'static str, found: &serde_json::Value) -> Self {
        let mut found = found.to_string();
        if let Some((end, _)) = found.char_indices().nth(100) {
            found.truncate(end);
            found.push('…');
        }
        Self::Parse { what, found }
    }
}
