//! The bytes of the two messages (RFC 4861 sections 4.1 and 4.2, RFC 4191, RFC 8106). Pure. The checksum is the kernel's to
//! write: it does so for every ICMPv6 socket (RFC 3542 section 3.1).

use host_plan::RouterAdvertisement;

const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const HOP_LIMIT: u8 = 64;
const MANAGED: u8 = 0x80;
const OTHER: u8 = 0x40;
const ON_LINK: u8 = 0x80;
const AUTONOMOUS: u8 = 0x40;

const SOURCE_LINK_ADDRESS: u8 = 1;
const PREFIX_INFORMATION: u8 = 3;
const MTU: u8 = 5;
const ROUTE_INFORMATION: u8 = 24;
const RDNSS: u8 = 25;

/// The ICMPv6 message, its checksum zero.
pub fn encode_advertisement(ra: &RouterAdvertisement) -> Vec<u8> {
    let flags = if ra.managed { MANAGED } else { 0 } | if ra.other { OTHER } else { 0 };
    let mut bytes = vec![ROUTER_ADVERTISEMENT, 0, 0, 0, HOP_LIMIT, flags];
    bytes.extend(ra.router_lifetime.to_be_bytes());
    // Reachable and retransmission time: not said.
    bytes.extend([0; 8]);
    bytes.extend([SOURCE_LINK_ADDRESS, 1]);
    bytes.extend(ra.mac.0);
    if let Some(mtu) = ra.mtu {
        bytes.extend([MTU, 1, 0, 0]);
        bytes.extend(mtu.to_be_bytes());
    }
    for prefix in &ra.prefixes {
        let flags = ON_LINK | if prefix.autonomous { AUTONOMOUS } else { 0 };
        bytes.extend([PREFIX_INFORMATION, 4, prefix.prefix.prefix_len(), flags]);
        bytes.extend(prefix.valid_seconds.to_be_bytes());
        bytes.extend(prefix.preferred_seconds.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(prefix.prefix.network().octets());
    }
    for route in &ra.routes {
        // As much of the prefix as matters, in units of eight octets.
        let words = route.prefix_len().div_ceil(64);
        bytes.extend([ROUTE_INFORMATION, 1 + words, route.prefix_len(), 0]);
        bytes.extend(u32::from(ra.router_lifetime).to_be_bytes());
        bytes.extend(route.network().octets().iter().take(usize::from(words) * 8));
    }
    // Its length stands in one octet.
    let servers = ra.dns_servers.get(..127).unwrap_or(&ra.dns_servers);
    if !servers.is_empty() {
        bytes.extend([RDNSS, 1 + 2 * u8::try_from(servers.len()).unwrap_or_default(), 0, 0]);
        bytes.extend(u32::from(ra.router_lifetime).to_be_bytes());
        bytes.extend(servers.iter().flat_map(|server| server.octets()));
    }
    bytes
}

/// Whether a message is a router solicitation as RFC 4861 section 6.1.1 wants it; `source_known`: its sender has an address.
pub(super) fn is_solicitation(message: &[u8], source_known: bool) -> bool {
    let Some(([kind, code, ..], mut options)) = message.split_first_chunk::<8>() else { return false };
    if (*kind, *code) != (ROUTER_SOLICITATION, 0) {
        return false;
    }
    while let [kind, length, ..] = options {
        let Some(rest) = options.get(usize::from(*length) * 8..).filter(|_| *length > 0) else { return false };
        // Who has no address cannot ask to be answered at one.
        if *kind == SOURCE_LINK_ADDRESS && !source_known {
            return false;
        }
        options = rest;
    }
    options.is_empty()
}

/// Entry point of the fuzz target: arbitrary bytes as a solicitation, and as the lists of an advertisement, whose options must
/// fill the message.
pub fn fuzz_ra(data: &[u8]) {
    for source_known in [false, true] {
        let _ = is_solicitation(data, source_known);
    }
    let word = |chunk: &[u8]| <[u8; 16]>::try_from(chunk).map(std::net::Ipv6Addr::from).ok();
    let addresses: Vec<_> = data.chunks_exact(16).filter_map(word).collect();
    let length = data.first().map_or(64, |first| first % 129);
    let net = |address: &std::net::Ipv6Addr| net_types::Ipv6Net::new(*address, length).ok();
    let encoded = encode_advertisement(&RouterAdvertisement {
        device: "qr-1".to_owned(),
        mac: net_types::MacAddr::BROADCAST,
        managed: data.len().is_multiple_of(2),
        other: data.len().is_multiple_of(3),
        mtu: Some(1450),
        router_lifetime: 300,
        min_interval: 30,
        max_interval: 100,
        prefixes: vec![],
        dns_servers: addresses.clone(),
        routes: addresses.iter().filter_map(net).collect(),
    });
    let mut options = &encoded[16..];
    while let [_, length, ..] = options {
        assert!(*length > 0 && options.len() >= usize::from(*length) * 8, "{options:?}");
        options = &options[usize::from(*length) * 8..];
    }
    assert!(options.is_empty());
}

#[cfg(test)]
mod tests {
    use super::*;
    use host_plan::AdvertisedPrefix;
    use proptest::prelude::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The octets were written down from the RFCs' pictures, option by option.
    #[test]
    fn every_option_has_its_place() {
        let ra = RouterAdvertisement {
            device: "qr-1".to_owned(),
            mac: "fa:16:3e:01:02:03".parse().unwrap(),
            managed: true,
            other: true,
            mtu: Some(1450),
            router_lifetime: 300,
            min_interval: 30,
            max_interval: 100,
            prefixes: vec![AdvertisedPrefix {
                prefix: "2001:db8:1::/64".parse().unwrap(),
                autonomous: true,
                valid_seconds: 86_400,
                preferred_seconds: 14_400,
            }],
            dns_servers: vec!["2001:db8::53".parse().unwrap()],
            routes: vec!["fe80::a9fe:a9fe/128".parse().unwrap(), "2001:db8:2::/48".parse().unwrap()],
        };
        let expected = [
            "86000000 40c0012c 00000000 00000000",
            "0101 fa163e010203",
            "0501 0000 000005aa",
            "0304 40c0 00015180 00003840 00000000 20010db8000100000000000000000000",
            "1803 8000 0000012c fe8000000000000000000000a9fea9fe",
            "1802 3000 0000012c 20010db800020000",
            "1903 0000 0000012c 20010db8000000000000000000000053",
        ];
        assert_eq!(hex(&encode_advertisement(&ra)), expected.concat().replace(' ', ""));
        let bare = RouterAdvertisement {
            managed: false,
            other: false,
            mtu: None,
            prefixes: vec![AdvertisedPrefix { autonomous: false, ..ra.prefixes[0].clone() }],
            dns_servers: vec![],
            routes: vec![],
            ..ra
        };
        let bytes = encode_advertisement(&bare);
        assert_eq!((bytes[5], bytes[16 + 8 + 3], bytes.len()), (0, 0x80, 16 + 8 + 32));
    }

    #[test]
    fn solicitations_are_known_by_their_form() {
        let plain = [133, 0, 0, 0, 0, 0, 0, 0];
        let with_source = [&plain[..], &[1, 1, 2, 2, 2, 2, 2, 2]].concat();
        assert!(is_solicitation(&plain, true) && is_solicitation(&plain, false));
        assert!(is_solicitation(&with_source, true));
        assert!(!is_solicitation(&with_source, false), "no address, but a link address");
        assert!(!is_solicitation(&plain[..7], true), "too short");
        assert!(!is_solicitation(&[&plain[..], &[1, 0, 2, 2, 2, 2, 2, 2]].concat(), true), "an option without length");
        assert!(!is_solicitation(&[&plain[..], &[1, 2, 2, 2, 2, 2, 2, 2]].concat(), true), "an option beyond the end");
        assert!(!is_solicitation(&[134, 0, 0, 0, 0, 0, 0, 0], true), "an advertisement");
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(data in proptest::collection::vec(any::<u8>(), 0..400)) {
            fuzz_ra(&data);
        }
    }
}
