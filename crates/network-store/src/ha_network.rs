//! The network of each project on which the hosts of its highly available routers would agree who is active. It belongs
//! to nobody, comes with the project's first such router, and goes with the last.

use crate::network::{self, NetworkCreate};
use crate::subnet::{self, SubnetCreate};
use crate::{NetworkError, Work};
use net_types::NetworkId;
use store::{Snapshot, StoreError, params};

/// A project's HA network, if it has one.
pub fn of_project(snapshot: &Snapshot<'_>, project: &str) -> Result<Option<NetworkId>, StoreError> {
    snapshot.query_opt("SELECT network_id FROM ha_networks WHERE project_id = ?1", params![project], |row| row.parse(0))
}

/// The project's HA network with its subnet; makes what is missing.
pub(crate) fn ensure(work: &Work<'_>, project: &str) -> Result<NetworkId, NetworkError> {
    let id = match of_project(work.tx, project)? {
        Some(id) => id,
        None => {
            let request = NetworkCreate {
                project_id: String::new(),
                name: format!("HA network project {project}"),
                ..NetworkCreate::of_service()
            };
            let id = network::create(work, request)?;
            claim(work, project, id)?;
            id
        }
    };
    if !work.tx.exists("SELECT 1 FROM subnets WHERE network_id = ?1", params![id.0])? {
        let cidr = work.config.l3_ha_net_cidr;
        let name = format!("HA subnet project {project}");
        let request =
            SubnetCreate { name, enable_dhcp: false, gateway_ip: Some(None), ..SubnetCreate::of_service(id, cidr) };
        subnet::create(work, request)?;
    }
    Ok(id)
}

/// Makes a network the project's HA network; a project has only one.
pub(crate) fn claim(work: &Work<'_>, project: &str, id: NetworkId) -> Result<(), NetworkError> {
    let added = work.tx.execute(
        "INSERT INTO ha_networks (project_id, network_id) VALUES (?1, ?2) ON CONFLICT (project_id) DO NOTHING",
        params![project, id.0],
    )?;
    if added == 0 {
        let message = format!("Project {project} already has a HA network.");
        return Err(NetworkError::named("DuplicatedHANetwork", 409, message));
    }
    Ok(())
}

/// Removes the HA network of a project that has no highly available router any more, unless somebody uses it.
pub(crate) fn release(work: &Work<'_>, project: &str) -> Result<(), NetworkError> {
    let Some(id) = of_project(work.tx, project)? else { return Ok(()) };
    let used = work.tx.exists("SELECT 1 FROM routers WHERE project_id = ?1 AND ha = 1", params![project])?
        || work.tx.exists("SELECT 1 FROM ports WHERE network_id = ?1", params![id.0])?;
    if used { Ok(()) } else { network::delete(work, id) }
}
