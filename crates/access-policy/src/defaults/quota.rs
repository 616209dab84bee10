//! Quotas.

use super::{ADMIN, ADMIN_OR_PROJECT_MANAGER};

pub(super) const RULES: &[(&str, &str)] =
    &[("get_quota", ADMIN_OR_PROJECT_MANAGER), ("update_quota", ADMIN), ("delete_quota", ADMIN)];
