//! Metadata: a proxy in the namespaces through which instances reach 169.254.169.254 and fe80::a9fe:a9fe.
//!
//! ```text
//! routed     instance ── qr-<port>, 169.254.169.254:80, mark 0x1 ── redirect to :9697 ── proxy in qrouter-<router>
//! isolated   instance ── tap<port>, which has 169.254.169.254/32 and fe80::a9fe:a9fe/128 ── :80, proxy in qdhcp-<network>
//! proxy ── who has this address? ── X-Instance-ID, X-Tenant-ID, signed, from the host's own namespace ──▶ metadata service
//! ```
//! In: `metadata_clients`, networks and routers of this host, [`MetadataConfig`](crate::MetadataConfig). Out: a
//! [`MetadataProxy`] per namespace, and what the namespace needs so that it is reached. A network is isolated when a subnet
//! of it that DHCP serves has no router of ours as its gateway; with `force` every network with DHCP counts as isolated. What
//! comes to the proxy's port in a router by any other way than an inside device lacks the mark, and is dropped. An address
//! that two instances have behind one router is nobody's.

use crate::services::{MetadataInstance, MetadataProxy};
use crate::wiring::Wiring;
use host_view::{Dhcp, MetadataClient, Subnet};
use net_types::{IpNet, MacAddr, NetworkId};
use nft_rules::{Chain, Family, Field, Hook, Kind, Rule, Statement, Table, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where instances ask for metadata.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// The same by IPv6, on the link of the instance.
pub(crate) const ADDRESS_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe);
/// The port that instances ask on.
const PORT: u16 = 80;
/// The port that a router's proxy listens on (`metadata_port`).
pub(crate) const ROUTER_PORT: u16 = 9697;

/// The filter table of a router, beside that of address translation.
pub(crate) const TABLE: &str = "neutronium-metadata";
/// Bits of the packet mark that say where a packet is from (Neutron's `ROUTER_MARK_MASK`).
const MARK_MASK: u32 = 0xffff;
/// To the proxy, by an inside device (`metadata_access_mark`).
const FROM_INSIDE: u32 = 0x1;

/// Whether no router of ours leads from this subnet to metadata.
pub(crate) fn is_isolated(dhcp: &Dhcp, subnet: &Subnet) -> bool {
    !subnet.gateway.is_some_and(|gateway| dhcp.routers.contains(&gateway))
}

/// The proxy of a network that this host serves with DHCP on `device`, and the addresses that the device needs for it.
pub(crate) fn of_network(
    wiring: &Wiring<'_>,
    id: NetworkId,
    dhcp: &Dhcp,
    device: &str,
) -> Option<(MetadataProxy, BTreeSet<IpNet>)> {
    let config = &wiring.config.metadata;
    let mut served = wiring.subnets_of(id).filter(|subnet| subnet.enable_dhcp);
    let wanted = config.proxy && (config.force || config.isolated && served.any(|subnet| is_isolated(dhcp, subnet)));
    if !wanted {
        return None;
    }
    let mut addresses: Vec<IpAddr> = vec![ADDRESS.into()];
    if wiring.subnets_of(id).any(|subnet| subnet.cidr.addr().is_ipv6()) {
        addresses.push(ADDRESS_V6.into());
    }
    let proxy = MetadataProxy {
        name: id.to_string(),
        device: Some(device.to_owned()),
        listens: addresses.iter().map(|address| SocketAddr::new(*address, PORT)).collect(),
        clients: clients(wiring, &[id].into()),
    };
    Some((proxy, addresses.into_iter().map(IpNet::from).collect()))
}

/// The proxy of a router that leads to these networks.
pub(crate) fn of_router(wiring: &Wiring<'_>, name: String, networks: &BTreeSet<NetworkId>) -> MetadataProxy {
    let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), ROUTER_PORT);
    MetadataProxy { name, device: None, listens: [any].into(), clients: clients(wiring, networks) }
}

/// What leads from a router's inside devices to its proxy, for both families.
pub(crate) fn tables() -> [Table; 2] {
    [(Family::Ip, Field::IpDaddr, IpAddr::from(ADDRESS)), (Family::Ip6, Field::Ip6Daddr, ADDRESS_V6.into())].map(
        |(family, destination, address)| {
            let asked = || {
                Rule::new()
                    .is(Field::IifName, "qr-*")
                    .is(destination, Value::Address(address))
                    .is(Field::TcpDport, u32::from(PORT))
            };
            let mark = Statement::SetMark { value: FROM_INSIDE, mask: MARK_MASK };
            let mut table = Table::new(family, TABLE);
            table
                .chain("from_inside", Chain::base(Kind::Filter, Hook::Prerouting, -150).rule(asked().then(mark)))
                // Before address translation has a look.
                .chain(
                    "to_proxy",
                    Chain::base(Kind::Nat, Hook::Prerouting, -101).rule(asked().then(Statement::Redirect(ROUTER_PORT))),
                )
                .chain(
                    "proxy_access",
                    Chain::base(Kind::Filter, Hook::Input, 0).rule(
                        Rule::new()
                            .is(Field::TcpDport, u32::from(ROUTER_PORT))
                            .masked_is_not(Field::MetaMark, MARK_MASK, FROM_INSIDE)
                            .then(Statement::Drop),
                    ),
                );
            table
        },
    )
}

/// Who asks, by address: those of the port, and the link-local one that follows from its MAC.
fn clients(wiring: &Wiring<'_>, networks: &BTreeSet<NetworkId>) -> BTreeMap<IpAddr, MetadataInstance> {
    let mut found: BTreeMap<IpAddr, Option<MetadataInstance>> = BTreeMap::new();
    for client in networks.iter().filter_map(|network| wiring.metadata_clients.get(network)).flatten() {
        let instance = || MetadataInstance { instance: client.instance.clone(), project: client.project.clone() };
        for address in addresses(client) {
            let known = found.entry(address).or_insert_with(|| Some(instance()));
            if known.as_ref().is_some_and(|known| *known != instance()) {
                *known = None;
            }
        }
    }
    found.into_iter().filter_map(|(address, instance)| Some((address, instance?))).collect()
}

fn addresses(client: &MetadataClient) -> impl Iterator<Item = IpAddr> + '_ {
    let has_v6 = client.addresses.iter().any(IpAddr::is_ipv6);
    client.addresses.iter().copied().chain(has_v6.then(|| link_local(client.mac).into()))
}

/// The address that a device gives itself (EUI-64, RFC 4291 appendix A).
fn link_local(mac: MacAddr) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.0;
    let id = u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
    Ipv6Addr::from_bits(0xfe80 << 112 | u128::from(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_devices_own_address_follows_from_its_mac() {
        let address = link_local("fa:16:3e:c3:ac:c9".parse().unwrap());
        assert_eq!(address.to_string(), "fe80::f816:3eff:fec3:acc9");
        assert_eq!(ADDRESS_V6.to_string(), "fe80::a9fe:a9fe");
    }
}
