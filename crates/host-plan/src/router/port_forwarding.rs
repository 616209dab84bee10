//! Port forwardings: ports of a floating IP that lead to ports of instances.
//!
//! ```text
//! prerouting, output (nat), behind the floating IPs
//!   of a protocol with ports:
//!   dnat to (protocol, ip daddr, destination port) map @forward         one port to one port
//!   dnat to (protocol, ip daddr, destination port) map @forward_ranges  ports to one port            (prefix tree)
//!   dnat to (protocol, ip daddr, destination port) map @forward_alike   ports to ports of the same numbers
//! ```
//! In: a router's forwardings. Out: the maps and rules above, only as far as there is something in them; the floating
//! addresses that the gateway device must have. A packet costs at most one lookup per map, however many forwardings there
//! are. nftables cannot shift a range of ports, so ports that lead to as many others of other numbers are one entry each.
//! Answers find back, and hairpins work, as with floating IPs: `nat` has drawn it.

use super::nat::NAT_TABLE;
use host_view::{PortForwarding, Router};
use net_types::PortRange;
use nft_rules::{DataType, Family, Field, Map, Nat, Rule, Statement, Table, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

const FORWARD: &str = "forward";
const FORWARD_RANGES: &str = "forward_ranges";
const FORWARD_ALIKE: &str = "forward_alike";
const MAPS: [&str; 3] = [FORWARD, FORWARD_RANGES, FORWARD_ALIKE];
/// Chains of the table that translate destinations.
const CHAINS: [&str; 2] = ["prerouting", "output"];
/// Protocols with ports, in nft's words and the API's; rising by their numbers, as nft lists them.
const PROTOCOLS: [&str; 4] = ["tcp", "udp", "dccp", "sctp"];

/// Floating addresses that have forwardings.
pub(super) fn addresses(router: &Router) -> BTreeSet<IpAddr> {
    possible(router).map(|forwarding| forwarding.floating_address).collect()
}

/// What cannot be forwarded, one sentence each.
pub(super) fn errors(router: &Router) -> impl Iterator<Item = String> {
    let unlike = router.port_forwardings.iter().filter(|(_, forwarding)| !is_possible(forwarding));
    unlike.map(|(id, forwarding)| format!("port forwarding {id}: {} has no ports", forwarding.protocol))
}

fn is_possible(forwarding: &PortForwarding) -> bool {
    PROTOCOLS.contains(&forwarding.protocol.as_str())
        && forwarding.floating_address.is_ipv4()
        && forwarding.internal_address.is_ipv4()
}

fn possible(router: &Router) -> impl Iterator<Item = &PortForwarding> {
    router.port_forwardings.values().filter(|forwarding| is_possible(forwarding))
}

/// Adds the router's forwardings to its table.
pub(super) fn add(table: &mut Table, router: &Router) {
    let service = [DataType::InetProto, DataType::Ipv4Addr, DataType::InetService];
    let endpoint = [DataType::Ipv4Addr, DataType::InetService];
    let maps =
        [Map::new(service, endpoint), Map::intervals(service, endpoint), Map::intervals(service, DataType::Ipv4Addr)];
    let mut maps: BTreeMap<&str, Map> = MAPS.into_iter().zip(maps).collect();
    for (name, key, value) in possible(router).flat_map(entries) {
        if let Some(map) = maps.get_mut(name) {
            map.elements.insert(key, value);
        }
    }
    for (name, map) in maps.into_iter().filter(|(_, map)| !map.elements.is_empty()) {
        let look_up = Nat::map([Field::MetaL4Proto, Field::IpDaddr, Field::ThDport], name);
        for chain in CHAINS {
            if let Some(chain) = table.chains.get_mut(chain) {
                // nft 1.0.6 wants to hear that there are ports before it translates to one.
                let with_ports = Value::AnyOf(PROTOCOLS.map(Value::from).into());
                let rule = Rule::new().is(Field::MetaL4Proto, with_ports);
                chain.rules.push(rule.then(Statement::Dnat(look_up.clone())));
            }
        }
        table.map(name, map);
    }
}

/// Map, key and value of each entry of a forwarding.
fn entries(forwarding: &PortForwarding) -> Vec<(&'static str, Value, Value)> {
    let PortForwarding { external, internal, .. } = forwarding;
    let key = |ports: Value| {
        Value::Joined(vec![forwarding.protocol.as_str().into(), forwarding.floating_address.into(), ports])
    };
    let address = || Value::from(forwarding.internal_address);
    let endpoint = |port: u16| Value::Joined(vec![address(), u32::from(port).into()]);
    let is_range = |ports: &PortRange| ports.first() != ports.last();
    if is_range(external) && external == internal {
        return vec![(FORWARD_ALIKE, key((*external).into()), address())];
    }
    if is_range(external) && !is_range(internal) {
        return vec![(FORWARD_RANGES, key((*external).into()), endpoint(internal.first()))];
    }
    let pairs = (external.first()..=external.last()).zip(internal.first()..=internal.last());
    pairs.map(|(outside, inside)| (FORWARD, key(u32::from(outside).into()), endpoint(inside))).collect()
}

/// Where a namespace's tables lead the ports of floating IPs: what a connection that is under way must agree with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Forwarded(BTreeMap<IpAddr, BTreeSet<Entry>>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    protocol: String,
    ports: PortRange,
    to: IpAddr,
    /// None: the same port.
    port: Option<u16>,
}

impl Forwarded {
    /// As these tables have it.
    pub fn of<'t>(tables: impl IntoIterator<Item = &'t Table>) -> Self {
        let mut forwarded = Self::default();
        let ours = tables.into_iter().filter(|table| table.family == Family::Ip && table.name == NAT_TABLE);
        let maps = ours.flat_map(|table| MAPS.iter().filter_map(|name| table.maps.get(*name)));
        for (floating, entry) in maps.flat_map(|map| &map.elements).filter_map(|(key, value)| entry(key, value)) {
            forwarded.0.entry(floating).or_default().insert(entry);
        }
        forwarded
    }

    /// Floating addresses some of whose ports lead elsewhere in `other`, or nowhere.
    pub fn moved(&self, other: &Self) -> BTreeSet<IpAddr> {
        let stays = |(floating, entries): &(&IpAddr, &BTreeSet<Entry>)| {
            other.0.get(*floating).is_some_and(|others| others.is_superset(entries))
        };
        self.0.iter().filter(|pair| !stays(pair)).map(|(floating, _)| *floating).collect()
    }

    /// Where a port of a floating address leads.
    pub fn lookup(&self, protocol: &str, floating: IpAddr, port: u16) -> Option<(IpAddr, u16)> {
        let fits = |entry: &&Entry| entry.protocol == protocol && entry.ports.contains(port);
        self.0.get(&floating)?.iter().find(fits).map(|entry| (entry.to, entry.port.unwrap_or(port)))
    }
}

fn entry(key: &Value, value: &Value) -> Option<(IpAddr, Entry)> {
    let Value::Joined(key) = key else { return None };
    let [Value::Word(protocol), Value::Address(floating), ports] = key.as_slice() else { return None };
    let number = |value: &Value| match value {
        Value::Number(number) => u16::try_from(*number).ok(),
        _ => None,
    };
    let ports = match ports {
        Value::Ports(ports) => *ports,
        one => PortRange::new(number(one)?, number(one)?).ok()?,
    };
    let (to, port) = match value {
        Value::Address(to) => (*to, None),
        Value::Joined(endpoint) => match endpoint.as_slice() {
            [Value::Address(to), port] => (*to, Some(number(port)?)),
            _ => return None,
        },
        _ => return None,
    };
    Some((*floating, Entry { protocol: protocol.clone(), ports, to, port }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nft_rules::{Chain, Hook, Kind};

    fn ports(first: u16, last: u16) -> PortRange {
        PortRange::new(first, last).unwrap()
    }

    fn forwarding(external: PortRange, internal: PortRange) -> PortForwarding {
        PortForwarding {
            floating_ip: format!("{:032x}", 0).parse().unwrap(),
            floating_address: "198.51.100.9".parse().unwrap(),
            protocol: "tcp".into(),
            external,
            internal_address: "10.0.0.5".parse().unwrap(),
            internal,
        }
    }

    fn table(forwardings: &[PortForwarding]) -> Table {
        let forwardings = forwardings.iter().enumerate();
        let numbered = forwardings.map(|(n, value)| (format!("{n:032x}").parse().unwrap(), value.clone()));
        let mut table = Table::new(Family::Ip, NAT_TABLE);
        table.chain("prerouting", Chain::base(Kind::Nat, Hook::Prerouting, -100));
        add(&mut table, &Router { port_forwardings: numbered.collect(), ..Router::default() });
        table
    }

    #[test]
    fn every_kind_of_range_leads_where_it_says() {
        let kinds = [
            forwarding(ports(80, 80), ports(8080, 8080)),
            forwarding(ports(100, 199), ports(22, 22)),
            forwarding(ports(200, 209), ports(200, 209)),
            forwarding(ports(300, 302), ports(400, 402)),
        ];
        let table = table(&kinds);
        let sizes: Vec<_> = MAPS.iter().map(|name| table.maps[*name].elements.len()).collect();
        assert_eq!(sizes, [4, 1, 1]);
        assert_eq!(table.chains["prerouting"].rules.len(), 3);
        let forwarded = Forwarded::of([&table]);
        let to = |port| forwarded.lookup("tcp", kinds[0].floating_address, port).map(|(_, port)| port);
        let leads: Vec<_> = [80, 81, 150, 205, 301].map(to).into();
        assert_eq!(leads, [Some(8080), None, Some(22), Some(205), Some(401)]);
        assert_eq!(forwarded.lookup("udp", kinds[0].floating_address, 80), None);
    }

    #[test]
    fn an_address_has_moved_when_a_port_leads_elsewhere_and_not_when_one_comes() {
        let (one, two) = (forwarding(ports(80, 80), ports(8080, 8080)), forwarding(ports(81, 81), ports(8081, 8081)));
        let of = |forwardings: &[PortForwarding]| Forwarded::of([&table(forwardings)]);
        let both = of(&[one.clone(), two.clone()]);
        assert!(of(std::slice::from_ref(&one)).moved(&both).is_empty());
        assert_eq!(both.moved(&of(std::slice::from_ref(&one))), [two.floating_address].into());
        let elsewhere = PortForwarding { internal: ports(8090, 8090), ..one };
        assert_eq!(both.moved(&of(&[elsewhere, two])).len(), 1);
    }

    #[test]
    fn a_protocol_without_ports_is_said() {
        let icmp = PortForwarding { protocol: "icmp".into(), ..forwarding(ports(1, 1), ports(1, 1)) };
        let router =
            Router { port_forwardings: [(format!("{:032x}", 1).parse().unwrap(), icmp)].into(), ..Router::default() };
        assert_eq!(errors(&router).count(), 1);
        assert!(addresses(&router).is_empty());
    }
}
