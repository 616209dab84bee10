//! Local IPs: an address that on each host leads to a port of that host. Nothing of it leaves the host.
//!
//! ```text
//! a port here asks who has the local IP        73 106 ── 31 10 answers with the MAC of the associated port
//! packet to the local IP
//!   from a secured port, checked (reg9=1)      71  67 ┐
//!   from any other port of ours (reg9=0)       73 106 ┴ 31 10 dl_dst=<port>, ct(commit,nat(dst=<its address>)), once more 31
//!                                              31  20 untracked again: back to 71 (reg9=1) or 73 (reg9=0)
//!                                                  25 could not be translated -> 93
//!   from the associated port itself            71  68, 73 107: to whoever really has the address
//! packet from the associated port's address, on its way out to a port here
//!                                              92   2 (3: new, remembered first)  94 14   ct(nat), the same table again
//!                                              92   4 has been looked at: out by reg5
//! from outside                                  0  10 ARP of who really has it: drop      11 unless meant for the associated port
//! ```
//! Translation begins after port security, so that nobody makes entries in another's name, and ends after the receiver's rules:
//! rules and connections of the firewall see the port's own addresses on both ways, as with Neutron. Its connections are in a
//! zone of their own, 0x1000 + local VLAN, and what leaves by 92 and 94 is looked up there once: afterwards it has that
//! `ct_zone`.
//!
//! `passthrough` only answers ARP (and keeps others from it): the port has the address itself.
//!
//! In: [`LocalIp`](host_view::LocalIp)s of the view, wired ports. Out: flows, and which connections they translate. Of several
//! associated ports the first that is wired counts; of several local IPs with one address on a network the first.

use crate::firewall::RuleSets;
use crate::flow_set::FlowSet;
use crate::integration_bridge::{
    ACCEPT_OR_INGRESS, ACCEPTED_INGRESS, ACCEPTED_NORMAL, DROPPED, EGRESS_RULES, PORT_SECURITY, REG_CHECKED, REG_NET,
    REG_PORT, arrival,
};
use crate::wiring::{WiredPort, Wiring};
use host_view::{LocalIp, LocalIpMode};
use net_types::VlanId;
use openflow::ct_state::{EST, NEW, TRK};
use openflow::{Action, Ct, Field, Match, Nat, NatSide, SubField};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use uuid::Uuid;

pub(crate) const LOCAL_IP: u8 = 31;

const ARP_REQUEST: u16 = 1;
const ARP_REPLY: u16 = 2;

/// Zones of translated connections: this bit and the local VLAN.
const TRANSLATED: u16 = 0x1000;

/// The connection tracker's zones of a local VLAN: the firewall's, and that of translated connections.
pub fn zones_of(vlan: VlanId) -> [u16; 2] {
    [vlan.get(), TRANSLATED | vlan.get()]
}

/// A local IP that leads somewhere here.
struct Served<'w, 'a> {
    address: Ipv4Addr,
    /// Where it leads; none: as it is.
    translated: Option<Ipv4Addr>,
    /// The address of the port that it is associated with.
    fixed: Ipv4Addr,
    port: &'w WiredPort<'a>,
}

/// All that is planned of local IPs.
pub(crate) struct LocalIps<'w, 'a> {
    served: BTreeMap<(VlanId, Ipv4Addr), Served<'w, 'a>>,
    pub errors: BTreeSet<String>,
}

impl<'w, 'a> LocalIps<'w, 'a> {
    /// Finds out which lead where.
    pub fn new(wiring: &'w Wiring<'a>) -> Self {
        let mut all = Self { served: BTreeMap::new(), errors: BTreeSet::new() };
        for (id, local_ip) in &wiring.view.local_ips {
            all.add(wiring, *id, local_ip);
        }
        all
    }

    fn add(&mut self, wiring: &'w Wiring<'a>, id: Uuid, local_ip: &LocalIp) {
        let mut wired = local_ip.ports.iter().filter_map(|(port, fixed)| Some((wiring.ports.get(port)?, *fixed)));
        let Some((port, fixed)) = wired.next() else { return };
        let (IpAddr::V4(address), IpAddr::V4(fixed)) = (local_ip.address, fixed) else {
            self.errors.insert(format!("local IP {id}: only IPv4 addresses lead to a port of the host"));
            return;
        };
        let translated = (local_ip.mode == LocalIpMode::Translate && address != fixed).then_some(fixed);
        self.served.entry((port.vlan, address)).or_insert(Served { address, translated, fixed, port });
    }

    /// By zone: which address stands for which. Connections of such a zone that are others must go.
    pub fn translations(&self) -> BTreeMap<u16, BTreeMap<IpAddr, IpAddr>> {
        let mut all: BTreeMap<u16, BTreeMap<IpAddr, IpAddr>> = BTreeMap::new();
        for served in self.served.values() {
            if let Some(fixed) = served.translated {
                all.entry(served.zone()).or_default().insert(served.address.into(), fixed.into());
            }
        }
        all
    }

    /// Adds the flows.
    pub fn plan(&self, flows: &mut FlowSet, wiring: &Wiring<'_>, rule_sets: &RuleSets) {
        for served in self.served.values() {
            served.answer(flows);
            served.keep_from_others(flows, wiring);
            if let Some(fixed) = served.translated {
                served.translate(flows, rule_sets, fixed);
                served.translate_back(flows, fixed);
            }
        }
        if self.served.values().any(|served| served.translated.is_some()) {
            for (checked, next) in [(1, PORT_SECURITY), (0, ACCEPT_OR_INGRESS)] {
                let done = Match::new().ip().reg(REG_CHECKED, checked).ct_state(TRK);
                flows.add(LOCAL_IP, 20, done, [Action::CtClear, Action::resubmit(next)]);
            }
        }
    }
}

impl Served<'_, '_> {
    fn zone(&self) -> u16 {
        TRANSLATED | self.port.vlan.get()
    }

    fn on_network(&self) -> Match {
        Match::new().reg(REG_NET, u32::from(self.port.vlan.get()))
    }

    /// From port security or past it; the associated port itself asks, and talks to, whoever really has the address.
    fn lead(&self, flows: &mut FlowSet, packets: impl Fn(Match) -> Match) {
        let unchecked = || packets(self.on_network().reg(REG_CHECKED, 0));
        flows.resubmit(ACCEPT_OR_INGRESS, 106, unchecked(), LOCAL_IP);
        let own = unchecked().reg(REG_PORT, self.port.ofport);
        let past = [Action::set(REG_CHECKED, 1u32), Action::resubmit(ACCEPT_OR_INGRESS)];
        flows.add(ACCEPT_OR_INGRESS, 107, own, past);
    }

    /// The question becomes the answer.
    fn answer(&self, flows: &mut FlowSet) {
        let asked = |from: Match| from.arp().arp_op(ARP_REQUEST).arp_tpa(self.address);
        self.lead(flows, asked);
        let mac = self.port.port.mac;
        let actions = [
            Action::copy(Field::EthSrc, Field::EthDst),
            Action::set(Field::EthSrc, mac),
            Action::set(Field::ArpOp, ARP_REPLY),
            Action::copy(Field::ArpSha, Field::ArpTha),
            Action::copy(Field::ArpSpa, Field::ArpTpa),
            Action::set(Field::ArpSha, mac),
            Action::set(Field::ArpSpa, u32::from(self.address)),
            Action::in_port(),
        ];
        flows.add(LOCAL_IP, 10, asked(self.on_network()), actions);
    }

    /// Stations here keep the answer that they were given, whoever outside says that the address is theirs.
    fn keep_from_others(&self, flows: &mut FlowSet, wiring: &Wiring<'_>) {
        let network = wiring.networks.get(&self.port.port.network);
        let Some((from, on)) = network.and_then(|network| arrival(wiring, network)) else { return };
        let said = from.arp().arp_spa(self.address);
        flows.drop(0, 10, said.clone());
        flows.add(0, 11, said.arp_tpa(self.fixed), on);
    }

    fn translate(&self, flows: &mut FlowSet, rule_sets: &RuleSets, fixed: Ipv4Addr) {
        let to = |from: Match| from.ip().ipv4_dst(self.address);
        self.lead(flows, to);
        let checked = || to(self.on_network().reg(REG_CHECKED, 1));
        flows.resubmit(PORT_SECURITY, 67, checked(), LOCAL_IP);
        if self.port.is_secured() {
            // As 66 and 65, which the flow above stands before.
            let on = match rule_sets.is_stateless(self.port.port) {
                true => Action::resubmit(EGRESS_RULES),
                false => Ct::zone_from(SubField::bits(REG_NET, 0, 15)).table(EGRESS_RULES).into(),
            };
            flows.add(PORT_SECURITY, 68, checked().reg(REG_PORT, self.port.ofport), [on]);
        }
        let nat =
            Nat { side: Some(NatSide::Destination), addresses: Some((fixed.into(), fixed.into())), ..Nat::default() };
        let begin = Ct::zone(self.zone()).commit().nat(nat).table(LOCAL_IP);
        flows.add(LOCAL_IP, 10, to(self.on_network()), [Action::set(Field::EthDst, self.port.port.mac), begin.into()]);
        // What conntrack makes nothing of bears the old address still.
        flows.resubmit(LOCAL_IP, 25, to(self.on_network()).ct_state(TRK), DROPPED);
    }

    fn translate_back(&self, flows: &mut FlowSet, fixed: Ipv4Addr) {
        let firewalls = self.port.vlan.get();
        let from = |zone: u16| Match::new().in_port(self.port.ofport).ip().ipv4_src(fixed).ct_zone(zone);
        let look = |table| Action::from(Ct::zone(self.zone()).nat(Nat::default()).table(table));
        for zone in [firewalls, 0] {
            flows.add(ACCEPTED_INGRESS, 2, from(zone), [look(ACCEPTED_INGRESS)]);
            flows.add(ACCEPTED_NORMAL, 14, from(zone), [look(ACCEPTED_NORMAL)]);
        }
        let remember = Ct::zone_from(SubField::bits(REG_NET, 0, 15)).commit().into();
        flows.add(ACCEPTED_INGRESS, 3, from(firewalls).ct_state(NEW - EST), [remember, look(ACCEPTED_INGRESS)]);
        let seen = Match::new().ip().ct_zone(self.zone());
        flows.add(ACCEPTED_INGRESS, 4, seen, [Action::OutputReg(REG_PORT.into())]);
    }
}
