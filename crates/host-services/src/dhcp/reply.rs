//! The decision: what to answer to a packet, and where to send it. Pure; no packet, however malformed, makes it panic.

use super::message::{Request, Writer};
use super::table::{DhcpLease, DhcpSubnet, DhcpTable};
use dhcproto::v4::{DhcpOption, MessageType, OptionCode};
use net_types::{Ipv4Net, MacAddr};
use std::net::Ipv4Addr;

/// Microsoft's private number of the classless routes, from before RFC 3442.
const CLASSLESS_ROUTES_MICROSOFT: u8 = 249;

/// What a server says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyKind {
    /// DHCPOFFER.
    Offer,
    /// DHCPACK.
    Ack,
    /// DHCPNAK.
    Nak,
}

impl From<ReplyKind> for MessageType {
    fn from(kind: ReplyKind) -> Self {
        match kind {
            ReplyKind::Offer => Self::Offer,
            ReplyKind::Ack => Self::Ack,
            ReplyKind::Nak => Self::Nak,
        }
    }
}

/// What to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Which of the three it is.
    pub kind: ReplyKind,
    /// Whose request it answers.
    pub client: MacAddr,
    /// The address given or refused (unspecified in the answer to INFORM).
    pub address: Ipv4Addr,
    /// The server's address to send from, UDP port 67.
    pub source: Ipv4Addr,
    /// Where to.
    pub to: Destination,
    /// The DHCP message: payload of a UDP datagram.
    pub message: Vec<u8>,
}

/// Where a reply goes (RFC 2131 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// To a client on the same wire, UDP port 68: a frame to this hardware address with this IP address, no ARP.
    Link {
        /// Hardware address of the frame.
        mac: MacAddr,
        /// IP address of the datagram.
        address: Ipv4Addr,
    },
    /// To a relay agent, UDP port 67, routed.
    Relay(Ipv4Addr),
}

/// Why nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// Not a DHCP request over Ethernet.
    Malformed,
    /// A message of a kind that a server has no answer to.
    NotForServers,
    /// Not one of the network's ports, or a port without an address on a subnet that is served.
    UnknownClient(MacAddr),
    /// The client took another server's offer.
    OtherServer(MacAddr),
    /// A request that names no address.
    NoAddressNamed(MacAddr),
    /// The client found its address in use by somebody else: worth a look by the operator.
    Declined(MacAddr, Ipv4Addr),
    /// The client gave its address back; it stays its own.
    Released(MacAddr),
}

/// What to answer to `packet` (the payload of a UDP datagram to port 67).
pub fn dhcp_reply(packet: &[u8], table: &DhcpTable) -> Result<Reply, Silence> {
    let request = Request::read(packet).ok_or(Silence::Malformed)?;
    let unknown = Silence::UnknownClient(request.mac);
    let lease = table.clients.get(&request.mac).ok_or(unknown)?;
    match request.kind {
        MessageType::Discover => {
            let usable = usable_addresses(&request, lease, table);
            let address = usable.iter().find(|a| Some(a.0) == request.requested).or(usable.first());
            let (address, subnet) = *address.ok_or(unknown)?;
            Ok(grant(ReplyKind::Offer, &request, address, subnet, lease, table))
        }
        MessageType::Request => answer_request(&request, lease, table),
        MessageType::Inform => {
            let subnet = table.subnet_of(request.ciaddr).ok_or(unknown)?;
            Ok(inform(&request, subnet, lease, table))
        }
        MessageType::Decline => Err(Silence::Declined(request.mac, request.requested.unwrap_or(Ipv4Addr::UNSPECIFIED))),
        MessageType::Release => Err(Silence::Released(request.mac)),
        _ => Err(Silence::NotForServers),
    }
}

/// The client's addresses that fit where it is: behind a relay agent, only those of the relay's subnet.
fn usable_addresses<'t>(request: &Request, lease: &DhcpLease, table: &'t DhcpTable) -> Vec<(Ipv4Addr, &'t DhcpSubnet)> {
    let here = |subnet: &DhcpSubnet| request.giaddr.is_unspecified() || subnet.cidr.contains(&request.giaddr);
    let found = lease.addresses.iter().filter_map(|address| Some((*address, table.subnet_of(*address)?)));
    found.filter(|(_, subnet)| here(subnet)).collect()
}

/// REQUEST in all its states (RFC 2131 section 4.3.2).
fn answer_request(request: &Request, lease: &DhcpLease, table: &DhcpTable) -> Result<Reply, Silence> {
    // SELECTING: only one of the servers that offered is meant.
    if let Some(server) = request.server
        && !table.subnets.iter().any(|subnet| subnet.server == server)
    {
        return Err(Silence::OtherServer(request.mac));
    }
    // SELECTING and INIT-REBOOT name the address in option 50, RENEWING and REBINDING in ciaddr.
    let claimed = Some(request.ciaddr).filter(|address| !address.is_unspecified());
    let address = request.requested.or(claimed).ok_or(Silence::NoAddressNamed(request.mac))?;
    let usable = usable_addresses(request, lease, table);
    if let Some((address, subnet)) = usable.iter().find(|(own, _)| *own == address) {
        return Ok(grant(ReplyKind::Ack, request, *address, subnet, lease, table));
    }
    // Who refuses must be a server that the client could have: prefer the one of the subnet that the client means.
    let subnet = table.subnet_of(address).or(usable.first().map(|(_, subnet)| *subnet)).or(table.subnets.first());
    let subnet = subnet.ok_or(Silence::UnknownClient(request.mac))?;
    Ok(refuse(request, address, subnet, table))
}

/// OFFER or ACK of an address.
fn grant(
    kind: ReplyKind,
    request: &Request,
    address: Ipv4Addr,
    subnet: &DhcpSubnet,
    lease: &DhcpLease,
    table: &DhcpTable,
) -> Reply {
    let ciaddr = if kind == ReplyKind::Ack { request.ciaddr } else { Ipv4Addr::UNSPECIFIED };
    let mut writer = Writer::new(request, address, ciaddr, request.flags, table.mtu);
    writer.option(&DhcpOption::MessageType(kind.into()));
    writer.option(&DhcpOption::ServerIdentifier(subnet.server));
    writer.option(&DhcpOption::AddressLeaseTime(table.lease_seconds));
    if table.lease_seconds != u32::MAX {
        writer.option(&DhcpOption::Renewal(table.lease_seconds / 2));
        writer.option(&DhcpOption::Rebinding(table.lease_seconds - table.lease_seconds / 8));
    }
    write_parameters(&mut writer, request, Some(address), subnet, lease, table);
    Reply {
        kind,
        client: request.mac,
        address,
        source: subnet.server,
        to: destination(request, ciaddr, address),
        message: writer.finish(),
    }
}

/// ACK of INFORM: parameters only, to the address that the client says it has (RFC 2131 section 4.3.5).
fn inform(request: &Request, subnet: &DhcpSubnet, lease: &DhcpLease, table: &DhcpTable) -> Reply {
    let mut writer = Writer::new(request, Ipv4Addr::UNSPECIFIED, request.ciaddr, request.flags, table.mtu);
    writer.option(&DhcpOption::MessageType(MessageType::Ack));
    writer.option(&DhcpOption::ServerIdentifier(subnet.server));
    write_parameters(&mut writer, request, None, subnet, lease, table);
    Reply {
        kind: ReplyKind::Ack,
        client: request.mac,
        address: Ipv4Addr::UNSPECIFIED,
        source: subnet.server,
        to: destination(request, request.ciaddr, request.ciaddr),
        message: writer.finish(),
    }
}

/// NAK: heard by everybody, since the client has no address that it may use (RFC 2131 section 4.1).
fn refuse(request: &Request, address: Ipv4Addr, subnet: &DhcpSubnet, table: &DhcpTable) -> Reply {
    let relayed = !request.giaddr.is_unspecified();
    let flags = if relayed { request.flags | Writer::BROADCAST } else { request.flags };
    let none = Ipv4Addr::UNSPECIFIED;
    let mut writer = Writer::new(request, none, none, flags, table.mtu);
    writer.option(&DhcpOption::MessageType(MessageType::Nak));
    writer.option(&DhcpOption::ServerIdentifier(subnet.server));
    writer.option(&DhcpOption::Message(format!("{address} is not an address of this port")));
    write_echoes(&mut writer, request);
    let to = if relayed {
        Destination::Relay(request.giaddr)
    } else {
        Destination::Link { mac: MacAddr::BROADCAST, address: Ipv4Addr::BROADCAST }
    };
    Reply { kind: ReplyKind::Nak, client: request.mac, address, source: subnet.server, to, message: writer.finish() }
}

fn destination(request: &Request, ciaddr: Ipv4Addr, your_address: Ipv4Addr) -> Destination {
    if !request.giaddr.is_unspecified() {
        Destination::Relay(request.giaddr)
    } else if !ciaddr.is_unspecified() {
        Destination::Link { mac: request.mac, address: ciaddr }
    } else if request.wants_broadcast() {
        Destination::Link { mac: MacAddr::BROADCAST, address: Ipv4Addr::BROADCAST }
    } else {
        Destination::Link { mac: request.mac, address: your_address }
    }
}

/// The network's parameters, the most needed first. Mask, broadcast address and MTU are always told, as Neutron's
/// dnsmasq does; the others when asked for or when the client asks for nothing in particular.
fn write_parameters(
    writer: &mut Writer,
    request: &Request,
    address: Option<Ipv4Addr>,
    subnet: &DhcpSubnet,
    lease: &DhcpLease,
    table: &DhcpTable,
) {
    write_echoes(writer, request);
    writer.option(&DhcpOption::SubnetMask(subnet.cidr.netmask()));
    writer.option(&DhcpOption::BroadcastAddr(subnet.cidr.broadcast()));
    if table.mtu >= 68 {
        writer.option(&DhcpOption::InterfaceMtu(table.mtu));
    }
    if let Some(gateway) = subnet.gateway
        && request.wants(OptionCode::Router)
    {
        writer.option(&DhcpOption::Router(vec![gateway]));
    }
    if !subnet.dns.is_empty() && request.wants(OptionCode::DomainNameServer) {
        writer.option(&DhcpOption::DomainNameServer(subnet.dns.clone()));
    }
    if !subnet.routes.is_empty() {
        if request.wants(OptionCode::ClasslessStaticRoute) {
            writer.option(&DhcpOption::ClasslessStaticRoute(subnet.routes.clone()));
        }
        let microsoft = OptionCode::from(CLASSLESS_ROUTES_MICROSOFT);
        if request.asks_for(microsoft) {
            writer.raw(microsoft, encode_routes(&subnet.routes));
        }
    }
    if !table.domain.is_empty() && request.wants(OptionCode::DomainName) {
        writer.option(&DhcpOption::DomainName(table.domain.clone()));
    }
    if request.wants(OptionCode::Hostname) {
        let from_address = || address.map(|address| format!("host-{}", address.to_string().replace('.', "-")));
        if let Some(name) = lease.hostname.clone().or_else(from_address) {
            writer.option(&DhcpOption::Hostname(name));
        }
    }
}

/// What the client and the relay agent want back unchanged (RFC 6842, RFC 3046).
fn write_echoes(writer: &mut Writer, request: &Request) {
    if let Some(id) = &request.client_id {
        writer.raw(OptionCode::ClientIdentifier, id.clone());
    }
    if let Some(info) = request.relay_info.as_ref().filter(|_| !request.giaddr.is_unspecified()) {
        writer.raw(OptionCode::RelayAgentInformation, info.clone());
    }
}

/// Width, significant bytes of the destination, router; one after another (RFC 3442).
fn encode_routes(routes: &[(Ipv4Net, Ipv4Addr)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (destination, router) in routes {
        let significant = usize::from(destination.prefix_len().div_ceil(8));
        bytes.push(destination.prefix_len());
        bytes.extend(destination.addr().octets().iter().take(significant));
        bytes.extend(router.octets());
    }
    bytes
}
