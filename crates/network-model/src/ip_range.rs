//! Runs of addresses: allocation pools, and what is free in them.

use net_types::IpNet;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// The addresses from `first` to `last`, both included: of one IP version, `first <= last` always.
///
/// In JSON the two are `start` and `end`, as the API writes allocation pools.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Ends", into = "Ends")]
pub struct IpRange {
    first: IpAddr,
    last: IpAddr,
}

#[derive(Serialize, Deserialize)]
struct Ends {
    start: IpAddr,
    end: IpAddr,
}

impl IpRange {
    /// A range; nothing when the two are of different IP versions or run backwards.
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(Self { first, last })
    }

    /// The range of one address.
    pub fn single(addr: IpAddr) -> Self {
        Self { first: addr, last: addr }
    }

    /// Every address of a network, its own and the broadcast address included.
    pub fn of_net(net: IpNet) -> Self {
        Self { first: net.network(), last: net.broadcast() }
    }

    /// Lowest address.
    pub fn first(&self) -> IpAddr {
        self.first
    }

    /// Highest address.
    pub fn last(&self) -> IpAddr {
        self.last
    }

    /// Whether `addr` is in it.
    pub fn contains(&self, addr: IpAddr) -> bool {
        self.first.is_ipv4() == addr.is_ipv4() && self.first <= addr && addr <= self.last
    }

    /// Whether every address of `other` is in it.
    pub fn contains_range(&self, other: &Self) -> bool {
        self.contains(other.first) && self.contains(other.last)
    }

    /// Whether they share an address.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.first.is_ipv4() == other.first.is_ipv4() && self.first <= other.last && other.first <= self.last
    }

    /// How many addresses it has; [`u128::MAX`] for all of IPv6, which is one more.
    pub fn size(&self) -> u128 {
        (bits(self.last) - bits(self.first)).saturating_add(1)
    }

    /// What is left below and above `addr` when it is taken out; the whole range when it is not in it.
    pub fn without(&self, addr: IpAddr) -> impl Iterator<Item = Self> {
        let (below, above) = if self.contains(addr) {
            let below = previous(addr).and_then(|end| Self::new(self.first, end));
            let above = next(addr).and_then(|start| Self::new(start, self.last));
            (below, above)
        } else {
            (Some(*self), None)
        };
        below.into_iter().chain(above)
    }
}

/// The address after `addr` in its IP version; nothing after the last one.
pub fn next(addr: IpAddr) -> Option<IpAddr> {
    match addr {
        IpAddr::V4(v4) => v4.to_bits().checked_add(1).map(|n| Ipv4Addr::from_bits(n).into()),
        IpAddr::V6(v6) => v6.to_bits().checked_add(1).map(|n| Ipv6Addr::from_bits(n).into()),
    }
}

/// The address before `addr` in its IP version; nothing before the first one.
pub fn previous(addr: IpAddr) -> Option<IpAddr> {
    match addr {
        IpAddr::V4(v4) => v4.to_bits().checked_sub(1).map(|n| Ipv4Addr::from_bits(n).into()),
        IpAddr::V6(v6) => v6.to_bits().checked_sub(1).map(|n| Ipv6Addr::from_bits(n).into()),
    }
}

/// The lowest address of the IP version of `like`: `0.0.0.0` or `::`.
pub fn lowest(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// The address as a number.
pub(crate) fn bits(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

impl From<IpRange> for Ends {
    fn from(range: IpRange) -> Self {
        Self { start: range.first, end: range.last }
    }
}

impl TryFrom<Ends> for IpRange {
    type Error = &'static str;
    fn try_from(ends: Ends) -> Result<Self, Self::Error> {
        Self::new(ends.start, ends.end).ok_or("start is not at or before end")
    }
}

impl fmt::Display for IpRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl fmt::Debug for IpRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: &str, last: &str) -> IpRange {
        IpRange::new(first.parse().unwrap(), last.parse().unwrap()).unwrap()
    }

    #[test]
    fn ends_are_of_one_version_and_rise() {
        assert!(IpRange::new("10.0.0.2".parse().unwrap(), "10.0.0.1".parse().unwrap()).is_none());
        assert!(IpRange::new("10.0.0.2".parse().unwrap(), "fd00::1".parse().unwrap()).is_none());
        let json = r#"{"start":"10.0.0.2","end":"10.0.0.9"}"#;
        assert_eq!(serde_json::from_str::<IpRange>(json).unwrap(), range("10.0.0.2", "10.0.0.9"));
        assert_eq!(serde_json::to_string(&range("10.0.0.2", "10.0.0.9")).unwrap(), json);
        assert!(serde_json::from_str::<IpRange>(r#"{"start":"10.0.0.2","end":"10.0.0.1"}"#).is_err());
    }

    #[test]
    fn length_and_edges_of_the_address_space() {
        assert_eq!(range("10.0.0.2", "10.0.0.9").size(), 8);
        assert_eq!(range("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff").size(), u128::MAX);
        assert_eq!(next("255.255.255.255".parse().unwrap()), None);
        assert_eq!(previous("::".parse().unwrap()), None);
        assert_eq!(range("255.255.255.255", "255.255.255.255").without("255.255.255.255".parse().unwrap()).count(), 0);
    }

    #[test]
    fn taking_one_out_leaves_what_is_beside_it() {
        let whole = range("10.0.0.2", "10.0.0.9");
        let left = |addr: &str| whole.without(addr.parse().unwrap()).collect::<Vec<_>>();
        assert_eq!(left("10.0.0.5"), [range("10.0.0.2", "10.0.0.4"), range("10.0.0.6", "10.0.0.9")]);
        assert_eq!(left("10.0.0.2"), [range("10.0.0.3", "10.0.0.9")]);
        assert_eq!(left("10.0.0.9"), [range("10.0.0.2", "10.0.0.8")]);
        assert_eq!(left("10.0.0.10"), [whole]);
        assert_eq!(left("fd00::5"), [whole]);
    }
}
