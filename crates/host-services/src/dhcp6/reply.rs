//! The decision: what to answer to a packet. Pure; no packet, however malformed, makes it panic.

use super::Dhcp6Clients;
use super::message::{
    Association, CLIENT_FQDN, CLIENT_ID, DNS_SERVERS, DOMAIN_LIST, IA_ADDRESS, IA_NA, IA_PD, IA_TA, PREFERENCE,
    RAPID_COMMIT, Request, SERVER_ID, Writer, domain_name,
};
use host_plan::Dhcp6Client;
use net_types::MacAddr;
use std::net::Ipv6Addr;

const SOLICIT: u8 = 1;
const ADVERTISE: u8 = 2;
const REQUEST: u8 = 3;
const CONFIRM: u8 = 4;
const RENEW: u8 = 5;
const REBIND: u8 = 6;
const REPLY: u8 = 7;
const RELEASE: u8 = 8;
const DECLINE: u8 = 9;
const INFORMATION_REQUEST: u8 = 11;

const SUCCESS: u16 = 0;
const NO_ADDRESSES: u16 = 2;
const NOT_ON_LINK: u16 = 4;
const NO_PREFIX: u16 = 6;

/// So many associations of one client are answered; it needs one.
const MAX_ASSOCIATIONS: usize = 8;

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dhcp6Reply {
    /// The message: payload of a UDP datagram from port 547 to the client's port 546.
    pub message: Vec<u8>,
    /// Addresses that were given or offered.
    pub addresses: Vec<Ipv6Addr>,
    /// The client found an address in use by somebody else: worth a look by the operator.
    pub declined: bool,
}

/// Why nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dhcp6Silence {
    /// Not a client's message, or without what it must have.
    Malformed,
    /// A message of a kind that a server has no answer to.
    NotForServers,
    /// Not one of the network's ports, or a port without an address on a subnet that is served.
    UnknownClient,
    /// The client speaks to another server.
    OtherServer,
}

/// The server's DUID: of its link-layer address (RFC 8415 section 11.4), so that it is the same after a restart.
pub(super) fn server_duid(mac: MacAddr) -> Vec<u8> {
    [&[0, 3, 0, 1][..], &mac.0].concat()
}

/// What to answer to `packet` (the payload of a UDP datagram to port 547), whose frame came from `sender`.
pub fn dhcp6_reply(
    packet: &[u8],
    sender: MacAddr,
    server: MacAddr,
    clients: &Dhcp6Clients,
) -> Result<Dhcp6Reply, Dhcp6Silence> {
    let request = Request::read(packet).ok_or(Dhcp6Silence::Malformed)?;
    let must_name_server = match request.kind {
        REQUEST | RENEW | RELEASE | DECLINE => true,
        SOLICIT | CONFIRM | REBIND | INFORMATION_REQUEST => false,
        _ => return Err(Dhcp6Silence::NotForServers),
    };
    // Section 16: who must say who it is, and whom it means; and who must not.
    let server_id = server_duid(server);
    match request.server_id {
        Some(named) if named != server_id => return Err(Dhcp6Silence::OtherServer),
        None if must_name_server => return Err(Dhcp6Silence::Malformed),
        Some(_) if !must_name_server && request.kind != INFORMATION_REQUEST => return Err(Dhcp6Silence::Malformed),
        _ => {}
    }
    if request.kind != INFORMATION_REQUEST && request.client_id.is_none_or(<[u8]>::is_empty) {
        return Err(Dhcp6Silence::Malformed);
    }
    let client = clients.get(&sender).ok_or(Dhcp6Silence::UnknownClient)?;
    let answer = Answer { request: &request, client, server_id };
    answer.write()
}

struct Answer<'a> {
    request: &'a Request<'a>,
    client: &'a Dhcp6Client,
    server_id: Vec<u8>,
}

impl Answer<'_> {
    fn write(&self) -> Result<Dhcp6Reply, Dhcp6Silence> {
        let request = self.request;
        let rapid = request.kind == SOLICIT && request.rapid_commit;
        let kind = if request.kind == SOLICIT && !rapid { ADVERTISE } else { REPLY };
        let mut writer = Writer::message(kind, request.transaction);
        if let Some(id) = request.client_id {
            writer.option(CLIENT_ID, id);
        }
        writer.option(SERVER_ID, &self.server_id);
        let mut addresses = vec![];
        match request.kind {
            SOLICIT | REQUEST | RENEW | REBIND => {
                if rapid {
                    writer.option(RAPID_COMMIT, &[]);
                }
                if kind == ADVERTISE {
                    // The highest: there is no reason to wait for another server, which would say the same.
                    writer.option(PREFERENCE, &[255]);
                }
                addresses = self.associations(&mut writer);
                // Section 18.3.9: said once more for the whole message.
                if request.kind == SOLICIT && addresses.is_empty() && !request.associations.is_empty() {
                    writer.status(NO_ADDRESSES, "no addresses for this port");
                }
                self.parameters(&mut writer);
            }
            CONFIRM => {
                let mut claimed = request.associations.iter().flat_map(|association| &association.addresses).peekable();
                if claimed.peek().is_none() {
                    // Section 18.3.3: nothing to confirm, nothing to say.
                    return Err(Dhcp6Silence::Malformed);
                }
                if claimed.all(|address| self.client.addresses.contains(address)) {
                    writer.status(SUCCESS, "all addresses are this port's");
                } else {
                    writer.status(NOT_ON_LINK, "not the addresses of this port");
                }
            }
            RELEASE | DECLINE => writer.status(SUCCESS, "noted"),
            _ => self.parameters(&mut writer),
        }
        Ok(Dhcp6Reply { message: writer.0, addresses, declined: request.kind == DECLINE })
    }

    /// All of the port's addresses go into the client's first association; what else it has or asks for, it is denied.
    fn associations(&self, writer: &mut Writer) -> Vec<Ipv6Addr> {
        let mut left = self.client.addresses.clone();
        let mut given = vec![];
        for association in self.request.associations.iter().take(MAX_ASSOCIATIONS) {
            let mine = if association.kind == IA_NA { std::mem::take(&mut left) } else { vec![] };
            self.association(writer, association, &mine);
            given.extend(mine);
        }
        given
    }

    fn association(&self, writer: &mut Writer, association: &Association, mine: &[Ipv6Addr]) {
        let seconds = self.client.lease_seconds;
        let part = |of_ten: u64| {
            let part = u64::from(seconds) * of_ten / 10;
            if seconds == u32::MAX { u32::MAX } else { u32::try_from(part).unwrap_or(u32::MAX) }
        };
        let mut inner = Writer(association.id.to_vec());
        if association.kind != IA_TA {
            // Section 21.4: half of the preferred lifetime, and eight tenths of it.
            let (renew, rebind) = if mine.is_empty() { (0, 0) } else { (part(5), part(8)) };
            inner.0.extend(renew.to_be_bytes());
            inner.0.extend(rebind.to_be_bytes());
        }
        let address = |address: &Ipv6Addr, seconds: u32| {
            [&address.octets()[..], &seconds.to_be_bytes(), &seconds.to_be_bytes()].concat()
        };
        for own in mine {
            inner.option(IA_ADDRESS, &address(own, seconds));
        }
        // What it has and may not keep ends now (section 18.3.4); what it only wished for is not mentioned.
        if matches!(self.request.kind, RENEW | REBIND) {
            for other in association.addresses.iter().filter(|other| !mine.contains(other)).take(MAX_ASSOCIATIONS) {
                inner.option(IA_ADDRESS, &address(other, 0));
            }
        }
        if mine.is_empty() {
            let code = if association.kind == IA_PD { NO_PREFIX } else { NO_ADDRESSES };
            inner.status(code, "none for this port");
        }
        writer.option(association.kind, &inner.0);
    }

    /// The network's parameters as far as the client asks for them, and its port's own.
    fn parameters(&self, writer: &mut Writer) {
        let (request, client) = (self.request, self.client);
        let tags: &[&str] = if request.ipxe { &["ipxe6", "dhcpv6"] } else { &["dhcpv6"] };
        let own: Vec<_> = client.options.iter().filter(|option| option.applies(tags)).collect();
        let replaced = |code: u16| own.iter().any(|option| option.code == code);
        let wanted = |code: u16| request.wants(code) && !replaced(code);
        if wanted(DNS_SERVERS) && !client.dns_servers.is_empty() {
            let octets: Vec<u8> = client.dns_servers.iter().flat_map(|server| server.octets()).collect();
            writer.option(DNS_SERVERS, &octets);
        }
        if let Some(name) = domain_name(&client.domain).filter(|_| wanted(DOMAIN_LIST)) {
            writer.option(DOMAIN_LIST, &name);
        }
        // Told to who asks for it only (RFC 4704 section 5): flags, none of which is ours to set, and the name.
        if request.wanted.contains(&CLIENT_FQDN) && !replaced(CLIENT_FQDN) {
            let full = format!("{}.{}", client.hostname, client.domain);
            if let Some(name) = domain_name(&full) {
                writer.option(CLIENT_FQDN, &[&[0][..], &name].concat());
            }
        }
        let mut told: Vec<u16> = vec![];
        for option in own {
            if !option.data.is_empty() && request.wants(option.code) && !told.contains(&option.code) {
                writer.option(option.code, &option.data);
                told.push(option.code);
            }
        }
    }
}

/// Entry point of the fuzz target: arbitrary bytes to a server of one network, from a known client. A reply must be readable.
pub fn fuzz_dhcp6(data: &[u8]) {
    let (known, server) = (MacAddr([0xfa, 0x16, 0x3e, 0, 0, 1]), MacAddr([0xfa, 0x16, 0x3e, 0, 0, 2]));
    let client = Dhcp6Client {
        addresses: (1..=3).map(|n| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n)).collect(),
        lease_seconds: 86_400,
        dns_servers: vec![Ipv6Addr::LOCALHOST],
        hostname: "a".to_owned(),
        domain: "example.org".to_owned(),
        options: vec![host_plan::ExtraOption { code: 59, data: vec![1; 20], when: vec![] }],
    };
    let clients = [(known, client)].into();
    let mut addressed = data.to_vec();
    // The same, meant for this server.
    addressed.extend([0, 2, 0, 10]);
    addressed.extend(server_duid(server));
    for packet in [data, &addressed] {
        if let Ok(reply) = dhcp6_reply(packet, known, server, &clients) {
            let read = Request::read(&reply.message);
            assert!(read.is_some_and(|read| read.server_id == Some(&server_duid(server))), "{:?}", reply.message);
        }
    }
}
