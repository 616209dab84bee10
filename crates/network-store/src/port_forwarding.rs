//! What requests on port forwardings do, and what becomes of forwardings when their port changes.

use crate::floating_ip::{self, Row};
use crate::port::{self, addresses};
use crate::{NetworkError, Work};
use net_types::{FloatingIpId, PortId, PortRange, RouterId};
use network_model::ModelError;
use network_model::fixed_ips::FixedIp;
use network_model::port_forwarding::{Ports, bad, check_collision, read};
use serde::Deserialize;
use serde_json::json;
use std::net::IpAddr;
use store::{Operation, StoreError, params};
use uuid::Uuid;

/// A checked POST body.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct PortForwardingCreate {
    pub floatingip_id: FloatingIpId,
    pub description: String,
    pub protocol: String,
    pub internal_port_id: PortId,
    pub internal_ip_address: IpAddr,
    pub internal_port: Option<u16>,
    pub internal_port_range: Option<String>,
    pub external_port: Option<u16>,
    pub external_port_range: Option<String>,
}

/// A checked PUT body: what it does not have stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct PortForwardingUpdate {
    pub description: Option<String>,
    pub protocol: Option<String>,
    pub internal_port_id: Option<PortId>,
    pub internal_ip_address: Option<IpAddr>,
    pub internal_port: Option<u16>,
    pub internal_port_range: Option<String>,
    pub external_port: Option<u16>,
    pub external_port_range: Option<String>,
}

/// A forwarding as it is, or shall be.
struct Forwarding {
    floating_ip: FloatingIpId,
    protocol: String,
    port: PortId,
    address: IpAddr,
    ports: Ports,
}

fn load(work: &Work<'_>, id: Uuid) -> Result<Forwarding, NetworkError> {
    let found = work.tx.query_opt(
        "SELECT floatingip_id, protocol, internal_port_id, internal_ip_address, external_port_first, external_port_last,
             internal_port_first, internal_port_last
         FROM port_forwardings WHERE id = ?1",
        params![id],
        |row| {
            let ports = Ports { external: range(row, 4)?, internal: range(row, 6)? };
            let (floating_ip, protocol) = (row.parse(0)?, row.get(1)?);
            Ok(Forwarding { floating_ip, protocol, port: row.parse(2)?, address: row.parse(3)?, ports })
        },
    )?;
    let not_found = || format!("Port Forwarding {id} could not be found.");
    found.ok_or_else(|| NetworkError::named("PortForwardingNotFound", 404, not_found()))
}

fn range(row: &store::Row<'_>, index: usize) -> Result<PortRange, StoreError> {
    let (first, last) = (row.get(index)?, row.get(index + 1)?);
    PortRange::new(first, last).map_err(|error| StoreError::Column {
        index,
        expected: "a port range",
        found: error.to_string(),
    })
}

/// Makes a port forwarding. The floating IP's first one puts it on the router between the two.
pub fn create(work: &Work<'_>, request: &PortForwardingCreate) -> Result<Uuid, NetworkError> {
    let external = read(request.external_port, request.external_port_range.as_deref())?;
    let internal = read(request.internal_port, request.internal_port_range.as_deref())?;
    let wanted = Forwarding {
        floating_ip: request.floatingip_id,
        protocol: request.protocol.clone(),
        port: request.internal_port_id,
        address: request.internal_ip_address,
        ports: Ports::new(external, internal)?,
    };
    check_collisions(work, &wanted, None)?;
    check_no_floating_ip(work, wanted.port, wanted.address)?;
    let floating_ip = floating_ip::get(work.tx, wanted.floating_ip)?;
    if floating_ip.port.is_some() {
        return Err(ModelError::FloatingIPPortAlreadyAssociated {
            floating_ip_address: floating_ip.floating_ip.address,
            fip_id: wanted.floating_ip,
            port_id: wanted.port,
            fixed_ip: wanted.address,
            net_id: floating_ip.floating_ip.network_id,
        }
        .into());
    }
    let router = router(work, &wanted, &floating_ip)?;
    let id = work.new_id();
    work.tx.execute(
        "INSERT INTO port_forwardings (id, floatingip_id, description, protocol, internal_port_id, internal_ip_address,
             internal_port_first, internal_port_last, external_port_first, external_port_last)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            id,
            wanted.floating_ip.0,
            &request.description,
            &wanted.protocol,
            wanted.port.0,
            wanted.address.to_string(),
            wanted.ports.internal.first(),
            wanted.ports.internal.last(),
            wanted.ports.external.first(),
            wanted.ports.external.last()
        ],
    )?;
    work.tx.execute(
        "UPDATE floating_ips SET router_id = ?2 WHERE id = ?1 AND router_id IS NULL",
        params![wanted.floating_ip.0, router.0],
    )?;
    changed(work, id, &wanted, Operation::Create)?;
    Ok(id)
}

/// Changes a port forwarding.
pub fn update(work: &Work<'_>, id: Uuid, request: PortForwardingUpdate) -> Result<(), NetworkError> {
    let current = load(work, id)?;
    let external = read(request.external_port, request.external_port_range.as_deref())?;
    let internal = read(request.internal_port, request.internal_port_range.as_deref())?;
    let wanted = Forwarding {
        floating_ip: current.floating_ip,
        protocol: request.protocol.unwrap_or(current.protocol),
        port: request.internal_port_id.unwrap_or(current.port),
        address: request.internal_ip_address.unwrap_or(current.address),
        ports: Ports::new(external.or(Some(current.ports.external)), internal.or(Some(current.ports.internal)))?,
    };
    if wanted.port != current.port {
        check_no_floating_ip(work, wanted.port, wanted.address)?;
        router(work, &wanted, &floating_ip::get(work.tx, wanted.floating_ip)?)?;
    }
    let held = addresses::of_port(work.tx, wanted.port)?;
    if !held.iter().any(|ip| ip.ip_address == wanted.address) {
        let shown = shown(&held);
        let msg = format!(
            "The internal IP does not correspond to an address on the internal port, which has fixed_ips {shown}"
        );
        return Err(bad(msg).into());
    }
    check_collisions(work, &wanted, Some(id))?;
    work.tx.execute(
        "UPDATE port_forwardings SET protocol = ?2, internal_port_id = ?3, internal_ip_address = ?4, internal_port_first = ?5,
             internal_port_last = ?6, external_port_first = ?7, external_port_last = ?8
         WHERE id = ?1",
        params![
            id,
            &wanted.protocol,
            wanted.port.0,
            wanted.address.to_string(),
            wanted.ports.internal.first(),
            wanted.ports.internal.last(),
            wanted.ports.external.first(),
            wanted.ports.external.last()
        ],
    )?;
    work.set("port_forwardings", id, "description", request.description)?;
    changed(work, id, &wanted, Operation::Update)
}

/// Removes a port forwarding. With the last one the floating IP leaves its router.
pub fn delete(work: &Work<'_>, id: Uuid) -> Result<(), NetworkError> {
    let forwarding = load(work, id)?;
    work.tx.execute("DELETE FROM port_forwardings WHERE id = ?1", params![id])?;
    if !of_floating_ip(work, forwarding.floating_ip)? {
        work.tx.execute(
            "UPDATE floating_ips SET router_id = NULL WHERE id = ?1 AND port_id IS NULL",
            params![forwarding.floating_ip.0],
        )?;
    }
    changed(work, id, &forwarding, Operation::Delete)
}

/// The floating IP shows its forwardings, so it has changed with them.
fn changed(work: &Work<'_>, id: Uuid, forwarding: &Forwarding, what: Operation) -> Result<(), NetworkError> {
    work.touch("floating_ips", forwarding.floating_ip.0)?;
    work.log("floatingip", forwarding.floating_ip, Operation::Update, None)?;
    work.log("port_forwarding", id, what, Some(json!({"floatingip_id": forwarding.floating_ip})))
}

/// Whether a floating IP has port forwardings.
pub(crate) fn of_floating_ip(work: &Work<'_>, id: FloatingIpId) -> Result<bool, StoreError> {
    work.tx.exists("SELECT 1 FROM port_forwardings WHERE floatingip_id = ?1", params![id.0])
}

/// Refuses what only a floating IP without port forwardings can do.
pub(crate) fn check_none(work: &Work<'_>, id: FloatingIpId) -> Result<(), NetworkError> {
    if of_floating_ip(work, id)? {
        let message = format!("Floating IP {id} in use by Port Forwarding resources.");
        return Err(NetworkError::named("FipInUseByPortForwarding", 409, message));
    }
    Ok(())
}

/// Refuses a floating IP for a port that has port forwardings by a distributed router.
pub(crate) fn check_port(work: &Work<'_>, port: PortId) -> Result<(), NetworkError> {
    let by_distributed = work.tx.exists(
        "SELECT 1 FROM port_forwardings p JOIN floating_ips f ON f.id = p.floatingip_id JOIN routers r ON r.id = f.router_id
         WHERE p.internal_port_id = ?1 AND r.distributed = 1",
        params![port.0],
    )?;
    if by_distributed {
        let message =
            format!("Cannot associate floating IP to port {port} because it already has a Port Forwarding binding.");
        return Err(NetworkError::named("PortHasPortForwarding", 400, message));
    }
    Ok(())
}

/// A port has only these addresses left (none: it goes): forwardings to others end.
pub(crate) fn after_address_loss(work: &Work<'_>, port: PortId, kept: &[FixedIp]) -> Result<(), NetworkError> {
    let forwardings: Vec<(Uuid, IpAddr)> = work.tx.query(
        "SELECT id, internal_ip_address FROM port_forwardings WHERE internal_port_id = ?1",
        params![port.0],
        |row| Ok((row.parse(0)?, row.parse(1)?)),
    )?;
    let lost = forwardings.into_iter().filter(|(_, address)| !kept.iter().any(|ip| ip.ip_address == *address));
    lost.into_iter().try_for_each(|(id, _)| delete(work, id))
}

fn check_no_floating_ip(work: &Work<'_>, port: PortId, address: IpAddr) -> Result<(), NetworkError> {
    let other: Option<(String, String)> = work.tx.query_opt(
        "SELECT floating_ip_address, id FROM floating_ips WHERE port_id = ?1",
        params![port.0],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let Some((floating_address, id)) = other else { return Ok(()) };
    Err(NetworkError::named(
        "PortHasBindingFloatingIP",
        409,
        format!(
            "Cannot create port forwarding to floating IP {floating_address} ({id}) with port {port} using fixed IP \
             {address}, as that port already has a binding floating IP."
        ),
    ))
}

fn check_collisions(work: &Work<'_>, wanted: &Forwarding, own: Option<Uuid>) -> Result<(), NetworkError> {
    let own = own.map(|id| id.to_string()).unwrap_or_default();
    let inside = work.tx.query(
        "SELECT internal_port_first, internal_port_last FROM port_forwardings
         WHERE internal_port_id = ?1 AND protocol = ?2 AND internal_ip_address = ?3 AND id <> ?4",
        params![wanted.port.0, &wanted.protocol, wanted.address.to_string(), &own],
        |row| range(row, 0),
    )?;
    check_collision("internal_port_range", wanted.ports.internal, inside)?;
    let outside = work.tx.query(
        "SELECT external_port_first, external_port_last FROM port_forwardings
         WHERE floatingip_id = ?1 AND protocol = ?2 AND id <> ?3",
        params![wanted.floating_ip.0, &wanted.protocol, &own],
        |row| range(row, 0),
    )?;
    Ok(check_collision("external_port_range", wanted.ports.external, outside)?)
}

/// The router between a forwarding's two ends, which must be the one that the floating IP is on already.
fn router(work: &Work<'_>, wanted: &Forwarding, floating_ip: &Row) -> Result<RouterId, NetworkError> {
    let Forwarding { port, address, floating_ip: id, .. } = wanted;
    port::get_visible(work, *port)?;
    let v4: Vec<FixedIp> =
        addresses::of_port(work.tx, *port)?.into_iter().filter(|ip| ip.ip_address.is_ipv4()).collect();
    if v4.is_empty() {
        return Err(bad(format!("Requested internal port {port} must allocate an IPv4 address at least.")).into());
    }
    let Some(fixed) = v4.iter().find(|ip| ip.ip_address == *address) else {
        let fixed_ips = shown(&v4);
        return Err(bad(format!(
            "Requested internal IP address {address} is not suitable for internal neutron port {port}, as its fixed_ips \
             are {fixed_ips}"
        ))
        .into());
    };
    let network = floating_ip.floating_ip.network_id;
    let router = match floating_ip::router_between(work, *port, fixed.subnet_id, network) {
        Err(NetworkError::Refused(ModelError::ExternalGatewayForFloatingIPNotFound { subnet_id, .. })) => {
            return Err(bad(format!(
                "External network {network} is not reachable from subnet {subnet_id}. Cannot set Port forwarding for port \
                 {port} with Floating IP {id}"
            ))
            .into());
        }
        other => other?,
    };
    match floating_ip.router.filter(|on| *on != router) {
        Some(on) => Err(bad(format!(
            "The Floating IP {id} had been set on router {on}, the internal Neutron port {port} can not reach it"
        ))
        .into()),
        None => Ok(router),
    }
}

/// Fixed addresses as Neutron's messages show them.
fn shown(ips: &[FixedIp]) -> String {
    let each = ips.iter().map(|ip| format!("{{'subnet_id': '{}', 'ip_address': '{}'}}", ip.subnet_id, ip.ip_address));
    format!("[{}]", each.collect::<Vec<_>>().join(", "))
}
