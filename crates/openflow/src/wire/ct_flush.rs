//! Forgetting tracked connections (Nicira's `NXT_CT_FLUSH`, Open vSwitch 3.1 and later).

use super::cursor::{Reader, Writer};
use crate::Error;
use std::net::{IpAddr, Ipv6Addr};

const ORIGINAL: u16 = 0;
const REPLY: u16 = 1;
const ZONE: u16 = 2;

const SRC: u16 = 0;
const DST: u16 = 1;
const SRC_PORT: u16 = 2;
const DST_PORT: u16 = 3;
const ICMP_ID: u16 = 4;
const ICMP_TYPE: u16 = 5;
const ICMP_CODE: u16 = 6;

/// Which connections to forget; with nothing set, all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CtFlush {
    /// Only of this zone; without it but with a tuple, of zone 0.
    pub zone: Option<u16>,
    /// IP protocol of the tuples; zero for any.
    pub protocol: u8,
    /// As the connection's first packet had it, before translation.
    pub original: Option<CtTuple>,
    /// As the answers have it; the userspace connection tracker does not look at it.
    pub reply: Option<CtTuple>,
}

/// Addresses and ports of one direction; what is not set may be anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CtTuple {
    /// Source address.
    pub src: Option<IpAddr>,
    /// Destination address.
    pub dst: Option<IpAddr>,
    /// Source port.
    pub src_port: Option<u16>,
    /// Destination port.
    pub dst_port: Option<u16>,
    /// Identifier, type and code of ICMP.
    pub icmp: Option<(u16, u8, u8)>,
}

impl CtFlush {
    pub(super) fn write(&self, out: &mut Writer) -> Result<(), Error> {
        out.u8(self.protocol);
        out.zeros(7);
        for (kind, tuple) in [(ORIGINAL, &self.original), (REPLY, &self.reply)] {
            if let Some(tuple) = tuple {
                out.tlv8("conntrack tuple", kind, |out| {
                    out.zeros(4);
                    tuple.write(out)
                })?;
            }
        }
        if let Some(zone) = self.zone {
            write_u16(out, ZONE, zone)?;
        }
        Ok(())
    }

    pub(super) fn read(mut input: Reader<'_>) -> Result<Self, Error> {
        let mut flush = Self { protocol: input.u8()?, ..Self::default() };
        input.skip(7)?;
        while !input.is_empty() {
            let (kind, mut property) = property(&mut input)?;
            match kind {
                ORIGINAL => flush.original = Some(CtTuple::read(property)?),
                REPLY => flush.reply = Some(CtTuple::read(property)?),
                ZONE => flush.zone = Some(property.u16()?),
                other => return property.unknown(other),
            }
        }
        Ok(flush)
    }
}

fn write_u16(out: &mut Writer, kind: u16, value: u16) -> Result<(), Error> {
    // The switch counts the padding of 16-bit properties into their length.
    out.tlv8("conntrack property", kind, |out| {
        out.u16(value);
        Ok(())
    })
}

/// A property padded *outside* its length, as single octets and addresses are.
fn write_padded_after(out: &mut Writer, kind: u16, octets: &[u8]) {
    let start = out.len();
    out.u16(kind);
    out.u16(4 + octets.len().min(16) as u16);
    out.bytes(octets);
    out.pad8(start);
}

fn property<'a>(input: &mut Reader<'a>) -> Result<(u16, Reader<'a>), Error> {
    let (kind, property) = input.tlv("conntrack property")?;
    let length = property.len() + 4;
    input.skip_up_to(length.next_multiple_of(8) - length);
    Ok((kind, property))
}

impl CtTuple {
    fn write(&self, out: &mut Writer) -> Result<(), Error> {
        for (kind, address) in [(SRC, self.src), (DST, self.dst)] {
            match address {
                Some(IpAddr::V4(v4)) => write_padded_after(out, kind, &v4.to_ipv6_mapped().octets()),
                Some(IpAddr::V6(v6)) => write_padded_after(out, kind, &v6.octets()),
                None => {}
            }
        }
        for (kind, port) in [(SRC_PORT, self.src_port), (DST_PORT, self.dst_port)] {
            if let Some(port) = port {
                write_u16(out, kind, port)?;
            }
        }
        if let Some((id, kind, code)) = self.icmp {
            write_u16(out, ICMP_ID, id)?;
            write_padded_after(out, ICMP_TYPE, &[kind]);
            write_padded_after(out, ICMP_CODE, &[code]);
        }
        Ok(())
    }

    fn read(mut input: Reader<'_>) -> Result<Self, Error> {
        let (mut tuple, mut icmp) = (Self::default(), None);
        input.skip(4)?;
        while !input.is_empty() {
            let (kind, mut property) = property(&mut input)?;
            let (id, icmp_type, code) = icmp.unwrap_or_default();
            match kind {
                SRC => tuple.src = Some(read_address(&mut property)?),
                DST => tuple.dst = Some(read_address(&mut property)?),
                SRC_PORT => tuple.src_port = Some(property.u16()?),
                DST_PORT => tuple.dst_port = Some(property.u16()?),
                ICMP_ID => icmp = Some((property.u16()?, icmp_type, code)),
                ICMP_TYPE => icmp = Some((id, property.u8()?, code)),
                ICMP_CODE => icmp = Some((id, icmp_type, property.u8()?)),
                other => return property.unknown(other),
            }
        }
        tuple.icmp = icmp;
        Ok(tuple)
    }
}

fn read_address(input: &mut Reader<'_>) -> Result<IpAddr, Error> {
    Ok(Ipv6Addr::from(input.number(16)?).to_canonical())
}
