//! The one error of this crate.

/// Why the kernel's answer could not be read. Trying again with the same answer is of no use; a table that cannot be
/// read is to be treated as one that drifted, and replaced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is not JSON, or not in the form of `nft -j list`.
    #[error("cannot read nft's JSON: {0}")]
    ReadJson(String),
}
