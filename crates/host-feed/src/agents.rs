//! Agents' rows: what a host's full report says becomes one row per role, as Neutron lists its agents; heartbeats keep them
//! alive.

use host_view::{AgentRole, HostDescription};
use jiff::Timestamp;
pub use network_store::agent::{DHCP_AGENT, L3_AGENT};
use serde_json::{Value, json};
use store::{Operation, StoreError, Tx, params};
use uuid::Uuid;

/// `agent_type` of the L2 agent, whose `configurations` say what a host can carry.
pub const L2_AGENT: &str = "Open vSwitch agent";

struct Row {
    agent_type: &'static str,
    binary: &'static str,
    topic: &'static str,
    has_zone: bool,
    configurations: Value,
}

fn row(role: AgentRole, host: &HostDescription) -> Row {
    match role {
        AgentRole::L2 => Row {
            agent_type: L2_AGENT,
            binary: "neutron-openvswitch-agent",
            topic: "N/A",
            has_zone: false,
            configurations: json!({
                "bridge_mappings": host.bridge_mappings,
                "tunnel_types": host.tunnel_types,
                "tunneling_ip": host.local_ip,
                "endpoint_mac": host.endpoint_mac,
                "integration_bridge": host.integration_bridge,
                "datapath_type": host.datapath_type,
                "l2_population": true,
                "arp_responder_enabled": true,
                "extensions": [],
                "version": host.version,
            }),
        },
        AgentRole::Dhcp => Row {
            agent_type: DHCP_AGENT,
            binary: "neutron-dhcp-agent",
            topic: "dhcp_agent",
            has_zone: true,
            configurations: json!({ "dhcp_driver": "neutronium", "version": host.version }),
        },
        AgentRole::L3 => Row {
            agent_type: L3_AGENT,
            binary: "neutron-l3-agent",
            topic: "l3_agent",
            has_zone: true,
            configurations: json!({ "agent_mode": host.l3_mode.as_str(), "version": host.version }),
        },
    }
}

/// Writes the agents of a host that has introduced itself.
pub fn register(tx: &Tx<'_>, host: &str, description: &HostDescription, now: Timestamp) -> Result<(), StoreError> {
    let started =
        i64::try_from(description.started_at).ok().and_then(|s| Timestamp::from_second(s).ok()).unwrap_or(now);
    for role in &description.roles {
        let row = row(*role, description);
        let zone = row.has_zone.then_some(description.availability_zone.as_str());
        let configurations = row.configurations.to_string();
        let known = tx.query_opt(
            "SELECT id, configurations FROM agents WHERE agent_type = ?1 AND host = ?2",
            params![row.agent_type, host],
            |r| Ok((r.get::<String>(0)?, r.get::<String>(1)?)),
        )?;
        let extra = json!({ "host": host });
        match known {
            Some((id, before)) => {
                tx.execute(
                    "UPDATE agents SET configurations = ?2, availability_zone = ?3, started_at = ?4, heartbeat_timestamp = ?5
                     WHERE id = ?1",
                    params![&id, &configurations, zone, started, now],
                )?;
                if before != configurations {
                    tx.log_change("agent", &id, Operation::Update, Some(&extra))?;
                }
            }
            None => {
                let id = Uuid::new_v4().to_string();
                tx.execute(
                    "INSERT INTO agents (id, agent_type, \"binary\", topic, host, availability_zone, admin_state_up,
                                         configurations, created_at, started_at, heartbeat_timestamp)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?8, ?9, ?8)",
                    params![&id, row.agent_type, row.binary, row.topic, host, zone, &configurations, now, started],
                )?;
                tx.log_change("agent", &id, Operation::Create, Some(&extra))?;
            }
        }
    }
    Ok(())
}

/// Notes that a host's agents live. Not a change: nothing but their liveness depends on it.
pub fn heartbeat(tx: &Tx<'_>, host: &str, now: Timestamp) -> Result<(), StoreError> {
    tx.execute("UPDATE agents SET heartbeat_timestamp = ?2 WHERE host = ?1", params![host, now])?;
    Ok(())
}
