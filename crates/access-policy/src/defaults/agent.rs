//! Agents and what is scheduled to them.

use super::ADMIN;

pub(super) const RULES: &[(&str, &str)] = &[
    ("create_agent", ADMIN),
    ("get_agent", ADMIN),
    ("update_agent", ADMIN),
    ("delete_agent", ADMIN),
    ("create_dhcp-network", ADMIN),
    ("get_dhcp-networks", ADMIN),
    ("delete_dhcp-network", ADMIN),
    ("create_l3-router", ADMIN),
    ("get_l3-routers", ADMIN),
    ("update_l3-router", ADMIN),
    ("delete_l3-router", ADMIN),
    ("get_dhcp-agents", ADMIN),
    ("get_l3-agents", ADMIN),
];
