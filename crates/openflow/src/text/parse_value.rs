//! Reads numbers, addresses and names in the notation of each field.

use super::{
    parse::{PortByName, bad},
    value::{FRAGMENTS, TCP_FLAGS},
};
use crate::{Error, Field, Format, Masked, PortNo, SubField, ct_state};
use net_types::{Ipv4Net, Ipv6Net, MacAddr};
use std::net::{Ipv4Addr, Ipv6Addr};

/// A number, decimal or with `0x`, that fits.
pub(super) fn number<T: TryFrom<u128>>(what: &'static str, text: &str) -> Result<T, Error> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    // A sign is no digit, though Rust would take it.
    let parsed = match digits {
        _ if text.contains('+') => None,
        Some(digits) => u128::from_str_radix(digits, 16).ok(),
        None => text.parse::<u128>().ok(),
    };
    match parsed.and_then(|number| T::try_from(number).ok()) {
        Some(number) => Ok(number),
        None => bad(what, text),
    }
}

/// A port by number, reserved name or (quoted or bare) name.
pub(super) fn port(text: &str, ports: PortByName<'_>) -> Result<PortNo, Error> {
    let quoted = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let found = match quoted {
        Some(name) => ports(name),
        None => PortNo::from_reserved_name(text)
            .or_else(|| number::<u32>("port", text).ok().map(PortNo))
            .or_else(|| ports(text)),
    };
    match found {
        Some(port) => Ok(port),
        None => bad("port", text),
    }
}

/// A value of a field, perhaps with `/mask`.
pub(super) fn masked(field: Field, text: &str, ports: PortByName<'_>) -> Result<Masked, Error> {
    let full = field.full_mask();
    let condition = match field.info().format {
        Format::Mac => {
            let mac = |text: &str| text.parse::<MacAddr>().ok().map(|mac| Masked::from(mac).value());
            pair(text, mac)
        }
        Format::Ipv4 => match text.parse::<Ipv4Net>() {
            Ok(net) => Some(net.into()),
            Err(_) => pair(text, |text| text.parse::<Ipv4Addr>().ok().map(|address| u128::from(address.to_bits()))),
        },
        Format::Ipv6 => match text.parse::<Ipv6Net>() {
            Ok(net) => Some(net.into()),
            Err(_) => pair(text, |text| text.parse::<Ipv6Addr>().ok().map(Ipv6Addr::to_bits)),
        },
        Format::Port => {
            let port = port(text, ports)?;
            match field {
                Field::InPortNxm => port.to_u16().map(Masked::from),
                _ => Some(port.into()),
            }
        }
        Format::CtState => flags(&ct_state::NAMES, text),
        Format::TcpFlags => flags(&TCP_FLAGS, text),
        Format::Fragment => FRAGMENTS
            .iter()
            .find(|known| known.0 == text)
            .map(|known| Masked::new(known.1, known.2))
            .or_else(|| numbers(text)),
        Format::Decimal | Format::Hex => numbers(text),
    };
    // A value that the field has no room for is a mistake; a mask of all ones may be wider.
    match condition {
        Some(condition) if condition.value() & !full == 0 => Ok(condition.within(full)),
        _ => bad("value of a field", text),
    }
}

/// `value` or `value/mask`, both read by `read`.
fn pair(text: &str, read: impl Fn(&str) -> Option<u128>) -> Option<Masked> {
    match text.split_once('/') {
        Some((value, mask)) => Some(Masked::new(read(value)?, read(mask)?)),
        None => Some(Masked::exact(read(text)?)),
    }
}

fn numbers(text: &str) -> Option<Masked> {
    pair(text, |text| number("number", text).ok())
}

/// `+est-rel`, `est|rel` (exactly these), or numbers.
fn flags(names: &[&str], text: &str) -> Option<Masked> {
    signed_flags(names, text).or_else(|| flag_list(names, text)).or_else(|| numbers(text))
}

fn signed_flags(names: &[&str], text: &str) -> Option<Masked> {
    let (mut value, mut mask, mut rest) = (0u128, 0u128, text);
    while !rest.is_empty() {
        let set = match rest.chars().next()? {
            '+' => true,
            '-' => false,
            _ => return None,
        };
        let after = rest.get(1..)?;
        let end = after.find(['+', '-']).unwrap_or(after.len());
        let bit = names.iter().position(|name| Some(*name) == after.get(..end))?;
        mask |= 1 << bit;
        value = value & !(1 << bit) | u128::from(set) << bit;
        rest = after.get(end..)?;
    }
    (mask != 0).then_some(Masked::new(value, mask))
}

fn flag_list(names: &[&str], text: &str) -> Option<Masked> {
    let mut value = 0u128;
    for word in text.split('|') {
        value |= 1 << names.iter().position(|name| *name == word)?;
    }
    Some(Masked::exact(value))
}

/// `NXM_NX_REG6[0..15]`, `reg6[3]`, `reg6[]` or `reg6`.
pub(super) fn subfield(text: &str) -> Result<SubField, Error> {
    let (name, range) = match text.split_once('[') {
        Some((name, range)) => match range.strip_suffix(']') {
            Some(range) => (name, range.trim()),
            None => return bad("field", text),
        },
        None => (text, ""),
    };
    let Some(field) = Field::from_symbol(name).or_else(|| Field::from_name(name)) else { return bad("field", text) };
    let part = match range.split_once("..") {
        _ if range.is_empty() => SubField::whole(field),
        Some((first, last)) => {
            let (first, last) = (number::<u16>("first bit", first)?, number::<u16>("last bit", last)?);
            if first > last {
                return bad("bits of a field", text);
            }
            SubField::bits(field, first, last)
        }
        None => {
            let bit = number("bit", range)?;
            SubField::bits(field, bit, bit)
        }
    };
    if part.is_valid() { Ok(part) } else { bad("bits of a field", text) }
}
