//! What can keep the agent from starting, from hearing the server, or from realising a part of the host.

use std::path::PathBuf;

/// A failed intent of the agent.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The configuration says something that cannot be followed.
    #[error("the configuration cannot be used: {reason}")]
    Configuration {
        /// One sentence that names the key.
        reason: String,
    },
    /// A file could not be read.
    #[error("cannot read {path}")]
    ReadFile {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The last known view could not be kept.
    #[error("cannot write {path}")]
    WriteFile {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The server could not be spoken to.
    #[error("cannot reach the server at {server}: {reason}")]
    Server {
        /// Its address.
        server: String,
        /// What went wrong.
        reason: String,
    },
    /// The server answered with a refusal.
    #[error("the server refused {what}: {status}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// Its HTTP status.
        status: u16,
    },
    /// The server said something that cannot be understood.
    #[error("the server's {what} cannot be understood: {reason}")]
    NotUnderstood {
        /// Which message.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// A program of the host said something that cannot be understood.
    #[error("what {program} says cannot be understood: {reason}")]
    Said {
        /// Which.
        program: &'static str,
        /// Why.
        reason: String,
    },
    /// A layer of the host could not be read or written.
    #[error(transparent)]
    Driver(#[from] host_drivers::DriverError),
    /// A service in a namespace is not running.
    #[error(transparent)]
    Service(#[from] host_services::ServiceError),
    /// Another agent works on this host.
    #[error("an agent runs on this host already (it holds {})", path.display())]
    AnotherRuns {
        /// What it holds.
        path: std::path::PathBuf,
    },
    /// A task of the agent ended, which none of them should.
    #[error("a task of the agent ended: {reason}")]
    TaskEnded {
        /// How.
        reason: String,
    },
    /// A line of the watch does not continue what is known: a snapshot is needed.
    #[error("the watch went from revision {from} on, but revision {known} is known")]
    Gap {
        /// Where the line starts from.
        from: u64,
        /// What is known.
        known: u64,
    },
}

impl AgentError {
    /// Whether the same attempt may succeed later, without anybody changing the configuration.
    pub fn is_worth_retrying(&self) -> bool {
        !matches!(
            self,
            Self::Configuration { .. } | Self::ReadFile { .. } | Self::TaskEnded { .. } | Self::AnotherRuns { .. }
        )
    }
}
