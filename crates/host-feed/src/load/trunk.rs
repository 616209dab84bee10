//! Trunks with their subports.

use super::{children, select};
use crate::row::{RowChange, TrunkRow};
use host_view::Trunk;
use store::{Snapshot, StoreError};

pub(super) fn trunks(snapshot: &Snapshot<'_>, id: Option<&str>, rows: &mut Vec<RowChange>) -> Result<(), StoreError> {
    let mut subports = children(
        snapshot,
        // Of the kinds of tags there is one only, VLAN.
        select("SELECT trunk_id, port_id, segmentation_id FROM trunk_subports", "trunk_id", id, ""),
        |row| Ok((row.get::<String>(0)?, (row.parse(1)?, vlan(row.get(2)?)))),
    )?;
    let (sql, params) = select("SELECT id, port_id, status FROM trunks", "id", id, "");
    snapshot.for_each(&sql, &params, |row| {
        let of_this = subports.remove(&row.get::<String>(0)?).unwrap_or_default();
        let subports = of_this.into_iter().filter_map(|(port, tag)| Some((port, tag?))).collect();
        let trunk = Trunk { parent: row.parse(1)?, subports };
        rows.push(RowChange::Trunk(row.parse(0)?, Some(TrunkRow { trunk, status: row.get(2)? })));
        Ok(())
    })
}

/// None: the API gives no such tag.
fn vlan(number: u16) -> Option<net_types::VlanId> {
    net_types::VlanId::new(number).ok()
}
