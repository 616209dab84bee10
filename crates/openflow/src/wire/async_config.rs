//! Which messages a switch sends unasked (OpenFlow 1.4, section 7.3.10).

use super::cursor::{Reader, Writer};
use crate::Error;

const PACKET_IN: u16 = 1;
const PORT_STATUS: u16 = 3;
const FLOW_REMOVED: u16 = 5;

/// Bits of reasons, bit n for reason n, for a controller that is master or equal; no bit, no message.
///
/// A connection over Open vSwitch's `.mgmt` socket starts with none of them, and gets them after this is set together with
/// a `miss_send_len` above zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AsyncConfig {
    /// `OFPR_*` reasons of packet-ins: 1 no match, 2 an action of a flow, 4 TTL ran out, 8 an action set, 16 a group,
    /// 32 an action on a packet that a controller had sent.
    pub packet_in: u32,
    /// `OFPPR_*` reasons of port status: 1 added, 2 deleted, 4 modified.
    pub port_status: u32,
    /// `OFPRR_*` reasons of removed flows: 1 idle, 2 hard timeout, 4 deleted, 8 group deleted.
    pub flow_removed: u32,
}

impl AsyncConfig {
    /// Whatever OpenFlow 1.4 has.
    pub const EVERYTHING: Self = Self { packet_in: 0x3f, port_status: 7, flow_removed: 0xf };

    pub(super) fn write(&self, out: &mut Writer) -> Result<(), Error> {
        for (kind, reasons) in
            [(PACKET_IN, self.packet_in), (PORT_STATUS, self.port_status), (FLOW_REMOVED, self.flow_removed)]
        {
            out.tlv8("asynchronous configuration", kind, |out| {
                out.u32(reasons);
                Ok(())
            })?;
        }
        Ok(())
    }

    pub(super) fn read(mut input: Reader<'_>) -> Result<Self, Error> {
        let mut config = Self::default();
        while !input.is_empty() {
            let (kind, mut property) = input.tlv("asynchronous configuration")?;
            match kind {
                PACKET_IN => config.packet_in = property.u32()?,
                PORT_STATUS => config.port_status = property.u32()?,
                FLOW_REMOVED => config.flow_removed = property.u32()?,
                _ => {}
            }
        }
        Ok(config)
    }
}
