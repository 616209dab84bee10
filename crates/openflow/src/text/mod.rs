//! Flows in the notation of `ovs-ofctl`: what `ovs-ofctl --no-stats dump-flows` prints, and what `add-flow` reads.
//!
//! In and out: [`Flow`] and text. Ports may be shown and given by name if the caller knows names: printing takes a
//! [`Names`], parsing a closure from name to number. Without either, numbers are used and everything printed parses
//! back to an equal flow.

mod lex;
mod parse;
mod parse_action;
mod parse_learn;
mod parse_value;
mod print_action;
mod print_match;
mod shared;
#[cfg(test)]
mod tests;
mod value;

pub use parse::{PortByName, parse_flow, parse_match};

use crate::{Action, Flow, Match, PortNo};
use std::fmt;

/// What numbers are called on a certain bridge.
pub trait Names {
    /// The name of a port.
    fn port(&self, _port: PortNo) -> Option<String> {
        None
    }

    /// The name of a table.
    fn table(&self, _table: u8) -> Option<String> {
        None
    }
}

/// No names: numbers are printed.
impl Names for () {}

/// Names of ports only.
impl<F: Fn(PortNo) -> Option<String>> Names for F {
    fn port(&self, port: PortNo) -> Option<String> {
        self(port)
    }
}

/// A flow with names: `table=60, priority=100,in_port="tap1" actions=resubmit(,71)`.
pub fn print_flow(flow: &Flow, names: &dyn Names) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_flow(&mut out, flow, names);
    out
}

fn write_flow(out: &mut dyn fmt::Write, flow: &Flow, names: &dyn Names) -> fmt::Result {
    if flow.cookie != 0 {
        write!(out, "cookie={:#x}, ", flow.cookie)?;
    }
    if flow.table != 0 || names.table(0).is_some() {
        out.write_str("table=")?;
        value::write_table(out, flow.table, names)?;
        out.write_str(", ")?;
    }
    if flow.idle_timeout != 0 {
        write!(out, "idle_timeout={}, ", flow.idle_timeout)?;
    }
    if flow.hard_timeout != 0 {
        write!(out, "hard_timeout={}, ", flow.hard_timeout)?;
    }
    for (_, name) in crate::FlowFlags::NAMES.iter().filter(|(flag, _)| flow.flags.contains(*flag)) {
        write!(out, "{name} ")?;
    }
    let with_priority = flow.priority != 0x8000;
    if with_priority {
        write!(out, "priority={}", flow.priority)?;
    }
    if !flow.matches.is_empty() {
        out.write_str(if with_priority { "," } else { "" })?;
        print_match::write_match(out, &flow.matches, names)?;
    }
    out.write_str(if with_priority || !flow.matches.is_empty() { " actions=" } else { "actions=" })?;
    print_action::write_actions(out, &flow.actions, names)
}

impl fmt::Display for Flow {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_flow(out, self, &())
    }
}

impl fmt::Display for Match {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        print_match::write_match(out, self, &())
    }
}

impl fmt::Display for Action {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        print_action::write_action(out, self, &())
    }
}

// Snapshots and test failures are read by people: the notation they know says more than nested structures.
impl fmt::Debug for Flow {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl fmt::Debug for Match {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}
