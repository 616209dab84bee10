//! What can go wrong between the store and the hosts.

/// A failed intent of the feed.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// Rows could not be read or written; the feed tries again.
    #[error("the store refused")]
    Store(#[from] store::StoreError),
    /// A decision of the network's rules: no address is left for a DHCP port, ...
    #[error("the network's rules refuse: {0}")]
    Refused(String),
}
