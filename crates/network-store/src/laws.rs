//! Laws that no order of requests may break: random requests of a project and an administrator, and a look at the tables
//! after each of them. A request may be refused; it may neither fail in the database nor leave things half done.

use crate::floating_ip::{self, FloatingIpCreate, FloatingIpUpdate};
use crate::port::{self, PortCreate, PortUpdate};
use crate::router::{self, RouterUpdate};
use crate::security_group::{self, SecurityGroupCreate};
use crate::testing::{Cloud, ME, floating_ip_request, gateway_info, router_request, subnet_request};
use crate::{NetworkError, Work, network, security_group_rule, subnet};
use net_types::{NetworkId, SubnetId};
use network_model::fixed_ips::FixedIpRequest;
use network_model::free_addresses::free_runs;
use network_model::router::InterfaceRequest;
use network_model::security_group::{Direction, Ethertype};
use network_model::subnet::Route;
use proptest::prelude::*;
use std::net::IpAddr;
use std::str::FromStr;
use store::params;

/// A request; the numbers choose among what there is.
#[derive(Debug, Clone)]
enum Request {
    Port { network: usize, address: Option<u8> },
    MovePort { port: usize, address: u8 },
    DeletePort(usize),
    Subnet { network: usize, third: u8 },
    DeleteSubnet(usize),
    DeleteNetwork(usize),
    Router { gateway: Option<usize> },
    Gateway { router: usize, network: Option<usize> },
    Interface { router: usize, subnet: usize },
    InterfaceByPort { router: usize, port: usize },
    RemoveInterface { router: usize, subnet: usize },
    Routes { router: usize, nexthops: Vec<(u8, u8)> },
    DeleteRouter(usize),
    FloatingIp { network: usize, port: Option<usize> },
    Associate { floating_ip: usize, port: Option<usize> },
    DeleteFloatingIp(usize),
    Group,
    Rule { group: usize, remote: Option<usize>, port: u16 },
    GroupOfPort { port: usize, group: usize },
    DeleteGroup(usize),
}

fn request() -> impl Strategy<Value = Request> {
    use Request::*;
    let n = || 0usize..64;
    let maybe = || proptest::option::of(0usize..64);
    prop_oneof![
        4 => (n(), proptest::option::of(any::<u8>())).prop_map(|(network, address)| Port { network, address }),
        1 => (n(), any::<u8>()).prop_map(|(port, address)| MovePort { port, address }),
        2 => n().prop_map(DeletePort),
        2 => (n(), 0u8..6).prop_map(|(network, third)| Subnet { network, third }),
        1 => n().prop_map(DeleteSubnet),
        1 => n().prop_map(DeleteNetwork),
        2 => maybe().prop_map(|gateway| Router { gateway }),
        2 => (n(), maybe()).prop_map(|(router, network)| Gateway { router, network }),
        4 => (n(), n()).prop_map(|(router, subnet)| Interface { router, subnet }),
        1 => (n(), n()).prop_map(|(router, port)| InterfaceByPort { router, port }),
        2 => (n(), n()).prop_map(|(router, subnet)| RemoveInterface { router, subnet }),
        1 => (n(), proptest::collection::vec((0u8..6, any::<u8>()), 0..3))
            .prop_map(|(router, nexthops)| Routes { router, nexthops }),
        1 => n().prop_map(DeleteRouter),
        3 => (n(), maybe()).prop_map(|(network, port)| FloatingIp { network, port }),
        2 => (n(), maybe()).prop_map(|(floating_ip, port)| Associate { floating_ip, port }),
        1 => n().prop_map(DeleteFloatingIp),
        1 => Just(Group),
        2 => (n(), maybe(), 1u16..9).prop_map(|(group, remote, port)| Rule { group, remote, port }),
        1 => (n(), n()).prop_map(|(port, group)| GroupOfPort { port, group }),
        1 => n().prop_map(DeleteGroup),
    ]
}

/// One of the ids of a table, if it has any.
fn one<T: FromStr<Err: std::fmt::Display>>(
    work: &Work<'_>,
    table: &str,
    number: usize,
) -> Result<Option<T>, NetworkError> {
    let ids: Vec<T> =
        work.tx.query(&format!("SELECT id FROM {table} ORDER BY created_at, id"), &[], |row| row.parse(0))?;
    let index = number.checked_rem(ids.len());
    Ok(index.and_then(|index| ids.into_iter().nth(index)))
}

/// Runs a request on what there is; nothing happens when there is nothing of the kind.
fn run(work: &Work<'_>, request: &Request) -> Result<Option<()>, NetworkError> {
    macro_rules! some {
        ($table:literal, $number:expr) => {
            match one(work, $table, $number)? {
                Some(id) => id,
                None => return Ok(None),
            }
        };
    }
    let address =
        |last: u8| Some(vec![FixedIpRequest { subnet_id: None, ip_address: Some(IpAddr::from([10, 0, 0, last])) }]);
    match *request {
        Request::Port { network, address: last } => {
            let fixed_ips = last.and_then(address);
            let plain = PortCreate::of_service(some!("networks", network), ME, "", "");
            port::create(work, PortCreate { fixed_ips, ..plain })?;
        }
        Request::MovePort { port, address: last } => {
            let change = PortUpdate { fixed_ips: address(last), ..PortUpdate::default() };
            port::update(work, some!("ports", port), change)?;
        }
        Request::DeletePort(port) => port::delete(work, some!("ports", port))?,
        Request::Subnet { network, third } => {
            let cidr = net_types::Ipv4Net::new_assert([10, 0, third, 0].into(), 28).into();
            subnet::create(work, subnet_request(some!("networks", network), cidr))?;
        }
        Request::DeleteSubnet(subnet) => subnet::delete(work, some!("subnets", subnet))?,
        Request::DeleteNetwork(network) => network::delete(work, some!("networks", network))?,
        Request::Router { gateway: network } => {
            let network = match network {
                Some(number) => Some(some!("networks", number)),
                None => None,
            };
            router::create(work, router_request(network))?;
        }
        Request::Gateway { router, network } => {
            let info = match network {
                Some(number) => Some(gateway_info(some!("networks", number))),
                None => None,
            };
            let change = RouterUpdate { external_gateway_info: Some(info), ..RouterUpdate::default() };
            router::update(work, some!("routers", router), change)?;
        }
        Request::Interface { router, subnet } => {
            let subnet: SubnetId = some!("subnets", subnet);
            router::add_interface(work, some!("routers", router), InterfaceRequest::Subnet(subnet))?;
        }
        Request::InterfaceByPort { router, port } => {
            let port = InterfaceRequest::Port(some!("ports", port), None);
            router::add_interface(work, some!("routers", router), port)?;
        }
        Request::RemoveInterface { router, subnet } => {
            let subnet: SubnetId = some!("subnets", subnet);
            router::remove_interface(work, some!("routers", router), InterfaceRequest::Subnet(subnet))?;
        }
        Request::Routes { router, ref nexthops } => {
            let route = |(third, last): &(u8, u8)| Route {
                destination: net_types::Ipv4Net::new_assert([192, 168, *last, 0].into(), 24).into(),
                nexthop: IpAddr::from([10, 0, *third, *last % 16]),
            };
            let routes = Some(nexthops.iter().map(route).collect());
            router::update(work, some!("routers", router), RouterUpdate { routes, ..RouterUpdate::default() })?;
        }
        Request::DeleteRouter(router) => router::delete(work, some!("routers", router))?,
        Request::FloatingIp { network, port } => {
            let port_id = match port {
                Some(number) => Some(some!("ports", number)),
                None => None,
            };
            let request = FloatingIpCreate { port_id, ..floating_ip_request(some!("networks", network)) };
            floating_ip::create(work, &request)?;
        }
        Request::Associate { floating_ip, port } => {
            let port_id = match port {
                Some(number) => Some(some!("ports", number)),
                None => None,
            };
            let change = FloatingIpUpdate { port_id: Some(port_id), ..FloatingIpUpdate::default() };
            floating_ip::update(work, some!("floating_ips", floating_ip), change)?;
        }
        Request::DeleteFloatingIp(id) => floating_ip::delete(work, some!("floating_ips", id))?,
        Request::Group => {
            let (project_id, description) = (ME.to_owned(), String::new());
            let group = SecurityGroupCreate { project_id, name: "g".to_owned(), description, stateful: None };
            security_group::create(work, &group)?;
        }
        Request::Rule { group, remote, port } => {
            let group: net_types::SecurityGroupId = some!("security_groups", group);
            let remote: Option<net_types::SecurityGroupId> = match remote {
                Some(number) => Some(some!("security_groups", number)),
                None => None,
            };
            let rule = security_group_rule::SecurityGroupRuleCreate {
                project_id: ME.to_owned(),
                security_group_id: group.to_string(),
                description: String::new(),
                direction: Direction::Ingress,
                ethertype: Ethertype::IPv4,
                protocol: Some("tcp".to_owned()),
                port_range_min: Some(port),
                port_range_max: Some(port),
                remote_ip_prefix: None,
                remote_group_id: remote.map(|id| id.to_string()),
                remote_address_group_id: None,
            };
            security_group_rule::create(work, vec![rule])?;
        }
        Request::GroupOfPort { port, group } => {
            let groups = Some(vec![some!("security_groups", group)]);
            let change = PortUpdate { security_groups: groups, ..PortUpdate::default() };
            port::update(work, some!("ports", port), change)?;
        }
        Request::DeleteGroup(group) => security_group::delete(work, some!("security_groups", group))?,
    }
    Ok(Some(()))
}

/// Queries that must find nothing.
const NEVER: &[(&str, &str)] = &[
    (
        "a gateway's port without its router",
        "SELECT 1 FROM ports WHERE device_owner = 'network:router_gateway'
             AND id NOT IN (SELECT port_id FROM router_gateways)",
    ),
    (
        "a first gateway that is none of the router's, or none though it has some",
        "SELECT 1 FROM routers
             WHERE (gateway_port_id IS NOT NULL AND gateway_port_id NOT IN
                    (SELECT port_id FROM router_gateways WHERE router_id = routers.id))
                OR (gateway_port_id IS NULL AND id IN (SELECT router_id FROM router_gateways))",
    ),
    (
        "a floating IP's port without its floating IP",
        "SELECT 1 FROM ports WHERE device_owner = 'network:floatingip'
             AND id NOT IN (SELECT floating_port_id FROM floating_ips)",
    ),
    (
        "an interface's port that its router does not know",
        "SELECT 1 FROM ports LEFT JOIN router_interfaces ON port_id = ports.id
             WHERE (device_owner = 'network:router_interface') <> (router_id IS NOT NULL AND router_id = device_id)",
    ),
    (
        "a floating IP that leads to an address which its port does not have",
        "SELECT 1 FROM floating_ips WHERE port_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM fixed_ips
             WHERE fixed_ips.port_id = floating_ips.port_id AND fixed_ips.ip_address = floating_ips.fixed_ip_address)",
    ),
    (
        "a floating IP whose router does not lead from its network to the port's subnet",
        "SELECT 1 FROM floating_ips WHERE port_id IS NOT NULL AND NOT EXISTS (SELECT 1
             FROM routers JOIN router_gateways ON router_gateways.router_id = routers.id
                 JOIN ports AS gateway ON gateway.id = router_gateways.port_id
                 JOIN router_interfaces ON router_interfaces.router_id = routers.id
                 JOIN fixed_ips AS own ON own.port_id = router_interfaces.port_id
                 JOIN fixed_ips AS theirs ON theirs.subnet_id = own.subnet_id
             WHERE routers.id = floating_ips.router_id AND gateway.network_id = floating_ips.floating_network_id
                 AND theirs.port_id = floating_ips.port_id AND theirs.ip_address = floating_ips.fixed_ip_address)",
    ),
    (
        "half an association",
        "SELECT 1 FROM floating_ips
             WHERE (port_id IS NULL) <> (fixed_ip_address IS NULL) OR (port_id IS NULL) <> (router_id IS NULL)",
    ),
    (
        "an address outside its subnet's network",
        "SELECT 1 FROM fixed_ips JOIN ports ON ports.id = port_id JOIN subnets ON subnets.id = subnet_id
             WHERE ports.network_id <> subnets.network_id OR fixed_ips.network_id <> subnets.network_id",
    ),
    (
        "a service's port with security groups",
        "SELECT 1 FROM port_security_groups JOIN ports ON ports.id = port_id
             WHERE device_owner IN ('network:router_gateway', 'network:floatingip')",
    ),
    (
        "a project with two default groups",
        "SELECT 1 FROM security_groups WHERE is_default = 1 GROUP BY project_id HAVING count(*) > 1",
    ),
];

/// What is free in each subnet is what its pools have and no port does.
fn free_addresses_are_right(work: &Work<'_>) -> Result<bool, NetworkError> {
    let subnets: Vec<SubnetId> = work.tx.query("SELECT id FROM subnets", &[], |row| row.parse(0))?;
    for id in subnets {
        let mut taken: Vec<IpAddr> =
            work.tx
                .query("SELECT ip_address FROM fixed_ips WHERE subnet_id = ?1", params![id.0], |row| row.parse(0))?;
        taken.sort_unstable();
        let hexadecimal = |addr: IpAddr| match addr {
            IpAddr::V4(v4) => format!("{:08x}", v4.to_bits()),
            IpAddr::V6(v6) => format!("{:032x}", v6.to_bits()),
        };
        let expected: Vec<(String, String)> = free_runs(&subnet::pools(work.tx, id)?, taken)
            .iter()
            .map(|run| (hexadecimal(run.first()), hexadecimal(run.last())))
            .collect();
        let kept: Vec<(String, String)> = work.tx.query(
            "SELECT first_ip, last_ip FROM ip_free_ranges WHERE subnet_id = ?1 ORDER BY last_ip",
            params![id.0],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        if kept != expected {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What quotas look at is what counting gives.
fn tallies_are_right(work: &Work<'_>) -> Result<bool, NetworkError> {
    for tally in crate::quota::tallies() {
        let counted = work.tx.exists(
            &format!(
                "SELECT 1 FROM (SELECT {owner} AS owner, count(*) AS amount FROM {table} GROUP BY {owner}) AS counted
                     FULL JOIN (SELECT owner, amount FROM tally WHERE name = ?1) AS tallied ON tallied.owner = counted.owner
                 WHERE COALESCE(counted.amount, 0) <> COALESCE(tallied.amount, 0)",
                owner = tally.owner,
                table = tally.table
            ),
            params![tally.name],
        )?;
        if counted {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Two networks of a project and two external ones, each with a subnet; a port, and a router that leads out from it.
fn cloud() -> Cloud {
    let cloud = Cloud::new();
    let network = |external, cidr| {
        let network: NetworkId = cloud.network(external);
        (network, cloud.subnet(network, cidr))
    };
    let ((inside, subnet), (outside, _)) = (network(false, "10.0.0.0/28"), network(true, "203.0.113.0/28"));
    network(false, "10.0.1.0/28");
    network(true, "198.51.100.0/29");
    cloud.port(inside);
    let join = move |work: &Work<'_>| {
        let router = router::create(work, router_request(Some(outside)))?;
        router::add_interface(work, router, InterfaceRequest::Subnet(subnet))
    };
    cloud.by(ME, join).unwrap();
    cloud
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_order_of_requests_breaks_them(requests in proptest::collection::vec((any::<bool>(), request()), 1..60)) {
        let cloud = cloud();
        for (admin, request) in requests {
            let asked = request.clone();
            let outcome = match admin {
                true => cloud.by_admin(move |work| run(work, &asked)),
                false => cloud.by(ME, move |work| run(work, &asked)),
            };
            prop_assert!(!matches!(outcome, Err(NetworkError::Store(_))), "{request:?}: {outcome:?}");
            for (what, query) in NEVER {
                prop_assert!(!cloud.finds(query), "{what}, after {request:?}: {outcome:?}");
            }
            prop_assert!(cloud.by_admin(free_addresses_are_right).unwrap(), "free addresses, after {request:?}: {outcome:?}");
            prop_assert!(cloud.by_admin(tallies_are_right).unwrap(), "tallies, after {request:?}: {outcome:?}");
        }
    }
}
