//! What requests on subnet pools do, and how subnets get their prefixes out of them.

mod allocate;

pub(crate) use allocate::source;

use crate::request::nullable;
use crate::{NetworkError, Work, address_scope, network, rbac, subnet};
use net_types::{IpNet, NetworkId, SubnetId};
use network_model::ModelError;
use network_model::prefix_set::PrefixSet;
use network_model::subnet_pool::{
    NewPool, PoolPlan, check_onboard, check_prefixes_grow, plan_pool, remove_prefixes as taken_out,
};
use serde::Deserialize;
use store::{Operation, Snapshot, StoreError, params};
use uuid::Uuid;

/// A checked POST body.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct SubnetPoolCreate {
    pub project_id: String,
    pub name: String,
    pub description: String,
    pub prefixes: Vec<IpNet>,
    pub default_quota: Option<u64>,
    pub default_prefixlen: Option<u32>,
    pub min_prefixlen: Option<u32>,
    pub max_prefixlen: Option<u32>,
    pub is_default: bool,
    pub shared: bool,
    pub address_scope_id: Option<Uuid>,
}

/// A checked PUT body: what it does not have stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct SubnetPoolUpdate {
    pub name: Option<String>,
    pub description: Option<String>,
    pub prefixes: Option<Vec<IpNet>>,
    pub default_quota: Option<u64>,
    pub default_prefixlen: Option<u32>,
    pub min_prefixlen: Option<u32>,
    pub max_prefixlen: Option<u32>,
    pub is_default: Option<bool>,
    #[serde(deserialize_with = "nullable")]
    pub address_scope_id: Option<Option<Uuid>>,
}

/// What rules ask of a pool.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // Its columns.
pub struct SubnetPool {
    pub id: Uuid,
    pub project_id: String,
    pub plan: PoolPlan,
    pub default_quota: Option<u64>,
    pub is_default: bool,
    pub address_scope_id: Option<Uuid>,
}

/// The pool, or that it is not there.
pub fn get(snapshot: &Snapshot<'_>, id: Uuid) -> Result<SubnetPool, NetworkError> {
    let found = snapshot.query_opt(
        "SELECT project_id, ip_version, default_prefixlen, min_prefixlen, max_prefixlen, default_quota, is_default,
             address_scope_id FROM subnetpools WHERE id = ?1",
        params![id],
        |row| {
            let ip_version = row.get(1)?;
            Ok(SubnetPool {
                id,
                project_id: row.get(0)?,
                plan: PoolPlan {
                    ip_version,
                    prefixes: PrefixSet::new(ip_version, []),
                    default_prefixlen: row.get(2)?,
                    min_prefixlen: row.get(3)?,
                    max_prefixlen: row.get(4)?,
                },
                default_quota: row.get(5)?,
                is_default: row.get(6)?,
                address_scope_id: row.parse_opt(7)?,
            })
        },
    )?;
    let mut pool = found.ok_or(ModelError::SubnetPoolNotFound { subnetpool_id: id })?;
    pool.plan.prefixes = PrefixSet::new(pool.plan.ip_version, prefixes(snapshot, id)?);
    Ok(pool)
}

fn prefixes(snapshot: &Snapshot<'_>, id: Uuid) -> Result<Vec<IpNet>, StoreError> {
    snapshot.query(
        "SELECT cidr FROM subnetpool_prefixes WHERE subnetpool_id = ?1 ORDER BY position",
        params![id],
        |row| row.parse(0),
    )
}

/// The pool, or that it is not there for this caller.
pub(crate) fn get_visible(work: &Work<'_>, id: Uuid) -> Result<SubnetPool, NetworkError> {
    let pool = get(work.tx, id)?;
    if rbac::may_use(work, id, &pool.project_id)? {
        return Ok(pool);
    }
    Err(ModelError::SubnetPoolNotFound { subnetpool_id: id }.into())
}

/// Makes a pool.
pub fn create(work: &Work<'_>, request: &SubnetPoolCreate) -> Result<Uuid, NetworkError> {
    let id = work.new_id();
    let plan = plan_pool(&NewPool {
        prefixes: request.prefixes.clone(),
        default_prefixlen: request.default_prefixlen,
        min_prefixlen: request.min_prefixlen,
        max_prefixlen: request.max_prefixlen,
    })?;
    if request.is_default {
        check_no_default(work.tx, plan.ip_version)?;
    }
    if let Some(scope) = request.address_scope_id {
        check_scope(work, id, &plan, scope)?;
    }
    work.tx.execute(
        "INSERT INTO subnetpools (id, project_id, name, description, ip_version, default_prefixlen, min_prefixlen, max_prefixlen,
             default_quota, is_default, address_scope_id, revision_number, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 0, ?12, ?12)",
        params![
            id,
            &request.project_id,
            &request.name,
            &request.description,
            plan.ip_version,
            plan.default_prefixlen,
            plan.min_prefixlen,
            plan.max_prefixlen,
            request.default_quota,
            request.is_default,
            request.address_scope_id,
            work.now
        ],
    )?;
    write_prefixes(work, id, &plan.prefixes)?;
    rbac::set_shared(work, "subnetpool", id, request.shared)?;
    work.log("subnetpool", id, Operation::Create, None)?;
    Ok(id)
}

fn write_prefixes(work: &Work<'_>, id: Uuid, prefixes: &PrefixSet) -> Result<(), NetworkError> {
    work.tx.execute("DELETE FROM subnetpool_prefixes WHERE subnetpool_id = ?1", params![id])?;
    for (position, prefix) in prefixes.prefixes().into_iter().enumerate() {
        work.tx.execute(
            "INSERT INTO subnetpool_prefixes (subnetpool_id, position, cidr) VALUES (?1, ?2, ?3)",
            params![id, position, prefix.to_string()],
        )?;
    }
    Ok(())
}

/// The default pool of an IP version.
pub(crate) fn default_of(snapshot: &Snapshot<'_>, ip_version: u8) -> Result<Option<Uuid>, StoreError> {
    snapshot.query_opt(
        "SELECT id FROM subnetpools WHERE is_default = 1 AND ip_version = ?1",
        params![ip_version],
        |row| row.parse(0),
    )
}

fn check_no_default(snapshot: &Snapshot<'_>, ip_version: u8) -> Result<(), NetworkError> {
    if default_of(snapshot, ip_version)?.is_none() {
        return Ok(());
    }
    let error_message =
        "A default subnetpool for this IP family has already been set. Only one default may exist per IP family"
            .to_owned();
    Err(ModelError::InvalidInput { error_message }.into())
}

/// Whether a pool may be in a scope with what it has: the scope must be the caller's to use, of the pool's IP version, and
/// none of the addresses another pool's.
fn check_scope(work: &Work<'_>, id: Uuid, plan: &PoolPlan, scope: Uuid) -> Result<(), NetworkError> {
    let scope = address_scope::get_visible(work, scope)?;
    if scope.ip_version != plan.ip_version {
        return Err(ModelError::IllegalSubnetPoolIpVersionAssociationToAddressScope {
            subnetpool_id: id,
            address_scope_id: scope.id,
            ip_version: scope.ip_version,
        }
        .into());
    }
    // Pools come into a scope one after the other.
    work.lock("address_scopes", scope.id)?;
    let others: Vec<IpNet> = work.tx.query(
        "SELECT subnetpool_prefixes.cidr FROM subnetpools
         JOIN subnetpool_prefixes ON subnetpool_prefixes.subnetpool_id = subnetpools.id
         WHERE subnetpools.address_scope_id = ?1 AND subnetpools.id <> ?2",
        params![scope.id, id],
        |row| row.parse(0),
    )?;
    if PrefixSet::new(plan.ip_version, others).intersects(&plan.prefixes) {
        return Err(ModelError::AddressScopePrefixConflict.into());
    }
    Ok(())
}

/// A pool that moves to another scope takes its subnets along: refused while one of their networks has others.
fn check_network_affinity(snapshot: &Snapshot<'_>, id: Uuid) -> Result<(), NetworkError> {
    let split = snapshot.exists(
        "SELECT 1 FROM subnets JOIN subnets AS other ON other.network_id = subnets.network_id
         WHERE subnets.subnetpool_id = ?1 AND other.ip_version = subnets.ip_version
         AND COALESCE(other.subnetpool_id, '') <> ?1",
        params![id],
    )?;
    if split { Err(ModelError::NetworkAddressScopeAffinityError.into()) } else { Ok(()) }
}

/// Changes a pool.
pub fn update(work: &Work<'_>, id: Uuid, request: SubnetPoolUpdate) -> Result<(), NetworkError> {
    work.lock("subnetpools", id)?;
    let pool = get(work.tx, id)?;
    let old = &pool.plan;
    let plan = plan_pool(&NewPool {
        prefixes: request.prefixes.clone().unwrap_or_else(|| old.prefixes.prefixes()),
        default_prefixlen: Some(request.default_prefixlen.unwrap_or(old.default_prefixlen)),
        min_prefixlen: Some(request.min_prefixlen.unwrap_or(old.min_prefixlen)),
        max_prefixlen: Some(request.max_prefixlen.unwrap_or(old.max_prefixlen)),
    })?;
    check_prefixes_grow(&old.prefixes, &plan.prefixes)?;
    if request.is_default == Some(true) && !pool.is_default {
        check_no_default(work.tx, plan.ip_version)?;
    }
    if let Some(scope) = pool.address_scope_id
        && !address_scope::get(work.tx, scope)?.is_own(work)
    {
        let reason = format!("subnetpool {id} cannot be updated when associated with shared address scope {scope}");
        return Err(ModelError::IllegalSubnetPoolUpdate { reason }.into());
    }
    let scope = request.address_scope_id.unwrap_or(pool.address_scope_id);
    if let Some(scope) = scope
        && (Some(scope) != pool.address_scope_id || plan.prefixes != old.prefixes)
    {
        check_scope(work, id, &plan, scope)?;
        if Some(scope) != pool.address_scope_id {
            check_network_affinity(work.tx, id)?;
        }
    }
    if plan.prefixes != old.prefixes {
        write_prefixes(work, id, &plan.prefixes)?;
    }
    work.set("subnetpools", id, "name", request.name)?;
    work.set("subnetpools", id, "description", request.description)?;
    work.set("subnetpools", id, "default_quota", request.default_quota)?;
    work.set("subnetpools", id, "is_default", request.is_default)?;
    work.tx.execute(
        "UPDATE subnetpools SET default_prefixlen = ?2, min_prefixlen = ?3, max_prefixlen = ?4, address_scope_id = ?5
         WHERE id = ?1",
        params![id, plan.default_prefixlen, plan.min_prefixlen, plan.max_prefixlen, scope],
    )?;
    work.touch("subnetpools", id)?;
    work.log("subnetpool", id, Operation::Update, None)
}

/// Removes a pool out of which no subnet has been cut.
pub fn delete(work: &Work<'_>, id: Uuid) -> Result<(), NetworkError> {
    work.lock("subnetpools", id)?;
    get(work.tx, id)?;
    if work.tx.exists("SELECT 1 FROM subnets WHERE subnetpool_id = ?1", params![id])? {
        return Err(ModelError::SubnetPoolDeleteError { reason: "Subnet pool has existing allocations" }.into());
    }
    rbac::forget(work, id)?;
    work.tx.execute("DELETE FROM tags WHERE object_id = ?1", params![id])?;
    work.tx.execute("DELETE FROM subnetpools WHERE id = ?1", params![id])?;
    work.log("subnetpool", id, Operation::Delete, None)
}

/// Adds prefixes; what the pool then has.
pub fn add_prefixes(work: &Work<'_>, id: Uuid, more: Vec<IpNet>) -> Result<Vec<IpNet>, NetworkError> {
    let mut all = prefixes(work.tx, id)?;
    all.extend(more);
    update(work, id, SubnetPoolUpdate { prefixes: Some(all), ..SubnetPoolUpdate::default() })?;
    Ok(prefixes(work.tx, id)?)
}

/// Takes prefixes out that no subnet has; what is left of the pool.
pub fn remove_prefixes(work: &Work<'_>, id: Uuid, removed: Vec<IpNet>) -> Result<Vec<IpNet>, NetworkError> {
    work.lock("subnetpools", id)?;
    let PoolPlan { ip_version, prefixes: has, .. } = get(work.tx, id)?.plan;
    let allocated = PrefixSet::new(ip_version, allocate::allocated(work.tx, id)?);
    if let Some(left) = taken_out(&has, &PrefixSet::new(ip_version, removed), &allocated)? {
        write_prefixes(work, id, &left)?;
        work.touch("subnetpools", id)?;
        work.log("subnetpool", id, Operation::Update, None)?;
    }
    Ok(prefixes(work.tx, id)?)
}

/// Takes the subnets of a network, of the pool's IP version, into the pool.
pub fn onboard(work: &Work<'_>, id: Uuid, network: NetworkId) -> Result<Vec<(SubnetId, IpNet)>, NetworkError> {
    let network = network::get_visible(work, network)?;
    if !work.caller.is_admin && network.project_id != work.caller.project_id {
        return Err(NetworkError::named("NotAuthorized", 403, "Not authorized."));
    }
    work.lock("subnetpools", id)?;
    let version = get(work.tx, id)?.plan.ip_version;
    let subnets: Vec<(SubnetId, IpNet)> = subnet::of_network(work.tx, network.id)?
        .into_iter()
        .filter(|subnet| subnet.ip_version() == version)
        .map(|subnet| (subnet.id, subnet.cidr))
        .collect();
    check_onboard(id, &PrefixSet::new(version, allocate::allocated(work.tx, id)?), &subnets)?;
    if subnets.is_empty() {
        return Ok(subnets);
    }
    add_prefixes(work, id, subnets.iter().map(|(_, cidr)| *cidr).collect())?;
    for (subnet, _) in &subnets {
        work.tx.execute("UPDATE subnets SET subnetpool_id = ?2 WHERE id = ?1", params![subnet.0, id])?;
        work.touch("subnets", subnet.0)?;
        work.log("subnet", subnet, Operation::Update, Some(serde_json::json!({"network_id": network.id})))?;
    }
    Ok(subnets)
}
