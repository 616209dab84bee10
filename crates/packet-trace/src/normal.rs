//! NORMAL: what a learning switch with access ports and trunks does.

use net_types::MacAddr;
use std::collections::BTreeMap;

/// What a bridge has learned: behind which port a station is (`ovs-appctl fdb/show`).
pub type Fdb = BTreeMap<(u16, MacAddr), String>;

/// What VLANs a port carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PortVlan {
    /// Untagged frames of one VLAN.
    Access(u16),
    /// Tagged frames of all VLANs, and untagged ones.
    Trunk,
}

impl PortVlan {
    /// The VLAN of a frame that comes in; none: it is refused.
    pub fn of_frame(self, tag: Option<u16>) -> Option<u16> {
        match (self, tag) {
            (Self::Access(vlan), None | Some(0)) => Some(vlan),
            (Self::Access(_), Some(_)) => None,
            (Self::Trunk, tag) => Some(tag.unwrap_or(0)),
        }
    }

    /// Whether frames of a VLAN leave by it.
    pub fn carries(self, vlan: u16) -> bool {
        match self {
            Self::Access(own) => own == vlan,
            Self::Trunk => true,
        }
    }

    /// The tag that such a frame bears outside.
    pub fn tag_of(self, vlan: u16) -> Option<u16> {
        (self == Self::Trunk && vlan != 0).then_some(vlan)
    }
}

/// Addresses that a switch keeps to itself (IEEE 802.1D, and Cisco's that Open vSwitch adds).
pub(crate) fn is_reserved(mac: u128) -> bool {
    /// Address and mask of `eth_addr_is_reserved`.
    const RESERVED: [(u128, u128); 6] = [
        (0x0180_c200_0000, 0xffff_ffff_fff0),
        (0x00e0_2b00_0000, 0xffff_ffff_ffff),
        (0x00e0_2b00_0004, 0xffff_ffff_fffd),
        (0x0100_0c00_0000, 0xffff_ffff_ffff),
        (0x0100_0ccc_cccc, 0xffff_ffff_fffe),
        (0x0100_0ccd_cdcd, 0xffff_ffff_ffff),
    ];
    RESERVED.iter().any(|(address, mask)| mac & mask == *address)
}
