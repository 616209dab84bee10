//! Port mirroring: mirrors of the integration bridge, and the ports that they put copies out by.
//!
//! ```text
//!                 the tap service's port is on this host            on another host
//! source ┄┄copy┄┄▶ tmo-<service> ══ tmp-<service> ──▶ its port      tmo-<service> ══tunnel══▶ tmv-<service> ──▶ its port
//! source ┄┄copy┄┄▶ tm{i,q,b}-<mirror> ══GRE or ERSPAN══▶ collector  (tap mirrors)
//!
//! trunk's device ┄┄copy┄┄▶ tmt-<hash> ══ tmu-<hash> ──▶ the same              sources on a trunk, by the trunk's bridge
//!
//! 0  250 from tmp-, tmv-, tme-, tmg-: out by the tap service's port       250 from tmo-, tmi-, tmq-, tmb-: drop
//!        from tmu-: out by the tap service's port, or by tmo-, tmi-, tmq-, tmb-
//! ```
//! The copy is the switch's own `Mirror` row: what comes in by the ports that it selects, before any table, and what goes out by
//! them, whatever decided so (`NORMAL`, a flow, a rule); so nothing that a source sends or gets takes another way because of it. A
//! mirror's output port is reserved for copies: therefore not the tap service's port itself, which goes on as before, but
//! a patch of the bridge with itself, or a tunnel with a key of the service's own. On the way out of a patch or tunnel
//! the copy goes straight to the tap service's port, past limits, rules and port security.
//!
//! Mirrors do not see what passes a patch, and patches are what ports of trunks have on the integration bridge. Their frames
//! are selected on the trunk's own bridge, by the parent's device and their tag.
//!
//! Nothing goes round: the switch copies a packet at most once for each mirror, and what a tap service's port is given is not
//! copied again (the feed sees to that). The network's own ports (DHCP, routers) may be sources; copies are not delivered to
//! them, for they would answer or forward them.
//!
//! In: tap services and tap mirrors of the view, wired ports. Out: ports, mirrors, flows. All of these ports are access ports of
//! VLAN 0, which no network has: nothing is flooded to them, copies leave untagged, and a copy that arrives before its flow is
//! there meets no device, not even a dead one. (On a trunk's bridge VLAN 0 is the parent's; there it is the dead one.) Names:
//! `names::mirror`.

use crate::bridges::{kinds_of_tunnel, patch};
use crate::firewall;
use crate::flow_set::FlowSet;
use crate::host_plan::{Bridge, BridgePort, DEAD_VLAN, Mirror, PortKind, PortTag};
use crate::names;
use crate::trunk::{OnTrunk, on_trunk};
use crate::wiring::Wiring;
use host_view::{TapDirection, TapMirror, TapMirrorKind, TapService};
use net_types::{NetworkType, PortId};
use openflow::{Action, Match};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use uuid::Uuid;

/// Above everything else in table 0 but the dead VLAN: copies have nothing to do with the rest.
const COPIES: u16 = 250;

/// The VLAN of ports that only copies pass.
const NO_VLAN: u16 = 0;

/// Ports and mirrors of one bridge.
#[derive(Debug, Default)]
struct OnBridge {
    ports: BTreeMap<String, BridgePort>,
    mirrors: BTreeMap<String, Mirror>,
}

/// All that is planned of mirrors.
#[derive(Debug, Default)]
pub(crate) struct Mirroring {
    here: OnBridge,
    /// By the trunk's bridge.
    on_trunks: BTreeMap<String, OnBridge>,
    /// Ports whose packets are copies, and the OpenFlow number of the port that they go to.
    deliveries: BTreeMap<String, u32>,
    pub errors: BTreeSet<String>,
}

impl Mirroring {
    /// Plans all mirrors.
    pub fn new(wiring: &Wiring<'_>) -> Self {
        let mut mirroring = Self::default();
        for (id, service) in &wiring.view.tap_services {
            if let Err(error) = mirroring.service(wiring, *id, service) {
                mirroring.errors.insert(format!("tap service {id}: {error}"));
            }
        }
        for (id, mirror) in &wiring.view.tap_mirrors {
            if let Err(error) = mirroring.collector(wiring, *id, mirror) {
                mirroring.errors.insert(format!("tap mirror {id}: {error}"));
            }
        }
        mirroring
    }

    fn service(&mut self, wiring: &Wiring<'_>, id: Uuid, service: &TapService) -> Result<(), String> {
        let output = names::mirror("tmo", id);
        let selected = Selected::new(wiring, &service.sources);
        if let Some(host) = &service.host {
            if selected.is_empty() {
                return Ok(());
            }
            let (kind, remote) = tunnel_to(wiring, host)?;
            self.here.ports.insert(output.clone(), tunnel(wiring, kind, &remote.to_string(), service.key));
            self.copy(&selected, &output, wiring.int_ofport(&output));
            return Ok(());
        }
        let Some(port) = wiring.ports.get(&service.port) else { return Ok(()) };
        if firewall::is_networks_own(port.port) {
            return Err("copies are not delivered to ports of the network's own".to_owned());
        }
        if !selected.here.is_empty() {
            let inner = names::mirror("tmp", id);
            self.here.ports.insert(output.clone(), patch(&inner));
            self.here.ports.insert(inner.clone(), patch(&output));
            self.deliveries.insert(inner, port.ofport);
        }
        self.copy(&selected, &output, Some(port.ofport));
        let mut errors = Vec::new();
        for host in &service.from {
            match tunnel_to(wiring, host) {
                Ok((kind, _)) => {
                    let name = names::mirror(arrival(kind), id);
                    self.deliveries.insert(name.clone(), port.ofport);
                    self.here.ports.insert(name, tunnel(wiring, kind, "flow", service.key));
                }
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors.join("; ")) }
    }

    fn collector(&mut self, wiring: &Wiring<'_>, id: Uuid, mirror: &TapMirror) -> Result<(), String> {
        // A tunnel with a key of its own would take the network's packets that bear the same.
        let by_gre = wiring.config.tunnel.as_ref().is_some_and(|tunnel| tunnel.types.contains(&NetworkType::Gre));
        if by_gre && wiring.view.tunnel_peers.values().any(|peer| peer.address == mirror.collector) {
            return Err(format!("{} is a host that networks are reached on by GRE", mirror.collector));
        }
        for (direction, number) in &mirror.numbers {
            let name = names::mirror(departure(*direction), id);
            let selected = Selected::new(wiring, &[(mirror.port, *direction)].into());
            if selected.is_empty() {
                continue;
            }
            is_of_our_family(wiring, mirror.collector)?;
            let mut options = tunnel_options(wiring, &mirror.collector.to_string(), *number);
            let kind = match mirror.kind {
                TapMirrorKind::Gre => PortKind::Tunnel { tunnel: NetworkType::Gre, options },
                // Ten bits have room for the session.
                TapMirrorKind::ErspanV1 if *number > 0x3ff => {
                    return Err(format!("{number} is not a session of ERSPAN, which go up to 1023"));
                }
                TapMirrorKind::ErspanV1 => {
                    options.insert("erspan_ver".into(), "1".into());
                    // The switch reads this one, alone of all, as hexadecimal.
                    options.insert("erspan_idx".into(), format!("{number:x}"));
                    PortKind::Erspan { options }
                }
            };
            self.here.ports.insert(name.clone(), plain(kind));
            self.copy(&selected, &name, wiring.int_ofport(&name));
        }
        Ok(())
    }

    /// The mirrors of what is selected; `output` is where those of the integration bridge put copies out, `to` the number of
    /// the port that those of trunks' bridges go to.
    fn copy(&mut self, selected: &Selected<'_>, output: &str, to: Option<u32>) {
        if !selected.here.is_empty() {
            self.here.mirrors.insert(output.to_owned(), selected.here.mirror(output, None));
        }
        for ((bridge, tag), sources) in &selected.on_trunks {
            let (outer, inner) = names::mirror_patch(output, bridge);
            self.here.ports.insert(inner.clone(), patch(&outer));
            let there = self.on_trunks.entry(bridge.clone()).or_default();
            there.ports.insert(outer.clone(), patch(&inner));
            there.mirrors.insert(names::mirror_of_tag(output, *tag), sources.mirror(&outer, Some(*tag)));
            self.deliveries.extend(to.map(|to| (inner, to)));
        }
    }

    /// Adds ports and mirrors to the bridges.
    pub fn add_to(&self, bridges: &mut BTreeMap<String, Bridge>, integration_bridge: &str) {
        let here = std::iter::once((integration_bridge, &self.here));
        for (name, added) in here.chain(self.on_trunks.iter().map(|(name, added)| (name.as_str(), added))) {
            if let Some(bridge) = bridges.get_mut(name) {
                bridge.ports.extend(added.ports.clone());
                bridge.mirrors.extend(added.mirrors.clone());
            }
        }
    }

    /// The tags of all these ports.
    pub fn tags(&self) -> impl Iterator<Item = (String, PortTag)> + '_ {
        let of = |name: &String, tag| (name.clone(), PortTag { tag, other_config: BTreeMap::new() });
        let there = self.on_trunks.values().flat_map(|added| added.ports.keys());
        self.here.ports.keys().map(move |name| of(name, NO_VLAN)).chain(there.map(move |name| of(name, DEAD_VLAN)))
    }

    /// Adds to table 0.
    pub fn plan(&self, flows: &mut FlowSet, wiring: &Wiring<'_>) {
        for name in self.here.ports.keys() {
            let Some(from) = wiring.int_ofport(name) else { continue };
            match self.deliveries.get(name) {
                Some(to) => flows.add(0, COPIES, Match::new().in_port(from), [Action::output(*to)]),
                None => flows.drop(0, COPIES, Match::new().in_port(from)),
            }
        }
    }
}

/// Devices whose frames are copied.
#[derive(Debug, Default)]
struct Sources<'a> {
    from: BTreeSet<&'a str>,
    to: BTreeSet<&'a str>,
}

impl<'a> Sources<'a> {
    fn add(&mut self, device: &'a str, direction: TapDirection) {
        self.from.extend(direction.is_out().then_some(device));
        self.to.extend(direction.is_in().then_some(device));
    }

    fn is_empty(&self) -> bool {
        self.from.is_empty() && self.to.is_empty()
    }

    fn mirror(&self, output: &str, vlan: Option<u16>) -> Mirror {
        let names = |devices: &BTreeSet<&str>| devices.iter().map(|device| (*device).to_owned()).collect();
        Mirror {
            from: names(&self.from),
            to: names(&self.to),
            vlans: vlan.into_iter().collect(),
            output: output.to_owned(),
        }
    }
}

/// Those sources of a mirror that are wired.
#[derive(Debug, Default)]
struct Selected<'a> {
    here: Sources<'a>,
    /// By trunk's bridge and tag.
    on_trunks: BTreeMap<(String, u16), Sources<'a>>,
}

impl<'a> Selected<'a> {
    fn new(wiring: &'a Wiring<'_>, sources: &BTreeMap<PortId, TapDirection>) -> Self {
        let mut selected = Self::default();
        for (id, direction) in sources {
            let Some(port) = wiring.ports.get(id) else { continue };
            match on_trunk(wiring, *id) {
                Some(OnTrunk { bridge, device, tag }) => {
                    selected.on_trunks.entry((bridge, tag)).or_default().add(device, *direction);
                }
                None => selected.here.add(&port.device, *direction),
            }
        }
        selected
    }

    fn is_empty(&self) -> bool {
        self.here.is_empty() && self.on_trunks.is_empty()
    }
}

/// The kind of tunnel that this host and another both have, and where the other's ends: both choose the same.
fn tunnel_to(wiring: &Wiring<'_>, host: &str) -> Result<(NetworkType, IpAddr), String> {
    let peer = wiring.view.tunnel_peers.get(host).ok_or_else(|| format!("host {host} has no tunnels"))?;
    let ours = wiring.config.tunnel.as_ref().ok_or("this host has no tunnels")?;
    is_of_our_family(wiring, peer.address)?;
    let kind = kinds_of_tunnel(peer, ours).next();
    Ok((kind.ok_or_else(|| format!("no kind of tunnel is common to this host and {host}"))?, peer.address))
}

/// A host without tunnels of its own chooses an address by its routes.
fn is_of_our_family(wiring: &Wiring<'_>, address: IpAddr) -> Result<(), String> {
    match &wiring.config.tunnel {
        Some(ours) if !ours.is_of_family(address) => {
            Err(format!("{address} is of another family than this host's {}", ours.local_ip))
        }
        _ => Ok(()),
    }
}

fn tunnel(wiring: &Wiring<'_>, kind: NetworkType, remote: &str, key: u32) -> BridgePort {
    plain(PortKind::Tunnel { tunnel: kind, options: tunnel_options(wiring, remote, key) })
}

/// A copy is as large as what it is of, and has to fit once more: the outer packet may be fragmented.
fn tunnel_options(wiring: &Wiring<'_>, remote: &str, key: u32) -> BTreeMap<String, String> {
    let local = wiring.config.tunnel.as_ref().map(|ours| ("local_ip", ours.local_ip.to_string()));
    let options = [("df_default", "false".to_owned()), ("key", key.to_string()), ("remote_ip", remote.to_owned())];
    options.into_iter().chain(local).map(|(key, value)| (key.to_owned(), value)).collect()
}

fn plain(kind: PortKind) -> BridgePort {
    BridgePort { kind, external_ids: BTreeMap::new(), bfd: BTreeMap::new() }
}

/// Where copies of each kind of tunnel arrive.
fn arrival(kind: NetworkType) -> &'static str {
    match kind {
        NetworkType::Gre => "tmg",
        NetworkType::Geneve => "tme",
        _ => "tmv",
    }
}

/// Where copies of each direction leave for a collector.
fn departure(direction: TapDirection) -> &'static str {
    match direction {
        TapDirection::In => "tmi",
        TapDirection::Out => "tmq",
        TapDirection::Both => "tmb",
    }
}
