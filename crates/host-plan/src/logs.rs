//! Logs of security groups: flows that send a copy of what is accepted or refused to the agent, which writes it down.
//!
//! ```text
//! 73  108 from the port, first packet (all until the first answer) of a connection that its groups let out   log (reg11 bit 0), 73 again
//!     109 likewise, by a rule of the group that the log is about
//! 92    5 to the port, first packet of a connection that its groups let in      log (reg11 bit 1), 92 again
//!       6 likewise, by a rule of the group that the log is about
//! 93   53 from or to the port: refused, whatever for                            log
//! ```
//! "Log" is `controller(meter_id=0x4000)`: the meter drops copies beyond the rate that the operator allows, before they reach the
//! switch's own process, and never the packet. The lower half of such a flow's cookie says which entry of
//! [`HostPlan::logged`](crate::HostPlan) it is for. No other flow changes because of a log: a bit of reg11 says that a packet has
//! passed it.
//!
//! In: [`Log`](host_view::Log)s of the view, wired ports with rules. Out: flows, a meter, what the cookies mean. Where a port has other
//! groups than the one that a log is about, what is accepted is told by that group's rules. Stateless groups know no
//! connections, so of what they accept nothing is logged.

use crate::HostConfig;
use crate::firewall::{RuleSets, accepted_by};
use crate::flow_set::FlowSet;
use crate::ids;
use crate::integration_bridge::{ACCEPT_OR_INGRESS, ACCEPTED_INGRESS, DROPPED, REG_LOGGED, REG_PORT};
use crate::qos::LOG_METER;
use crate::wiring::{WiredPort, Wiring};
use host_view::{Direction, Log, LogEvent};
use net_types::PortId;
use openflow::ct_state::{EST, NEW};
use openflow::{Action, Masked, Match, Meter, SubField};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// What is written down of a packet, beside the packet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Logged {
    /// Whose packet it is.
    pub port: PortId,
    /// Whether it was accepted, or refused.
    pub accepted: bool,
    /// The project of the logs.
    pub project: String,
    /// The logs that want it.
    pub logs: BTreeSet<Uuid>,
}

/// How much is logged of all ports together; Neutron's `[network_log]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLimits {
    /// Packets a second.
    pub rate: u32,
    /// Packets at once.
    pub burst: u32,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { rate: 100, burst: 25 }
    }
}

/// Where and which packets are logged.
type Place = (u8, u16, Match);

/// All that is planned of logs.
#[derive(Default)]
pub(crate) struct Logs {
    flows: BTreeMap<Place, u32>,
    /// By number, which is the lower half of cookies.
    pub logged: BTreeMap<u32, Logged>,
}

impl Logs {
    /// Plans all logs.
    pub fn new(wiring: &Wiring<'_>, rule_sets: &RuleSets) -> Self {
        let mut of_port: BTreeMap<PortId, Vec<(Uuid, &Log)>> = BTreeMap::new();
        for (id, log) in &wiring.view.logs {
            log.ports.iter().for_each(|port| of_port.entry(*port).or_default().push((*id, log)));
        }
        let mut wanted: BTreeMap<Place, Logged> = BTreeMap::new();
        for (id, logs) in of_port {
            if let Some(port) = wiring.ports.get(&id).filter(|port| port.is_secured()) {
                of(wiring, rule_sets, id, port, &logs, &mut wanted);
            }
        }
        let wish = |logged: &Logged| ids::hash(format!("{logged:?}").as_bytes());
        let numbers = ids::assign(wanted.values().map(|logged| (logged, wish(logged))));
        Self {
            flows: wanted.iter().filter_map(|(place, logged)| Some((place.clone(), *numbers.get(logged)?))).collect(),
            logged: numbers.into_iter().map(|(logged, number)| (number, logged.clone())).collect(),
        }
    }

    /// The meter, if anything is logged.
    pub fn meter(&self, config: &HostConfig) -> Option<(u32, Meter)> {
        let LogLimits { rate, burst } = config.network_log;
        (!self.logged.is_empty()).then_some((LOG_METER, Meter { packets: true, rate, burst }))
    }

    /// Adds the flows.
    pub fn plan(&self, flows: &mut FlowSet) {
        for ((table, priority, matches), number) in &self.flows {
            flows.add_numbered(*table, *priority, matches.clone(), log(*table), *number);
        }
    }
}

/// What is logged in a table of the accepted goes on there.
fn log(table: u8) -> Vec<Action> {
    let copy = Action::ControllerMetered(LOG_METER);
    match table {
        ACCEPT_OR_INGRESS => vec![passed(0, 1), copy, Action::resubmit(table)],
        // Another port with the same MAC may be served afterwards.
        ACCEPTED_INGRESS => vec![passed(1, 1), copy, Action::resubmit(table), passed(1, 0)],
        _ => vec![copy],
    }
}

/// Notes that a packet has passed one side's log.
fn passed(bit: u16, value: u64) -> Action {
    Action::load(value, SubField::bits(REG_LOGGED, bit, bit))
}

/// Where the first packet of a connection of a port is when it is accepted, and the priority of what logs it.
fn accepted(direction: Direction, port: &WiredPort<'_>, packets: Match) -> (u8, u16, Match) {
    let (table, priority, bit) = match direction {
        Direction::Egress => (ACCEPT_OR_INGRESS, 108, 1),
        Direction::Ingress => (ACCEPTED_INGRESS, 5, 2),
    };
    let first = packets.reg(REG_PORT, port.ofport).ct_state(NEW - EST);
    (table, priority, first.field(REG_LOGGED, Masked::new(0, bit)))
}

fn of(
    wiring: &Wiring<'_>,
    rule_sets: &RuleSets,
    id: PortId,
    port: &WiredPort<'_>,
    logs: &[(Uuid, &Log)],
    wanted: &mut BTreeMap<Place, Logged>,
) {
    let mut want = |place: Place, log: &(Uuid, &Log), accepted: bool| {
        let new = || Logged { port: id, accepted, project: log.1.project.clone(), logs: BTreeSet::new() };
        wanted.entry(place).or_insert_with(new).logs.insert(log.0);
    };
    let is_whole = |log: &Log| log.group.is_none_or(|group| port.port.security_groups.iter().eq([&group]));
    let about = |event: fn(LogEvent) -> bool| logs.iter().filter(move |(_, log)| event(log.event));
    for log in about(LogEvent::is_drop) {
        want((DROPPED, 53, Match::new().reg(REG_PORT, port.ofport)), log, false);
    }
    let (whole, partly): (Vec<_>, Vec<_>) = about(LogEvent::is_accept).partition(|(_, log)| is_whole(log));
    for direction in [Direction::Egress, Direction::Ingress] {
        for log in &whole {
            for family in [Match::new().ip(), Match::new().ipv6()] {
                want(accepted(direction, port, family), log, true);
            }
        }
    }
    for log in &partly {
        let group = log.1.group.and_then(|group| wiring.view.security_groups.get(&group));
        for rule in group.into_iter().flat_map(|group| group.rules.values()) {
            for packets in accepted_by(rule, rule_sets, port.port) {
                let (table, priority, packets) = accepted(rule.direction, port, packets);
                for log in whole.iter().chain([log]) {
                    want((table, priority + 1, packets.clone()), log, true);
                }
            }
        }
    }
}
