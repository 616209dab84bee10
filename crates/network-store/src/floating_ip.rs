//! Floating IPs, as far as other resources touch them.

use crate::{NetworkError, Work};
use net_types::{FloatingIpId, PortId};
use store::{Operation, params};

/// Takes the floating IPs of a port away from it, because the port goes.
pub(crate) fn disassociate_port(work: &Work<'_>, port: PortId) -> Result<(), NetworkError> {
    let associated: Vec<FloatingIpId> =
        work.tx.query("SELECT id FROM floating_ips WHERE port_id = ?1", params![port.0], |row| row.parse(0))?;
    for id in associated {
        work.tx.execute(
            "UPDATE floating_ips SET port_id = NULL, fixed_ip_address = NULL, router_id = NULL, status = 'DOWN' WHERE id = ?1",
            params![id.0],
        )?;
        work.touch("floating_ips", id.0)?;
        work.log("floatingip", id, Operation::Update, None)?;
    }
    Ok(())
}
