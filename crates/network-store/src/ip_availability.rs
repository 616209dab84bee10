//! How many addresses of networks are used: counts for administrators, read when they are asked for.

use net_types::IpNet;
use network_model::IpRange;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::IpAddr;
use store::{Snapshot, StoreError, Value};

/// One subnet's counts.
struct SubnetAvailability {
    subnet_id: String,
    subnet_name: String,
    cidr: IpNet,
    counts: Counts,
}

/// Addresses.
#[derive(Clone, Copy, Default)]
struct Counts {
    /// That ports can get: those of the pools, without pools all.
    total: u128,
    /// That ports have.
    used: u128,
    /// Of hosts.
    total_in_subnet: u128,
    /// In the pools.
    total_in_pools: u128,
    /// That ports have and that are in the pools.
    used_in_pools: u128,
}

impl Counts {
    /// As JSON.
    fn details(&self) -> String {
        format!(
            "{{\"total_ips_in_subnet\":{},\"total_ips_in_allocation_pool\":{},\"used_ips_in_subnet\":{},\
             \"used_ips_in_allocation_pool\":{}}}",
            self.total_in_subnet, self.total_in_pools, self.used, self.used_in_pools
        )
    }
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

/// So many networks are asked for with one statement.
const MOST: usize = 200;

/// What is shown of networks, each member's name and its JSON, in the order of the networks. With `ip_versions` only such
/// subnets count. The numbers are written as texts: IPv6 has more addresses than most numbers can tell.
pub fn members(
    snapshot: &Snapshot<'_>,
    networks: &[String],
    ip_versions: &[i64],
) -> Result<Vec<Vec<(&'static str, String)>>, StoreError> {
    let mut shown = Vec::with_capacity(networks.len());
    for some in networks.chunks(MOST) {
        let mut found = of_networks(snapshot, some, ip_versions)?;
        shown.extend(some.iter().map(|network| of_subnets(&found.remove(network).unwrap_or_default())));
    }
    Ok(shown)
}

fn of_subnets(subnets: &[SubnetAvailability]) -> Vec<(&'static str, String)> {
    let all: Counts = subnets.iter().map(|subnet| subnet.counts).sum();
    let subnets: Vec<String> = subnets
        .iter()
        .map(|SubnetAvailability { subnet_id, subnet_name, cidr, counts }| {
            format!(
                "{{\"subnet_id\":{},\"ip_version\":{},\"cidr\":{},\"subnet_name\":{},\"used_ips\":{},\"total_ips\":{},\
                 \"ip_availability_details\":{}}}",
                json!(subnet_id),
                if cidr.addr().is_ipv4() { 4 } else { 6 },
                json!(cidr),
                json!(subnet_name),
                counts.used,
                counts.total,
                counts.details()
            )
        })
        .collect();
    vec![
        ("subnet_ip_availability", format!("[{}]", subnets.join(","))),
        ("used_ips", all.used.to_string()),
        ("total_ips", all.total.to_string()),
        ("ip_availability_details", all.details()),
    ]
}

/// The subnets of each network, oldest first.
fn of_networks(
    snapshot: &Snapshot<'_>,
    networks: &[String],
    ip_versions: &[i64],
) -> Result<BTreeMap<String, Vec<SubnetAvailability>>, StoreError> {
    let mut params: Vec<Value<'static>> = Vec::new();
    let mut one_of = |column: &str, values: Vec<Value<'static>>| {
        let places: Vec<String> = (params.len() + 1..=params.len() + values.len()).map(|n| format!("?{n}")).collect();
        params.extend(values);
        format!("{column} IN ({})", places.join(", "))
    };
    let mut conditions = one_of("subnets.network_id", networks.iter().map(|id| Value::from(id.clone())).collect());
    if !ip_versions.is_empty() {
        let versions = ip_versions.iter().map(|version| Value::from(*version)).collect();
        conditions += &format!(" AND {}", one_of("subnets.ip_version", versions));
    }

    let mut pools: BTreeMap<String, Vec<IpRange>> = BTreeMap::new();
    snapshot.for_each(
        &format!(
            "SELECT pools.subnet_id, pools.first_ip, pools.last_ip FROM subnets
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
            "SELECT fixed_ips.subnet_id, fixed_ips.ip_address FROM subnets
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
    let mut found: BTreeMap<String, Vec<SubnetAvailability>> = BTreeMap::new();
    snapshot.for_each(
        &format!(
            "SELECT subnets.network_id, subnets.id, subnets.name, subnets.cidr FROM subnets
             WHERE {conditions} ORDER BY subnets.created_at, subnets.id"
        ),
        &params,
        |row| {
            let (subnet_id, cidr): (String, IpNet) = (row.get(1)?, row.parse(3)?);
            let counts = counts(cidr, pools.get(&subnet_id), used.get(&subnet_id));
            let subnet = SubnetAvailability { subnet_id, subnet_name: row.get(2)?, cidr, counts };
            found.entry(row.get(0)?).or_default().push(subnet);
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
