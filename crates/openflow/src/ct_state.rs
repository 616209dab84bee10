//! Connection-tracking state, written as sums: `EST - REL - RPL` is what `ovs-ofctl` prints as `+est-rel-rpl`.

use crate::Masked;
use std::ops::{Add, Neg, Sub};

/// Flags of `ct_state` that must be set or clear (ovs-fields(7), "Connection Tracking Fields").
///
/// ```
/// use openflow::ct_state::{EST, INV, NEW, REL};
/// let related_reply = -NEW - EST + REL - INV;
/// assert_eq!(openflow::Match::new().ct_state(related_reply).to_string(), "ct_state=-new-est+rel-inv");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CtState {
    value: u8,
    mask: u8,
}

const fn flag(bit: u8) -> CtState {
    CtState { value: bit, mask: bit }
}

/// First packet of a connection that is not committed.
pub const NEW: CtState = flag(0x01);
/// Part of a committed connection.
pub const EST: CtState = flag(0x02);
/// Related to a committed connection (an ICMP error, an FTP data channel).
pub const REL: CtState = flag(0x04);
/// In the direction opposite to the connection's first packet.
pub const RPL: CtState = flag(0x08);
/// Could not be identified.
pub const INV: CtState = flag(0x10);
/// Went through the connection tracker.
pub const TRK: CtState = flag(0x20);
/// Source address was translated.
pub const SNAT: CtState = flag(0x40);
/// Destination address was translated.
pub const DNAT: CtState = flag(0x80);

/// Names of the flags, lowest bit first.
pub(crate) const NAMES: [&str; 8] = ["new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"];

impl Add for CtState {
    type Output = Self;
    /// Both conditions; where they contradict, the later one holds.
    fn add(self, also: Self) -> Self {
        Self { value: self.value & !also.mask | also.value, mask: self.mask | also.mask }
    }
}

impl Neg for CtState {
    type Output = Self;
    /// Every flag of this condition the other way round.
    fn neg(self) -> Self {
        Self { value: !self.value & self.mask, mask: self.mask }
    }
}

impl Sub for CtState {
    type Output = Self;
    fn sub(self, not: Self) -> Self {
        self + -not
    }
}

impl From<CtState> for Masked {
    fn from(state: CtState) -> Self {
        Masked::new(u128::from(state.value), u128::from(state.mask))
    }
}
