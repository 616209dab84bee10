//! The API as clients see it, over a real store in a temporary directory.

mod core;
mod lists;
mod ports;
mod samples;
mod server;
mod walk;
