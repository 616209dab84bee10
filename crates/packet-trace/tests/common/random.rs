//! A host with ten instances on four networks, and packets from everywhere, drawn from a seed that says it all.

use super::{Arrival, STATES};
use crate::support::{Host, NewPort, id, ip, mac, net};
use host_view::{
    Direction, EtherType, Gateway, LocalIp, LocalIpMode, Remote, RemotePort, Router, RuleMatch, SecurityGroup,
    SecurityGroupRule, Segment, TunnelPeer,
};
use net_types::{NetworkType, PortRange, VlanId, Vni};
use std::collections::{BTreeMap, BTreeSet};

pub const INSTANCES: u64 = 10;
const GROUPS: u64 = 4;
/// Ports on other hosts, all on network 1.
const ELSEWHERE: u64 = 4;
pub const VIRTUAL_MAC: &str = "00:00:5e:00:01:01";
const STRANGER: &str = "fa:16:3e:99:99:99";

/// Numbers that follow from a seed (splitmix64).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Below `sides`.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    pub fn percent(&mut self, chance: u64) -> bool {
        self.roll(100) < chance
    }

    pub fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.roll(of.len() as u64) as usize]
    }
}

pub fn port_name(number: u64) -> String {
    format!("c{number}")
}

pub fn device(number: u64) -> String {
    host_plan::names::tap(id(&port_name(number)))
}

pub fn mac_of(number: u64) -> String {
    format!("fa:16:3e:00:00:{number:02x}")
}

/// The address of station `number` on a network; those from 100 on live elsewhere.
pub fn address(network: u64, number: u64, v6: bool) -> String {
    if v6 { format!("2001:db8:{network}::{:x}", 10 + number) } else { format!("10.{network}.0.{}", 10 + number) }
}

/// Which network each instance is on.
pub type Places = Vec<u64>;

/// A host; instances keep their ids and devices whatever is drawn.
pub fn host(dice: &mut Dice) -> (Host, Places) {
    let mut host = Host::empty();
    let segments = [
        Segment::Vxlan { vni: Vni::new(1000).unwrap() },
        Segment::Vlan { physical_network: "phys".into(), vlan: VlanId::new(101).unwrap() },
        Segment::Flat { physical_network: "phys".into() },
        Segment::Local,
    ];
    for (number, segment) in (1u64..).zip(segments) {
        host.network(&format!("{number}"), segment, 1450);
        host.subnet(&format!("4{number}"), &format!("{number}"), &format!("10.{number}.0.0/16"), None);
        host.subnet(&format!("6{number}"), &format!("{number}"), &format!("2001:db8:{number}::/64"), None);
    }
    for last in [2u8, 3] {
        let peer = TunnelPeer {
            watched: false,
            address: ip(&format!("10.77.0.{last}")),
            mac: Some(mac(&format!("02:00:0a:4d:00:0{last}"))),
            types: [NetworkType::Vxlan].into(),
        };
        host.view.tunnel_peers.insert(format!("peer{last}"), peer);
    }
    let mut members: BTreeMap<u64, BTreeSet<net_types::IpNet>> = BTreeMap::new();
    let places: Places = (0..INSTANCES).map(|number| instance(dice, &mut host, number, &mut members)).collect();
    for number in 100..100 + dice.roll(ELSEWHERE + 1) {
        let addresses = [false, true].map(|v6| ip(&address(1, number, v6)));
        let remote = RemotePort {
            may_be_on: [].into(),
            network: id("1"),
            host: format!("peer{}", 2 + number % 2),
            mac: mac(&mac_of(number)),
            addresses: addresses.into(),
        };
        members.entry(dice.roll(GROUPS)).or_default().extend(addresses.map(net_types::IpNet::from));
        host.view.remote_ports.insert(id(&format!("e{number}")), remote);
    }
    for group in 0..GROUPS {
        let mut rules: BTreeMap<_, _> =
            (0..dice.roll(14)).map(|number| (id(&format!("{number:x}")), rule(dice))).collect();
        if dice.percent(60) {
            // As a group has them that nobody has touched.
            for (number, ethertype) in [("e4", EtherType::IPv4), ("e6", EtherType::IPv6)] {
                rules.insert(id(number), crate::support::rule(Direction::Egress, ethertype));
            }
        }
        host.view.security_groups.insert(id(&format!("9{group}")), SecurityGroup { stateful: dice.percent(75), rules });
        host.view.group_members.insert(id(&format!("9{group}")), members.remove(&group).unwrap_or_default());
    }
    if dice.percent(50) {
        host.dhcp("d1", "1", "fa:16:3e:dd:00:01", &[("41", "10.1.0.2")], &[]);
    }
    if dice.percent(50) {
        router(&mut host);
    }
    (host, places)
}

fn instance(
    dice: &mut Dice,
    host: &mut Host,
    number: u64,
    members: &mut BTreeMap<u64, BTreeSet<net_types::IpNet>>,
) -> u64 {
    let network = *dice.one(&[1, 1, 1, 2, 2, 3, 3, 4]);
    let addresses = [false, true].map(|v6| address(network, number, v6));
    let subnets = [format!("4{network}"), format!("6{network}")];
    let fixed: Vec<_> = subnets.iter().map(String::as_str).zip(addresses.iter().map(String::as_str)).collect();
    let mut new = NewPort::new(&port_name(number), &format!("{network}"), &mac_of(number), &fixed);
    new.port.port_security = dice.percent(85);
    new.port.admin_state_up = dice.percent(95);
    if new.port.port_security {
        for _ in 0..dice.one(&[0, 1, 1, 1, 2, 2]).to_owned() {
            let group = dice.roll(GROUPS);
            new = new.group(&format!("9{group}"));
            members.entry(group).or_default().extend(addresses.iter().map(|text| net(text)));
        }
        let (v4, v6) = (address(network, 190, false), address(network, 190, true));
        match dice.roll(8) {
            0 => new = new.pair(&mac_of(number), &v4),
            1 => new = new.pair(VIRTUAL_MAC, &v4).pair(VIRTUAL_MAC, &v6),
            2 => new = new.pair(&mac_of(number), &format!("10.{network}.0.0/24")),
            _ => {}
        }
    }
    host.plug(new);
    network
}

fn router(host: &mut Host) {
    host.port(NewPort::new("2a", "1", "fa:16:3e:dd:00:02", &[("41", "10.1.0.1")]).owner("network:router_interface"));
    host.port(NewPort::new("2b", "3", "fa:16:3e:dd:00:03", &[("43", "10.3.0.1")]).owner("network:router_gateway"));
    let router = Router {
        standby: None,
        admin_state_up: true,
        interfaces: [id("2a")].into(),
        gateway: Some(Gateway { port: id("2b"), enable_snat: true }),
        ..Router::default()
    };
    host.view.routers.insert(id("a0"), router);
}

pub fn rule(dice: &mut Dice) -> SecurityGroupRule {
    let v6 = dice.percent(40);
    let first = 76 + dice.roll(10) as u16;
    let ports = match dice.roll(8) {
        0 => PortRange::ALL,
        1 => PortRange::new(0, 80).unwrap(),
        _ => PortRange::new(first, first + dice.roll(6) as u16).unwrap(),
    };
    let icmp = if v6 { 58 } else { 1 };
    let echo = if v6 { 128 } else { 8 };
    let (protocol, matching) = match dice.roll(8) {
        0 => (None, RuleMatch::Any),
        1..=3 => (Some(*dice.one(&[6u8, 17, 132])), RuleMatch::Ports(ports)),
        4 => (Some(*dice.one(&[6u8, 17, 33, 47, 112, 132, 136])), RuleMatch::Any),
        5 => (Some(icmp), RuleMatch::Any),
        _ => (Some(icmp), RuleMatch::Icmp { kind: echo, code: dice.percent(30).then(|| dice.roll(2) as u8) }),
    };
    let network = 1 + dice.roll(4);
    let prefix = match (v6, dice.percent(70)) {
        (false, true) => format!("10.{network}.0.{}/29", 8 * dice.roll(3)),
        (false, false) => "10.0.0.0/8".to_owned(),
        (true, true) => format!("2001:db8:{network}::{:x}/125", 8 * dice.roll(3)),
        (true, false) => "::/0".to_owned(),
    };
    SecurityGroupRule {
        direction: if dice.percent(30) { Direction::Egress } else { Direction::Ingress },
        ethertype: if v6 { EtherType::IPv6 } else { EtherType::IPv4 },
        protocol,
        matching,
        remote: match dice.roll(4) {
            0 => Remote::Group(id(&format!("9{}", dice.roll(GROUPS)))),
            1 => Remote::Prefix(net(&prefix)),
            _ => Remote::Any,
        },
    }
}

/// On some networks the stranger's address leads to an instance.
pub fn local_ips(dice: &mut Dice, host: &mut Host, places: &Places) {
    for (number, network) in (0u64..).zip(places) {
        if dice.percent(30) {
            let fixed = ip(&address(*network, number, false));
            let ports = [(id(&port_name(number)), fixed)].into();
            let mode = if dice.percent(80) { LocalIpMode::Translate } else { LocalIpMode::Passthrough };
            let local_ip = LocalIp { address: ip(&address(*network, 77, false)), mode, ports };
            host.view.local_ips.insert(uuid::Uuid::from_u128(number.into()), local_ip);
        }
    }
}

/// Stations: instances, those elsewhere, the router, those behind a trunk, nobody.
fn station(dice: &mut Dice, places: &Places) -> (u64, String, u64) {
    match dice.roll(11) {
        10 => {
            let network = 1 + dice.roll(3);
            (network, mac_of(19 + network), 19 + network)
        }
        0 => (1, mac_of(100), 100),
        1 => (1, "fa:16:3e:dd:00:02".into(), 0),
        2 => (1 + dice.roll(4), STRANGER.into(), 77),
        3 => (1 + dice.roll(4), VIRTUAL_MAC.into(), 190),
        _ => {
            let number = dice.roll(INSTANCES);
            (places[number as usize], mac_of(number), number)
        }
    }
}

/// The same network, more often than not.
pub fn receiver(dice: &mut Dice, places: &Places, network: u64) -> (u64, String, u64) {
    for _ in 0..6 {
        let found = station(dice, places);
        if found.0 == network {
            return found;
        }
    }
    station(dice, places)
}

/// A packet from an instance, from the wire or out of a tunnel.
pub fn arrival(dice: &mut Dice, places: &Places) -> Arrival {
    let (bridge, port, sender, head) = match dice.roll(20) {
        0 | 1 => {
            let tag = *dice.one(&["", "", "dl_vlan=101,", "dl_vlan=102,"]);
            let network = if tag.is_empty() { 3 } else { 2 };
            ("br-phys", "wire".to_owned(), (network, STRANGER.to_owned(), 77), tag.to_owned())
        }
        2 | 3 => {
            let vni = dice.one(&[1000, 1000, 1000, 1001]);
            let peer = *dice.one(&["vxlan-0a4d0002", "vxlan-0a4d0003"]);
            ("br-tun", peer.to_owned(), (1, mac_of(100), 100), format!("tun_id={vni},"))
        }
        4 => ("br-int", "tap000000d1-00".to_owned(), (1, "fa:16:3e:dd:00:01".to_owned(), 1), String::new()),
        _ => {
            let number = dice.roll(INSTANCES);
            let tag = if dice.percent(3) { *dice.one(&["dl_vlan=1,", "dl_vlan=101,"]) } else { "" };
            let sender = (places[number as usize], mac_of(number), number);
            ("br-int", device(number), sender, tag.to_owned())
        }
    };
    let receiver = receiver(dice, places, sender.0);
    let packet = head + &packet(dice, sender, receiver);
    Arrival { bridge: bridge.into(), port, packet, states: states(dice) }
}

/// What the connection tracker will say.
pub fn states(dice: &mut Dice) -> Vec<&'static str> {
    (0..2).map(|_| if dice.percent(50) { STATES[0] } else { *dice.one(&STATES) }).collect()
}

/// From a station to another: network, MAC and number of each.
pub fn packet(dice: &mut Dice, sender: (u64, String, u64), receiver: (u64, String, u64)) -> String {
    let (network, mut from, number) = sender;
    let (there, mut to, target) = receiver;
    let source = if dice.percent(92) { number } else { *dice.one(&[190, 77, number + 1]) };
    match dice.roll(40) {
        0 => from = STRANGER.into(),
        1 | 2 => from = VIRTUAL_MAC.into(),
        _ => {}
    }
    match dice.roll(30) {
        0 => to = "01:00:5e:00:00:12".into(),
        1 => to = "33:33:00:00:00:01".into(),
        2 => to = "ff:ff:ff:ff:ff:ff".into(),
        3 => to = "01:80:c2:00:00:0e".into(),
        _ => {}
    }
    let pair = |v6: bool| (address(network, source, v6), address(there, target, v6));
    let ethernet = format!("dl_src={from},dl_dst={to}");
    let v4 = |protocol: &str, rest: String| {
        let (source, target) = pair(false);
        format!("{ethernet},{protocol},nw_src={source},nw_dst={target},nw_ttl=64{rest}")
    };
    let v6 = |protocol: &str, rest: String| {
        let (source, target) = pair(true);
        format!("{ethernet},{protocol},ipv6_src={source},ipv6_dst={target},nw_ttl=64{rest}")
    };
    let ports = format!(",tp_src={},tp_dst={}", 40000 + dice.roll(2), 75 + dice.roll(14));
    let ports = |protocol: &str| ports.replace("tp_", &format!("{protocol}_"));
    let (kind, code) = (dice.roll(2), dice.roll(2));
    let own_link_local = mac(&from).link_local();
    match dice.roll(24) {
        0 => {
            let (source, target) = pair(false);
            let broadcast = if dice.percent(60) { "ff:ff:ff:ff:ff:ff".to_owned() } else { to };
            let op = 1 + dice.roll(2);
            format!("dl_src={from},dl_dst={broadcast},arp,arp_op={op},arp_sha={from},arp_spa={source},arp_tpa={target}")
        }
        1 => format!("dl_src={from},dl_dst=ff:ff:ff:ff:ff:ff,rarp,arp_op=3,arp_sha={from}"),
        2 => {
            let kind = *dice.one(&[130, 133, 134, 137, 143]);
            let source = if dice.percent(60) { own_link_local.to_string() } else { pair(true).0 };
            format!(
                "dl_src={from},dl_dst=33:33:00:00:00:02,icmp6,ipv6_src={source},ipv6_dst=ff02::2,nw_ttl=255,icmpv6_type={kind}"
            )
        }
        3 => {
            let (source, target) = pair(true);
            let source = *dice.one(&[source.as_str(), "::", "fe80::77"]);
            let kind = *dice.one(&[135, 136]);
            let about = if dice.percent(70) { pair(true).0 } else { target.clone() };
            format!(
                "{ethernet},icmp6,ipv6_src={source},ipv6_dst={target},nw_ttl=255,icmpv6_type={kind},icmpv6_code=0,nd_target={about}"
            )
        }
        4 => {
            let (source, ports) = match dice.roll(3) {
                0 => ("0.0.0.0".to_owned(), "udp_src=68,udp_dst=67"),
                1 => (pair(false).0, "udp_src=68,udp_dst=67"),
                _ => (pair(false).0, "udp_src=67,udp_dst=68"),
            };
            let to = if dice.percent(70) { "ff:ff:ff:ff:ff:ff".to_owned() } else { to };
            format!("dl_src={from},dl_dst={to},udp,nw_src={source},nw_dst=255.255.255.255,nw_ttl=64,{ports}")
        }
        5 => v6("udp6", dice.one(&[",udp_src=546,udp_dst=547", ",udp_src=547,udp_dst=546"]).to_string()),
        6 => format!("{ethernet},dl_type=0x88cc"),
        7 | 8 => v4("icmp", format!(",icmp_type={},icmp_code={code}", 8 * kind)),
        9 => v6("icmp6", format!(",icmpv6_type={},icmpv6_code={code}", 128 + kind)),
        10 => v4("ip", format!(",nw_proto={}", dice.one(&[33, 47, 112, 136]))),
        11 => v6("ipv6", format!(",nw_proto={}", dice.one(&[33, 47, 112, 136]))),
        12 | 13 => v4("udp", ports("udp")),
        14 => v4("sctp", ports("sctp")),
        15 => v6("sctp6", ports("sctp")),
        16 | 17 => v6("tcp6", ports("tcp")),
        18 => v6("udp6", ports("udp")),
        _ => v4("tcp", ports("tcp")),
    }
}
