//! Packets between switch and controller.

use super::{
    action,
    cursor::{Reader, Writer},
    oxm,
};
use crate::{Action, Error, Match, PortNo};

const NO_BUFFER: u32 = 0xffff_ffff;

/// A packet that a flow sent to the controller.
#[derive(Debug, Clone, PartialEq)]
pub struct PacketIn {
    /// `OFPR_*`: 0 no match, 1 an action of a flow, 2 its TTL ran out, 3 an action set, 4 a group, 5 an action on a packet
    /// that a controller had sent.
    pub reason: u8,
    /// Table of the flow.
    pub table: u8,
    /// Cookie of the flow.
    pub cookie: u64,
    /// Port of arrival, registers and other metadata.
    pub metadata: Match,
    /// Length of the whole packet; `data` may be its beginning.
    pub total_len: u16,
    /// The packet from its Ethernet header on.
    pub data: Vec<u8>,
}

impl PacketIn {
    pub(super) fn write(&self, out: &mut Writer) -> Result<(), Error> {
        out.u32(NO_BUFFER);
        out.u16(self.total_len);
        out.u8(self.reason);
        out.u8(self.table);
        out.u64(self.cookie);
        oxm::write_match(out, &self.metadata)?;
        out.zeros(2);
        out.bytes(&self.data);
        Ok(())
    }

    pub(super) fn read(mut input: Reader<'_>) -> Result<Self, Error> {
        input.skip(4)?;
        let (total_len, reason, table, cookie) = (input.u16()?, input.u8()?, input.u8()?, input.u64()?);
        let metadata = oxm::read_match(&mut input)?;
        input.skip(2)?;
        Ok(Self { reason, table, cookie, metadata, total_len, data: input.rest().to_vec() })
    }
}

/// A packet to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct PacketOut {
    /// As if it came in here; [`PortNo::CONTROLLER`] for none.
    pub in_port: PortNo,
    /// What happens to it; [`PortNo::TABLE`] as output sends it through the tables.
    pub actions: Vec<Action>,
    /// The packet from its Ethernet header on.
    pub data: Vec<u8>,
}

impl PacketOut {
    pub(super) fn write(&self, out: &mut Writer) -> Result<(), Error> {
        out.u32(NO_BUFFER);
        out.u32(self.in_port.0);
        let mut actions = Writer::default();
        action::write_actions(&mut actions, &self.actions)?;
        let Ok(length) = u16::try_from(actions.len()) else {
            return Err(Error::Encode { what: "packet-out", reason: "more than 65535 octets of actions" });
        };
        out.u16(length);
        out.zeros(6);
        out.bytes(&actions.finish());
        out.bytes(&self.data);
        Ok(())
    }

    pub(super) fn read(mut input: Reader<'_>) -> Result<Self, Error> {
        input.skip(4)?;
        let (in_port, length) = (PortNo(input.u32()?), usize::from(input.u16()?));
        input.skip(6)?;
        let actions = action::read_actions(input.sub("packet-out", length)?, 0)?;
        Ok(Self { in_port, actions, data: input.rest().to_vec() })
    }
}
