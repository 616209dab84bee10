//! Quotas in the store: how many objects a project may have, and whether more would be too many.

use crate::{NetworkConfig, NetworkError};
use network_model::quota;
use std::collections::BTreeMap;
use store::{Snapshot, StoreError, params};

/// The limits that hold for a project, by quota name; -1: none.
pub fn limits(
    snapshot: &Snapshot<'_>,
    config: &NetworkConfig,
    project: &str,
) -> Result<BTreeMap<String, i64>, StoreError> {
    let mut limits: BTreeMap<String, i64> = BTreeMap::new();
    for (name, _) in quota::DEFAULTS {
        limits.insert(name.to_owned(), config.default_quota(name));
    }
    let own: Vec<(String, i64)> =
        snapshot.query("SELECT resource, quota_limit FROM quotas WHERE project_id = ?1", params![project], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
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

/// Refuses `more` rows of `table` for a project when they would pass the limit of the quota `name`.
pub fn check(
    snapshot: &Snapshot<'_>,
    config: &NetworkConfig,
    (name, table): (&'static str, &'static str),
    project: &str,
    more: u64,
) -> Result<(), NetworkError> {
    let limit = limit(snapshot, config, project, name)?;
    if limit < 0 {
        return Ok(());
    }
    // Counting stops at the limit, so that it costs no more in a large project.
    let used = snapshot.count(
        &format!("SELECT count(*) FROM (SELECT 1 FROM {table} WHERE project_id = ?1 LIMIT ?2) AS used"),
        params![project, limit],
    )?;
    Ok(quota::check([(name, limit, used, more)])?)
}
