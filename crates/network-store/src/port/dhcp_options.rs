//! `extra_dhcp_opts`: what DHCP tells one port beyond what it tells all.

use crate::{NetworkError, Work};
use net_types::PortId;
use serde::Deserialize;
use store::params;

/// One option of a request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DhcpOption {
    /// dnsmasq's name or number of it (`bootfile-name`).
    pub opt_name: String,
    /// None: take it away.
    pub opt_value: Option<String>,
    /// 4 or 6.
    #[serde(default = "four")]
    pub ip_version: u8,
}

fn four() -> u8 {
    4
}

/// Options that may be empty: DHCP then tells none.
const MAY_BE_EMPTY: [&str; 2] = ["router", "classless-static-route"];

/// Writes what a request names; other options of the port stay as they are.
pub(super) fn write(work: &Work<'_>, port: PortId, options: &[DhcpOption]) -> Result<(), NetworkError> {
    for option in options {
        let value = option.opt_value.as_deref();
        match value.filter(|value| !value.is_empty() || MAY_BE_EMPTY.contains(&option.opt_name.as_str())) {
            Some(value) => work.tx.execute(
                "INSERT INTO port_dhcp_options (port_id, opt_name, ip_version, opt_value) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (port_id, opt_name, ip_version) DO UPDATE SET opt_value = excluded.opt_value",
                params![port.0, &option.opt_name, option.ip_version, value],
            )?,
            None => work.tx.execute(
                "DELETE FROM port_dhcp_options WHERE port_id = ?1 AND opt_name = ?2 AND ip_version = ?3",
                params![port.0, &option.opt_name, option.ip_version],
            )?,
        };
    }
    Ok(())
}
