//! Which ports a bridge has, and that one came, went or changed.

use super::cursor::{Reader, Writer};
use crate::{Error, PortNo};
use net_types::MacAddr;

/// Octets of an `ofp_port` before its properties.
const FIXED: usize = 40;
/// Octets of a port's name, with the zero that may end it.
const NAME: usize = 16;

/// A port of a bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortDesc {
    /// Its number.
    pub port: PortNo,
    /// Its MAC address.
    pub mac: MacAddr,
    /// Its name; Open vSwitch cuts it to 15 octets.
    pub name: String,
    /// `OFPPC_*` bits: 1 administratively down.
    pub config: u32,
    /// `OFPPS_*` bits: 1 no carrier.
    pub state: u32,
}

impl PortDesc {
    fn write(&self, out: &mut Writer) -> Result<(), Error> {
        let start = out.len();
        out.u32(self.port.0);
        out.u16(0);
        out.zeros(2);
        out.bytes(&self.mac.0);
        out.zeros(2);
        let name = self.name.as_bytes();
        if name.len() >= NAME {
            return Err(Error::Encode { what: "port", reason: "name longer than 15 octets" });
        }
        out.bytes(name);
        out.zeros(NAME - name.len());
        out.u32(self.config);
        out.u32(self.state);
        out.patch_length("port", start, 4)
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, Error> {
        let mut peek = *input;
        peek.skip(4)?;
        let length = usize::from(peek.u16()?);
        if length < FIXED {
            return input.error("port shorter than its fixed part");
        }
        let mut entry = input.sub("port", length)?;
        let port = PortNo(entry.u32()?);
        entry.skip(4)?;
        let mac = entry.mac()?;
        entry.skip(2)?;
        let name = entry.take(NAME)?.split(|octet| *octet == 0).next().unwrap_or(&[]);
        let name = String::from_utf8_lossy(name).into_owned();
        // Speeds and features follow as properties; nobody needs them.
        Ok(Self { port, mac, name, config: entry.u32()?, state: entry.u32()? })
    }
}

/// Some of the ports; all of them when `more` is false.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PortDescReply {
    /// The ports.
    pub ports: Vec<PortDesc>,
    /// Another reply with the same transaction id follows.
    pub more: bool,
}

impl PortDescReply {
    /// Appends a further reply to the same request.
    pub fn append(&mut self, next: Self) {
        self.ports.extend(next.ports);
        self.more = next.more;
    }

    pub(super) fn write(&self, out: &mut Writer) -> Result<(), Error> {
        self.ports.iter().try_for_each(|port| port.write(out))
    }

    pub(super) fn read(mut input: Reader<'_>, more: bool) -> Result<Self, Error> {
        let mut ports = vec![];
        while !input.is_empty() {
            ports.push(PortDesc::read(&mut input)?);
        }
        Ok(Self { ports, more })
    }
}

/// What happened to a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortReason {
    /// It is new.
    Added,
    /// It is gone.
    Deleted,
    /// Something about it changed.
    Modified,
}

/// A port came, went or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortStatus {
    /// What happened.
    pub reason: PortReason,
    /// How the port is now, or was last.
    pub port: PortDesc,
}

impl PortStatus {
    pub(super) fn write(&self, out: &mut Writer) -> Result<(), Error> {
        out.u8(match self.reason {
            PortReason::Added => 0,
            PortReason::Deleted => 1,
            PortReason::Modified => 2,
        });
        out.zeros(7);
        self.port.write(out)
    }

    pub(super) fn read(mut input: Reader<'_>) -> Result<Self, Error> {
        let reason = match input.u8()? {
            0 => PortReason::Added,
            1 => PortReason::Deleted,
            2 => PortReason::Modified,
            other => return input.unknown(other),
        };
        input.skip(7)?;
        Ok(Self { reason, port: PortDesc::read(&mut input)? })
    }
}
