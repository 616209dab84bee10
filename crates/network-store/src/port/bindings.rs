//! Bindings as objects of their own: an instance that is to move has one on the host that it is on and one on the host that
//! it goes to, and the second is put in place of the first when it arrives.
//!
//! The binding in use is the port's own (`ports.binding_*`), and its id is the port's; what its host says of the port is the
//! port's status. The others stand in `port_bindings`: their hosts wire the port as soon as its device is there, which Nova
//! hears ([`set_wired`]), and nothing else follows from them.

use super::binding::{self, Profile};
use super::{Port, PortUpdate, changed, get, log};
use crate::qos::attach;
use crate::{NetworkError, Work, nova, trunk};
use net_types::PortId;
use network_model::ModelError;
use network_model::binding::VifType;
use serde::Deserialize;
use serde_json::{Value, json};
use store::{Operation, params};
use uuid::Uuid;

/// A checked POST body, with the port that it is below.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct BindingCreate {
    pub port_id: PortId,
    pub host: String,
    pub vnic_type: String,
    #[serde(default)]
    pub profile: Profile,
}

/// A checked PUT body: what it does not have stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct BindingUpdate {
    pub vnic_type: Option<String>,
    pub profile: Option<Profile>,
}

/// A binding that is not in use.
struct Waiting {
    port: PortId,
    host: String,
    vnic_type: String,
    profile: String,
    vif_type: String,
    vif_details: String,
}

/// The binding of this id if it waits; otherwise the id is a port's.
fn waiting(work: &Work<'_>, id: Uuid) -> Result<Option<Waiting>, NetworkError> {
    Ok(work.tx.query_opt(
        "SELECT port_id, host, vnic_type, profile, vif_type, vif_details FROM port_bindings WHERE id = ?1",
        params![id],
        |row| {
            Ok(Waiting {
                port: row.parse(0)?,
                host: row.get(1)?,
                vnic_type: row.get(2)?,
                profile: row.get(3)?,
                vif_type: row.get(4)?,
                vif_details: row.get(5)?,
            })
        },
    )?)
}

/// Only what can move from host to host has several bindings.
fn check_kind(port: &Port) -> Result<(), ModelError> {
    if ["compute:", "manila:"].iter().any(|kind| port.device_owner.starts_with(kind)) {
        return Ok(());
    }
    let msg = format!("Invalid port {}. Operation only valid on compute and shared filesystem ports", port.id);
    Err(ModelError::BadRequest { resource: "port", msg })
}

/// Binds a port to one more host, which must be able to take it.
pub fn create(work: &Work<'_>, request: BindingCreate) -> Result<Uuid, NetworkError> {
    let BindingCreate { port_id, host, vnic_type, mut profile } = request;
    let port = get(work.tx, port_id)?;
    check_kind(&port)?;
    let known =
        work.tx.exists("SELECT 1 FROM port_bindings WHERE port_id = ?1 AND host = ?2", params![port_id.0, &host])?;
    if known || host == port.binding_host {
        return Err(ModelError::PortBindingAlreadyExists { port_id, host }.into());
    }
    binding::say_trusted(&mut profile, port.trusted);
    binding::check_length(&profile)?;
    let bound = binding::of(work, port.network_id, Some(port_id), &host, &vnic_type, &profile)?;
    if bound.vif_type != VifType::Ovs {
        return Err(ModelError::PortBindingError { port_id, host }.into());
    }
    let id = work.new_id();
    work.tx.execute(
        "INSERT INTO port_bindings (id, port_id, host, vnic_type, profile, vif_type, vif_details)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            id,
            port_id.0,
            &host,
            &vnic_type,
            Value::Object(profile).to_string(),
            bound.vif_type.as_str(),
            bound.vif_details.to_string()
        ],
    )?;
    changed(work, port_id)?;
    Ok(id)
}

/// Changes a binding, which is then made anew.
pub fn update(work: &Work<'_>, id: Uuid, request: BindingUpdate) -> Result<(), NetworkError> {
    let Some(waits) = waiting(work, id)? else {
        let port_id = PortId(id);
        let BindingUpdate { vnic_type: binding_vnic_type, profile: binding_profile } = request;
        super::update(work, port_id, PortUpdate { binding_vnic_type, binding_profile, ..PortUpdate::default() })?;
        let port = get(work.tx, port_id)?;
        return match port.binding_vif_type.as_str() == VifType::BindingFailed.as_str() {
            true => Err(ModelError::PortBindingError { port_id, host: port.binding_host }.into()),
            false => Ok(()),
        };
    };
    let port = get(work.tx, waits.port)?;
    let vnic_type = request.vnic_type.unwrap_or(waits.vnic_type);
    let mut profile = match request.profile {
        Some(profile) => profile,
        // Only we write it.
        None => serde_json::from_str(&waits.profile).unwrap_or_default(),
    };
    binding::say_trusted(&mut profile, port.trusted);
    binding::check_length(&profile)?;
    let bound = binding::of(work, port.network_id, Some(port.id), &waits.host, &vnic_type, &profile)?;
    if bound.vif_type != VifType::Ovs {
        return Err(ModelError::PortBindingError { port_id: port.id, host: waits.host }.into());
    }
    work.tx.execute(
        "UPDATE port_bindings SET vnic_type = ?2, profile = ?3, vif_type = ?4, vif_details = ?5 WHERE id = ?1",
        params![
            id,
            &vnic_type,
            Value::Object(profile).to_string(),
            bound.vif_type.as_str(),
            bound.vif_details.to_string()
        ],
    )?;
    changed(work, port.id)
}

/// Removes a binding; the port is then bound to no host if it was the one in use.
pub fn delete(work: &Work<'_>, id: Uuid) -> Result<(), NetworkError> {
    match waiting(work, id)? {
        Some(waits) => {
            work.tx.execute("DELETE FROM port_bindings WHERE id = ?1", params![id])?;
            changed(work, waits.port)
        }
        None => {
            let binding_host = Some(Some(String::new()));
            super::update(work, PortId(id), PortUpdate { binding_host, ..PortUpdate::default() })
        }
    }
}

/// Puts a waiting binding in the place of the one in use, which from now on waits; as the API shows it.
pub fn activate(work: &Work<'_>, id: Uuid) -> Result<Value, NetworkError> {
    let Some(new) = waiting(work, id)? else {
        let port = get(work.tx, PortId(id))?;
        check_kind(&port)?;
        return Err(ModelError::PortBindingAlreadyActive { port_id: port.id, host: port.binding_host }.into());
    };
    let port = get(work.tx, new.port)?;
    check_kind(&port)?;
    let before = nova::before(work, port.id)?;
    work.tx.execute(
        "UPDATE ports SET binding_host = ?2, binding_vnic_type = ?3, binding_profile = ?4, binding_vif_type = ?5,
             binding_vif_details = ?6, status = 'DOWN' WHERE id = ?1",
        params![port.id.0, &new.host, &new.vnic_type, &new.profile, &new.vif_type, &new.vif_details],
    )?;
    if port.binding_host.is_empty() {
        work.tx.execute("DELETE FROM port_bindings WHERE id = ?1", params![id])?;
    } else {
        work.tx.execute(
            "UPDATE port_bindings SET host = ?2, vnic_type = ?3, profile = ?4, vif_type = 'unbound', vif_details = '{}',
                 wired = 0 WHERE id = ?1",
            params![
                id,
                &port.binding_host,
                &port.binding_vnic_type,
                Value::Object(port.binding_profile.clone()).to_string()
            ],
        )?;
    }
    // Another device may be asked of Placement for other things.
    attach::follow_port(work, port.id)?;
    work.touch("ports", port.id.0)?;
    nova::after_status(work, before.as_ref())?;
    trunk::follow_parent(work, port.id, &new.host)?;
    // The host that loses the port must hear of it too.
    log(work, port.id, Operation::Update, port.network_id, &port.binding_host)?;
    log(work, port.id, Operation::Update, port.network_id, &new.host)?;
    let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    Ok(json!({
        "host": new.host, "vif_type": new.vif_type, "vnic_type": new.vnic_type, "status": "ACTIVE",
        "profile": parsed(&new.profile), "vif_details": parsed(&new.vif_details),
    }))
}

/// Notes whether a port is wired on a host that has a waiting binding of it. Nova is told when it has become so.
pub fn set_wired(work: &Work<'_>, id: PortId, host: &str, wired: bool) -> Result<(), NetworkError> {
    let news = work.tx.execute(
        "UPDATE port_bindings SET wired = ?3 WHERE port_id = ?1 AND host = ?2 AND vif_type = 'ovs' AND wired <> ?3",
        params![id.0, host, wired],
    )?;
    if news == 0 {
        return Ok(());
    }
    if wired {
        nova::plugged_ahead(work, id)?;
    }
    log(work, id, Operation::Update, get(work.tx, id)?.network_id, host)
}
