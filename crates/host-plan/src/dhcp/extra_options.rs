//! `extra_dhcp_opts`: from dnsmasq's name or number of an option, and its value as text, to octets.
//!
//! ```text
//! bootfile-name          by name                    67                by number
//! tag:ipxe,67            to iPXE only               tag:!ipxe,67      to all others
//! server-ip-address      the header's next server   client-id         nothing: clients are known by their MAC
//! ```
//! In: a client's options. Out: [`ExtraOption`]s, or why one cannot be told. Of an option with a name the kind of its value
//! is known; of a number without one it is guessed from the value, as dnsmasq does: addresses, `aa:bb:cc` octets, a number,
//! text.

use crate::services::{ExtraOption, Tag};
use host_view::DhcpClient;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

/// What the value of an option is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Addresses of the option's IP version, one after another.
    Addresses,
    /// As it stands.
    Text,
    /// Domain names, one after another (RFC 1035 section 3.1).
    Names,
    /// The same as short as it can be said (RFC 3397).
    SearchList,
    /// A number of so many octets.
    Number(usize),
    /// Destinations and next hops in turn (RFC 3442).
    Routes,
    /// NTP servers (RFC 5908): each address in a suboption.
    NtpServers,
    /// Seen from the value.
    Guessed,
    /// dnsmasq's own business: not to be set.
    Reserved,
}

use Kind::{Addresses, Names, NtpServers, Number, Reserved, Routes, SearchList, Text};

/// Name, number and kind, as `dnsmasq --help dhcp` lists them; the kinds are those of RFC 2132 and its followers.
const V4: &[(&str, u16, Kind)] = &[
    ("netmask", 1, Addresses),
    ("time-offset", 2, Number(4)),
    ("router", 3, Addresses),
    ("dns-server", 6, Addresses),
    ("log-server", 7, Addresses),
    ("lpr-server", 9, Addresses),
    ("hostname", 12, Text),
    ("boot-file-size", 13, Number(2)),
    ("domain-name", 15, Text),
    ("swap-server", 16, Addresses),
    ("root-path", 17, Text),
    ("extension-path", 18, Text),
    ("ip-forward-enable", 19, Number(1)),
    ("non-local-source-routing", 20, Number(1)),
    ("policy-filter", 21, Addresses),
    ("max-datagram-reassembly", 22, Number(2)),
    ("default-ttl", 23, Number(1)),
    ("mtu", 26, Number(2)),
    ("all-subnets-local", 27, Number(1)),
    ("broadcast", 28, Addresses),
    ("router-discovery", 31, Number(1)),
    ("router-solicitation", 32, Addresses),
    ("static-route", 33, Addresses),
    ("trailer-encapsulation", 34, Number(1)),
    ("arp-timeout", 35, Number(4)),
    ("ethernet-encap", 36, Number(1)),
    ("tcp-ttl", 37, Number(1)),
    ("tcp-keepalive", 38, Number(4)),
    ("nis-domain", 40, Text),
    ("nis-server", 41, Addresses),
    ("ntp-server", 42, Addresses),
    ("vendor-encap", 43, Kind::Guessed),
    ("netbios-ns", 44, Addresses),
    ("netbios-dd", 45, Addresses),
    ("netbios-nodetype", 46, Number(1)),
    ("netbios-scope", 47, Text),
    ("x-windows-fs", 48, Addresses),
    ("x-windows-dm", 49, Addresses),
    ("requested-address", 50, Reserved),
    ("lease-time", 51, Reserved),
    ("option-overload", 52, Reserved),
    ("message-type", 53, Reserved),
    ("server-identifier", 54, Reserved),
    ("parameter-request", 55, Reserved),
    ("message", 56, Text),
    ("max-message-size", 57, Reserved),
    ("T1", 58, Number(4)),
    ("T2", 59, Number(4)),
    ("vendor-class", 60, Text),
    ("nis+-domain", 64, Text),
    ("nis+-server", 65, Addresses),
    ("tftp-server", 66, Text),
    ("bootfile-name", 67, Text),
    ("mobile-ip-home", 68, Addresses),
    ("smtp-server", 69, Addresses),
    ("pop3-server", 70, Addresses),
    ("nntp-server", 71, Addresses),
    ("irc-server", 74, Addresses),
    ("user-class", 77, Text),
    ("rapid-commit", 80, Reserved),
    ("FQDN", 81, Reserved),
    ("agent-info", 82, Reserved),
    ("client-arch", 93, Number(2)),
    ("client-interface-id", 94, Text),
    ("client-machine-id", 97, Text),
    ("posix-timezone", 100, Text),
    ("tzdb-timezone", 101, Text),
    ("ipv6-only", 108, Number(4)),
    ("subnet-select", 118, Reserved),
    ("domain-search", 119, SearchList),
    ("sip-server", 120, Kind::Guessed),
    ("classless-static-route", 121, Routes),
    ("vendor-id-encap", 125, Kind::Guessed),
    ("tftp-server-address", 150, Addresses),
    ("server-ip-address", ExtraOption::NEXT_SERVER, Addresses),
];

/// The same of DHCPv6.
const V6: &[(&str, u16, Kind)] = &[
    ("server-id", 2, Reserved),
    ("ia-na", 3, Reserved),
    ("ia-ta", 4, Reserved),
    ("iaaddr", 5, Reserved),
    ("oro", 6, Reserved),
    ("preference", 7, Number(1)),
    ("unicast", 12, Addresses),
    ("status", 13, Reserved),
    ("rapid-commit", 14, Reserved),
    ("user-class", 15, Kind::Guessed),
    ("vendor-class", 16, Kind::Guessed),
    ("vendor-opts", 17, Kind::Guessed),
    ("sip-server-domain", 21, Names),
    ("sip-server", 22, Addresses),
    ("dns-server", 23, Addresses),
    ("domain-search", 24, Names),
    ("nis-server", 27, Addresses),
    ("nis+-server", 28, Addresses),
    ("nis-domain", 29, Names),
    ("nis+-domain", 30, Names),
    ("sntp-server", 31, Addresses),
    ("information-refresh-time", 32, Number(4)),
    ("FQDN", 39, Reserved),
    ("posix-timezone", 41, Text),
    ("tzdb-timezone", 42, Text),
    ("ntp-server", 56, NtpServers),
    ("bootfile-url", 59, Text),
    ("bootfile-param", 60, Text),
];

/// Options of DHCP for IPv4.
pub(super) fn v4(client: &DhcpClient) -> Vec<ExtraOption> {
    of(client, 4).filter_map(Result::ok).flatten().collect()
}

/// Options of DHCPv6.
pub(super) fn v6(client: &DhcpClient) -> Vec<ExtraOption> {
    of(client, 6).filter_map(Result::ok).flatten().collect()
}

/// Why options cannot be told, one sentence each.
pub(super) fn errors(client: &DhcpClient) -> impl Iterator<Item = String> + '_ {
    of(client, 4).chain(of(client, 6)).filter_map(Result::err)
}

fn of(client: &DhcpClient, version: u8) -> impl Iterator<Item = Result<Option<ExtraOption>, String>> + '_ {
    let wanted = client.options.iter().filter(move |option| option.ip_version == version);
    wanted.map(move |option| {
        let reason = |reason| format!("extra DHCP option '{}' for IPv{version}: {reason}", option.name);
        read(version, &option.name, &option.value).map_err(reason)
    })
}

/// None: nothing is to be told (`client-id`).
fn read(version: u8, name: &str, value: &str) -> Result<Option<ExtraOption>, String> {
    let mut words: Vec<&str> = name.lines().next().unwrap_or_default().split(',').collect();
    let name = words.pop().unwrap_or_default();
    let when = words.into_iter().map(tag).collect::<Result<Vec<Tag>, String>>()?;
    let (table, client_id) = if version == 4 { (V4, 61) } else { (V6, 1) };
    let (code, kind) = match name.parse::<u16>() {
        Ok(0) => return Err("0 is no option".to_owned()),
        Ok(code) if version == 4 && code > 254 => return Err("it is no option's number".to_owned()),
        Ok(code) => (code, table.iter().find(|known| known.1 == code).map_or(Kind::Guessed, |known| known.2)),
        Err(_) if name == "client-id" => return Ok(None),
        Err(_) => {
            let known = table.iter().find(|known| known.0.eq_ignore_ascii_case(name));
            known.map(|known| (known.1, known.2)).ok_or("no option has this name")?
        }
    };
    if code == client_id {
        return Ok(None);
    }
    let value = value.lines().next().unwrap_or_default().trim();
    let data = if value.is_empty() { vec![] } else { encode(version, kind, value)? };
    // What one option can say: of IPv4 the length stands in one octet, but long ones are split (RFC 3396).
    if data.len() > 1024 {
        return Err("its value is too long".to_owned());
    }
    Ok(Some(ExtraOption { code, data, when }))
}

fn tag(word: &str) -> Result<Tag, String> {
    let name = word.strip_prefix("tag:").ok_or_else(|| format!("'{word}' is no tag"))?;
    let absent = name.starts_with('!');
    Ok(Tag { name: name.trim_start_matches('!').to_owned(), absent })
}

fn encode(version: u8, kind: Kind, value: &str) -> Result<Vec<u8>, String> {
    let words = || value.split(',').map(str::trim);
    match kind {
        Reserved => Err("it is the server's own to say".to_owned()),
        Text => Ok(value.as_bytes().to_vec()),
        Kind::Guessed => guess(version, value),
        Number(octets) => number(value, octets),
        Addresses => {
            let octets = words().map(|word| address(version, word)).collect::<Result<Vec<_>, String>>()?;
            Ok(octets.concat())
        }
        NtpServers => {
            let mut data = vec![];
            for word in words() {
                let octets = address(6, word)?;
                data.extend([0, 1, 0, 16]);
                data.extend(octets);
            }
            Ok(data)
        }
        Names => {
            let names = words().map(domain_name).collect::<Result<Vec<_>, String>>()?;
            Ok(names.concat())
        }
        SearchList => {
            let names = words().map(domain_name).collect::<Result<Vec<_>, String>>()?;
            Ok(search_list(&names))
        }
        Routes => {
            let words: Vec<&str> = words().collect();
            let mut data = vec![];
            for pair in words.chunks(2) {
                let [destination, via] = pair else { return Err("a destination has no next hop".to_owned()) };
                let destination: net_types::Ipv4Net = destination
                    .parse()
                    .or_else(|_| destination.parse::<Ipv4Addr>().map(net_types::Ipv4Net::from))
                    .map_err(|_| format!("'{destination}' is no IPv4 prefix"))?;
                data.push(destination.prefix_len());
                let significant = usize::from(destination.prefix_len().div_ceil(8));
                data.extend(destination.network().octets().iter().take(significant));
                data.extend(address(4, via)?);
            }
            Ok(data)
        }
    }
}

fn number(value: &str, octets: usize) -> Result<Vec<u8>, String> {
    let wrong = || format!("'{value}' is no number of {octets} octets");
    // dnsmasq takes times with a unit.
    let (digits, factor) = match value.char_indices().last() {
        Some((at, 's')) => (&value[..at], 1),
        Some((at, 'm')) => (&value[..at], 60),
        Some((at, 'h')) => (&value[..at], 3600),
        Some((at, 'd')) => (&value[..at], 86_400),
        _ => (value, 1),
    };
    let number = digits.parse::<i64>().ok().and_then(|number| number.checked_mul(factor)).ok_or_else(wrong)?;
    let bits = octets * 8;
    // Negative ones are two's complement (the time offset).
    let fits = number < 1_i64.checked_shl(bits as u32).unwrap_or(i64::MAX) && number >= -(1_i64 << (bits - 1));
    let bytes = number.to_be_bytes();
    bytes.get(8 - octets..).filter(|_| fits).map(<[u8]>::to_vec).ok_or_else(wrong)
}

fn address(version: u8, word: &str) -> Result<Vec<u8>, String> {
    let bare = word.trim_start_matches('[').trim_end_matches(']');
    match (version, bare.parse::<IpAddr>()) {
        (4, Ok(IpAddr::V4(address))) => Ok(address.octets().to_vec()),
        (6, Ok(IpAddr::V6(address))) => Ok(address.octets().to_vec()),
        _ => Err(format!("'{word}' is no IPv{version} address")),
    }
}

/// RFC 1035 section 3.1.
fn domain_name(name: &str) -> Result<Vec<u8>, String> {
    let mut octets = vec![];
    for label in name.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length));
        octets.push(length.ok_or_else(|| format!("'{name}' is no domain name"))?);
        octets.extend(label.as_bytes());
    }
    octets.push(0);
    if octets.len() > 255 { Err(format!("'{name}' is too long")) } else { Ok(octets) }
}

/// Names in full become a list in which the rest of a name that was said before is a pointer to where it begins, counted from
/// the list's beginning (RFC 3397 section 2, RFC 1035 section 4.1.4).
fn search_list(names: &[Vec<u8>]) -> Vec<u8> {
    let (mut octets, mut said) = (vec![], BTreeMap::new());
    for name in names {
        let mut rest = name.as_slice();
        // What is left is the root, or has been said.
        while let Some((label, further)) = rest.split_at_checked(1 + usize::from(rest.first().copied().unwrap_or(0))) {
            if let Some(at) = said.get(rest).filter(|_| rest.len() > 1) {
                rest = &[];
                octets.extend(u16::to_be_bytes(POINTER | at));
                continue;
            }
            if let Some(at) = u16::try_from(octets.len()).ok().filter(|at| *at < POINTER) {
                said.entry(rest).or_insert(at);
            }
            octets.extend(label);
            rest = further;
        }
    }
    octets
}

/// The two bits that make a length a pointer.
const POINTER: u16 = 0xc000;

fn guess(version: u8, value: &str) -> Result<Vec<u8>, String> {
    let words = || value.split(',').map(str::trim);
    if let Ok(addresses) = words().map(|word| address(version, word)).collect::<Result<Vec<_>, String>>() {
        return Ok(addresses.concat());
    }
    let octets = || {
        let read = |word: &str| u8::from_str_radix(word, 16).ok().filter(|_| (1..=2).contains(&word.len()));
        value.split(':').map(read).collect::<Option<Vec<u8>>>()
    };
    if let Some(octets) = Some(()).filter(|()| value.contains(':')).and_then(|()| octets()) {
        return Ok(octets);
    }
    if let Ok(number) = value.parse::<u32>() {
        let wanted = match number {
            0..=0xff => 1,
            0x100..=0xffff => 2,
            _ => 4,
        };
        return Ok(number.to_be_bytes()[4 - wanted..].to_vec());
    }
    Ok(value.trim_matches('"').as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(version: u8, name: &str, value: &str) -> String {
        match read(version, name, value) {
            Ok(Some(option)) => {
                let data: String = option.data.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("{} {data}", option.code)
            }
            Ok(None) => "-".to_owned(),
            Err(reason) => reason,
        }
    }

    #[test]
    fn names_numbers_and_kinds() {
        assert_eq!(hex(4, "bootfile-name", "pxelinux.0"), "67 7078656c696e75782e30");
        assert_eq!(hex(4, "67", "a"), "67 61");
        assert_eq!(hex(4, "server-ip-address", "192.0.2.5"), "255 c0000205");
        assert_eq!(hex(4, "ntp-server", "192.0.2.5,192.0.2.6"), "42 c0000205c0000206");
        assert_eq!(hex(4, "mtu", "1400"), "26 0578");
        assert_eq!(hex(4, "T1", "10m"), "58 00000258");
        assert_eq!(hex(4, "time-offset", "-3600"), "2 fffff1f0");
        assert_eq!(hex(4, "domain-search", "a.b,c."), "119 0161016200016300");
        assert_eq!(hex(6, "domain-search", "a.b,c.b"), "24 01610162000163016200", "not shortened there");
        assert_eq!(
            hex(4, "classless-static-route", "10.0.0.0/8,192.0.2.1,0.0.0.0/0,192.0.2.2"),
            "121 080ac000020100c0000202"
        );
        assert_eq!(hex(4, "router", ""), "3 ", "nothing, on purpose");
        assert_eq!(hex(4, "client-id", "id:x"), "-");
        assert_eq!(hex(4, "61", "x"), "-");
        assert_eq!(hex(6, "dns-server", "[2001:db8::1]"), format!("23 {:0<8}{:0>24}", "20010db8", "1"));
        assert_eq!(hex(6, "ntp-server", "2001:db8::1"), "56 0001001020010db8000000000000000000000001");
        assert_eq!(hex(6, "59", "tftp://[2001:db8::1]/x").split(' ').next(), Some("59"));
        assert_eq!(hex(6, "bootfile-url", "x"), "59 78");
    }

    #[test]
    fn values_of_unnamed_options_are_guessed() {
        assert_eq!(hex(4, "150", "192.0.2.1"), "150 c0000201");
        assert_eq!(hex(4, "224", "192.0.2.1,192.0.2.2"), "224 c0000201c0000202");
        assert_eq!(hex(4, "224", "01:02:ff"), "224 0102ff");
        assert_eq!(hex(4, "224", "7"), "224 07");
        assert_eq!(hex(4, "224", "70000"), "224 00011170");
        assert_eq!(hex(4, "224", "some words"), "224 736f6d6520776f726473");
        assert_eq!(hex(6, "1000", "2001:db8::1,::2").len(), "1000 ".len() + 64);
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(hex(4, "bootfile", "x"), "no option has this name");
        assert_eq!(hex(4, "bootfile-url", "x"), "no option has this name");
        assert_eq!(hex(4, "0", "x"), "0 is no option");
        assert_eq!(hex(4, "255", "x"), "it is no option's number");
        assert_eq!(hex(4, "router", "fe80::1"), "'fe80::1' is no IPv4 address");
        assert_eq!(hex(4, "mtu", "70000"), "'70000' is no number of 2 octets");
        assert_eq!(hex(4, "message-type", "5"), "it is the server's own to say");
        assert_eq!(hex(4, "53", "5"), "it is the server's own to say");
        assert_eq!(hex(4, "classless-static-route", "10.0.0.0/8"), "a destination has no next hop");
        assert_eq!(hex(4, "ipxe,67", "x"), "'ipxe' is no tag");
        assert_eq!(hex(4, "domain-search", "a..b"), "'a..b' is no domain name");
    }

    /// The example of RFC 3397 section 2, its three parts put together.
    #[test]
    fn the_searchlist_of_the_rfc() {
        let parts = ["03656e67056170706c", "6503636f6d00096d61", "726b6574696e67c004"];
        assert_eq!(hex(4, "domain-search", "eng.apple.com.,marketing.apple.com."), format!("119 {}", parts.concat()));
        assert_eq!(hex(4, "119", "a.b,a.b,b"), "119 0161016200c000c002");
    }

    /// As a client reads it.
    fn read_list(octets: &[u8]) -> Vec<String> {
        let (mut names, mut at) = (vec![], 0);
        while at < octets.len() {
            let (mut labels, mut from, mut end) = (vec![], at, None);
            loop {
                match octets[from] {
                    0 => break,
                    pointer @ 0xc0.. => {
                        let to = usize::from(u16::from_be_bytes([pointer & 0x3f, octets[from + 1]]));
                        assert!(to < from, "backwards only");
                        end = end.or(Some(from + 2));
                        from = to;
                    }
                    length => {
                        labels.push(std::str::from_utf8(&octets[from + 1..][..length.into()]).unwrap());
                        from += 1 + usize::from(length);
                    }
                }
            }
            names.push(labels.join("."));
            at = end.unwrap_or(from + 1);
        }
        names
    }

    proptest::proptest! {
        #[test]
        fn searchlists_are_read_as_they_were_meant(
            names in proptest::collection::vec(proptest::collection::vec("[a-c]|[a-c]{20}", 1..5), 1..20),
        ) {
            let names: Vec<String> = names.iter().map(|labels| labels.join(".")).collect();
            let plain: Vec<Vec<u8>> = names.iter().map(|name| domain_name(name).unwrap()).collect();
            let list = search_list(&plain);
            proptest::prop_assert!(list.len() <= plain.concat().len());
            proptest::prop_assert_eq!(read_list(&list), names);
        }

        /// Whatever somebody writes, it is an option or a sentence.
        #[test]
        fn anything_may_be_asked_for(version in proptest::sample::select(vec![4u8, 6]), name in "[a-z0-9:!,-]{0,12}", value in ".{0,300}") {
            let names = ["domain-search", "classless-static-route", "ntp-server", "mtu", "119"];
            for name in names.into_iter().chain([name.as_str()]) {
                if let Ok(Some(option)) = read(version, name, &value) {
                    proptest::prop_assert!(option.data.len() <= 1024);
                }
            }
        }
    }

    #[test]
    fn tags_decide_whom_an_option_is_for() {
        let option = read(4, "tag:!ipxe,67", "x").unwrap().unwrap();
        assert_eq!(option.when, [Tag { name: "ipxe".to_owned(), absent: true }]);
        assert!(option.applies(&[]) && !option.applies(&["ipxe"]));
        let both = read(4, "tag:ipxe,tag:!efi,67", "x").unwrap().unwrap();
        assert!(both.applies(&["ipxe"]) && !both.applies(&["ipxe", "efi"]) && !both.applies(&[]));
    }
}
