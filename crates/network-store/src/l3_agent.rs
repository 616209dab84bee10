//! Which L3 agents host a router: what the scheduler decides and what an administrator decides by hand end here.
//!
//! A router has one agent; a highly available one has several, of which one is `active` and forwards, while the others
//! stand by with a port each on the project's HA network. Every binding is a row of `l3_agent_routers`.

use crate::agent::{self, Agent, L3_AGENT};
use crate::port::{self, PortCreate, PortUpdate};
use crate::{NetworkError, Work, ha_network};
use net_types::{PortId, RouterId};
use network_model::{ModelError, device_owner};
use store::{Operation, params};
use uuid::Uuid;

/// The `device_owner`s of the ports by which a router forwards: they are where the router is active.
pub const FORWARDING_PORTS: [&str; 5] = [
    device_owner::ROUTER_INTERFACE,
    device_owner::ROUTER_GATEWAY,
    device_owner::HA_REPLICATED_INTERFACE,
    device_owner::DVR_INTERFACE,
    device_owner::ROUTER_SNAT,
];

/// What stands in an agent's `configurations` when it has copies of distributed routers and nothing else.
pub const ONLY_COPIES: &str = "%\"agent_mode\":\"dvr\"%";

/// Whether a router is highly available, and whose it is; that it is not there.
fn load(work: &Work<'_>, id: RouterId) -> Result<(bool, String), NetworkError> {
    let found = work.tx.query_opt("SELECT ha, project_id FROM routers WHERE id = ?1", params![id.0], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    found.ok_or_else(|| ModelError::RouterNotFound { router_id: id }.into())
}

/// Schedules a router to an agent by hand.
pub fn add_router(work: &Work<'_>, agent: Uuid, router: RouterId) -> Result<(), NetworkError> {
    let (ha, _) = load(work, router)?;
    let agent = agent::get(work.tx, agent)?;
    if agent.agent_type != L3_AGENT || !agent.admin_state_up {
        let message = format!("Agent {} is not a L3 Agent or has been disabled", agent.id);
        return Err(NetworkError::named("InvalidL3Agent", 404, message));
    }
    let only_copies = "SELECT 1 FROM agents WHERE id = ?1 AND configurations LIKE ?2";
    if work.tx.exists(only_copies, params![agent.id, ONLY_COPIES])? {
        let message = "Not allowed to manually assign a router to an agent in 'dvr' mode.".to_owned();
        return Err(NetworkError::named("DVRL3CannotAssignToDvrAgent", 409, message));
    }
    let bound: Vec<Uuid> =
        work.tx.query("SELECT agent_id FROM l3_agent_routers WHERE router_id = ?1", params![router.0], |row| {
            row.parse(0)
        })?;
    match bound.first() {
        _ if bound.contains(&agent.id) => Ok(()),
        Some(other) if !ha => {
            let message = format!("The router {router} has been already hosted by the L3 Agent {other}.");
            Err(NetworkError::named("RouterHostedByL3Agent", 409, message))
        }
        _ => bind(work, router, &agent),
    }
}

/// Takes a router off an agent by hand. Nobody but a change of the router, or a hand, schedules it again.
pub fn remove_router(work: &Work<'_>, agent: Uuid, router: RouterId) -> Result<(), NetworkError> {
    let agent = agent::get(work.tx, agent)?;
    load(work, router)?;
    work.tx.execute("UPDATE routers SET schedule_hold = 1 WHERE id = ?1", params![router.0])?;
    unbind(work, router, &agent)
}

/// Binds a router to one more agent. The first is the one that forwards.
pub fn bind(work: &Work<'_>, router: RouterId, agent: &Agent) -> Result<(), NetworkError> {
    let (ha, project) = load(work, router)?;
    let active = work
        .tx
        .exists("SELECT 1 FROM l3_agent_routers WHERE router_id = ?1 AND ha_state = 'active'", params![router.0])?;
    let state = match (ha, active) {
        (false, _) => None,
        (true, false) => Some("active"),
        (true, true) => Some("standby"),
    };
    work.tx.execute(
        "INSERT INTO l3_agent_routers (router_id, agent_id, ha_state, ha_priority)
         SELECT ?1, ?2, CAST(?3 AS TEXT), COALESCE(MAX(ha_priority), 0) + 1 FROM l3_agent_routers WHERE router_id = ?1",
        params![router.0, agent.id, state],
    )?;
    if ha {
        let owner = device_owner::ROUTER_HA_INTERFACE;
        let port = PortCreate::of_service(ha_network::ensure(work, &project)?, "", owner, &router.to_string());
        let (name, binding_host) = (format!("HA port project {project}"), Some(agent.host.clone()));
        port::create(work, PortCreate { name, binding_host, ..port })?;
    }
    if state != Some("standby") {
        place(work, router, &agent.host)?;
    }
    work.log("l3_agent_router", router, Operation::Update, None)
}

/// Ends a binding, if there is one. When the agent was the active one, an agent that stands by takes its place.
pub fn unbind(work: &Work<'_>, router: RouterId, agent: &Agent) -> Result<(), NetworkError> {
    let gone = work
        .tx
        .execute("DELETE FROM l3_agent_routers WHERE router_id = ?1 AND agent_id = ?2", params![router.0, agent.id])?;
    if gone == 0 {
        return Ok(());
    }
    let ha_ports: Vec<PortId> = work.tx.query(
        "SELECT id FROM ports WHERE device_id = ?1 AND device_owner = ?2 AND binding_host = ?3",
        params![router.to_string(), device_owner::ROUTER_HA_INTERFACE, &agent.host],
        |row| row.parse(0),
    )?;
    ha_ports.into_iter().try_for_each(|port| port::remove(work, port))?;
    let standby: Option<(Uuid, String)> = work.tx.query_opt(
        "SELECT a.id, a.host FROM l3_agent_routers b JOIN agents a ON a.id = b.agent_id
         WHERE b.router_id = ?1 AND b.ha_state = 'standby'
             AND NOT EXISTS (SELECT 1 FROM l3_agent_routers x WHERE x.router_id = b.router_id AND x.ha_state = 'active')
         ORDER BY a.heartbeat_timestamp DESC, a.host LIMIT 1",
        params![router.0],
        |row| Ok((row.parse(0)?, row.get(1)?)),
    )?;
    if let Some((next, host)) = standby {
        activate(work, router, next, &host)?;
    }
    work.log("l3_agent_router", router, Operation::Update, None)
}

/// Ends all bindings of a router that turns into another kind.
pub(crate) fn unbind_all(work: &Work<'_>, router: RouterId) -> Result<(), NetworkError> {
    work.tx.execute("DELETE FROM l3_agent_routers WHERE router_id = ?1", params![router.0])?;
    work.log("l3_agent_router", router, Operation::Update, None)
}

/// Makes one of the agents of a highly available router the active one.
pub fn activate(work: &Work<'_>, router: RouterId, agent: Uuid, host: &str) -> Result<(), NetworkError> {
    work.tx.execute(
        "UPDATE l3_agent_routers SET ha_state = CASE WHEN agent_id = ?2 THEN 'active' ELSE 'standby' END WHERE router_id = ?1",
        params![router.0, agent],
    )?;
    place(work, router, host)?;
    work.log("l3_agent_router", router, Operation::Update, None)
}

/// Notes that one of the agents of a highly available router is not the active one. Its ports stay where they are until
/// another one is.
pub fn stand_by(work: &Work<'_>, router: RouterId, agent: Uuid) -> Result<(), NetworkError> {
    work.tx.execute(
        "UPDATE l3_agent_routers SET ha_state = 'standby' WHERE router_id = ?1 AND agent_id = ?2",
        params![router.0, agent],
    )?;
    work.log("l3_agent_router", router, Operation::Update, None)
}

/// Binds the ports by which a router forwards to the host where it does.
pub fn place(work: &Work<'_>, router: RouterId, host: &str) -> Result<(), NetworkError> {
    let [a, b, c, d, e] = FORWARDING_PORTS;
    let elsewhere: Vec<PortId> = work.tx.query(
        "SELECT id FROM ports WHERE device_id = ?1 AND device_owner IN (?2, ?3, ?4, ?5, ?6) AND binding_host <> ?7 ORDER BY id",
        params![router.to_string(), a, b, c, d, e, host],
        |row| row.parse(0),
    )?;
    for port in elsewhere {
        let binding_host = Some(Some(host.to_owned()));
        port::update(work, port, PortUpdate { binding_host, ..PortUpdate::default() })?;
    }
    Ok(())
}
