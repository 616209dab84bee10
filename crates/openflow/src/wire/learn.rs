//! The body of Nicira's `learn` action, after its subtype.

use super::{
    cursor::{Reader, Writer},
    oxm,
};
use crate::{Error, Learn, LearnSpec, LearnValue, SubField};

const SEND_FLOW_REM: u16 = 1;
const DELETE_LEARNED: u16 = 2;

/// Specification header: where the value comes from, what is done with it, and in the low 11 bits how wide it is.
const FROM_NUMBER: u16 = 1 << 13;
const TO_MATCH: u16 = 0;
const TO_LOAD: u16 = 1 << 11;
const TO_OUTPUT: u16 = 2 << 11;
const TO_MASK: u16 = 3 << 11;
const BITS_MASK: u16 = 0x7ff;

pub(super) fn write(out: &mut Writer, learn: &Learn) -> Result<(), Error> {
    out.u16(learn.idle_timeout);
    out.u16(learn.hard_timeout);
    out.u16(learn.priority);
    out.u64(learn.cookie);
    let removed = if learn.send_flow_removed { SEND_FLOW_REM } else { 0 };
    out.u16(removed | if learn.delete_learned { DELETE_LEARNED } else { 0 });
    out.u8(learn.table);
    out.zeros(1);
    out.u16(learn.fin_idle_timeout);
    out.u16(learn.fin_hard_timeout);
    learn.specs.iter().try_for_each(|spec| write_spec(out, spec))
}

fn write_spec(out: &mut Writer, spec: &LearnSpec) -> Result<(), Error> {
    match *spec {
        LearnSpec::Match { field, from } => write_assignment(out, TO_MATCH, field, from),
        LearnSpec::Load { field, from } => write_assignment(out, TO_LOAD, field, from),
        LearnSpec::Output(port) => {
            out.u16(TO_OUTPUT | checked_bits(port)?);
            write_part(out, port);
            Ok(())
        }
    }
}

fn checked_bits(part: SubField) -> Result<u16, Error> {
    if part.is_valid() {
        Ok(part.bits)
    } else {
        Err(Error::Encode { what: "learn", reason: "bits outside of a field" })
    }
}

fn write_part(out: &mut Writer, part: SubField) {
    oxm::write_reference(out, part.field);
    out.u16(part.offset);
}

fn write_assignment(out: &mut Writer, to: u16, field: SubField, from: LearnValue) -> Result<(), Error> {
    let bits = checked_bits(field)?;
    match from {
        LearnValue::Field(from) => {
            if checked_bits(from)? != bits {
                return Err(Error::Encode { what: "learn", reason: "sides of different width" });
            }
            out.u16(to | bits);
            write_part(out, from);
        }
        LearnValue::Number(number) => {
            if bits < 128 && number >> bits != 0 {
                return Err(Error::Encode { what: "learn", reason: "number too wide for its field" });
            }
            out.u16(FROM_NUMBER | to | bits);
            out.number(number, octets_of(bits));
        }
    }
    write_part(out, field);
    Ok(())
}

/// Numbers come in whole 16-bit words.
fn octets_of(bits: u16) -> usize {
    usize::from(bits.div_ceil(16)) * 2
}

pub(super) fn read(mut body: Reader<'_>) -> Result<Learn, Error> {
    let (idle_timeout, hard_timeout, priority, cookie) = (body.u16()?, body.u16()?, body.u16()?, body.u64()?);
    let (flags, table) = (body.u16()?, body.u8()?);
    body.skip(1)?;
    let (fin_idle_timeout, fin_hard_timeout) = (body.u16()?, body.u16()?);
    let mut specs = vec![];
    while body.len() >= 2 {
        match body.u16()? {
            // Padding.
            0 => break,
            header => specs.push(read_spec(&mut body, header)?),
        }
    }
    Ok(Learn {
        table,
        priority,
        cookie,
        idle_timeout,
        hard_timeout,
        fin_idle_timeout,
        fin_hard_timeout,
        send_flow_removed: flags & SEND_FLOW_REM != 0,
        delete_learned: flags & DELETE_LEARNED != 0,
        specs,
    })
}

fn read_part(body: &mut Reader<'_>, bits: u16) -> Result<SubField, Error> {
    let field = oxm::read_reference(body)?;
    let offset = body.u16()?;
    oxm::part(body, field, offset, bits)
}

fn read_spec(body: &mut Reader<'_>, header: u16) -> Result<LearnSpec, Error> {
    let bits = header & BITS_MASK;
    let from = if header & FROM_NUMBER == 0 {
        LearnValue::Field(read_part(body, bits)?)
    } else {
        if bits == 0 || bits > 128 {
            return body.error("learned number wider than any field");
        }
        let number = body.number(octets_of(bits))?;
        if bits < 128 && number >> bits != 0 {
            return body.error("learned number too wide for its field");
        }
        LearnValue::Number(number)
    };
    match (header & TO_MASK, from) {
        (TO_MATCH, from) => Ok(LearnSpec::Match { field: read_part(body, bits)?, from }),
        (TO_LOAD, from) => Ok(LearnSpec::Load { field: read_part(body, bits)?, from }),
        (TO_OUTPUT, LearnValue::Field(port)) => Ok(LearnSpec::Output(port)),
        _ => body.error("learned clause of an unknown kind"),
    }
}
