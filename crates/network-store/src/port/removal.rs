//! How ports go: at a client's wish, with what they belong to, or because they are of no use any more.

use super::{addresses, changed, get, log};
use crate::{NetworkError, Work, floating_ip, local_ip, nova, port_forwarding, tap, trunk};
use net_types::PortId;
use network_model::device_owner;
use network_model::in_use::{PortUse, check_port_deletion};
use store::{Operation, params};

/// Removes a port at a client's wish: not one that a router or floating IP holds.
pub fn delete(work: &Work<'_>, id: PortId) -> Result<(), NetworkError> {
    let port = get(work.tx, id)?;
    trunk::check_port_deletion(work.tx, id)?;
    let holder = match port.device_owner.as_str() {
        device_owner::FLOATING_IP => "SELECT 1 FROM floating_ips WHERE floating_port_id = ?1 OR id = ?2",
        _ => "SELECT 1 FROM routers WHERE id = ?2 OR gateway_port_id = ?1",
    };
    let held = work.tx.exists(holder, params![id.0, &port.device_id])?;
    check_port_deletion(&PortUse { id, device_owner: port.device_owner }, held)?;
    nova::deleting(work, id)?;
    remove(work, id)
}

/// Removes a port and gives back what it had.
pub fn remove(work: &Work<'_>, id: PortId) -> Result<(), NetworkError> {
    let port = get(work.tx, id)?;
    local_ip::check_port_removal(work, id)?;
    tap::before_port_removal(work, id)?;
    floating_ip::disassociate_port(work, id)?;
    port_forwarding::after_address_loss(work, id, &[])?;
    addresses::give_back(work, &addresses::of_port(work.tx, id)?)?;
    work.tx.execute("DELETE FROM tags WHERE object_id = ?1", params![id.0])?;
    work.tx.execute("DELETE FROM ports WHERE id = ?1", params![id.0])?;
    log(work, id, Operation::Delete, port.network_id, &port.binding_host)
}

/// A port has lost an address because the subnet goes. A DHCP port without any address is of no use.
pub(crate) fn after_address_loss(work: &Work<'_>, id: PortId) -> Result<(), NetworkError> {
    let port = get(work.tx, id)?;
    if port.device_owner == device_owner::DHCP && addresses::of_port(work.tx, id)?.is_empty() {
        return remove(work, id);
    }
    changed(work, id)
}
