//! Segments in the store: which ids are used, and what carries a network.

use crate::NetworkError;
use net_types::{NetworkId, NetworkType};
use network_model::segment::{Segment, UsedSegments};
use store::{Row, Snapshot, StoreError, params};

/// The used segments, as `network_model` asks for them.
pub(crate) struct Used<'a>(pub(crate) &'a Snapshot<'a>);

impl UsedSegments for Used<'_> {
    type Error = NetworkError;

    fn is_used(&mut self, kind: NetworkType, physnet: Option<&str>, id: Option<u32>) -> Result<bool, NetworkError> {
        // The expressions are those of the unique index.
        Ok(self.0.exists(
            "SELECT 1 FROM network_segments WHERE network_type = ?1 AND COALESCE(physical_network, '') = ?2
             AND COALESCE(segmentation_id, 0) = ?3 AND network_type <> 'local'",
            params![kind.as_str(), physnet.unwrap_or_default(), id.unwrap_or(0)],
        )?)
    }

    fn used_ids(
        &mut self,
        kind: NetworkType,
        physnet: Option<&str>,
        (first, last): (u32, u32),
        limit: usize,
    ) -> Result<Vec<u32>, NetworkError> {
        Ok(self.0.query(
            "SELECT COALESCE(segmentation_id, 0) FROM network_segments WHERE network_type = ?1
             AND COALESCE(physical_network, '') = ?2 AND COALESCE(segmentation_id, 0) BETWEEN ?3 AND ?4
             AND network_type <> 'local' ORDER BY COALESCE(segmentation_id, 0) LIMIT ?5",
            params![kind.as_str(), physnet.unwrap_or_default(), first, last, limit],
            |row| row.get(0),
        )?)
    }
}

/// What carries the network.
pub fn of_network(snapshot: &Snapshot<'_>, network: NetworkId) -> Result<Option<Segment>, StoreError> {
    snapshot.query_opt(
        "SELECT network_type, physical_network, segmentation_id FROM network_segments WHERE network_id = ?1 AND position = 0",
        params![network.0],
        |row| segment(row, 0),
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
