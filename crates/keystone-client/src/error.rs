//! What can go wrong between us, Keystone and the services that its catalogue names.

/// A request to Keystone or another service failed. No variant carries a token or a password.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum KeystoneError {
    /// The configuration cannot work.
    #[error("{0}")]
    Config(String),
    /// A URL that cannot be used.
    #[error("cannot use the URL {0}")]
    Url(String),
    /// No connection, or no answer in time.
    #[error("cannot reach {url}: {reason}")]
    Unreachable {
        /// Who was asked.
        url: String,
        /// What happened.
        reason: String,
    },
    /// The answer was not what the API promises.
    #[error("{url} did not answer properly: {reason}")]
    Broken {
        /// Who was asked.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// The service refused.
    #[error("{url} answered {status}: {message}")]
    Refused {
        /// Who was asked.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The service's own words.
        message: String,
    },
    /// Keystone does not sign the user in.
    #[error("Keystone does not let user {user} sign in ({status}: {message})")]
    SignIn {
        /// The user's name.
        user: String,
        /// The HTTP status.
        status: u16,
        /// Keystone's words.
        message: String,
    },
    /// The catalogue lacks the service.
    #[error("the catalogue has no {interface} endpoint of type {service}{}", in_region(.region.as_deref()))]
    NoEndpoint {
        /// The service's type.
        service: String,
        /// Which endpoint.
        interface: &'static str,
        /// In which region; none: any.
        region: Option<String>,
    },
}

fn in_region(region: Option<&str>) -> String {
    region.map(|region| format!(" in region {region}")).unwrap_or_default()
}

/// Why a request's tokens are not accepted.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CheckError {
    /// The token, or the service token beside it, is no good: 401.
    #[error("the token is not good")]
    Invalid,
    /// Keystone cannot be asked now: 503.
    #[error("the Keystone service is temporarily unavailable")]
    Unavailable(#[source] KeystoneError),
}
