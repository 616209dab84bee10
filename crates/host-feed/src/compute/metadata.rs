//! Who may ask this host for metadata: instances on the networks that it serves with DHCP, and on those behind the routers
//! that live on it.

use crate::topology::Topology;
use host_view::{HostView, MetadataClient};
use net_types::NetworkId;
use std::collections::BTreeSet;

/// Adds them to a view that has its DHCP networks, its ports and its routers already.
pub(super) fn add_clients(topology: &Topology, view: &mut HostView) {
    let interfaces = view.routers.values().flat_map(|router| &router.interfaces);
    let behind_routers = interfaces.filter_map(|id| view.ports.get(id)).map(|port| port.network);
    let networks: BTreeSet<NetworkId> = view.dhcp.keys().copied().chain(behind_routers).collect();
    for network in networks {
        for (id, port) in topology.ports_of_network(&network) {
            // The network's own ports are nobody's instance.
            if port.device_id.is_empty() || port.device_owner.starts_with("network:") || port.fixed_ips.is_empty() {
                continue;
            }
            let client = MetadataClient {
                network,
                mac: port.mac,
                addresses: port.fixed_ips.iter().map(|fixed| fixed.address).collect(),
                instance: port.device_id.clone(),
                project: port.project.clone(),
            };
            view.metadata_clients.insert(*id, client);
        }
    }
}
