//! Subnets: their prefix, gateway, allocation pools, DNS servers, host routes and IPv6 modes.

use crate::{IpRange, ModelError, ip_range};
use net_types::{IpNet, NetworkId, PortId, SubnetId};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// Neutron's `max_dns_nameservers`.
pub const MAX_DNS_NAMESERVERS: usize = 5;
/// Neutron's `max_subnet_host_routes`.
pub const MAX_HOST_ROUTES: usize = 20;

/// How hosts of an IPv6 subnet get their addresses (`ipv6_address_mode`), and what routers announce (`ipv6_ra_mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ipv6Mode {
    /// RFC 4862: prefix and MAC address give the address.
    Slaac,
    /// Address by SLAAC, everything else by DHCPv6.
    Dhcpv6Stateless,
    /// Address by DHCPv6.
    Dhcpv6Stateful,
}

impl Ipv6Mode {
    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Slaac => "slaac",
            Self::Dhcpv6Stateless => "dhcpv6-stateless",
            Self::Dhcpv6Stateful => "dhcpv6-stateful",
        }
    }

    /// Whether hosts form their addresses themselves.
    pub fn is_auto_address(self) -> bool {
        self != Self::Dhcpv6Stateful
    }
}

impl FromStr for Ipv6Mode {
    type Err = ModelError;
    fn from_str(text: &str) -> Result<Self, ModelError> {
        [Self::Slaac, Self::Dhcpv6Stateless, Self::Dhcpv6Stateful]
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .ok_or_else(|| ModelError::invalid(format!("'{text}' is not an IPv6 mode")))
    }
}

/// What the rules need to know of a subnet to address ports in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    /// Its id.
    pub id: SubnetId,
    /// Its prefix, without host bits.
    pub cidr: IpNet,
    /// The address of its router, if it has one.
    pub gateway_ip: Option<IpAddr>,
    /// `ipv6_address_mode`.
    pub ipv6_address_mode: Option<Ipv6Mode>,
    /// `ipv6_ra_mode`.
    pub ipv6_ra_mode: Option<Ipv6Mode>,
}

impl Subnet {
    /// Whether every port of the network gets an address here that its MAC address gives.
    pub fn is_auto_address(&self) -> bool {
        [self.ipv6_address_mode, self.ipv6_ra_mode].into_iter().flatten().any(Ipv6Mode::is_auto_address)
    }

    /// 4 or 6.
    pub fn ip_version(&self) -> u8 {
        ip_version(self.cidr.addr())
    }
}

/// A route that hosts of a subnet learn by DHCP, or that a router is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Route {
    /// Where to.
    pub destination: IpNet,
    /// By which router.
    pub nexthop: IpAddr,
}

impl fmt::Display for Route {
    /// As Neutron's messages print a route: a Python dictionary.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{'destination': '{}', 'nexthop': '{}'}}", self.destination, self.nexthop)
    }
}

/// 4 or 6.
pub fn ip_version(addr: IpAddr) -> u8 {
    if addr.is_ipv4() { 4 } else { 6 }
}

/// A subnet as a request describes it; what is not given has been left to the rules.
#[derive(Debug, Clone)]
pub struct NewSubnet {
    /// 4 or 6: `ip_version`.
    pub ip_version: u8,
    /// The prefix as given, host bits and all.
    pub cidr: IpNet,
    /// Whether the prefix stands in for one that a router will be delegated.
    pub delegated: bool,
    /// Not given: the first host address. `Some(None)`: no gateway.
    pub gateway_ip: Option<Option<IpAddr>>,
    /// Not given: all of the subnet but the gateway.
    pub allocation_pools: Option<Vec<AllocationPool>>,
    /// DNS servers for DHCP clients.
    pub dns_nameservers: Vec<IpAddr>,
    /// Routes for DHCP clients.
    pub host_routes: Vec<Route>,
    /// Whether DHCP serves it.
    pub enable_dhcp: bool,
    /// How hosts get addresses.
    pub ipv6_address_mode: Option<Ipv6Mode>,
    /// What routers announce.
    pub ipv6_ra_mode: Option<Ipv6Mode>,
}

/// `{"start", "end"}` as a request gives it: perhaps of two versions, or backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllocationPool {
    /// Lowest address.
    pub start: IpAddr,
    /// Highest address.
    pub end: IpAddr,
}

/// What the rules make of a [`NewSubnet`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubnetPlan {
    /// The prefix without host bits.
    pub cidr: IpNet,
    /// The gateway, if it has one.
    pub gateway_ip: Option<IpAddr>,
    /// The pools, in the order given.
    pub allocation_pools: Vec<IpRange>,
}

/// Checks a new subnet against itself, its network's MTU and the network's other prefixes, and fills in what was not given.
///
/// `others` are the prefixes of the network's other subnets; `mtu` is the network's, 0 when it has none.
pub fn plan_subnet(
    net_id: NetworkId,
    mtu: u32,
    others: &[IpNet],
    wanted: &NewSubnet,
) -> Result<SubnetPlan, ModelError> {
    let version = wanted.ip_version;
    check_version(version, wanted.cidr.addr(), "cidr", &wanted.cidr)?;
    let cidr = wanted.cidr.trunc();
    if !wanted.delegated {
        check_prefix(cidr, wanted.enable_dhcp)?;
    }
    if let Some(Some(gateway)) = wanted.gateway_ip {
        check_gateway(version, cidr, gateway)?;
    }
    check_dns_nameservers(None, version, &wanted.dns_nameservers)?;
    check_host_routes(None, version, &wanted.host_routes)?;
    check_ipv6_modes(version, cidr, wanted.enable_dhcp, wanted.ipv6_ra_mode, wanted.ipv6_address_mode)?;
    check_mtu(net_id, mtu, [version])?;

    let gateway_ip = match wanted.gateway_ip {
        Some(given) => given,
        None => {
            let gateway = default_gateway(cidr);
            if is_network_or_broadcast(cidr, gateway) {
                return Err(ModelError::IpamValueInvalid { gateway_ip: gateway, cidr });
            }
            Some(gateway)
        }
    };
    let allocation_pools = match &wanted.allocation_pools {
        None => default_pools(cidr, gateway_ip),
        Some(pools) => check_pools(cidr, gateway_ip, pools)?,
    };
    check_overlap(net_id, others, cidr)?;
    Ok(SubnetPlan { cidr, gateway_ip, allocation_pools })
}

/// Refuses prefixes that cannot be subnets, and those that DHCP cannot serve.
fn check_prefix(cidr: IpNet, enable_dhcp: bool) -> Result<(), ModelError> {
    if cidr.prefix_len() == 0 {
        return Err(ModelError::invalid("0 is not allowed as CIDR prefix length"));
    }
    if cidr.network() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        return Err(ModelError::invalid("IPv6 subnet '::' is not supported"));
    }
    if enable_dhcp { check_dhcp_possible(cidr) } else { Ok(()) }
}

/// Whether DHCP can serve the prefix; asked when a subnet is made with DHCP, and when DHCP is switched on later.
pub fn check_dhcp_possible(cidr: IpNet) -> Result<(), ModelError> {
    let refuse = |text: &str| Err(ModelError::invalid(text));
    if cidr.prefix_len() + 2 > cidr.max_prefix_len() {
        return refuse("Subnet has a prefix length that is incompatible with DHCP service enabled");
    }
    let (first, last) = (cidr.network(), cidr.broadcast());
    if first.is_multicast() && last.is_multicast() {
        return refuse("Multicast IP subnet is not supported if enable_dhcp is True");
    }
    if first.is_loopback() {
        return refuse("Loopback IP subnet is not supported if enable_dhcp is True");
    }
    if first == IpAddr::V4(Ipv4Addr::UNSPECIFIED) {
        return refuse("First IP '0.0.0.0' of network is not supported if enable_dhcp is True.");
    }
    Ok(())
}

/// The gateway when the request leaves it open: the first host address (the subnet-router anycast address of IPv6,
/// as Neutron has it).
pub fn default_gateway(cidr: IpNet) -> IpAddr {
    match cidr.network() {
        first @ IpAddr::V4(_) => ip_range::next(first).unwrap_or(first),
        first @ IpAddr::V6(_) => first,
    }
}

/// Checks a gateway that a request names. One outside the prefix is taken to be reachable on the link.
pub fn check_gateway(version: u8, cidr: IpNet, gateway: IpAddr) -> Result<(), ModelError> {
    check_version(version, gateway, "gateway_ip", &gateway)?;
    if is_network_or_broadcast(cidr, gateway) {
        return Err(ModelError::invalid("Gateway is not valid on subnet"));
    }
    Ok(())
}

/// Of IPv4 these two addresses of a prefix are no host's.
fn is_network_or_broadcast(cidr: IpNet, addr: IpAddr) -> bool {
    addr.is_ipv4() && (addr == cidr.network() || addr == cidr.broadcast())
}

/// Refuses to move or remove a gateway whose address a router's port has.
///
/// `router_port` is that port, looked up under the current gateway's address.
pub fn check_gateway_change(
    current: Option<IpAddr>,
    new: Option<IpAddr>,
    router_port: Option<PortId>,
) -> Result<(), ModelError> {
    match (current, router_port) {
        (Some(ip_address), Some(port_id)) if new != current => Err(ModelError::GatewayIpInUse { ip_address, port_id }),
        _ => Ok(()),
    }
}

/// The addresses that hosts may have: in IPv4 not the network's and broadcast address (unless /31 or /32), in IPv6 not
/// the subnet-router anycast address.
fn host_range(cidr: IpNet) -> IpRange {
    let whole = IpRange::of_net(cidr);
    let host_bits = cidr.max_prefix_len() - cidr.prefix_len();
    let (first, last) = match cidr {
        IpNet::V4(_) if host_bits <= 1 => return whole,
        IpNet::V6(_) if host_bits == 0 => return whole,
        IpNet::V4(_) => (ip_range::next(whole.first()), ip_range::previous(whole.last())),
        IpNet::V6(_) => (ip_range::next(whole.first()), Some(whole.last())),
    };
    first.zip(last).and_then(|(first, last)| IpRange::new(first, last)).unwrap_or(whole)
}

/// The pools of a subnet whose request names none: every host address but the gateway's.
pub fn default_pools(cidr: IpNet, gateway: Option<IpAddr>) -> Vec<IpRange> {
    let hosts = host_range(cidr);
    match gateway {
        // A subnet of one address gives it out even if the gateway has it, as Neutron does.
        Some(gateway) if hosts.size() > 1 || cidr.prefix_len() != cidr.max_prefix_len() => {
            hosts.without(gateway).collect()
        }
        _ => vec![hosts],
    }
}

/// Checks the pools that a request names: addresses of the subnet, rising, apart from each other and from the gateway.
pub fn check_pools(cidr: IpNet, gateway: Option<IpAddr>, pools: &[AllocationPool]) -> Result<Vec<IpRange>, ModelError> {
    let mut ranges = Vec::with_capacity(pools.len());
    for pool in pools {
        let range = IpRange::new(pool.start, pool.end).ok_or_else(|| ModelError::InvalidAllocationPool {
            pool: format!("{{'start': '{}', 'end': '{}'}}", pool.start, pool.end),
        })?;
        ranges.push(range);
    }
    let hosts = match cidr {
        // Of an IPv6 subnet of one address that address cannot be a pool: Neutron's check begins after it.
        IpNet::V6(_) if cidr.prefix_len() == cidr.max_prefix_len() => None,
        _ => Some(host_range(cidr)),
    };
    for range in &ranges {
        if ip_version(range.first()) != ip_version(cidr.addr()) {
            return Err(ModelError::InvalidAllocationPool { pool: range.to_string() });
        }
        if !hosts.is_some_and(|hosts| hosts.contains_range(range)) {
            return Err(ModelError::OutOfBoundsAllocationPool { pool: range.to_string(), subnet_cidr: cidr });
        }
    }
    for (index, left) in ranges.iter().enumerate() {
        if let Some(right) = ranges.iter().skip(index + 1).find(|right| right.overlaps(left)) {
            let (pool_1, pool_2) = (left.to_string(), right.to_string());
            return Err(ModelError::OverlappingAllocationPools { pool_1, pool_2, subnet_cidr: cidr });
        }
    }
    check_gateway_outside_pools(gateway, &ranges)?;
    Ok(ranges)
}

/// Refuses a gateway whose address a pool would hand out.
pub fn check_gateway_outside_pools(gateway: Option<IpAddr>, pools: &[IpRange]) -> Result<(), ModelError> {
    let Some(ip_address) = gateway else { return Ok(()) };
    match pools.iter().find(|pool| pool.contains(ip_address)) {
        Some(pool) => Err(ModelError::GatewayConflictWithAllocationPools { ip_address, pool: pool.to_string() }),
        None => Ok(()),
    }
}

/// Refuses a prefix that shares addresses with another of the network.
fn check_overlap(network_id: NetworkId, others: &[IpNet], cidr: IpNet) -> Result<(), ModelError> {
    if others.iter().any(|other| overlap(*other, cidr)) {
        return Err(ModelError::invalid(format!(
            "Requested subnet with cidr: {cidr} for network: {network_id} overlaps with another subnet"
        )));
    }
    Ok(())
}

/// Whether two prefixes share addresses.
pub fn overlap(a: IpNet, b: IpNet) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}

/// Checks the DNS servers of a subnet; `subnet` is `None` for a new one.
pub fn check_dns_nameservers(subnet: Option<SubnetId>, version: u8, servers: &[IpAddr]) -> Result<(), ModelError> {
    if servers.len() > MAX_DNS_NAMESERVERS {
        return Err(ModelError::DNSNameServersExhausted { subnet_id: name_of(subnet), quota: MAX_DNS_NAMESERVERS });
    }
    servers.iter().try_for_each(|server| check_version(version, *server, "dns_nameserver", server))
}

/// Checks the host routes of a subnet; `subnet` is `None` for a new one.
pub fn check_host_routes(subnet: Option<SubnetId>, version: u8, routes: &[Route]) -> Result<(), ModelError> {
    if routes.len() > MAX_HOST_ROUTES {
        return Err(ModelError::HostRoutesExhausted { subnet_id: name_of(subnet), quota: MAX_HOST_ROUTES });
    }
    routes.iter().try_for_each(|route| {
        check_version(version, route.nexthop, "nexthop", &route.nexthop)?;
        check_version(version, route.destination.addr(), "destination", &route.destination)
    })
}

/// Checks the IPv6 modes of a new subnet.
fn check_ipv6_modes(
    version: u8,
    cidr: IpNet,
    enable_dhcp: bool,
    ra_mode: Option<Ipv6Mode>,
    address_mode: Option<Ipv6Mode>,
) -> Result<(), ModelError> {
    if version == 4 {
        return match (ra_mode, address_mode) {
            (Some(_), _) => Err(ModelError::invalid("ipv6_ra_mode is not valid when ip_version is 4")),
            (_, Some(_)) => Err(ModelError::invalid("ipv6_address_mode is not valid when ip_version is 4")),
            _ => Ok(()),
        };
    }
    if (ra_mode.is_some() || address_mode.is_some()) && !enable_dhcp {
        return Err(ModelError::invalid(
            "ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False",
        ));
    }
    if let (Some(ra), Some(address)) = (ra_mode, address_mode)
        && ra != address
    {
        return Err(ModelError::invalid(format!(
            "ipv6_ra_mode set to '{}' with ipv6_address_mode set to '{}' is not valid. \
             If both attributes are set, they must be the same value",
            ra.as_str(),
            address.as_str()
        )));
    }
    let auto = [ra_mode, address_mode].into_iter().flatten().any(Ipv6Mode::is_auto_address);
    if auto && cidr.prefix_len() != 64 {
        return Err(ModelError::invalid(format!(
            "Invalid CIDR {cidr} for IPv6 address mode. OpenStack uses the EUI-64 address format, which requires the \
             prefix to be /64"
        )));
    }
    Ok(())
}

/// Refuses to switch DHCP off on a subnet whose hosts rely on an IPv6 mode.
pub fn check_dhcp_disable(subnet: &Subnet) -> Result<(), ModelError> {
    if subnet.ipv6_ra_mode.is_some() || subnet.ipv6_address_mode.is_some() {
        return Err(ModelError::invalid("Cannot disable enable_dhcp with ipv6 attributes set"));
    }
    Ok(())
}

/// Refuses an MTU below what the IP versions of the network's subnets need: 68 (RFC 791) and 1280 (RFC 8200). 0: no MTU.
pub fn check_mtu(net_id: NetworkId, mtu: u32, versions: impl IntoIterator<Item = u8>) -> Result<(), ModelError> {
    const IPV4_MIN_MTU: u32 = 68;
    const IPV6_MIN_MTU: u32 = 1280;
    for version in versions {
        if mtu == 0 {
            continue;
        }
        if mtu < IPV4_MIN_MTU {
            return Err(ModelError::NetworkMTUSubnetConflict { net_id, mtu: IPV4_MIN_MTU });
        }
        if version == 6 && mtu < IPV6_MIN_MTU {
            return Err(ModelError::NetworkMTUSubnetConflict { net_id, mtu: IPV6_MIN_MTU });
        }
    }
    Ok(())
}

fn name_of(subnet: Option<SubnetId>) -> String {
    subnet.map_or_else(|| "new subnet".to_owned(), |id| id.to_string())
}

fn check_version(version: u8, addr: IpAddr, name: &str, text: &dyn fmt::Display) -> Result<(), ModelError> {
    if ip_version(addr) == version {
        return Ok(());
    }
    Err(ModelError::invalid(format!("{name} '{text}' does not match the ip_version '{version}'")))
}

#[cfg(test)]
mod tests;
