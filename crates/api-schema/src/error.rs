//! Why a body or a query is refused, in Neutron's words. All of them are answered with 400.

use crate::kind::Refusal;

/// A request that does not fit the declaration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// The error type is `HTTPBadRequest`.
    #[error("{0}")]
    BadRequest(String),
    /// The error type is `InvalidInput`.
    #[error("Invalid input for operation: {0}.")]
    InvalidInput(String),
    /// An error type of its own.
    #[error("{message}")]
    Named {
        /// The error type.
        kind: &'static str,
        /// The whole message.
        message: String,
    },
}

impl SchemaError {
    /// What stands in the answer's `type`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "HTTPBadRequest",
            Self::InvalidInput(_) => "InvalidInput",
            Self::Named { kind, .. } => kind,
        }
    }

    /// The refusal of an attribute's value.
    pub fn refused(attribute: &str, refusal: Refusal) -> Self {
        match refusal {
            Refusal::Check(reason) => Self::BadRequest(format!("Invalid input for {attribute}. Reason: {reason}.")),
            Refusal::Conversion(reason) => Self::InvalidInput(reason),
            Refusal::Plain(message) => Self::BadRequest(message),
            Refusal::Named(kind, message) => Self::Named { kind, message },
        }
    }
}
