//! What may be beside the random hosts of [`super::random`]: a trunk, limits and marks, logs, mirrors.

use super::Arrival;
use super::random::{Dice, INSTANCES, Places, address, mac_of, packet, port_name, receiver, states};
use crate::support::{Host, NewPort, id, ip, mac};
use host_plan::{HostPlan, Interface, PortKind, names};
use host_view::{
    Limit, Limits, Log, LogEvent, PortQos, Segment, TapDirection, TapMirror, TapMirrorKind, TapService, Trunk,
};
use net_types::{NetworkType, PortId, TrunkId, VlanId, Vni};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Whom copies are sent to, and their MACs on the underlay.
pub const COLLECTORS: [(&str, &str); 2] = [("10.77.0.8", "02:00:0a:4d:00:08"), ("10.77.0.9", "02:00:0a:4d:00:09")];
const TRUNK: &str = "7ac00001";
/// The parent and subports of the trunk: number of the station, network, tag.
const STATIONS: [(u64, u64, Option<u16>); 3] = [(20, 1, None), (21, 2, Some(101)), (22, 3, Some(102))];

fn bridge() -> String {
    id::<TrunkId>(TRUNK).bridge()
}

fn parent_device() -> String {
    names::tap(id(&port_name(STATIONS[0].0)))
}

/// The parent's device is always plugged; whether there is a trunk, the dice say.
pub fn trunk(dice: &mut Dice, host: &mut Host) {
    let device = Interface {
        bridge: bridge(),
        ofport: Some(9),
        iface_id: Some(id(&port_name(STATIONS[0].0))),
        attached_mac: Some(mac(&mac_of(STATIONS[0].0))),
        ..Interface::default()
    };
    host.state.interfaces.insert(parent_device(), device);
    if dice.percent(30) {
        return;
    }
    for (station, network, _) in STATIONS {
        let addresses = [false, true].map(|v6| address(network, station, v6));
        let subnets = [format!("4{network}"), format!("6{network}")];
        let fixed: Vec<_> = subnets.iter().map(String::as_str).zip(addresses.iter().map(String::as_str)).collect();
        let mut new = NewPort::new(&port_name(station), &format!("{network}"), &mac_of(station), &fixed);
        new = new.group(&format!("9{}", dice.roll(4)));
        new.port.port_security = dice.percent(70);
        if !new.port.port_security {
            new.port.security_groups.clear();
        }
        host.port(new);
    }
    let subports =
        STATIONS.iter().filter_map(|(station, _, tag)| Some((id(&port_name(*station)), VlanId::new((*tag)?).ok()?)));
    let trunk = Trunk { parent: id(&port_name(STATIONS[0].0)), subports: subports.collect() };
    host.view.trunks.insert(id(TRUNK), trunk);
}

/// A packet out of the trunk's device.
pub fn by_trunk(dice: &mut Dice, places: &Places) -> Arrival {
    let (station, network, tag) = *dice.one(&STATIONS);
    let tag = if dice.percent(10) { Some(103) } else { tag };
    let sender = (network, mac_of(station), station);
    let to = if dice.percent(20) { *dice.one(&STATIONS) } else { (0, 0, None) };
    let to = if to.0 > 0 { (to.1, mac_of(to.0), to.0) } else { receiver(dice, places, network) };
    let head = tag.map(|tag| format!("dl_vlan={tag},")).unwrap_or_default();
    Arrival { bridge: bridge(), port: parent_device(), packet: head + &packet(dice, sender, to), states: states(dice) }
}

/// Every kind of tunnel between hosts; one of them is network 1's.
pub fn tunnels(dice: &mut Dice, host: &mut Host) {
    let all: BTreeSet<_> = [NetworkType::Vxlan, NetworkType::Geneve, NetworkType::Gre].into();
    host.config.tunnel.as_mut().unwrap().types.clone_from(&all);
    host.view.tunnel_peers.values_mut().for_each(|peer| peer.types.clone_from(&all));
    let vni = Vni::new(1000).unwrap();
    let segments = [Segment::Vxlan { vni }, Segment::Geneve { vni }, Segment::Gre { key: 1000 }];
    host.view.networks.get_mut(&id("1")).unwrap().segment = dice.one(&segments).clone();
}

/// A packet out of a tunnel: of networks, for copies from another host, or from where only copies of ours go to.
pub fn by_tunnel(dice: &mut Dice, places: &Places, plan: &HostPlan) -> Option<Arrival> {
    let bridge = *dice.one(&["br-int", "br-tun"]);
    let unknown = if dice.percent(20) { "1001" } else { "1000" };
    let tunnels: Vec<_> = plan.bridges[bridge]
        .ports
        .iter()
        .filter_map(|(name, port)| match &port.kind {
            PortKind::Tunnel { options, .. } | PortKind::Erspan { options } => {
                Some((name, options.get("key").map_or(unknown, String::as_str)))
            }
            _ => None,
        })
        .collect();
    if tunnels.is_empty() {
        return None;
    }
    let (port, key) = *dice.one(&tunnels);
    let (network, station) = (places[0], 100);
    let to = receiver(dice, places, network);
    let packet = packet(dice, (network, mac_of(station), station), to);
    let packet = format!("tun_id={key},{packet}");
    Some(Arrival { bridge: bridge.into(), port: port.clone(), packet, states: states(dice) })
}

/// Limits and marks of some ports.
pub fn limits(dice: &mut Dice, host: &mut Host) {
    for port in some_ports(dice, host, 15) {
        let mut some = |unit: u32| dice.percent(50).then(|| Limit { rate: 1000 * unit, burst: 0 });
        let egress = Limits { bandwidth: some(1), packets: some(2) };
        let ingress = Limits { bandwidth: some(3), packets: some(4) };
        let dscp = dice.percent(30).then_some(46);
        host.view.qos.insert(port, PortQos { egress, ingress, dscp });
    }
}

/// Ports that may be observed: instances, the trunk's, the DHCP server's, the router's.
fn some_ports(dice: &mut Dice, host: &Host, chance: u64) -> BTreeSet<PortId> {
    host.view.ports.keys().copied().filter(|_| dice.percent(chance)).collect()
}

/// Logs of some ports, of all that their groups do or of one group's part.
pub fn logs(dice: &mut Dice, host: &mut Host) {
    for number in 0..dice.roll(4) {
        let log = Log {
            project: format!("p{}", dice.roll(2)),
            event: *dice.one(&[LogEvent::Accept, LogEvent::Drop, LogEvent::All, LogEvent::All]),
            group: dice.percent(40).then(|| id(&format!("9{}", dice.roll(4)))),
            ports: some_ports(dice, host, 50),
        };
        host.view.logs.insert(Uuid::from_u128(0x106 << 96 | u128::from(number)), log);
    }
}

fn direction(dice: &mut Dice) -> TapDirection {
    *dice.one(&[TapDirection::In, TapDirection::Out, TapDirection::Both])
}

/// Tap services here and elsewhere, and tap mirrors to collectors.
pub fn mirrors(dice: &mut Dice, host: &mut Host) {
    // New names each time: ports of the last host may not be gone yet.
    let name = u128::from(dice.roll(1 << 32)) << 96;
    for number in 0..dice.roll(4) {
        let is_here = dice.percent(70);
        let sources = some_ports(dice, host, 25).into_iter().map(|port| (port, direction(dice))).collect();
        let from: BTreeSet<String> =
            ["peer2", "peer3"].iter().filter(|_| is_here && dice.percent(40)).map(|host| (*host).to_owned()).collect();
        let service = TapService {
            port: if is_here { id(&port_name(dice.roll(INSTANCES))) } else { id("7ffffff") },
            host: (!is_here).then(|| format!("peer{}", 2 + dice.roll(2))),
            key: 0xff_fffe - number as u32,
            sources,
            from,
        };
        host.view.tap_services.insert(Uuid::from_u128(name + (u128::from(number) << 92)), service);
    }
    for number in 0..dice.roll(3) {
        let first = 100 + 10 * number as u32;
        let numbers: BTreeMap<_, _> = match dice.percent(50) {
            true => [(TapDirection::In, first), (TapDirection::Out, first + 1)].into(),
            false => [(direction(dice), first)].into(),
        };
        let ports: Vec<PortId> = host.view.ports.keys().copied().collect();
        let mirror = TapMirror {
            port: *dice.one(&ports),
            collector: ip(dice.one(&COLLECTORS).0),
            kind: *dice.one(&[TapMirrorKind::Gre, TapMirrorKind::ErspanV1]),
            numbers,
        };
        host.view.tap_mirrors.insert(Uuid::from_u128(name + (u128::from(8 + number) << 92)), mirror);
    }
}
