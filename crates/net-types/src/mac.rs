//! Ethernet hardware addresses (EUI-48).

use crate::ParseError;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, net::Ipv6Addr, str::FromStr};

/// A MAC address; text form is lower-case hexadecimal with colons.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// `ff:ff:ff:ff:ff:ff`.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Whether the group bit is set (broadcast included).
    pub fn is_multicast(&self) -> bool {
        self.0[0] & 1 == 1
    }

    /// The interface identifier behind `prefix` by modified EUI-64 (RFC 4291, appendix A): the prefix's upper 64 bits
    /// and this address, as SLAAC forms it.
    pub fn eui64(&self, prefix: Ipv6Addr) -> Ipv6Addr {
        let [a, b, c, d, e, f] = self.0;
        let mut octets = prefix.octets();
        octets[8..].copy_from_slice(&[a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
        octets.into()
    }

    /// The link-local IPv6 address that an interface with this address gives itself.
    pub fn link_local(&self) -> Ipv6Addr {
        self.eui64(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0))
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(out, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MacAddr {
    type Err = ParseError;

    /// Six pairs of hexadecimal digits, all separated by `:` or all by `-`.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bad = || ParseError::new("MAC address", text);
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut octets = [0u8; 6];
        let mut parts = text.split(separator);
        for octet in &mut octets {
            let part = parts.next().ok_or_else(bad)?;
            if part.len() != 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(bad());
            }
            *octet = u8::from_str_radix(part, 16).map_err(|_| bad())?;
        }
        if parts.next().is_some() { Err(bad()) } else { Ok(Self(octets)) }
    }
}

impl Serialize for MacAddr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MacAddr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_both_separators_and_nothing_else() {
        let mac: MacAddr = "FA:16:3e:6b:ae:46".parse().unwrap();
        assert_eq!(mac.to_string(), "fa:16:3e:6b:ae:46");
        assert_eq!("fa-16-3e-6b-ae-46".parse(), Ok(mac));
        for bad in
            ["", "fa:16:3e:6b:ae", "fa:16:3e:6b:ae:46:00", "fa:16-3e:6b:ae:46", "+a:16:3e:6b:ae:46", "é:16:3e:6b:ae:46"]
        {
            assert!(bad.parse::<MacAddr>().is_err(), "{bad}");
        }
    }

    #[test]
    fn link_local_is_the_one_the_kernel_gives() {
        let mac: MacAddr = "fa:16:3e:51:ee:cd".parse().unwrap();
        assert_eq!(mac.link_local(), "fe80::f816:3eff:fe51:eecd".parse::<Ipv6Addr>().unwrap());
    }

    proptest! {
        #[test]
        fn text_round_trips(octets: [u8; 6]) {
            prop_assert_eq!(MacAddr(octets).to_string().parse(), Ok(MacAddr(octets)));
        }
    }
}
