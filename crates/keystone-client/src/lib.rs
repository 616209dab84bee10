//! A client of an external Keystone: checks the tokens that requests bring, signs a service user in, writes the catalogue.
//!
//! **What for.** When `[identity] provider = "keystone"`, [`TokenChecker`] answers who makes a request, by the rules of
//! keystonemiddleware's `auth_token`: the token is shown to Keystone in the name of a service user, the answer is believed
//! for `cache_seconds` at most, an expired token never, and while Keystone is away nobody is let in. [`Session`] is the
//! service user's own signing in; whoever talks to another service of the cloud (Nova) uses it too. [`register`] writes
//! Neutronium into the catalogue.
//!
//! **In:** configuration, tokens. **Out:** [`TokenInfo`], answers of the services asked, [`KeystoneError`].
//! **May not:** know networks, ports, policy or the database; log or show a password or a token (they are [`Secret`]s, and
//! errors carry none); decide by any clock but the one it was given.
//!
//! ```text
//! config   token, catalog, cache, access_rules (pure)
//! http (connections, TLS, retries)  <- session (own token, endpoints)  <- checker (cache, one check at a time)
//!                                                                      <- register
//! ```

pub mod access_rules;
mod cache;
mod catalog;
mod checker;
mod config;
mod error;
mod http;
pub mod register;
mod session;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod token;

pub use catalog::Interface;
pub use checker::{Checked, Presented, TokenChecker};
pub use config::{Account, CheckerConfig};
pub use error::{CheckError, KeystoneError};
pub use http::Answer;
pub use secret::Secret;
pub use session::{Call, Clock, Session, To};
pub use token::{AccessRule, Scope, TokenInfo};
