//! Routers with their extra routes, and floating IPs with their port forwardings.

use super::{children, malformed, select};
use crate::row::{FloatingIpRow, RouterRow, RowChange};
use host_view::{ConntrackHelper, Gateway, HostRoute, PortForwarding};
use net_types::{PortForwardingId, PortRange};
use std::collections::BTreeMap;
use store::{Row, Snapshot, StoreError};

pub(super) fn routers(snapshot: &Snapshot<'_>, id: Option<&str>, rows: &mut Vec<RowChange>) -> Result<(), StoreError> {
    let mut routes = children(
        snapshot,
        select("SELECT router_id, destination, nexthop FROM router_routes", "router_id", id, ""),
        |row| Ok((row.get::<String>(0)?, HostRoute { destination: row.parse(1)?, nexthop: row.parse(2)? })),
    )?;
    let mut gateways = children(
        snapshot,
        select(
            "SELECT router_gateways.router_id, router_gateways.port_id, router_gateways.enable_snat
             FROM router_gateways JOIN routers ON routers.id = router_gateways.router_id",
            "router_gateways.router_id",
            id,
            "ORDER BY CASE WHEN router_gateways.port_id = routers.gateway_port_id THEN 0 ELSE 1 END,
                 router_gateways.position",
        ),
        |row| Ok((row.get::<String>(0)?, Gateway { port: row.parse(1)?, enable_snat: row.get(2)? })),
    )?;
    let mut helpers = children(
        snapshot,
        select("SELECT router_id, helper, protocol, port FROM conntrack_helpers", "router_id", id, ""),
        |row| {
            let helper = ConntrackHelper { helper: row.get(1)?, protocol: row.get(2)?, port: row.get(3)? };
            Ok((row.get::<String>(0)?, helper))
        },
    )?;
    let mut proxies =
        children(snapshot, select("SELECT router_id, ip_address FROM ndp_proxies", "router_id", id, ""), |row| {
            Ok((row.get::<String>(0)?, row.parse(1)?))
        })?;
    let (sql, params) = select(
        "SELECT id, admin_state_up, project_id, enable_ndp_proxy, gateway_qos_policy_id, enable_default_route_ecmp,
             distributed
         FROM routers",
        "id",
        id,
        "",
    );
    snapshot.for_each(&sql, &params, |row| {
        let key: String = row.get(0)?;
        let router = RouterRow {
            admin_state_up: row.get(1)?,
            distributed: row.get(6)?,
            gateways: gateways.remove(&key).unwrap_or_default(),
            project: row.get(2)?,
            routes: routes.remove(&key).unwrap_or_default().into_iter().collect(),
            ndp_proxies: row.get::<bool>(3)?.then(|| proxies.remove(&key).unwrap_or_default().into_iter().collect()),
            gateway_policy: row.parse_opt(4)?,
            default_route_ecmp: row.get(5)?,
            conntrack_helpers: helpers.remove(&key).unwrap_or_default().into_iter().collect(),
        };
        rows.push(RowChange::Router(row.parse(0)?, Some(router)));
        Ok(())
    })
}

pub(super) fn floating_ips(
    snapshot: &Snapshot<'_>,
    id: Option<&str>,
    rows: &mut Vec<RowChange>,
) -> Result<(), StoreError> {
    let mut forwardings = forwardings(snapshot, id)?;
    let all = "SELECT id, floating_ip_address, fixed_ip_address, router_id, status, qos_policy_id, port_id
         FROM floating_ips";
    let (sql, params) = select(all, "id", id, "");
    snapshot.for_each(&sql, &params, |row| {
        let floating_ip = FloatingIpRow {
            floating_address: row.parse(1)?,
            fixed_address: row.parse_opt(2)?,
            port: row.parse_opt(6)?,
            router: row.parse_opt(3)?,
            forwardings: forwardings.remove(&row.get::<String>(0)?).unwrap_or_default().into_iter().collect(),
            policy: row.parse_opt(5)?,
            active: row.text(4)? == "ACTIVE",
        };
        rows.push(RowChange::FloatingIp(row.parse(0)?, Some(floating_ip)));
        Ok(())
    })
}

/// Port forwardings, by floating IP.
fn forwardings(
    snapshot: &Snapshot<'_>,
    floating_ip: Option<&str>,
) -> Result<BTreeMap<String, Vec<(PortForwardingId, PortForwarding)>>, StoreError> {
    let all = "SELECT p.id, p.floatingip_id, f.floating_ip_address, p.protocol, p.external_port_first,
            p.external_port_last, p.internal_ip_address, p.internal_port_first, p.internal_port_last
         FROM port_forwardings p JOIN floating_ips f ON f.id = p.floatingip_id";
    children(snapshot, select(all, "p.floatingip_id", floating_ip, ""), |row| {
        let forwarding = PortForwarding {
            floating_ip: row.parse(1)?,
            floating_address: row.parse(2)?,
            protocol: row.get(3)?,
            external: ports(row, 4)?,
            internal_address: row.parse(6)?,
            internal: ports(row, 7)?,
        };
        Ok((row.get::<String>(1)?, (row.parse(0)?, forwarding)))
    })
}

/// A first and a last port, in two columns.
fn ports(row: &Row<'_>, index: usize) -> Result<PortRange, StoreError> {
    let (first, last) = (row.get(index)?, row.get(index + 1)?);
    PortRange::new(first, last).map_err(|error| malformed(index, "a port range", error))
}
