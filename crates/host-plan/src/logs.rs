//! Logs of security groups: flows that send a copy of what is accepted or refused to the agent, which writes it down.
//!
//! ```text
//! 73  108 from the port, first packet (all until the first answer) of a connection that its groups let out   log (reg11 bit 0), 73 again
//!     109 likewise, by a rule of the group that the log is about                log (reg11 bit 1 to 15), 73 again
//! 92    5 to the port, first packet of a connection that its groups let in      log (reg11 bit 16), 92 again
//!       6 likewise, by a rule of the group that the log is about                log (reg11 bit 17 to 31), 92 again
//! 93   53 from or to the port: refused, whatever for                            log
//! ```
//! "Log" is `controller(meter_id=0x4000)`: the meter drops copies beyond the rate that the operator allows, before they reach the
//! switch's own process, and never the packet. The lower half of such a flow's cookie says which entry of
//! [`HostPlan::logged`](crate::HostPlan) it is for. No other flow changes because of a log: a bit of reg11 says that a packet has
//! passed it. Each group of a port has a bit of its own, for rules of several may accept the same packet.
//!
//! In: [`Log`](host_view::Log)s of the view, wired ports with rules. Out: flows, a meter, what the cookies mean. Where a port has other
//! groups than the one that a log is about, what is accepted is told by that group's rules; of those with a remote group only what
//! no other rule has accepted before. Stateless groups know no connections, so of what they accept nothing is logged. A port has
//! bits for fifteen groups with logs of their own: of those beyond, a packet is told to one.

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

/// Bits of reg11 for each direction: one for logs of whole ports, the others for logs about one of several groups.
const BITS: u16 = 16;

/// Where and which packets are logged.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    table: u8,
    priority: u16,
    matches: Match,
    /// Of what goes on in the same table, the bit that says that it has been logged.
    bit: Option<u16>,
}

impl Place {
    /// Whatever a port may not send or get.
    fn refused(port: &WiredPort<'_>) -> Self {
        Self { table: DROPPED, priority: 53, matches: Match::new().reg(REG_PORT, port.ofport), bit: None }
    }

    /// Where the first packet of a connection of a port is when it is accepted; `group` counts the groups that have logs of
    /// their own, from one.
    fn accepted(direction: Direction, port: &WiredPort<'_>, packets: Match, group: u16) -> Self {
        let (table, priority, first) = match direction {
            Direction::Egress => (ACCEPT_OR_INGRESS, 108, 0),
            Direction::Ingress => (ACCEPTED_INGRESS, 5, BITS),
        };
        let bit = first + group.min(BITS - 1);
        let begun = packets.reg(REG_PORT, port.ofport).ct_state(NEW - EST);
        let matches = begun.field(REG_LOGGED, Masked::new(0, 1 << bit));
        Self { table, priority: priority + u16::from(group > 0), matches, bit: Some(bit) }
    }

    /// The copy to the agent; what is accepted goes on.
    fn actions(&self) -> Vec<Action> {
        let copy = Action::ControllerMetered(LOG_METER);
        let Some(bit) = self.bit else { return vec![copy] };
        let passed = |value| Action::load(value, SubField::bits(REG_LOGGED, bit, bit));
        let mut actions = vec![passed(1), copy, Action::resubmit(self.table)];
        if self.table == ACCEPTED_INGRESS {
            // Another port with the same MAC may be served afterwards.
            actions.push(passed(0));
        }
        actions
    }
}

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
        for (place, number) in &self.flows {
            flows.add_numbered(place.table, place.priority, place.matches.clone(), place.actions(), *number);
        }
    }
}

/// Places of one port's logs.
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
        want(Place::refused(port), log, false);
    }
    let (whole, partly): (Vec<_>, Vec<_>) = about(LogEvent::is_accept).partition(|(_, log)| is_whole(log));
    for direction in [Direction::Egress, Direction::Ingress] {
        for log in &whole {
            for family in [Match::new().ip(), Match::new().ipv6()] {
                want(Place::accepted(direction, port, family, 0), log, true);
            }
        }
    }
    let groups: BTreeSet<_> = partly.iter().filter_map(|(_, log)| log.group).collect();
    for (number, id) in (1..).zip(groups) {
        let group = wiring.view.security_groups.get(&id);
        for rule in group.into_iter().flat_map(|group| group.rules.values()) {
            for packets in accepted_by(rule, rule_sets, port.port) {
                for log in partly.iter().filter(|(_, log)| log.group == Some(id)) {
                    want(Place::accepted(rule.direction, port, packets.clone(), number), log, true);
                }
            }
        }
    }
}
