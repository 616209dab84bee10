//! Routers with their extra routes, and floating IPs.

use super::{children, select};
use crate::row::{FloatingIpRow, RouterRow, RowChange};
use host_view::HostRoute;
use store::{Snapshot, StoreError};

pub(super) fn routers(snapshot: &Snapshot<'_>, id: Option<&str>, rows: &mut Vec<RowChange>) -> Result<(), StoreError> {
    let mut routes = children(
        snapshot,
        select("SELECT router_id, destination, nexthop FROM router_routes", "router_id", id, ""),
        |row| Ok((row.get::<String>(0)?, HostRoute { destination: row.parse(1)?, nexthop: row.parse(2)? })),
    )?;
    let (sql, params) = select("SELECT id, admin_state_up, enable_snat FROM routers", "id", id, "");
    snapshot.for_each(&sql, &params, |row| {
        let key: String = row.get(0)?;
        let routes = routes.remove(&key).unwrap_or_default().into_iter().collect();
        rows.push(RowChange::Router(
            row.parse(0)?,
            Some(RouterRow { admin_state_up: row.get(1)?, enable_snat: row.get(2)?, routes }),
        ));
        Ok(())
    })
}

pub(super) fn floating_ips(
    snapshot: &Snapshot<'_>,
    id: Option<&str>,
    rows: &mut Vec<RowChange>,
) -> Result<(), StoreError> {
    let (sql, params) =
        select("SELECT id, floating_ip_address, fixed_ip_address, router_id, status FROM floating_ips", "id", id, "");
    snapshot.for_each(&sql, &params, |row| {
        let floating_ip = FloatingIpRow {
            floating_address: row.parse(1)?,
            fixed_address: row.parse_opt(2)?,
            router: row.parse_opt(3)?,
            active: row.text(4)? == "ACTIVE",
        };
        rows.push(RowChange::FloatingIp(row.parse(0)?, Some(floating_ip)));
        Ok(())
    })
}
