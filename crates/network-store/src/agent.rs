//! What requests on agents do. Agents register and report by the host feed.

use crate::request::nullable;
use crate::{NetworkError, Work};
use serde::Deserialize;
use serde_json::json;
use store::{Operation, params};
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

fn host(work: &Work<'_>, id: Uuid) -> Result<String, NetworkError> {
    let host = work.tx.query_opt("SELECT host FROM agents WHERE id = ?1", params![id], |row| row.get(0))?;
    host.ok_or_else(|| NetworkError::named("AgentNotFound", 404, format!("Agent {id} could not be found.")))
}

/// Switches an agent, or describes it.
pub fn update(work: &Work<'_>, id: Uuid, request: AgentUpdate) -> Result<(), NetworkError> {
    let host = host(work, id)?;
    work.set("agents", id, "admin_state_up", request.admin_state_up)?;
    work.set("agents", id, "description", request.description)?;
    work.log("agent", id, Operation::Update, Some(json!({"host": host})))
}

/// Forgets an agent and what was scheduled to it. One that still runs will register again.
pub fn delete(work: &Work<'_>, id: Uuid) -> Result<(), NetworkError> {
    let host = host(work, id)?;
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
