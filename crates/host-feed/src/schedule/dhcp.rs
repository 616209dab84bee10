//! DHCP servers of networks.

use super::{Agent, Wanting, candidates};
use crate::{FeedError, agents};
use jiff::Timestamp;
use net_types::{NetworkId, PortId, SubnetId};
use network_model::device_owner;
use network_model::fixed_ips::FixedIpRequest;
use network_store::dhcp_agent::RESERVED_PORT;
use network_store::port::{self, PortCreate, PortUpdate};
use network_store::{Work, segment};
use std::collections::BTreeSet;
use store::{Operation, Snapshot, StoreError, Value, params};
use uuid::Uuid;

/// Networks whose servers are not as they should be: too few live ones, a server without its port or with a port that lacks
/// an address, servers of a network that DHCP no longer serves. Of all networks, or of one.
pub fn unserved(
    snapshot: &Snapshot<'_>,
    network: Option<NetworkId>,
    wanted: usize,
    alive_since: Timestamp,
) -> Result<Vec<String>, StoreError> {
    // Where there are fewer agents, more cannot be wanted.
    let live = snapshot.count(
        "SELECT count(*) FROM agents WHERE agent_type = ?1 AND admin_state_up = 1 AND heartbeat_timestamp >= ?2",
        params![agents::DHCP_AGENT, alive_since],
    )?;
    let wanted = u64::try_from(wanted).unwrap_or(u64::MAX).min(live);
    let (of_subnets, of_bindings) = match network {
        Some(_) => ("AND network_id = ?5", "AND b.network_id = ?5"),
        None => ("", ""),
    };
    let sql = format!(
        "WITH served AS (SELECT DISTINCT network_id FROM subnets WHERE enable_dhcp = 1 {of_subnets})
         SELECT s.network_id FROM served s
         WHERE ((SELECT count(*) FROM dhcp_agent_networks b JOIN agents a ON a.id = b.agent_id
                 WHERE b.network_id = s.network_id AND a.heartbeat_timestamp >= ?1 AND a.admin_state_up = 1) < ?2
                AND EXISTS (SELECT 1 FROM networks h WHERE h.id = s.network_id AND h.dhcp_hold = 0))
            OR EXISTS (SELECT 1 FROM dhcp_agent_networks b JOIN agents a ON a.id = b.agent_id
                       WHERE b.network_id = s.network_id
                         AND NOT EXISTS (SELECT 1 FROM ports p
                                         WHERE p.network_id = s.network_id AND p.device_owner = ?3
                                           AND p.binding_host = a.host AND p.binding_vif_type = 'ovs'
                                           AND p.device_id <> ?4))
            OR EXISTS (SELECT 1 FROM ports p JOIN subnets n ON n.network_id = p.network_id AND n.enable_dhcp = 1
                       WHERE p.network_id = s.network_id AND p.device_owner = ?3
                         AND NOT EXISTS (SELECT 1 FROM fixed_ips f WHERE f.port_id = p.id AND f.subnet_id = n.id))
         UNION
         SELECT b.network_id FROM dhcp_agent_networks b JOIN ports p ON p.network_id = b.network_id AND p.device_owner = ?3
         WHERE b.network_id NOT IN (SELECT network_id FROM served) {of_bindings}"
    );
    let mut params = params![alive_since, wanted, device_owner::DHCP, RESERVED_PORT].to_vec();
    params.extend(network.map(|id| Value::from(id.0)));
    snapshot.query(&sql, &params, |row| row.get(0))
}

/// Makes a network's servers what they should be, as far as there are agents.
pub fn serve(work: &Work<'_>, network: &str, wanted: usize, alive_since: Timestamp) -> Result<(), FeedError> {
    let Ok(network) = network.parse::<NetworkId>() else { return Ok(()) };
    let subnets: Vec<SubnetId> = work.tx.query(
        "SELECT id FROM subnets WHERE network_id = ?1 AND enable_dhcp = 1 ORDER BY id",
        params![network.0],
        |row| row.parse(0),
    )?;
    if subnets.is_empty() {
        return stop(work, network);
    }
    let usable = usable(work, network, alive_since)?;
    let bound = bound(work, network)?;
    let (mut keep, spare): (Vec<&Agent>, Vec<&Agent>) =
        usable.iter().partition(|agent| bound.iter().any(|(id, _)| *id == agent.id));
    if !network_store::network::get(work.tx, network)?.dhcp_hold {
        keep.extend(spare.into_iter().take(wanted.saturating_sub(keep.len())));
    }
    if keep.is_empty() {
        // Better a server that is out of reach, and may come back, than none.
        return Ok(());
    }
    bind(work, network, &bound, &keep)?;
    ensure_ports(work, network, &subnets, &keep)
}

/// Live agents whose hosts reach the network, those with the fewest networks first.
fn usable(work: &Work<'_>, network: NetworkId, alive_since: Timestamp) -> Result<Vec<Agent>, FeedError> {
    let segments = segment::of_network(work.tx, network)?;
    let id = network.to_string();
    let object = Wanting { table: "networks", id: &id };
    let found = candidates(work, agents::DHCP_AGENT, "dhcp_agent_networks", object, alive_since)?;
    Ok(found.into_iter().filter(|agent| segments.iter().any(|segment| agent.l2.reaches(segment))).collect())
}

/// Ids and hosts of the agents that the network is bound to.
fn bound(work: &Work<'_>, network: NetworkId) -> Result<Vec<(String, String)>, StoreError> {
    work.tx.query(
        "SELECT a.id, a.host FROM dhcp_agent_networks b JOIN agents a ON a.id = b.agent_id WHERE b.network_id = ?1",
        params![network.0],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

fn bind(work: &Work<'_>, network: NetworkId, bound: &[(String, String)], keep: &[&Agent]) -> Result<(), FeedError> {
    let mut changed = false;
    for (id, _) in bound.iter().filter(|(id, _)| !keep.iter().any(|agent| agent.id == *id)) {
        work.tx.execute(
            "DELETE FROM dhcp_agent_networks WHERE network_id = ?1 AND agent_id = ?2",
            params![network.0, id],
        )?;
        changed = true;
    }
    for agent in keep.iter().filter(|agent| !bound.iter().any(|(id, _)| *id == agent.id)) {
        work.tx.execute(
            "INSERT INTO dhcp_agent_networks (network_id, agent_id) VALUES (?1, ?2)",
            params![network.0, &agent.id],
        )?;
        changed = true;
    }
    if changed {
        work.log("dhcp_agent_network", network, Operation::Update, None)?;
    }
    Ok(())
}

/// One port for each server, with an address of every subnet that DHCP serves. A port whose server has gone is given to one
/// that has none: instances keep the server address that they know.
fn ensure_ports(work: &Work<'_>, network: NetworkId, subnets: &[SubnetId], keep: &[&Agent]) -> Result<(), FeedError> {
    let ports: Vec<(PortId, String)> = work.tx.query(
        "SELECT id, binding_host FROM ports WHERE network_id = ?1 AND device_owner = ?2 ORDER BY created_at, id",
        params![network.0, device_owner::DHCP],
        |row| Ok((row.parse(0)?, row.get(1)?)),
    )?;
    let hosts: BTreeSet<&str> = keep.iter().map(|agent| agent.host.as_str()).collect();
    let (mut owned, mut orphans): (Vec<_>, Vec<_>) =
        ports.into_iter().partition(|(_, host)| hosts.contains(host.as_str()));
    for host in hosts {
        // Of a routed network a host serves its own segment.
        let subnets = &segment::subnets_at(work.tx, network, host, subnets)?;
        let own = owned.iter().position(|(_, other)| other == host).map(|at| owned.swap_remove(at).0);
        match own.or_else(|| orphans.pop().map(|(id, _)| id)) {
            Some(id) => mend_port(work, id, network, host, subnets)?,
            None => create_port(work, network, host, subnets)?,
        }
    }
    owned.into_iter().chain(orphans).try_for_each(|(id, _)| port::remove(work, id)).map_err(FeedError::from)
}

fn on_each(subnets: &[SubnetId]) -> Vec<FixedIpRequest> {
    subnets.iter().map(|id| FixedIpRequest { subnet_id: Some(*id), ip_address: None }).collect()
}

fn create_port(work: &Work<'_>, network: NetworkId, host: &str, subnets: &[SubnetId]) -> Result<(), FeedError> {
    let project: Option<String> =
        work.tx.query_opt("SELECT project_id FROM networks WHERE id = ?1", params![network.0], |row| row.get(0))?;
    let Some(project) = project else { return Ok(()) };
    let request = PortCreate {
        fixed_ips: Some(on_each(subnets)),
        binding_host: Some(host.to_owned()),
        ..PortCreate::of_service(network, &project, device_owner::DHCP, &device_id(host, network))
    };
    port::create(work, request)?;
    Ok(())
}

/// Gives a port to `host`, and the addresses that it lacks; one that is right is not touched.
fn mend_port(
    work: &Work<'_>,
    id: PortId,
    network: NetworkId,
    host: &str,
    subnets: &[SubnetId],
) -> Result<(), FeedError> {
    let port = port::get(work.tx, id)?;
    let held = port::addresses::of_port(work.tx, id)?;
    let lacking: Vec<SubnetId> =
        subnets.iter().copied().filter(|subnet| !held.iter().any(|ip| ip.subnet_id == *subnet)).collect();
    let device_id = device_id(host, network);
    let is_bound = port.binding_host == host && port.binding_vif_type == "ovs" && port.device_id == device_id;
    if is_bound && lacking.is_empty() {
        return Ok(());
    }
    let kept = held.iter().filter(|ip| subnets.contains(&ip.subnet_id));
    let kept = kept.map(|ip| FixedIpRequest { subnet_id: Some(ip.subnet_id), ip_address: Some(ip.ip_address) });
    let request = PortUpdate {
        fixed_ips: Some(kept.chain(on_each(&lacking)).collect()),
        binding_host: Some(Some(host.to_owned())),
        device_id: Some(device_id),
        ..PortUpdate::default()
    };
    Ok(port::update(work, id, request)?)
}

/// `device_id` of a DHCP port as Neutron's agents form it.
fn device_id(host: &str, network: NetworkId) -> String {
    format!("dhcp{}-{network}", Uuid::new_v5(&Uuid::NAMESPACE_DNS, host.as_bytes()))
}

/// No subnet is served any more. The agents stay the network's, as in Neutron: a new subnet is served where the last was.
fn stop(work: &Work<'_>, network: NetworkId) -> Result<(), FeedError> {
    let ports: Vec<PortId> = work.tx.query(
        "SELECT id FROM ports WHERE network_id = ?1 AND device_owner = ?2",
        params![network.0, device_owner::DHCP],
        |row| row.parse(0),
    )?;
    ports.into_iter().try_for_each(|id| port::remove(work, id)).map_err(FeedError::from)
}
