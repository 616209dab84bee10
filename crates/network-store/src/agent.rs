//! What requests on agents do. Agents register and report by the host feed.

use crate::request::nullable;
use crate::{NetworkError, Work};
use serde::Deserialize;
use serde_json::json;
use store::{Operation, Snapshot, params};
use uuid::Uuid;

/// A checked PUT body: what it does not have stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct AgentUpdate {
    pub admin_state_up: Option<bool>,
    #[serde(deserialize_with = "nullable")]
    pub description: Option<Option<String>>,
}

/// `agent_type` of DHCP agents.
pub const DHCP_AGENT: &str = "DHCP agent";
/// `agent_type` of L3 agents.
pub const L3_AGENT: &str = "L3 agent";

/// What rules ask of an agent.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // Its columns.
pub struct Agent {
    pub id: Uuid,
    pub agent_type: String,
    pub host: String,
    pub admin_state_up: bool,
}

/// The agent, or that it is not there.
pub fn get(snapshot: &Snapshot<'_>, id: Uuid) -> Result<Agent, NetworkError> {
    let found = snapshot.query_opt(
        "SELECT agent_type, host, admin_state_up FROM agents WHERE id = ?1",
        params![id],
        |row| Ok(Agent { id, agent_type: row.get(0)?, host: row.get(1)?, admin_state_up: row.get(2)? }),
    )?;
    found.ok_or_else(|| NetworkError::named("AgentNotFound", 404, format!("Agent {id} could not be found.")))
}

/// What is to be scheduled to a zone needs an agent there that is switched on.
pub fn check_zone(snapshot: &Snapshot<'_>, agent_type: &str, zone: &str) -> Result<(), NetworkError> {
    let known = snapshot.exists(
        "SELECT 1 FROM agents WHERE availability_zone = ?1 AND agent_type = ?2 AND admin_state_up = 1",
        params![zone, agent_type],
    )?;
    if known {
        return Ok(());
    }
    Err(NetworkError::named("AvailabilityZoneNotFound", 404, format!("AvailabilityZone {zone} could not be found.")))
}

/// Switches an agent, or describes it.
pub fn update(work: &Work<'_>, id: Uuid, request: AgentUpdate) -> Result<(), NetworkError> {
    let Agent { host, .. } = get(work.tx, id)?;
    work.set("agents", id, "admin_state_up", request.admin_state_up)?;
    work.set("agents", id, "description", request.description)?;
    work.log("agent", id, Operation::Update, Some(json!({"host": host})))
}

/// Forgets an agent and what was scheduled to it. One that still runs will register again.
pub fn delete(work: &Work<'_>, id: Uuid) -> Result<(), NetworkError> {
    let Agent { host, .. } = get(work.tx, id)?;
    let bindings = [
        ("dhcp_agent_network", "SELECT network_id FROM dhcp_agent_networks WHERE agent_id = ?1"),
        ("l3_agent_router", "SELECT router_id FROM l3_agent_routers WHERE agent_id = ?1"),
    ];
    let mut unbound = Vec::new();
    for (resource, sql) in bindings {
        let ids: Vec<String> = work.tx.query(sql, params![id], |row| row.get(0))?;
        unbound.extend(ids.into_iter().map(|id| (resource, id)));
    }
    work.tx.execute("DELETE FROM agents WHERE id = ?1", params![id])?;
    for (resource, id) in unbound {
        work.log(resource, id, Operation::Delete, Some(json!({"host": host})))?;
    }
    work.log("agent", id, Operation::Delete, Some(json!({"host": host})))
}
