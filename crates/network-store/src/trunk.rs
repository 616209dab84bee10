//! What requests on trunks do, and how a trunk's ports follow their parent.
//!
//! A trunk is DOWN from the moment that it or its subports change until a host says that it has realised it.

use crate::port::{self, PortUpdate};
use crate::{NetworkError, Work, network, segment};
use net_types::{PortId, TrunkId};
use network_model::ModelError;
use network_model::trunk::{self as rules, Tag};
use serde::Deserialize;
use serde_json::Value;
use store::{Operation, Snapshot, StoreError, params};

/// A checked POST body.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct TrunkCreate {
    pub project_id: String,
    pub name: String,
    pub description: String,
    pub admin_state_up: bool,
    pub port_id: PortId,
    pub sub_ports: Vec<Subport>,
}

/// A checked PUT body: what it does not have stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct TrunkUpdate {
    pub name: Option<String>,
    pub description: Option<String>,
    pub admin_state_up: Option<bool>,
}

/// A subport as requests name it.
#[derive(Debug, Clone, Deserialize)]
pub struct Subport {
    /// The port.
    pub port_id: PortId,
    /// `vlan`, or `inherit`: what its network has.
    #[serde(default)]
    pub segmentation_type: Value,
    /// The tag on the parent.
    #[serde(default)]
    pub segmentation_id: Value,
}

impl Subport {
    fn tag(&self) -> Option<String> {
        match &self.segmentation_id {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }
}

struct Trunk {
    id: TrunkId,
    admin_state_up: bool,
    status: String,
    port: PortId,
}

fn get(snapshot: &Snapshot<'_>, id: TrunkId) -> Result<Trunk, NetworkError> {
    let found = snapshot.query_opt(
        "SELECT admin_state_up, status, port_id FROM trunks WHERE id = ?1",
        params![id.0],
        |row| Ok(Trunk { id, admin_state_up: row.get(0)?, status: row.get(1)?, port: row.parse(2)? }),
    )?;
    found.ok_or_else(|| ModelError::TrunkNotFound { trunk_id: id }.into())
}

impl Trunk {
    /// A trunk that is switched off stays as it is.
    fn check_enabled(&self) -> Result<(), ModelError> {
        if self.admin_state_up { Ok(()) } else { Err(ModelError::TrunkDisabled { trunk_id: self.id }) }
    }
}

/// The trunk that a port is the parent of.
pub(crate) fn of_parent(snapshot: &Snapshot<'_>, port: PortId) -> Result<Option<TrunkId>, StoreError> {
    snapshot.query_opt("SELECT id FROM trunks WHERE port_id = ?1", params![port.0], |row| row.parse(0))
}

/// The trunk that a port is a subport of.
fn of_subport(snapshot: &Snapshot<'_>, port: PortId) -> Result<Option<TrunkId>, StoreError> {
    snapshot.query_opt("SELECT trunk_id FROM trunk_subports WHERE port_id = ?1", params![port.0], |row| row.parse(0))
}

fn subports(snapshot: &Snapshot<'_>, trunk: TrunkId) -> Result<Vec<PortId>, StoreError> {
    snapshot.query(
        "SELECT port_id FROM trunk_subports WHERE trunk_id = ?1 ORDER BY segmentation_id",
        params![trunk.0],
        |row| row.parse(0),
    )
}

/// `{"sub_ports": [...]}`.
pub fn show_subports(snapshot: &Snapshot<'_>, id: TrunkId) -> Result<Value, NetworkError> {
    let listed: Vec<Value> = snapshot.query(
        "SELECT port_id, segmentation_type, segmentation_id FROM trunk_subports WHERE trunk_id = ?1 ORDER BY segmentation_id",
        params![id.0],
        |row| {
            let (port, kind, tag): (String, String, u16) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(serde_json::json!({"segmentation_id": tag, "segmentation_type": kind, "port_id": port}))
        },
    )?;
    Ok(serde_json::json!({"sub_ports": listed}))
}

/// A port that a trunk holds stays.
pub(crate) fn check_port_deletion(snapshot: &Snapshot<'_>, port_id: PortId) -> Result<(), NetworkError> {
    if let Some(trunk_id) = of_subport(snapshot, port_id)? {
        return Err(ModelError::PortInUseAsSubPort { port_id, trunk_id }.into());
    }
    match of_parent(snapshot, port_id)? {
        Some(trunk_id) => Err(ModelError::PortInUseAsTrunkParent { port_id, trunk_id }.into()),
        None => Ok(()),
    }
}

/// A port can be in one trunk, once.
fn check_free(snapshot: &Snapshot<'_>, port_id: PortId) -> Result<(), NetworkError> {
    if of_subport(snapshot, port_id)?.is_some() {
        return Err(ModelError::TrunkPortInUse { port_id }.into());
    }
    if of_parent(snapshot, port_id)?.is_some() {
        return Err(ModelError::ParentPortInUse { port_id }.into());
    }
    Ok(())
}

/// Makes a trunk.
pub fn create(work: &Work<'_>, request: TrunkCreate) -> Result<TrunkId, NetworkError> {
    let port_id = request.port_id;
    check_free(work.tx, port_id)?;
    // What is plugged in already cannot be plugged in otherwise.
    if !port::get_visible(work, port_id)?.binding_host.is_empty() {
        return Err(ModelError::ParentPortInUse { port_id }.into());
    }
    let tags = tags(work, port_id, request.sub_ports)?;
    let id = TrunkId(work.new_id());
    work.tx.execute(
        "INSERT INTO trunks (id, project_id, name, description, admin_state_up, status, port_id, revision_number,
             created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, 'DOWN', ?6, 1, ?7, ?7)",
        params![
            id.0,
            &request.project_id,
            &request.name,
            &request.description,
            request.admin_state_up,
            port_id.0,
            work.now
        ],
    )?;
    write(work, id, &tags)?;
    work.log("trunk", id, Operation::Create, None)?;
    Ok(id)
}

/// Checks what a request wants to put into the trunk of a parent; each with its tag.
fn tags(work: &Work<'_>, parent: PortId, wanted: Vec<Subport>) -> Result<Vec<(PortId, Tag)>, NetworkError> {
    let parent_mtu = network::get(work.tx, port::get(work.tx, parent)?.network_id)?.mtu;
    let mut tags = Vec::with_capacity(wanted.len());
    for subport in wanted {
        let port_id = subport.port_id;
        if port_id == parent {
            return Err(ModelError::ParentPortInUse { port_id }.into());
        }
        let port = port::get_visible(work, port_id)?;
        let mtu = network::get(work.tx, port.network_id)?.mtu;
        if mtu > parent_mtu {
            // Neutron's message has the parent's id in this place.
            return Err(ModelError::SubPortMtuGreaterThanTrunkPortMtu {
                port_mtu: mtu,
                port_id,
                trunk_mtu: parent_mtu,
                trunk_id: parent,
            }
            .into());
        }
        let inherited = match subport.segmentation_type.as_str() {
            Some(rules::INHERIT) => segment::of_network(work.tx, port.network_id)?.into_iter().next(),
            _ => None,
        };
        let tag = match inherited {
            Some(segment) => Tag::new(segment.network_type.as_str(), segment.segmentation_id.map(i64::from))?,
            None => Tag::read(port_id, subport.segmentation_type.as_str(), subport.tag().as_deref())?,
        };
        check_free(work.tx, port_id)?;
        if !port.device_id.is_empty() {
            let (net_id, device_id) = (port.network_id, port.device_id);
            return Err(ModelError::PortInUse { net_id, port_id, device_id }.into());
        }
        tags.push((port_id, tag));
    }
    Ok(tags)
}

fn write(work: &Work<'_>, trunk: TrunkId, tags: &[(PortId, Tag)]) -> Result<(), NetworkError> {
    for (port, tag) in tags {
        let taken = work.tx.exists(
            "SELECT 1 FROM trunk_subports WHERE trunk_id = ?1 AND segmentation_type = ?2 AND segmentation_id = ?3",
            params![trunk.0, tag.kind(), tag.id],
        )?;
        if taken {
            let (segmentation_type, segmentation_id) = (tag.kind(), tag.id);
            return Err(ModelError::DuplicateSubPort { segmentation_type, segmentation_id, trunk_id: trunk }.into());
        }
        work.tx.execute(
            "INSERT INTO trunk_subports (port_id, trunk_id, segmentation_type, segmentation_id) VALUES (?1, ?2, ?3, ?4)",
            params![port.0, trunk.0, tag.kind(), tag.id],
        )?;
    }
    Ok(())
}

/// Changes a trunk.
pub fn update(work: &Work<'_>, id: TrunkId, request: TrunkUpdate) -> Result<(), NetworkError> {
    get(work.tx, id)?;
    work.set("trunks", id.0, "name", request.name)?;
    work.set("trunks", id.0, "description", request.description)?;
    work.set("trunks", id.0, "admin_state_up", request.admin_state_up)?;
    changed(work, id)
}

/// Says how far its host is with it; one that has gone meanwhile needs nothing.
pub fn set_status(work: &Work<'_>, id: TrunkId, status: &str) -> Result<(), NetworkError> {
    let sql = "UPDATE trunks SET status = ?2 WHERE id = ?1 AND status <> ?2 AND status <> 'ERROR'";
    if work.tx.execute(sql, params![id.0, status])? > 0 { changed(work, id) } else { Ok(()) }
}

fn changed(work: &Work<'_>, id: TrunkId) -> Result<(), NetworkError> {
    work.touch("trunks", id.0)?;
    work.log("trunk", id, Operation::Update, None)
}

/// Removes a trunk; its ports are ordinary ones again.
pub fn delete(work: &Work<'_>, id: TrunkId) -> Result<(), NetworkError> {
    let trunk = get(work.tx, id)?;
    trunk.check_enabled()?;
    if !port::get(work.tx, trunk.port)?.binding_host.is_empty() {
        return Err(ModelError::TrunkInUse { trunk_id: id }.into());
    }
    let ports = subports(work.tx, id)?;
    work.tx.execute("DELETE FROM tags WHERE object_id = ?1", params![id.0])?;
    work.tx.execute("DELETE FROM trunks WHERE id = ?1", params![id.0])?;
    for port in ports {
        release(work, port)?;
    }
    work.log("trunk", id, Operation::Delete, None)
}

/// Puts ports into a trunk.
pub fn add_subports(work: &Work<'_>, id: TrunkId, wanted: Vec<Subport>) -> Result<(), NetworkError> {
    let trunk = get(work.tx, id)?;
    let tags = tags(work, trunk.port, wanted)?;
    trunk.check_enabled()?;
    if trunk.status == "ERROR" {
        return Err(ModelError::TrunkInErrorState { trunk_id: id }.into());
    }
    write(work, id, &tags)?;
    let host = port::get(work.tx, trunk.port)?.binding_host;
    if !host.is_empty() {
        for (port, _) in &tags {
            bind(work, *port, &host)?;
        }
    }
    work.set("trunks", id.0, "status", Some("DOWN"))?;
    changed(work, id)
}

/// Takes ports out of a trunk.
pub fn remove_subports(work: &Work<'_>, id: TrunkId, wanted: &[PortId]) -> Result<(), NetworkError> {
    get(work.tx, id)?;
    for port in wanted {
        let gone = work
            .tx
            .execute("DELETE FROM trunk_subports WHERE trunk_id = ?1 AND port_id = ?2", params![id.0, port.0])?;
        if gone == 0 {
            return Err(ModelError::SubPortNotFound { trunk_id: id, port_id: *port }.into());
        }
        release(work, *port)?;
    }
    work.set("trunks", id.0, "status", Some("DOWN"))?;
    changed(work, id)
}

/// That a trunk's subports may be taken out; asked before the request is looked at.
pub fn check_enabled(work: &Work<'_>, id: TrunkId) -> Result<(), NetworkError> {
    Ok(get(work.tx, id)?.check_enabled()?)
}

/// A parent is bound to another host, or to none: its subports go with it.
pub(crate) fn follow_parent(work: &Work<'_>, parent: PortId, host: &str) -> Result<(), NetworkError> {
    let Some(id) = of_parent(work.tx, parent)? else { return Ok(()) };
    for port in subports(work.tx, id)? {
        bind(work, port, host)?;
    }
    let was = work.tx.execute("UPDATE trunks SET status = 'DOWN' WHERE id = ?1 AND status <> 'DOWN'", params![id.0])?;
    if was > 0 { changed(work, id) } else { Ok(()) }
}

fn bind(work: &Work<'_>, port: PortId, host: &str) -> Result<(), NetworkError> {
    let binding_host = Some(Some(host.to_owned()));
    let device_owner = Some(rules::SUBPORT_OWNER.to_owned());
    port::update(work, port, PortUpdate { binding_host, device_owner, ..PortUpdate::default() })
}

/// A port that is a subport no longer: what being one has brought it goes.
fn release(work: &Work<'_>, id: PortId) -> Result<(), NetworkError> {
    if port::get(work.tx, id)?.device_owner != rules::SUBPORT_OWNER {
        return Ok(());
    }
    let nowhere = PortUpdate {
        binding_host: Some(Some(String::new())),
        device_owner: Some(String::new()),
        ..PortUpdate::default()
    };
    port::update(work, id, nowhere)
}
