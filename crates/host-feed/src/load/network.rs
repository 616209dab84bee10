//! Networks with their segments, and subnets.

use super::{children, select};
use crate::row::{NetworkRow, RowChange};
use host_view::{HostRoute, Network, Segment, Subnet};
use net_types::{NetworkId, VlanId, Vni};
use network_model::subnet_pool::PREFIX_DELEGATION;
use store::{Snapshot, StoreError, params};

pub(super) fn networks(snapshot: &Snapshot<'_>, id: Option<&str>, rows: &mut Vec<RowChange>) -> Result<(), StoreError> {
    let (sql, params) = select(
        "SELECT n.id, n.mtu, n.admin_state_up, n.external, s.network_type, s.physical_network, s.segmentation_id,
                n.qos_policy_id
         FROM networks n JOIN network_segments s ON s.network_id = n.id",
        "n.id",
        id,
        "ORDER BY n.id, s.position",
    );
    snapshot.for_each(&sql, &params, |row| {
        let id: NetworkId = row.parse(0)?;
        let segment = match segment(&row.text(4)?, row.get(5)?, row.get(6)?) {
            Ok(segment) => segment,
            Err(error) => {
                tracing::error!(%id, error, "a network's segment cannot be read");
                return Ok(());
            }
        };
        match rows.last_mut() {
            Some(RowChange::Network(before, Some(network))) if *before == id => network.further.push(segment),
            _ => {
                let network = Network { segment, mtu: row.get(1)?, admin_state_up: row.get(2)?, external: row.get(3)? };
                let qos_policy = row.parse_opt(7)?;
                rows.push(RowChange::Network(id, Some(NetworkRow { network, further: Vec::new(), qos_policy })));
            }
        }
        Ok(())
    })
}

fn segment(kind: &str, physical_network: Option<String>, number: Option<u32>) -> Result<Segment, String> {
    let physical = || physical_network.clone().ok_or_else(|| format!("no physical network for {kind}"));
    let number = || number.ok_or_else(|| format!("no segmentation id for {kind}"));
    Ok(match kind {
        "local" => Segment::Local,
        "flat" => Segment::Flat { physical_network: physical()? },
        "vlan" => Segment::Vlan {
            physical_network: physical()?,
            vlan: u16::try_from(number()?).ok().and_then(|n| VlanId::new(n).ok()).ok_or("no VLAN id")?,
        },
        "vxlan" => Segment::Vxlan { vni: Vni::new(number()?).map_err(|e| e.to_string())? },
        "geneve" => Segment::Geneve { vni: Vni::new(number()?).map_err(|e| e.to_string())? },
        "gre" => Segment::Gre { key: number()? },
        other => return Err(format!("unknown network type '{other}'")),
    })
}

pub(super) fn subnets(snapshot: &Snapshot<'_>, id: Option<&str>, rows: &mut Vec<RowChange>) -> Result<(), StoreError> {
    let mut dns = children(
        snapshot,
        select(
            "SELECT subnet_id, address FROM subnet_dns_nameservers",
            "subnet_id",
            id,
            "ORDER BY subnet_id, position",
        ),
        |row| Ok((row.get::<String>(0)?, row.parse(1)?)),
    )?;
    let mut routes = children(
        snapshot,
        select(
            "SELECT subnet_id, destination, nexthop FROM subnet_host_routes",
            "subnet_id",
            id,
            "ORDER BY subnet_id, position",
        ),
        |row| Ok((row.get::<String>(0)?, HostRoute { destination: row.parse(1)?, nexthop: row.parse(2)? })),
    )?;
    let (sql, params) = select(
        "SELECT s.id, s.network_id, s.cidr, s.gateway_ip, s.enable_dhcp, s.ipv6_address_mode, s.ipv6_ra_mode,
             s.subnetpool_id, p.address_scope_id
         FROM subnets s LEFT JOIN subnetpools p ON p.id = s.subnetpool_id",
        "s.id",
        id,
        "",
    );
    snapshot.for_each(&sql, &params, |row| {
        let key: String = row.get(0)?;
        if row.get::<Option<String>>(7)?.as_deref() == Some(PREFIX_DELEGATION) {
            // Until it has been delegated its prefix there is nothing that a host could realise.
            return Ok(());
        }
        let subnet = Subnet {
            network: row.parse(1)?,
            cidr: row.parse(2)?,
            gateway: row.parse_opt(3)?,
            enable_dhcp: row.get(4)?,
            dns_nameservers: dns.remove(&key).unwrap_or_default(),
            host_routes: routes.remove(&key).unwrap_or_default(),
            ipv6_address_mode: row.get(5)?,
            ipv6_ra_mode: row.get(6)?,
            address_scope: row.parse_opt(8)?,
        };
        rows.push(RowChange::Subnet(row.parse(0)?, Some(subnet)));
        Ok(())
    })
}

/// The subnets of a pool: its address scope is theirs.
pub(super) fn subnets_of_pool(
    snapshot: &Snapshot<'_>,
    pool: &str,
    rows: &mut Vec<RowChange>,
) -> Result<(), StoreError> {
    let ids: Vec<String> =
        snapshot.query("SELECT id FROM subnets WHERE subnetpool_id = ?1", params![pool], |row| row.get(0))?;
    ids.iter().try_for_each(|id| subnets(snapshot, Some(id), rows))
}
