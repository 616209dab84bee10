//! Which addresses a port shall have: what a request asks for, and what IPv6 autoconfiguration gives without being asked.
//!
//! The rules say *what* to allocate ([`Wanted`]); taking the address is [`crate::free_addresses`] and the unique key of
//! the allocations. What is wanted exactly comes first, so that it is not given away to an entry that would take any.

use crate::{ModelError, device_owner, subnet::Subnet};
use net_types::{IpNet, MacAddr, NetworkId, PortId, SubnetId};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv6Addr},
};

/// An address that a port has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FixedIp {
    /// Of which subnet.
    pub subnet_id: SubnetId,
    /// The address.
    pub ip_address: IpAddr,
}

/// An entry of `fixed_ips` as a request gives it: a subnet, an address, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FixedIpRequest {
    /// Of which subnet; not given: of the one that has the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet_id: Option<SubnetId>,
    /// Which address; not given: any of the subnet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<IpAddr>,
}

/// One address to allocate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// This address, or [`ModelError::IpAddressAlreadyAllocated`].
    Exactly(FixedIp),
    /// Any free address of the first of these subnets that has one, or [`ModelError::IpAddressGenerationFailure`].
    AnyOf(Vec<SubnetId>),
}

/// What the addresses of a port depend on.
#[derive(Debug, Clone, Copy)]
pub struct Addressing<'a> {
    /// The port's network.
    pub net_id: NetworkId,
    /// All subnets of the network.
    pub subnets: &'a [Subnet],
    /// The port's `device_owner`.
    pub device_owner: &'a str,
    /// The port's MAC address.
    pub mac: MacAddr,
}

/// What changes in a port's addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FixedIpChange {
    /// Stay as they are.
    pub keep: Vec<FixedIp>,
    /// Are given back, before the next are taken.
    pub remove: Vec<FixedIp>,
    /// Are allocated.
    pub add: Vec<Wanted>,
}

/// The addresses of a new port.
///
/// `request` is `fixed_ips` if the body has it. A subnet that it names and that does not exist at all is the caller's to
/// refuse ([`ModelError::SubnetNotFound`]); one of another network is refused here.
pub fn plan_new(port: &Addressing<'_>, request: Option<&[FixedIpRequest]>) -> Result<Vec<Wanted>, ModelError> {
    let mut wanted = match request {
        Some(entries) => port.requested(entries)?,
        None => port.by_default(),
    };
    wanted.extend(port.automatic(&BTreeSet::new()));
    Ok(exact_first(wanted))
}

/// The change of an existing port's addresses, for a new `fixed_ips`, a new MAC address (`port.mac`), or both.
pub fn plan_change(
    port: &Addressing<'_>,
    current: &[FixedIp],
    request: Option<&[FixedIpRequest]>,
    mac_changed: bool,
) -> Result<FixedIpChange, ModelError> {
    let mut change = FixedIpChange::default();
    match request {
        None => change.keep = current.to_vec(),
        Some(entries) => {
            let mut unclaimed = current.to_vec();
            let mut new = Vec::new();
            // Entries with an address claim theirs first, then those of a subnet only what is left of it.
            for entry in entries.iter().filter(|entry| entry.ip_address.is_some()) {
                match unclaimed.iter().position(|ip| Some(ip.ip_address) == entry.ip_address) {
                    Some(index) => change.keep.push(unclaimed.remove(index)),
                    None => new.push(*entry),
                }
            }
            for entry in entries.iter().filter(|entry| entry.ip_address.is_none()) {
                let own = |ip: &FixedIp| Some(ip.subnet_id) == entry.subnet_id && !is_eui64(ip.ip_address);
                match unclaimed.iter().position(own) {
                    Some(index) => change.keep.push(unclaimed.remove(index)),
                    None => new.push(*entry),
                }
            }
            for ip in unclaimed {
                if port.must_be_asked_for(ip.subnet_id) { change.remove.push(ip) } else { change.keep.push(ip) }
            }
            change.add = port.requested(&new)?;
        }
    }
    if mac_changed {
        let (stale, keep): (Vec<_>, Vec<_>) = std::mem::take(&mut change.keep)
            .into_iter()
            .partition(|ip| is_eui64(ip.ip_address) && !port.must_be_asked_for(ip.subnet_id));
        change.keep = keep;
        change.remove.extend(stale);
    }
    if request.is_some() || mac_changed {
        let handled = change.keep.iter().map(|ip| ip.subnet_id).chain(change.add.iter().filter_map(Wanted::subnet));
        let automatic = port.automatic(&handled.collect());
        change.add.extend(automatic);
    }
    change.add = exact_first(change.add);
    Ok(change)
}

/// Refuses to change the IPv4 address of a router's interface by way of its port.
pub fn check_router_port_change(
    port_id: PortId,
    owner: &str,
    subnets: &[Subnet],
    change: &FixedIpChange,
) -> Result<(), ModelError> {
    let fixed = device_owner::is_router_interface_or_snat(owner) || owner == device_owner::ROUTER_HA_INTERFACE;
    let is_v4 = |id: SubnetId| subnets.iter().any(|subnet| subnet.id == id && subnet.ip_version() == 4);
    let added = change.add.iter().filter_map(Wanted::subnet);
    if fixed && change.remove.iter().map(|ip| ip.subnet_id).chain(added).any(is_v4) {
        return Err(ModelError::bad("ports", format!("IP updates for port {port_id} are not allowed")));
    }
    Ok(())
}

/// Whether `addr` may be an address of a host in `cidr`: in IPv4 not the network's and broadcast address, in IPv6 the
/// subnet-router anycast address only for routers.
pub fn is_host_address(cidr: IpNet, addr: IpAddr, owner: &str) -> bool {
    if !cidr.contains(&addr) {
        return false;
    }
    match cidr {
        // A /31 or /32 has neither a network's nor a broadcast address (RFC 3021).
        IpNet::V4(v4) => v4.prefix_len() > 30 || (addr != v4.network() && addr != v4.broadcast()),
        IpNet::V6(v6) => owner.is_empty() || device_owner::is_router_interface(owner) || addr != v6.network(),
    }
}

impl Wanted {
    /// The subnet that it is of, or shall be of first.
    pub fn subnet(&self) -> Option<SubnetId> {
        match self {
            Self::Exactly(ip) => Some(ip.subnet_id),
            Self::AnyOf(subnets) => subnets.first().copied(),
        }
    }
}

impl Addressing<'_> {
    /// One IPv4 and one IPv6 address, where the network has subnets for them whose addresses are handed out.
    fn by_default(&self) -> Vec<Wanted> {
        [4, 6]
            .into_iter()
            .map(|version| {
                let fit = |subnet: &&Subnet| subnet.ip_version() == version && !subnet.is_auto_address();
                self.subnets.iter().filter(fit).map(|subnet| subnet.id).collect::<Vec<_>>()
            })
            .filter(|subnets| !subnets.is_empty())
            .map(Wanted::AnyOf)
            .collect()
    }

    /// What the entries of a request ask for.
    fn requested(&self, entries: &[FixedIpRequest]) -> Result<Vec<Wanted>, ModelError> {
        let mut wanted = Vec::with_capacity(entries.len());
        for entry in entries {
            let subnet = self.subnet_of(entry)?;
            match entry.ip_address {
                Some(ip_address) => {
                    let expected = self.eui64(subnet).map(IpAddr::V6);
                    let free_choice = device_owner::is_router_interface(self.device_owner);
                    if !free_choice && expected.is_some_and(|expected| expected != ip_address) {
                        let (ip, subnet_id) = (ip_address, subnet.id);
                        return Err(ModelError::AllocationOnAutoAddressSubnet { ip, subnet_id });
                    }
                    // The automatic address comes by itself, see `automatic`.
                    if free_choice || expected.is_none() {
                        wanted.push(Wanted::Exactly(FixedIp { subnet_id: subnet.id, ip_address }));
                    }
                }
                None if self.must_be_asked_for(subnet.id) => wanted.push(Wanted::AnyOf(vec![subnet.id])),
                None => {}
            }
        }
        Ok(wanted)
    }

    fn subnet_of(&self, entry: &FixedIpRequest) -> Result<&Subnet, ModelError> {
        if self.subnets.is_empty() {
            return Err(ModelError::invalid("IP allocation requires subnets for network"));
        }
        let fits = |subnet: &Subnet, addr| is_host_address(subnet.cidr, addr, self.device_owner);
        match (entry.subnet_id, entry.ip_address) {
            (Some(subnet_id), addr) => {
                let subnet = self.subnets.iter().find(|subnet| subnet.id == subnet_id).ok_or_else(|| {
                    ModelError::invalid(format!(
                        "Failed to create port on network {}, because fixed_ips included invalid subnet {subnet_id}",
                        self.net_id
                    ))
                })?;
                match addr.filter(|addr| !fits(subnet, *addr)) {
                    Some(ip_address) => Err(ModelError::InvalidIpForSubnet { ip_address }),
                    None => Ok(subnet),
                }
            }
            (None, Some(ip_address)) => self
                .subnets
                .iter()
                .find(|subnet| fits(subnet, ip_address))
                .ok_or(ModelError::InvalidIpForNetwork { ip_address }),
            (None, None) => Err(ModelError::invalid("IP allocation requires subnet_id or ip_address")),
        }
    }

    /// The addresses of SLAAC subnets that are not in `handled`: every port but a router's has one in each.
    fn automatic(&self, handled: &BTreeSet<SubnetId>) -> Vec<Wanted> {
        if device_owner::is_router_interface_or_snat(self.device_owner) {
            return Vec::new();
        }
        let address = |subnet: &Subnet| {
            let ip_address = self.eui64(subnet)?.into();
            Some(Wanted::Exactly(FixedIp { subnet_id: subnet.id, ip_address }))
        };
        self.subnets.iter().filter(|subnet| !handled.contains(&subnet.id)).filter_map(address).collect()
    }

    /// The address that SLAAC gives in a subnet; nothing where it does not.
    fn eui64(&self, subnet: &Subnet) -> Option<Ipv6Addr> {
        match subnet.cidr {
            IpNet::V6(cidr) if subnet.is_auto_address() => Some(self.mac.eui64(cidr.network())),
            _ => None,
        }
    }

    /// Whether a port has an address of the subnet only when a request says so.
    fn must_be_asked_for(&self, subnet_id: SubnetId) -> bool {
        device_owner::is_router_interface_or_snat(self.device_owner)
            || !self.subnets.iter().any(|subnet| subnet.id == subnet_id && subnet.is_auto_address())
    }
}

/// Whether the interface identifier looks like one made from a MAC address (RFC 4291, appendix A).
fn is_eui64(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(_) => false,
        IpAddr::V6(v6) => {
            let octets = v6.octets();
            octets[11] == 0xff && octets[12] == 0xfe
        }
    }
}

fn exact_first(mut wanted: Vec<Wanted>) -> Vec<Wanted> {
    wanted.sort_by_key(|entry| matches!(entry, Wanted::AnyOf(_)));
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subnet::Ipv6Mode;

    const V4: u8 = 1;
    const OTHER_V4: u8 = 2;
    const STATEFUL: u8 = 3;
    const SLAAC: u8 = 4;

    fn id(n: u8) -> SubnetId {
        SubnetId(uuid::Uuid::from_u128(n.into()))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn subnets() -> Vec<Subnet> {
        let make = |n, cidr: &str, mode| Subnet {
            id: id(n),
            cidr: cidr.parse().unwrap(),
            gateway_ip: None,
            ipv6_address_mode: mode,
            ipv6_ra_mode: mode,
        };
        vec![
            make(V4, "10.0.0.0/24", None),
            make(OTHER_V4, "10.0.1.0/24", None),
            make(STATEFUL, "fd00::/64", Some(Ipv6Mode::Dhcpv6Stateful)),
            make(SLAAC, "fd01::/64", Some(Ipv6Mode::Slaac)),
        ]
    }

    fn port<'a>(subnets: &'a [Subnet], device_owner: &'a str) -> Addressing<'a> {
        let net_id = "5a0fa2a2-6d5c-4a2c-8f0e-0d0c1c1d2e3f".parse().unwrap();
        Addressing { net_id, subnets, device_owner, mac: MacAddr([0xfa, 0x16, 0x3e, 1, 2, 3]) }
    }

    fn entry(subnet: Option<u8>, addr: Option<&str>) -> FixedIpRequest {
        FixedIpRequest { subnet_id: subnet.map(id), ip_address: addr.map(ip) }
    }

    fn fixed(n: u8, addr: &str) -> FixedIp {
        FixedIp { subnet_id: id(n), ip_address: ip(addr) }
    }

    const SLAAC_ADDR: &str = "fd01::f816:3eff:fe01:203";

    #[test]
    fn by_default_one_of_each_version_and_every_automatic_one() {
        let subnets = subnets();
        let all = plan_new(&port(&subnets, ""), None).unwrap();
        assert_eq!(
            all,
            [
                Wanted::Exactly(fixed(SLAAC, SLAAC_ADDR)),
                Wanted::AnyOf(vec![id(V4), id(OTHER_V4)]),
                Wanted::AnyOf(vec![id(STATEFUL)])
            ]
        );
        assert_eq!(plan_new(&port(&[], ""), None), Ok(vec![]));
        assert_eq!(
            plan_new(&port(&subnets, ""), Some(&[])),
            Ok(vec![Wanted::Exactly(fixed(SLAAC, SLAAC_ADDR))]),
            "no address is asked for, but SLAAC does not ask"
        );
        assert_eq!(plan_new(&port(&subnets, device_owner::ROUTER_INTERFACE), Some(&[])), Ok(vec![]));
    }

    #[test]
    fn entries_name_a_subnet_an_address_or_both() {
        let subnets = &subnets()[..3];
        let plan = |entries: &[FixedIpRequest]| plan_new(&port(subnets, ""), Some(entries));
        let mixed =
            plan(&[entry(Some(V4), None), entry(None, Some("10.0.1.7")), entry(Some(V4), Some("10.0.0.9"))]).unwrap();
        assert_eq!(
            mixed,
            [
                Wanted::Exactly(fixed(OTHER_V4, "10.0.1.7")),
                Wanted::Exactly(fixed(V4, "10.0.0.9")),
                Wanted::AnyOf(vec![id(V4)])
            ]
        );
        let refusal = |entries: &[FixedIpRequest]| plan(entries).unwrap_err().to_string();
        assert!(refusal(&[entry(Some(V4), Some("10.0.1.7"))]).ends_with("not a valid IP for the specified subnet."));
        assert!(refusal(&[entry(None, Some("10.0.0.255"))]).contains("any of the subnets on the specified network"));
        assert!(refusal(&[entry(None, None)]).contains("requires subnet_id or ip_address"));
        assert!(refusal(&[entry(Some(9), None)]).contains("fixed_ips included invalid subnet"));
        let no_subnets = plan_new(&port(&[], ""), Some(&[entry(None, Some("10.0.0.1"))])).unwrap_err();
        assert!(no_subnets.to_string().contains("requires subnets for network"));
    }

    #[test]
    fn on_a_slaac_subnet_only_the_automatic_address_may_be_named() {
        let subnets = subnets();
        let plain = port(&subnets, "");
        let error = plan_new(&plain, Some(&[entry(Some(SLAAC), Some("fd01::5"))])).unwrap_err();
        assert_eq!((error.type_name(), error.status()), ("AllocationOnAutoAddressSubnet", 400));
        let once = Ok(vec![Wanted::Exactly(fixed(SLAAC, SLAAC_ADDR))]);
        assert_eq!(plan_new(&plain, Some(&[entry(Some(SLAAC), Some(SLAAC_ADDR))])), once);
        assert_eq!(plan_new(&plain, Some(&[entry(Some(SLAAC), None)])), once);
        let router = port(&subnets, device_owner::ROUTER_INTERFACE);
        let gateway = plan_new(&router, Some(&[entry(Some(SLAAC), Some("fd01::"))]));
        assert_eq!(gateway, Ok(vec![Wanted::Exactly(fixed(SLAAC, "fd01::"))]));
    }

    #[test]
    fn a_change_keeps_what_it_can() {
        let subnets = subnets();
        let plain = port(&subnets, "");
        let current = [fixed(V4, "10.0.0.5"), fixed(OTHER_V4, "10.0.1.5"), fixed(SLAAC, SLAAC_ADDR)];
        let change = plan_change(&plain, &current, Some(&[entry(Some(V4), None)]), false).unwrap();
        assert_eq!(change.keep, [fixed(V4, "10.0.0.5"), fixed(SLAAC, SLAAC_ADDR)]);
        assert_eq!((change.remove, change.add), (vec![fixed(OTHER_V4, "10.0.1.5")], vec![]));

        let entries = [entry(None, Some("10.0.0.6")), entry(Some(OTHER_V4), Some("10.0.1.5"))];
        let change = plan_change(&plain, &current, Some(&entries), false).unwrap();
        assert_eq!(change.remove, [fixed(V4, "10.0.0.5")]);
        assert_eq!(change.add, [Wanted::Exactly(fixed(V4, "10.0.0.6"))]);
        assert_eq!(change.keep, [fixed(OTHER_V4, "10.0.1.5"), fixed(SLAAC, SLAAC_ADDR)]);

        let nothing = plan_change(&plain, &current, None, false).unwrap();
        assert_eq!((nothing.keep.as_slice(), nothing.remove.len(), nothing.add.len()), (&current[..], 0, 0));
    }

    #[test]
    fn a_new_mac_address_moves_the_automatic_address() {
        let subnets = subnets();
        let plain = port(&subnets, "");
        let old = fixed(SLAAC, "fd01::f816:3eff:fe09:909");
        let current = [fixed(V4, "10.0.0.5"), old];
        for request in [None, Some(&[entry(None, Some("10.0.0.5"))][..])] {
            let change = plan_change(&plain, &current, request, true).unwrap();
            assert_eq!((change.keep, change.remove), (vec![fixed(V4, "10.0.0.5")], vec![old]));
            assert_eq!(change.add, [Wanted::Exactly(fixed(SLAAC, SLAAC_ADDR))]);
        }
    }

    #[test]
    fn a_routers_ipv4_address_does_not_change_by_its_port() {
        let subnets = subnets();
        let port_id = "739c4cf2-0b00-4000-8000-000000000000".parse().unwrap();
        let change = FixedIpChange { remove: vec![fixed(V4, "10.0.0.1")], ..FixedIpChange::default() };
        let check = |owner, change: &FixedIpChange| check_router_port_change(port_id, owner, &subnets, change);
        let error = check(device_owner::ROUTER_INTERFACE, &change).unwrap_err();
        assert_eq!(error.to_string(), format!("Bad ports request: IP updates for port {port_id} are not allowed."));
        assert!(check("compute:nova", &change).is_ok());
        let v6 = FixedIpChange { add: vec![Wanted::Exactly(fixed(SLAAC, "fd01::"))], ..FixedIpChange::default() };
        assert!(check(device_owner::ROUTER_INTERFACE, &v6).is_ok());
    }
}
