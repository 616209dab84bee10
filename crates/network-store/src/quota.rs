//! Quotas in the store: how many objects a project may have, and whether more would be too many.
//!
//! What a project has is a tally that the database keeps for every declaration with `quota: true`
//! ([`store::Tally`]); no rule here or elsewhere counts.
//!
//! Neutron reserves what a request is about to make, in a transaction before the one that makes it, and counts reservations
//! as used. Here counting and making are one unit of work, and there is one at a time, on several servers too: what [`check`]
//! has seen stays so until what was asked for is made, and nothing is ever `reserved`.
//! Held by `quotas::many_at_once_do_not_pass_a_limit` (`api-server`, on both stores) and by `neutronium`'s `several_servers`.

use crate::{NetworkConfig, NetworkError};
use api_schema::resources;
use network_model::quota;
use std::collections::{BTreeMap, BTreeSet};
use store::{Snapshot, StoreError, Tally, Tx, params};

/// What is to be counted: every declared resource with a quota, by project.
pub fn tallies() -> Vec<Tally> {
    let counted = resources::ALL.iter().filter(|resource| resource.quota);
    counted.map(|resource| Tally { name: resource.name, table: resource.table, owner: "project_id" }).collect()
}

/// The names of all quotas.
pub fn names() -> BTreeSet<&'static str> {
    let known = quota::DEFAULTS.iter().map(|(name, _)| *name);
    known.chain(resources::ALL.iter().filter(|resource| resource.quota).map(|resource| resource.name)).collect()
}

/// The limits of projects that have none of their own, by quota name; -1: none.
pub fn defaults(config: &NetworkConfig) -> BTreeMap<String, i64> {
    names().into_iter().map(|name| (name.to_owned(), config.default_quota(name))).collect()
}

/// The limits that hold for a project, by quota name; -1: none.
pub fn limits(
    snapshot: &Snapshot<'_>,
    config: &NetworkConfig,
    project: &str,
) -> Result<BTreeMap<String, i64>, StoreError> {
    let own: Vec<(String, i64)> =
        snapshot.query("SELECT resource, quota_limit FROM quotas WHERE project_id = ?1", params![project], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let mut limits = defaults(config);
    limits.extend(own);
    Ok(limits)
}

/// One limit; -1: none.
pub fn limit(snapshot: &Snapshot<'_>, config: &NetworkConfig, project: &str, name: &str) -> Result<i64, StoreError> {
    let own = snapshot.query_opt(
        "SELECT quota_limit FROM quotas WHERE project_id = ?1 AND resource = ?2",
        params![project, name],
        |row| row.get(0),
    )?;
    Ok(own.unwrap_or_else(|| config.default_quota(name)))
}

/// Gives a project a limit of its own.
pub fn set_limit(tx: &Tx<'_>, project: &str, name: &str, limit: i64) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO quotas (project_id, resource, quota_limit) VALUES (?1, ?2, ?3)
         ON CONFLICT (project_id, resource) DO UPDATE SET quota_limit = excluded.quota_limit",
        params![project, name, limit],
    )?;
    Ok(())
}

/// Refuses `more` objects of the quota `name` for a project when they would pass its limit.
pub fn check(
    tx: &Tx<'_>,
    config: &NetworkConfig,
    name: &'static str,
    project: &str,
    more: u64,
) -> Result<(), NetworkError> {
    let limit = limit(tx, config, project, name)?;
    if limit < 0 {
        return Ok(());
    }
    Ok(quota::check([(name, limit, tx.tally(project, name)?, more)])?)
}
