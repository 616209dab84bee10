//! Bandwidth limits of what a router has outside: gateway addresses and floating IPs.
//!
//! ```text
//! prerouting (filter, -140)    in by qg-,  beyond the limit of ip daddr map @limits_in:  drop    before destinations are translated
//! postrouting (filter, 110)    out by qg-, beyond the limit of ip saddr map @limits_out: drop    after sources are translated
//! ```
//! In: a router's limits by outside address (IPv4, as in Neutron). Out: a token bucket for each address and direction, the
//! maps that lead to them, and the chains above, only as far as there are limits. One look-up per packet and direction. What
//! is beyond the limit is dropped, as Neutron's `tc ... police` does; nftables can do it wherever it can translate.

use host_view::{BandwidthLimits, Limit};
use nft_rules::{Chain, DataType, Field, Hook, Kind, Map, Object, Rule, Statement, Table};
use std::collections::BTreeMap;
use std::net::IpAddr;

const IN: &str = "limits_in";
const OUT: &str = "limits_out";
/// What comes at once beyond the rate, where the policy does not say it: this part of what a second carries (Neutron's
/// `DEFAULT_BURST_RATE`).
const DEFAULT_BURST_PERCENT: u64 = 80;

/// Adds the limits of addresses outside to the table; `gateways` are the devices that lead there.
pub(super) fn add(table: &mut Table, gateways: &[&str], limits: &BTreeMap<IpAddr, BandwidthLimits>) {
    let v4 = || limits.iter().filter(|(address, _)| address.is_ipv4());
    let incoming = v4().filter_map(|(address, limits)| Some((*address, limits.ingress?))).collect();
    let outgoing = v4().filter_map(|(address, limits)| Some((*address, limits.egress?))).collect();
    let before = Chain::base(Kind::Filter, Hook::Prerouting, -140);
    let after = Chain::base(Kind::Filter, Hook::Postrouting, 110);
    direction(table, IN, before, &incoming, gateways.iter().map(|device| (Field::IifName, *device)), Field::IpDaddr);
    direction(table, OUT, after, &outgoing, gateways.iter().map(|device| (Field::OifName, *device)), Field::IpSaddr);
}

fn direction<'d>(
    table: &mut Table,
    name: &str,
    mut chain: Chain,
    limits: &BTreeMap<IpAddr, Limit>,
    devices: impl Iterator<Item = (Field, &'d str)>,
    address: Field,
) {
    if limits.is_empty() {
        return;
    }
    let mut map = Map::new(DataType::Ipv4Addr, DataType::Limit);
    for (address, limit) in limits {
        let bucket = format!("{name}_{address}");
        map.elements.insert((*address).into(), bucket.as_str().into());
        table.object(bucket, object(limit));
    }
    for (field, device) in devices {
        let beyond = Statement::LimitByMap { key: address.into(), map: name.into() };
        chain = chain.rule(Rule::new().is(field, device).then(beyond).then(Statement::Drop));
    }
    table.map(name, map).chain(name, chain);
}

/// Kilobits are of 1000 bits, as everywhere in QoS rules.
fn object(limit: &Limit) -> Object {
    let octets = |kilobits: u64| kilobits * 125;
    let rate = u64::from(limit.rate);
    let burst = match limit.burst {
        0 => rate * DEFAULT_BURST_PERCENT / 100,
        burst => burst.into(),
    };
    // nft keeps the burst in 32 bits, and a bucket that holds no whole packet would let nothing pass.
    let burst = octets(burst).clamp(SMALLEST_BURST, u32::MAX.into());
    Object::Limit { rate: octets(rate).max(1), burst }
}

/// Octets of the largest packet that offloading may hand over at once.
const SMALLEST_BURST: u64 = 65_536;

#[cfg(test)]
mod tests {
    use super::*;
    use nft_rules::Value;

    #[test]
    fn a_limit_is_said_in_octets() {
        let of = |rate, burst| object(&Limit { rate, burst });
        assert_eq!(of(8_000, 4_000), Object::Limit { rate: 1_000_000, burst: 500_000 });
        assert_eq!(of(8_000, 0), Object::Limit { rate: 1_000_000, burst: 800_000 });
        assert_eq!(of(8, 8), Object::Limit { rate: 1_000, burst: SMALLEST_BURST });
        assert_eq!(of(0, 0), Object::Limit { rate: 1, burst: SMALLEST_BURST });
        let Object::Limit { burst, .. } = of(u32::MAX, u32::MAX) else { panic!() };
        assert_eq!(burst, u64::from(u32::MAX));
    }

    #[test]
    fn only_directions_with_limits_have_chains() {
        let mut table = Table::new(nft_rules::Family::Ip, "t");
        let limit = Some(Limit { rate: 1000, burst: 0 });
        let limits = [("192.0.2.1".parse().unwrap(), BandwidthLimits { egress: limit, ingress: None })].into();
        add(&mut table, &["qg-1", "qg-2"], &limits);
        assert_eq!(table.chains.keys().collect::<Vec<_>>(), [OUT]);
        assert_eq!(table.chains[OUT].rules.len(), 2);
        assert_eq!(
            table.maps[OUT].elements[&Value::Address("192.0.2.1".parse().unwrap())],
            "limits_out_192.0.2.1".into()
        );
        assert!(table.objects.contains_key("limits_out_192.0.2.1"));
    }
}
