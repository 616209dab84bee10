//! The one error of this crate.

/// Why text or octets could not be understood, or a value cannot be sent. None of them is worth a retry with the same
/// input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A flow in `ovs-ofctl` notation that is not well formed, or uses what this crate does not know.
    #[error("cannot parse {what}: '{text}'")]
    ParseText {
        /// What was expected, as a noun.
        what: &'static str,
        /// What was given.
        text: String,
    },
    /// A message that breaks its own format.
    #[error("cannot decode {what}: {reason}")]
    Decode {
        /// Which part of the message.
        what: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// A part of a message that is well formed but unknown to this crate.
    #[error("cannot decode {what} of type {kind:#x}")]
    Unknown {
        /// Which part of the message.
        what: &'static str,
        /// Its type number.
        kind: u64,
    },
    /// A value that the wire format has no room for.
    #[error("cannot encode {what}: {reason}")]
    Encode {
        /// Which part.
        what: &'static str,
        /// Why.
        reason: &'static str,
    },
}
