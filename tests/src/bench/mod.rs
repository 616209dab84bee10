//! What Neutronium costs, measured from outside: the API against SQLite ([`api`]), and hosts in a lab ([`hosts`]).
//!
//! Figures are processor time per operation wherever that can be told, because it is the same on a busy machine and an idle
//! one; seconds come beside it. In: the release binary. Out: [`Table`]s, for people and as JSON. Nothing here is a test: no
//! figure makes anything fail. An operation that is refused does: a wrong answer has no cost worth knowing.
//!
//! `docs/benchmarks.md` is written from what this prints.

pub mod api;
pub mod bound;
pub mod hosts;
pub mod http;
pub mod load;
pub mod machine;
pub mod networks;
pub mod peer;
pub mod restart;
pub mod rules;
pub mod scale;
pub mod server;
pub mod shell;
pub mod table;
pub mod watch;
pub mod wire;

pub use table::Table;

use crate::Failure;

/// An answer that is not what was asked for.
pub(crate) fn unexpected(what: &str, why: impl std::fmt::Display) -> Failure {
    Failure::Unexpected { command: what.to_owned(), what: why.to_string() }
}

/// What could not be done, as the project's [`Failure`].
pub(crate) fn cannot(what: &str) -> impl Fn(std::io::Error) -> Failure {
    let command = what.to_owned();
    move |source| Failure::Start { command: command.clone(), source }
}
