//! What the hosts have realised becomes `status` of ports, floating IPs and trunks.
//!
//! `of_port`, `of_floating_ip` and `of_trunk` decide, purely; `write` is the unit of work.

use crate::published::Published;
use crate::row::{FloatingIpRow, PortRow, TrunkRow};
use crate::topology::Topology;
use crate::{distributed, election};
use host_view::PortState;
use net_types::{FloatingIpId, PortId, TrunkId};
use network_model::device_owner;
use network_store::{NetworkError, Work, port, trunk};
use std::collections::{BTreeMap, BTreeSet};
use store::{Operation, params};

/// `ACTIVE` or `DOWN`, as a port's or floating IP's row should say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Realised.
    Active,
    /// Not (any more).
    Down,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Down => "DOWN",
        }
    }
}

/// What a port's status should be, if the hosts' word makes it another one than its row has.
///
/// ACTIVE needs everything that must be realised for it: its own host's device and flows and, where DHCP serves its
/// addresses, the servers that are to answer it. A server on a host that is not there (`is_alive`) is not waited for.
pub fn of_port(
    topology: &Topology,
    hosts: &BTreeMap<String, Published>,
    is_alive: impl Fn(&str) -> bool,
    id: &PortId,
    row: &PortRow,
) -> Option<Status> {
    let state = row.host.as_ref().and_then(|host| hosts.get(host)).and_then(|host| host.port_state(id));
    match state {
        Some(PortState::Up) if row.admin_state_up => {
            let served = row.device_owner != device_owner::DHCP
                && row.fixed_ips.iter().any(|f| topology.subnet(&f.subnet).is_some_and(|subnet| subnet.enable_dhcp));
            let waits = served
                && topology.dhcp_hosts(&row.network).any(|host| {
                    is_alive(host) && hosts.get(host).is_some_and(|host| host.has_session() && !host.answers_dhcp(id))
                });
            (!row.active && !waits).then_some(Status::Active)
        }
        Some(_) => row.active.then_some(Status::Down),
        None if row.host.is_none() => row.active.then_some(Status::Down),
        // Its host has not spoken yet: what was true stays true.
        None => None,
    }
}

/// What is new of a port on the hosts that it may move to: which host, and whether it is wired there.
pub fn of_moving(
    hosts: &BTreeMap<String, Published>,
    id: &PortId,
    row: &PortRow,
) -> impl Iterator<Item = (String, bool)> {
    row.moving_to.iter().filter_map(|host| {
        let wired = *hosts.get(host)?.port_state(id)? == PortState::Up;
        (wired != row.wired_on.contains(host)).then(|| (host.clone(), wired))
    })
}

/// What a floating IP's status should be, if another one than its row has.
pub fn of_floating_ip(
    topology: &Topology,
    hosts: &BTreeMap<String, Published>,
    id: &FloatingIpId,
    row: &FloatingIpRow,
) -> Option<Status> {
    let Some(router) = row.router else { return row.active.then_some(Status::Down) };
    let realised = election::hosts(topology, &router)
        .filter(|host| topology.is_active_on(&router, host))
        .chain(distributed::copies(topology, &router))
        .filter_map(|host| hosts.get(host))
        .any(|host| {
            host.has_router(&router)
                && host.view().routers.get(&router).is_some_and(|view| {
                    let forwarded = |id| view.port_forwardings.values().any(|forwarding| forwarding.floating_ip == id);
                    view.floating_ips.contains_key(id) || forwarded(*id)
                })
        });
    (realised && !row.active).then_some(Status::Active)
}

/// What a trunk's status should be, if another one than its row has: ACTIVE with all of its subports, DEGRADED while one of
/// them is not realised, DOWN while its parent is not.
pub fn of_trunk(topology: &Topology, hosts: &BTreeMap<String, Published>, row: &TrunkRow) -> Option<&'static str> {
    let parent = row.trunk.parent;
    let host = topology.port(&parent).and_then(|port| port.host.as_ref());
    // Its host has not spoken yet: what was true stays true.
    if host.and_then(|host| hosts.get(host)).is_some_and(|host| !host.has_session()) {
        return None;
    }
    let is_up = |id: &PortId| {
        let state = host.and_then(|host| hosts.get(host)).and_then(|host| host.port_state(id));
        state == Some(&PortState::Up)
    };
    // A port that is switched off keeps no trunk down.
    let is_off = |id: &&PortId| topology.port(id).is_some_and(|port| !port.admin_state_up);
    let status = if !is_up(&parent) {
        "DOWN"
    } else if row.trunk.subports.keys().filter(|id| !is_off(id)).all(is_up) {
        "ACTIVE"
    } else {
        "DEGRADED"
    };
    (row.status != status).then_some(status)
}

/// Writes the new statuses; each is a change that clients see. A row that has gone meanwhile needs none.
pub fn write(
    work: &Work<'_>,
    ports: &[(PortId, Status)],
    floating_ips: &[(FloatingIpId, Status)],
    trunks: &[(TrunkId, &'static str)],
    moving: &[(PortId, String, bool)],
) -> Result<(), NetworkError> {
    for (id, status) in ports {
        port::set_status(work, *id, status.as_str())?;
    }
    for (id, host, wired) in moving {
        port::bindings::set_wired(work, *id, host, *wired)?;
    }
    for (id, status) in trunks {
        trunk::set_status(work, *id, status)?;
    }
    for (id, status) in floating_ips {
        let changed = work.tx.execute(
            "UPDATE floating_ips SET status = ?2 WHERE id = ?1 AND status <> ?2 AND (?2 = 'DOWN' OR router_id IS NOT NULL)",
            params![id.0, status.as_str()],
        )?;
        if changed > 0 {
            work.touch("floating_ips", id.0)?;
            work.log("floatingip", id, Operation::Update, None)?;
        }
    }
    Ok(())
}

/// Ports, floating IPs and trunks whose status may have to change; kept until it has been looked at.
#[derive(Debug, Default)]
pub struct Dirty {
    /// Ports.
    pub ports: BTreeSet<PortId>,
    /// Floating IPs.
    pub floating_ips: BTreeSet<FloatingIpId>,
    /// Trunks.
    pub trunks: BTreeSet<TrunkId>,
}
