//! The bytes of a DHCP message (RFC 2131 section 2): a request read, a reply written.
//!
//! Only what a decision hangs on is read, so that a client is not refused for a malformed option that does not matter
//! (a host name in Latin-1, say).

use dhcproto::v4::{DhcpOption, Encodable, Encoder, MessageType, OptionCode, borrowed};
use net_types::MacAddr;
use std::net::Ipv4Addr;

const BOOTREQUEST: u8 = 1;
const BOOTREPLY: u8 = 2;
const ETHERNET: u8 = 1;
const BROADCAST_FLAG: u16 = 0x8000;
const MAGIC_COOKIE: [u8; 4] = [99, 130, 83, 99];
/// Fixed fields, `sname`, `file` and the cookie.
const HEADER_LEN: usize = 240;
/// Old BOOTP relays and clients drop anything shorter (RFC 1542 section 2.1).
const MIN_LEN: usize = 300;
/// What every client must accept (RFC 2131 section 2: 576 bytes of IP datagram), less the IP and UDP headers.
const DEFAULT_MAX_LEN: usize = 548;
const IP_UDP_HEADERS: usize = 28;
/// Option of iPXE's own (Etherboot), which says that it is that.
const IPXE: u8 = 175;
/// Where the next server's address, the server's name and the boot file stand in the header.
const SIADDR: std::ops::Range<usize> = 20..24;
const SNAME: std::ops::Range<usize> = 44..108;
const FILE: std::ops::Range<usize> = 108..236;

/// What a client says, as far as the server cares.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub kind: MessageType,
    pub xid: [u8; 4],
    pub flags: u16,
    pub ciaddr: Ipv4Addr,
    pub giaddr: Ipv4Addr,
    pub mac: MacAddr,
    /// Option 50.
    pub requested: Option<Ipv4Addr>,
    /// Option 54.
    pub server: Option<Ipv4Addr>,
    /// Option 55; none: the client leaves it to the server.
    pub wanted: Option<Vec<u8>>,
    /// Option 57, in bytes of IP datagram.
    pub max_size: Option<u16>,
    /// Option 61, to be echoed (RFC 6842).
    pub client_id: Option<Vec<u8>>,
    /// Option 82, to be echoed (RFC 3046).
    pub relay_info: Option<Vec<u8>>,
    /// It has option 175: it is iPXE.
    pub ipxe: bool,
}

impl Request {
    /// None for what is not a DHCP request over Ethernet.
    pub(super) fn read(packet: &[u8]) -> Option<Self> {
        let message = borrowed::Message::new(packet).ok()?;
        let fixed: &[u8; HEADER_LEN] = packet.first_chunk()?;
        // The length is checked before anything reads the hardware address, which may be said to be 255 bytes long.
        if fixed[..3] != [BOOTREQUEST, ETHERNET, 6] || fixed[236..] != MAGIC_COOKIE {
            return None;
        }
        let mut request = Self {
            kind: MessageType::Unknown(0),
            xid: message.xid().to_be_bytes(),
            flags: u16::from_be_bytes([fixed[10], fixed[11]]),
            ciaddr: message.ciaddr(),
            giaddr: message.giaddr(),
            mac: MacAddr(message.chaddr().try_into().ok()?),
            requested: None,
            server: None,
            wanted: None,
            max_size: None,
            client_id: None,
            relay_info: None,
            ipxe: false,
        };
        for option in message.opts() {
            let data = option.data();
            match option.code() {
                OptionCode::MessageType => request.kind = MessageType::from(*data.first()?),
                OptionCode::RequestedIpAddress => request.requested = Some(address(data)?),
                OptionCode::ServerIdentifier => request.server = Some(address(data)?),
                OptionCode::ParameterRequestList => request.wanted = Some(data.to_vec()),
                OptionCode::MaxMessageSize => request.max_size = data.try_into().ok().map(u16::from_be_bytes),
                OptionCode::ClientIdentifier => request.client_id = Some(data.to_vec()),
                OptionCode::RelayAgentInformation => request.relay_info = Some(data.to_vec()),
                code if u8::from(code) == IPXE => request.ipxe = true,
                _ => {}
            }
        }
        (request.kind != MessageType::Unknown(0)).then_some(request)
    }

    /// Whether the client cannot yet take unicast (RFC 2131 section 4.1).
    pub(super) fn wants_broadcast(&self) -> bool {
        self.flags & BROADCAST_FLAG != 0
    }

    /// Whether the client asked for this option, or left the choice to the server.
    pub(super) fn wants(&self, code: OptionCode) -> bool {
        self.wanted.as_ref().is_none_or(|list| list.contains(&u8::from(code)))
    }

    /// Whether the client named this option.
    pub(super) fn asks_for(&self, code: OptionCode) -> bool {
        self.wanted.as_ref().is_some_and(|list| list.contains(&u8::from(code)))
    }
}

fn address(data: &[u8]) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(data).ok().map(Ipv4Addr::from)
}

/// A reply in the making.
pub(super) struct Writer {
    bytes: Vec<u8>,
    max_len: usize,
    /// Options that are told otherwise, or not at all.
    replaced: Vec<u8>,
}

impl Writer {
    /// The fixed part of the reply to `request`. `mtu` bounds the size: a reply is never fragmented.
    pub(super) fn new(request: &Request, your_address: Ipv4Addr, ciaddr: Ipv4Addr, flags: u16, mtu: u16) -> Self {
        let mut bytes = Vec::with_capacity(DEFAULT_MAX_LEN);
        bytes.extend([BOOTREPLY, ETHERNET, 6, 0]);
        bytes.extend(request.xid);
        bytes.extend([0, 0]); // secs
        bytes.extend(flags.to_be_bytes());
        bytes.extend(ciaddr.octets());
        bytes.extend(your_address.octets());
        bytes.extend([0; 4]); // siaddr: nothing to boot from
        bytes.extend(request.giaddr.octets());
        bytes.extend(request.mac.0);
        bytes.resize(HEADER_LEN - MAGIC_COOKIE.len(), 0); // rest of chaddr, sname, file
        bytes.extend(MAGIC_COOKIE);
        let client = request.max_size.map_or(0, |size| usize::from(size).saturating_sub(IP_UDP_HEADERS));
        let wire = usize::from(mtu.max(576)) - IP_UDP_HEADERS;
        Self { bytes, max_len: client.clamp(DEFAULT_MAX_LEN, wire), replaced: vec![] }
    }

    /// The broadcast bit that a relay agent obeys.
    pub(super) const BROADCAST: u16 = BROADCAST_FLAG;

    /// Adds an option, split where it is longer than 255 bytes (RFC 3396); left out as a whole when there is no room, so
    /// the ones that matter most come first.
    pub(super) fn option(&mut self, option: &DhcpOption) {
        if !self.replaced.contains(&u8::from(OptionCode::from(option))) {
            self.write(option);
        }
    }

    fn write(&mut self, option: &DhcpOption) {
        let mut encoded = Vec::new();
        let written = option.encode(&mut Encoder::new(&mut encoded));
        // One byte stays for the end mark.
        if written.is_ok() && self.bytes.len() + encoded.len() < self.max_len {
            self.bytes.append(&mut encoded);
        }
    }

    /// Adds an option whose bytes are known.
    pub(super) fn raw(&mut self, code: OptionCode, data: Vec<u8>) {
        self.option(&DhcpOption::Unknown(dhcproto::v4::UnknownOption::new(code, data)));
    }

    /// Adds an option in the place of that of the same number; without octets it is left out.
    pub(super) fn instead(&mut self, code: u8, data: &[u8], told: bool) {
        if told && !data.is_empty() && !self.replaced.contains(&code) {
            let unknown = dhcproto::v4::UnknownOption::new(OptionCode::from(code), data.to_vec());
            self.write(&DhcpOption::Unknown(unknown));
        }
        self.replaced.push(code);
    }

    /// `siaddr`.
    pub(super) fn next_server(&mut self, address: [u8; 4]) {
        self.fixed(SIADDR, &address);
    }

    /// `sname`, as far as there is room.
    pub(super) fn server_name(&mut self, name: &[u8]) {
        self.fixed(SNAME.start..SNAME.end - 1, name);
    }

    /// `file`, as far as there is room.
    pub(super) fn boot_file(&mut self, name: &[u8]) {
        self.fixed(FILE.start..FILE.end - 1, name);
    }

    fn fixed(&mut self, place: std::ops::Range<usize>, data: &[u8]) {
        for (to, from) in self.bytes.get_mut(place).into_iter().flatten().zip(data) {
            *to = *from;
        }
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bytes.push(u8::from(OptionCode::End));
        if self.bytes.len() < MIN_LEN {
            self.bytes.resize(MIN_LEN, 0);
        }
        self.bytes
    }
}
