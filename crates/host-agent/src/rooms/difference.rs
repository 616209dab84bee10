//! What must change in a namespace, as values: pure.
//!
//! In: the plan of a namespace and what netlink says is in it. Out: the changes, in the order in which they are safe:
//! devices up, new addresses before old ones go, routes after the addresses that they lean on.

use host_drivers::links::{Destination, Link, LinkChange, PolicyRule, Routes, Way};
use host_plan::{Device, Namespace};
use net_types::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What netlink says of a namespace.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    pub links: BTreeMap<String, Link>,
    /// By the device's number.
    pub addresses: BTreeMap<u32, BTreeSet<IpNet>>,
    pub routes: Routes,
    pub rules: BTreeSet<PolicyRule>,
    /// Addresses that devices answer for on behalf of others, by the device's number.
    pub proxied: BTreeMap<u32, BTreeSet<IpAddr>>,
}

/// One message to the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Set { index: u32, change: LinkChange },
    AddAddress { index: u32, address: IpNet },
    DeleteAddress { index: u32, address: IpNet },
    AddProxy { index: u32, address: IpAddr },
    DeleteProxy { index: u32, address: IpAddr },
    ReplaceRoute { destination: Destination, ways: BTreeSet<Way> },
    DeleteRoute { destination: Destination, ways: BTreeSet<Way> },
    AddRule(PolicyRule),
    DeleteRule(PolicyRule),
}

/// What must change at one device that is there.
pub(crate) fn device(plan: &Device, found: &Found, link: &Link) -> Vec<Change> {
    let index = link.index;
    let change = LinkChange {
        mac: (link.mac != plan.mac).then_some(plan.mac),
        mtu: (link.mtu != u32::from(plan.mtu)).then_some(plan.mtu),
        up: (!link.up).then_some(true),
    };
    let none = BTreeSet::new();
    let have = found.addresses.get(&index).unwrap_or(&none);
    let set = (change != LinkChange::default()).then_some(Change::Set { index, change });
    let add = plan.addresses.difference(have).map(|address| Change::AddAddress { index, address: *address });
    let delete = have.difference(&plan.addresses).map(|address| Change::DeleteAddress { index, address: *address });
    let (nothing, proxied) = (BTreeSet::new(), found.proxied.get(&index));
    let proxied = proxied.unwrap_or(&nothing);
    let stand_in = plan.proxied.difference(proxied).map(|address| Change::AddProxy { index, address: *address });
    let stand_back = proxied.difference(&plan.proxied).map(|address| Change::DeleteProxy { index, address: *address });
    set.into_iter().chain(add).chain(delete).chain(stand_in).chain(stand_back).collect()
}

/// What must change among the routes and the rules that choose among them; routes through a device that is not there have to
/// wait for it.
pub(crate) fn routes(plan: &Namespace, found: &Found) -> Vec<Change> {
    let mut wanted = Routes::new();
    let mut rules = BTreeSet::new();
    for route in &plan.routes {
        let Some(link) = found.links.get(&route.device) else { continue };
        let way = Way { via: route.via, device: link.index };
        let destination = Destination { mark: route.mark, net: route.destination.trunc() };
        wanted.entry(destination).or_default().insert(way);
        if route.mark.is_some() {
            let v6 = destination.net.addr().is_ipv6();
            rules.extend([None, route.mark].map(|mark| PolicyRule { v6, mark }));
        }
    }
    // Direct routes first: a next hop may lie behind one of them.
    let missing = wanted.iter().filter(|(destination, ways)| found.routes.get(*destination) != Some(*ways));
    let (direct, by_somebody): (Vec<_>, Vec<_>) =
        missing.partition(|(_, ways)| ways.iter().any(|way| way.via.is_none()));
    let owned = |(destination, ways): (&Destination, &BTreeSet<Way>)| (*destination, ways.clone());
    // Ways to the same destination are replaced in one step, so that there is no moment without.
    let set = direct.into_iter().chain(by_somebody).map(owned);
    let set = set.map(|(destination, ways)| Change::ReplaceRoute { destination, ways });
    let stale = found.routes.iter().filter(|(destination, _)| !wanted.contains_key(*destination)).map(owned);
    let stale = stale.map(|(destination, ways)| Change::DeleteRoute { destination, ways });
    // Nothing is looked up in a table that is not filled.
    let add = rules.difference(&found.rules).copied().map(Change::AddRule).collect::<Vec<_>>();
    let delete = found.rules.difference(&rules).copied().map(Change::DeleteRule).collect::<Vec<_>>();
    set.chain(add).chain(delete).chain(stale).collect()
}

/// Devices of ours that nobody wants any more.
pub(crate) fn stale_devices<'f>(plan: &Namespace, found: &'f Found) -> Vec<&'f String> {
    let ours = |name: &str| ["tap", "qr-", "sg-", "qg-"].iter().any(|prefix| name.starts_with(prefix));
    found.links.keys().filter(|name| ours(name) && !plan.devices.contains_key(*name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use host_plan::{Attachment, Route as PlannedRoute};
    use net_types::{MacAddr, PortId};

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn nets(texts: &[&str]) -> BTreeSet<IpNet> {
        texts.iter().map(|text| net(text)).collect()
    }

    const MAC: MacAddr = MacAddr([0xfa, 0x16, 0x3e, 1, 2, 3]);

    fn planned(addresses: &[&str]) -> Device {
        Device {
            port: PortId(uuid::Uuid::nil()),
            mac: MAC,
            mtu: 1450,
            addresses: nets(addresses),
            proxied: BTreeSet::new(),
            attachment: Attachment::Veth,
            checksum_offload: false,
            announce: true,
            sysctls: BTreeMap::new(),
        }
    }

    fn link(index: u32) -> Link {
        Link { index, mac: MAC, mtu: 1450, up: true, carrier: true, peer: None }
    }

    fn to_net(text: &str) -> Destination {
        net(text).into()
    }

    fn by(hops: &[&str]) -> BTreeSet<Way> {
        hops.iter().map(|via| Way { via: Some(via.parse().unwrap()), device: 7 }).collect()
    }

    fn found(addresses: &[&str], routes: &[(&str, &str)]) -> Found {
        Found {
            links: [("lo".to_owned(), link(1)), ("qr-1".to_owned(), link(7)), ("qg-old".to_owned(), link(8))].into(),
            addresses: [(7, nets(addresses))].into(),
            routes: routes.iter().map(|(to, via)| (to_net(to), by(&[via]))).collect(),
            rules: BTreeSet::new(),
            proxied: BTreeMap::new(),
        }
    }

    #[test]
    fn a_device_as_planned_needs_nothing() {
        let found = found(&["10.0.0.1/24"], &[]);
        assert_eq!(device(&planned(&["10.0.0.1/24"]), &found, &link(7)), []);
    }

    #[test]
    fn new_addresses_come_before_old_ones_go() {
        let found = found(&["10.0.0.1/24"], &[]);
        let down = Link { up: false, mtu: 1500, ..link(7) };
        let change = LinkChange { mac: None, mtu: Some(1450), up: Some(true) };
        assert_eq!(
            device(&planned(&["10.0.0.2/24"]), &found, &down),
            [
                Change::Set { index: 7, change },
                Change::AddAddress { index: 7, address: net("10.0.0.2/24") },
                Change::DeleteAddress { index: 7, address: net("10.0.0.1/24") },
            ]
        );
    }

    #[test]
    fn a_route_that_changes_its_next_hops_is_replaced() {
        let route = |to: &str, via: &str, device: &str| PlannedRoute {
            destination: net(to),
            via: Some(via.parse().unwrap()),
            device: device.to_owned(),
            mark: None,
        };
        let plan = Namespace {
            routes: [
                route("0.0.0.0/0", "10.0.0.2", "qr-1"),
                route("0.0.0.0/0", "10.0.0.3", "qr-1"),
                route("10.9.0.0/16", "10.0.0.9", "absent"),
            ]
            .into(),
            devices: [("qr-1".to_owned(), planned(&[]))].into(),
            ..Namespace::default()
        };
        let plan = Namespace {
            routes: plan
                .routes
                .into_iter()
                .chain([PlannedRoute {
                    destination: net("192.0.2.1/32"),
                    via: None,
                    device: "qr-1".to_owned(),
                    mark: None,
                }])
                .collect(),
            ..plan
        };
        let found = found(&[], &[("0.0.0.0/0", "10.0.0.1"), ("10.5.0.0/16", "10.0.0.5")]);
        let changes = routes(&plan, &found);
        let direct = [Way { via: None, device: 7 }].into();
        assert_eq!(
            changes,
            [
                Change::ReplaceRoute { destination: to_net("192.0.2.1/32"), ways: direct },
                Change::ReplaceRoute { destination: to_net("0.0.0.0/0"), ways: by(&["10.0.0.2", "10.0.0.3"]) },
                Change::DeleteRoute { destination: to_net("10.5.0.0/16"), ways: by(&["10.0.0.5"]) },
            ]
        );
        assert_eq!(stale_devices(&plan, &found), ["qg-old"]);
    }

    #[test]
    fn rules_follow_the_routes_of_marked_packets() {
        let route = |mark| PlannedRoute {
            destination: net("0.0.0.0/0"),
            via: Some("10.0.0.2".parse().unwrap()),
            device: "qr-1".to_owned(),
            mark,
        };
        let plan = Namespace { routes: [route(None), route(Some(0x300))].into(), ..Namespace::default() };
        let old = PolicyRule { v6: false, mark: Some(0x200) };
        let mut found = found(&[], &[("0.0.0.0/0", "10.0.0.2")]);
        found.rules = [old].into();
        let marked = Destination { mark: Some(0x300), net: net("0.0.0.0/0") };
        assert_eq!(
            routes(&plan, &found),
            [
                Change::ReplaceRoute { destination: marked, ways: by(&["10.0.0.2"]) },
                Change::AddRule(PolicyRule { v6: false, mark: None }),
                Change::AddRule(PolicyRule { v6: false, mark: Some(0x300) }),
                Change::DeleteRule(old),
            ]
        );
    }
}
