//! Nicira's actions (`NXAST_*`): the body that follows type and length of an experimenter action.
//!
//! Source: the structures that `ovs-ofctl` and `ovs-vswitchd` 3.1 exchange; the vectors in the tests are theirs.

use super::{
    action,
    cursor::{Reader, Writer},
    learn, oxm,
};
use crate::{Action, Ct, CtZone, Error, Nat, NatPorts, NatSide, PortNo};
use std::net::IpAddr;

/// Nicira's experimenter id.
pub(super) const NICIRA: u32 = 0x0000_2320;

const RESUBMIT: u16 = 1;
const REG_MOVE: u16 = 6;
const REG_LOAD: u16 = 7;
const NOTE: u16 = 8;
const BUNDLE_LOAD: u16 = 13;
const RESUBMIT_TABLE: u16 = 14;
const OUTPUT_REG: u16 = 15;
const LEARN: u16 = 16;
const CONJUNCTION: u16 = 34;
const CT: u16 = 35;
const NAT: u16 = 36;
const CONTROLLER2: u16 = 37;
const CT_CLEAR: u16 = 43;

/// `NXAC2PT_METER_ID`.
const METER_ID: u16 = 5;

const CT_COMMIT: u16 = 1;
const CT_FORCE: u16 = 2;
const NO_TABLE: u8 = 0xff;

/// `NX_BD_ALG_ACTIVE_BACKUP`: the first port that lives.
const ACTIVE_BACKUP: u16 = 0;
/// `NX_HASH_FIELDS_ETH_SRC`: what other algorithms would choose by.
const ETH_SRC: u16 = 0;
/// The header of `in_port`, which says what the members of a bundle are.
const PORTS: u32 = 0x0000_0002;

const NAT_SRC: u16 = 1;
const NAT_DST: u16 = 2;
const NAT_PERSISTENT: u16 = 4;
const NAT_HASH: u16 = 8;
const NAT_RANDOM: u16 = 16;

const RANGE_IPV4_MIN: u16 = 1;
const RANGE_IPV4_MAX: u16 = 2;
const RANGE_IPV6_MIN: u16 = 4;
const RANGE_IPV6_MAX: u16 = 8;
const RANGE_PORT_MIN: u16 = 16;
const RANGE_PORT_MAX: u16 = 32;

fn cannot<T>(reason: &'static str) -> Result<T, Error> {
    Err(Error::Encode { what: "action", reason })
}

pub(super) fn write_body(out: &mut Writer, action: &Action) -> Result<(), Error> {
    out.u32(NICIRA);
    match action {
        Action::Resubmit { port, table } => {
            let Some(port) = port.to_u16() else { return cannot("resubmit from a port beyond 16 bits") };
            out.u16(if table.is_some() { RESUBMIT_TABLE } else { RESUBMIT });
            out.u16(port);
            out.u8(table.unwrap_or(0));
        }
        Action::Move(from, to) => {
            if from.bits != to.bits || !from.is_valid() || !to.is_valid() {
                return cannot("move between parts of different width");
            }
            out.u16(REG_MOVE);
            out.u16(from.bits);
            out.u16(from.offset);
            out.u16(to.offset);
            oxm::write_reference(out, from.field);
            oxm::write_reference(out, to.field);
        }
        Action::Load(value, target) => {
            if target.bits < 64 && value >> target.bits != 0 {
                return cannot("load of a value into too few bits");
            }
            out.u16(REG_LOAD);
            out.u16(oxm::packed_bits(*target)?);
            oxm::write_reference(out, target.field);
            out.u64(*value);
        }
        Action::OutputReg(source) => {
            out.u16(OUTPUT_REG);
            out.u16(oxm::packed_bits(*source)?);
            oxm::write_reference(out, source.field);
            // All of a packet that goes to the controller, as ovs-ofctl asks for.
            out.u16(u16::MAX);
            out.zeros(6);
        }
        Action::Note(octets) => {
            out.u16(NOTE);
            out.bytes(octets);
        }
        Action::Conjunction { id, clause, of } => {
            let Some(index) = clause.checked_sub(1).filter(|index| index < of) else {
                return cannot("conjunction clause that is not 1 to the number of clauses");
            };
            out.u16(CONJUNCTION);
            out.u8(index);
            out.u8(*of);
            out.u32(*id);
        }
        Action::FirstLiving { into, ports } => {
            let Ok(count @ 1..=2048) = u16::try_from(ports.len()) else {
                return cannot("bundle of no ports, or of too many");
            };
            if into.bits < 16 {
                return cannot("bundle into too few bits");
            }
            out.u16(BUNDLE_LOAD);
            out.u16(ACTIVE_BACKUP);
            out.u16(ETH_SRC);
            out.u16(0);
            out.u32(PORTS);
            out.u16(count);
            out.u16(oxm::packed_bits(*into)?);
            oxm::write_reference(out, into.field);
            out.zeros(4);
            ports.iter().for_each(|port| out.u16(*port));
        }
        Action::ControllerMetered(meter) => {
            out.u16(CONTROLLER2);
            out.zeros(6);
            out.tlv8("property", METER_ID, |out| {
                out.u32(*meter);
                Ok(())
            })?;
        }
        Action::CtClear => out.u16(CT_CLEAR),
        Action::Ct(ct) => write_ct(out, ct)?,
        Action::Learn(learn) => {
            out.u16(LEARN);
            learn::write(out, learn)?;
        }
        _ => return cannot("not an action of Nicira's"),
    }
    // The shortest experimenter action is 16 octets; the caller aligns to eight.
    Ok(())
}

fn write_ct(out: &mut Writer, ct: &Ct) -> Result<(), Error> {
    if ct.force && !ct.commit {
        return cannot("ct with force but without commit");
    }
    out.u16(CT);
    out.u16(if ct.commit { CT_COMMIT } else { 0 } | if ct.force { CT_FORCE } else { 0 });
    match ct.zone {
        CtZone::Number(zone) => {
            out.u32(0);
            out.u16(zone);
        }
        CtZone::Field(zone) => {
            if zone.field.info().nxm.class == 0xffff {
                return cannot("ct zone from an experimenter's field");
            }
            oxm::write_reference(out, zone.field);
            out.u16(oxm::packed_bits(zone)?);
        }
    }
    out.u8(ct.next_table.unwrap_or(NO_TABLE));
    out.zeros(3);
    out.u16(ct.alg);
    if let Some(nat) = &ct.nat {
        out.tlv8("nat", 0xffff, |out| write_nat(out, nat))?;
    }
    action::write_actions(out, &ct.exec)
}

fn write_nat(out: &mut Writer, nat: &Nat) -> Result<(), Error> {
    if !nat.is_valid() {
        return cannot("nat with options but no side, or with ports but no address");
    }
    out.u32(NICIRA);
    out.u16(NAT);
    out.zeros(2);
    out.u16(
        match nat.side {
            None => 0,
            Some(NatSide::Source) => NAT_SRC,
            Some(NatSide::Destination) => NAT_DST,
        } | if nat.persistent { NAT_PERSISTENT } else { 0 }
            | match nat.ports_by {
                None => 0,
                Some(NatPorts::Hash) => NAT_HASH,
                Some(NatPorts::Random) => NAT_RANDOM,
            },
    );
    // A range of one is sent as its lower end alone, which is also how the switch reports it.
    let mut present = match nat.addresses {
        None => 0,
        Some((IpAddr::V4(first), last)) => RANGE_IPV4_MIN | if last == first { 0 } else { RANGE_IPV4_MAX },
        Some((IpAddr::V6(first), last)) => RANGE_IPV6_MIN | if last == first { 0 } else { RANGE_IPV6_MAX },
    };
    if let Some((first, last)) = nat.ports {
        present |= RANGE_PORT_MIN | if last == first { 0 } else { RANGE_PORT_MAX };
    }
    out.u16(present);
    let both = nat.addresses.into_iter().flat_map(|(first, last)| [Some(first), (last != first).then_some(last)]);
    for address in both.flatten() {
        match address {
            IpAddr::V4(address) => out.bytes(&address.octets()),
            IpAddr::V6(address) => out.bytes(&address.octets()),
        }
    }
    if let Some((first, last)) = nat.ports {
        out.u16(first);
        if last != first {
            out.u16(last);
        }
    }
    Ok(())
}

/// What follows type and length.
pub(super) fn read_body(mut body: Reader<'_>, depth: u8) -> Result<Action, Error> {
    let vendor = body.u32()?;
    if vendor != NICIRA {
        return body.unknown(vendor);
    }
    Ok(match body.u16()? {
        RESUBMIT => Action::Resubmit { port: PortNo::from_u16(body.u16()?), table: None },
        RESUBMIT_TABLE => {
            let (port, table) = (PortNo::from_u16(body.u16()?), body.u8()?);
            Action::Resubmit { port, table: (table != NO_TABLE).then_some(table) }
        }
        REG_MOVE => {
            let (bits, from_offset, to_offset) = (body.u16()?, body.u16()?, body.u16()?);
            let (from, to) = (oxm::read_reference(&mut body)?, oxm::read_reference(&mut body)?);
            Action::Move(oxm::part(&body, from, from_offset, bits)?, oxm::part(&body, to, to_offset, bits)?)
        }
        REG_LOAD => {
            let packed = body.u16()?;
            let field = oxm::read_reference(&mut body)?;
            let (target, value) = (oxm::unpack_bits(&body, field, packed)?, body.u64()?);
            if target.bits < 64 && value >> target.bits != 0 {
                return body.error("load of a value into too few bits");
            }
            Action::Load(value, target)
        }
        OUTPUT_REG => {
            let packed = body.u16()?;
            let field = oxm::read_reference(&mut body)?;
            Action::OutputReg(oxm::unpack_bits(&body, field, packed)?)
        }
        NOTE => Action::Note(body.rest().to_vec()),
        LEARN => learn::read(body)?.into(),
        CONJUNCTION => {
            let (index, of, id) = (body.u8()?, body.u8()?, body.u32()?);
            if index >= of {
                return body.error("conjunction clause beyond the number of clauses");
            }
            Action::Conjunction { id, clause: index + 1, of }
        }
        BUNDLE_LOAD => read_bundle(body)?,
        CT if depth < action::MAX_DEPTH => read_ct(body, depth)?,
        CONTROLLER2 => {
            body.skip(6)?;
            let (kind, mut property) = body.tlv("property")?;
            // All others mean what nobody here asks for.
            if kind != METER_ID || !body.is_empty() {
                return body.error("controller with other properties than a meter");
            }
            Action::ControllerMetered(property.u32()?)
        }
        CT_CLEAR => Action::CtClear,
        other => return body.unknown(other),
    })
}

fn read_bundle(mut body: Reader<'_>) -> Result<Action, Error> {
    // The hash's basis means nothing to this algorithm.
    let (algorithm, fields, _) = (body.u16()?, body.u16()?, body.u16()?);
    let members = body.u32()?;
    if (algorithm, fields, members) != (ACTIVE_BACKUP, ETH_SRC, PORTS) {
        return body.error("bundle other than active_backup of ports");
    }
    let (count, packed) = (body.u16()?, body.u16()?);
    let field = oxm::read_reference(&mut body)?;
    let into = oxm::unpack_bits(&body, field, packed)?;
    body.skip(4)?;
    if count == 0 || into.bits < 16 {
        return body.error("bundle of no ports, or into too few bits");
    }
    let ports = (0..count).map(|_| body.u16()).collect::<Result<_, _>>()?;
    Ok(Action::FirstLiving { into, ports })
}

fn read_ct(mut body: Reader<'_>, depth: u8) -> Result<Action, Error> {
    let flags = body.u16()?;
    // A zone that is a number has zeros where the field's header would stand: look before reading.
    let mut peek = body;
    let zone = if peek.u32()? == 0 {
        body = peek;
        CtZone::Number(body.u16()?)
    } else {
        let field = oxm::read_reference(&mut body)?;
        let packed = body.u16()?;
        CtZone::Field(oxm::unpack_bits(&body, field, packed)?)
    };
    let table = body.u8()?;
    body.skip(3)?;
    let alg = body.u16()?;
    let mut nat = None;
    // Translation is the first of the nested actions, if it is there.
    let mut peek = body;
    if let Ok((0xffff, mut inner)) = peek.tlv("nat")
        && inner.u32() == Ok(NICIRA)
        && inner.u16() == Ok(NAT)
    {
        nat = Some(read_nat(inner)?);
        body = peek;
    }
    Ok(Ct {
        commit: flags & CT_COMMIT != 0,
        force: flags & CT_FORCE != 0,
        zone,
        next_table: (table != NO_TABLE).then_some(table),
        alg,
        nat,
        exec: action::read_actions(body, depth + 1)?,
    }
    .into())
}

fn read_nat(mut body: Reader<'_>) -> Result<Nat, Error> {
    body.skip(2)?;
    let (flags, present) = (body.u16()?, body.u16()?);
    let has = |bit: u16| present & bit != 0;
    let v4 = |body: &mut Reader<'_>| body.u32().map(|bits| IpAddr::V4(bits.into()));
    let v6 = |body: &mut Reader<'_>| body.number(16).map(|bits| IpAddr::V6(bits.into()));
    let mut addresses = None;
    if has(RANGE_IPV4_MIN) {
        let first = v4(&mut body)?;
        addresses = Some((first, if has(RANGE_IPV4_MAX) { v4(&mut body)? } else { first }));
    } else if has(RANGE_IPV6_MIN) {
        let first = v6(&mut body)?;
        addresses = Some((first, if has(RANGE_IPV6_MAX) { v6(&mut body)? } else { first }));
    }
    let mut ports = None;
    if has(RANGE_PORT_MIN) {
        let first = body.u16()?;
        ports = Some((first, if has(RANGE_PORT_MAX) { body.u16()? } else { first }));
    }
    let nat = Nat {
        side: match flags & (NAT_SRC | NAT_DST) {
            0 => None,
            NAT_SRC => Some(NatSide::Source),
            NAT_DST => Some(NatSide::Destination),
            _ => return body.error("translation of both sides at once"),
        },
        persistent: flags & NAT_PERSISTENT != 0,
        ports_by: match flags & (NAT_HASH | NAT_RANDOM) {
            0 => None,
            NAT_HASH => Some(NatPorts::Hash),
            _ => Some(NatPorts::Random),
        },
        addresses,
        ports,
    };
    if nat.is_valid() { Ok(nat) } else { body.error("options but no side, or ports but no address") }
}
