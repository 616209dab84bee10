//! What happened to a packet, for programs and for people.

use crate::Packet;
use openflow::{Flow, text};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<'a> {
    /// Into a bridge, by a port.
    In {
        /// The bridge.
        bridge: &'a str,
        /// The port's name.
        port: String,
        /// The packet as it comes in.
        packet: Box<Packet>,
    },
    /// A flow decided.
    Flow {
        /// The bridge that it is in.
        bridge: &'a str,
        /// The flow.
        flow: &'a Flow,
        /// The conjunction that the packet completes and its clauses, when that is why.
        conjunction: Option<(u32, Vec<&'a Flow>)>,
        /// Registers, tunnel key and connection state as the flow saw them.
        registers: openflow::Match,
    },
    /// A table without a flow for the packet: dropped.
    Miss {
        /// The bridge.
        bridge: &'a str,
        /// The table.
        table: u8,
    },
    /// The connection tracker was asked; the packet goes on as it answered.
    Tracked {
        /// The zone.
        zone: u16,
        /// What it said.
        tracked: crate::Tracked,
        /// Where the packet goes on.
        table: u8,
    },
    /// The connection was remembered.
    Committed {
        /// The zone.
        zone: u16,
        /// The mark that it was given.
        mark: Option<u32>,
    },
    /// The switch gave it other addresses.
    Translated(Box<Packet>),
    /// A copy went to the agent, which writes it down as the entry of [`HostPlan::logged`](host_plan::HostPlan) with this
    /// number says.
    Reported {
        /// The number.
        number: u32,
    },
    /// A mirror of the bridge sent a copy of the packet as it then was on a way of its own.
    Copied(Copied<'a>),
    /// A flow was learned.
    Learned {
        /// The table that it goes into.
        table: u8,
    },
    /// Something happened in a namespace.
    Room {
        /// The namespace.
        namespace: String,
        /// What.
        what: String,
    },
    /// NORMAL chose, or refused, and why.
    Normal(String),
    /// Left by a port.
    Out(Exit),
    /// An action that is not modelled: the rest of the trace may be wrong.
    NotModelled(String),
}

/// A copy of a packet that a mirror made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied<'a> {
    /// The bridge.
    pub bridge: &'a str,
    /// The mirror's name.
    pub mirror: &'a str,
    /// What happened to the copy, in order; other mirrors may have copied it in turn.
    pub steps: Vec<Step<'a>>,
}

impl Copied<'_> {
    /// Where it left; not where copies of it did.
    pub fn exits(&self) -> impl Iterator<Item = &Exit> {
        exits(&self.steps)
    }
}

/// Where a packet, or a copy of it, left the switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// The bridge.
    pub bridge: String,
    /// The port's name.
    pub port: String,
    /// Of a tunnel: who is at the other end, and with which key (VNI) it is sent there.
    pub tunnel: Option<(IpAddr, u64)>,
    /// The packet as it leaves.
    pub packet: Packet,
}

impl Exit {
    /// A trunk's bridge floods to its own port as well, and nobody is there.
    pub fn is_to_nobody(&self) -> bool {
        self.port == self.bridge && self.bridge.starts_with("tbr-")
    }
}

/// All that happened to a packet, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trace<'a> {
    /// In order.
    pub steps: Vec<Step<'a>>,
    /// Names of ports by bridge and number, to show flows with.
    pub(crate) names: BTreeMap<(&'a str, u32), String>,
}

impl<'a> Trace<'a> {
    /// Where it left; not where mirrors sent copies.
    pub fn exits(&self) -> impl Iterator<Item = &Exit> {
        exits(&self.steps)
    }

    /// What mirrors made of it, and of copies of it, in order.
    pub fn copies(&self) -> Vec<&Copied<'a>> {
        let copies = self.all_steps().into_iter().filter_map(|step| match step {
            Step::Copied(copied) => Some(copied),
            _ => None,
        });
        copies.collect()
    }

    /// As what it was written down: numbers of [`HostPlan::logged`](host_plan::HostPlan), in order.
    pub fn logged(&self) -> Vec<u32> {
        let numbers = self.all_steps().into_iter().filter_map(|step| match step {
            Step::Reported { number } => Some(*number),
            _ => None,
        });
        numbers.collect()
    }

    /// What happened to the packet and to its copies, in the order in which the switch does it.
    pub fn all_steps(&self) -> Vec<&Step<'a>> {
        let mut found = vec![];
        flatten(&self.steps, &mut found);
        found
    }

    /// Whether it left nowhere itself.
    pub fn is_dropped(&self) -> bool {
        self.exits().all(Exit::is_to_nobody)
    }

    /// Whether it leaves by this port, be it among others.
    pub fn reaches(&self, port: &str) -> bool {
        self.exits().any(|exit| exit.port == port)
    }

    /// Flows that decided, in order.
    pub fn flows(&self) -> impl Iterator<Item = &'a Flow> + '_ {
        self.steps.iter().filter_map(|step| match step {
            Step::Flow { flow, .. } => Some(*flow),
            _ => None,
        })
    }

    /// The flow that a packet ended at that left nowhere: the last one that sent it to where it was dropped.
    pub fn dropped_by(&self) -> Option<&'a Flow> {
        if !self.is_dropped() {
            return None;
        }
        let flows: Vec<_> = self.flows().collect();
        let speaks = flows.iter().rev().find(|flow| flow.table != host_plan::DROPPED_TABLE);
        speaks.or(flows.last()).copied()
    }

    /// What was met that is not modelled.
    pub fn not_modelled(&self) -> impl Iterator<Item = &str> {
        self.all_steps().into_iter().filter_map(|step| match step {
            Step::NotModelled(what) => Some(what.as_str()),
            _ => None,
        })
    }
}

fn exits<'s>(steps: &'s [Step<'_>]) -> impl Iterator<Item = &'s Exit> {
    steps.iter().filter_map(|step| match step {
        Step::Out(exit) => Some(exit),
        _ => None,
    })
}

fn flatten<'s, 'a>(steps: &'s [Step<'a>], into: &mut Vec<&'s Step<'a>>) {
    for step in steps {
        into.push(step);
        if let Step::Copied(copied) = step {
            flatten(&copied.steps, into);
        }
    }
}

impl fmt::Display for Trace<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.show(out, &self.steps, 0)
    }
}

impl Trace<'_> {
    /// Copies stand further to the right than what they are of.
    fn show(&self, out: &mut fmt::Formatter<'_>, steps: &[Step<'_>], depth: usize) -> fmt::Result {
        for step in steps {
            write!(out, "{:1$}", "", 8 * depth)?;
            match step {
                Step::In { bridge, port, packet } => writeln!(out, "{bridge}: in by {port}: {packet}")?,
                Step::Flow { bridge, flow, conjunction, registers } => {
                    let name = |port: openflow::PortNo| self.names.get(&(*bridge, port.0)).cloned();
                    let shown = text::print_flow(&(*flow).clone().cookie(0), &name);
                    writeln!(out, "  {:>3}. {shown}", flow.table)?;
                    if !registers.is_empty() {
                        writeln!(out, "{:1$}       with {registers}", "", 8 * depth)?;
                    }
                    for clause in conjunction.iter().flat_map(|(_, clauses)| clauses) {
                        let shown = text::print_flow(&(*clause).clone().cookie(0), &name);
                        writeln!(out, "{:1$}       clause {shown}", "", 8 * depth)?;
                    }
                }
                Step::Miss { table, .. } => writeln!(out, "  {table:>3}. no flow: dropped")?,
                Step::Tracked { zone, tracked, table } => {
                    let state = openflow::Match::new()
                        .field(openflow::Field::CtState, openflow::Masked::exact(tracked.state & 0xff));
                    writeln!(out, "       tracked in zone {zone}: {state}, on in {table}")?;
                }
                Step::Committed { zone, mark: None } => writeln!(out, "       remembered in zone {zone}")?,
                Step::Committed { zone, mark: Some(mark) } => writeln!(out, "       marked {mark} in zone {zone}")?,
                Step::Translated(packet) => writeln!(out, "       translated: {packet}")?,
                Step::Reported { number } => writeln!(out, "       logged, as entry {number:#x}")?,
                Step::Copied(Copied { bridge, mirror, steps }) => {
                    writeln!(out, "       copied by mirror {mirror} of {bridge}:")?;
                    self.show(out, steps, depth + 1)?;
                }
                Step::Learned { table } => writeln!(out, "       learns the sender into {table}")?,
                Step::Room { namespace, what } => writeln!(out, "       {namespace}: {what}")?,
                Step::Normal(what) => writeln!(out, "       NORMAL: {what}")?,
                Step::Out(Exit { bridge, port, tunnel: None, packet }) => match packet.vlan() {
                    Some(vlan) => writeln!(out, "       out of {bridge} by {port}, VLAN {vlan}")?,
                    None => writeln!(out, "       out of {bridge} by {port}")?,
                },
                Step::Out(Exit { bridge, port, tunnel: Some((peer, key)), .. }) => {
                    writeln!(out, "       out of {bridge} by {port} to {peer}, key {key}")?;
                }
                Step::NotModelled(what) => writeln!(out, "       {what}: not modelled")?,
            }
        }
        Ok(())
    }
}
