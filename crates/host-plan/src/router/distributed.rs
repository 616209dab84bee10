//! Distributed routers: the same interfaces, addresses and MACs on every host that has ports behind them.
//!
//! ```text
//! qrouter-<router> on a host with ports     qrouter-<router> on the central host
//!   qr-<port> ...  as everywhere              qr-<port> ...  as everywhere
//!   default by an address of sg- over there   sg-<port> ...  a single address; is asked for by the others' default route
//!   qg-<port>, once a port here has a         qg-<port>      and all that a router does outside
//!     floating IP: those, and a MAC of this
//!     host's own
//!   table 0x1000, for packets from such
//!     ports that do not stay inside (mark
//!     0x1000): out by qg-
//!
//! M: the MAC that an interface has everywhere     S: this host's own for it (`station_mac`)
//! leaving (br-tun table 1, physical bridges)      copy                             central host
//!   3  ARP request or NS for its address          dropped: here is one             announcements pass as they are
//!   3  RA from M                                  dropped: every host has its own
//!   2  ARP request from M                         from S, asked by nobody (0.0.0.0): the answer comes to S, and nobody
//!                                                 takes S for the gateway (RFC 5227)
//!   1  anything else from M                       from S                           passes as it is
//! arriving (br-int table 60)
//!  95  from some host's S                         from M again
//!  92  ARP request or NS for its address          dropped: the central one answers
//!  90  to S                                       to M, in by qr-                  the same
//!  90  to M                                       dropped: the central one's       in by qr-
//! within (br-int table 94)
//!  13  neighbour advertisement to M               in by qr-, and to all hosts: another copy may have asked
//! ```
//! So a frame to the gateway never leaves a host that has one itself; whatever learns MACs (physical switches, table 20 of
//! br-tun) learns M of the central host alone; and instances see M only. Nothing here depends on how many instances or hosts
//! there are. See `docs/adr/0013-distributed-routers.md`.
//!
//! In: `distributed` of the view's routers. Out: flows for `integration_bridge`, `tunnel_bridge` and `physical_bridge`; the
//! default route of copies.

use super::nat::MARK_MASK;
use super::{Way, standby};
use crate::flow_set::FlowSet;
use crate::host_plan::{Namespace, Route};
use crate::integration_bridge::{ACCEPTED_NORMAL, REG_NET, STANDBY_TO, TRANSIENT};
use crate::namespaces::{default_routes as by_gateway, everything};
use crate::qos;
use crate::wiring::{WiredPort, Wiring};
use host_view::{Distributed, Subnet, station_mac, station_prefix};
use net_types::{MacAddr, NetworkId, PortId, SubnetId, VlanId};
use nft_rules::{Chain, DataType, Field, Hook, Kind, Rule, Set, Statement, Table, Value};
use openflow::{Action, Field as Header, Masked, Match};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const ARP_REQUEST: u16 = 1;
/// All IPv6 nodes of a link (RFC 2464 section 7).
const ALL_NODES: MacAddr = MacAddr([0x33, 0x33, 0, 0, 0, 1]);

/// An interface that is on several hosts.
pub(crate) struct Interface<'w, 'a> {
    id: PortId,
    pub wired: &'w WiredPort<'a>,
    /// The MAC that it has everywhere.
    shared: MacAddr,
    /// What it leaves this host with.
    own: MacAddr,
    pub central: bool,
}

/// The wired interfaces of distributed routers.
pub(crate) fn interfaces<'w, 'a>(wiring: &'w Wiring<'a>) -> Vec<Interface<'w, 'a>> {
    let routers = wiring.view.routers.values().filter_map(|router| Some((router, router.distributed.as_ref()?)));
    let ports = routers.flat_map(|(router, part)| router.interfaces.iter().map(move |id| (id, part)));
    ports.filter_map(|(id, part)| Some(Interface::new(*id, wiring.ports.get(id)?, part))).collect()
}

impl<'w, 'a> Interface<'w, 'a> {
    fn new(id: PortId, wired: &'w WiredPort<'a>, part: &Distributed) -> Self {
        let shared = wired.port.mac;
        Self { id, wired, shared, own: station_mac(shared, part.station), central: part.central }
    }

    pub fn vlan(&self) -> VlanId {
        self.wired.vlan
    }

    /// What asks for its addresses, among frames of its network.
    fn asked_for(&self) -> Vec<Match> {
        let here = || Match::new().vlan(self.vlan());
        let fixed = self.wired.port.fixed_ips.iter().map(|fixed| fixed.address);
        let all = fixed.chain([IpAddr::V6(self.shared.link_local())]);
        let asks = |address: IpAddr| match address {
            IpAddr::V4(address) => here().arp().arp_op(ARP_REQUEST).arp_tpa(address),
            IpAddr::V6(address) => solicitation(here(), address),
        };
        all.map(asks).collect()
    }

    /// Frames of its network whose sender is some host's stand-in for it.
    fn stood_in_for(&self) -> Match {
        let [first, _, _, d, e, f] = self.shared.0;
        let value = [station_prefix(first), 0, 0, d, e, f];
        let mask = [0xff, 0, 0, 0xff, 0xff, 0xff];
        let number = |octets: [u8; 6]| octets.iter().fold(0u128, |number, octet| number << 8 | u128::from(*octet));
        Match::new().vlan(self.vlan()).field(Header::EthSrc, Masked::new(number(value), number(mask)))
    }
}

fn solicitation(of: Match, target: Ipv6Addr) -> Match {
    of.icmp6_type(NEIGHBOUR_SOLICITATION).nd_target(target)
}

/// What arrives, and what stays: tables 60 and 94 of the integration bridge. To be added before what is said of all ports.
pub(crate) fn plan(flows: &mut FlowSet, wiring: &Wiring<'_>) {
    for interface in interfaces(wiring) {
        let Interface { id, wired, shared, own, central } = interface;
        let restored = [Action::set(Header::EthSrc, shared), Action::resubmit(TRANSIENT)];
        flows.add(TRANSIENT, 95, interface.stood_in_for(), restored);
        let at = || Match::new().vlan(wired.vlan);
        let gate = wiring.gates.get(&id);
        let in_by_it = || match gate {
            Some(gate) => standby::through(gate, STANDBY_TO, vec![]),
            None => [Action::PopVlan].into_iter().chain(qos::deliver(wired)).collect(),
        };
        let to_own = [Action::set(Header::EthDst, shared)].into_iter().chain(in_by_it());
        flows.add(TRANSIENT, 90, at().dl_dst(own), to_own);
        if !central {
            for asked in interface.asked_for() {
                flows.drop(TRANSIENT, 92, asked);
            }
            flows.drop(TRANSIENT, 90, at().dl_dst(shared));
        }
        let network = wiring.networks.get(&wired.port.network).map(|wired| wired.network);
        let Some(uplink) = network.and_then(|network| wiring.uplink(network)) else { continue };
        let to_all = [
            Action::set(Header::EthDst, ALL_NODES),
            Action::push_vlan(),
            Action::set_vlan(wired.vlan),
            Action::output(uplink),
            Action::PopVlan,
            Action::set(Header::EthDst, shared),
        ];
        let here = match gate {
            Some(gate) => standby::through(gate, STANDBY_TO, vec![]),
            None => qos::deliver(wired),
        };
        let answer = Match::new().reg(REG_NET, u32::from(wired.vlan.get())).dl_dst(shared);
        flows.add(ACCEPTED_NORMAL, 13, answer.icmp6_type(NEIGHBOUR_ADVERTISEMENT), to_all.into_iter().chain(here));
    }
}

/// What leaves this host: added to a table of a bridge behind the integration bridge, above priority `base`. `from_inside`
/// narrows it to what comes from there; `on` is what is done with what passes.
pub(crate) fn leave(
    flows: &mut FlowSet,
    table: u8,
    base: u16,
    interfaces: &[&Interface<'_, '_>],
    from_inside: impl Fn(Match) -> Match,
    on: impl Fn(&Interface<'_, '_>) -> Vec<Action>,
) {
    for interface in interfaces {
        let Interface { shared, own, central, .. } = interface;
        let from = || from_inside(Match::new().vlan(interface.vlan()).dl_src(*shared));
        for asked in interface.asked_for() {
            match central {
                false => flows.drop(table, base + 3, from_inside(asked)),
                // Its own announcements; neighbours may take it for what it says.
                true => flows.add(table, base + 3, from_inside(asked.dl_src(*shared)), on(interface)),
            }
        }
        let asks =
            [Action::set(Header::EthSrc, *own), Action::set(Header::ArpSha, *own), Action::set(Header::ArpSpa, 0u32)];
        let asking = from().arp().arp_op(ARP_REQUEST);
        flows.add(table, base + 2, asking, asks.into_iter().chain(on(interface)));
        if !central {
            flows.drop(table, base + 3, from().icmp6_type(ROUTER_ADVERTISEMENT));
            let as_this_host = [Action::set(Header::EthSrc, *own)];
            flows.add(table, base + 1, from(), as_this_host.into_iter().chain(on(interface)));
        }
    }
}

/// The mark, and so the routing table, of packets from addresses whose floating IPs are here, by the place of their gateway:
/// 16 (Neutron's `FIP_RT_TBL`) in the upper octet, then 17, ...
fn marks<'w, 'p>(ways: &'w [Way<'p>]) -> impl Iterator<Item = (&'w Way<'p>, u32)> {
    ways.iter().zip((16u32..).map(|number| number << 8 & Route::MARK_MASK))
}

/// Marks what comes from addresses whose floating IPs are here, answers as well as questions.
pub(super) fn mark(table: &mut Table, ways: &[Way<'_>]) {
    let mut chain = Chain::base(Kind::Filter, Hook::Prerouting, -140);
    for (way, mark) in marks(ways).filter(|(way, _)| !way.floating.is_empty()) {
        let name = format!("floating_by_{:x}", mark >> 8);
        let elements = way.floating.iter().map(|address| (*address).into()).collect();
        table.set(&name, Set { of: DataType::Ipv4Addr.into(), interval: false, elements });
        // What has a mark already comes from outside, or goes to the metadata proxy.
        let from = Rule::new().masked_is(Field::MetaMark, MARK_MASK, 0).is(Field::IpSaddr, Value::Set(name));
        chain = chain.rule(from.then(Statement::SetMark { value: mark, mask: Route::MARK_MASK }));
    }
    if !chain.rules.is_empty() {
        table.chain("way_in", chain);
    }
}

/// Where such packets go unless they stay inside: to the outside's subnets, and out by its gateway.
pub(super) fn ways_out(subnets: &BTreeMap<NetworkId, Vec<(SubnetId, &Subnet)>>, ways: &[Way<'_>]) -> BTreeSet<Route> {
    let of = |(way, mark): (&Way<'_>, u32)| {
        let outside = subnets.get(&way.port.network).into_iter().flatten().map(|(_, subnet)| *subnet);
        let outside = outside.filter(|subnet| subnet.cidr.addr().is_ipv4());
        let device = way.device.clone();
        let direct = outside.clone().map(move |subnet| Route {
            destination: subnet.cidr.trunc(),
            via: None,
            device: device.clone(),
            mark: None,
        });
        let all = direct.chain(by_gateway(outside, &way.device)).collect::<Vec<_>>();
        all.into_iter().map(move |route| Route { mark: Some(mark), ..route })
    };
    marks(ways).flat_map(of).collect()
}

/// The default routes of a copy: to the central host, by the first of its addresses in each family that a device reaches.
pub(super) fn default_routes(namespace: &Namespace, part: &Distributed) -> Vec<Route> {
    let reaches = |address: &IpAddr| {
        let mut devices = namespace.devices.iter();
        let (name, _) = devices.find(|(_, device)| device.addresses.iter().any(|net| net.trunc().contains(address)))?;
        Some(Route { destination: everything(address), via: Some(*address), device: name.clone(), mark: None })
    };
    let of_family =
        |is_v4: bool| part.central_addresses.iter().filter(move |address| address.is_ipv4() == is_v4).find_map(reaches);
    of_family(true).into_iter().chain(of_family(false)).collect()
}
