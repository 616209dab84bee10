//! Matches and single fields as OXM/NXM TLVs (OpenFlow 1.4, section 7.2.3.2).

use super::cursor::{Reader, Writer};
use crate::{Error, Field, Masked, Match, OxmId, SubField};

const EXPERIMENTER: u16 = 0xffff;

/// `ofp_match` with its padding.
pub(super) fn write_match(out: &mut Writer, matches: &Match) -> Result<(), Error> {
    let start = out.len();
    out.u16(1);
    out.u16(0);
    // Canonical order puts a field after those that it presupposes, as the switch demands.
    for (field, condition) in matches.iter() {
        match field {
            Field::VlanTci => write_vlan(out, condition)?,
            _ => write_field(out, field.info().oxm, field, condition),
        }
    }
    // The length leaves the padding out.
    out.patch_length("match", start, 2)?;
    out.pad8(start);
    Ok(())
}

/// OpenFlow 1.4 matches the tag control word in two fields.
fn write_vlan(out: &mut Writer, condition: Masked) -> Result<(), Error> {
    let vid = condition.within(0x1fff);
    if vid.mask() != 0 {
        write_field(out, Field::VlanVid.info().oxm, Field::VlanVid, vid);
    }
    match condition.mask() & 0xe000 {
        0 => {}
        0xe000 => write_field(out, Field::VlanPcp.info().oxm, Field::VlanPcp, Masked::new(condition.value() >> 13, 7)),
        _ => return Err(Error::Encode { what: "match", reason: "VLAN priority under a partial mask" }),
    }
    Ok(())
}

fn write_header(out: &mut Writer, id: OxmId, has_mask: bool, payload: u8) {
    out.u16(id.class);
    out.u8(id.field << 1 | u8::from(has_mask));
    let experimenter = id.class == EXPERIMENTER;
    // No field is longer than 16 octets: twice that and the experimenter id fit.
    out.u8(payload + if experimenter { 4 } else { 0 });
    if experimenter {
        out.u32(id.experimenter);
    }
}

/// A TLV with value and, unless the field is matched exactly, mask.
fn write_field(out: &mut Writer, id: OxmId, field: Field, condition: Masked) {
    let octets = field.info().octets;
    let has_mask = condition.mask() != field.full_mask();
    write_header(out, id, has_mask, if has_mask { octets * 2 } else { octets });
    out.number(condition.value(), usize::from(octets));
    if has_mask {
        out.number(condition.mask(), usize::from(octets));
    }
}

/// The TLV of a whole field, as `set_field` carries it.
pub(super) fn write_value(out: &mut Writer, field: Field, value: u128) {
    write_field(out, field.info().oxm, field, Masked::new(value, field.full_mask()));
}

/// Only the header, by which Nicira actions name a field.
pub(super) fn write_reference(out: &mut Writer, field: Field) {
    let info = field.info();
    write_header(out, info.nxm, false, info.octets);
}

struct Header {
    id: OxmId,
    has_mask: bool,
    /// Octets of value and mask.
    payload: usize,
}

fn read_header(input: &mut Reader<'_>) -> Result<Header, Error> {
    let (class, field, length) = (input.u16()?, input.u8()?, usize::from(input.u8()?));
    let (has_mask, field) = (field & 1 == 1, field >> 1);
    if class != EXPERIMENTER {
        return Ok(Header { id: OxmId { class, field, experimenter: 0 }, has_mask, payload: length });
    }
    let Some(payload) = length.checked_sub(4) else { return input.error("experimenter field without experimenter") };
    Ok(Header { id: OxmId { class, field, experimenter: input.u32()? }, has_mask, payload })
}

fn known(input: &Reader<'_>, id: OxmId) -> Result<Field, Error> {
    match Field::from_oxm(id) {
        Some(field) => Ok(field),
        None => input.unknown(u64::from(id.experimenter) << 32 | u64::from(id.class) << 16 | u64::from(id.field)),
    }
}

fn read_field(input: &mut Reader<'_>) -> Result<(Field, Masked), Error> {
    let header = read_header(input)?;
    let field = known(input, header.id)?;
    let octets = usize::from(field.info().octets);
    if header.payload != if header.has_mask { octets * 2 } else { octets } {
        return input.error("field of the wrong length");
    }
    let value = input.number(octets)?;
    let mask = if header.has_mask { input.number(octets)? } else { u128::MAX };
    Ok((field, Masked::new(value, mask)))
}

/// `ofp_match` with its padding.
pub(super) fn read_match(input: &mut Reader<'_>) -> Result<Match, Error> {
    let kind = input.u16()?;
    let Some(length) = input.u16()?.checked_sub(4) else { return input.error("match shorter than its header") };
    if kind != 1 {
        return input.error("match that is not made of OXM fields");
    }
    let length = usize::from(length);
    let mut fields = input.sub("match", length)?;
    // Four octets of header are part of what is aligned.
    input.skip((length + 4).next_multiple_of(8) - (length + 4))?;
    let mut matches = Match::new();
    while !fields.is_empty() {
        let (field, condition) = read_field(&mut fields)?;
        matches.set(field, condition);
    }
    Ok(matches)
}

/// The TLV of `set_field`.
pub(super) fn read_value(input: &mut Reader<'_>) -> Result<(Field, Masked), Error> {
    read_field(input)
}

/// A field named by header alone.
pub(super) fn read_reference(input: &mut Reader<'_>) -> Result<Field, Error> {
    let header = read_header(input)?;
    known(input, header.id)
}

/// A part of a field, from where it begins; it must lie inside.
pub(super) fn part(input: &Reader<'_>, field: Field, offset: u16, bits: u16) -> Result<SubField, Error> {
    let part = SubField { field, offset, bits };
    if part.is_valid() { Ok(part) } else { input.error("bits outside of a field") }
}

/// Offset and number of bits in one word, as several Nicira actions pack them.
pub(super) fn packed_bits(part: SubField) -> Result<u16, Error> {
    if !part.is_valid() || part.bits > 64 || part.offset > 0x3ff {
        return Err(Error::Encode { what: "bits of a field", reason: "not 1 to 64 bits inside the field" });
    }
    Ok(part.offset << 6 | (part.bits - 1))
}

/// The reverse of [`packed_bits`].
pub(super) fn unpack_bits(input: &Reader<'_>, field: Field, packed: u16) -> Result<SubField, Error> {
    part(input, field, packed >> 6, (packed & 0x3f) + 1)
}
