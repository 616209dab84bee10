//! Trunks: one device of an instance carries several ports, told apart by VLAN tags.
//!
//! ```text
//!                        tbr-<trunk>                      br-int
//!                     ┌───────────────┐             ┌───────────────┐
//! tap of the parent ──┤ all tags      │ tag 0       │               │
//!                     │          tpt-<parent> ═══ tpi-<parent>  local VLAN of the parent's network
//!                     │          spt-<subport> ══ spi-<subport> local VLAN of the subport's network
//!                     └───────────────┘ tag 101     └───────────────┘
//! ```
//! The trunk's bridge switches by itself (`NORMAL`, no flows of ours): the subport's patch is an access port of the tag that
//! the subport has on the trunk, so that tags are taken off on the way in and put on on the way out, and a tag that is no
//! subport's leads nowhere. On the integration bridge each patch is the device of its port (`iface-id`): local VLANs, groups,
//! port security and limits apply to it as to a tap.
//!
//! In: trunks of the view, and whether the parent's device is plugged into the trunk's bridge (whoever plugs reads its name
//! from `binding:vif_details`). Out: the trunk's bridge always; the patches once the device is there, so that the ports are
//! `Up` no sooner. Names are Neutron's.

use crate::host_plan::{Bridge, BridgePort, PortKind, PortTag};
use crate::names;
use crate::wiring::Wiring;
use crate::{Interface, LocalState};
use host_view::{HostView, Trunk};
use net_types::{PortId, TrunkId, VlanId};
use std::collections::{BTreeMap, BTreeSet};

/// A patch between a trunk's bridge and the integration bridge.
struct Patch {
    port: PortId,
    inner: String,
    outer: String,
    /// The tag on the trunk; none: untagged.
    tag: Option<VlanId>,
}

fn patches(trunk: &Trunk) -> impl Iterator<Item = Patch> + '_ {
    let (inner, outer) = names::trunk_parent(trunk.parent);
    let parent = Patch { port: trunk.parent, inner, outer, tag: None };
    let subports = trunk.subports.iter().map(|(port, tag)| {
        let (inner, outer) = names::trunk_subport(*port);
        Patch { port: *port, inner, outer, tag: Some(*tag) }
    });
    std::iter::once(parent).chain(subports)
}

/// The ends on the integration bridge, and the port that each is the device of.
pub(crate) fn devices(view: &HostView, state: &LocalState) -> BTreeMap<String, PortId> {
    if view.trunks.is_empty() {
        return BTreeMap::new();
    }
    let interfaces = state.interfaces.values().filter(|interface| interface.ofport.is_some());
    let bridges: BTreeSet<(PortId, &str)> =
        interfaces.filter_map(|interface| Some((interface.iface_id?, interface.bridge.as_str()))).collect();
    // The parent's device must be on the trunk's bridge.
    let plugged = view.trunks.iter().filter(|(id, trunk)| bridges.contains(&(trunk.parent, &id.bridge())));
    plugged.flat_map(|(_, trunk)| patches(trunk)).map(|patch| (patch.inner, patch.port)).collect()
}

/// What such a device of a port is; none: it is not a trunk's.
pub(crate) fn inner_end(device: &str, port: PortId) -> Option<PortKind> {
    if !device.starts_with("tpi-") && !device.starts_with("spi-") {
        return None;
    }
    let ends = [names::trunk_parent(port), names::trunk_subport(port)];
    ends.into_iter().find(|(inner, _)| inner == device).map(|(_, peer)| PortKind::Patch { peer })
}

/// Where a port's frames are on a trunk.
pub(crate) struct OnTrunk<'a> {
    pub bridge: String,
    /// The parent's device, which all of them pass.
    pub device: &'a str,
    /// 0: without a tag.
    pub tag: u16,
}

/// Where a port's frames are on a trunk; none: it is a device's of its own.
pub(crate) fn on_trunk<'a>(wiring: &Wiring<'a>, port: PortId) -> Option<OnTrunk<'a>> {
    let wired = wiring.ports.get(&port)?;
    inner_end(&wired.device, port)?;
    wiring.view.trunks.iter().find_map(|(id, trunk)| {
        let patch = patches(trunk).find(|patch| patch.port == port && patch.inner == wired.device)?;
        let bridge = id.bridge();
        let plugged = |(_, known): &(&String, &Interface)| {
            known.bridge == bridge && known.iface_id == Some(trunk.parent) && known.ofport.is_some()
        };
        let (device, _) = wiring.state.interfaces.iter().find(plugged)?;
        Some(OnTrunk { bridge, device, tag: patch.tag.map_or(0, VlanId::get) })
    })
}

/// The trunks' bridges; `like` has the columns of a bridge of ours.
pub(crate) fn bridges(wiring: &Wiring<'_>, like: &Bridge) -> BTreeMap<String, Bridge> {
    let bridge = |(id, trunk): (&TrunkId, &Trunk)| {
        let there = patches(trunk).filter(|patch| wiring.own_devices.contains_key(&patch.inner));
        let ports = there.map(|patch| {
            let kind = PortKind::Patch { peer: patch.inner };
            (patch.outer, BridgePort { kind, external_ids: BTreeMap::new(), bfd: BTreeMap::new() })
        });
        (id.bridge(), Bridge { fail_mode: "standalone".into(), ports: ports.collect(), ..like.clone() })
    };
    wiring.view.trunks.iter().map(bridge).collect()
}

/// The tags of the patches on the trunks' side.
pub(crate) fn tags<'a>(wiring: &'a Wiring<'_>) -> impl Iterator<Item = (String, PortTag)> + 'a {
    let all = wiring.view.trunks.values().flat_map(patches);
    all.filter(|patch| wiring.own_devices.contains_key(&patch.inner)).map(|patch| {
        let tag = patch.tag.map_or(0, VlanId::get);
        (patch.outer, PortTag { tag, other_config: BTreeMap::new() })
    })
}
