//! Hosts of routers.

use super::{Wanting, candidates};
use crate::{FeedError, agents};
use jiff::Timestamp;
use net_types::{NetworkId, PortId};
use network_model::device_owner;
use network_store::port::{self, PortUpdate};
use network_store::{Work, segment};
use store::{Operation, Snapshot, StoreError, params};

/// Routers with a port that have no host, or with a port that is not bound to their host.
pub fn unserved(snapshot: &Snapshot<'_>) -> Result<Vec<String>, StoreError> {
    snapshot.query(
        "SELECT DISTINCT r.id FROM routers r
         JOIN ports p ON p.device_id = r.id AND p.device_owner IN (?1, ?2)
         LEFT JOIN l3_agent_routers b ON b.router_id = r.id
         LEFT JOIN agents a ON a.id = b.agent_id
         WHERE a.host IS NULL OR p.binding_host <> a.host",
        params![device_owner::ROUTER_INTERFACE, device_owner::ROUTER_GATEWAY],
        |row| row.get(0),
    )
}

/// Gives a router a host, if it has none, and binds its ports there.
pub fn serve(work: &Work<'_>, router: &str, alive_since: Timestamp) -> Result<(), FeedError> {
    let ports: Vec<(PortId, NetworkId, String)> = work.tx.query(
        "SELECT id, network_id, binding_host FROM ports WHERE device_id = ?1 AND device_owner IN (?2, ?3)",
        params![router, device_owner::ROUTER_INTERFACE, device_owner::ROUTER_GATEWAY],
        |row| Ok((row.parse(0)?, row.parse(1)?, row.get(2)?)),
    )?;
    let host: Option<String> = work.tx.query_opt(
        "SELECT a.host FROM l3_agent_routers b JOIN agents a ON a.id = b.agent_id WHERE b.router_id = ?1",
        params![router],
        |row| row.get(0),
    )?;
    let host = match host {
        Some(host) => host,
        None => match choose(work, router, &ports, alive_since)? {
            Some(agent) => {
                work.tx.execute(
                    "INSERT INTO l3_agent_routers (router_id, agent_id) VALUES (?1, ?2)",
                    params![router, &agent.id],
                )?;
                work.log("l3_agent_router", router, Operation::Update, None)?;
                agent.host
            }
            None => return Ok(()),
        },
    };
    for (id, _, _) in ports.iter().filter(|(_, _, bound)| *bound != host) {
        let request = PortUpdate { binding_host: Some(Some(host.clone())), ..PortUpdate::default() };
        port::update(work, *id, request)?;
    }
    Ok(())
}

/// The live agent with the fewest routers whose host reaches every network of the router.
fn choose(
    work: &Work<'_>,
    router: &str,
    ports: &[(PortId, NetworkId, String)],
    alive_since: Timestamp,
) -> Result<Option<super::Agent>, FeedError> {
    let mut segments = Vec::new();
    for (_, network, _) in ports {
        segments.extend(segment::of_network(work.tx, *network)?);
    }
    let object = Wanting { table: "routers", id: router };
    let found = candidates(work, agents::L3_AGENT, "l3_agent_routers", object, alive_since)?;
    Ok(found.into_iter().find(|agent| segments.iter().all(|segment| agent.l2.reaches(segment))))
}
