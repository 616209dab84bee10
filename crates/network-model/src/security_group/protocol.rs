//! IP protocols as security group rules name them: Neutron's names, or the number.

use crate::ModelError;

pub(super) const ICMP: u8 = 1;
pub(super) const ICMPV6: u8 = 58;

/// TCP, UDP, DCCP, SCTP, UDP-Lite.
pub(super) const HAS_PORTS: [u8; 5] = [6, 17, 33, 132, 136];

/// Every name, in Neutron's order, which its error message keeps. (`icmpv6` is an old name of `ipv6-icmp`.)
const NAMES: [(&str, u8); 25] = [
    ("ah", 51),
    ("dccp", 33),
    ("egp", 8),
    ("esp", 50),
    ("gre", 47),
    ("hopopt", 0),
    ("icmp", ICMP),
    ("igmp", 2),
    ("ip", 0),
    ("ipip", 4),
    ("ipv6-encap", 41),
    ("ipv6-frag", 44),
    ("ipv6-icmp", ICMPV6),
    ("icmpv6", ICMPV6),
    ("ipv6-nonxt", 59),
    ("ipv6-opts", 60),
    ("ipv6-route", 43),
    ("ospf", 89),
    ("pgm", 113),
    ("rsvp", 46),
    ("sctp", 132),
    ("tcp", 6),
    ("udp", 17),
    ("udplite", 136),
    ("vrrp", 112),
];

/// Reads `protocol`: a name in any case, or a number from 0 to 255; `any` is no protocol at all.
pub fn parse_protocol(text: &str) -> Result<Option<String>, ModelError> {
    if text.eq_ignore_ascii_case("any") {
        return Ok(None);
    }
    let name = text.to_lowercase();
    let number = || text.trim().parse::<u8>().ok().map(|number| number.to_string());
    let known = NAMES.iter().find(|(known, _)| *known == name).map(|(known, _)| (*known).to_owned());
    known.or_else(number).map(Some).ok_or_else(|| {
        let names: Vec<String> = NAMES.iter().map(|(name, _)| format!("'{name}'")).collect();
        // Neutron prints a Python tuple.
        let values = format!("(None, 'any', {})", names.join(", "));
        ModelError::SecurityGroupRuleInvalidProtocol { protocol: text.to_owned(), values }
    })
}

/// The number of a protocol given by name or number.
pub fn protocol_number(protocol: &str) -> Option<u8> {
    NAMES.iter().find(|(name, _)| *name == protocol).map(|(_, number)| *number).or_else(|| protocol.parse().ok())
}

/// Whether only IPv6 has the protocol: its extension headers and ICMPv6.
pub(super) fn is_ipv6_only(protocol: &str) -> bool {
    protocol_number(protocol).is_some_and(|number| [41, 43, 44, ICMPV6, 59, 60].contains(&number))
}
