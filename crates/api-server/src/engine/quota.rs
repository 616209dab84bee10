//! Quotas: how many objects a project may have.

use crate::error::ApiError;
use api_schema::Resource;
use network_model::quota;
use network_store::NetworkConfig;
use std::collections::BTreeMap;
use store::{Snapshot, params};

/// The limits that hold for a project, by resource.
pub fn limits(
    snapshot: &Snapshot<'_>,
    config: &NetworkConfig,
    project: &str,
) -> Result<BTreeMap<String, i64>, ApiError> {
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
fn limit_of(snapshot: &Snapshot<'_>, config: &NetworkConfig, project: &str, resource: &str) -> Result<i64, ApiError> {
    let own = snapshot.query_opt(
        "SELECT quota_limit FROM quotas WHERE project_id = ?1 AND resource = ?2",
        params![project, resource],
        |row| row.get(0),
    )?;
    Ok(own.unwrap_or_else(|| config.default_quota(resource)))
}

/// Refuses what would pass a project's limit.
pub(super) fn check(
    snapshot: &Snapshot<'_>,
    config: &NetworkConfig,
    resource: &Resource,
    project: &str,
    more: u64,
) -> Result<(), ApiError> {
    if !resource.quota {
        return Ok(());
    }
    let limit = limit_of(snapshot, config, project, resource.name)?;
    if limit < 0 {
        return Ok(());
    }
    // Counting stops at the limit, so that it costs no more in a large project.
    let used = snapshot.count(
        &format!("SELECT count(*) FROM (SELECT 1 FROM {} WHERE project_id = ?1 LIMIT ?2) AS used", resource.table),
        params![project, limit],
    )?;
    Ok(quota::check([(resource.name, limit, used, more)])?)
}
