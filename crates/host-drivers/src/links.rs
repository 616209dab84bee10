//! Links, addresses and routes of one namespace, over netlink (rtnetlink, wrapped here because its interface changes often).
//!
//! One [`Links`] is one socket in one namespace. Lists come back as the vocabulary's types; changes are single messages,
//! and one that is already true is no error.

use crate::{DriverError, Place};
use futures_util::TryStreamExt;
use net_types::{IpNet, MacAddr};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::AddressAttribute;
use netlink_packet_route::link::{InfoData, InfoVeth, LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourFlags};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteNextHop, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use rtnetlink::{Handle, IpVersion, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;

/// A device as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number for it.
    pub index: u32,
    /// Its MAC address.
    pub mac: MacAddr,
    /// Bytes of the largest IP packet.
    pub mtu: u32,
    /// Whether it is administratively up.
    pub up: bool,
    /// Whether it can carry frames (a veth whose peer is down cannot).
    pub carrier: bool,
    /// For a veth: the index of the other end in its namespace.
    pub peer: Option<u32>,
}

/// Where to, and for which packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Destination {
    /// Only for packets with this mark, by a [`PolicyRule`]: the number of the routing table. None: for all, the main table.
    pub mark: Option<u32>,
    /// Where to.
    pub net: IpNet,
}

impl From<IpNet> for Destination {
    fn from(net: IpNet) -> Self {
        Self { mark: None, net }
    }
}

impl std::fmt::Display for Destination {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}", self.net)?;
        self.mark.map_or(Ok(()), |mark| write!(out, " of packets with mark {mark:#x}"))
    }
}

/// A rule that says in which table the kernel looks first (ip-rule(8)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyRule {
    /// Of IPv6 packets.
    pub v6: bool,
    /// For packets that have this mark in the bits of [`Route::MARK_MASK`](host_plan::Route::MARK_MASK): the table of that number.
    /// None: before those, the main table without its default routes, for all packets.
    pub mark: Option<u32>,
}

/// Priorities of both kinds.
const BEFORE_MARKS: u32 = 100;
const BY_MARK: u32 = 101;

/// One way to a destination.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Way {
    /// By whom; none: directly.
    pub via: Option<IpAddr>,
    /// Through which device.
    pub device: u32,
}

/// Routes as the kernel has them: the ways to each destination. Several stand side by side.
pub type Routes = BTreeMap<Destination, BTreeSet<Way>>;

/// A netlink socket in a namespace.
#[derive(Debug)]
pub struct Links {
    place: Place,
    handle: Handle,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Links {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Links {
    /// Opens a socket there.
    pub async fn open(place: &Place) -> Result<Self, DriverError> {
        let opened = place.run(rtnetlink::new_connection).await?;
        let (connection, handle, _) = opened.map_err(|source| DriverError::Namespace {
            name: place.to_string(),
            what: "open netlink in",
            source,
        })?;
        Ok(Self { place: place.clone(), handle, task: tokio::spawn(connection) })
    }

    /// All devices by name.
    pub async fn list(&self) -> Result<BTreeMap<String, Link>, DriverError> {
        let messages = self.handle.link().get().execute().try_collect::<Vec<_>>().await;
        let messages = messages.map_err(|error| self.refused("list devices", error))?;
        Ok(messages.iter().filter_map(link).collect())
    }

    /// One device; none when it is not there.
    pub async fn get(&self, name: &str) -> Result<Option<Link>, DriverError> {
        let found = self.handle.link().get().match_name(name.to_owned()).execute().try_next().await;
        match found {
            Ok(message) => Ok(message.as_ref().and_then(link).map(|(_, link)| link)),
            Err(error) if errno(&error) == Some(nix::libc::ENODEV) => Ok(None),
            Err(error) => Err(self.refused(format!("look up {name}"), error)),
        }
    }

    /// Makes a veth pair: `name` here, and `peer_name` in the other namespace, whose end is where its MAC and MTU go.
    pub async fn add_veth(
        &self,
        name: &str,
        peer_place: &Place,
        peer_name: &str,
        peer_mac: MacAddr,
        mtu: u16,
    ) -> Result<(), DriverError> {
        let file = peer_place.open()?;
        let peer = LinkMessageBuilder::<LinkUnspec>::new()
            .name(peer_name)
            .mtu(mtu.into())
            .address(peer_mac.0.to_vec())
            .setns_by_fd(file.as_raw_fd())
            .build();
        let pair = LinkMessageBuilder::<LinkVeth>::new(name, peer_name)
            .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
            .mtu(mtu.into())
            .build();
        let done = self.handle.link().add(pair).execute().await;
        done.map_err(|error| self.refused(format!("make the veth pair {name} and {peer_name} of {peer_place}"), error))
    }

    /// Changes a device; what is none stays as it is.
    pub async fn set(&self, index: u32, change: LinkChange) -> Result<(), DriverError> {
        let mut message = LinkUnspec::new_with_index(index);
        if let Some(mac) = change.mac {
            message = message.address(mac.0.to_vec());
        }
        if let Some(mtu) = change.mtu {
            message = message.mtu(mtu.into());
        }
        message = match change.up {
            Some(true) => message.up(),
            Some(false) => message.down(),
            None => message,
        };
        let done = self.handle.link().set(message.build()).execute().await;
        done.map_err(|error| self.refused(format!("change device {index}"), error))
    }

    /// Moves a device into another namespace.
    pub async fn hand_over(&self, index: u32, to: &Place) -> Result<(), DriverError> {
        let file = to.open()?;
        let message = LinkUnspec::new_with_index(index).setns_by_fd(file.as_raw_fd()).build();
        let done = self.handle.link().set(message).execute().await;
        done.map_err(|error| self.refused(format!("move device {index} to {to}"), error))
    }

    /// Removes a device; fine when it is gone.
    pub async fn delete(&self, index: u32) -> Result<(), DriverError> {
        match self.handle.link().del(index).execute().await {
            Err(error) if errno(&error) != Some(nix::libc::ENODEV) => {
                Err(self.refused(format!("delete device {index}"), error))
            }
            _ => Ok(()),
        }
    }

    /// Addresses by device, with their prefix lengths; IPv6 link-local ones are the kernel's own business and left out.
    pub async fn addresses(&self) -> Result<BTreeMap<u32, BTreeSet<IpNet>>, DriverError> {
        let messages = self.handle.address().get().execute().try_collect::<Vec<_>>().await;
        let messages = messages.map_err(|error| self.refused("list addresses", error))?;
        let mut found: BTreeMap<u32, BTreeSet<IpNet>> = BTreeMap::new();
        for message in messages {
            let local = message.attributes.iter().find_map(|attribute| match attribute {
                AddressAttribute::Local(address) => Some(*address),
                _ => None,
            });
            let plain = message.attributes.iter().find_map(|attribute| match attribute {
                AddressAttribute::Address(address) => Some(*address),
                _ => None,
            });
            let Some(address) = local.or(plain).filter(|address| !is_kernels(address)) else { continue };
            if let Ok(net) = IpNet::new(address, message.header.prefix_len) {
                found.entry(message.header.index).or_default().insert(net);
            }
        }
        Ok(found)
    }

    /// Gives a device an address; fine when it has it.
    pub async fn add_address(&self, index: u32, address: IpNet) -> Result<(), DriverError> {
        let mut request = self.handle.address().add(index, address.addr(), address.prefix_len());
        if address.addr().is_ipv6() {
            // Neutron's ports are unique by allocation: duplicate address detection would only delay them.
            let message = request.message_mut();
            message.header.flags |= netlink_packet_route::address::AddressHeaderFlags::Nodad;
        }
        match request.execute().await {
            Err(error) if errno(&error) != Some(nix::libc::EEXIST) => {
                Err(self.refused(format!("add {address} to device {index}"), error))
            }
            _ => Ok(()),
        }
    }

    /// Takes an address from a device; fine when it has it not.
    pub async fn delete_address(&self, index: u32, address: IpNet) -> Result<(), DriverError> {
        let message = rtnetlink_address(index, address);
        match self.handle.address().del(message).execute().await {
            Err(error) if errno(&error) != Some(nix::libc::EADDRNOTAVAIL) => {
                Err(self.refused(format!("take {address} from device {index}"), error))
            }
            _ => Ok(()),
        }
    }

    /// IPv6 addresses that devices answer for on behalf of others (`ip -6 neigh show proxy`), by device.
    pub async fn proxied(&self) -> Result<BTreeMap<u32, BTreeSet<IpAddr>>, DriverError> {
        let request = self.handle.neighbours().get().proxies().set_address_family(AddressFamily::Inet6);
        let messages = request.execute().try_collect::<Vec<_>>().await;
        let messages = messages.map_err(|error| self.refused("list proxied addresses", error))?;
        let mut found: BTreeMap<u32, BTreeSet<IpAddr>> = BTreeMap::new();
        for message in messages.iter().filter(|message| message.header.flags.contains(NeighbourFlags::Proxy)) {
            for attribute in &message.attributes {
                if let NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) = attribute {
                    found.entry(message.header.ifindex).or_default().insert((*address).into());
                }
            }
        }
        Ok(found)
    }

    /// Lets a device answer for an address that is somebody else's; fine when it does.
    pub async fn add_proxied(&self, index: u32, address: IpAddr) -> Result<(), DriverError> {
        let done = self.handle.neighbours().add(index, address).flags(NeighbourFlags::Proxy).replace().execute().await;
        done.map_err(|error| self.refused(format!("answer for {address} on device {index}"), error))
    }

    /// Lets a device no longer answer for an address; fine when it does not.
    pub async fn delete_proxied(&self, index: u32, address: IpAddr) -> Result<(), DriverError> {
        let mut like = self.handle.neighbours().add(index, address).flags(NeighbourFlags::Proxy);
        let message = like.message_mut().clone();
        match self.handle.neighbours().del(message).execute().await {
            Err(error) if errno(&error) != Some(nix::libc::ENOENT) => {
                Err(self.refused(format!("no longer answer for {address} on device {index}"), error))
            }
            _ => Ok(()),
        }
    }

    /// Unicast routes that somebody set, of the main table and of those for marks (those that the kernel adds for addresses are
    /// left out).
    pub async fn routes(&self) -> Result<Routes, DriverError> {
        let mut found = Routes::new();
        for family in [RouteMessageBuilder::<Ipv4Addr>::new().build(), RouteMessageBuilder::<Ipv6Addr>::new().build()] {
            let messages = self.handle.route().get(family).execute().try_collect::<Vec<_>>().await;
            let messages = messages.map_err(|error| self.refused("list routes", error))?;
            for (destination, ways) in messages.iter().filter_map(ways) {
                found.entry(destination).or_default().extend(ways);
            }
        }
        Ok(found)
    }

    /// Sets the ways to a destination in one step; those that are there are replaced.
    pub async fn replace_route(&self, destination: Destination, ways: &BTreeSet<Way>) -> Result<(), DriverError> {
        let message = route_message(destination, ways, RouteProtocol::Static);
        let done = self.handle.route().add(message).replace().execute().await;
        done.map_err(|error| self.refused(format!("route {destination} by {ways:?}"), error))
    }

    /// Removes these ways to a destination, whoever set them; fine when they are gone.
    pub async fn delete_route(&self, destination: Destination, ways: &BTreeSet<Way>) -> Result<(), DriverError> {
        let message = route_message(destination, ways, RouteProtocol::Unspec);
        match self.handle.route().del(message).execute().await {
            Err(error) if errno(&error) != Some(nix::libc::ESRCH) => {
                Err(self.refused(format!("remove the route to {destination}"), error))
            }
            _ => Ok(()),
        }
    }

    /// Rules with the priorities of ours.
    pub async fn policy_rules(&self) -> Result<BTreeSet<PolicyRule>, DriverError> {
        let mut found = BTreeSet::new();
        for version in [IpVersion::V4, IpVersion::V6] {
            match self.handle.rule().get(version).execute().try_collect::<Vec<_>>().await {
                Ok(messages) => found.extend(messages.iter().filter_map(policy_rule)),
                // A kernel without routing rules, or without that family, has none.
                Err(error) if matches!(errno(&error), Some(nix::libc::EOPNOTSUPP | nix::libc::EAFNOSUPPORT)) => {}
                Err(error) => return Err(self.refused("list routing rules", error)),
            }
        }
        Ok(found)
    }

    /// Adds a rule; fine when it is there.
    pub async fn add_policy_rule(&self, rule: PolicyRule) -> Result<(), DriverError> {
        let mut request = self.handle.rule().add();
        *request.message_mut() = policy_message(rule);
        match request.execute().await {
            Err(error) if errno(&error) != Some(nix::libc::EEXIST) => {
                Err(self.refused(format!("add the routing rule {rule:?}"), error))
            }
            _ => Ok(()),
        }
    }

    /// Removes a rule; fine when it is gone.
    pub async fn delete_policy_rule(&self, rule: PolicyRule) -> Result<(), DriverError> {
        match self.handle.rule().del(policy_message(rule)).execute().await {
            Err(error) if errno(&error) != Some(nix::libc::ENOENT) => {
                Err(self.refused(format!("remove the routing rule {rule:?}"), error))
            }
            _ => Ok(()),
        }
    }

    fn refused(&self, what: impl Into<String>, error: rtnetlink::Error) -> DriverError {
        DriverError::Netlink {
            what: what.into(),
            place: self.place.to_string(),
            errno: errno(&error),
            reason: match errno(&error) {
                Some(number) => std::io::Error::from_raw_os_error(number).to_string(),
                None => error.to_string(),
            },
        }
    }
}

/// What to change of a device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkChange {
    /// MAC address.
    pub mac: Option<MacAddr>,
    /// Bytes of the largest IP packet.
    pub mtu: Option<u16>,
    /// Administratively up or down.
    pub up: Option<bool>,
}

fn errno(error: &rtnetlink::Error) -> Option<i32> {
    match error {
        rtnetlink::Error::NetlinkError(message) => Some(message.raw_code().abs()).filter(|code| *code != 0),
        _ => None,
    }
}

/// Whether the kernel gave the device this address: a link-local one, but for that of metadata, which is planned.
fn is_kernels(address: &IpAddr) -> bool {
    const METADATA: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe);
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local() && *address != METADATA)
}

fn link(message: &LinkMessage) -> Option<(String, Link)> {
    let flags = message.header.flags;
    let mut link = Link {
        index: message.header.index,
        mac: MacAddr::default(),
        mtu: 0,
        up: flags.contains(LinkFlags::Up),
        carrier: flags.contains(LinkFlags::LowerUp),
        peer: None,
    };
    let mut name = None;
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(text) => name = Some(text.clone()),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Link(index) => link.peer = Some(*index),
            LinkAttribute::Address(octets) => {
                if let Ok(octets) = <[u8; 6]>::try_from(octets.as_slice()) {
                    link.mac = MacAddr(octets);
                }
            }
            _ => {}
        }
    }
    Some((name?, link))
}

fn rtnetlink_address(index: u32, address: IpNet) -> netlink_packet_route::address::AddressMessage {
    match address {
        IpNet::V4(net) => rtnetlink::AddressMessageBuilder::<Ipv4Addr>::new()
            .index(index)
            .address(net.addr(), net.prefix_len())
            .build(),
        IpNet::V6(net) => rtnetlink::AddressMessageBuilder::<Ipv6Addr>::new()
            .index(index)
            .address(net.addr(), net.prefix_len())
            .build(),
    }
}

/// Destination and ways of a route; none when it is not one of [`Links::routes`].
fn ways(message: &RouteMessage) -> Option<(Destination, Vec<Way>)> {
    let header = &message.header;
    if header.kind != RouteType::Unicast || header.protocol == RouteProtocol::Kernel {
        return None;
    }
    let mut table = u32::from(header.table);
    let mut destination = match header.address_family {
        AddressFamily::Inet => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        AddressFamily::Inet6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
    let (mut device, mut several) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(address)) => destination = IpAddr::V4(*address),
            RouteAttribute::Destination(RouteAddress::Inet6(address)) => destination = IpAddr::V6(*address),
            RouteAttribute::Oif(index) => device = Some(*index),
            RouteAttribute::Table(number) => table = *number,
            RouteAttribute::MultiPath(hops) => several = Some(hops),
            _ => {}
        }
    }
    let ways = match several {
        Some(hops) => {
            let way = |hop: &RouteNextHop| Way { via: next_hop(&hop.attributes), device: hop.interface_index };
            hops.iter().map(way).collect()
        }
        None => vec![Way { via: next_hop(&message.attributes), device: device? }],
    };
    let mark = match table {
        MAIN => None,
        mark if is_mark(mark) => Some(mark),
        _ => return None,
    };
    let net = IpNet::new(destination, header.destination_prefix_length).ok()?;
    Some((Destination { mark, net }, ways))
}

const MAIN: u32 = RouteHeader::RT_TABLE_MAIN as u32;

/// Whether it is a mark, and so the number of a table of ours: all bits are of the mask.
fn is_mark(number: u32) -> bool {
    number != 0 && number & !host_plan::Route::MARK_MASK == 0
}

/// None when it is not one of [`Links::policy_rules`].
fn policy_rule(message: &RuleMessage) -> Option<PolicyRule> {
    let v6 = message.header.family == AddressFamily::Inet6;
    let number = |of: fn(&RuleAttribute) -> Option<u32>| message.attributes.iter().find_map(of);
    let priority = number(|attribute| match attribute {
        RuleAttribute::Priority(priority) => Some(*priority),
        _ => None,
    });
    let mark = number(|attribute| match attribute {
        RuleAttribute::FwMark(mark) => Some(*mark),
        _ => None,
    });
    match (priority?, mark) {
        (BEFORE_MARKS, None) => Some(PolicyRule { v6, mark: None }),
        (BY_MARK, Some(mark)) => Some(PolicyRule { v6, mark: Some(mark) }),
        _ => None,
    }
}

fn policy_message(rule: PolicyRule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = if rule.v6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
    message.header.action = RuleAction::ToTable;
    message.attributes = match rule.mark {
        None => {
            vec![RuleAttribute::Priority(BEFORE_MARKS), RuleAttribute::Table(MAIN), RuleAttribute::SuppressPrefixLen(0)]
        }
        Some(mark) => vec![
            RuleAttribute::Priority(BY_MARK),
            RuleAttribute::Table(mark),
            RuleAttribute::FwMark(mark),
            RuleAttribute::FwMask(host_plan::Route::MARK_MASK),
        ],
    };
    message
}

fn next_hop(attributes: &[RouteAttribute]) -> Option<IpAddr> {
    attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(address)) => Some(IpAddr::V4(*address)),
        RouteAttribute::Gateway(RouteAddress::Inet6(address)) => Some(IpAddr::V6(*address)),
        _ => None,
    })
}

fn route_message(destination: Destination, ways: &BTreeSet<Way>, protocol: RouteProtocol) -> RouteMessage {
    let mut message = match destination.net {
        IpNet::V4(net) => {
            RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(net.network(), net.prefix_len()).build()
        }
        IpNet::V6(net) => {
            RouteMessageBuilder::<Ipv6Addr>::new().destination_prefix(net.network(), net.prefix_len()).build()
        }
    };
    message.header.protocol = protocol;
    if let Some(mark) = destination.mark {
        // The header's field is too small for its number.
        message.header.table = RouteHeader::RT_TABLE_UNSPEC;
        message.attributes.push(RouteAttribute::Table(mark));
    }
    // The kernel wants to hear that nobody stands between.
    if matches!(destination.net, IpNet::V4(_)) && ways.iter().all(|way| way.via.is_none()) {
        message.header.scope = RouteScope::Link;
    }
    let gateway = |way: &Way| way.via.map(|via| RouteAttribute::Gateway(via.into()));
    if ways.len() == 1 {
        message
            .attributes
            .extend(ways.iter().flat_map(|way| [Some(RouteAttribute::Oif(way.device)), gateway(way)]).flatten());
    } else {
        let hop = |way: &Way| {
            let mut hop = RouteNextHop::default();
            hop.interface_index = way.device;
            hop.attributes.extend(gateway(way));
            hop
        };
        message.attributes.push(RouteAttribute::MultiPath(ways.iter().map(hop).collect()));
    }
    message
}
