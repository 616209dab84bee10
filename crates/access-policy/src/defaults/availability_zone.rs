//! Availability zones.

pub(super) const RULES: &[(&str, &str)] = &[("get_availability_zone", "role:reader")];
