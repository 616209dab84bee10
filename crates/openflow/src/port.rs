//! OpenFlow port numbers.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A port of a bridge in OpenFlow's 32-bit numbering; the reserved ones have constants (OpenFlow 1.4, section 7.2.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PortNo(pub u32);

impl PortNo {
    /// First number that is not an ordinary port.
    pub const MAX: Self = Self(0xffff_ff00);
    /// Back out of the port of arrival.
    pub const IN_PORT: Self = Self(0xffff_fff8);
    /// Through the flow tables (packet-out only).
    pub const TABLE: Self = Self(0xffff_fff9);
    /// As a learning switch would.
    pub const NORMAL: Self = Self(0xffff_fffa);
    /// Every port but those with flooding off.
    pub const FLOOD: Self = Self(0xffff_fffb);
    /// Every port but that of arrival.
    pub const ALL: Self = Self(0xffff_fffc);
    /// To the controller as a packet-in.
    pub const CONTROLLER: Self = Self(0xffff_fffd);
    /// The bridge's own internal port.
    pub const LOCAL: Self = Self(0xffff_fffe);
    /// No port, or any port, by context.
    pub const ANY: Self = Self(0xffff_ffff);

    const RESERVED: [(Self, &'static str); 8] = [
        (Self::IN_PORT, "IN_PORT"),
        (Self::TABLE, "TABLE"),
        (Self::NORMAL, "NORMAL"),
        (Self::FLOOD, "FLOOD"),
        (Self::ALL, "ALL"),
        (Self::CONTROLLER, "CONTROLLER"),
        (Self::LOCAL, "LOCAL"),
        (Self::ANY, "ANY"),
    ];

    /// The name of a reserved port.
    pub fn reserved_name(self) -> Option<&'static str> {
        Self::RESERVED.iter().find(|(port, _)| *port == self).map(|(_, name)| *name)
    }

    /// The reserved port of this name, in any case.
    pub fn from_reserved_name(name: &str) -> Option<Self> {
        Self::RESERVED.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(port, _)| *port)
    }

    /// Whether this is a port that can be plugged, as opposed to a reserved number.
    pub fn is_ordinary(self) -> bool {
        self < Self::MAX
    }

    /// The 16-bit form of OpenFlow 1.0 that Nicira actions use; `None` for a port that has none.
    pub fn to_u16(self) -> Option<u16> {
        match self.0 {
            small @ 0..=0xfeff => Some(small as u16),
            reserved @ 0xffff_ff00.. => Some(reserved as u16),
            _ => None,
        }
    }

    /// From the 16-bit form.
    pub fn from_u16(port: u16) -> Self {
        if port >= 0xff00 { Self(0xffff_0000 | u32::from(port)) } else { Self(u32::from(port)) }
    }
}

impl From<u32> for PortNo {
    fn from(number: u32) -> Self {
        Self(number)
    }
}

impl From<u16> for PortNo {
    fn from(number: u16) -> Self {
        Self(u32::from(number))
    }
}

impl From<PortNo> for u32 {
    fn from(port: PortNo) -> u32 {
        port.0
    }
}

impl fmt::Display for PortNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reserved_name() {
            Some(name) => f.write_str(name),
            None => self.0.fmt(f),
        }
    }
}

impl fmt::Debug for PortNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bit_form_keeps_reserved_ports() {
        assert_eq!(PortNo::IN_PORT.to_u16(), Some(0xfff8));
        assert_eq!(PortNo::from_u16(0xfffe), PortNo::LOCAL);
        assert_eq!(PortNo(7).to_u16(), Some(7));
        assert_eq!(PortNo(0x1_0000).to_u16(), None);
        assert_eq!(PortNo::from_reserved_name("in_port"), Some(PortNo::IN_PORT));
    }
}
