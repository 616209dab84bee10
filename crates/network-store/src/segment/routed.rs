//! Routed networks in the store: which subnets are on which segments, which segments a host reaches, and the routes that
//! hosts of one segment have to the others.

use super::agents_of;
use crate::{NetworkError, Work};
use net_types::{IpNet, NetworkId, SubnetId};
use network_model::ModelError;
use network_model::segment::routed::{OnSegment, peer_routes};
use serde_json::json;
use std::collections::BTreeSet;
use std::net::IpAddr;
use store::{Operation, Snapshot, StoreError, params};
use uuid::Uuid;

/// The owner of addresses that are routed to, and that are on no segment.
const ROUTED: &str = "network:routed";

/// The subnets of a network by their segments.
pub(crate) fn subnets(snapshot: &Snapshot<'_>, network: NetworkId) -> Result<Vec<OnSegment>, StoreError> {
    snapshot.query(
        "SELECT id, cidr, gateway_ip, segment_id, service_types FROM subnets WHERE network_id = ?1 ORDER BY created_at, id",
        params![network.0],
        |row| {
            Ok(OnSegment {
                id: row.parse(0)?,
                cidr: row.parse(1)?,
                gateway_ip: row.parse_opt(2)?,
                segment_id: row.parse_opt(3)?,
                is_routed: is_routed(&types(&row.text(4)?)),
            })
        },
    )
}

/// Reads the column `service_types`.
pub(crate) fn types(json: &str) -> Vec<String> {
    // Nearly always none; what nobody of us has written is none either.
    if json == "[]" { Vec::new() } else { serde_json::from_str(json).unwrap_or_default() }
}

/// Whether a subnet of these service types holds addresses that are routed to.
pub(crate) fn is_routed(service_types: &[String]) -> bool {
    service_types.iter().any(|kind| kind == ROUTED)
}

/// The segment must be there, and be the network's.
pub(crate) fn check_segment(work: &Work<'_>, network: NetworkId, segment: Uuid) -> Result<(), NetworkError> {
    let of: Option<NetworkId> =
        work.tx
            .query_opt("SELECT network_id FROM network_segments WHERE id = ?1", params![segment], |row| row.parse(0))?;
    match of {
        None => Err(ModelError::SegmentNotFound { segment_id: segment }.into()),
        Some(of) if of != network => {
            Err(ModelError::NetworkIdsDontMatch { subnet_network: network, segment_id: segment }.into())
        }
        Some(_) => Ok(()),
    }
}

/// The segments of a network that a host reaches through its bridges: those of physical networks.
pub(crate) fn reached(snapshot: &Snapshot<'_>, network: NetworkId, host: &str) -> Result<BTreeSet<Uuid>, StoreError> {
    let agents = agents_of(snapshot, host)?;
    let segments: Vec<(Uuid, Option<String>)> = snapshot.query(
        "SELECT id, physical_network FROM network_segments WHERE network_id = ?1",
        params![network.0],
        |row| Ok((row.parse(0)?, row.get(1)?)),
    )?;
    let has = |name: &String| agents.iter().any(|agent| agent.bridge_mappings.contains_key(name));
    Ok(segments.into_iter().filter(|(_, name)| name.as_ref().is_some_and(has)).map(|(id, _)| id).collect())
}

/// Writes the routes between the segments of a network anew, where they are others now: a subnet came, went or changed.
pub(crate) fn refresh_routes(work: &Work<'_>, network: NetworkId) -> Result<(), NetworkError> {
    let all = subnets(work.tx, network)?;
    for on in &all {
        let routes: Vec<(IpNet, IpAddr, bool)> = work.tx.query(
            "SELECT destination, nexthop, automatic FROM subnet_host_routes WHERE subnet_id = ?1 ORDER BY position",
            params![on.id.0],
            |row| Ok((row.parse(0)?, row.parse(1)?, row.get(2)?)),
        )?;
        let own: Vec<IpNet> = routes.iter().filter(|(.., automatic)| !automatic).map(|(to, ..)| *to).collect();
        let wanted = peer_routes(&all, on, &own);
        let has = routes.iter().filter(|(.., automatic)| *automatic).map(|(to, by, _)| (*to, *by));
        if has.eq(wanted.iter().map(|route| (route.destination, route.nexthop))) {
            continue;
        }
        work.tx.execute("DELETE FROM subnet_host_routes WHERE subnet_id = ?1 AND automatic = 1", params![on.id.0])?;
        let first = work.tx.count(
            "SELECT COALESCE(max(position) + 1, 0) FROM subnet_host_routes WHERE subnet_id = ?1",
            params![on.id.0],
        )?;
        for (position, route) in (first..).zip(&wanted) {
            work.tx.execute(
                "INSERT INTO subnet_host_routes (subnet_id, position, destination, nexthop, automatic)
                 VALUES (?1, ?2, ?3, ?4, 1)",
                params![on.id.0, position, route.destination.to_string(), route.nexthop.to_string()],
            )?;
        }
        changed(work, on.id, network)?;
    }
    Ok(())
}

/// A subnet's hosts learn something else now.
fn changed(work: &Work<'_>, subnet: SubnetId, network: NetworkId) -> Result<(), NetworkError> {
    work.touch("subnets", subnet.0)?;
    work.log("subnet", subnet, Operation::Update, Some(json!({"network_id": network})))
}
