//! Packets from any port of a host, to anybody that it knows.

use super::Arrival;
use super::random::Dice;
use crate::support::Host;
use std::net::IpAddr;

/// A MAC, and the addresses behind it.
pub type Station = (String, Vec<IpAddr>);

fn is_tunnel(name: &str) -> bool {
    ["vxlan-", "geneve-", "gre-"].iter().any(|kind| name.starts_with(kind))
}

/// Who may speak: MAC and addresses of all that it knows, and the stand-ins of hosts for its routers.
pub fn stations(host: &Host) -> Vec<Station> {
    let ports = host.view.ports.values();
    let here = ports.map(|port| (port.mac, port.fixed_ips.iter().map(|fixed| fixed.address).collect::<Vec<_>>()));
    let elsewhere = host.view.remote_ports.values().map(|port| (port.mac, port.addresses.iter().copied().collect()));
    let mut found: Vec<_> = here.chain(elsewhere).collect();
    let interfaces = host.view.routers.values().flat_map(|router| &router.interfaces);
    for port in interfaces.filter_map(|id| host.view.ports.get(id)) {
        for station in [0xabcd, 0xbeef] {
            let addresses = port.fixed_ips.iter().map(|fixed| fixed.address).collect();
            found.push((host_view::station_mac(port.mac, station), addresses));
        }
    }
    found.into_iter().map(|(mac, addresses)| (mac.to_string(), addresses)).collect()
}

/// Whether other hosts are behind a port.
pub fn is_outside(name: &str) -> bool {
    name == "wire" || is_tunnel(name)
}

/// From any port of the host, as the one whose port it is or as anybody else, to anybody.
pub fn arrival(dice: &mut Dice, host: &Host, stations: &[Station]) -> Arrival {
    let interfaces = host.state.interfaces.iter();
    let ports: Vec<_> = interfaces.filter(|(name, known)| is_outside(name) || known.iface_id.is_some()).collect();
    let (device, _) = *dice.one(&ports);
    let to = dice.one(stations).clone();
    packet(dice, host, stations, device, to)
}

/// In by a device, to a station or to several.
pub fn packet(dice: &mut Dice, host: &Host, stations: &[Station], name: &str, (to, targets): Station) -> Arrival {
    let known = &host.state.interfaces[name];
    let own = known.iface_id.and_then(|id| host.view.ports.get(&id)).filter(|_| dice.percent(85));
    let own = own.map(|port| (port.mac.to_string(), port.fixed_ips.iter().map(|fixed| fixed.address).collect()));
    let (from, sources) = own.unwrap_or_else(|| dice.one(stations).clone());
    let mut to = to;
    if dice.percent(15) {
        to = (*dice.one(&["ff:ff:ff:ff:ff:ff", "33:33:00:00:00:01", "fa:16:3e:99:99:99"])).to_owned();
    }
    let head = match name {
        "wire" => *dice.one(&["", "dl_vlan=101,"]),
        name if is_tunnel(name) => *dice.one(&["tun_id=1000,", "tun_id=1041,"]),
        _ => "",
    };
    let v6 = dice.percent(30);
    let of = |addresses: &[IpAddr]| addresses.iter().find(|address| address.is_ipv6() == v6).copied();
    let (source, target) = (of(&sources), of(&targets));
    let ethernet = format!("dl_src={from},dl_dst={to}");
    let packet = match (source, target, dice.roll(3)) {
        (Some(IpAddr::V4(source)), Some(IpAddr::V4(target)), 0) => {
            let (op, source) = (1 + dice.roll(2), if dice.percent(20) { "0.0.0.0".into() } else { source.to_string() });
            format!("{ethernet},arp,arp_op={op},arp_sha={from},arp_spa={source},arp_tpa={target}")
        }
        (Some(IpAddr::V4(source)), Some(IpAddr::V4(target)), _) => {
            format!(
                "{ethernet},tcp,nw_src={source},nw_dst={target},nw_ttl=64,tcp_src=4000,tcp_dst={}",
                22 + dice.roll(2)
            )
        }
        (Some(IpAddr::V6(source)), Some(IpAddr::V6(target)), 0) => {
            let kind = *dice.one(&[134, 135, 136]);
            let about = if kind == 134 { String::new() } else { format!(",icmpv6_code=0,nd_target={target}") };
            format!("{ethernet},icmp6,ipv6_src={source},ipv6_dst={target},nw_ttl=255,icmpv6_type={kind}{about}")
        }
        (Some(IpAddr::V6(source)), Some(IpAddr::V6(target)), _) => {
            format!("{ethernet},tcp6,ipv6_src={source},ipv6_dst={target},nw_ttl=64,tcp_src=4000,tcp_dst=22")
        }
        _ => format!("{ethernet},dl_type=0x88cc"),
    };
    let states = vec![*dice.one(&["trk,new", "trk,est"]), "trk,new"];
    Arrival { bridge: known.bridge.clone(), port: name.to_owned(), packet: format!("{head}{packet}"), states }
}
