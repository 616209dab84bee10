//! Local IPs with the ports that they are associated with.

use super::{children, malformed, select};
use crate::row::RowChange;
use host_view::{LocalIp, LocalIpMode};
use net_types::PortId;
use std::net::IpAddr;
use store::{Change, Snapshot, StoreError, params};
use uuid::Uuid;

pub(super) fn local_ips(
    snapshot: &Snapshot<'_>,
    id: Option<&str>,
    rows: &mut Vec<RowChange>,
) -> Result<(), StoreError> {
    let all = "SELECT local_ip_id, fixed_port_id, fixed_ip FROM local_ip_associations";
    let mut ports = children(snapshot, select(all, "local_ip_id", id, ""), |row| {
        Ok((row.get::<String>(0)?, (row.parse::<PortId>(1)?, row.parse::<IpAddr>(2)?)))
    })?;
    let (sql, params) = select("SELECT id, local_ip_address, ip_mode FROM local_ips", "id", id, "");
    snapshot.for_each(&sql, &params, |row| {
        let mode = match row.get::<String>(2)?.as_str() {
            "translate" => LocalIpMode::Translate,
            "passthrough" => LocalIpMode::Passthrough,
            other => return Err(malformed(2, "translate or passthrough", other)),
        };
        let ports = ports.remove(&row.get::<String>(0)?).unwrap_or_default().into_iter().collect();
        rows.push(RowChange::LocalIp(row.parse(0)?, Some(LocalIp { address: row.parse(1)?, mode, ports })));
        Ok(())
    })
}

/// The local IP of an association; none: the change does not say, and it is gone.
pub(super) fn of_association(snapshot: &Snapshot<'_>, change: &Change) -> Result<Option<Uuid>, StoreError> {
    let noted = change.extra.as_ref().and_then(|extra| extra.get("local_ip_id")).and_then(|id| id.as_str());
    if let Some(id) = noted {
        return Ok(id.parse().ok());
    }
    let sql = "SELECT local_ip_id FROM local_ip_associations WHERE id = ?1";
    snapshot.query_opt(sql, params![&change.id], |row| row.parse(0))
}
