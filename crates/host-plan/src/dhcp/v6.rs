//! DHCPv6: who is answered, and with what.
//!
//! ```text
//! ipv6_address_mode      the client gets
//!   dhcpv6-stateful      the addresses that the API gave it, DNS servers, domain, its own options
//!   dhcpv6-stateless     all of that but addresses, which it makes by itself
//!   slaac                no answer
//!   none, and no RA mode as stateful: somebody else's router leads the client here
//! ```
//! In: the network's DHCP port, clients and subnets. Out: a [`Dhcp6Server`], when a subnet wants one. Like Neutron's, it serves
//! no prefix shorter than 64 bits.

use super::{dns_servers, extra_options, hostname};
use crate::names;
use crate::services::{Dhcp6Client, Dhcp6Server};
use host_view::{Dhcp, DhcpClient, HostView, Port, Subnet};
use net_types::{NetworkId, SubnetId};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

pub(super) fn server(
    view: &HostView,
    network: NetworkId,
    dhcp: &Dhcp,
    port: &Port,
    clients: &[&DhcpClient],
) -> Option<Dhcp6Server> {
    let served = |id: &SubnetId| view.subnets.get(id).is_some_and(|subnet| mode_of(subnet).is_some());
    let subnets: BTreeSet<SubnetId> = port.fixed_ips.iter().map(|fixed| fixed.subnet).filter(served).collect();
    if subnets.is_empty() {
        return None;
    }
    let clients =
        clients.iter().filter_map(|other| Some((other.mac, client(view, dhcp, port, &subnets, other)?))).collect();
    Some(Dhcp6Server { network, device: names::tap(dhcp.port), mac: port.mac, clients })
}

fn client(
    view: &HostView,
    dhcp: &Dhcp,
    own: &Port,
    served: &BTreeSet<SubnetId>,
    client: &DhcpClient,
) -> Option<Dhcp6Client> {
    let mut told: Vec<(SubnetId, &Subnet, Ipv6Addr)> = vec![];
    for fixed in client.fixed_ips.iter().filter(|fixed| served.contains(&fixed.subnet)) {
        if let (Some(subnet), IpAddr::V6(address)) = (view.subnets.get(&fixed.subnet), fixed.address) {
            told.push((fixed.subnet, subnet, address));
        }
    }
    let (_, _, first) = told.first()?;
    let mut servers: Vec<Ipv6Addr> = vec![];
    for server in told.iter().flat_map(|(id, subnet, _)| dns_servers(dhcp, own, *id, subnet)) {
        match server {
            IpAddr::V6(server) if !servers.contains(&server) => servers.push(server),
            _ => {}
        }
    }
    let stateful = told.iter().filter(|(_, subnet, _)| mode_of(subnet) == Some(Mode::Stateful));
    Some(Dhcp6Client {
        addresses: stateful.map(|(_, _, address)| *address).collect(),
        lease_seconds: dhcp.lease_seconds,
        dns_servers: servers,
        domain: dhcp.domain.clone(),
        hostname: hostname(client, IpAddr::V6(*first)),
        options: extra_options::v6(client),
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Stateful,
    Stateless,
}

fn mode_of(subnet: &Subnet) -> Option<Mode> {
    if !subnet.enable_dhcp || !subnet.cidr.addr().is_ipv6() || subnet.cidr.prefix_len() < 64 {
        return None;
    }
    match (subnet.ipv6_address_mode.as_deref(), subnet.ipv6_ra_mode.as_deref()) {
        (Some("dhcpv6-stateful"), _) | (None, None) => Some(Mode::Stateful),
        (Some("dhcpv6-stateless"), _) => Some(Mode::Stateless),
        _ => None,
    }
}
