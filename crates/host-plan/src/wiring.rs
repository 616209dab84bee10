//! What of the view can be wired on this host now: the common ground of all planners of the switch.
//!
//! ```text
//! view.ports ── device on br-int? (iface-id, or the port that we make for DHCP and routers) ── no ──> Down
//!      │                                                                                   \── number not yet known ──> Down, as it is
//!      ├── network realisable here? (bridge of its physical network, tunnel type) ── no ──> Failed, dead VLAN
//!      ├── port and network administratively up? ── no ──> Down, dead VLAN
//!      └── wired: local VLAN, OpenFlow number, flows ──> Up, once the network's way out of br-int has a number, too
//! ```
//! A device whose `iface-id` names no port of the view is put on the dead VLAN: it may be about to be bound, and must
//! not talk before. One that the switch has just been told of, and whose port is known, is left for the moment until it has a
//! number: it then gets its flows and its tag, and the switch has not been busy with another one meanwhile.

use crate::router::standby::{self, Gate};
use crate::{HostConfig, Interface, LocalState, firewall, local_vlan, names, qos, trunk};
use host_view::{AgentRole, HostView, MetadataClient, Network, Port, PortState, Segment, Subnet};
use net_types::{NetworkId, PortId, SubnetId, VlanId};
use std::collections::{BTreeMap, BTreeSet};

/// What the planners of the switch share.
pub(crate) struct Wiring<'a> {
    pub view: &'a HostView,
    pub config: &'a HostConfig,
    pub state: &'a LocalState,
    /// Subnets, by their network.
    pub subnets: BTreeMap<NetworkId, Vec<(SubnetId, &'a Subnet)>>,
    /// Who may ask for metadata, by their network.
    pub metadata_clients: BTreeMap<NetworkId, Vec<&'a MetadataClient>>,
    /// Networks with a local VLAN.
    pub networks: BTreeMap<NetworkId, WiredNetwork<'a>>,
    /// Ports that carry traffic.
    pub ports: BTreeMap<PortId, WiredPort<'a>>,
    /// Devices that we make, and the port that each is for.
    pub own_devices: BTreeMap<String, PortId>,
    /// When packets of highly available routers' ports pass.
    pub gates: BTreeMap<PortId, Gate>,
    /// Devices on the integration bridge that must carry nothing.
    pub dead: BTreeSet<String>,
    /// What can be said of each port of the view.
    pub outcomes: BTreeMap<PortId, PortState>,
    pub errors: BTreeSet<String>,
}

/// A network that is wired here.
pub(crate) struct WiredNetwork<'a> {
    pub network: &'a Network,
    pub vlan: VlanId,
}

/// A port that carries traffic.
pub(crate) struct WiredPort<'a> {
    pub port: &'a Port,
    /// Name of its device on the integration bridge.
    pub device: String,
    pub ofport: u32,
    pub vlan: VlanId,
    /// What goes to it is limited.
    pub limited: bool,
}

impl WiredPort<'_> {
    /// Whether anti-spoofing and security groups apply.
    pub fn is_secured(&self) -> bool {
        firewall::is_secured(self.port)
    }

    /// Whether it may use MAC addresses that nobody has told us: an instance's port without port security.
    pub fn has_unknown_macs(&self) -> bool {
        !self.port.port_security && !firewall::is_networks_own(self.port)
    }
}

impl<'a> Wiring<'a> {
    pub fn new(view: &'a HostView, config: &'a HostConfig, state: &'a LocalState) -> Self {
        let own_devices = own_devices(view, config, state);
        let devices = devices(view, config, state, &own_devices);
        let realisable: BTreeMap<NetworkId, Result<(), String>> =
            view.networks.iter().map(|(id, network)| (*id, can_realise(&network.segment, config, state))).collect();

        let wanted = devices
            .keys()
            .filter_map(|id| view.ports.get(id))
            .filter(|port| port.admin_state_up)
            .map(|port| port.network)
            .filter(|id| matches!(realisable.get(id), Some(Ok(()))))
            .filter(|id| view.networks.get(id).is_some_and(|network| network.admin_state_up))
            .collect();
        let allocation = local_vlan::allocate(&wanted, &state.local_vlans);
        let networks: BTreeMap<_, _> = allocation
            .vlans
            .iter()
            .filter_map(|(id, vlan)| Some((*id, WiredNetwork { network: view.networks.get(id)?, vlan: *vlan })))
            .collect();

        let mut subnets: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (id, subnet) in &view.subnets {
            subnets.entry(subnet.network).or_default().push((*id, subnet));
        }
        let mut metadata_clients: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for client in view.metadata_clients.values() {
            metadata_clients.entry(client.network).or_default().push(client);
        }
        let mut wiring = Self {
            view,
            config,
            state,
            subnets,
            metadata_clients,
            networks,
            ports: BTreeMap::new(),
            own_devices,
            gates: standby::gates(view, config, state),
            dead: BTreeSet::new(),
            outcomes: BTreeMap::new(),
            errors: allocation
                .refused
                .iter()
                .map(|network| format!("network {network}: all 4094 local VLANs of this host are in use"))
                .collect(),
        };
        for (id, port) in &view.ports {
            let outcome = match (realisable.get(&port.network), devices.get(id)) {
                (None, _) => failed(format!("its network {} is not known on this host", port.network)),
                (Some(Err(reason)), _) => failed(reason.clone()),
                (Some(Ok(())), None) => PortState::Down,
                (Some(Ok(())), Some(device)) => wiring.wire(*id, port, device),
            };
            wiring.outcomes.insert(*id, outcome);
        }
        let live: BTreeSet<_> = wiring.ports.values().map(|wired| wired.device.clone()).collect();
        let pending = |name: &String| {
            // A device of ours that merely has no number yet is on its way; it gets its tag at once.
            wiring.own_devices.get(name).is_some_and(|id| wiring.local_vlan_of(*id).is_some())
        };
        let coming = |interface: &Interface| {
            interface.ofport.is_none() && interface.iface_id.is_some_and(|id| view.ports.contains_key(&id))
        };
        wiring.dead = state
            .interfaces
            .iter()
            .filter(|(name, interface)| {
                interface.bridge == config.integration_bridge
                    && (interface.iface_id.is_some() || wiring.own_devices.contains_key(*name))
                    && !live.contains(*name)
                    && !pending(name)
                    && (!coming(interface) || wiring.own_devices.contains_key(*name))
            })
            .map(|(name, _)| name.clone())
            .collect();
        wiring
    }

    fn wire(&mut self, id: PortId, port: &'a Port, device: &str) -> PortState {
        let network = self.view.networks.get(&port.network);
        if !port.admin_state_up || !network.is_some_and(|network| network.admin_state_up) {
            return PortState::Down;
        }
        let Some(vlan) = self.networks.get(&port.network).map(|network| network.vlan) else {
            return failed("all local VLANs of this host are in use".into());
        };
        let Some(ofport) = self.int_ofport(device) else { return PortState::Down };
        let limited = qos::is_limited(self.view.qos.get(&id));
        self.ports.insert(id, WiredPort { port, device: device.to_owned(), ofport, vlan, limited });
        // While the patch out of the bridge has no number the port is not what it should be, though it has its flows.
        let isolated =
            network.is_some_and(|network| network.segment != Segment::Local && self.uplink(network).is_none());
        if isolated { PortState::Down } else { PortState::Up }
    }

    /// The subnets of a network.
    pub fn subnets_of(&self, network: NetworkId) -> impl Iterator<Item = &'a Subnet> + '_ {
        self.subnets.get(&network).into_iter().flatten().map(|(_, subnet)| *subnet)
    }

    /// The local VLAN of a port that may carry traffic, whether the switch has given it a number yet or not.
    pub fn local_vlan_of(&self, id: PortId) -> Option<VlanId> {
        let port = self.view.ports.get(&id).filter(|port| port.admin_state_up)?;
        self.networks.get(&port.network).map(|network| network.vlan)
    }

    /// Where a network leaves the integration bridge: towards the tunnels or its physical network. None for local
    /// networks, and while the patch has no number.
    pub fn uplink(&self, network: &Network) -> Option<u32> {
        if network.segment.tunnel_key().is_some() {
            return self.int_ofport(names::PATCH_TUN);
        }
        let bridge = self.config.bridge_mappings.get(network.segment.physical_network()?)?;
        self.int_ofport(&names::physical_patch(bridge).0)
    }

    /// The OpenFlow number of a port of the integration bridge.
    pub fn int_ofport(&self, name: &str) -> Option<u32> {
        self.state.ofport(&self.config.integration_bridge, name)
    }
}

fn failed(reason: String) -> PortState {
    PortState::Failed { reason }
}

/// Devices of DHCP servers and routers, and patches to trunks, which the agent makes itself.
fn own_devices(view: &HostView, config: &HostConfig, state: &LocalState) -> BTreeMap<String, PortId> {
    let mut devices = trunk::devices(view, state);
    if config.roles.contains(&AgentRole::Dhcp) {
        devices.extend(view.dhcp.values().map(|dhcp| (names::tap(dhcp.port), dhcp.port)));
    }
    if config.roles.contains(&AgentRole::L3) {
        // A router that is administratively down has no namespace, so its ports have no devices.
        for router in view.routers.values().filter(|router| router.admin_state_up) {
            devices.extend(router.interfaces.iter().map(|port| (names::router_interface(*port), *port)));
            devices.extend(router.snat_ports.iter().map(|port| (names::router_snat(*port), *port)));
            devices.extend(router.gateways().map(|gateway| (names::router_gateway(gateway.port), gateway.port)));
        }
    }
    devices.retain(|_, port| view.ports.contains_key(port));
    devices
}

/// The device of each port of the view that has one: ours, or the one that somebody plugged with its id.
fn devices(
    view: &HostView,
    config: &HostConfig,
    state: &LocalState,
    own: &BTreeMap<String, PortId>,
) -> BTreeMap<PortId, String> {
    let mut devices: BTreeMap<PortId, String> = own.iter().map(|(name, port)| (*port, name.clone())).collect();
    for (name, interface) in &state.interfaces {
        // The device of a DHCP or router port, and a trunk's patch, is ours to make; one that is left over must not come back
        // to life.
        let ours = |id: PortId| made_by_agents(view, id) || trunk::inner_end(name, id).is_some();
        let plugged = |id: &PortId| view.ports.contains_key(id) && !ours(*id);
        let Some(port) = interface.iface_id.filter(plugged) else { continue };
        if interface.bridge == config.integration_bridge && interface.ofport.is_some() {
            // Of two devices with the same id the first in order counts, the other one is dead.
            devices.entry(port).or_insert_with(|| name.clone());
        }
    }
    devices
}

/// Whether the devices of such ports are made by agents, never plugged.
fn made_by_agents(view: &HostView, id: PortId) -> bool {
    let owner = view.ports.get(&id).map_or("", |port| &port.device_owner);
    owner == "network:dhcp" || owner.starts_with("network:router_")
}

/// Whether a network of this segment can be wired here; if not, why.
fn can_realise(segment: &Segment, config: &HostConfig, state: &LocalState) -> Result<(), String> {
    if let Some(physical) = segment.physical_network() {
        let bridge = config
            .bridge_mappings
            .get(physical)
            .ok_or_else(|| format!("physical network {physical} is not in this host's bridge_mappings"))?;
        if !state.bridges.contains(bridge) {
            return Err(format!("bridge {bridge} of physical network {physical} does not exist"));
        }
    }
    if segment.tunnel_key().is_some() {
        let kind = segment.network_type();
        if !config.tunnel.as_ref().is_some_and(|tunnel| tunnel.types.contains(&kind)) {
            return Err(format!("{kind} is not in this host's tunnel_types"));
        }
    }
    Ok(())
}
