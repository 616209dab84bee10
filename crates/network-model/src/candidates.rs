//! Which of a network's subnets a port may have addresses of: those for devices of its kind (`service_types`), and, where a
//! network is routed between segments, those of the segment that the port's host is on.
//!
//! In: the subnets with what they are for, and what is known of the port. Out: the subnets among which addresses are then
//! planned (`crate::fixed_ips`), or that this has to wait until the port has a host.

use crate::fixed_ips::{FixedIp, FixedIpRequest};
use crate::subnet::Subnet;
use crate::{ModelError, device_owner};
use net_types::{NetworkId, PortId};
use std::collections::BTreeSet;
use uuid::Uuid;

/// A subnet, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedSubnet {
    /// The subnet.
    pub subnet: Subnet,
    /// Owners of devices that it is for; none: any.
    pub service_types: Vec<String>,
    /// The segment that it is on; none: on all of its network's.
    pub segment_id: Option<Uuid>,
    /// Whether DHCP serves it.
    pub enable_dhcp: bool,
}

/// The port, as far as the choice depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Device<'a> {
    /// Its network.
    pub network_id: NetworkId,
    /// Its `device_owner`.
    pub owner: &'a str,
    /// The host that it is or shall be bound to; empty: none.
    pub host: &'a str,
    /// The network's segments that this host reaches.
    pub reached: &'a BTreeSet<Uuid>,
}

/// What addresses can come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Candidates {
    /// These, the ones that are for this kind of device first.
    Subnets(Vec<Subnet>),
    /// Nothing yet: the segment is known when the port has a host.
    Deferred,
}

impl Candidates {
    /// The subnets; none while it has to wait.
    pub fn subnets(self) -> Vec<Subnet> {
        match self {
            Self::Subnets(subnets) => subnets,
            Self::Deferred => Vec::new(),
        }
    }
}

/// Chooses among the subnets of a network; `request` is `fixed_ips` if the port has it.
pub fn candidates(
    subnets: &[PlacedSubnet],
    device: &Device<'_>,
    request: Option<&[FixedIpRequest]>,
) -> Result<Candidates, ModelError> {
    let fits = |placed: &&PlacedSubnet| placed.is_for(device.owner);
    let mut found: Vec<&PlacedSubnet> = match request {
        // On its host's segments, and on those subnets that are on all.
        _ if !device.host.is_empty() => {
            let reached = |placed: &&PlacedSubnet| placed.segment_id.is_none_or(|id| device.reached.contains(&id));
            subnets.iter().filter(fits).filter(reached).collect()
        }
        // What is asked for says the segment.
        Some(entries) => match asked_segment(subnets, device, entries)? {
            Some(segment) => subnets.iter().filter(fits).filter(|placed| placed.segment_id == segment).collect(),
            None => subnets.iter().filter(fits).collect(),
        },
        None => subnets.iter().filter(fits).filter(|placed| placed.segment_id.is_none()).collect(),
    };
    if found.is_empty() {
        return nothing_fits(subnets, device);
    }
    found.sort_by_key(|placed| placed.service_types.is_empty());
    Ok(Candidates::Subnets(found.into_iter().map(|placed| placed.subnet.clone()).collect()))
}

/// Why no subnet would do, and whether that is wrong.
fn nothing_fits(subnets: &[PlacedSubnet], device: &Device<'_>) -> Result<Candidates, ModelError> {
    let network_id = device.network_id;
    if !device.host.is_empty() && subnets.iter().any(|placed| placed.segment_id.is_some()) {
        return Err(ModelError::HostNotConnectedToAnySegment { host: device.host.to_owned(), network_id });
    }
    if subnets.is_empty() {
        return Ok(Candidates::Subnets(Vec::new()));
    }
    if subnets.iter().any(|placed| placed.is_for(device.owner)) {
        return Ok(Candidates::Deferred);
    }
    let service_type = device.owner.to_owned();
    Err(ModelError::IpAddressGenerationFailureNoMatchingSubnet { network_id, service_type })
}

/// The one segment (or none: `Some(None)`) of all that a request asks for; nothing when it asks for what the network does not
/// have, which is refused later in better words.
fn asked_segment(
    subnets: &[PlacedSubnet],
    device: &Device<'_>,
    entries: &[FixedIpRequest],
) -> Result<Option<Option<Uuid>>, ModelError> {
    // What is on every host is on every segment.
    if device.owner == device_owner::DISTRIBUTED || subnets.iter().all(|placed| placed.segment_id.is_none()) {
        return Ok(None);
    }
    let mut segments = BTreeSet::new();
    for entry in entries {
        let asked = subnets.iter().find(|placed| match (entry.subnet_id, entry.ip_address) {
            (Some(id), _) => placed.subnet.id == id,
            (None, Some(ip)) => placed.subnet.cidr.contains(&ip),
            (None, None) => false,
        });
        let Some(asked) = asked else { return Ok(None) };
        segments.insert(asked.segment_id);
    }
    if segments.len() > 1 {
        return Err(ModelError::FixedIpsSubnetsNotOnSameSegment);
    }
    Ok(Some(segments.pop_first().flatten()))
}

/// Refuses a host on which the addresses that a port has would lead nowhere.
pub fn check_host(
    subnets: &[PlacedSubnet],
    device: &Device<'_>,
    port_id: PortId,
    current: &[FixedIp],
) -> Result<(), ModelError> {
    let valid = candidates(subnets, device, None)?.subnets();
    if current.iter().all(|ip| valid.iter().any(|subnet| subnet.id == ip.subnet_id)) {
        return Ok(());
    }
    Err(ModelError::HostNotCompatibleWithFixedIps { host: device.host.to_owned(), port_id })
}

impl PlacedSubnet {
    fn is_for(&self, owner: &str) -> bool {
        self.service_types.is_empty()
            || self.service_types.iter().any(|kind| kind == owner)
            || (owner == device_owner::DHCP && self.enable_dhcp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use net_types::SubnetId;

    fn placed(n: u8, service_types: &[&str], segment: Option<u128>) -> PlacedSubnet {
        PlacedSubnet {
            subnet: Subnet {
                id: SubnetId(Uuid::from_u128(n.into())),
                cidr: format!("10.0.{n}.0/24").parse().unwrap(),
                gateway_ip: None,
                ipv6_address_mode: None,
                ipv6_ra_mode: None,
            },
            service_types: service_types.iter().map(|kind| (*kind).to_owned()).collect(),
            segment_id: segment.map(Uuid::from_u128),
            enable_dhcp: true,
        }
    }

    fn chosen(
        subnets: &[PlacedSubnet],
        owner: &str,
        host: &str,
        reached: &[u128],
        request: Option<&[FixedIpRequest]>,
    ) -> Result<Vec<u128>, &'static str> {
        let reached = reached.iter().copied().map(Uuid::from_u128).collect();
        let device = Device { network_id: NetworkId(Uuid::nil()), owner, host, reached: &reached };
        match candidates(subnets, &device, request) {
            Ok(Candidates::Subnets(subnets)) => Ok(subnets.iter().map(|subnet| subnet.id.0.as_u128()).collect()),
            Ok(Candidates::Deferred) => Err("deferred"),
            Err(error) => Err(error.type_name()),
        }
    }

    #[test]
    fn subnets_for_a_kind_of_device_come_first_and_serve_no_other() {
        let subnets =
            [placed(1, &[], None), placed(2, &["compute:nova"], None), placed(3, &["network:floatingip"], None)];
        assert_eq!(chosen(&subnets, "compute:nova", "", &[], None), Ok(vec![2, 1]));
        assert_eq!(chosen(&subnets, "", "h", &[], None), Ok(vec![1]));
        assert_eq!(chosen(&subnets, "network:dhcp", "", &[], None), Ok(vec![2, 3, 1]));
        assert_eq!(chosen(&subnets[1..], "", "", &[], None), Err("IpAddressGenerationFailureNoMatchingSubnet"));
        assert_eq!(chosen(&[], "", "", &[], None), Ok(vec![]));
    }

    #[test]
    fn a_routed_networks_subnets_are_those_of_the_hosts_segment() {
        let subnets = [placed(1, &[], Some(7)), placed(2, &[], Some(8))];
        assert_eq!(chosen(&subnets, "", "", &[], None), Err("deferred"));
        assert_eq!(chosen(&subnets, "", "h", &[8], None), Ok(vec![2]));
        assert_eq!(chosen(&subnets, "", "h", &[], None), Err("HostNotConnectedToAnySegment"));
        let of = |ip: &str| FixedIpRequest { subnet_id: None, ip_address: Some(ip.parse().unwrap()) };
        assert_eq!(chosen(&subnets, "", "", &[], Some(&[of("10.0.2.9")])), Ok(vec![2]));
        let both = [of("10.0.2.9"), of("10.0.1.9")];
        assert_eq!(chosen(&subnets, "", "", &[], Some(&both)), Err("FixedIpsSubnetsNotOnSameSegment"));
        assert_eq!(chosen(&subnets, "network:distributed", "", &[], Some(&both)), Ok(vec![1, 2]));
        assert_eq!(chosen(&subnets, "", "", &[], Some(&[of("192.0.2.1")])), Ok(vec![1, 2]));
    }

    #[test]
    fn addresses_bind_a_port_to_their_segment() {
        let subnets = [placed(1, &[], Some(7)), placed(2, &[], Some(8))];
        let port = PortId(Uuid::from_u128(9));
        let ip = FixedIp { subnet_id: subnets[0].subnet.id, ip_address: "10.0.1.9".parse().unwrap() };
        let on = |segment| {
            let reached = BTreeSet::from([Uuid::from_u128(segment)]);
            let device = Device { network_id: NetworkId(Uuid::nil()), owner: "", host: "h", reached: &reached };
            check_host(&subnets, &device, port, &[ip]).map_err(|error| error.type_name())
        };
        assert_eq!((on(7), on(8)), (Ok(()), Err("HostNotCompatibleWithFixedIps")));
    }
}
