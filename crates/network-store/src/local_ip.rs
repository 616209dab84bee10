//! What requests on local IPs and their associations do.

use crate::port::{self, PortCreate, addresses};
use crate::{NetworkError, Work, network, subnet};
use net_types::{NetworkId, PortId};
use network_model::fixed_ips::FixedIpRequest;
use network_model::{ModelError, device_owner};
use serde::Deserialize;
use serde_json::json;
use std::net::IpAddr;
use store::{Operation, params};
use uuid::Uuid;

/// A checked POST body.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct LocalIpCreate {
    pub project_id: String,
    pub name: String,
    pub description: String,
    pub local_port_id: Option<PortId>,
    pub network_id: Option<NetworkId>,
    pub local_ip_address: Option<IpAddr>,
    pub ip_mode: String,
}

/// A checked PUT body: what it does not have stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct LocalIpUpdate {
    pub name: Option<String>,
    pub description: Option<String>,
}

/// A checked POST body.
#[derive(Debug, Clone, Copy, Deserialize)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct AssociationCreate {
    pub local_ip_id: Uuid,
    pub fixed_port_id: PortId,
    pub fixed_ip: Option<IpAddr>,
}

fn invalid(kind: &'static str, message: String) -> NetworkError {
    NetworkError::named(kind, 400, message)
}

/// The address of a port that is meant: the one named, or its only one.
fn address_of(work: &Work<'_>, port: PortId, wanted: Option<IpAddr>) -> Result<IpAddr, NetworkError> {
    let held = addresses::of_port(work.tx, port)?;
    match (held.as_slice(), wanted) {
        ([], _) => Err(invalid("LocalIPNoIP", format!("Specified Port {port} has no fixed IPs configured."))),
        (held, Some(ip)) => match held.iter().any(|own| own.ip_address == ip) {
            true => Ok(ip),
            false => {
                let message = format!("Specified Port {port} does not have requested IP address: {ip}.");
                Err(invalid("LocalIPRequestedIPNotFound", message))
            }
        },
        ([only], None) => Ok(only.ip_address),
        (_, None) => {
            let message =
                format!("Specified Port {port} has several IPs, should specify exact IP address to use for Local IP.");
            Err(invalid("LocalIPNoRequestedIP", message))
        }
    }
}

/// The port, or in Neutron's words that it is not there for the caller.
fn port(work: &Work<'_>, resource: &'static str, id: PortId) -> Result<port::Port, NetworkError> {
    port::get_visible(work, id).map_err(|error| match error {
        NetworkError::Refused(ModelError::PortNotFound { .. }) => {
            ModelError::BadRequest { resource, msg: format!("Port {id} not found") }.into()
        }
        other => other,
    })
}

/// Makes a local IP: of an address that a port has, or of a new one of a network.
pub fn create(work: &Work<'_>, request: &LocalIpCreate) -> Result<Uuid, NetworkError> {
    let id = work.new_id();
    let (local_port, network, address) = match (request.local_port_id, request.network_id) {
        (Some(port_id), _) => {
            let network = port(work, "local_ip", port_id)?.network_id;
            (port_id, network, address_of(work, port_id, request.local_ip_address)?)
        }
        (None, Some(network)) => {
            network::get_visible(work, network)?;
            if !subnet::of_network(work.tx, network)?.iter().any(|subnet| subnet.ip_version() == 4) {
                let msg = format!("Network {network} does not contain any IPv4 subnet");
                return Err(ModelError::BadRequest { resource: "local_ip", msg }.into());
            }
            let wanted = request.local_ip_address;
            let fixed_ips = wanted.map(|ip| vec![FixedIpRequest { subnet_id: None, ip_address: Some(ip) }]);
            let owner = device_owner::LOCAL_IP;
            let holder = PortCreate::of_service(network, &request.project_id, owner, &id.to_string());
            let port_id = port::create(work, PortCreate { fixed_ips, ..holder })?;
            let first = addresses::of_port(work.tx, port_id)?.first().map(|ip| ip.ip_address);
            let exhausted = ModelError::IpAddressGenerationFailure { net_id: network };
            (port_id, network, first.ok_or(exhausted)?)
        }
        (None, None) => {
            let message = "Either Port ID or Network ID must be specified for Local IP create.".to_owned();
            return Err(invalid("LocalIPPortOrNetworkRequired", message));
        }
    };
    work.tx.execute(
        "INSERT INTO local_ips (id, project_id, name, description, local_port_id, network_id, local_ip_address, ip_mode,
             revision_number, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, ?9, ?9)",
        params![
            id,
            &request.project_id,
            &request.name,
            &request.description,
            local_port.0,
            network.0,
            address.to_string(),
            &request.ip_mode,
            work.now
        ],
    )?;
    work.log("local_ip", id, Operation::Create, None)?;
    Ok(id)
}

/// Changes a local IP.
pub fn update(work: &Work<'_>, id: Uuid, request: LocalIpUpdate) -> Result<(), NetworkError> {
    work.set("local_ips", id, "name", request.name)?;
    work.set("local_ips", id, "description", request.description)?;
    work.touch("local_ips", id)?;
    work.log("local_ip", id, Operation::Update, None)
}

/// Removes a local IP that leads nowhere, and the port that was made for it.
pub fn delete(work: &Work<'_>, id: Uuid) -> Result<(), NetworkError> {
    if work.tx.exists("SELECT 1 FROM local_ip_associations WHERE local_ip_id = ?1", params![id])? {
        let message = format!("Local IP {id} is still associated with one or more ports.");
        return Err(NetworkError::named("LocalIPInUse", 409, message));
    }
    let holder: Option<PortId> = work.tx.query_opt(
        "SELECT ports.id FROM local_ips JOIN ports ON ports.id = local_ips.local_port_id
         WHERE local_ips.id = ?1 AND ports.device_owner = ?2",
        params![id, device_owner::LOCAL_IP],
        |row| row.parse(0),
    )?;
    work.tx.execute("DELETE FROM local_ips WHERE id = ?1", params![id])?;
    if let Some(holder) = holder {
        port::remove(work, holder)?;
    }
    work.log("local_ip", id, Operation::Delete, None)
}

/// Leads a local IP to a port, on that port's host.
pub fn associate(work: &Work<'_>, request: AssociationCreate) -> Result<Uuid, NetworkError> {
    let AssociationCreate { local_ip_id, fixed_port_id, fixed_ip } = request;
    port(work, "local_ip_port_association", fixed_port_id)?;
    let address = address_of(work, fixed_port_id, fixed_ip)?;
    let id = work.new_id();
    let added = work.tx.execute(
        "INSERT INTO local_ip_associations (id, local_ip_id, fixed_port_id, fixed_ip) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (local_ip_id, fixed_port_id) DO NOTHING",
        params![id, local_ip_id, fixed_port_id.0, address.to_string()],
    )?;
    if added == 0 {
        let msg = format!("Local IP {local_ip_id} association to port {fixed_port_id} already exists.");
        return Err(ModelError::Conflict { msg }.into());
    }
    work.log("local_ip_association", id, Operation::Create, Some(json!({"local_ip_id": local_ip_id})))?;
    Ok(id)
}

/// Ends an association; `id` is the association's.
pub fn dissociate(work: &Work<'_>, id: Uuid) -> Result<(), NetworkError> {
    // Hosts are told by the local IP, which the change must therefore name.
    let sql = "SELECT local_ip_id FROM local_ip_associations WHERE id = ?1";
    let local_ip: Option<Uuid> = work.tx.query_opt(sql, params![id], |row| row.parse(0))?;
    work.tx.execute("DELETE FROM local_ip_associations WHERE id = ?1", params![id])?;
    let extra = local_ip.map(|id| json!({"local_ip_id": id}));
    work.log("local_ip_association", id, Operation::Delete, extra)
}

/// Refuses to remove a port that holds a local IP's address.
pub(crate) fn check_port_removal(work: &Work<'_>, port_id: PortId) -> Result<(), NetworkError> {
    if work.tx.exists("SELECT 1 FROM local_ips WHERE local_port_id = ?1", params![port_id.0])? {
        let reason = "still referenced by Local IPs".to_owned();
        return Err(ModelError::ServicePortInUse { port_id, reason }.into());
    }
    Ok(())
}
