//! Why a unit of work on networks did not happen.

use network_model::ModelError;
use store::StoreError;

/// A request that is refused, or a database that failed.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// A rule says no; final.
    #[error(transparent)]
    Refused(#[from] ModelError),
    /// A refusal that has a name in Neutron but is not a rule of the model.
    #[error("{message}")]
    Named {
        /// Neutron's exception name.
        kind: &'static str,
        /// The HTTP status.
        status: u16,
        /// The whole message.
        message: String,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl NetworkError {
    /// A refusal by name.
    pub fn named(kind: &'static str, status: u16, message: impl Into<String>) -> Self {
        Self::Named { kind, status, message: message.into() }
    }

    /// Whether the same unit of work may succeed a little later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Store(error) => error.is_retryable(),
            Self::Refused(_) | Self::Named { .. } => false,
        }
    }
}
