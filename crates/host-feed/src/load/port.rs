//! Ports with their addresses, groups and address pairs.

use super::{children, malformed, select};
use crate::row::{PortRow, RowChange};
use host_view::{AddressPair, ExtraDhcpOption, FixedIp, Port};
use store::{Snapshot, StoreError};

pub(super) fn ports(snapshot: &Snapshot<'_>, id: Option<&str>, rows: &mut Vec<RowChange>) -> Result<(), StoreError> {
    let mut fixed_ips = children(
        snapshot,
        select("SELECT port_id, subnet_id, ip_address FROM fixed_ips", "port_id", id, "ORDER BY port_id, position"),
        |row| Ok((row.get::<String>(0)?, FixedIp { subnet: row.parse(1)?, address: row.parse(2)? })),
    )?;
    let mut groups = children(
        snapshot,
        select("SELECT port_id, security_group_id FROM port_security_groups", "port_id", id, ""),
        |row| Ok((row.get::<String>(0)?, row.parse(1)?)),
    )?;
    let mut pairs = children(
        snapshot,
        select("SELECT port_id, mac_address, ip_address FROM port_address_pairs", "port_id", id, ""),
        |row| {
            let text = row.text(2)?;
            let prefix = text.parse().or_else(|_| text.parse().map(|address: std::net::IpAddr| address.into()));
            let address = prefix.map_err(|_| malformed(2, "an address or a prefix", text))?;
            Ok((row.get::<String>(0)?, AddressPair { mac: row.parse(1)?, address }))
        },
    )?;
    // What is bound to no host there is nothing to it.
    let mut moving = children(
        snapshot,
        select(
            "SELECT waiting.port_id, waiting.host, waiting.wired FROM port_bindings AS waiting
             JOIN ports ON ports.id = waiting.port_id AND ports.binding_host <> waiting.host AND waiting.vif_type = 'ovs'",
            "waiting.port_id",
            id,
            "",
        ),
        |row| Ok((row.get::<String>(0)?, (row.get::<String>(1)?, row.get::<bool>(2)?))),
    )?;
    let mut dhcp_options = children(
        snapshot,
        select("SELECT port_id, opt_name, opt_value, ip_version FROM port_dhcp_options", "port_id", id, ""),
        |row| {
            let option = ExtraDhcpOption { name: row.get(1)?, value: row.get(2)?, ip_version: row.get(3)? };
            Ok((row.get::<String>(0)?, option))
        },
    )?;
    let (sql, params) = select(
        "SELECT id, network_id, mac_address, device_owner, device_id, admin_state_up, port_security_enabled,
                binding_host, binding_vif_type, status, dns_name, qos_policy_id, project_id
         FROM ports",
        "id",
        id,
        "",
    );
    snapshot.for_each(&sql, &params, |row| {
        let key: String = row.get(0)?;
        let bound = row.text(8)? == "ovs";
        let moving = moving.remove(&key).unwrap_or_default();
        let port = PortRow {
            port: Port {
                network: row.parse(1)?,
                mac: row.parse(2)?,
                fixed_ips: fixed_ips.remove(&key).unwrap_or_default(),
                device_owner: row.get(3)?,
                device_id: row.get(4)?,
                admin_state_up: row.get(5)?,
                port_security: row.get(6)?,
                security_groups: groups.remove(&key).unwrap_or_default().into_iter().collect(),
                allowed_address_pairs: pairs.remove(&key).unwrap_or_default().into_iter().collect(),
            },
            host: Some(row.get::<String>(7)?).filter(|host| bound && !host.is_empty()),
            wired_on: moving.iter().filter(|(_, wired)| *wired).map(|(host, _)| host.clone()).collect(),
            moving_to: moving.into_iter().map(|(host, _)| host).collect(),
            hostname: Some(row.text(10)?).filter(|name| !name.is_empty()).map(|name| first_label(&name)),
            dhcp_options: dhcp_options.remove(&key).unwrap_or_default().into_iter().collect(),
            project: row.get(12)?,
            active: row.text(9)? == "ACTIVE",
            qos_policy: row.parse_opt(11)?,
        };
        rows.push(RowChange::Port(row.parse(0)?, Some(port)));
        Ok(())
    })
}

/// What a host is called inside its domain: of a full name that is the first label.
fn first_label(name: &str) -> String {
    match name.strip_suffix('.') {
        Some(full) => full.split('.').next().unwrap_or_default().to_owned(),
        None => name.to_owned(),
    }
}
