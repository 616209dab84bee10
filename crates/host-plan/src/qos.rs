//! Limits and marks of ports: tables 58 and 59 of the integration bridge, and its meters.
//!
//! ```text
//!  0  4 IP from a marked port: its DSCP mark, 58
//! 58 10 from a limited port (reg5 is still 0): meter of its packets a second, 59      59 10 meter of its bandwidth, 60
//!    10 to a limited port (reg5 is it):         meter of its packets a second, 59         10 meter of its bandwidth, 81 or out
//! ```
//! What is delivered to a limited port (tables 60, 73 and 94) makes a detour by 58, with the receiver in `reg5`: so packets from
//! ports on the same host are counted as well. Broadcast and multicast reach ports by NORMAL and are not counted, as in Neutron.
//!
//! In: [`PortQos`] of wired ports. Out: flows, and meters whose numbers follow from the port's OpenFlow number: 0x4000 + 4 x
//! number + 0 packets from, 1 bandwidth from, 2 packets to, 3 bandwidth to the port. Numbers from 0x4000 are ours; others are
//! somebody else's. Meters drop what exceeds a rate, on either datapath: `ingress_policing_rate` and queues do not exist on one
//! of them or take no effect. The rates that a policy guarantees are not enforced here.

use crate::flow_set::FlowSet;
use crate::integration_bridge::{INGRESS, REG_PORT, TRANSIENT};
use crate::wiring::{WiredPort, Wiring};
use host_view::{Limit, Limits, PortQos};
use net_types::PortId;
use openflow::{Action, Field, Match, Meter};
use std::collections::BTreeMap;

pub(crate) const PACKET_RATE: u8 = 58;
pub(crate) const BANDWIDTH: u8 = 59;

/// Meters from here on are ours.
pub(crate) const FIRST_METER: u32 = 0x4000;
/// Of what is logged: no port has the OpenFlow number 0.
pub(crate) const LOG_METER: u32 = FIRST_METER;
/// Open vSwitch's userspace datapath has no higher numbers.
const LAST_METER: u32 = 0xffff;

/// A port's limits and marks, if it has any.
fn of<'a>(wiring: &Wiring<'a>, id: &PortId) -> Option<&'a PortQos> {
    wiring.view.qos.get(id)
}

/// The table in which what is for this port's ingress rules goes on.
pub(crate) fn ingress_table(port: &WiredPort<'_>) -> u8 {
    if port.limited { PACKET_RATE } else { INGRESS }
}

/// Out by a port without ingress rules.
pub(crate) fn deliver(port: &WiredPort<'_>) -> Vec<Action> {
    match port.limited {
        true => vec![Action::set(REG_PORT, port.ofport), Action::resubmit(PACKET_RATE)],
        false => vec![Action::output(port.ofport)],
    }
}

/// Whether what goes to a port is limited.
pub(crate) fn is_limited(qos: Option<&PortQos>) -> bool {
    qos.is_some_and(|qos| qos.ingress != Limits::default())
}

/// The meter of one limit of a port; none: there is no number for it.
fn number(ofport: u32, which: u32) -> Option<u32> {
    ofport.checked_mul(4)?.checked_add(FIRST_METER + which).filter(|number| *number <= LAST_METER)
}

/// The OpenFlow number of the port that one of our meters limits; none: it limits logs.
pub fn limited_port(meter: u32) -> Option<u32> {
    Some(meter.checked_sub(FIRST_METER)? / 4).filter(|ofport| *ofport > 0)
}

/// Without a burst, a fifth less than a second's worth: Neutron's measure for TCP.
fn meter(packets: bool, limit: Limit) -> Meter {
    let usual = if packets { limit.rate } else { limit.rate - limit.rate / 5 };
    let burst = if limit.burst == 0 { usual } else { limit.burst };
    Meter { packets, rate: limit.rate, burst: burst.max(1) }
}

/// Adds the flows of limited and marked ports.
pub(crate) fn plan(flows: &mut FlowSet, wiring: &Wiring<'_>) {
    for (id, port) in &wiring.ports {
        let Some(qos) = of(wiring, id) else { continue };
        let from = || Match::new().in_port(port.ofport);
        if let Some(mark) = qos.dscp {
            for family in [from().ip(), from().ipv6()] {
                flows.add(0, 4, family, [Action::set(Field::IpDscp, mark), Action::goto(PACKET_RATE)]);
            }
        }
        let measure = |limit: Option<Limit>, which| {
            let number = limit.and_then(|_| number(port.ofport, which));
            number.map(Action::Meter)
        };
        let sender = || from().reg(REG_PORT, 0);
        if let Some(meter) = measure(qos.egress.packets, 0) {
            flows.add(PACKET_RATE, 10, sender(), [meter, Action::goto(BANDWIDTH)]);
        }
        if let Some(meter) = measure(qos.egress.bandwidth, 1) {
            flows.add(BANDWIDTH, 10, sender(), [meter, Action::goto(TRANSIENT)]);
        }
        if port.limited {
            let receiver = || Match::new().reg(REG_PORT, port.ofport);
            if let Some(meter) = measure(qos.ingress.packets, 2) {
                flows.add(PACKET_RATE, 10, receiver(), [meter, Action::goto(BANDWIDTH)]);
            }
            let next = if port.is_secured() { Action::goto(INGRESS) } else { Action::output(port.ofport) };
            flows.add(BANDWIDTH, 10, receiver(), measure(qos.ingress.bandwidth, 3).into_iter().chain([next]));
        }
    }
}

/// The meters of the integration bridge, and which limits there is no number for.
pub(crate) fn meters(wiring: &Wiring<'_>) -> (BTreeMap<u32, Meter>, Vec<String>) {
    let (mut meters, mut errors) = (BTreeMap::new(), Vec::new());
    for (id, port) in &wiring.ports {
        let Some(qos) = of(wiring, id) else { continue };
        let limits = [qos.egress.packets, qos.egress.bandwidth, qos.ingress.packets, qos.ingress.bandwidth];
        for (which, limit) in (0u32..).zip(limits) {
            let Some(limit) = limit else { continue };
            match number(port.ofport, which) {
                Some(number) => drop(meters.insert(number, meter(which % 2 == 0, limit))),
                None => errors.push(format!("port {id}: the switch has no meter for its limits")),
            }
        }
    }
    (meters, errors)
}
