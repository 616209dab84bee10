//! Matches as `ovs-ofctl` prints them: protocol words first, then fields in its fixed order.

use super::{Names, shared, value::write_value};
use crate::{Field, Masked, Match, eth_type, ip_proto};
use std::fmt;

/// The order after the protocol word; fields before it are in [`BEFORE`].
const AFTER: &[Field] = &[
    Field::Reg0,
    Field::Reg1,
    Field::Reg2,
    Field::Reg3,
    Field::Reg4,
    Field::Reg5,
    Field::Reg6,
    Field::Reg7,
    Field::Reg8,
    Field::Reg9,
    Field::Reg10,
    Field::Reg11,
    Field::Reg12,
    Field::Reg13,
    Field::Reg14,
    Field::Reg15,
    Field::TunId,
    Field::TunSrc,
    Field::TunDst,
    Field::TunIpv6Src,
    Field::TunIpv6Dst,
    Field::Metadata,
    Field::InPort,
    Field::VlanTci,
    Field::EthSrc,
    Field::EthDst,
    Field::EthType,
    Field::Ipv6Src,
    Field::Ipv6Dst,
    Field::Ipv6Label,
    Field::ArpSpa,
    Field::ArpTpa,
    Field::Ipv4Src,
    Field::Ipv4Dst,
    Field::ArpOp,
    Field::IpProto,
    Field::ArpSha,
    Field::ArpTha,
    Field::IpDscp,
    Field::IpEcn,
    Field::IpTtl,
    Field::IpFrag,
    Field::Icmpv4Type,
    Field::Icmpv4Code,
    Field::Icmpv6Type,
    Field::Icmpv6Code,
    Field::NdTarget,
    Field::NdSll,
    Field::NdTll,
    Field::TcpSrc,
    Field::TcpDst,
    Field::UdpSrc,
    Field::UdpDst,
    Field::SctpSrc,
    Field::SctpDst,
    Field::TcpFlags,
];

const BEFORE: &[Field] = &[
    Field::PktMark,
    Field::DpHash,
    Field::ConjId,
    Field::ActsetOutput,
    Field::CtState,
    Field::CtZone,
    Field::CtMark,
    Field::CtLabel,
    Field::CtNwSrc,
    Field::CtIpv6Src,
    Field::CtNwDst,
    Field::CtIpv6Dst,
    Field::CtNwProto,
    Field::CtTpSrc,
    Field::CtTpDst,
];

/// The word that stands for an Ethernet type and perhaps an IP protocol, and which fields it makes superfluous.
fn protocol_word(matches: &Match) -> Option<(&'static str, &'static [Field])> {
    const TYPE: &[Field] = &[Field::EthType];
    const BOTH: &[Field] = &[Field::EthType, Field::IpProto];
    let protocol = matches.exact(Field::IpProto).and_then(|number| u8::try_from(number).ok());
    match (u16::try_from(matches.exact(Field::EthType)?).ok()?, protocol) {
        (eth_type::ARP, _) => Some(("arp", TYPE)),
        (eth_type::RARP, _) => Some(("rarp", TYPE)),
        (eth_type::IPV4, Some(ip_proto::ICMP)) => Some(("icmp", BOTH)),
        (eth_type::IPV4, Some(ip_proto::IGMP)) => Some(("igmp", BOTH)),
        (eth_type::IPV4, Some(ip_proto::TCP)) => Some(("tcp", BOTH)),
        (eth_type::IPV4, Some(ip_proto::UDP)) => Some(("udp", BOTH)),
        (eth_type::IPV4, Some(ip_proto::SCTP)) => Some(("sctp", BOTH)),
        (eth_type::IPV4, _) => Some(("ip", TYPE)),
        (eth_type::IPV6, Some(ip_proto::ICMPV6)) => Some(("icmp6", BOTH)),
        (eth_type::IPV6, Some(ip_proto::TCP)) => Some(("tcp6", BOTH)),
        (eth_type::IPV6, Some(ip_proto::UDP)) => Some(("udp6", BOTH)),
        (eth_type::IPV6, Some(ip_proto::SCTP)) => Some(("sctp6", BOTH)),
        (eth_type::IPV6, _) => Some(("ipv6", TYPE)),
        _ => None,
    }
}

pub(super) fn write_match(out: &mut dyn fmt::Write, matches: &Match, names: &dyn Names) -> fmt::Result {
    let mut comma = Comma::default();
    for field in BEFORE {
        if let Some(condition) = matches.get(*field) {
            write_condition(comma.next(out)?, matches, *field, condition, names)?;
        }
    }
    let word = protocol_word(matches);
    if let Some((word, _)) = word {
        comma.next(out)?.write_str(word)?;
    }
    let implied = word.map_or(&[][..], |(_, fields)| fields);
    for field in AFTER.iter().filter(|field| !implied.contains(field)) {
        if let Some(condition) = matches.get(*field) {
            write_condition(comma.next(out)?, matches, *field, condition, names)?;
        }
    }
    Ok(())
}

/// Writes a comma before every item but the first.
#[derive(Default)]
struct Comma {
    started: bool,
}

impl Comma {
    fn next<'a>(&mut self, out: &'a mut dyn fmt::Write) -> Result<&'a mut dyn fmt::Write, fmt::Error> {
        if std::mem::replace(&mut self.started, true) {
            out.write_char(',')?;
        }
        Ok(out)
    }
}

fn write_condition(
    out: &mut dyn fmt::Write,
    matches: &Match,
    field: Field,
    condition: Masked,
    names: &dyn Names,
) -> fmt::Result {
    match field {
        Field::VlanTci => return write_vlan(out, condition),
        Field::EthType => return write!(out, "dl_type={:#06x}", condition.value()),
        // Five digits, as wide as the field.
        Field::Ipv6Label if condition.mask() == field.full_mask() => {
            return write!(out, "ipv6_label={:#07x}", condition.value());
        }
        Field::Ipv6Label => return write!(out, "ipv6_label={:#07x}/{:#07x}", condition.value(), condition.mask()),
        Field::IpDscp => return write!(out, "nw_tos={}", condition.value() << 2),
        _ => {}
    }
    write!(out, "{}=", shared::name(matches, field))?;
    write_value(out, field, condition, names)
}

/// `dl_vlan=5`, `dl_vlan_pcp=3`, or the raw tag control word where neither says it.
fn write_vlan(out: &mut dyn fmt::Write, condition: Masked) -> fmt::Result {
    let (value, mask) = (condition.value(), condition.mask());
    let (vid, pcp) = (mask & 0x0fff, mask & 0xe000);
    let whole = |part: u128, full: u128| part == 0 || part == full;
    if value & 0x1000 != 0 && whole(vid, 0x0fff) && whole(pcp, 0xe000) && (vid != 0 || pcp != 0) {
        if vid != 0 {
            write!(out, "dl_vlan={}", value & 0x0fff)?;
        }
        if pcp != 0 {
            write!(out, "{}dl_vlan_pcp={}", if vid != 0 { "," } else { "" }, value >> 13)?;
        }
        Ok(())
    } else if mask == 0xffff {
        write!(out, "vlan_tci={value:#06x}")
    } else {
        write!(out, "vlan_tci={value:#06x}/{mask:#06x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_that_a_match_can_hold_is_printed() {
        for field in Field::ALL {
            let held: Match = [(*field, Masked::exact(1))].into_iter().collect();
            for (kept, _) in held.iter() {
                assert!(BEFORE.contains(&kept) || AFTER.contains(&kept), "{kept:?} would not be printed");
            }
        }
    }
}
