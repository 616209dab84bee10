//! Where a new subnet's prefix comes from: its request, a pool, or a router that will be delegated one.

use super::{SubnetPool, default_of, get_visible};
use crate::subnet::SubnetCreate;
use crate::{NetworkError, Work};
use net_types::{IpNet, NetworkId};
use network_model::subnet::Ipv6Mode;
use network_model::subnet_pool::{PREFIX_DELEGATION, PROVISIONAL_PREFIX, Pool, Sibling, check_affinity};
use network_model::{ModelError, ip_range};
use std::net::IpAddr;
use store::{Snapshot, StoreError, params};
use uuid::Uuid;

/// The prefix of a new subnet, and what comes with its origin.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The prefix.
    pub cidr: IpNet,
    /// What `subnetpool_id` becomes.
    pub subnetpool_id: Option<String>,
    /// The gateway when the request leaves it open: of an IPv6 subnet that is cut anywhere, Neutron takes the first address
    /// after the network's.
    pub gateway_ip: Option<Option<IpAddr>>,
    /// Whether it waits for a delegated prefix.
    pub delegated: bool,
}

/// The prefixes of a pool's subnets.
pub(super) fn allocated(snapshot: &Snapshot<'_>, pool: Uuid) -> Result<Vec<IpNet>, StoreError> {
    snapshot.query("SELECT cidr FROM subnets WHERE subnetpool_id = ?1", params![pool], |row| row.parse(0))
}

/// The subnets of a network, as far as the rules of pools look at them.
fn siblings(snapshot: &Snapshot<'_>, network: NetworkId) -> Result<Vec<Sibling>, StoreError> {
    snapshot.query(
        "SELECT subnets.ip_version, subnets.subnetpool_id, subnetpools.address_scope_id FROM subnets
         LEFT JOIN subnetpools ON subnetpools.id = subnets.subnetpool_id WHERE subnets.network_id = ?1",
        params![network.0],
        |row| Ok(Sibling { ip_version: row.get(0)?, subnetpool_id: row.get(1)?, address_scope_id: row.parse_opt(2)? }),
    )
}

fn bad(msg: impl Into<String>) -> NetworkError {
    ModelError::BadRequest { resource: "subnets", msg: msg.into() }.into()
}

/// Finds the prefix of a new subnet, cutting it out of the pool if it is of one.
pub(crate) fn source(work: &Work<'_>, request: &SubnetCreate) -> Result<Source, NetworkError> {
    if request.cidr.is_some() && request.prefixlen.is_some() {
        return Err(bad("cidr and prefixlen must not be supplied together"));
    }
    let gateway_ip = request.gateway_ip;
    let Some(pool) = pool_of(work, request)? else {
        let cidr = request.cidr.ok_or_else(|| bad("a subnetpool must be specified in the absence of a cidr"))?;
        return Ok(Source { cidr, subnetpool_id: None, gateway_ip, delegated: false });
    };
    if request.cidr.is_none() && request.allocation_pools.is_some() {
        return Err(bad("allocation_pools allowed only for specific subnet requests."));
    }
    if pool == PREFIX_DELEGATION {
        return delegated(request);
    }
    // What is no id is no pool's.
    let Ok(id) = Uuid::parse_str(&pool) else {
        let message = format!("Subnet pool {pool} could not be found.");
        return Err(NetworkError::named("SubnetPoolNotFound", 404, message));
    };
    // Before anything is read of it: subnets are cut one after the other.
    work.lock("subnetpools", id)?;
    let pool = get_visible(work, id)?;
    let version = pool.plan.ip_version;
    if request.ip_version != version {
        return Err(bad(format!("Cannot allocate IPv{} subnet from IPv{version} subnet pool", request.ip_version)));
    }
    let space = space(work, pool, &request.project_id)?;
    let (cidr, gateway_ip) = match (request.cidr, gateway_ip) {
        (Some(cidr), _) => (space.cut(cidr)?, gateway_ip),
        // The gateway says where.
        (None, Some(Some(gateway))) => (space.cut(around(gateway, request.prefixlen, &space)?)?, gateway_ip),
        (None, _) => {
            let cidr = space.cut_any(request.prefixlen)?;
            let first_host = (version == 6).then(|| ip_range::next(cidr.network()));
            (cidr, gateway_ip.or(first_host))
        }
    };
    Ok(Source { cidr, subnetpool_id: Some(id.to_string()), gateway_ip, delegated: false })
}

/// The pool that a request means, if any.
fn pool_of(work: &Work<'_>, request: &SubnetCreate) -> Result<Option<String>, NetworkError> {
    match (&request.subnetpool_id, request.use_default_subnetpool) {
        (Some(_), true) => Err(bad("subnetpool_id and use_default_subnetpool cannot both be specified")),
        (pool, false) => Ok(pool.clone()),
        (None, true) => {
            let version = request.cidr.map_or(request.ip_version, |cidr| if cidr.addr().is_ipv4() { 4 } else { 6 });
            let pool = default_of(work.tx, version)?;
            pool.map(|id| Some(id.to_string()))
                .ok_or_else(|| bad(format!("No default subnetpool found for IPv{version}")))
        }
    }
}

fn delegated(request: &SubnetCreate) -> Result<Source, NetworkError> {
    let gateway_ip = request.gateway_ip;
    // Who names a prefix needs none delegated.
    if let Some(cidr) = request.cidr {
        return Ok(Source { cidr, subnetpool_id: None, gateway_ip, delegated: false });
    }
    if request.ip_version != 6 {
        return Err(bad("Prefix Delegation can only be used with IPv6 subnets."));
    }
    if !request.ipv6_ra_mode.is_some_and(Ipv6Mode::is_auto_address) {
        return Err(bad("IPv6 RA Mode must be SLAAC or Stateless for Prefix Delegation."));
    }
    if !request.ipv6_address_mode.is_some_and(Ipv6Mode::is_auto_address) {
        return Err(bad("IPv6 Address Mode must be SLAAC or Stateless for Prefix Delegation."));
    }
    let cidr = PROVISIONAL_PREFIX.parse().map_err(|_| bad("the provisional prefix cannot be read"))?;
    Ok(Source { cidr, subnetpool_id: Some(PREFIX_DELEGATION.to_owned()), gateway_ip, delegated: true })
}

/// The prefix that a gateway is in.
fn around(gateway: IpAddr, prefixlen: Option<u32>, space: &Pool) -> Result<IpNet, NetworkError> {
    let length = u8::try_from(prefixlen.unwrap_or(space.plan.default_prefixlen)).ok();
    let net = length.and_then(|length| IpNet::new(gateway, length).ok());
    net.map(|net| net.trunc())
        .ok_or_else(|| ModelError::InvalidInput { error_message: "Invalid prefix length".into() }.into())
}

fn space(work: &Work<'_>, pool: SubnetPool, project: &str) -> Result<Pool, NetworkError> {
    let held = match pool.default_quota {
        None | Some(0) => Vec::new(),
        Some(_) => work.tx.query(
            "SELECT cidr FROM subnets WHERE subnetpool_id = ?1 AND project_id = ?2",
            params![pool.id, project],
            |row| row.parse(0),
        )?,
    };
    let allocated = allocated(work.tx, pool.id)?;
    Ok(Pool { plan: pool.plan, default_quota: pool.default_quota, allocated, held })
}

impl Source {
    /// Refuses it where its network's subnets have another.
    pub fn check_affinity(&self, work: &Work<'_>, network: NetworkId, ip_version: u8) -> Result<(), NetworkError> {
        let siblings = siblings(work.tx, network)?;
        let address_scope_id = match self.subnetpool_id.as_deref().map(Uuid::parse_str) {
            Some(Ok(pool)) if !siblings.is_empty() => work
                .tx
                .query_opt("SELECT address_scope_id FROM subnetpools WHERE id = ?1", params![pool], |row| {
                    row.parse_opt(0)
                })?
                .flatten(),
            _ => None,
        };
        let new = Sibling { ip_version, subnetpool_id: self.subnetpool_id.clone(), address_scope_id };
        Ok(check_affinity(&siblings, &new)?)
    }
}
