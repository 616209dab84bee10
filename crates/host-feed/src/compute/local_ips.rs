//! Local IPs, as far as they lead to ports of a host.

use crate::topology::Topology;
use host_view::{HostView, LocalIp};
use std::collections::BTreeMap;

/// Adds those of ports that are bound here. One that is still to move here gets none: its instance is elsewhere.
pub(super) fn add(topology: &Topology, host: &str, view: &mut HostView) {
    for (port, row) in topology.ports_of_host(host).filter(|(_, row)| row.host.as_deref() == Some(host)) {
        for (id, local_ip) in topology.local_ips_of(port) {
            // Its addresses may have changed since.
            let fixed = local_ip.ports.get(port).filter(|fixed| row.fixed_ips.iter().any(|own| own.address == **fixed));
            let Some(fixed) = fixed else { continue };
            let here = || LocalIp { ports: BTreeMap::new(), ..local_ip.clone() };
            view.local_ips.entry(*id).or_insert_with(here).ports.insert(*port, *fixed);
        }
    }
}
