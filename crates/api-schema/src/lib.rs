//! One declaration per resource of the Networking API, and what can be derived from declarations alone.
//!
//! **What for.** A [`Resource`] is a table: its attributes with their types, defaults, who may write and see them, how
//! lists filter and sort by them, which extension brings them, and the SQL expression they are read from. Everything
//! generic follows from it: checking bodies (here), policy names, SQL of lists, JSON of answers, the extension list.
//!
//! **In:** JSON bodies. **Out:** canonical values, or [`SchemaError`]s with Neutron's error types and messages.
//! **May not:** do I/O or run SQL. The SQL expressions are facts of the declaration; `api-server` puts them together.
//!
//! To add a resource, see `docs/howto/add-a-resource.md`.

mod attribute;
pub mod body;
mod error;
pub mod extension;
mod kind;
pub mod openapi;
mod resource;
pub mod resources;

pub use attribute::{
    AddMember, Attribute, Children, Derived, Known, Literal, Members, Nested, Null, Object, Post, Sharing, Stored,
    Visible,
};
pub use error::SchemaError;
pub use kind::{Custom, JsonType, Kind, Refusal, TRANSPORT_PROTOCOLS, python_display};
pub use resource::{Action, Methods, NotFound, Parent, Resource};
