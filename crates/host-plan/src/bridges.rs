//! OVSDB: bridges, the ports that we make on them, and the local VLAN of every access port.
//!
//! ```text
//!   tap.. qr-.. qg-.. tpi-.. spi-.. (access ports, tag = local VLAN; the last two lead to trunks' bridges)
//!        \    |    /
//!  int-br-ex  br-int  patch-tun        (trunks)        ha-0a4d0002 ...   BFD, between hosts of highly available routers
//!      |                  |
//!  phy-br-ex          patch-int
//!    br-ex              br-tun
//!  (operator's)       vxlan-0a4d0002 vxlan-0a4d0003 ...   one per peer and tunnel type
//! ```
//! In: [`Wiring`]. Out: [`Bridge`]s and [`PortTag`]s. Bridges of physical networks are the operator's: they must exist, and
//! only our end of the patch is put on them. Tunnels go to every peer of the view, also before a network needs them:
//! so the first broadcast of a new port is not lost while the other side makes its end.

use crate::exports::Exports;
use crate::host_plan::{Bridge, BridgePort, DEAD_VLAN, PortKind, PortTag};
use crate::mirror::Mirroring;
use crate::names::{PATCH_INT, PATCH_TUN};
use crate::router::standby;
use crate::wiring::Wiring;
use crate::{Datapath, HostConfig, TunnelEndpoint, names, trunk};
use host_view::{HostView, Network, TunnelPeer};
use net_types::{NetworkId, NetworkType, PortId, VlanId};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What the bridges that we make speak: 1.4 has the bundles that we use, 1.0 is what `ovs-ofctl` speaks by itself.
const PROTOCOLS: [&str; 4] = ["OpenFlow10", "OpenFlow13", "OpenFlow14", "OpenFlow15"];

fn own_bridge(config: &HostConfig) -> Bridge {
    Bridge {
        ours: true,
        datapath_type: Some(config.datapath.as_str().into()),
        fail_mode: "secure".into(),
        protocols: PROTOCOLS.iter().map(|name| (*name).to_owned()).collect(),
        ports: BTreeMap::new(),
        mirrors: BTreeMap::new(),
        exports: Exports::default(),
    }
}

pub(crate) fn patch(peer: &str) -> BridgePort {
    BridgePort { kind: PortKind::Patch { peer: peer.into() }, external_ids: BTreeMap::new(), bfd: BTreeMap::new() }
}

/// All bridges.
pub(crate) fn plan(wiring: &Wiring<'_>, mirroring: &Mirroring) -> BTreeMap<String, Bridge> {
    let config = wiring.config;
    let mut bridges = BTreeMap::new();
    let mut integration = own_bridge(config);
    if let Some(endpoint) = &config.tunnel {
        integration.ports.insert(PATCH_TUN.into(), patch(PATCH_INT));
        let mut tunnels = own_bridge(config);
        tunnels.ports.insert(PATCH_INT.into(), patch(PATCH_TUN));
        for (kind, remote) in tunnels_to_peers(wiring.view, endpoint) {
            tunnels.ports.insert(names::tunnel(kind, remote), tunnel_port(kind, endpoint.local_ip, remote));
        }
        bridges.insert(config.tunnel_bridge.clone(), tunnels);
        integration.ports.extend(standby::bfd_ports(wiring.view, config, wiring.state));
    }
    for bridge in mapped_bridges(wiring) {
        let (int, phy) = names::physical_patch(bridge);
        let ports = BTreeMap::from([(phy.clone(), patch(&int))]);
        let physical = Bridge { ours: false, datapath_type: None, protocols: [].into(), ports, ..own_bridge(config) };
        integration.ports.insert(int, patch(&phy));
        bridges.insert(bridge.to_owned(), physical);
    }
    for (device, port) in &wiring.own_devices {
        integration.ports.insert(device.clone(), own_port(wiring, device, *port));
    }
    bridges.extend(trunk::bridges(wiring, &own_bridge(config)));
    integration.exports.clone_from(&config.exports);
    bridges.insert(config.integration_bridge.clone(), integration);
    mirroring.add_to(&mut bridges, &config.integration_bridge);
    bridges
}

/// Bridges of physical networks that exist, each once.
pub(crate) fn mapped_bridges<'a>(wiring: &Wiring<'a>) -> impl Iterator<Item = &'a str> {
    let (state, config) = (wiring.state, wiring.config);
    let distinct: std::collections::BTreeSet<&str> = config.bridge_mappings.values().map(String::as_str).collect();
    distinct.into_iter().filter(|bridge| state.bridges.contains(*bridge))
}

/// The kinds of tunnel that there can be to a host: those that both have, and none between addresses of two families.
pub(crate) fn kinds_of_tunnel<'a>(
    peer: &'a TunnelPeer,
    endpoint: &'a TunnelEndpoint,
) -> impl Iterator<Item = NetworkType> + 'a {
    let is_another = peer.address != endpoint.local_ip;
    let both = peer.types.intersection(&endpoint.types).copied();
    both.filter(move |_| is_another && endpoint.is_of_family(peer.address))
}

/// Every tunnel that there should be.
pub(crate) fn tunnels_to_peers<'a>(
    view: &'a HostView,
    endpoint: &'a TunnelEndpoint,
) -> impl Iterator<Item = (NetworkType, IpAddr)> + 'a {
    let to = |peer: &'a TunnelPeer| kinds_of_tunnel(peer, endpoint).map(|kind| (kind, peer.address));
    view.tunnel_peers.values().flat_map(to)
}

fn tunnel_port(kind: NetworkType, local: IpAddr, remote: IpAddr) -> BridgePort {
    let options = [
        ("df_default", "true".to_owned()),
        ("egress_pkt_mark", "0".to_owned()),
        ("in_key", "flow".to_owned()),
        ("local_ip", local.to_string()),
        ("out_key", "flow".to_owned()),
        ("remote_ip", remote.to_string()),
    ];
    let options = options.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    BridgePort { kind: PortKind::Tunnel { tunnel: kind, options }, external_ids: BTreeMap::new(), bfd: BTreeMap::new() }
}

fn own_port(wiring: &Wiring<'_>, device: &str, id: PortId) -> BridgePort {
    let kind = trunk::inner_end(device, id).unwrap_or(match wiring.config.datapath {
        Datapath::Netdev => PortKind::Veth,
        Datapath::System => PortKind::Internal,
    });
    let mut external_ids =
        BTreeMap::from([("iface-id".to_owned(), id.to_string()), ("iface-status".to_owned(), "active".to_owned())]);
    if let Some(port) = wiring.view.ports.get(&id) {
        external_ids.insert("attached-mac".into(), port.mac.to_string());
    }
    BridgePort { kind, external_ids, bfd: BTreeMap::new() }
}

/// A port that carries nothing of any network.
fn dead(name: &str) -> (String, PortTag) {
    (name.to_owned(), PortTag { tag: DEAD_VLAN, other_config: BTreeMap::new() })
}

/// The tag of every port that has a device on the integration bridge, or gets one.
pub(crate) fn tags(wiring: &Wiring<'_>, mirroring: &Mirroring) -> BTreeMap<String, PortTag> {
    let mut tags: BTreeMap<_, _> = wiring.dead.iter().map(|name| dead(name)).collect();
    tags.extend(trunk::tags(wiring));
    // What is flooded has no business there.
    tags.extend(standby::bfd_ports(wiring.view, wiring.config, wiring.state).keys().map(|name| dead(name)));
    tags.extend(mirroring.tags());
    for (device, id) in &wiring.own_devices {
        let port = wiring.view.ports.get(id);
        let tag = wiring.local_vlan_of(*id).zip(port).and_then(|(vlan, port)| access(wiring, port.network, vlan));
        tags.insert(device.clone(), tag.unwrap_or_else(|| dead(device).1));
    }
    for wired in wiring.ports.values() {
        if let Some(tag) = access(wiring, wired.port.network, wired.vlan) {
            tags.insert(wired.device.clone(), tag);
        }
    }
    tags
}

fn access(wiring: &Wiring<'_>, id: NetworkId, vlan: VlanId) -> Option<PortTag> {
    let Network { segment, .. } = wiring.networks.get(&id)?.network;
    let mut other_config = BTreeMap::from([
        ("net_uuid".to_owned(), id.to_string()),
        ("network_type".to_owned(), segment.network_type().to_string()),
        ("tag".to_owned(), vlan.to_string()),
    ]);
    if let Some(physical) = segment.physical_network() {
        other_config.insert("physical_network".into(), physical.into());
    }
    let number = match segment {
        host_view::Segment::Vlan { vlan, .. } => Some(u32::from(vlan.get())),
        _ => segment.tunnel_key(),
    };
    if let Some(number) = number {
        other_config.insert("segmentation_id".into(), number.to_string());
    }
    Some(PortTag { tag: vlan.get(), other_config })
}
