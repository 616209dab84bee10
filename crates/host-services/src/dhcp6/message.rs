//! The bytes of a DHCPv6 message (RFC 8415 sections 8 and 21): a request read, a reply written.
//!
//! Only what a decision hangs on is read, so that a client is not refused for a malformed option that does not matter.

use std::net::Ipv6Addr;

pub(super) const CLIENT_ID: u16 = 1;
pub(super) const SERVER_ID: u16 = 2;
pub(super) const IA_NA: u16 = 3;
pub(super) const IA_TA: u16 = 4;
pub(super) const IA_ADDRESS: u16 = 5;
pub(super) const OPTION_REQUEST: u16 = 6;
pub(super) const PREFERENCE: u16 = 7;
pub(super) const STATUS_CODE: u16 = 13;
pub(super) const RAPID_COMMIT: u16 = 14;
pub(super) const USER_CLASS: u16 = 15;
pub(super) const DNS_SERVERS: u16 = 23;
pub(super) const DOMAIN_LIST: u16 = 24;
pub(super) const IA_PD: u16 = 25;
pub(super) const CLIENT_FQDN: u16 = 39;

/// A message's options that fit into what there is; the rest of a malformed one is left out.
pub(super) fn options(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let ([a, b, c, d], rest) = bytes.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes([*c, *d]));
        let data = rest.get(..length)?;
        bytes = rest.get(length..)?;
        Some((u16::from_be_bytes([*a, *b]), data))
    })
}

/// An identity association of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Association {
    /// [`IA_NA`], [`IA_TA`] or [`IA_PD`].
    pub kind: u16,
    pub id: [u8; 4],
    /// Addresses that the client has, or would like.
    pub addresses: Vec<Ipv6Addr>,
}

/// What a client says, as far as the server cares.
#[derive(Debug, Clone)]
pub(super) struct Request<'a> {
    pub kind: u8,
    pub transaction: [u8; 3],
    pub client_id: Option<&'a [u8]>,
    pub server_id: Option<&'a [u8]>,
    pub associations: Vec<Association>,
    /// Option 6; empty: none named.
    pub wanted: Vec<u16>,
    pub rapid_commit: bool,
    /// Its user class is iPXE.
    pub ipxe: bool,
}

impl<'a> Request<'a> {
    /// None for what cannot be a client's message.
    pub(super) fn read(packet: &'a [u8]) -> Option<Self> {
        let ([kind, a, b, c], rest) = packet.split_first_chunk()?;
        let mut request = Self {
            kind: *kind,
            transaction: [*a, *b, *c],
            client_id: None,
            server_id: None,
            associations: vec![],
            wanted: vec![],
            rapid_commit: false,
            ipxe: false,
        };
        for (code, data) in options(rest) {
            match code {
                CLIENT_ID => request.client_id = Some(data),
                SERVER_ID => request.server_id = Some(data),
                IA_NA | IA_TA | IA_PD => request.associations.extend(association(code, data)),
                OPTION_REQUEST => {
                    request.wanted = data.chunks_exact(2).map(|code| u16::from_be_bytes([code[0], code[1]])).collect();
                }
                RAPID_COMMIT => request.rapid_commit = true,
                USER_CLASS => request.ipxe = data.windows(4).any(|word| word == b"iPXE"),
                _ => {}
            }
        }
        Some(request)
    }

    /// Whether the client asked for this option, or named none.
    pub(super) fn wants(&self, code: u16) -> bool {
        self.wanted.is_empty() || self.wanted.contains(&code)
    }
}

fn association(kind: u16, data: &[u8]) -> Option<Association> {
    let (id, rest) = data.split_first_chunk()?;
    // T1 and T2 stand between, but for temporary addresses.
    let inner = if kind == IA_TA { rest } else { rest.get(8..)? };
    let addresses = options(inner)
        .filter(|(code, _)| *code == IA_ADDRESS)
        .filter_map(|(_, data)| data.first_chunk::<16>().map(|octets| Ipv6Addr::from(*octets)))
        .collect();
    Some(Association { kind, id: *id, addresses })
}

/// A message or an option's content in the making.
#[derive(Debug, Default)]
pub(super) struct Writer(pub Vec<u8>);

impl Writer {
    pub(super) fn message(kind: u8, transaction: [u8; 3]) -> Self {
        let [a, b, c] = transaction;
        Self(vec![kind, a, b, c])
    }

    /// Adds an option; one that is longer than an option can be is left out.
    pub(super) fn option(&mut self, code: u16, data: &[u8]) {
        if let Ok(length) = u16::try_from(data.len()) {
            self.0.extend(code.to_be_bytes());
            self.0.extend(length.to_be_bytes());
            self.0.extend(data);
        }
    }

    pub(super) fn status(&mut self, code: u16, text: &str) {
        self.option(STATUS_CODE, &[&code.to_be_bytes(), text.as_bytes()].concat());
    }
}

/// A domain name's octets (RFC 1035 section 3.1); none when it is no name.
pub(super) fn domain_name(name: &str) -> Option<Vec<u8>> {
    let mut octets = vec![];
    for label in name.trim_end_matches('.').split('.') {
        octets.push(u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?);
        octets.extend(label.as_bytes());
    }
    octets.push(0);
    Some(octets).filter(|octets| octets.len() <= 255)
}
