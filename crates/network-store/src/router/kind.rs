//! What it takes to be highly available or distributed, and to change from one kind into another.

use super::{Loaded, remove_ports};
use crate::port::{self, PortUpdate};
use crate::{NetworkError, Work, ha_network, l3_agent};
use network_model::device_owner;
use network_model::router::{RouterKind, free_virtual_router_id};
use store::params;

/// Makes the project's HA network, if it has none, and finds a virtual router id; none when all are used.
pub(super) fn prepare_ha(work: &Work<'_>, project: &str) -> Result<Option<u8>, NetworkError> {
    ha_network::ensure(work, project)?;
    let used: Vec<u8> = work.tx.query(
        "SELECT ha_vr_id FROM routers WHERE project_id = ?1 AND ha = 1 AND ha_vr_id IS NOT NULL",
        params![project],
        |row| row.get(0),
    )?;
    let [start, ..] = (work.random)().to_be_bytes();
    Ok(free_virtual_router_id(&used, start))
}

/// Turns a router into one of another kind: other owners of its interfaces, other agents.
pub(super) fn change(work: &Work<'_>, loaded: &Loaded, new: RouterKind) -> Result<(), NetworkError> {
    let (id, old) = (loaded.router.id, loaded.kind);
    let virtual_id = match (old.ha, new.ha) {
        (false, true) => prepare_ha(work, &loaded.project_id)?,
        (true, true) => work
            .tx
            .query_opt("SELECT ha_vr_id FROM routers WHERE id = ?1", params![id.0], |row| row.get::<Option<u8>>(0))?
            .flatten(),
        (_, false) => None,
    };
    let status = if new.ha && virtual_id.is_none() { "ERROR" } else { "ACTIVE" };
    work.tx.execute(
        "UPDATE routers SET distributed = ?2, ha = ?3, ha_vr_id = ?4, status = ?5 WHERE id = ?1",
        params![id.0, new.distributed, new.ha, virtual_id, status],
    )?;
    if old.interface_owner() != new.interface_owner() {
        for interface in loaded.router.ports.iter().filter(|port| !port.is_gateway) {
            let owner = Some(new.interface_owner().to_owned());
            port::update(work, interface.id, PortUpdate { device_owner: owner, ..PortUpdate::default() })?;
        }
    }
    l3_agent::unbind_all(work, id)?;
    if old.ha && !new.ha {
        remove_ports(work, id, device_owner::ROUTER_HA_INTERFACE)?;
        ha_network::release(work, &loaded.project_id)?;
    }
    Ok(())
}
