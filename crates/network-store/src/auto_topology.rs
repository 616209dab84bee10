//! A network that a project gets for the asking: with subnets out of the default pools, behind a router to the default
//! external network. It is made when it is first asked for, whole or not at all.

use crate::network::{self, NetworkCreate};
use crate::router::{self, GatewayInfo, RouterCreate};
use crate::subnet::{self, SubnetCreate};
use crate::{NetworkError, Work, subnetpool};
use net_types::{IpNet, NetworkId, RouterId, SubnetId};
use network_model::router::InterfaceRequest;
use network_model::subnet_pool::PROVISIONAL_PREFIX;
use store::{Snapshot, StoreError, params};
use uuid::Uuid;

fn failure(reason: &str) -> NetworkError {
    NetworkError::named("AutoAllocationFailure", 409, format!("Deployment error: {reason}."))
}

/// The network that a project has got, if any.
pub fn of_project(snapshot: &Snapshot<'_>, project: &str) -> Result<Option<NetworkId>, StoreError> {
    Ok(get(snapshot, project)?.map(|(network, _)| network))
}

fn get(snapshot: &Snapshot<'_>, project: &str) -> Result<Option<(NetworkId, RouterId)>, StoreError> {
    snapshot.query_opt(
        "SELECT network_id, router_id FROM auto_allocated_topologies WHERE project_id = ?1",
        params![project],
        |row| Ok((row.parse(0)?, row.parse(1)?)),
    )
}

/// What it would be made of: the default external network, and the default pools with their IP versions.
pub fn requirements(snapshot: &Snapshot<'_>) -> Result<(NetworkId, Vec<(u8, Uuid)>), NetworkError> {
    let external = snapshot.query_opt(
        "SELECT id FROM networks WHERE is_default = 1 AND external = 1 ORDER BY id LIMIT 1",
        &[],
        |row| row.parse(0),
    )?;
    let external = external.ok_or_else(|| failure("No default router:external network"))?;
    let mut pools = Vec::new();
    for version in [4, 6] {
        pools.extend(subnetpool::default_of(snapshot, version)?.map(|pool| (version, pool)));
    }
    if pools.is_empty() { Err(failure("No default subnetpools defined")) } else { Ok((external, pools)) }
}

/// The project's network; makes it if there is none.
pub fn ensure(work: &Work<'_>, project: &str) -> Result<NetworkId, NetworkError> {
    if let Some(network) = of_project(work.tx, project)? {
        return Ok(network);
    }
    let (external, pools) = requirements(work.tx)?;
    let request = NetworkCreate {
        project_id: project.to_owned(),
        name: "auto_allocated_network".to_owned(),
        ..NetworkCreate::of_service()
    };
    let network = network::create(work, request)?;
    let mut subnets = Vec::with_capacity(pools.len());
    for (version, pool) in pools {
        subnets.push(
            cut(work, project, network, version, pool).map_err(unmet("Unable to provide project private network"))?,
        );
    }
    let connect = || connect(work, project, external, &subnets);
    let router = connect().map_err(unmet("Unable to provide external connectivity"))?;
    work.tx.execute(
        "INSERT INTO auto_allocated_topologies (project_id, network_id, router_id) VALUES (?1, ?2, ?3)",
        params![project, network.0, router.0],
    )?;
    Ok(network)
}

/// A refusal on the way means that the deployment cannot do it, in these words.
fn unmet(reason: &'static str) -> impl Fn(NetworkError) -> NetworkError {
    move |error| match error {
        NetworkError::Refused(_) | NetworkError::Named { .. } => failure(reason),
        other => other,
    }
}

fn cut(work: &Work<'_>, project: &str, network: NetworkId, version: u8, pool: Uuid) -> Result<SubnetId, NetworkError> {
    // Any prefix: it is left out below, so that the pool gives one.
    let any: IpNet = PROVISIONAL_PREFIX.parse().map_err(|_| failure("no prefix"))?;
    let request = SubnetCreate {
        project_id: project.to_owned(),
        name: format!("auto_allocated_subnet_v{version}"),
        ip_version: version,
        cidr: None,
        subnetpool_id: Some(pool.to_string()),
        ..SubnetCreate::of_service(network, any)
    };
    subnet::create(work, request)
}

fn connect(
    work: &Work<'_>,
    project: &str,
    external: NetworkId,
    subnets: &[SubnetId],
) -> Result<RouterId, NetworkError> {
    let gateway =
        GatewayInfo { network_id: external, external_fixed_ips: Vec::new(), enable_snat: None, qos_policy_id: None };
    let request = RouterCreate {
        project_id: project.to_owned(),
        name: "auto_allocated_router".to_owned(),
        description: String::new(),
        admin_state_up: true,
        external_gateway_info: Some(gateway),
        availability_zone_hints: Vec::new(),
        distributed: None,
        ha: None,
        flavor_id: None,
        enable_ndp_proxy: None,
        enable_default_route_ecmp: None,
    };
    let router = router::create(work, request)?;
    for subnet in subnets {
        router::add_interface(work, router, InterfaceRequest::Subnet(*subnet))?;
    }
    Ok(router)
}

/// Removes what was made for the project; nothing when nothing was.
pub fn delete(work: &Work<'_>, project: &str) -> Result<(), NetworkError> {
    let Some((network, router)) = get(work.tx, project)? else { return Ok(()) };
    work.tx.execute("DELETE FROM auto_allocated_topologies WHERE project_id = ?1", params![project])?;
    // The project may have taken parts of it away.
    if work.tx.exists("SELECT 1 FROM routers WHERE id = ?1", params![router.0])? {
        let subnets: Vec<SubnetId> = work.tx.query(
            "SELECT DISTINCT fixed_ips.subnet_id FROM router_interfaces
             JOIN fixed_ips ON fixed_ips.port_id = router_interfaces.port_id
             WHERE router_interfaces.router_id = ?1 AND fixed_ips.network_id = ?2",
            params![router.0, network.0],
            |row| row.parse(0),
        )?;
        for subnet in subnets {
            router::remove_interface(work, router, InterfaceRequest::Subnet(subnet))?;
        }
        router::delete(work, router)?;
    }
    network::delete(work, network)
}
