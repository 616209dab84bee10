//! MAC addresses of ports: unique in their network.

use super::binding::{Change, DeviceMac};
use super::{Port, PortUpdate};
use crate::{NetworkError, Work};
use net_types::{MacAddr, NetworkId};
use network_model::ModelError;
use network_model::mac::pick_mac;
use network_model::port::check_mac_change;
use store::{Snapshot, params};

/// Whether a port of the network has it.
pub(super) fn is_taken(snapshot: &Snapshot<'_>, network: NetworkId, mac: MacAddr) -> Result<bool, NetworkError> {
    Ok(snapshot.exists(
        "SELECT 1 FROM ports WHERE network_id = ?1 AND mac_address = ?2",
        params![network.0, mac.to_string()],
    )?)
}

/// A new one that no port of the network has.
pub(super) fn fresh(work: &Work<'_>, network: NetworkId) -> Result<MacAddr, NetworkError> {
    let random = || {
        let [a, b, c, ..] = (work.random)().to_be_bytes();
        [a, b, c]
    };
    pick_mac(network, work.config.base_mac, random, |mac| is_taken(work.tx, network, mac))
}

/// The address that a port has after a change: its own, one that was asked for, a new one, or that of the device behind it.
pub(super) fn after_change(
    work: &Work<'_>,
    port: &Port,
    request: &PortUpdate,
    binding: &Change,
) -> Result<MacAddr, NetworkError> {
    let (old, net_id) = (port.mac_address, port.network_id);
    let asked = match request.mac_address {
        None => None,
        Some(Some(mac)) if mac == old => None,
        Some(Some(mac)) => Some(mac),
        Some(None) => Some(fresh(work, net_id)?),
    };
    if let Some(new) = asked {
        check_mac_change(port.id, &port.device_owner, &port.binding_vif_type, old, new)?;
    }
    let new = match binding.device_mac(port, request)? {
        Some(DeviceMac::Of(mac)) => mac,
        // The device's own address must be free for the next port that gets the device.
        Some(DeviceMac::Gone) => fresh(work, net_id)?,
        None => asked.unwrap_or(old),
    };
    if new != old && is_taken(work.tx, net_id, new)? {
        return Err(ModelError::MacAddressInUse { net_id, mac: new }.into());
    }
    Ok(new)
}
