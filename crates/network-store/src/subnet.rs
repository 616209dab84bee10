//! What requests on subnets do.

use crate::port::{self, addresses};
use crate::request::nullable;
use crate::segment::routed;
use crate::{NetworkError, Work, network, router, subnetpool};
use net_types::{IpNet, NetworkId, PortId, SubnetId};
use network_model::candidates::PlacedSubnet;
use network_model::in_use::{self, PortUse};
use network_model::segment::routed::{check_move, check_new};
use network_model::subnet::{
    AllocationPool, Ipv6Mode, NewSubnet, Route, Subnet, check_dhcp_disable, check_dhcp_possible, check_dns_nameservers,
    check_gateway, check_gateway_change, check_gateway_outside_pools, check_host_routes, check_pools, plan_subnet,
};
use network_model::subnet_pool::PROVISIONAL_PREFIX;
use network_model::{IpRange, ModelError};
use serde::Deserialize;
use serde_json::json;
use std::net::IpAddr;
use store::{Operation, Row, Snapshot, StoreError, params};
use uuid::Uuid;

/// A checked POST body.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct SubnetCreate {
    pub project_id: String,
    pub network_id: NetworkId,
    pub name: String,
    pub description: String,
    pub ip_version: u8,
    pub cidr: Option<IpNet>,
    pub prefixlen: Option<u32>,
    pub subnetpool_id: Option<String>,
    #[serde(default)]
    pub use_default_subnetpool: bool,
    #[serde(default, deserialize_with = "nullable")]
    pub gateway_ip: Option<Option<IpAddr>>,
    pub allocation_pools: Option<Vec<AllocationPool>>,
    #[serde(default)]
    pub dns_nameservers: Vec<IpAddr>,
    #[serde(default)]
    pub host_routes: Vec<Route>,
    pub enable_dhcp: bool,
    pub ipv6_ra_mode: Option<Ipv6Mode>,
    pub ipv6_address_mode: Option<Ipv6Mode>,
    pub dns_publish_fixed_ip: bool,
    #[serde(default)]
    pub service_types: Vec<String>,
    pub segment_id: Option<Uuid>,
}

impl SubnetCreate {
    /// A subnet that belongs to nobody: everything else is filled in by the caller with `..`.
    pub fn of_service(network_id: NetworkId, cidr: IpNet) -> Self {
        Self {
            project_id: String::new(),
            network_id,
            name: String::new(),
            description: String::new(),
            ip_version: if cidr.addr().is_ipv4() { 4 } else { 6 },
            cidr: Some(cidr),
            prefixlen: None,
            subnetpool_id: None,
            use_default_subnetpool: false,
            gateway_ip: None,
            allocation_pools: None,
            dns_nameservers: Vec::new(),
            host_routes: Vec::new(),
            enable_dhcp: true,
            ipv6_ra_mode: None,
            ipv6_address_mode: None,
            dns_publish_fixed_ip: false,
            service_types: Vec::new(),
            segment_id: None,
        }
    }
}

/// A checked PUT body: what it does not have stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct SubnetUpdate {
    pub name: Option<String>,
    pub description: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub gateway_ip: Option<Option<IpAddr>>,
    pub allocation_pools: Option<Vec<AllocationPool>>,
    pub dns_nameservers: Option<Vec<IpAddr>>,
    pub host_routes: Option<Vec<Route>>,
    pub enable_dhcp: Option<bool>,
    pub dns_publish_fixed_ip: Option<bool>,
    pub service_types: Option<Vec<String>>,
    #[serde(deserialize_with = "nullable")]
    pub segment_id: Option<Option<Uuid>>,
}

const COLUMNS: &str = "id, cidr, gateway_ip, ipv6_address_mode, ipv6_ra_mode";

fn subnet(row: &Row<'_>) -> Result<Subnet, StoreError> {
    Ok(Subnet {
        id: row.parse(0)?,
        cidr: row.parse(1)?,
        gateway_ip: row.parse_opt(2)?,
        ipv6_address_mode: row.parse_opt(3)?,
        ipv6_ra_mode: row.parse_opt(4)?,
    })
}

/// The subnets of a network, oldest first (that is the order in which addresses are looked for).
pub fn of_network(snapshot: &Snapshot<'_>, network: NetworkId) -> Result<Vec<Subnet>, StoreError> {
    snapshot.query(
        &format!("SELECT {COLUMNS} FROM subnets WHERE network_id = ?1 ORDER BY created_at, id"),
        params![network.0],
        subnet,
    )
}

/// The subnets of a network with what they are for, in the same order.
pub(crate) fn placed(snapshot: &Snapshot<'_>, network: NetworkId) -> Result<Vec<PlacedSubnet>, StoreError> {
    snapshot.query(
        &format!(
            "SELECT {COLUMNS}, service_types, segment_id, enable_dhcp FROM subnets WHERE network_id = ?1
             ORDER BY created_at, id"
        ),
        params![network.0],
        |row| {
            Ok(PlacedSubnet {
                subnet: subnet(row)?,
                service_types: routed::types(&row.text(5)?),
                segment_id: row.parse_opt(6)?,
                enable_dhcp: row.get(7)?,
            })
        },
    )
}

/// The subnet and its network, or that it is not there.
pub fn get(snapshot: &Snapshot<'_>, id: SubnetId) -> Result<(Subnet, NetworkId), NetworkError> {
    let found = snapshot.query_opt(
        &format!("SELECT {COLUMNS}, network_id FROM subnets WHERE id = ?1"),
        params![id.0],
        |row| Ok((subnet(row)?, row.parse(5)?)),
    )?;
    found.ok_or_else(|| ModelError::SubnetNotFound { subnet_id: id }.into())
}

/// The allocation pools, in order.
pub fn pools(snapshot: &Snapshot<'_>, id: SubnetId) -> Result<Vec<IpRange>, StoreError> {
    let bounds: Vec<(IpAddr, IpAddr)> = snapshot.query(
        "SELECT first_ip, last_ip FROM subnet_allocation_pools WHERE subnet_id = ?1 ORDER BY position",
        params![id.0],
        |row| Ok((row.parse(0)?, row.parse(1)?)),
    )?;
    Ok(bounds.into_iter().filter_map(|(first, last)| IpRange::new(first, last)).collect())
}

/// Makes a subnet.
pub fn create(work: &Work<'_>, request: SubnetCreate) -> Result<SubnetId, NetworkError> {
    let network = network::get(work.tx, request.network_id)?;
    let source = subnetpool::source(work, &request)?;
    source.check_affinity(work, network.id, request.ip_version)?;
    // A prefix that waits for another is nobody's neighbour.
    let waiting = |other: &Subnet| other.cidr.to_string() == PROVISIONAL_PREFIX;
    let others = of_network(work.tx, network.id)?;
    let others: Vec<IpNet> = others.into_iter().filter(|other| !waiting(other)).map(|other| other.cidr).collect();
    let wanted = NewSubnet {
        ip_version: request.ip_version,
        cidr: source.cidr,
        delegated: source.delegated,
        gateway_ip: source.gateway_ip,
        allocation_pools: request.allocation_pools,
        dns_nameservers: request.dns_nameservers,
        host_routes: request.host_routes,
        enable_dhcp: request.enable_dhcp,
        ipv6_address_mode: request.ipv6_address_mode,
        ipv6_ra_mode: request.ipv6_ra_mode,
    };
    let plan = plan_subnet(network.id, network.mtu, &others, &wanted)?;
    network::end_dhcp_hold(work, &network)?;
    let id = SubnetId(work.new_id());
    if let Some(segment) = request.segment_id {
        routed::check_segment(work, network.id, segment)?;
    }
    let on_segments = routed::subnets(work.tx, network.id)?;
    let is_routed = routed::is_routed(&request.service_types);
    let for_some = request.segment_id.is_some() || !request.service_types.is_empty();
    check_new(network.id, &on_segments, request.segment_id, is_routed)?;
    work.tx.execute(
        "INSERT INTO subnets (id, project_id, network_id, name, description, ip_version, cidr, gateway_ip, enable_dhcp,
             ipv6_ra_mode, ipv6_address_mode, subnetpool_id, segment_id, service_types, dns_publish_fixed_ip, revision_number, created_at,
             updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, 0, ?16, ?16)",
        params![
            id.0,
            &request.project_id,
            network.id.0,
            &request.name,
            &request.description,
            request.ip_version,
            plan.cidr.to_string(),
            plan.gateway_ip.map(|ip| ip.to_string()),
            request.enable_dhcp,
            request.ipv6_ra_mode.map(Ipv6Mode::as_str),
            request.ipv6_address_mode.map(Ipv6Mode::as_str),
            source.subnetpool_id.as_deref(),
            request.segment_id,
            json!(request.service_types).to_string(),
            request.dns_publish_fixed_ip,
            work.now
        ],
    )?;
    write_pools(work, id, &plan.allocation_pools)?;
    addresses::write_free(work, id, &plan.allocation_pools)?;
    write_nameservers(work, id, &wanted.dns_nameservers)?;
    write_host_routes(work, id, &wanted.host_routes)?;
    if request.segment_id.is_some() {
        routed::refresh_routes(work, network.id)?;
    }
    // A network's subnets are part of what it shows.
    work.touch("networks", network.id.0)?;
    work.log("subnet", id, Operation::Create, Some(json!({"network_id": network.id})))?;
    let subnet = Subnet {
        id,
        cidr: plan.cidr,
        gateway_ip: plan.gateway_ip,
        ipv6_address_mode: request.ipv6_address_mode,
        ipv6_ra_mode: request.ipv6_ra_mode,
    };
    if subnet.is_auto_address() {
        addresses::add_automatic(work, network.id, &subnet, for_some)?;
    }
    if network.external {
        router::follow_subnet(work, network.id, &subnet, &request.service_types)?;
    }
    Ok(id)
}

/// Replaces the pools and finds anew what is free in them.
/// Removes what a subnet has of a kind.
fn forget(work: &Work<'_>, table: &'static str, id: SubnetId) -> Result<(), NetworkError> {
    work.tx.execute(&format!("DELETE FROM {table} WHERE subnet_id = ?1"), params![id.0])?;
    Ok(())
}

fn write_pools(work: &Work<'_>, id: SubnetId, pools: &[IpRange]) -> Result<(), NetworkError> {
    for (position, pool) in pools.iter().enumerate() {
        work.tx.execute(
            "INSERT INTO subnet_allocation_pools (subnet_id, position, first_ip, last_ip) VALUES (?1, ?2, ?3, ?4)",
            params![id.0, position, pool.first().to_string(), pool.last().to_string()],
        )?;
    }
    Ok(())
}

fn write_nameservers(work: &Work<'_>, id: SubnetId, servers: &[IpAddr]) -> Result<(), NetworkError> {
    for (position, server) in servers.iter().enumerate() {
        work.tx.execute(
            "INSERT INTO subnet_dns_nameservers (subnet_id, position, address) VALUES (?1, ?2, ?3)",
            params![id.0, position, server.to_string()],
        )?;
    }
    Ok(())
}

fn write_host_routes(work: &Work<'_>, id: SubnetId, routes: &[Route]) -> Result<(), NetworkError> {
    for (position, route) in routes.iter().enumerate() {
        work.tx.execute(
            "INSERT INTO subnet_host_routes (subnet_id, position, destination, nexthop) VALUES (?1, ?2, ?3, ?4)",
            params![id.0, position, route.destination.to_string(), route.nexthop.to_string()],
        )?;
    }
    Ok(())
}

/// Changes a subnet.
pub fn update(work: &Work<'_>, id: SubnetId, request: SubnetUpdate) -> Result<(), NetworkError> {
    let (subnet, network) = get(work.tx, id)?;
    let version = subnet.ip_version();
    if let Some(servers) = &request.dns_nameservers {
        check_dns_nameservers(Some(id), version, servers)?;
    }
    if let Some(routes) = &request.host_routes {
        check_host_routes(Some(id), version, routes)?;
    }
    match request.enable_dhcp {
        Some(true) => check_dhcp_possible(subnet.cidr)?,
        Some(false) => check_dhcp_disable(&subnet)?,
        None => {}
    }
    let gateway = request.gateway_ip.unwrap_or(subnet.gateway_ip);
    if let Some(Some(gateway)) = request.gateway_ip {
        check_gateway(version, subnet.cidr, gateway)?;
    }
    check_gateway_change(subnet.gateway_ip, gateway, router_port_at(work.tx, id, subnet.gateway_ip)?)?;
    match &request.allocation_pools {
        Some(pools) => {
            let pools = check_pools(subnet.cidr, gateway, pools)?;
            forget(work, "subnet_allocation_pools", id)?;
            write_pools(work, id, &pools)?;
            addresses::rebuild_free(work, id, &pools)?;
        }
        None => check_gateway_outside_pools(gateway, &pools(work.tx, id)?)?,
    }
    if let Some(servers) = &request.dns_nameservers {
        forget(work, "subnet_dns_nameservers", id)?;
        write_nameservers(work, id, servers)?;
    }
    if let Some(routes) = &request.host_routes {
        forget(work, "subnet_host_routes", id)?;
        write_host_routes(work, id, routes)?;
    }
    let moved = move_to_segment(work, id, network, request.segment_id)?;
    let service_types = request.service_types.map(|types| json!(types).to_string());
    work.set("subnets", id.0, "service_types", service_types)?;
    work.set("subnets", id.0, "name", request.name)?;
    work.set("subnets", id.0, "description", request.description)?;
    work.set("subnets", id.0, "gateway_ip", request.gateway_ip.map(|ip| ip.map(|ip| ip.to_string())))?;
    work.set("subnets", id.0, "enable_dhcp", request.enable_dhcp)?;
    work.set("subnets", id.0, "dns_publish_fixed_ip", request.dns_publish_fixed_ip)?;
    if moved || request.gateway_ip.is_some() || request.host_routes.is_some() {
        refresh_if_routed(work, network)?;
    }
    work.touch("subnets", id.0)?;
    work.touch("networks", network.0)?;
    work.log("subnet", id, Operation::Update, Some(json!({"network_id": network})))
}

/// The routes between segments, of networks that have subnets on any.
fn refresh_if_routed(work: &Work<'_>, network: NetworkId) -> Result<(), NetworkError> {
    let routed = "SELECT 1 FROM subnets WHERE network_id = ?1 AND segment_id IS NOT NULL";
    if work.tx.exists(routed, params![network.0])? { routed::refresh_routes(work, network) } else { Ok(()) }
}

/// Puts a subnet on a segment; whether it is on another now.
fn move_to_segment(
    work: &Work<'_>,
    id: SubnetId,
    network: NetworkId,
    asked: Option<Option<Uuid>>,
) -> Result<bool, NetworkError> {
    let Some(asked) = asked else { return Ok(false) };
    let all = routed::subnets(work.tx, network)?;
    let old = all.iter().find(|on| on.id == id).and_then(|on| on.segment_id);
    let segments = work.tx.count("SELECT count(*) FROM network_segments WHERE network_id = ?1", params![network.0])?;
    check_move(network, &all, old, asked, segments)?;
    if let Some(segment) = asked {
        routed::check_segment(work, network, segment)?;
    }
    work.set("subnets", id.0, "segment_id", Some(asked))?;
    Ok(old != asked)
}

/// The port of a router that has this address.
fn router_port_at(
    snapshot: &Snapshot<'_>,
    subnet: SubnetId,
    address: Option<IpAddr>,
) -> Result<Option<PortId>, StoreError> {
    let Some(address) = address else { return Ok(None) };
    snapshot.query_opt(
        "SELECT router_interfaces.port_id FROM fixed_ips JOIN router_interfaces ON router_interfaces.port_id = fixed_ips.port_id
         WHERE fixed_ips.subnet_id = ?1 AND fixed_ips.ip_address = ?2",
        params![subnet.0, address.to_string()],
        |row| row.parse(0),
    )
}

/// Removes a subnet, if no port holds it.
pub fn delete(work: &Work<'_>, id: SubnetId) -> Result<(), NetworkError> {
    let (subnet, _) = get(work.tx, id)?;
    let ports: Vec<PortUse> = work.tx.query(
        "SELECT DISTINCT ports.id, ports.device_owner FROM fixed_ips JOIN ports ON ports.id = fixed_ips.port_id
         WHERE fixed_ips.subnet_id = ?1",
        params![id.0],
        |row| Ok(PortUse { id: row.parse(0)?, device_owner: row.get(1)? }),
    )?;
    in_use::check_subnet_deletion(&subnet, &ports)?;
    remove(work, id)
}

/// Removes a subnet and takes its addresses away from whatever port still has one; a port that is there only for this
/// subnet (DHCP's) goes when it has no address left.
pub(crate) fn remove(work: &Work<'_>, id: SubnetId) -> Result<(), NetworkError> {
    let (_, network) = get(work.tx, id)?;
    let ports: Vec<PortId> =
        work.tx
            .query("SELECT DISTINCT port_id FROM fixed_ips WHERE subnet_id = ?1", params![id.0], |row| row.parse(0))?;
    work.tx.execute("DELETE FROM fixed_ips WHERE subnet_id = ?1", params![id.0])?;
    for port in ports {
        port::after_address_loss(work, port)?;
    }
    work.tx.execute("DELETE FROM tags WHERE object_id = ?1", params![id.0])?;
    work.tx.execute("DELETE FROM subnets WHERE id = ?1", params![id.0])?;
    refresh_if_routed(work, network)?;
    work.touch("networks", network.0)?;
    work.log("subnet", id, Operation::Delete, Some(json!({"network_id": network})))
}
