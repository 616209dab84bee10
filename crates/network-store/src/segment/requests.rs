//! What requests on segments do.

use super::{Used, agents_of, insert, of_network_all};
use crate::network::segmentation_id;
use crate::request::nullable;
use crate::{NetworkError, Work, network};
use net_types::NetworkId;
use network_model::ModelError;
use network_model::segment::ProviderAttributes;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeSet;
use store::{Operation, params};
use uuid::Uuid;

/// A checked POST body.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct SegmentCreate {
    pub network_id: NetworkId,
    pub name: Option<String>,
    pub description: String,
    pub network_type: String,
    pub physical_network: Option<String>,
    pub segmentation_id: Option<i64>,
}

/// A checked PUT body: what it does not have stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct SegmentUpdate {
    #[serde(deserialize_with = "nullable")]
    pub name: Option<Option<String>>,
    pub description: Option<String>,
}

/// Adds a segment to a network.
pub fn create(work: &Work<'_>, request: SegmentCreate) -> Result<Uuid, NetworkError> {
    let network = network::get(work.tx, request.network_id)?;
    work.lock("networks", network.id.0)?;
    let asked = ProviderAttributes {
        network_type: Some(request.network_type),
        physical_network: request.physical_network,
        segmentation_id: request.segmentation_id.map(segmentation_id),
    };
    let segment = super::choose(work, &asked, false, &network.project_id, &mut Used::new(work.tx))?;
    let position = work.tx.count(
        "SELECT COALESCE(max(position) + 1, 0) FROM network_segments WHERE network_id = ?1",
        params![network.id.0],
    )?;
    let id = insert(work, network.id, position, &segment)?;
    work.set("network_segments", id, "name", request.name)?;
    work.set("network_segments", id, "description", Some(request.description))?;
    network_changed(work, network.id)?;
    work.log("segment", id, Operation::Create, Some(json!({"network_id": network.id})))?;
    Ok(id)
}

/// The network has other segments now: it shows them otherwise, and its hosts may be on others.
fn network_changed(work: &Work<'_>, id: NetworkId) -> Result<(), NetworkError> {
    super::note_count(work, id)?;
    work.touch("networks", id.0)?;
    work.log("network", id, Operation::Update, None)
}

fn network_of(work: &Work<'_>, id: Uuid) -> Result<NetworkId, NetworkError> {
    let found =
        work.tx.query_opt("SELECT network_id FROM network_segments WHERE id = ?1", params![id], |row| row.parse(0))?;
    found.ok_or_else(|| ModelError::SegmentNotFound { segment_id: id }.into())
}

/// Changes what a segment is called.
pub fn update(work: &Work<'_>, id: Uuid, request: SegmentUpdate) -> Result<(), NetworkError> {
    let network = network_of(work, id)?;
    work.set("network_segments", id, "name", request.name)?;
    work.set("network_segments", id, "description", request.description)?;
    work.touch("network_segments", id)?;
    work.log("segment", id, Operation::Update, Some(json!({"network_id": network})))
}

/// Removes a segment that no subnet and no bound port is on.
pub fn delete(work: &Work<'_>, id: Uuid) -> Result<(), NetworkError> {
    let network = network_of(work, id)?;
    let in_use = |reason| Err(ModelError::SegmentInUse { segment_id: id, reason }.into());
    let subnets: Vec<String> =
        work.tx.query("SELECT id FROM subnets WHERE segment_id = ?1 ORDER BY id", params![id], |row| row.get(0))?;
    if !subnets.is_empty() {
        return in_use(format!("The segment is still associated with subnet(s) {}", subnets.join(", ")));
    }
    let ports = bound_ports(work, network, id)?;
    if !ports.is_empty() {
        return in_use(format!("The segment is still bound with port(s) {}", ports.join(", ")));
    }
    work.tx.execute("DELETE FROM tags WHERE object_id = ?1", params![id])?;
    work.tx.execute("DELETE FROM network_segments WHERE id = ?1", params![id])?;
    network_changed(work, network)?;
    work.log("segment", id, Operation::Delete, Some(json!({"network_id": network})))
}

/// The ports whose hosts take part in the network by this segment.
fn bound_ports(work: &Work<'_>, network: NetworkId, segment: Uuid) -> Result<Vec<String>, NetworkError> {
    let bound: Vec<(String, String)> = work.tx.query(
        "SELECT id, binding_host FROM ports WHERE network_id = ?1 AND binding_vif_type = 'ovs' ORDER BY id",
        params![network.0],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let hosts: BTreeSet<&String> = bound.iter().map(|(_, host)| host).collect();
    let segments = of_network_all(work.tx, network)?;
    let mut here = BTreeSet::new();
    for host in hosts {
        let agents = agents_of(work.tx, host)?;
        let on = segments.iter().find(|(_, segment)| agents.iter().any(|agent| agent.reaches(segment)));
        if on.is_some_and(|(id, _)| *id == segment) {
            here.insert(host);
        }
    }
    Ok(bound.iter().filter(|(_, host)| here.contains(host)).map(|(id, _)| id.clone()).collect())
}
