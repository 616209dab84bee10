//! The one binary: server, agent, lab, probe.
fn main() {}
