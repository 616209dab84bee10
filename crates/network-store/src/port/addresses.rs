//! Fixed IPs in the store: taking and returning addresses.

use crate::{NetworkError, Work};
use net_types::{IpNet, MacAddr, NetworkId, PortId, SubnetId};
use network_model::fixed_ips::{FixedIp, Wanted};
use network_model::free_addresses::{self, FreeRanges};
use network_model::subnet::Subnet;
use network_model::{IpRange, ModelError, device_owner};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use store::{Snapshot, StoreError, Tx, params};

/// Hexadecimal digits in network order: they sort as the addresses do.
fn key(addr: IpAddr) -> String {
    match addr {
        IpAddr::V4(v4) => format!("{:08x}", v4.to_bits()),
        IpAddr::V6(v6) => format!("{:032x}", v6.to_bits()),
    }
}

fn address(key: &str) -> Result<IpAddr, String> {
    let bits = u128::from_str_radix(key, 16).map_err(|e| e.to_string())?;
    match key.len() {
        8 => u32::try_from(bits).map(|bits| Ipv4Addr::from_bits(bits).into()).map_err(|e| e.to_string()),
        _ => Ok(Ipv6Addr::from_bits(bits).into()),
    }
}

/// The free runs of one subnet in the table `ip_free_ranges`.
struct Runs<'a> {
    tx: &'a Tx<'a>,
    subnet: SubnetId,
}

impl FreeRanges for Runs<'_> {
    type Error = StoreError;

    fn at_or_after(&mut self, addr: IpAddr) -> Result<Option<IpRange>, StoreError> {
        let read = |row: &store::Row<'_>, index| {
            address(&row.text(index)?).map_err(|found| StoreError::Column { index, expected: "an address", found })
        };
        let bounds = self.tx.query_opt(
            "SELECT first_ip, last_ip FROM ip_free_ranges WHERE subnet_id = ?1 AND last_ip >= ?2 ORDER BY last_ip LIMIT 1",
            params![self.subnet.0, key(addr)],
            |row| Ok((read(row, 0)?, read(row, 1)?)),
        )?;
        Ok(bounds.and_then(|(first, last)| IpRange::new(first, last)))
    }

    fn insert(&mut self, run: IpRange) -> Result<(), StoreError> {
        self.tx.execute(
            "INSERT INTO ip_free_ranges (subnet_id, first_ip, last_ip) VALUES (?1, ?2, ?3)",
            params![self.subnet.0, key(run.first()), key(run.last())],
        )?;
        Ok(())
    }

    fn remove(&mut self, run: IpRange) -> Result<(), StoreError> {
        self.tx.execute(
            "DELETE FROM ip_free_ranges WHERE subnet_id = ?1 AND last_ip = ?2",
            params![self.subnet.0, key(run.last())],
        )?;
        Ok(())
    }
}

/// Writes the free runs of a subnet anew: its pools have changed.
pub(crate) fn rebuild_free(work: &Work<'_>, subnet: SubnetId, pools: &[IpRange]) -> Result<(), NetworkError> {
    work.tx.execute("DELETE FROM ip_free_ranges WHERE subnet_id = ?1", params![subnet.0])?;
    let taken: Vec<IpAddr> =
        work.tx
            .query("SELECT ip_address FROM fixed_ips WHERE subnet_id = ?1", params![subnet.0], |row| row.parse(0))?;
    write_runs(work, subnet, pools, taken)
}

/// Writes the free runs of a subnet that has been made just now.
pub(crate) fn write_free(work: &Work<'_>, subnet: SubnetId, pools: &[IpRange]) -> Result<(), NetworkError> {
    write_runs(work, subnet, pools, Vec::new())
}

fn write_runs(
    work: &Work<'_>,
    subnet: SubnetId,
    pools: &[IpRange],
    mut taken: Vec<IpAddr>,
) -> Result<(), NetworkError> {
    taken.sort_unstable();
    let mut runs = Runs { tx: work.tx, subnet };
    for run in free_addresses::free_runs(pools, taken) {
        runs.insert(run)?;
    }
    Ok(())
}

/// The addresses of a port, in order.
pub fn of_port(snapshot: &Snapshot<'_>, port: PortId) -> Result<Vec<FixedIp>, StoreError> {
    snapshot.query(
        "SELECT subnet_id, ip_address FROM fixed_ips WHERE port_id = ?1 ORDER BY position",
        params![port.0],
        |row| Ok(FixedIp { subnet_id: row.parse(0)?, ip_address: row.parse(1)? }),
    )
}

/// Takes what is wanted for a port of this `device_owner`; the addresses in the order of the wishes.
pub(crate) fn take(
    work: &Work<'_>,
    network: NetworkId,
    owner: &str,
    wanted: &[Wanted],
) -> Result<Vec<FixedIp>, NetworkError> {
    let mut taken: Vec<FixedIp> = Vec::with_capacity(wanted.len());
    for wish in wanted {
        taken.push(match wish {
            Wanted::Exactly(ip) => exactly(work, *ip)?,
            Wanted::AnyOf(subnets) => any(work, network, owner, subnets)?,
        });
    }
    Ok(taken)
}

fn exactly(work: &Work<'_>, wanted: FixedIp) -> Result<FixedIp, NetworkError> {
    let FixedIp { subnet_id, ip_address } = wanted;
    let used = work.tx.exists(
        "SELECT 1 FROM fixed_ips WHERE subnet_id = ?1 AND ip_address = ?2",
        params![subnet_id.0, ip_address.to_string()],
    )?;
    if used {
        return Err(ModelError::IpAddressAlreadyAllocated { ip: ip_address, subnet_id }.into());
    }
    free_addresses::take(&mut Runs { tx: work.tx, subnet: subnet_id }, ip_address)?;
    Ok(wanted)
}

fn any(work: &Work<'_>, network: NetworkId, owner: &str, subnets: &[SubnetId]) -> Result<FixedIp, NetworkError> {
    for subnet in subnets {
        let Some(hint) = hint(work, *subnet, owner)? else { continue };
        if let Some(ip_address) = free_addresses::take_any(&mut Runs { tx: work.tx, subnet: *subnet }, hint)? {
            return Ok(FixedIp { subnet_id: *subnet, ip_address });
        }
    }
    Err(ModelError::IpAddressGenerationFailure { net_id: network }.into())
}

/// Where to look for a free address first: anywhere in the subnet, as Neutron does, so that an address which was just
/// given back is not at once another port's while neighbours still remember the old one. DHCP's ports begin at the start.
fn hint(work: &Work<'_>, subnet: SubnetId, owner: &str) -> Result<Option<IpAddr>, NetworkError> {
    let cidr: Option<IpNet> =
        work.tx.query_opt("SELECT cidr FROM subnets WHERE id = ?1", params![subnet.0], |row| row.parse(0))?;
    Ok(cidr.map(|cidr| {
        let bits = if device_owner::takes_lowest_address(owner) { 0 } else { (work.random)() };
        match cidr {
            IpNet::V4(v4) => {
                // Cutting to the lower half of the random bits is meant.
                let host = (bits as u32) & v4.hostmask().to_bits();
                Ipv4Addr::from_bits(v4.network().to_bits() | host).into()
            }
            IpNet::V6(v6) => Ipv6Addr::from_bits(v6.network().to_bits() | (bits & v6.hostmask().to_bits())).into(),
        }
    }))
}

/// Writes a port's addresses, first to last.
pub(crate) fn write(work: &Work<'_>, network: NetworkId, port: PortId, ips: &[FixedIp]) -> Result<(), NetworkError> {
    for (position, ip) in ips.iter().enumerate() {
        work.tx.execute(
            "INSERT INTO fixed_ips (subnet_id, ip_address, port_id, network_id, position) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![ip.subnet_id.0, ip.ip_address.to_string(), port.0, network.0, position],
        )?;
    }
    Ok(())
}

/// Gives addresses back to their pools.
pub(crate) fn give_back(work: &Work<'_>, ips: &[FixedIp]) -> Result<(), NetworkError> {
    for ip in ips {
        let pools = crate::subnet::pools(work.tx, ip.subnet_id)?;
        work.tx.execute(
            "DELETE FROM fixed_ips WHERE subnet_id = ?1 AND ip_address = ?2",
            params![ip.subnet_id.0, ip.ip_address.to_string()],
        )?;
        free_addresses::give_back(&mut Runs { tx: work.tx, subnet: ip.subnet_id }, &pools, ip.ip_address)?;
    }
    Ok(())
}

/// A new subnet with SLAAC gives every port of the network, but for routers', the address that its MAC address makes. If it is
/// only for some (`for_some`), those get one.
pub(crate) fn add_automatic(
    work: &Work<'_>,
    network: NetworkId,
    subnet: &Subnet,
    for_some: bool,
) -> Result<(), NetworkError> {
    let IpNet::V6(cidr) = subnet.cidr else { return Ok(()) };
    let ports: Vec<(PortId, MacAddr, String, String)> = work.tx.query(
        "SELECT id, mac_address, device_owner, binding_host FROM ports WHERE network_id = ?1",
        params![network.0],
        |row| Ok((row.parse(0)?, row.parse(1)?, row.get(2)?, row.get(3)?)),
    )?;
    for (port, mac, owner, host) in ports {
        if device_owner::is_router_interface_or_snat(&owner) || owner == device_owner::DHCP {
            continue;
        }
        if for_some && !super::candidates::may_have(work, network, &owner, &host, subnet.id)? {
            continue;
        }
        let ip = exactly(work, FixedIp { subnet_id: subnet.id, ip_address: mac.eui64(cidr.network()).into() })?;
        let position = work
            .tx
            .count("SELECT COALESCE(max(position) + 1, 0) FROM fixed_ips WHERE port_id = ?1", params![port.0])?;
        work.tx.execute(
            "INSERT INTO fixed_ips (subnet_id, ip_address, port_id, network_id, position) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![ip.subnet_id.0, ip.ip_address.to_string(), port.0, network.0, position],
        )?;
        super::changed(work, port)?;
    }
    Ok(())
}
