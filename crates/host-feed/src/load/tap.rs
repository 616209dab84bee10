//! Tap services with their flows, and tap mirrors.

use super::{children, malformed, select};
use crate::row::{RowChange, TapServiceRow};
use host_view::{TapDirection, TapMirror, TapMirrorKind};
use net_types::PortId;
use std::collections::BTreeMap;
use store::{Row, Snapshot, StoreError};

pub(super) fn tap_services(
    snapshot: &Snapshot<'_>,
    id: Option<&str>,
    rows: &mut Vec<RowChange>,
) -> Result<(), StoreError> {
    let mut flows = children(
        snapshot,
        select("SELECT tap_service_id, source_port, direction FROM tap_flows", "tap_service_id", id, ""),
        |row| Ok((row.get::<String>(0)?, (row.parse::<PortId>(1)?, direction(row, 2)?))),
    )?;
    let (sql, params) = select("SELECT id, port_id, tunnel_key FROM tap_services", "id", id, "");
    snapshot.for_each(&sql, &params, |row| {
        let mut sources: BTreeMap<PortId, TapDirection> = BTreeMap::new();
        for (port, direction) in flows.remove(&row.get::<String>(0)?).unwrap_or_default() {
            sources.entry(port).and_modify(|known| *known = known.and(direction)).or_insert(direction);
        }
        let service = TapServiceRow { port: row.parse(1)?, key: row.get(2)?, sources };
        rows.push(RowChange::TapService(row.parse(0)?, Some(service)));
        Ok(())
    })
}

pub(super) fn tap_mirrors(
    snapshot: &Snapshot<'_>,
    id: Option<&str>,
    rows: &mut Vec<RowChange>,
) -> Result<(), StoreError> {
    let mut numbers = children(
        snapshot,
        select("SELECT tap_mirror_id, direction, tunnel_id FROM tap_mirror_tunnels", "tap_mirror_id", id, ""),
        |row| Ok((row.get::<String>(0)?, (direction(row, 1)?, row.get(2)?))),
    )?;
    let (sql, params) = select("SELECT id, port_id, remote_ip, mirror_type FROM tap_mirrors", "id", id, "");
    snapshot.for_each(&sql, &params, |row| {
        let kind = match row.get::<String>(3)?.as_str() {
            "gre" => TapMirrorKind::Gre,
            "erspanv1" => TapMirrorKind::ErspanV1,
            other => return Err(malformed(3, "gre or erspanv1", other)),
        };
        let numbers = numbers.remove(&row.get::<String>(0)?).unwrap_or_default().into_iter().collect();
        let mirror = TapMirror { port: row.parse(1)?, collector: row.parse(2)?, kind, numbers };
        rows.push(RowChange::TapMirror(row.parse(0)?, Some(mirror)));
        Ok(())
    })
}

fn direction(row: &Row<'_>, column: usize) -> Result<TapDirection, StoreError> {
    match row.get::<String>(column)?.as_str() {
        "IN" => Ok(TapDirection::In),
        "OUT" => Ok(TapDirection::Out),
        "BOTH" => Ok(TapDirection::Both),
        other => Err(malformed(column, "IN, OUT or BOTH", other)),
    }
}
