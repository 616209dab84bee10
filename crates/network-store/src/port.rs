//! What requests on ports do; also how the server itself makes ports (DHCP, router gateways, floating IPs).

pub mod addresses;
mod binding;
pub mod bindings;
mod candidates;
mod dhcp_options;
mod mac;
mod protection;
mod removal;
mod request;

pub use dhcp_options::DhcpOption;
pub use protection::Pair;
pub use removal::{delete, remove};
pub use request::{PortCreate, PortUpdate};

pub(crate) use removal::after_address_loss;

use crate::qos::attach;
use crate::{NetworkError, Work, floating_ip, network, nova, port_forwarding, subnet, tag, trunk};
use candidates::Choice;
use net_types::{MacAddr, NetworkId, PortId};
use network_model::binding::is_unplugged;
use network_model::fixed_ips::{Addressing, FixedIpRequest, check_router_port_change, plan_change, plan_new};
use network_model::port as rules;
use network_model::{ModelError, device_owner, dns, pvlan};
use protection::Protection;
use serde_json::{Map, Value, json};
use store::{Operation, Snapshot, params};

/// What rules ask of a port.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // Its columns.
pub struct Port {
    pub id: PortId,
    pub network_id: NetworkId,
    pub project_id: String,
    pub mac_address: MacAddr,
    pub device_id: String,
    pub device_owner: String,
    pub port_security_enabled: bool,
    pub binding_host: String,
    pub binding_vnic_type: String,
    pub binding_vif_type: String,
    pub binding_profile: Map<String, Value>,
    pub trusted: Option<bool>,
    pub pvlan: pvlan::Place,
}

/// The port, or that it is not there.
pub fn get(snapshot: &Snapshot<'_>, id: PortId) -> Result<Port, NetworkError> {
    let found = snapshot.query_opt(
        "SELECT network_id, project_id, mac_address, device_id, device_owner, port_security_enabled, binding_host,
             binding_vnic_type, binding_vif_type, trusted, pvlan_type, pvlan_community, binding_profile
         FROM ports WHERE id = ?1",
        params![id.0],
        |row| {
            Ok(Port {
                id,
                network_id: row.parse(0)?,
                project_id: row.get(1)?,
                mac_address: row.parse(2)?,
                device_id: row.get(3)?,
                device_owner: row.get(4)?,
                port_security_enabled: row.get(5)?,
                binding_host: row.get(6)?,
                binding_vnic_type: row.get(7)?,
                binding_vif_type: row.get(8)?,
                trusted: row.get(9)?,
                pvlan: pvlan::Place { kind: row.get(10)?, community: row.get(11)? },
                // Only we write it.
                binding_profile: serde_json::from_str(&row.text(12)?).unwrap_or_default(),
            })
        },
    )?;
    found.ok_or_else(|| ModelError::PortNotFound { port_id: id }.into())
}

/// The port, or that it is not there for this caller: ports are known to their project and to their network's.
pub(crate) fn get_visible(work: &Work<'_>, id: PortId) -> Result<Port, NetworkError> {
    let port = get(work.tx, id)?;
    let own = work.caller.is_admin || port.project_id == work.caller.project_id;
    if own || network::get(work.tx, port.network_id)?.project_id == work.caller.project_id {
        return Ok(port);
    }
    Err(ModelError::PortNotFound { port_id: id }.into())
}

/// Makes a port: MAC and IP addresses, security groups, binding.
pub fn create(work: &Work<'_>, request: PortCreate) -> Result<PortId, NetworkError> {
    let network = network::get(work.tx, request.network_id)?;
    let id = PortId(work.new_id());
    check_device(work, &request.project_id, &request.device_id, &request.device_owner)?;
    let host = request.binding_host.unwrap_or_default();
    let mut profile = request.binding_profile.unwrap_or_default();
    let mac = match binding::device_mac(&request.binding_vnic_type, &host, &profile)?.or(request.mac_address) {
        Some(mac) if mac::is_taken(work.tx, network.id, mac)? => {
            return Err(ModelError::MacAddressInUse { net_id: network.id, mac }.into());
        }
        Some(mac) => mac,
        None => mac::fresh(work, network.id)?,
    };
    check_subnets(work.tx, request.fixed_ips.as_deref())?;
    let candidates = Choice::new(work, network.id, &request.device_owner, &host)?.of(request.fixed_ips.as_deref())?;
    let ip_allocation = candidates::ip_allocation(&candidates, request.fixed_ips.as_deref());
    let subnets = candidates.subnets();
    let addressing = Addressing { net_id: network.id, subnets: &subnets, device_owner: &request.device_owner, mac };
    let wanted = plan_new(&addressing, request.fixed_ips.as_deref())?;
    let ips = addresses::take(work, network.id, &request.device_owner, &wanted)?;
    let protection = Protection::of_new(
        work,
        &network,
        &request.project_id,
        &request.device_owner,
        protection::Asked {
            port_security: request.port_security_enabled,
            groups: request.security_groups,
            pairs: request.allowed_address_pairs,
            mac,
        },
    )?;
    let asked = pvlan::Asked { kind: Some(request.pvlan_type), community: Some(request.pvlan_community) };
    let place = pvlan::place(id, (network.id, network.pvlan), &pvlan::Place::default(), asked)?;
    if network.pvlan {
        let (of_network, of_port) = (network.port_security_enabled, protection.port_security);
        pvlan::check_protected(id, &request.device_owner, of_network, of_port)?;
    }
    check_dns_name(work, Some(&request.dns_name))?;
    let named = dns::has_names(&work.config.dns_domain);
    if let Some(kind) = &request.hardware_offload_type {
        binding::add_capability(&mut profile, kind);
    }
    binding::say_trusted(&mut profile, request.trusted);
    binding::check_length(&profile)?;
    let binding = binding::of(work, network.id, None, &host, &request.binding_vnic_type, &profile)?;
    let status = if [device_owner::FLOATING_IP, device_owner::LOCAL_IP].contains(&request.device_owner.as_str()) {
        "N/A"
    } else {
        "DOWN"
    };
    work.tx.execute(
        "INSERT INTO ports (id, project_id, network_id, name, description, mac_address, admin_state_up, status, device_id,
             device_owner, port_security_enabled, binding_host, binding_vnic_type, binding_profile, binding_vif_type,
             binding_vif_details, revision_number, created_at, updated_at, dns_name, dns_domain, numa_affinity_policy,
             device_profile, hardware_offload_type, trusted, hints, propagate_uplink_status, pvlan_type, pvlan_community)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, 1, ?17, ?17,
             ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27)",
        params![
            id.0,
            &request.project_id,
            network.id.0,
            &request.name,
            &request.description,
            mac.to_string(),
            request.admin_state_up,
            status,
            &request.device_id,
            &request.device_owner,
            protection.port_security,
            &host,
            &request.binding_vnic_type,
            Value::Object(profile).to_string(),
            binding.vif_type.as_str(),
            binding.vif_details.to_string(),
            work.now,
            if named { request.dns_name.as_str() } else { "" },
            if named { request.dns_domain.as_str() } else { "" },
            request.numa_affinity_policy.as_deref(),
            request.device_profile.as_deref(),
            request.hardware_offload_type.as_deref(),
            request.trusted,
            request.hints.map(|hints| Value::Object(hints).to_string()),
            request.propagate_uplink_status,
            place.kind.as_deref(),
            place.community.as_deref()
        ],
    )?;
    if ip_allocation != "immediate" {
        work.set("ports", id.0, "ip_allocation", Some(ip_allocation))?;
    }
    addresses::write(work, network.id, id, &ips)?;
    protection.write_new(work, id)?;
    dhcp_options::write(work, id, &request.extra_dhcp_opts.unwrap_or_default())?;
    if !request.tags.is_empty() {
        tag::add(work, "ports", id.0, &request.tags)?;
    }
    attach::of_new_port(work, id, request.qos_policy_id, network.qos_policy_id)?;
    if request.device_owner != device_owner::DHCP {
        network::end_dhcp_hold(work, &network)?;
    }
    log(work, id, Operation::Create, network.id, &host)?;
    Ok(id)
}

fn log(work: &Work<'_>, id: PortId, what: Operation, network: NetworkId, host: &str) -> Result<(), NetworkError> {
    work.log("port", id, what, Some(json!({"network_id": network, "host": host})))
}

/// Whether the port's addresses wait for its host.
fn is_deferred(snapshot: &Snapshot<'_>, id: PortId) -> Result<bool, NetworkError> {
    Ok(snapshot.exists("SELECT 1 FROM ports WHERE id = ?1 AND ip_allocation = 'deferred'", params![id.0])?)
}

/// Subnets that a request names must exist, whatever network they are of.
fn check_subnets(snapshot: &Snapshot<'_>, request: Option<&[FixedIpRequest]>) -> Result<(), NetworkError> {
    for id in request.unwrap_or_default().iter().filter_map(|entry| entry.subnet_id) {
        subnet::get(snapshot, id)?;
    }
    Ok(())
}

/// A project cannot claim that its port belongs to another project's router.
fn check_device(work: &Work<'_>, project: &str, device_id: &str, owner: &str) -> Result<(), NetworkError> {
    if work.caller.is_admin || device_id.is_empty() || !device_owner::is_router_interface(owner) {
        return Ok(());
    }
    let router: Option<String> =
        work.tx.query_opt("SELECT project_id FROM routers WHERE id = ?1", params![device_id], |row| row.get(0))?;
    Ok(rules::check_device(owner, device_id, project, router.as_deref(), false)?)
}

/// Refuses a name that does not fit the deployment's domain.
fn check_dns_name(work: &Work<'_>, name: Option<&str>) -> Result<(), NetworkError> {
    dns::check_name(name.unwrap_or_default(), &work.config.dns_domain).map_err(|reason| {
        NetworkError::named("HTTPBadRequest", 400, format!("Invalid input for dns_name. Reason: {reason}."))
    })
}

/// Changes a port.
pub fn update(work: &Work<'_>, id: PortId, request: PortUpdate) -> Result<(), NetworkError> {
    let before = nova::before(work, id)?;
    let port = get(work.tx, id)?;
    let network = network::get(work.tx, port.network_id)?;
    let owner = request.device_owner.as_deref().unwrap_or(&port.device_owner);
    check_device(work, &port.project_id, request.device_id.as_deref().unwrap_or(&port.device_id), owner)?;
    check_dns_name(work, request.dns_name.as_deref())?;
    if let Some(policy) = &request.numa_affinity_policy
        && !is_unplugged(&port.binding_vif_type)
    {
        let numa_affinity_policy = policy.clone().unwrap_or_else(|| "None".to_owned());
        let host_id = port.binding_host.clone();
        return Err(ModelError::PortBoundNUMAAffinityPolicy { port_id: id, host_id, numa_affinity_policy }.into());
    }
    let binding = binding::Change::of(&port, &request)?;
    let mac = mac::after_change(work, &port, &request, &binding)?;

    let current = addresses::of_port(work.tx, id)?;
    check_subnets(work.tx, request.fixed_ips.as_deref())?;
    let choice = Choice::new(work, network.id, owner, &binding.host)?;
    let subnets = match &request.fixed_ips {
        Some(entries) => choice.of(Some(entries))?.subnets(),
        None => {
            choice.check_host(&port, &current)?;
            choice.all()
        }
    };
    let addressing = Addressing { net_id: network.id, subnets: &subnets, device_owner: owner, mac };
    let mut change = plan_change(&addressing, &current, request.fixed_ips.as_deref(), mac != port.mac_address)?;
    let waited =
        port.binding_host.is_empty() && !binding.host.is_empty() && current.is_empty() && request.fixed_ips.is_none();
    if waited && is_deferred(work.tx, id)? {
        // Now that there is a host, there is a segment.
        let subnets = choice.of(None)?.subnets();
        change.add = plan_new(&Addressing { subnets: &subnets, ..addressing }, None)?;
    }
    check_router_port_change(id, owner, &subnets, &change)?;
    let mut ips = change.keep.clone();
    if !change.remove.is_empty() || !change.add.is_empty() {
        addresses::give_back(work, &change.remove)?;
        ips.extend(addresses::take(work, network.id, owner, &change.add)?);
        floating_ip::check_port_addresses(work, id, &ips)?;
        work.tx.execute("DELETE FROM fixed_ips WHERE port_id = ?1", params![id.0])?;
        addresses::write(work, network.id, id, &ips)?;
        port_forwarding::after_address_loss(work, id, &ips)?;
    }

    let asked = protection::Asked {
        port_security: request.port_security_enabled,
        groups: request.security_groups.clone(),
        pairs: request.allowed_address_pairs.clone(),
        mac,
    };
    let protection = Protection::of_changed(work, &port, asked)?;
    change_place(work, &port, &network, protection.port_security, &request)?;
    protection.write(work, id)?;
    let rebound = binding.write(work, &port)?;
    match request.qos_policy_id {
        Some(policy) => attach::change_port(work, id, policy)?,
        None if request.binding_vnic_type.is_some() => attach::follow_port(work, id)?,
        None => {}
    }
    dhcp_options::write(work, id, request.extra_dhcp_opts.as_deref().unwrap_or_default())?;
    work.set("ports", id.0, "mac_address", Some(mac.to_string()))?;
    write_plain(work, id, request)?;
    work.touch("ports", id.0)?;
    if rebound {
        trunk::follow_parent(work, id, &binding.host)?;
    }
    nova::after_update(work, before.as_ref())?;
    if binding.host != port.binding_host {
        // The host that loses the port must hear of it too.
        log(work, id, Operation::Update, network.id, &port.binding_host)?;
    }
    log(work, id, Operation::Update, network.id, &binding.host)
}

/// Writes what a request says that nothing else depends on.
fn write_plain(work: &Work<'_>, id: PortId, request: PortUpdate) -> Result<(), NetworkError> {
    work.set("ports", id.0, "name", request.name)?;
    work.set("ports", id.0, "description", request.description)?;
    work.set("ports", id.0, "admin_state_up", request.admin_state_up)?;
    work.set("ports", id.0, "device_id", request.device_id)?;
    work.set("ports", id.0, "device_owner", request.device_owner)?;
    if dns::has_names(&work.config.dns_domain) {
        work.set("ports", id.0, "dns_name", request.dns_name)?;
        work.set("ports", id.0, "dns_domain", request.dns_domain)?;
    }
    work.set("ports", id.0, "numa_affinity_policy", request.numa_affinity_policy)?;
    work.set("ports", id.0, "trusted", request.trusted)?;
    let hints = |hints: Map<String, Value>| Value::Object(hints).to_string();
    work.set("ports", id.0, "hints", request.hints.map(|asked| asked.map(hints)))?;
    work.set("ports", id.0, "data_plane_status", request.data_plane_status)?;
    work.set("ports", id.0, "propagate_uplink_status", request.propagate_uplink_status)
}

/// Writes a port's place in a private VLAN.
fn change_place(
    work: &Work<'_>,
    port: &Port,
    network: &network::Network,
    port_security: bool,
    request: &PortUpdate,
) -> Result<(), NetworkError> {
    if network.pvlan {
        let owner = request.device_owner.as_deref().unwrap_or(&port.device_owner);
        pvlan::check_protected(port.id, owner, network.port_security_enabled, port_security)?;
    }
    let asked = pvlan::Asked { kind: request.pvlan_type.clone(), community: request.pvlan_community.clone() };
    let place = pvlan::place(port.id, (network.id, network.pvlan), &port.pvlan, asked)?;
    if place != port.pvlan {
        work.set("ports", port.id.0, "pvlan_type", Some(place.kind))?;
        work.set("ports", port.id.0, "pvlan_community", Some(place.community))?;
    }
    Ok(())
}

/// Raises a port's revision and notes the change, for changes that came by another way than [`update`].
pub fn changed(work: &Work<'_>, id: PortId) -> Result<(), NetworkError> {
    let port = get(work.tx, id)?;
    work.touch("ports", id.0)?;
    log(work, id, Operation::Update, port.network_id, &port.binding_host)
}

/// Sets a port's status; what it is already is not written again, so that nobody is woken for nothing.
pub fn set_status(work: &Work<'_>, id: PortId, status: &str) -> Result<bool, NetworkError> {
    let before = nova::before(work, id)?;
    let changed =
        work.tx.execute("UPDATE ports SET status = ?2 WHERE id = ?1 AND status <> ?2", params![id.0, status])?;
    if changed > 0 {
        self::changed(work, id)?;
        nova::after_status(work, before.as_ref())?;
    }
    Ok(changed > 0)
}
