//! Networking API v2.0: one generic engine over the declarations of `api-schema`.
//!
//! ```text
//! request ─ http ─► token ─► path ─┬─ engine ─► list, show ......... select (SQL) ─► render (rows straight to JSON bytes)
//!                                  │        └─► create, update, delete ─► body ─► policy ─► quota ─► rules ─► render
//!                                  └─ routes: versions, extensions, quotas (what is not rows of a resource)
//! ```
//!
//! **In:** HTTP requests, an [`Authenticator`], the store, `network-store`'s configuration. **Out:** Neutron's JSON.
//! **May not:** know any resource but in [`registry`], where each declaration meets the functions that its requests call;
//! there is no other registration. Everything that one request changes happens in one unit of work.

mod answer;
mod api;
mod asked;
mod auth;
mod config;
mod engine;
mod error;
mod http;
mod path;
mod query;
pub mod registry;
mod routes;

pub use api::{Api, Current};
pub use auth::{Authentication, Authenticator, Caller, Denial, Presented};
pub use config::ApiConfig;
pub use error::ApiError;
pub use http::router;
