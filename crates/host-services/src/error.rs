//! Why a service could not be started.

/// A service that is not running.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// A socket could not be opened or bound.
    #[error("cannot open the {what} on {device}")]
    OpenSocket {
        /// Which socket.
        what: &'static str,
        /// Device it should be bound to.
        device: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// An open socket could not be handed to the runtime.
    #[error("cannot register the socket with the runtime")]
    Register {
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The metadata service cannot be asked.
    #[error("metadata service: {reason}")]
    Upstream {
        /// Why.
        reason: String,
    },
}
