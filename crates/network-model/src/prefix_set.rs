//! Sets of addresses that are written as prefixes: what a subnet pool holds, and what subnets have taken of it.
//!
//! A set is kept as its maximal runs in rising order, so that two sets are equal exactly when they hold the same addresses,
//! however they were written. Every operation is one walk over both sets' runs.

use crate::ip_range;
use net_types::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A set of addresses of one IP version. Prefixes of the other version are ignored by every operation: callers check versions
/// first, where it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrefixSet {
    version: u8,
    /// Maximal runs, both ends included, rising; two runs never touch.
    runs: Vec<(u128, u128)>,
}

impl PrefixSet {
    /// The addresses of these prefixes, of IP version 4 or 6.
    pub fn new(version: u8, prefixes: impl IntoIterator<Item = IpNet>) -> Self {
        let mut runs: Vec<(u128, u128)> = prefixes
            .into_iter()
            .filter(|net| net.addr().is_ipv4() == (version == 4))
            .map(|net| (ip_range::bits(net.network()), ip_range::bits(net.broadcast())))
            .collect();
        runs.sort_unstable();
        Self { version, runs: joined(runs) }
    }

    /// Whether it has no address.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The addresses of either.
    pub fn union(&self, other: &Self) -> Self {
        let mut runs: Vec<(u128, u128)> = self.runs.iter().chain(&other.runs).copied().collect();
        runs.sort_unstable();
        Self { version: self.version, runs: joined(runs) }
    }

    /// Its addresses without the other's.
    pub fn difference(&self, other: &Self) -> Self {
        let mut runs = Vec::with_capacity(self.runs.len());
        let mut taken = other.runs.iter().peekable();
        for &(first, last) in &self.runs {
            let mut rest = Some(first);
            while let (Some(start), Some(&&(taken_first, taken_last))) = (rest, taken.peek()) {
                if taken_first > last {
                    break;
                }
                if taken_last >= start {
                    if taken_first > start {
                        runs.push((start, taken_first - 1));
                    }
                    rest = taken_last.checked_add(1).filter(|next| *next <= last);
                }
                if taken_last > last {
                    // It may reach into the next run.
                    break;
                }
                taken.next();
            }
            runs.extend(rest.map(|start| (start, last)));
        }
        Self { version: self.version, runs }
    }

    /// Whether both have an address in common.
    pub fn intersects(&self, other: &Self) -> bool {
        let mut theirs = other.runs.iter().peekable();
        self.runs.iter().any(|&(first, last)| {
            while theirs.next_if(|(_, their_last)| *their_last < first).is_some() {}
            theirs.peek().is_some_and(|(their_first, _)| *their_first <= last)
        })
    }

    /// Whether every address of `other` is in it.
    pub fn contains(&self, other: &Self) -> bool {
        other.difference(self).is_empty()
    }

    /// The fewest prefixes that hold exactly its addresses, rising.
    pub fn prefixes(&self) -> Vec<IpNet> {
        self.runs.iter().flat_map(|&(first, last)| blocks(self.version, first, last)).collect()
    }
}

/// Joins runs, sorted by their beginning, that overlap or touch.
fn joined(runs: Vec<(u128, u128)>) -> Vec<(u128, u128)> {
    let mut joined: Vec<(u128, u128)> = Vec::with_capacity(runs.len());
    for (first, last) in runs {
        match joined.last_mut() {
            Some((_, before)) if first <= before.saturating_add(1) => *before = (*before).max(last),
            _ => joined.push((first, last)),
        }
    }
    joined
}

/// The prefixes of one run: at each place the largest that is aligned there and does not pass the end.
fn blocks(version: u8, first: u128, last: u128) -> impl Iterator<Item = IpNet> {
    let width: u32 = if version == 4 { 32 } else { 128 };
    let mut next = Some(first);
    std::iter::from_fn(move || {
        let start = next?;
        // Of the whole address space there is one address more than a number can tell.
        let room = (last - start).checked_add(1).map_or(128, u128::ilog2);
        let host_bits = start.trailing_zeros().min(room).min(width);
        let end = start | (1u128.checked_shl(host_bits).map_or(u128::MAX, |size| size - 1));
        next = end.checked_add(1).filter(|next| *next <= last);
        net(version, start, width - host_bits)
    })
}

fn net(version: u8, bits: u128, prefix_len: u32) -> Option<IpNet> {
    let addr = match version {
        4 => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(bits).ok()?)),
        _ => IpAddr::V6(Ipv6Addr::from_bits(bits)),
    };
    IpNet::new(addr, u8::try_from(prefix_len).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn set(prefixes: &[&str]) -> PrefixSet {
        let nets: Vec<IpNet> = prefixes.iter().map(|text| text.parse().unwrap()).collect();
        PrefixSet::new(if nets.first().is_none_or(|net| net.addr().is_ipv4()) { 4 } else { 6 }, nets)
    }

    fn shown(set: &PrefixSet) -> Vec<String> {
        set.prefixes().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_same_addresses_are_the_same_set() {
        assert_eq!(set(&["10.0.0.0/25", "10.0.0.128/25"]), set(&["10.0.0.77/24"]));
        assert_eq!(shown(&set(&["10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24"])), ["10.0.1.0/24", "10.0.2.0/23"]);
        assert_eq!(shown(&set(&["::/0"])), ["::/0"]);
        assert_eq!(shown(&set(&["0.0.0.0/0"])), ["0.0.0.0/0"]);
        assert_eq!(shown(&set(&["::/0"]).difference(&set(&["8000::/1"]))), ["::/1"]);
        assert_eq!(shown(&set(&["::/0"]).difference(&set(&["::/1"]))), ["8000::/1"]);
        assert!(set(&["0.0.0.0/0"]).difference(&set(&["0.0.0.0/0"])).is_empty());
    }

    /// Prefixes inside 10.0.0.0/24, so that they can be held against plain sets of numbers.
    fn prefixes() -> impl Strategy<Value = Vec<IpNet>> {
        let net = (any::<u8>(), 24u8..=32)
            .prop_map(|(last, length)| IpNet::new(Ipv4Addr::new(10, 0, 0, last).into(), length).unwrap().trunc());
        proptest::collection::vec(net, 0..12)
    }

    fn plain(nets: &[IpNet]) -> BTreeSet<u128> {
        let ends = |net: &IpNet| ip_range::bits(net.network())..=ip_range::bits(net.broadcast());
        nets.iter().flat_map(ends).collect()
    }

    proptest! {
        #[test]
        fn it_does_what_plain_sets_do(a in prefixes(), b in prefixes()) {
            let (set_a, set_b) = (PrefixSet::new(4, a.clone()), PrefixSet::new(4, b.clone()));
            let (plain_a, plain_b) = (plain(&a), plain(&b));
            prop_assert_eq!(plain(&set_a.prefixes()), plain_a.clone());
            prop_assert_eq!(plain(&set_a.union(&set_b).prefixes()), &plain_a | &plain_b);
            prop_assert_eq!(plain(&set_a.difference(&set_b).prefixes()), &plain_a - &plain_b);
            prop_assert_eq!(set_a.intersects(&set_b), !plain_a.is_disjoint(&plain_b));
            prop_assert_eq!(set_a.contains(&set_b), plain_b.is_subset(&plain_a));
            // The fewest: no two of them make a larger one, and none is inside another.
            let shown = set_a.prefixes();
            prop_assert_eq!(&IpNet::aggregate(&shown), &shown);
        }
    }
}
