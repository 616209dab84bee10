//! Names that mean a different field in each protocol: `tp_src`, `icmp_type`, `nw_src`.

use crate::{Field, Match, eth_type, ip_proto};

pub(super) fn is_shared(name: &str) -> bool {
    matches!(name, "tp_src" | "tp_dst" | "icmp_type" | "icmp_code" | "nw_src" | "nw_dst")
}

/// What a shared name means beside the protocol that a match already asks for.
pub(super) fn field(matches: &Match, name: &str) -> Option<Field> {
    let eth = matches.exact(Field::EthType).and_then(|number| u16::try_from(number).ok());
    let protocol = matches.exact(Field::IpProto).and_then(|number| u8::try_from(number).ok());
    let arp = matches!(eth, Some(eth_type::ARP | eth_type::RARP));
    match name {
        "tp_src" => Field::transport_src(protocol?),
        "tp_dst" => Field::transport_dst(protocol?),
        "icmp_type" if protocol == Some(ip_proto::ICMPV6) => Some(Field::Icmpv6Type),
        "icmp_type" => Some(Field::Icmpv4Type),
        "icmp_code" if protocol == Some(ip_proto::ICMPV6) => Some(Field::Icmpv6Code),
        "icmp_code" => Some(Field::Icmpv4Code),
        "nw_src" if arp => Some(Field::ArpSpa),
        "nw_src" => Some(Field::Ipv4Src),
        "nw_dst" if arp => Some(Field::ArpTpa),
        "nw_dst" => Some(Field::Ipv4Dst),
        _ => None,
    }
}

/// The name that `ovs-ofctl` gives a field in a match. Where a shared name would be misread, because the match does not
/// ask for the protocol (and no switch takes it), the field's symbol says what is there.
pub(super) fn name(matches: &Match, field: Field) -> &'static str {
    let usual = match field {
        Field::InPort => "in_port",
        Field::EthSrc => "dl_src",
        Field::EthDst => "dl_dst",
        Field::Ipv4Src => "nw_src",
        Field::Ipv4Dst => "nw_dst",
        Field::IpFrag => "nw_frag",
        Field::Icmpv6Type => "icmp_type",
        Field::Icmpv6Code => "icmp_code",
        Field::TcpSrc | Field::UdpSrc | Field::SctpSrc => "tp_src",
        Field::TcpDst | Field::UdpDst | Field::SctpDst => "tp_dst",
        _ => field.info().names.first().copied().unwrap_or("?"),
    };
    if is_shared(usual) && self::field(matches, usual) != Some(field) {
        field.info().symbols.first().copied().unwrap_or("?")
    } else {
        usual
    }
}
