//! Routed networks: which subnets are on which segments, and the routes between them.

use crate::ModelError;
use crate::subnet::{Route, ip_version};
use net_types::{IpNet, NetworkId, SubnetId};
use std::net::IpAddr;
use uuid::Uuid;

/// What a subnet holds of which segment; `network:routed` subnets have none though their network's others have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnSegment {
    /// The subnet.
    pub id: SubnetId,
    /// Its prefix.
    pub cidr: IpNet,
    /// Its gateway.
    pub gateway_ip: Option<IpAddr>,
    /// Its segment.
    pub segment_id: Option<Uuid>,
    /// Whether it is for addresses that are routed to, of which no segment is.
    pub is_routed: bool,
}

/// All of a network's subnets are on segments, or none is. `others` does not have the new subnet.
pub fn check_new(
    network_id: NetworkId,
    others: &[OnSegment],
    segment_id: Option<Uuid>,
    is_routed: bool,
) -> Result<(), ModelError> {
    let with_segment = |on: &OnSegment| on.segment_id.is_some();
    let mixed = others.iter().filter(|on| !on.is_routed).any(|on| with_segment(on) != segment_id.is_some());
    if mixed && !is_routed { Err(ModelError::SubnetsNotAllAssociatedWithSegments { network_id }) } else { Ok(()) }
}

/// A subnet can be put on a segment later only while it is its network's only one, and the network has one segment.
pub fn check_move(
    network_id: NetworkId,
    all: &[OnSegment],
    old: Option<Uuid>,
    new: Option<Uuid>,
    segments: u64,
) -> Result<(), ModelError> {
    if old == new {
        return Ok(());
    }
    if all.iter().filter(|on| !on.is_routed).count() > 1 {
        return Err(ModelError::SubnetsNotAllAssociatedWithSegments { network_id });
    }
    if old.is_some() {
        return Err(ModelError::SubnetSegmentAssociationChangeNotAllowed);
    }
    if segments > 1 {
        return Err(ModelError::NoUpdateSubnetWhenMultipleSegmentsOnNetwork { network_id });
    }
    Ok(())
}

/// The routes by which hosts of a subnet reach the network's subnets of the same IP version on other segments: through its
/// gateway. `taken` are the destinations that the subnet has routes to already.
pub fn peer_routes(all: &[OnSegment], of: &OnSegment, taken: &[IpNet]) -> Vec<Route> {
    let (Some(segment), Some(nexthop)) = (of.segment_id, of.gateway_ip) else { return Vec::new() };
    let version = ip_version(of.cidr.addr());
    let is_peer = |peer: &&OnSegment| {
        peer.segment_id.is_some_and(|other| other != segment)
            && ip_version(peer.cidr.addr()) == version
            && !taken.contains(&peer.cidr)
    };
    let mut routes: Vec<Route> =
        all.iter().filter(is_peer).map(|peer| Route { destination: peer.cidr, nexthop }).collect();
    routes.sort_unstable();
    routes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(n: u8, segment: Option<u128>) -> OnSegment {
        OnSegment {
            id: SubnetId(Uuid::from_u128(n.into())),
            cidr: format!("10.0.{n}.0/24").parse().unwrap(),
            gateway_ip: Some([10, 0, n, 1].into()),
            segment_id: segment.map(Uuid::from_u128),
            is_routed: false,
        }
    }

    #[test]
    fn all_on_segments_or_none() {
        let network = NetworkId(Uuid::nil());
        let segment = Some(Uuid::from_u128(7));
        assert!(check_new(network, &[], segment, false).is_ok());
        assert!(check_new(network, &[on(1, Some(7))], segment, false).is_ok());
        assert!(check_new(network, &[on(1, None)], segment, false).is_err());
        assert!(check_new(network, &[on(1, Some(7))], None, false).is_err());
        assert!(check_new(network, &[on(1, Some(7))], None, true).is_ok());
        assert!(check_new(network, &[OnSegment { is_routed: true, ..on(1, None) }], segment, false).is_ok());
    }

    #[test]
    fn the_first_subnet_alone_may_get_a_segment_later() {
        let network = NetworkId(Uuid::nil());
        let (seven, eight) = (Some(Uuid::from_u128(7)), Some(Uuid::from_u128(8)));
        let check = |all: &[OnSegment], old, new, segments| {
            check_move(network, all, old, new, segments).map_err(|error| error.type_name())
        };
        assert_eq!(check(&[on(1, None)], None, seven, 1), Ok(()));
        assert_eq!(check(&[on(1, Some(7))], seven, seven, 2), Ok(()));
        assert_eq!(check(&[on(1, None), on(2, None)], None, seven, 1), Err("SubnetsNotAllAssociatedWithSegments"));
        assert_eq!(check(&[on(1, Some(7))], seven, eight, 2), Err("SubnetSegmentAssociationChangeNotAllowed"));
        assert_eq!(check(&[on(1, None)], None, seven, 2), Err("NoUpdateSubnetWhenMultipleSegmentsOnNetwork"));
    }

    #[test]
    fn a_segments_hosts_learn_the_way_to_the_others() {
        let all = [on(1, Some(7)), on(2, Some(8)), on(3, Some(7)), on(4, Some(9))];
        let routes = |taken: &[IpNet]| -> Vec<String> {
            peer_routes(&all, &all[0], taken)
                .iter()
                .map(|route| format!("{} {}", route.destination, route.nexthop))
                .collect()
        };
        assert_eq!(routes(&[]), ["10.0.2.0/24 10.0.1.1", "10.0.4.0/24 10.0.1.1"]);
        assert_eq!(routes(&["10.0.4.0/24".parse().unwrap()]), ["10.0.2.0/24 10.0.1.1"]);
        assert!(peer_routes(&all, &OnSegment { gateway_ip: None, ..all[0].clone() }, &[]).is_empty());
    }
}
