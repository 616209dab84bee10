//! Flows of the tunnel bridge: local VLANs become tunnel keys, and each frame goes only to the hosts that need it.
//!
//! ```text
//! from patch-int                                     from a tunnel
//! 0 ── 2 ─┬─ unicast ───────────── 20 ──┐            0 ──┬── 3 gre    ┐
//!         ├─ broadcast ARP ── 21 ────── 22               ├── 4 vxlan  ├── 10 ── patch-int
//!         └─ other multicast ────────── 22               └── 6 geneve ┘
//!
//!  1  (between 0 and 2, if there are any) what leaves distributed routers: see `router/distributed.rs`
//!  2  direction: from inside                 3, 4, 6  tunnel key -> local VLAN; unknown keys are dropped
//! 20  the tunnel that a MAC is behind (2: known to the API; 1: learned in table 10); unknown -> 22. A router's that may be
//!     behind several is learned above that (3), and 2 are all of them
//! 21  ARP answered here for addresses that the API knows; unknown, and what a router of this host says of itself -> 22
//! 22  flood, only to hosts that have a port on the network; none -> drop
//! 10  learn the sender into 20 for 300 s, then inside; for 5 s, if it is a router that may be behind several (2)
//! ```
//! So who takes over a router is found at once by what it announces or sends, and after those 5 s though it does neither.
//! In: [`Wiring`], of the view mostly `remote_ports` and `tunnel_peers` (l2population). Out: flows.

use crate::flow_set::FlowSet;
use crate::names::{self, PATCH_INT};
use crate::router::distributed;
use crate::wiring::Wiring;
use crate::{FLOW_OWNER, bridges};
use net_types::{MacAddr, NetworkId, NetworkType, PortId, VlanId};
use openflow::{Action, Field, Flow, Learn, LearnSpec, LearnValue, Match, SubField};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

const DISTRIBUTED: u8 = 1;
const FROM_INSIDE: u8 = 2;
const LEARN: u8 = 10;
const UNICAST: u8 = 20;
const ARP_RESPONDER: u8 = 21;
const FLOOD: u8 = 22;

/// Seconds that a learned MAC stays.
const LEARNED_FOR: u16 = 300;
/// The same of a router that may be behind several tunnels: meanwhile it may have gone over to another one without a word.
/// What it sends renews it.
const MOVING_LEARNED_FOR: u16 = 5;
/// In table 20, of learned MACs.
const LEARNED: u16 = 1;
/// In table 20, of MACs that the API knows.
const KNOWN: u16 = 2;
/// In table 20, of learned MACs that the API knows to be behind one of several tunnels.
const MOVING_LEARNED: u16 = 3;

/// The table that packets out of a tunnel of this type enter.
fn from_tunnel(kind: NetworkType) -> Option<u8> {
    match kind {
        NetworkType::Gre => Some(3),
        NetworkType::Vxlan => Some(4),
        NetworkType::Geneve => Some(6),
        NetworkType::Local | NetworkType::Flat | NetworkType::Vlan => None,
    }
}

/// Flows of the tunnel bridge; none when this host carries no tunnels.
pub(crate) fn plan(wiring: &Wiring<'_>) -> Option<Vec<Flow>> {
    let endpoint = wiring.config.tunnel.as_ref()?;
    let bridge = &wiring.config.tunnel_bridge;
    let mut flows = FlowSet::default();
    basis(&mut flows);
    if let Some(patch) = wiring.state.ofport(bridge, PATCH_INT) {
        let first = if leave_distributed(&mut flows, wiring) { DISTRIBUTED } else { FROM_INSIDE };
        flows.goto(0, 1, Match::new().in_port(patch), first);
        flows.add(LEARN, 1, Match::new(), [learn(LEARNED, LEARNED_FOR).into(), Action::output(patch)]);
    }
    // A peer's tunnel that has no number yet is left out, here and in what is sent there.
    let mut tunnels = BTreeMap::new();
    for (kind, remote) in bridges::tunnels_to_peers(wiring.view, endpoint) {
        let port = wiring.state.ofport(bridge, &names::tunnel(kind, remote));
        if let (Some(port), Some(table)) = (port, from_tunnel(kind)) {
            flows.goto(0, 1, Match::new().in_port(port), table);
            tunnels.insert((kind, remote), port);
        }
    }
    let remote_ports = remote_ports(wiring);
    for (id, wired) in &wiring.networks {
        let segment = &wired.network.segment;
        let (Some(key), Some(table)) = (segment.tunnel_key(), from_tunnel(segment.network_type())) else { continue };
        let way_in = [Action::push_vlan(), Action::set_vlan(wired.vlan), Action::goto(LEARN)];
        flows.add(table, 1, Match::new().tun_id(key), way_in);

        let out = |ports: &[u32]| {
            let outputs = ports.iter().map(|port| Action::output(*port));
            [Action::PopVlan, Action::set(Field::TunId, u64::from(key))].into_iter().chain(outputs).collect::<Vec<_>>()
        };
        let mut flood = BTreeSet::new();
        let patch = wiring.state.ofport(bridge, PATCH_INT);
        for remote in remote_ports.get(id).into_iter().flatten() {
            let endpoints = remote.endpoints.iter().map(|endpoint| (segment.network_type(), *endpoint));
            let ports: Vec<u32> = endpoints.filter_map(|tunnel| tunnels.get(&tunnel)).copied().collect();
            if ports.is_empty() {
                continue;
            }
            flood.extend(ports.iter().copied());
            if remote.is_sought {
                flows.add(UNICAST, KNOWN, Match::new().vlan(wired.vlan).dl_dst(remote.mac), out(&ports));
            }
            if let Some(patch) = patch.filter(|_| remote.moves && remote.is_sought) {
                let heard = Match::new().vlan(wired.vlan).dl_src(remote.mac);
                let learned = learn(MOVING_LEARNED, MOVING_LEARNED_FOR);
                flows.add(LEARN, 2, heard, [learned.into(), Action::output(patch)]);
            }
            for address in remote.addresses {
                if let IpAddr::V4(address) = address {
                    answer_arp(&mut flows, wired.vlan, *address, remote.mac);
                    if remote.is_here && remote.is_sought {
                        let itself = Match::new().vlan(wired.vlan).arp().dl_src(remote.mac).arp_tpa(*address);
                        flows.goto(ARP_RESPONDER, 2, itself, FLOOD);
                    }
                }
            }
        }
        if !flood.is_empty() {
            let ports: Vec<u32> = flood.into_iter().collect();
            flows.add(FLOOD, 1, Match::new().vlan(wired.vlan), out(&ports));
        }
    }
    Some(flows.into_flows())
}

/// Table 1, if there is anything to be done in it.
fn leave_distributed(flows: &mut FlowSet, wiring: &Wiring<'_>) -> bool {
    let all = distributed::interfaces(wiring);
    let tunnelled = |interface: &&distributed::Interface<'_, '_>| {
        let network = wiring.networks.get(&interface.wired.port.network);
        network.is_some_and(|wired| wired.network.segment.tunnel_key().is_some())
    };
    let interfaces: Vec<_> = all.iter().filter(tunnelled).collect();
    distributed::leave(flows, DISTRIBUTED, 0, &interfaces, |frames| frames, |_| vec![Action::goto(FROM_INSIDE)]);
    if !interfaces.is_empty() {
        flows.goto(DISTRIBUTED, 0, Match::new(), FROM_INSIDE);
    }
    !interfaces.is_empty()
}

/// What is there without any network.
fn basis(flows: &mut FlowSet) {
    flows.drop(0, 0, Match::new());
    flows.goto(FROM_INSIDE, 1, Match::new().arp().dl_dst(MacAddr::BROADCAST), ARP_RESPONDER);
    flows.goto(FROM_INSIDE, 0, Match::new().unicast(), UNICAST);
    flows.goto(FROM_INSIDE, 0, Match::new().multicast(), FLOOD);
    for table in [3, 4, 6] {
        flows.drop(table, 0, Match::new());
    }
    flows.goto(UNICAST, 0, Match::new(), FLOOD);
    flows.goto(ARP_RESPONDER, 0, Match::new(), FLOOD);
    flows.drop(FLOOD, 0, Match::new());
}

/// Into table 20: frames of this VLAN to the sender go back through the tunnel, with the key, that this packet came by.
fn learn(priority: u16, seconds: u16) -> Learn {
    let same = |field: Field| LearnValue::Field(SubField::whole(field));
    let vlan_id = SubField::bits(Field::VlanTci, 0, 11);
    Learn {
        table: UNICAST,
        priority,
        cookie: FLOW_OWNER.value(),
        hard_timeout: seconds,
        specs: vec![
            LearnSpec::Match { field: vlan_id, from: LearnValue::Field(vlan_id) },
            LearnSpec::Match { field: Field::EthDst.into(), from: same(Field::EthSrc) },
            LearnSpec::Load { field: Field::VlanTci.into(), from: LearnValue::Number(0) },
            LearnSpec::Load { field: Field::TunId.into(), from: same(Field::TunId) },
            LearnSpec::Output(Field::InPort.into()),
        ],
        ..Learn::default()
    }
}

/// Turns the question into the answer and sends it back.
fn answer_arp(flows: &mut FlowSet, vlan: VlanId, address: Ipv4Addr, mac: MacAddr) {
    let actions = [
        Action::set(Field::ArpOp, 2u16),
        Action::copy(Field::ArpSha, Field::ArpTha),
        Action::copy(Field::ArpSpa, Field::ArpTpa),
        Action::set(Field::ArpSha, mac),
        Action::set(Field::ArpSpa, u32::from(address)),
        Action::copy(Field::EthSrc, Field::EthDst),
        Action::set(Field::EthSrc, mac),
        Action::in_port(),
    ];
    flows.add(ARP_RESPONDER, 1, Match::new().arp().vlan(vlan).arp_tpa(address), actions);
}

/// A port behind a tunnel.
struct Remote<'a> {
    endpoints: Vec<IpAddr>,
    /// It is behind one of several: where it was last heard is learned, and before that all of them are asked.
    moves: bool,
    /// This host has it as well.
    is_here: bool,
    /// Something here may be sent to it: not where this host has a copy of a distributed router, which is nearer.
    is_sought: bool,
    mac: MacAddr,
    addresses: &'a BTreeSet<IpAddr>,
}

/// Ports elsewhere, by network, of hosts whose endpoint is known.
fn remote_ports<'a>(wiring: &Wiring<'a>) -> BTreeMap<NetworkId, Vec<Remote<'a>>> {
    let mut ports: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let copies = wiring.view.routers.values().filter(|router| router.is_copy());
    let copied: BTreeSet<&PortId> = copies.flat_map(|router| &router.interfaces).collect();
    for (id, remote) in &wiring.view.remote_ports {
        let moves = !remote.may_be_on.is_empty();
        let (is_here, is_sought) = (wiring.ports.contains_key(id), !copied.contains(id));
        let only = [&remote.host];
        let hosts = if moves { remote.may_be_on.iter().collect() } else { only.to_vec() };
        let peers = hosts.into_iter().filter_map(|host| wiring.view.tunnel_peers.get(host));
        let endpoints = peers.map(|peer| peer.address).collect();
        let known = Remote { endpoints, moves, is_here, is_sought, mac: remote.mac, addresses: &remote.addresses };
        ports.entry(remote.network).or_default().push(known);
    }
    ports
}
