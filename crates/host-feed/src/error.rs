//! What can go wrong between the store and the hosts.

/// A failed intent of the feed.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// Rows could not be read or written; the feed tries again.
    #[error("the store refused")]
    Store(#[from] store::StoreError),
    /// A unit of work was refused: no address is left for a DHCP port, ...
    #[error("the rules of networks refuse")]
    Refused(#[from] network_store::NetworkError),
}
