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
    /// A copy went to the agent, which writes it down.
    Reported,
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

/// All that happened to a packet, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trace<'a> {
    /// In order.
    pub steps: Vec<Step<'a>>,
    /// Names of ports by bridge and number, to show flows with.
    pub(crate) names: BTreeMap<(&'a str, u32), String>,
}

impl<'a> Trace<'a> {
    /// Where it left.
    pub fn exits(&self) -> impl Iterator<Item = &Exit> {
        self.steps.iter().filter_map(|step| match step {
            Step::Out(exit) => Some(exit),
            _ => None,
        })
    }

    /// Whether it left nowhere.
    pub fn is_dropped(&self) -> bool {
        self.exits().next().is_none()
    }

    /// Whether a copy of it leaves by this port.
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
        self.steps.iter().filter_map(|step| match step {
            Step::NotModelled(what) => Some(what.as_str()),
            _ => None,
        })
    }
}

impl fmt::Display for Trace<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            match step {
                Step::In { bridge, port, packet } => writeln!(out, "{bridge}: in by {port}: {packet}")?,
                Step::Flow { bridge, flow, conjunction, registers } => {
                    let name = |port: openflow::PortNo| self.names.get(&(*bridge, port.0)).cloned();
                    let shown = text::print_flow(&(*flow).clone().cookie(0), &name);
                    writeln!(out, "  {:>3}. {shown}", flow.table)?;
                    if !registers.is_empty() {
                        writeln!(out, "       with {registers}")?;
                    }
                    for clause in conjunction.iter().flat_map(|(_, clauses)| clauses) {
                        writeln!(out, "       clause {}", text::print_flow(&(*clause).clone().cookie(0), &name))?;
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
                Step::Reported => writeln!(out, "       logged")?,
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
