//! How many addresses of networks are used: counts for administrators, read when they are asked for.

use net_types::IpNet;
use network_model::IpRange;
use std::collections::BTreeMap;
use std::net::IpAddr;
use store::{Snapshot, StoreError, Value};

/// Which networks; of each list any, an empty one says nothing.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// `network_id`.
    pub network_ids: Vec<String>,
    /// `network_name`.
    pub network_names: Vec<String>,
    /// `project_id`.
    pub project_ids: Vec<String>,
    /// `ip_version` of a subnet.
    pub ip_versions: Vec<i64>,
}

/// One network's counts.
#[derive(Debug, Clone)]
pub struct Availability {
    /// Its id.
    pub network_id: String,
    /// Its name.
    pub network_name: String,
    /// Whose it is.
    pub project_id: String,
    /// Its subnets', oldest first.
    pub subnets: Vec<SubnetAvailability>,
}

/// One subnet's counts.
#[derive(Debug, Clone)]
pub struct SubnetAvailability {
    /// Its id.
    pub subnet_id: String,
    /// Its name.
    pub subnet_name: String,
    /// Its prefix.
    pub cidr: IpNet,
    /// All counts.
    pub counts: Counts,
}

/// Addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// That ports can get: those of the pools, without pools all.
    pub total: u128,
    /// That ports have.
    pub used: u128,
    /// Of hosts.
    pub total_in_subnet: u128,
    /// In the pools.
    pub total_in_pools: u128,
    /// That ports have and that are in the pools.
    pub used_in_pools: u128,
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |a, b| Self {
            total: a.total.saturating_add(b.total),
            used: a.used.saturating_add(b.used),
            total_in_subnet: a.total_in_subnet.saturating_add(b.total_in_subnet),
            total_in_pools: a.total_in_pools.saturating_add(b.total_in_pools),
            used_in_pools: a.used_in_pools.saturating_add(b.used_in_pools),
        })
    }
}

/// The networks that the filter lets through, by id.
pub fn of_networks(snapshot: &Snapshot<'_>, filter: &Filter) -> Result<Vec<Availability>, StoreError> {
    let mut params: Vec<Value<'static>> = Vec::new();
    let mut conditions = String::from("1 = 1");
    let mut one_of = |column: &str, values: Vec<Value<'static>>| {
        if values.is_empty() {
            return;
        }
        let places: Vec<String> = (params.len() + 1..=params.len() + values.len()).map(|n| format!("?{n}")).collect();
        params.extend(values);
        conditions += &format!(" AND {column} IN ({})", places.join(", "));
    };
    let texts = |list: &[String]| list.iter().map(|text| Value::from(text.clone())).collect();
    one_of("networks.id", texts(&filter.network_ids));
    one_of("networks.name", texts(&filter.network_names));
    one_of("networks.project_id", texts(&filter.project_ids));
    one_of("subnets.ip_version", filter.ip_versions.iter().map(|version| Value::from(*version)).collect());

    let mut pools: BTreeMap<String, Vec<IpRange>> = BTreeMap::new();
    let from = "FROM networks LEFT JOIN subnets ON subnets.network_id = networks.id";
    snapshot.for_each(
        &format!(
            "SELECT pools.subnet_id, pools.first_ip, pools.last_ip {from}
             JOIN subnet_allocation_pools AS pools ON pools.subnet_id = subnets.id WHERE {conditions}"
        ),
        &params,
        |row| {
            let (first, last): (IpAddr, IpAddr) = (row.parse(1)?, row.parse(2)?);
            pools.entry(row.get(0)?).or_default().extend(IpRange::new(first, last));
            Ok(())
        },
    )?;
    let mut used: BTreeMap<String, (u128, u128)> = BTreeMap::new();
    snapshot.for_each(
        &format!(
            "SELECT fixed_ips.subnet_id, fixed_ips.ip_address {from}
             JOIN fixed_ips ON fixed_ips.subnet_id = subnets.id WHERE {conditions}"
        ),
        &params,
        |row| {
            let (subnet, address): (String, IpAddr) = (row.get(0)?, row.parse(1)?);
            let in_pools = pools.get(&subnet).is_some_and(|pools| pools.iter().any(|pool| pool.contains(address)));
            let counts = used.entry(subnet).or_default();
            counts.0 += 1;
            counts.1 += u128::from(in_pools);
            Ok(())
        },
    )?;
    let mut found: Vec<Availability> = Vec::new();
    snapshot.for_each(
        &format!(
            "SELECT networks.id, networks.name, networks.project_id, subnets.id, subnets.name, subnets.cidr {from}
             WHERE {conditions} ORDER BY networks.id, subnets.created_at, subnets.id"
        ),
        &params,
        |row| {
            let network_id: String = row.get(0)?;
            if found.last().is_none_or(|last| last.network_id != network_id) {
                let (network_name, project_id) = (row.get(1)?, row.get(2)?);
                found.push(Availability { network_id, network_name, project_id, subnets: Vec::new() });
            }
            let (Some(network), Some(subnet_id)) = (found.last_mut(), row.get::<Option<String>>(3)?) else {
                return Ok(());
            };
            let cidr: IpNet = row.parse(5)?;
            let counts = counts(cidr, pools.get(&subnet_id), used.get(&subnet_id));
            network.subnets.push(SubnetAvailability { subnet_id, subnet_name: row.get(4)?, cidr, counts });
            Ok(())
        },
    )?;
    Ok(found)
}

fn counts(cidr: IpNet, pools: Option<&Vec<IpRange>>, used: Option<&(u128, u128)>) -> Counts {
    let whole = IpRange::of_net(cidr).size();
    let in_pools = pools.map(|pools| pools.iter().map(IpRange::size).fold(0, u128::saturating_add));
    let (used, used_in_pools) = used.copied().unwrap_or_default();
    Counts {
        total: in_pools.unwrap_or(whole),
        used,
        // Of IPv4 not the network's and the broadcast address.
        total_in_subnet: if cidr.addr().is_ipv4() { whole.saturating_sub(2) } else { whole },
        total_in_pools: in_pools.unwrap_or(0),
        used_in_pools,
    }
}
