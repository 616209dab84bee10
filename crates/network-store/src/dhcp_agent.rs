//! Which DHCP agents serve a network, decided by hand. (What the scheduler decides is in the host feed.)

use crate::agent::{self, DHCP_AGENT};
use crate::{NetworkError, Work, network};
use net_types::{NetworkId, PortId};
use network_model::device_owner;
use store::{Operation, params};
use uuid::Uuid;

/// `device_id` of a DHCP port that waits for its network's next server, so that instances keep the address they know.
pub const RESERVED_PORT: &str = "reserved_dhcp_port";

/// Has an agent serve a network.
pub fn add_network(work: &Work<'_>, agent: Uuid, id: NetworkId) -> Result<(), NetworkError> {
    network::get(work.tx, id)?;
    let agent = agent::get(work.tx, agent)?;
    if agent.agent_type != DHCP_AGENT || !agent.admin_state_up {
        let message = format!("Agent {} is not a valid DHCP Agent or has been disabled.", agent.id);
        return Err(NetworkError::named("InvalidDHCPAgent", 404, message));
    }
    let added = work.tx.execute(
        "INSERT INTO dhcp_agent_networks (network_id, agent_id) VALUES (?1, ?2) ON CONFLICT (network_id, agent_id) DO NOTHING",
        params![id.0, agent.id],
    )?;
    if added == 0 {
        let message = format!("The network {id} has been already hosted by the DHCP Agent {}.", agent.id);
        return Err(NetworkError::named("NetworkHostedByDHCPAgent", 409, message));
    }
    work.log("dhcp_agent_network", id, Operation::Update, None)
}

/// Takes a network off an agent. Until the network gets another port or subnet, only hands schedule it.
pub fn remove_network(work: &Work<'_>, agent: Uuid, id: NetworkId) -> Result<(), NetworkError> {
    let agent = agent::get(work.tx, agent)?;
    let gone = work
        .tx
        .execute("DELETE FROM dhcp_agent_networks WHERE network_id = ?1 AND agent_id = ?2", params![id.0, agent.id])?;
    if gone == 0 {
        let message = format!("The network {id} is not hosted by the DHCP agent {}.", agent.id);
        return Err(NetworkError::named("NetworkNotHostedByDhcpAgent", 409, message));
    }
    work.tx.execute("UPDATE networks SET dhcp_hold = 1 WHERE id = ?1", params![id.0])?;
    let ports: Vec<PortId> = work.tx.query(
        "SELECT id FROM ports WHERE network_id = ?1 AND device_owner = ?2 AND binding_host = ?3",
        params![id.0, device_owner::DHCP, &agent.host],
        |row| row.parse(0),
    )?;
    for port in ports {
        let device_id = Some(RESERVED_PORT.to_owned());
        crate::port::update(work, port, crate::port::PortUpdate { device_id, ..Default::default() })?;
    }
    work.log("dhcp_agent_network", id, Operation::Update, None)
}
