//! What requests on network segment ranges do, and which ranges the networks of a project take their segments from.

use super::Used;
use crate::{NetworkConfig, NetworkError, Work};
use net_types::NetworkType;
use network_model::ModelError;
use network_model::segment::{IdRange, ProviderAttributes, Segment};
use serde::Deserialize;
use store::{Operation, Snapshot, Store, StoreError, params};
use uuid::Uuid;

/// A checked POST body.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct RangeCreate {
    pub project_id: String,
    pub name: String,
    pub description: String,
    pub shared: bool,
    pub network_type: NetworkType,
    pub physical_network: String,
    pub minimum: u32,
    pub maximum: u32,
}

/// A checked PUT body: what it does not have stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct RangeUpdate {
    pub name: Option<String>,
    pub description: Option<String>,
    pub minimum: Option<u32>,
    pub maximum: Option<u32>,
}

/// A range.
#[derive(Debug, Clone)]
struct Row {
    id: Uuid,
    project_id: String,
    is_default: bool,
    shared: bool,
    network_type: NetworkType,
    physical_network: String,
    ids: IdRange,
}

fn rows(snapshot: &Snapshot<'_>, condition: &str, params: &[store::Value<'_>]) -> Result<Vec<Row>, StoreError> {
    let sql = format!(
        "SELECT id, project_id, is_default, shared, network_type, physical_network, minimum, maximum
         FROM network_segment_ranges WHERE {condition} ORDER BY minimum, id"
    );
    let found: Vec<Option<Row>> = snapshot.query(&sql, params, |row| {
        let ids = IdRange::new(row.get(6)?, row.get(7)?);
        let Some(ids) = ids else { return Ok(None) };
        Ok(Some(Row {
            id: row.parse(0)?,
            project_id: row.get(1)?,
            is_default: row.get(2)?,
            shared: row.get(3)?,
            network_type: row.parse(4)?,
            physical_network: row.get(5)?,
            ids,
        }))
    })?;
    Ok(found.into_iter().flatten().collect())
}

fn get(snapshot: &Snapshot<'_>, id: Uuid) -> Result<Row, NetworkError> {
    let message = || format!("Network Segment Range {id} could not be found.");
    let found = rows(snapshot, "id = ?1", params![id])?.pop();
    found.ok_or_else(|| NetworkError::named("NetworkSegmentRangeNotFound", 404, message()))
}

/// A range that the type has on the wire, and that no other of ours shares an id with.
fn check(work: &Work<'_>, row: &Row) -> Result<(), NetworkError> {
    let (first, last) = (row.ids.first(), row.ids.last());
    let possible = IdRange::possible(row.network_type);
    if first < possible.first() || last > possible.last() {
        let (kind, error) = (row.network_type, "out of range".to_owned());
        return Err(match kind {
            NetworkType::Vlan => ModelError::NetworkVlanRangeError { vlan_range: format!("{first}:{last}"), error },
            _ => ModelError::NetworkTunnelRangeError { tunnel_range: format!("{first}:{last}"), error },
        }
        .into());
    }
    let others = rows(
        work.tx,
        "is_default = 0 AND network_type = ?1 AND physical_network = ?2 AND minimum <= ?4 AND maximum >= ?3 AND id <> ?5",
        params![row.network_type.as_str(), &row.physical_network, first, last, row.id],
    )?;
    if others.is_empty() {
        return Ok(());
    }
    let ids: Vec<String> = others.iter().map(|other| other.id.to_string()).collect();
    let message = format!("Network segment range overlaps with range(s) with id {}", ids.join(", "));
    Err(NetworkError::named("NetworkSegmentRangeOverlaps", 409, message))
}

fn ids(minimum: u32, maximum: u32) -> Result<IdRange, NetworkError> {
    let message = format!("Invalid network segment range: {minimum}:{maximum}, the end is before the start");
    IdRange::new(minimum, maximum).ok_or_else(|| ModelError::InvalidInput { error_message: message }.into())
}

/// Makes a range.
pub fn create(work: &Work<'_>, request: &RangeCreate) -> Result<Uuid, NetworkError> {
    let is_vlan = request.network_type == NetworkType::Vlan;
    if is_vlan && request.physical_network.is_empty() {
        let msg = "Network type vlan requires 'physical_network' to be specified while creating new range".to_owned();
        return Err(ModelError::BadRequest { resource: "network_segment_range", msg }.into());
    }
    let row = Row {
        id: work.new_id(),
        project_id: if request.shared { String::new() } else { request.project_id.clone() },
        is_default: false,
        shared: request.shared,
        network_type: request.network_type,
        physical_network: if is_vlan { request.physical_network.clone() } else { String::new() },
        ids: ids(request.minimum, request.maximum)?,
    };
    check(work, &row)?;
    insert(work, &row, &request.name, &request.description)?;
    work.log("network_segment_range", row.id, Operation::Create, None)?;
    Ok(row.id)
}

fn insert(work: &Work<'_>, row: &Row, name: &str, description: &str) -> Result<(), NetworkError> {
    work.tx.execute(
        "INSERT INTO network_segment_ranges (id, project_id, name, description, is_default, shared, network_type,
             physical_network, minimum, maximum, revision_number, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 0, ?11, ?11) ON CONFLICT DO NOTHING",
        params![
            row.id,
            &row.project_id,
            name,
            description,
            row.is_default,
            row.shared,
            row.network_type.as_str(),
            &row.physical_network,
            row.ids.first(),
            row.ids.last(),
            work.now
        ],
    )?;
    Ok(())
}

fn not_default(row: &Row) -> Result<(), NetworkError> {
    if !row.is_default {
        return Ok(());
    }
    let id = row.id;
    let message =
        format!("Network Segment Range {id} is a default segment range which could not be updated or deleted.");
    Err(NetworkError::named("NetworkSegmentRangeDefaultReadOnly", 400, message))
}

/// Refuses that ids leave a range which networks have.
fn check_unused(work: &Work<'_>, row: &Row, kept: Option<IdRange>) -> Result<(), NetworkError> {
    let (first, last) = kept.map_or((1, 0), |kept| (kept.first(), kept.last()));
    let stranded = work.tx.exists(
        "SELECT 1 FROM network_segments WHERE network_type = ?1 AND COALESCE(physical_network, '') = ?2
         AND COALESCE(segmentation_id, 0) BETWEEN ?3 AND ?4 AND COALESCE(segmentation_id, 0) NOT BETWEEN ?5 AND ?6
         AND network_type <> 'local'",
        params![row.network_type.as_str(), &row.physical_network, row.ids.first(), row.ids.last(), first, last],
    )?;
    if !stranded {
        return Ok(());
    }
    let message = format!("Network Segment Range {} is referenced by one or more project networks.", row.id);
    Err(NetworkError::named("NetworkSegmentRangeReferencedByProject", 409, message))
}

/// Changes a range; ids that networks have stay in it.
pub fn update(work: &Work<'_>, id: Uuid, request: RangeUpdate) -> Result<(), NetworkError> {
    let row = get(work.tx, id)?;
    not_default(&row)?;
    let (minimum, maximum) = (request.minimum.unwrap_or(row.ids.first()), request.maximum.unwrap_or(row.ids.last()));
    let changed = Row { ids: ids(minimum, maximum)?, ..row.clone() };
    check_unused(work, &row, Some(changed.ids))?;
    check(work, &changed)?;
    work.set("network_segment_ranges", id, "name", request.name)?;
    work.set("network_segment_ranges", id, "description", request.description)?;
    work.set("network_segment_ranges", id, "minimum", Some(minimum))?;
    work.set("network_segment_ranges", id, "maximum", Some(maximum))?;
    work.touch("network_segment_ranges", id)?;
    work.log("network_segment_range", id, Operation::Update, None)
}

/// Removes a range of which no network has an id.
pub fn delete(work: &Work<'_>, id: Uuid) -> Result<(), NetworkError> {
    let row = get(work.tx, id)?;
    not_default(&row)?;
    check_unused(work, &row, None)?;
    work.tx.execute("DELETE FROM tags WHERE object_id = ?1", params![id])?;
    work.tx.execute("DELETE FROM network_segment_ranges WHERE id = ?1", params![id])?;
    work.log("network_segment_range", id, Operation::Delete, None)
}

/// Writes the configuration's ranges as default ranges; those that it no longer has go. For the program's start.
pub fn note_defaults(store: &Store, config: &NetworkConfig) -> Result<(), NetworkError> {
    let config = config.clone();
    store.write_blocking(move |tx| {
        let work = Work::system(tx, &config);
        let wanted = config.segments.ranges();
        for row in rows(tx, "is_default = 1", &[])? {
            let is = |(kind, physnet, ids): &(NetworkType, String, IdRange)| {
                *kind == row.network_type && *physnet == row.physical_network && *ids == row.ids
            };
            if !wanted.iter().any(is) {
                tx.execute("DELETE FROM network_segment_ranges WHERE id = ?1", params![row.id])?;
            }
        }
        for (network_type, physical_network, ids) in wanted {
            let row = Row {
                id: work.new_id(),
                project_id: String::new(),
                is_default: true,
                shared: true,
                network_type,
                physical_network,
                ids,
            };
            insert(&work, &row, "", "")?;
        }
        Ok(())
    })
}

/// Chooses a segment for a network of a project: out of its own ranges first, then out of those that all projects have, but
/// not of another project's. Without ranges beside the configuration's, that decides alone.
pub(super) fn choose(
    work: &Work<'_>,
    asked: &ProviderAttributes,
    external: bool,
    project_id: &str,
    start: u32,
    used: &mut Used<'_>,
) -> Result<Segment, NetworkError> {
    let segments = &work.config.segments;
    let custom = if asked.segmentation_id.is_some() { Vec::new() } else { rows(work.tx, "is_default = 0", &[])? };
    if custom.is_empty() {
        return segments.choose(asked, external, start, used);
    }
    let named = |of: &dyn Fn(&Row) -> bool| -> Vec<(NetworkType, String, IdRange)> {
        let fit = custom.iter().filter(|row| of(row));
        fit.map(|row| (row.network_type, row.physical_network.clone(), row.ids)).collect()
    };
    let own = named(&|row| !row.shared && row.project_id == project_id);
    let foreign = named(&|row| !row.shared && row.project_id != project_id);
    let mut shared = segments.ranges();
    shared.extend(named(&|row| row.shared));
    let nothing = |error: &NetworkError| matches!(error, NetworkError::Refused(ModelError::NoNetworkAvailable));
    if !own.is_empty() {
        match segments.with_ranges(&own, &[]).choose(asked, external, start, used) {
            Err(error) if nothing(&error) => {}
            decided => return decided,
        }
    }
    segments.with_ranges(&shared, &foreign).choose(asked, external, start, used)
}
