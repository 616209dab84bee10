//! The messages by which two peers get to know each other.

use super::{
    VERSION,
    cursor::{Reader, Writer},
};
use crate::Error;

const VERSION_BITMAP: u16 = 1;

/// The OpenFlow versions that a peer speaks, bit n for wire version n (1.4 is 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hello {
    /// One bit for each version.
    pub versions: u32,
}

impl Hello {
    /// That we speak OpenFlow 1.4 and nothing else.
    pub fn openflow14() -> Self {
        Self { versions: 1 << VERSION }
    }

    /// Whether the peer speaks OpenFlow 1.4.
    pub fn speaks_openflow14(&self) -> bool {
        self.versions & 1 << VERSION != 0
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.u16(VERSION_BITMAP);
        out.u16(8);
        out.u32(self.versions);
    }

    /// Without a bitmap, a peer speaks the version of the header and, by rule, all before it.
    pub(super) fn read(version: u8, mut input: Reader<'_>) -> Result<Self, Error> {
        while input.len() >= 4 {
            let (kind, mut element) = input.tlv("hello element")?;
            if kind == VERSION_BITMAP {
                return Ok(Self { versions: element.u32()? });
            }
            let padding = element.len().saturating_add(4);
            input.skip_up_to(padding.next_multiple_of(8) - padding);
        }
        let below = 1u32.checked_shl(u32::from(version)).map_or(u32::MAX, |bit| bit | (bit - 1));
        Ok(Self { versions: below & !1 })
    }
}

/// Identity of a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// Identifies the bridge; in Open vSwitch its MAC address by default.
    pub datapath_id: u64,
    /// Packets that it can keep for a packet-out.
    pub buffers: u32,
    /// Number of tables.
    pub tables: u8,
    /// Which connection of the same controller this is; zero for the main one.
    pub auxiliary: u8,
    /// `OFPC_*` bits.
    pub capabilities: u32,
}

impl Features {
    pub(super) fn write(&self, out: &mut Writer) {
        out.u64(self.datapath_id);
        out.u32(self.buffers);
        out.u8(self.tables);
        out.u8(self.auxiliary);
        out.zeros(2);
        out.u32(self.capabilities);
        out.zeros(4);
    }

    pub(super) fn read(mut input: Reader<'_>) -> Result<Self, Error> {
        let (datapath_id, buffers, tables, auxiliary) = (input.u64()?, input.u32()?, input.u8()?, input.u8()?);
        input.skip(2)?;
        Ok(Self { datapath_id, buffers, tables, auxiliary, capabilities: input.u32()? })
    }
}

/// How a switch treats misses and fragments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SwitchConfig {
    /// `OFPC_FRAG_*`.
    pub flags: u16,
    /// Octets of a missed packet that go to the controller. Zero, the default of a connection over `.mgmt`, means that
    /// no asynchronous message is sent at all until this is set.
    pub miss_send_len: u16,
}

impl SwitchConfig {
    pub(super) fn write(&self, out: &mut Writer) {
        out.u16(self.flags);
        out.u16(self.miss_send_len);
    }

    pub(super) fn read(mut input: Reader<'_>) -> Result<Self, Error> {
        Ok(Self { flags: input.u16()?, miss_send_len: input.u16()? })
    }
}
