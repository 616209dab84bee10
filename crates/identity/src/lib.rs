//! The built-in identity service: the subset of OpenStack's Keystone v3 that real clients use.
//!
//! **What for.** Users prove who they are by a password and get a token; the token says who they are, for which project,
//! with which roles, and where the services are. The networking API asks [`Identity::validate`] in process; everybody
//! else comes by HTTP under [`PATH`].
//!
//! **In:** HTTP requests ([`Identity::router`]), tokens, `[identity]` of the configuration, the [`store::Store`].
//! **Out:** Keystone's JSON, [`TokenInfo`]. Tokens are sealed (Fernet), not stored: a restart forgets none.
//! **May not:** know networks or ports; log or show a password, a token or a key.
//!
//! ```text
//! fernet  <- token (what is inside)      pure
//! resource (one declaration drives checks, SQL, JSON) <- resources <- bootstrap
//! grants (roles)   catalog   keys   password
//! service (issue, validate, revoke)  <- authenticate <- http/ (routes, policy, links)
//! ```
//!
//! What Keystone has and this does not: groups (always empty), trusts, application credentials, federation, credentials,
//! EC2, system scope, inherited assignments, roles of domains, projects that act as domains.

mod authenticate;
mod bootstrap;
mod catalog;
mod config;
mod error;
mod fernet;
mod grants;
mod http;
mod info;
mod keys;
mod password;
mod resource;
mod resources;
mod schema;
mod service;
mod token;

pub use config::IdentityConfig;
pub use error::IdentityError;
pub use info::{InDomain, Named, Scope, TokenInfo};
pub use secret::Secret;
pub use service::{Clock, Identity};
pub use token::Method;

/// Where the server hangs this service: `http://address/identity/v3`.
pub const PATH: &str = "/identity";
