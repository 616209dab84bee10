//! A field's value with the mask of the bits that count.

use net_types::{Ipv4Net, Ipv6Net, MacAddr, PortMask, VlanId, Vni};
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::PortNo;

/// A value and which of its bits are compared or written; `value` has no bit outside `mask`.
///
/// Made from plain numbers and addresses (then exact), from prefixes and from [`PortMask`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Masked {
    value: u128,
    mask: u128,
}

impl Masked {
    /// Only the bits of `mask` count; bits of `value` outside it are dropped.
    pub const fn new(value: u128, mask: u128) -> Self {
        Self { value: value & mask, mask }
    }

    /// Every bit counts.
    pub const fn exact(value: u128) -> Self {
        Self { value, mask: u128::MAX }
    }

    /// The value; zero wherever the mask is.
    pub const fn value(self) -> u128 {
        self.value
    }

    /// One bits count.
    pub const fn mask(self) -> u128 {
        self.mask
    }

    /// Cut down to the bits that exist in a field.
    pub(crate) const fn within(self, full: u128) -> Self {
        Self::new(self.value & full, self.mask & full)
    }
}

macro_rules! exact_from {
    ($($from:ty),*) => {
        $(impl From<$from> for Masked {
            fn from(value: $from) -> Self {
                Self::exact(u128::from(value))
            }
        })*
    };
}
exact_from!(u8, u16, u32, u64, u128);

impl From<PortNo> for Masked {
    fn from(port: PortNo) -> Self {
        Self::exact(u128::from(port.0))
    }
}

impl From<Vni> for Masked {
    fn from(vni: Vni) -> Self {
        Self::exact(u128::from(vni.get()))
    }
}

/// As OpenFlow's `vlan_vid` wants it: with the present bit 0x1000.
impl From<VlanId> for Masked {
    fn from(vlan: VlanId) -> Self {
        Self::exact(u128::from(vlan.get() | 0x1000))
    }
}

impl From<MacAddr> for Masked {
    fn from(mac: MacAddr) -> Self {
        Self::exact(mac.0.iter().fold(0, |number, octet| number << 8 | u128::from(*octet)))
    }
}

impl From<Ipv4Addr> for Masked {
    fn from(address: Ipv4Addr) -> Self {
        Self::exact(u128::from(address.to_bits()))
    }
}

impl From<Ipv6Addr> for Masked {
    fn from(address: Ipv6Addr) -> Self {
        Self::exact(address.to_bits())
    }
}

impl From<Ipv4Net> for Masked {
    fn from(net: Ipv4Net) -> Self {
        Self::new(u128::from(net.addr().to_bits()), u128::from(net.netmask().to_bits()))
    }
}

impl From<Ipv6Net> for Masked {
    fn from(net: Ipv6Net) -> Self {
        Self::new(net.addr().to_bits(), net.netmask().to_bits())
    }
}

impl From<PortMask> for Masked {
    fn from(ports: PortMask) -> Self {
        Self::new(u128::from(ports.value), u128::from(ports.mask))
    }
}
