//! Segments in the store: which ids are used, what carries a network, and what requests on segments do.

pub mod range;
mod requests;
pub(crate) mod routed;

pub use requests::{SegmentCreate, SegmentUpdate, create, delete, update};

use crate::{NetworkError, Work};
use net_types::{NetworkId, NetworkType, SubnetId};
use network_model::binding::AgentConfigurations;
use network_model::segment::{ProviderAttributes, Segment, UsedSegments};
use store::{Row, Snapshot, StoreError, params};
use uuid::Uuid;

/// The `agent_type` of agents that plug ports in.
pub(crate) const L2_AGENT: &str = "Open vSwitch agent";

/// The used segments, as `network_model` asks for them.
pub(crate) struct Used<'a> {
    snapshot: &'a Snapshot<'a>,
    /// Chosen by this request, and not written yet.
    pub chosen: Vec<Segment>,
}

impl<'a> Used<'a> {
    /// Those that the store knows.
    pub fn new(snapshot: &'a Snapshot<'a>) -> Self {
        Self { snapshot, chosen: Vec::new() }
    }

    fn chosen_ids(&self, kind: NetworkType, physnet: Option<&str>) -> impl Iterator<Item = Option<u32>> {
        let same = move |s: &&Segment| s.network_type == kind && s.physical_network.as_deref() == physnet;
        self.chosen.iter().filter(same).map(|s| s.segmentation_id)
    }
}

impl UsedSegments for Used<'_> {
    type Error = NetworkError;

    fn is_used(&mut self, kind: NetworkType, physnet: Option<&str>, id: Option<u32>) -> Result<bool, NetworkError> {
        // The expressions are those of the unique index.
        if kind != NetworkType::Local && self.chosen_ids(kind, physnet).any(|chosen| chosen == id) {
            return Ok(true);
        }
        let by_network = self.snapshot.exists(
            "SELECT 1 FROM network_segments WHERE network_type = ?1 AND COALESCE(physical_network, '') = ?2
             AND COALESCE(segmentation_id, 0) = ?3 AND network_type <> 'local'",
            params![kind.as_str(), physnet.unwrap_or_default(), id.unwrap_or(0)],
        )?;
        // The copies of mirrored ports go by the same tunnels.
        let by_tap = is_tunnel(kind)
            && self.snapshot.exists("SELECT 1 FROM tap_services WHERE tunnel_key = ?1", params![id.unwrap_or(0)])?;
        Ok(by_network || by_tap)
    }

    fn used_ids(
        &mut self,
        kind: NetworkType,
        physnet: Option<&str>,
        (first, last): (u32, u32),
        limit: usize,
    ) -> Result<Vec<u32>, NetworkError> {
        let mut ids: Vec<u32> = self.snapshot.query(
            "SELECT COALESCE(segmentation_id, 0) FROM network_segments WHERE network_type = ?1
             AND COALESCE(physical_network, '') = ?2 AND COALESCE(segmentation_id, 0) BETWEEN ?3 AND ?4
             AND network_type <> 'local' ORDER BY COALESCE(segmentation_id, 0) LIMIT ?5",
            params![kind.as_str(), physnet.unwrap_or_default(), first, last, limit],
            |row| row.get(0),
        )?;
        let mut others: Vec<u32> =
            self.chosen_ids(kind, physnet).flatten().filter(|id| (first..=last).contains(id)).collect();
        if is_tunnel(kind) {
            others.extend(self.snapshot.query(
                "SELECT tunnel_key FROM tap_services WHERE tunnel_key BETWEEN ?1 AND ?2 ORDER BY tunnel_key LIMIT ?3",
                params![first, last, limit],
                |row| row.get::<u32>(0),
            )?);
        }
        if !others.is_empty() {
            ids.extend(others);
            ids.sort_unstable();
            ids.truncate(limit);
        }
        Ok(ids)
    }
}

/// Whether networks of this type go by tunnels, and their ids are those of tunnels.
fn is_tunnel(kind: NetworkType) -> bool {
    matches!(kind, NetworkType::Vxlan | NetworkType::Geneve | NetworkType::Gre)
}

/// Chooses a segment for a network of a project: the one that is asked for, or a free one.
pub(crate) fn choose(
    work: &Work<'_>,
    asked: &ProviderAttributes,
    external: bool,
    project_id: &str,
    used: &mut Used<'_>,
) -> Result<Segment, NetworkError> {
    // The upper bits: the lower ones make ids.
    let start = ((work.random)() >> 96) as u32;
    range::choose(work, asked, external, project_id, start, used)
}

/// Writes a segment of a network; its id.
pub(crate) fn insert(
    work: &Work<'_>,
    network: NetworkId,
    position: u64,
    segment: &Segment,
) -> Result<Uuid, NetworkError> {
    let id = work.new_id();
    work.tx.execute(
        "INSERT INTO network_segments (id, network_id, position, network_type, physical_network, segmentation_id, created_at,
             updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
        params![
            id,
            network.0,
            position,
            segment.network_type.as_str(),
            segment.physical_network.as_deref(),
            segment.segmentation_id,
            work.now
        ],
    )?;
    Ok(id)
}

/// Notes on a network's segments whether there is one or several.
pub(crate) fn note_count(work: &Work<'_>, network: NetworkId) -> Result<(), NetworkError> {
    let count = work.tx.count("SELECT count(*) FROM network_segments WHERE network_id = ?1", params![network.0])?;
    work.tx
        .execute("UPDATE network_segments SET is_only = ?2 WHERE network_id = ?1", params![network.0, count == 1])?;
    Ok(())
}

/// What carries the network, in the order in which hosts try them: a host is on the first that it reaches.
pub fn of_network(snapshot: &Snapshot<'_>, network: NetworkId) -> Result<Vec<Segment>, StoreError> {
    Ok(of_network_all(snapshot, network)?.into_iter().map(|(_, segment)| segment).collect())
}

fn of_network_all(snapshot: &Snapshot<'_>, network: NetworkId) -> Result<Vec<(Uuid, Segment)>, StoreError> {
    snapshot.query(
        "SELECT id, network_type, physical_network, segmentation_id FROM network_segments WHERE network_id = ?1
         ORDER BY position",
        params![network.0],
        |row| Ok((row.parse(0)?, segment(row, 1)?)),
    )
}

/// Those of a network's subnets that are on a host: all, but of a routed network only those of the segments that it reaches.
pub fn subnets_at(
    snapshot: &Snapshot<'_>,
    network: NetworkId,
    host: &str,
    subnets: &[SubnetId],
) -> Result<Vec<SubnetId>, StoreError> {
    let all = routed::subnets(snapshot, network)?;
    if all.iter().all(|on| on.segment_id.is_none()) {
        return Ok(subnets.to_vec());
    }
    let reached = routed::reached(snapshot, network, host)?;
    let here = all.iter().filter(|on| on.segment_id.is_none_or(|id| reached.contains(&id))).map(|on| on.id);
    Ok(here.filter(|id| subnets.contains(id)).collect())
}

/// What the agents that plug ports in have reported from a host.
fn agents_of(snapshot: &Snapshot<'_>, host: &str) -> Result<Vec<AgentConfigurations>, StoreError> {
    snapshot.query(
        "SELECT configurations FROM agents WHERE host = ?1 AND agent_type = ?2",
        params![host, L2_AGENT],
        // What an agent reports that cannot be read reaches no segment.
        |row| Ok(serde_json::from_str(&row.text(0)?).unwrap_or_default()),
    )
}

/// Reads type, physical network and id from three columns.
pub(crate) fn segment(row: &Row<'_>, first: usize) -> Result<Segment, StoreError> {
    Ok(Segment {
        network_type: row.parse(first)?,
        physical_network: row.get(first + 1)?,
        segmentation_id: row.get(first + 2)?,
    })
}
