//! Port mirroring, as far as a host has a part in it.

use super::add_peer;
use crate::election;
use crate::row::TapServiceRow;
use crate::topology::Topology;
use host_view::{HostView, TapDirection, TapService};
use net_types::PortId;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Adds what ports of the view are mirrored, and what is mirrored to them.
pub(super) fn add(topology: &Topology, host: &str, view: &mut HostView) {
    let ports: Vec<PortId> = view.ports.keys().copied().collect();
    let services: BTreeMap<Uuid, &TapServiceRow> =
        ports.iter().flat_map(|port| topology.tap_services_of(port)).map(|(id, row)| (*id, row)).collect();
    for (id, row) in services {
        if let Some(service) = service(topology, host, row, view) {
            view.tap_services.insert(id, service);
        }
    }
    let mirrors = ports.iter().flat_map(|port| topology.tap_mirrors_of(port));
    view.tap_mirrors.extend(mirrors.map(|(id, mirror)| (*id, mirror.clone())));
}

/// None: its port is nowhere.
fn service(topology: &Topology, host: &str, row: &TapServiceRow, view: &mut HostView) -> Option<TapService> {
    let at = topology.port(&row.port)?.host.as_ref()?;
    let is_here = at == host;
    if !is_here {
        add_peer(topology, at, view)?;
    }
    let sources: BTreeMap<PortId, TapDirection> = row
        .sources
        .iter()
        .filter(|(port, _)| view.ports.contains_key(port))
        .filter_map(|(port, direction)| Some((*port, without_copies(topology, port, *direction)?)))
        .collect();
    let mut from = BTreeSet::new();
    if is_here {
        for other in row.sources.keys().flat_map(|port| hosts_of_source(topology, port)).filter(|other| other != host) {
            if add_peer(topology, &other, view).is_some() {
                from.insert(other);
            }
        }
    }
    let host = (!is_here).then(|| at.clone());
    Some(TapService { port: row.port, host, key: row.key, sources, from })
}

/// Where frames of a port may be copied: of a highly available router's, on each of its hosts.
fn hosts_of_source(topology: &Topology, port: &PortId) -> Vec<String> {
    let Some(row) = topology.port(port) else { return Vec::new() };
    let candidates = row.router().and_then(|router| election::candidates(topology, &router));
    candidates.map_or_else(|| row.host.iter().cloned().collect(), <[String]>::to_vec)
}

/// What a tap service's own port receives are copies: to copy them once more could go round for ever.
fn without_copies(topology: &Topology, port: &PortId, direction: TapDirection) -> Option<TapDirection> {
    if !topology.tap_services_of(port).any(|(_, service)| service.port == *port) {
        return Some(direction);
    }
    direction.is_out().then_some(TapDirection::Out)
}
