//! Quotas: how many of a resource a project may have.

use crate::ModelError;
use std::collections::BTreeMap;

/// No limit; what any negative number means.
pub const UNLIMITED: i64 = -1;

/// Neutron's limits for projects that have none of their own, by quota name. (`router_route` is per router.)
pub const DEFAULTS: [(&str, i64); 10] = [
    ("network", 100),
    ("subnet", 100),
    ("port", 500),
    ("router", 10),
    ("floatingip", 50),
    ("security_group", 10),
    ("security_group_rule", 100),
    ("router_route", 30),
    ("rbac_policy", 10),
    ("subnetpool", UNLIMITED),
];

/// The limit that holds for a project: its own, else the default; unlimited for what has no quota.
pub fn limit_of(name: &str, own: &BTreeMap<String, i64>) -> i64 {
    let default = || DEFAULTS.iter().find(|(known, _)| *known == name).map(|(_, limit)| *limit);
    own.get(name).copied().or_else(default).unwrap_or(UNLIMITED)
}

/// Refuses to go beyond the limit of any of `wanted`: (quota name, limit, used so far, to be added).
pub fn check<'a>(wanted: impl IntoIterator<Item = (&'a str, i64, u64, u64)>) -> Result<(), ModelError> {
    let over = |limit: i64, used: u64, more: u64| {
        let limit = u64::try_from(limit).ok();
        limit.is_some_and(|limit| used.saturating_add(more) > limit)
    };
    let mut overs: Vec<&str> =
        wanted.into_iter().filter(|(_, limit, used, more)| over(*limit, *used, *more)).map(|(name, ..)| name).collect();
    if overs.is_empty() {
        return Ok(());
    }
    overs.sort_unstable();
    // Neutron prints a Python list.
    Err(ModelError::OverQuota { overs: format!("['{}']", overs.join("', '")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_may_be_reached_but_not_passed() {
        assert_eq!(check([("port", 500, 499, 1)]), Ok(()));
        assert_eq!(check([("port", UNLIMITED, u64::MAX, 1)]), Ok(()));
        let error = check([("subnet", 0, 0, 1), ("port", 500, 500, 1), ("network", 9, 1, 1)]).unwrap_err();
        assert_eq!(error.to_string(), "Quota exceeded for resources: ['port', 'subnet'].");
        assert_eq!((error.type_name(), error.status()), ("OverQuota", 409));
    }

    #[test]
    fn a_projects_own_limit_goes_before_the_default() {
        let own = BTreeMap::from([("port".to_owned(), 7)]);
        assert_eq!((limit_of("port", &own), limit_of("router", &own), limit_of("trunk", &own)), (7, 10, -1));
    }
}
