//! The one error of this crate: a text or number that is not what it should be.

/// A value from outside that is not a well-formed `what`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{value}' is not a valid {what}")]
pub struct ParseError {
    /// What was expected, as a noun ("MAC address").
    pub what: &'static str,
    /// What was given.
    pub value: String,
}

impl ParseError {
    pub(crate) fn new(what: &'static str, value: impl ToString) -> Self {
        Self { what, value: value.to_string() }
    }
}
