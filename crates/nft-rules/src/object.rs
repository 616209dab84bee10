//! Things with a name and a memory that rules refer to.

use serde::{Deserialize, Serialize};

/// A named object of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Object {
    /// Counts packets and octets; what it has counted is not part of the value.
    Counter,
    /// Matches what comes beyond a rate (a token bucket).
    Limit {
        /// Octets per second.
        rate: u64,
        /// Octets that may come at once beyond the rate.
        burst: u64,
    },
    /// A helper of connection tracking, which follows a protocol into its further connections.
    CtHelper {
        /// The kernel's name for it: `ftp`, `tftp`, ...
        kind: String,
        /// `tcp` or `udp`.
        protocol: String,
    },
}

impl Object {
    /// The words of nft(8).
    pub(crate) fn keyword(&self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Limit { .. } => "limit",
            Self::CtHelper { .. } => "ct helper",
        }
    }
}
