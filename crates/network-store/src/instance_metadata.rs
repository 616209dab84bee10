//! What the server's own metadata service knows of an instance: what was put here for it, and what its ports say.

use net_types::{IpNet, MacAddr};
use std::collections::BTreeMap;
use std::net::IpAddr;
use store::{Snapshot, StoreError, Tx, params};

/// What is put here for an instance.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InstanceData {
    /// Its name.
    pub hostname: String,
    /// Octet by octet what it is given.
    pub user_data: Option<Vec<u8>>,
    /// Name to key, in OpenSSH's format.
    pub public_keys: BTreeMap<String, String>,
}

/// A port of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstancePort {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub project: String,
    /// Its MAC address.
    pub mac: MacAddr,
    /// Its network.
    pub network: String,
    /// Bytes of the largest IP packet on it.
    pub mtu: u32,
    /// Its addresses, in order.
    pub addresses: Vec<InstanceAddress>,
    /// Floating IPs that lead to it.
    pub floating: Vec<IpAddr>,
}

/// An address of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceAddress {
    /// The address.
    pub address: IpAddr,
    /// The prefix of its subnet.
    pub cidr: IpNet,
    /// `gateway_ip` of its subnet.
    pub gateway: Option<IpAddr>,
    /// Whether DHCP serves its subnet.
    pub dhcp: bool,
    /// `dns_nameservers` of its subnet, in order.
    pub dns: Vec<IpAddr>,
}

/// Puts what an instance is told in the place of what it was told before.
pub fn put(tx: &Tx<'_>, device: &str, data: &InstanceData) -> Result<(), StoreError> {
    delete(tx, device)?;
    let keys: serde_json::Map<String, serde_json::Value> =
        data.public_keys.iter().map(|(name, key)| (name.clone(), key.as_str().into())).collect();
    let keys = serde_json::Value::Object(keys).to_string();
    let sql = "INSERT INTO instance_metadata (device_id, hostname, user_data, public_keys) VALUES (?1, ?2, ?3, ?4)";
    tx.execute(sql, params![device, &data.hostname, data.user_data.clone(), keys])?;
    Ok(())
}

/// Forgets it; whether there was something.
pub fn delete(tx: &Tx<'_>, device: &str) -> Result<bool, StoreError> {
    Ok(tx.execute("DELETE FROM instance_metadata WHERE device_id = ?1", params![device])? > 0)
}

/// What was put here for an instance.
pub fn data(snapshot: &Snapshot<'_>, device: &str) -> Result<Option<InstanceData>, StoreError> {
    let sql = "SELECT hostname, user_data, public_keys FROM instance_metadata WHERE device_id = ?1";
    snapshot.query_opt(sql, params![device], |row| {
        let public_keys = serde_json::from_str(&row.text(2)?).unwrap_or_default();
        Ok(InstanceData { hostname: row.get(0)?, user_data: row.get(1)?, public_keys })
    })
}

/// The ports of an instance, with their addresses.
pub fn ports(snapshot: &Snapshot<'_>, device: &str) -> Result<Vec<InstancePort>, StoreError> {
    let sql = "SELECT p.id, p.project_id, p.mac_address, p.network_id, n.mtu
               FROM ports p JOIN networks n ON n.id = p.network_id WHERE p.device_id = ?1 ORDER BY p.created_at, p.id";
    let mut found = snapshot.query(sql, params![device], |row| {
        Ok(InstancePort {
            id: row.get(0)?,
            project: row.get(1)?,
            mac: row.parse(2)?,
            network: row.get(3)?,
            mtu: row.get(4)?,
            addresses: Vec::new(),
            floating: Vec::new(),
        })
    })?;
    for port in &mut found {
        let sql = "SELECT f.ip_address, s.cidr, s.gateway_ip, s.enable_dhcp, s.id
                   FROM fixed_ips f JOIN subnets s ON s.id = f.subnet_id WHERE f.port_id = ?1 ORDER BY f.position";
        let addresses = snapshot.query(sql, params![&port.id], |row| {
            let address = InstanceAddress {
                address: row.parse(0)?,
                cidr: row.parse(1)?,
                gateway: row.parse_opt(2)?,
                dhcp: row.get(3)?,
                dns: Vec::new(),
            };
            Ok((address, row.get::<String>(4)?))
        })?;
        for (mut address, subnet) in addresses {
            let sql = "SELECT address FROM subnet_dns_nameservers WHERE subnet_id = ?1 ORDER BY position";
            address.dns = snapshot.query(sql, params![&subnet], |row| row.parse(0))?;
            port.addresses.push(address);
        }
        let sql = "SELECT floating_ip_address FROM floating_ips WHERE port_id = ?1 ORDER BY floating_ip_address";
        port.floating = snapshot.query(sql, params![&port.id], |row| row.parse(0))?;
    }
    Ok(found)
}
