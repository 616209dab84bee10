//! Highly available routers beside the random hosts of [`super::random`]: who has a say, who comes first, who lives.

use super::anywhere::{self, Station};
use super::random::Dice;
use super::{Arrival, state};
use crate::support::{Host, NewPort, id, ip, mac};
use host_plan::{Interface, names};
use host_view::{Distributed, RemotePort, Router, Standby, TunnelPeer};
use net_types::{PortId, RouterId};
use packet_trace::{Given, Packet, Switch};
use std::collections::{BTreeMap, BTreeSet};

/// The last part of the address of each host that may have a say; the first two are those of [`super::random`].
const PEERS: [u8; 4] = [2, 3, 4, 5];

/// Tables of gates: from a router's port, and to it.
pub const GATES: [u8; 2] = [63, 64];

/// What is known of interfaces beside what the switch is asked for: sessions, and the carrier of cards.
pub type Known = BTreeMap<String, Interface>;

/// Makes the router that may be there highly available, and another one that may share a network with it; each may be the
/// central part of a distributed router.
pub fn routers(dice: &mut Dice, host: &mut Host) {
    for last in PEERS {
        let peer = host.view.tunnel_peers.entry(format!("peer{last}")).or_insert_with(|| TunnelPeer {
            watched: false,
            address: ip(&format!("10.77.0.{last}")),
            mac: Some(mac(&format!("02:00:0a:4d:00:0{last}"))),
            types: host.config.tunnel.as_ref().unwrap().types.clone(),
        });
        peer.watched = dice.percent(95);
    }
    if dice.percent(80) {
        for (port, network, last, subnet, address) in
            [("2c", "1", 4, "41", "10.1.0.9"), ("2d", "2", 5, "42", "10.2.0.1")]
        {
            let new = NewPort::new(port, network, &format!("fa:16:3e:dd:00:0{last}"), &[(subnet, address)]);
            host.port(new.owner("network:router_interface"));
        }
        let interfaces = ["2c", "2d"].map(id).into();
        let router = Router { admin_state_up: dice.percent(95), interfaces, ..Router::default() };
        host.view.routers.insert(id("b0"), router);
    }
    let routers: Vec<RouterId> = host.view.routers.keys().copied().collect();
    for (number, router) in (6u64..).zip(routers) {
        if dice.percent(85) {
            highly_available(dice, host, router, number);
        }
    }
}

fn highly_available(dice: &mut Dice, host: &mut Host, router: RouterId, number: u64) {
    let (standby, candidates) = standby(dice);
    let is_distributed = dice.percent(30);
    if is_distributed {
        let (port, mac) = (format!("2{number}"), format!("fa:16:3e:dd:00:0{number}"));
        let new = NewPort::new(&port, "1", &mac, &[("41", &format!("10.1.0.{number}"))]);
        host.port(new.owner("network:router_centralized_snat"));
        host.view.routers.get_mut(&router).unwrap().snat_ports = [id(&port)].into();
    }
    let known = host.view.routers.get_mut(&router).unwrap();
    known.standby = Some(standby);
    known.distributed =
        is_distributed.then(|| Distributed { station: 0xabcd, central: true, central_addresses: [].into() });
    let inside: Vec<PortId> = known.interfaces.iter().chain(&known.snat_ports).copied().collect();
    for id in inside {
        let port = &host.view.ports[&id];
        let addresses = port.fixed_ips.iter().map(|fixed| fixed.address).collect();
        let Some(host_name) = candidates.first().cloned() else { continue };
        let may_be_on = candidates.clone();
        let elsewhere = RemotePort { network: port.network, host: host_name, mac: port.mac, addresses, may_be_on };
        host.view.remote_ports.insert(id, elsewhere);
    }
}

/// A place among some of the hosts, and which others the router lives on.
fn standby(dice: &mut Dice) -> (Standby, BTreeSet<String>) {
    let mut standby = Standby::default();
    for last in PEERS {
        let name = format!("peer{last}");
        match dice.roll(4) {
            0 => standby.preferred.insert(name.clone()),
            1 => standby.successors.insert(name.clone()),
            2 => standby.others.insert(name.clone()),
            _ => continue,
        };
        standby.others.insert(name);
    }
    let candidates = standby.preferred.union(&standby.successors).cloned().collect();
    (standby, candidates)
}

/// What the agent knows when it plans: who lives, whose session has only just begun, who has lost a card.
pub fn known(dice: &mut Dice, host: &Host) -> Known {
    let (one_begins, carrier) = (dice.percent(15), dice.percent(85));
    let mut known = Known::from([("wire".into(), Interface { carrier: Some(carrier), ..Interface::default() })]);
    for name in sessions(host) {
        let lives = dice.percent(50);
        let is_impaired = !lives && dice.percent(20);
        known.insert(
            name,
            Interface { lives, is_impaired, begins: one_begins && dice.percent(30), ..Interface::default() },
        );
    }
    known
}

/// Who lives later, when no agent has looked again.
pub fn later(dice: &mut Dice, host: &mut Host) {
    for name in sessions(host) {
        if let Some(session) = host.state.interfaces.get_mut(&name) {
            session.lives = dice.percent(50);
        }
    }
}

/// By what name the sessions go.
fn sessions(host: &Host) -> Vec<String> {
    let watched = host.view.tunnel_peers.values().filter(|peer| peer.watched);
    watched.map(|peer| names::liveness(peer.address)).collect()
}

/// Which of a host's sessions are up.
pub fn alive(host: &Host) -> BTreeMap<String, bool> {
    let of = |name: String| Some((host.state.interfaces.get(&name)?.lives, name));
    sessions(host).into_iter().filter_map(of).map(|(lives, name)| (name, lives)).collect()
}

/// The place of this host among those of the router that a device is of, if that is highly available.
pub fn gated<'h>(host: &'h Host, device: &str) -> Option<&'h Standby> {
    let port = host.state.interfaces.get(device)?.iface_id?;
    let is_of = |router: &&Router| {
        let gateways = router.gateways().map(|gateway| gateway.port);
        router.interfaces.iter().chain(&router.snat_ports).copied().chain(gateways).any(|one| one == port)
    };
    host.view.routers.values().find(is_of)?.standby.as_ref()
}

/// Out of a highly available router, or to one; rather such as come as far as its gate.
pub fn arrival(dice: &mut Dice, host: &Host, stations: &[Station], switch: &Switch<'_>) -> Option<Arrival> {
    let is_at_a_gate = |arrival: &Arrival| {
        let mut given = Given::states(arrival.states.iter().map(|name| state(name)));
        let packet = Packet::parse(&arrival.packet).unwrap();
        let trace = switch.send(&arrival.bridge, &arrival.port, &packet, &mut given);
        trace.flows().any(|flow| GATES.contains(&flow.table))
    };
    let is_out = dice.percent(35);
    let tries: Vec<_> = (0..8).map_while(|_| any_arrival(dice, host, stations, is_out)).collect();
    tries.iter().find(|arrival| is_at_a_gate(arrival)).or(tries.last()).cloned()
}

fn any_arrival(dice: &mut Dice, host: &Host, stations: &[Station], is_out: bool) -> Option<Arrival> {
    let interfaces = host.state.interfaces.iter();
    let (gated, others): (Vec<_>, Vec<_>) = interfaces
        .filter(|(name, known)| known.iface_id.is_some() || anywhere::is_outside(name))
        .partition(|(device, _)| self::gated(host, device).is_some());
    if gated.is_empty() {
        return None;
    }
    let (gate, known) = *dice.one(&gated);
    if is_out {
        let to = dice.one(stations).clone();
        return Some(anywhere::packet(dice, host, stations, gate, to));
    }
    let port = &host.view.ports[&known.iface_id?];
    let to = (port.mac.to_string(), port.fixed_ips.iter().map(|fixed| fixed.address).collect());
    let is_near = |known: &Interface| {
        let other = known.iface_id.map(|id| host.view.ports.get(&id));
        other.is_none_or(|other| other.is_some_and(|other| other.network == port.network))
    };
    let near: Vec<_> = others.into_iter().filter(|(_, known)| is_near(known)).collect();
    let (from, _) = *dice.one(&near);
    Some(anywhere::packet(dice, host, stations, from, to))
}

/// What the rule says of such a router, as far as sessions go.
pub fn is_active(host: &Host, standby: &Standby) -> bool {
    standby.is_active(|name| {
        let session = host.view.tunnel_peers.get(name).map(|peer| names::liveness(peer.address));
        session.and_then(|session| host.state.interfaces.get(&session)).is_some_and(|session| session.lives)
    })
}
