//! Values of fields as text.

use super::Names;
use crate::{Field, Format, Masked, PortNo, SubField, ct_state};
use net_types::MacAddr;
use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

/// Names of TCP flags, lowest bit first.
pub(super) const TCP_FLAGS: [&str; 12] =
    ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns", "[200]", "[400]", "[800]"];

/// Fragment matches: name, value, mask.
pub(super) const FRAGMENTS: [(&str, u128, u128); 5] =
    [("no", 0, 3), ("yes", 1, 1), ("first", 1, 3), ("later", 3, 3), ("not_later", 0, 2)];

/// `0x1f`; zero is `0`, as C's `%#x` has it.
pub(super) struct Hex(pub u128);

impl fmt::Display for Hex {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { out.write_str("0") } else { write!(out, "{:#x}", self.0) }
    }
}

pub(super) fn write_port(out: &mut dyn fmt::Write, port: PortNo, names: &dyn Names) -> fmt::Result {
    match (port.reserved_name(), names.port(port)) {
        (Some(name), _) => out.write_str(name),
        (None, Some(name)) => write!(out, "\"{name}\""),
        (None, None) => write!(out, "{port}"),
    }
}

pub(super) fn write_table(out: &mut dyn fmt::Write, table: u8, names: &dyn Names) -> fmt::Result {
    match names.table(table) {
        Some(name) => out.write_str(&name),
        None => write!(out, "{table}"),
    }
}

pub(super) fn write_subfield(out: &mut dyn fmt::Write, part: SubField) -> fmt::Result {
    let info = part.field.info();
    out.write_str(info.symbols.first().unwrap_or(&"?"))?;
    match (part.offset, part.bits) {
        (0, bits) if bits == info.bits => out.write_str("[]"),
        (offset, 1) => write!(out, "[{offset}]"),
        (offset, bits) => write!(out, "[{offset}..{}]", (u32::from(offset) + u32::from(bits)).saturating_sub(1)),
    }
}

/// A value in the notation of its field, with `/mask` unless every bit counts.
pub(super) fn write_value(out: &mut dyn fmt::Write, field: Field, condition: Masked, names: &dyn Names) -> fmt::Result {
    let (value, mask) = (condition.value(), condition.mask());
    let exact = mask == field.full_mask();
    match field.info().format {
        Format::Mac if exact => write!(out, "{}", mac(value)),
        Format::Mac => write!(out, "{}/{}", mac(value), mac(mask)),
        Format::Ipv4 => write_address(out, Ipv4Addr::from(value as u32), Ipv4Addr::from(mask as u32), {
            let mask = mask as u32;
            (mask.leading_ones() + mask.trailing_zeros() >= 32).then_some((mask.leading_ones(), 32))
        }),
        Format::Ipv6 => write_address(out, Ipv6Addr::from(value), Ipv6Addr::from(mask), {
            (mask.leading_ones() + mask.trailing_zeros() >= 128).then_some((mask.leading_ones(), 128))
        }),
        Format::Port if exact && field == Field::InPortNxm => write_port(out, PortNo::from_u16(value as u16), names),
        Format::Port if exact => write_port(out, PortNo(value as u32), names),
        Format::CtState if exact => write_flag_list(out, &ct_state::NAMES, value),
        Format::CtState => write_flags(out, &ct_state::NAMES, value, mask),
        Format::TcpFlags if exact => write_flag_list(out, &TCP_FLAGS, value),
        Format::TcpFlags => write_flags(out, &TCP_FLAGS, value, mask),
        Format::Fragment => match FRAGMENTS.iter().find(|known| known.1 == value && known.2 == mask) {
            Some((name, _, _)) => out.write_str(name),
            None => write!(out, "{}/{}", Hex(value), Hex(mask)),
        },
        Format::Decimal if exact => write!(out, "{value}"),
        Format::Hex if exact => write!(out, "{}", Hex(value)),
        // The tool is of two minds about a zero.
        Format::Decimal => write!(out, "{value:#x}/{mask:#x}"),
        Format::Hex | Format::Port => write!(out, "{}/{}", Hex(value), Hex(mask)),
    }
}

fn mac(number: u128) -> MacAddr {
    let [.., a, b, c, d, e, f] = number.to_be_bytes();
    MacAddr([a, b, c, d, e, f])
}

/// `prefix` is the length of the mask and the number of bits, if the mask is a prefix.
fn write_address<A: fmt::Display>(
    out: &mut dyn fmt::Write,
    address: A,
    mask: A,
    prefix: Option<(u32, u32)>,
) -> fmt::Result {
    match prefix {
        Some((length, bits)) if length == bits => write!(out, "{address}"),
        Some((length, _)) => write!(out, "{address}/{length}"),
        None => write!(out, "{address}/{mask}"),
    }
}

/// `syn|ack`: the flags that are set, all others being clear.
fn write_flag_list(out: &mut dyn fmt::Write, names: &[&str], value: u128) -> fmt::Result {
    let set: Vec<_> =
        names.iter().enumerate().filter(|(bit, _)| value >> bit & 1 == 1).map(|(_, name)| *name).collect();
    if set.is_empty() { out.write_str("0") } else { out.write_str(&set.join("|")) }
}

/// `+syn-ack`: which flags are set and which are clear.
fn write_flags(out: &mut dyn fmt::Write, names: &[&str], value: u128, mask: u128) -> fmt::Result {
    // Every bit that such a field has is named.
    for (bit, name) in names.iter().enumerate().filter(|(bit, _)| mask >> bit & 1 == 1) {
        write!(out, "{}{name}", if value >> bit & 1 == 1 { '+' } else { '-' })?;
    }
    Ok(())
}
