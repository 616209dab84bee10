//! The API as clients see it, over a real store in a temporary directory.

mod core;
mod floating_ips;
mod lists;
mod ports;
mod routers;
mod samples;
mod security_groups;
mod server;
mod walk;
