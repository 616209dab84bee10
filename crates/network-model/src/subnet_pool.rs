//! Subnet pools: prefixes out of which subnets are cut, so that no two of them overlap.
//!
//! In: the pool, the prefixes that its subnets have, and what a request asks for. Out: the prefix of the new subnet, or the
//! refusal. The cut is Neutron's: the smallest free block that is large enough, the lowest of equal ones, from its beginning.
//! That keeps large blocks whole, and the same requests give the same prefixes.

use crate::ModelError;
use crate::prefix_set::PrefixSet;
use crate::subnet::ip_version;
use net_types::{IpNet, SubnetId};
use uuid::Uuid;

/// What stands in `subnetpool_id` for a subnet whose prefix a router shall be delegated (RFC 3633).
pub const PREFIX_DELEGATION: &str = "prefix_delegation";

/// The prefix of a subnet that waits for a delegated one.
pub const PROVISIONAL_PREFIX: &str = "::/64";

/// A pool as a request describes it; what is not given has been left to the rules.
#[derive(Debug, Clone, Default)]
pub struct NewPool {
    /// In any order, with or without host bits.
    pub prefixes: Vec<IpNet>,
    /// Length of a subnet's prefix when its request names none.
    pub default_prefixlen: Option<u32>,
    /// The largest subnet.
    pub min_prefixlen: Option<u32>,
    /// The smallest subnet.
    pub max_prefixlen: Option<u32>,
}

/// What the rules make of a [`NewPool`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolPlan {
    /// 4 or 6, as the prefixes are.
    pub ip_version: u8,
    /// The fewest prefixes that hold the same addresses.
    pub prefixes: PrefixSet,
    /// See [`NewPool::default_prefixlen`].
    pub default_prefixlen: u32,
    /// See [`NewPool::min_prefixlen`].
    pub min_prefixlen: u32,
    /// See [`NewPool::max_prefixlen`].
    pub max_prefixlen: u32,
}

/// Checks a pool against itself and fills in what was not given.
pub fn plan_pool(wanted: &NewPool) -> Result<PoolPlan, ModelError> {
    let Some(first) = wanted.prefixes.first() else { return Err(ModelError::EmptySubnetPoolPrefixList) };
    let version = ip_version(first.addr());
    if wanted.prefixes.iter().any(|net| ip_version(net.addr()) != version) {
        return Err(ModelError::PrefixVersionMismatch);
    }
    let (widest, longest) = if version == 4 { (8, 32) } else { (64, 128) };
    let min_prefixlen = wanted.min_prefixlen.unwrap_or(widest);
    let max_prefixlen = wanted.max_prefixlen.unwrap_or(longest);
    let default_prefixlen = wanted.default_prefixlen.unwrap_or(min_prefixlen);
    let bound = |prefix_type, prefixlen, base_prefix_type, base_prefixlen| {
        Err(ModelError::IllegalSubnetPoolPrefixBounds { prefix_type, prefixlen, base_prefix_type, base_prefixlen })
    };
    if min_prefixlen > max_prefixlen {
        return bound("min_prefixlen", min_prefixlen, "max_prefixlen", max_prefixlen);
    }
    if max_prefixlen > longest {
        return bound("max_prefixlen", max_prefixlen, "ip_version_max", longest);
    }
    if default_prefixlen < min_prefixlen {
        return bound("default_prefixlen", default_prefixlen, "min_prefixlen", min_prefixlen);
    }
    if default_prefixlen > max_prefixlen {
        return bound("default_prefixlen", default_prefixlen, "max_prefixlen", max_prefixlen);
    }
    let prefixes = PrefixSet::new(version, wanted.prefixes.iter().copied());
    Ok(PoolPlan { ip_version: version, prefixes, default_prefixlen, min_prefixlen, max_prefixlen })
}

/// Refuses prefixes that do not hold all of the ones before: subnets may have been cut out of any.
pub fn check_prefixes_grow(old: &PrefixSet, new: &PrefixSet) -> Result<(), ModelError> {
    if new.contains(old) {
        return Ok(());
    }
    let msg = "Existing prefixes must be a subset of the new prefixes".to_owned();
    Err(ModelError::IllegalSubnetPoolPrefixUpdate { msg })
}

/// What is left when prefixes are taken out; refused if a subnet has any of them.
pub fn remove_prefixes(
    pool: &PrefixSet,
    removed: &PrefixSet,
    allocated: &PrefixSet,
) -> Result<Option<PrefixSet>, ModelError> {
    if !pool.intersects(removed) {
        return Ok(None);
    }
    if allocated.intersects(removed) {
        let msg = "One or more the prefixes to be removed is in use by a subnet.".to_owned();
        return Err(ModelError::IllegalSubnetPoolPrefixUpdate { msg });
    }
    Ok(Some(pool.difference(removed)))
}

/// A pool as far as subnets are cut out of it.
#[derive(Debug, Clone)]
pub struct Pool {
    /// What it has been made of.
    pub plan: PoolPlan,
    /// What one project may have of it, in addresses (IPv4) or /64 prefixes (IPv6).
    pub default_quota: Option<u64>,
    /// The prefixes of its subnets.
    pub allocated: Vec<IpNet>,
    /// Those of them that are the asking project's.
    pub held: Vec<IpNet>,
}

impl Pool {
    /// Cuts out a subnet of a length; none: of the pool's default length.
    pub fn cut_any(&self, prefixlen: Option<u32>) -> Result<IpNet, ModelError> {
        let prefixlen = prefixlen.unwrap_or(self.plan.default_prefixlen);
        self.check(prefixlen)?;
        let mut free = self.free().prefixes();
        // Longest prefixes, the smallest blocks, first; equal ones stay in rising order.
        free.sort_by_key(|block| std::cmp::Reverse(block.prefix_len()));
        let large_enough = |block: &&IpNet| u32::from(block.prefix_len()) <= prefixlen;
        let length = u8::try_from(prefixlen).ok();
        let found =
            free.iter().find(large_enough).zip(length).and_then(|(b, length)| IpNet::new(b.network(), length).ok());
        found.ok_or_else(|| ModelError::SubnetAllocationError {
            reason: format!("Insufficient prefix space to allocate subnet size /{prefixlen}"),
        })
    }

    /// Cuts out exactly this prefix.
    pub fn cut(&self, cidr: IpNet) -> Result<IpNet, ModelError> {
        self.check(cidr.prefix_len().into())?;
        if self.free().contains(&PrefixSet::new(self.plan.ip_version, [cidr]))
            && ip_version(cidr.addr()) == self.plan.ip_version
        {
            return Ok(cidr.trunc());
        }
        let reason = "Cannot allocate requested subnet from the available set of prefixes".to_owned();
        Err(ModelError::SubnetAllocationError { reason })
    }

    fn free(&self) -> PrefixSet {
        self.plan.prefixes.difference(&PrefixSet::new(self.plan.ip_version, self.allocated.iter().copied()))
    }

    /// The pool's bounds and the project's quota.
    fn check(&self, prefixlen: u32) -> Result<(), ModelError> {
        let PoolPlan { min_prefixlen, max_prefixlen, .. } = self.plan;
        if prefixlen > max_prefixlen {
            return Err(ModelError::MaxPrefixSubnetAllocationError { prefixlen, max_prefixlen });
        }
        if prefixlen < min_prefixlen {
            return Err(ModelError::MinPrefixSubnetAllocationError { prefixlen, min_prefixlen });
        }
        // 0 is no quota, as in Neutron.
        let Some(quota) = self.default_quota.filter(|quota| *quota > 0) else { return Ok(()) };
        // In addresses: an IPv6 unit has 2^64 of them.
        let (width, unit_bits) = if self.plan.ip_version == 4 { (32, 0) } else { (128, 64) };
        let addresses = |length: u32| 1u128.checked_shl(width - length).unwrap_or(u128::MAX);
        let lengths = self.held.iter().map(|net| u32::from(net.prefix_len())).chain([prefixlen]);
        let used = lengths.map(addresses).fold(0u128, u128::saturating_add);
        if used > u128::from(quota) << unit_bits { Err(ModelError::SubnetPoolQuotaExceeded) } else { Ok(()) }
    }
}

/// A subnet of the network that a new one joins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sibling {
    /// 4 or 6.
    pub ip_version: u8,
    /// The pool that it is of: an id or [`PREFIX_DELEGATION`].
    pub subnetpool_id: Option<String>,
    /// The address scope of that pool.
    pub address_scope_id: Option<Uuid>,
}

/// Refuses a subnet that would leave its network with two sources of addresses in one IP version: all of them come from the
/// same pool, from pools of the same address scope, or from none.
pub fn check_affinity(siblings: &[Sibling], new: &Sibling) -> Result<(), ModelError> {
    let same_version = |sibling: &&Sibling| sibling.ip_version == new.ip_version;
    let scope = siblings.iter().filter(same_version).find_map(|sibling| sibling.address_scope_id);
    if scope.is_some() && new.subnetpool_id.is_some() && new.address_scope_id != scope {
        return Err(ModelError::NetworkAddressScopeAffinityError);
    }
    let delegated = new.subnetpool_id.as_deref() == Some(PREFIX_DELEGATION);
    let agrees = |sibling: &Sibling| match &new.subnetpool_id {
        Some(_) => sibling.subnetpool_id == new.subnetpool_id || (scope.is_some() && !delegated),
        None => sibling.subnetpool_id.is_none(),
    };
    match siblings.iter().filter(same_version).all(agrees) {
        true => Ok(()),
        false => Err(ModelError::NetworkSubnetPoolAffinityError),
    }
}

/// Refuses to take subnets into a pool that has given away their addresses.
pub fn check_onboard<'a>(
    pool_id: Uuid,
    allocated: &PrefixSet,
    subnets: impl IntoIterator<Item = &'a (SubnetId, IpNet)>,
) -> Result<(), ModelError> {
    for (id, cidr) in subnets {
        if allocated.intersects(&PrefixSet::new(ip_version(cidr.addr()), [*cidr])) {
            let reason =
                format!("Onboarding subnet {id}: {cidr} conflicts with allocated prefixes in subnet pool {pool_id}");
            return Err(ModelError::IllegalSubnetPoolUpdate { reason });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
