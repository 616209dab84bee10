//! What can go wrong with a lab, each in one sentence.

use std::io;
use std::path::PathBuf;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Named for the intent that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine lacks something; nothing has been changed.
    #[error("{0}")]
    Preflight(String),
    /// The topology breaks a rule.
    #[error("{place}: {reason}")]
    Topology {
        /// File and line, or file and the thing.
        place: String,
        /// The rule.
        reason: String,
    },
    /// The lab's name is none.
    #[error("\"{0}\" cannot name a lab (1 to 20 letters, digits or hyphens, starting with a letter)")]
    LabName(String),
    /// There is no such lab.
    #[error("lab \"{0}\" is not up: start it with `neutronium lab up`")]
    NotUp(String),
    /// There is no such host or switch.
    #[error("lab \"{lab}\" has no host \"{host}\" (it has {known})")]
    NoSuchHost {
        /// The lab.
        lab: String,
        /// What was asked for.
        host: String,
        /// What there is.
        known: String,
    },
    /// A host's supervisor is gone.
    #[error("{host} of lab \"{lab}\" is broken, its supervisor is gone: `neutronium lab up` builds the lab again")]
    Broken {
        /// The lab.
        lab: String,
        /// The host.
        host: String,
    },
    /// Another command works on the lab.
    #[error("another command is working on lab \"{0}\"")]
    Busy(String),
    /// A tool said no.
    #[error("`{command}` failed: {reason}")]
    Tool {
        /// The command line.
        command: String,
        /// Its last words.
        reason: String,
    },
    /// A host did not come up.
    #[error("{host}: {reason} (its logs are in {})", .log.display())]
    Host {
        /// The host.
        host: String,
        /// What it said.
        reason: String,
        /// Where more is to be read.
        log: PathBuf,
    },
    /// The system said no.
    #[error("cannot {what}")]
    System {
        /// The intent.
        what: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of the lab cannot be understood.
    #[error("{} is damaged: {reason}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl Error {
    /// Whether the machine or the input, not the lab, is at fault, and nothing has been changed.
    #[must_use]
    pub fn before_any_change(&self) -> bool {
        matches!(self, Self::Preflight(_) | Self::Topology { .. } | Self::LabName(_))
    }
}

/// Names the intent of a system call or file operation that failed.
pub(crate) trait Intent<T> {
    fn intent(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<io::Error>> Intent<T> for std::result::Result<T, E> {
    fn intent(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::System { what: what(), source: source.into() })
    }
}
