use super::*;
use crate::row::RouterHosts;
use host_view::Subnet;
use net_types::{FloatingIpId, SubnetId};
use uuid::Uuid;

fn subnet(network: NetworkId) -> Subnet {
    Subnet {
        network,
        cidr: "10.0.0.0/24".parse().unwrap(),
        gateway: None,
        enable_dhcp: true,
        dns_nameservers: Vec::new(),
        host_routes: Vec::new(),
        ipv6_address_mode: None,
        ipv6_ra_mode: None,
        address_scope: None,
    }
}

fn noted(before: &Topology, changes: &[RowChange]) -> Agenda {
    let mut agenda = Agenda::default();
    changes.iter().for_each(|change| agenda.note(before, change));
    agenda
}

#[test]
fn a_change_calls_for_a_look_at_what_it_is_about_only() {
    let (network, other) = (NetworkId(Uuid::from_u128(1)), NetworkId(Uuid::from_u128(2)));
    let router = RouterId(Uuid::from_u128(3));
    let id = SubnetId(Uuid::from_u128(4));
    let mut before = Topology::default();
    before.apply(RowChange::Subnet(id, Some(subnet(network))));

    let gone = noted(&before, &[RowChange::Subnet(id, None)]);
    assert_eq!((gone.networks(), gone.routers()), (vec![Some(network)], vec![]), "what it was the subnet of");
    let moved = noted(&before, &[RowChange::Subnet(id, Some(subnet(other)))]);
    assert_eq!(moved.networks(), [Some(network), Some(other)]);
    let several = noted(
        &before,
        &[
            RowChange::Network(network, None),
            RowChange::DhcpHosts(network, BTreeSet::new()),
            RowChange::Router(router, None),
            RowChange::RouterHosts(router, RouterHosts::default()),
            RowChange::FloatingIp(FloatingIpId(Uuid::from_u128(5)), None),
        ],
    );
    assert_eq!((several.networks(), several.routers()), (vec![Some(network)], vec![Some(router)]));
    assert!(noted(&before, &[RowChange::Group(Uuid::from_u128(6).into(), None)]).is_empty());
    let host = noted(&before, &[RowChange::Router(router, None), RowChange::Host("a".to_owned(), None)]);
    assert_eq!((host.networks(), host.routers()), (vec![None], vec![None]), "who can serve concerns all");
}

#[test]
fn calls_add_up_until_they_are_taken() {
    let some = |from: u128, to: u128| Agenda::Some {
        networks: (from..to).map(|id| NetworkId(Uuid::from_u128(id))).collect(),
        routers: BTreeSet::new(),
    };
    let calls = Calls::default();
    calls.call(some(0, 2));
    calls.call(some(1, 3));
    assert_eq!(calls.take(), some(0, 3));
    assert!(calls.take().is_empty());
    calls.call(Agenda::Everything);
    calls.call(some(0, 1));
    assert!(calls.take().is_everything());
}
