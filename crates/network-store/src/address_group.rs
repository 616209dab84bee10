//! What requests on address groups do.

use crate::{NetworkError, Work, rbac};
use net_types::IpNet;
use network_model::ModelError;
use serde::Deserialize;
use std::collections::BTreeSet;
use store::{Operation, Snapshot, StoreError, params};
use uuid::Uuid;

/// A checked POST body.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct AddressGroupCreate {
    pub project_id: String,
    pub name: String,
    pub description: String,
    #[serde(default)]
    pub addresses: Vec<IpNet>,
}

/// A checked PUT body: what it does not have stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct AddressGroupUpdate {
    pub name: Option<String>,
    pub description: Option<String>,
}

/// Makes a group.
pub fn create(work: &Work<'_>, request: AddressGroupCreate) -> Result<Uuid, NetworkError> {
    let id = work.new_id();
    work.tx.execute(
        "INSERT INTO address_groups (id, project_id, name, description, revision_number, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, 0, ?5, ?5)",
        params![id, &request.project_id, &request.name, &request.description, work.now],
    )?;
    insert(work, id, &networks(&request.addresses))?;
    work.log("address_group", id, Operation::Create, None)?;
    Ok(id)
}

/// Changes a group's name or description.
pub fn update(work: &Work<'_>, id: Uuid, request: AddressGroupUpdate) -> Result<(), NetworkError> {
    work.set("address_groups", id, "name", request.name)?;
    work.set("address_groups", id, "description", request.description)?;
    changed(work, id)
}

/// Removes a group that no rule refers to.
pub fn delete(work: &Work<'_>, id: Uuid) -> Result<(), NetworkError> {
    work.lock("address_groups", id)?;
    if work.tx.exists("SELECT 1 FROM security_group_rules WHERE remote_address_group_id = ?1", params![id])? {
        return Err(ModelError::AddressGroupInUse { address_group_id: id }.into());
    }
    rbac::forget(work, id)?;
    work.tx.execute("DELETE FROM address_groups WHERE id = ?1", params![id])?;
    work.log("address_group", id, Operation::Delete, None)
}

/// Adds prefixes, none of which the group has.
pub fn add_addresses(work: &Work<'_>, id: Uuid, addresses: &[IpNet]) -> Result<(), NetworkError> {
    work.lock("address_groups", id)?;
    let (there, new) = sorted_out(work.tx, id, addresses)?;
    if !there.is_empty() {
        return Err(ModelError::AddressesAlreadyExist { addresses: listed(&there), address_group_id: id }.into());
    }
    insert(work, id, &new)?;
    changed(work, id)
}

/// Takes prefixes away, all of which the group has.
pub fn remove_addresses(work: &Work<'_>, id: Uuid, addresses: &[IpNet]) -> Result<(), NetworkError> {
    work.lock("address_groups", id)?;
    let (there, unknown) = sorted_out(work.tx, id, addresses)?;
    if !unknown.is_empty() {
        return Err(ModelError::AddressesNotFound { addresses: listed(&unknown), address_group_id: id }.into());
    }
    for address in there {
        work.tx.execute(
            "DELETE FROM address_group_addresses WHERE address_group_id = ?1 AND address = ?2",
            params![id, address.to_string()],
        )?;
    }
    changed(work, id)
}

/// The group that a rule names, if the caller may use it. It stays until this unit of work is committed.
pub(crate) fn usable(work: &Work<'_>, id: &str) -> Result<Uuid, NetworkError> {
    let missing = || ModelError::AddressGroupNotFound { address_group_id: id.to_owned() };
    let group: Uuid = id.parse().map_err(|_| missing())?;
    work.lock("address_groups", group)?;
    let owner: Option<String> =
        work.tx.query_opt("SELECT project_id FROM address_groups WHERE id = ?1", params![group], |row| row.get(0))?;
    match owner {
        Some(owner) if rbac::may_use(work, group, &owner)? => Ok(group),
        _ => Err(missing().into()),
    }
}

/// Each once, without host bits.
fn networks(addresses: &[IpNet]) -> BTreeSet<IpNet> {
    addresses.iter().map(IpNet::trunc).collect()
}

/// Those that the group has, and those that it has not.
fn sorted_out(
    snapshot: &Snapshot<'_>,
    id: Uuid,
    addresses: &[IpNet],
) -> Result<(BTreeSet<IpNet>, BTreeSet<IpNet>), StoreError> {
    let (mut there, mut others) = (BTreeSet::new(), BTreeSet::new());
    for address in networks(addresses) {
        let known = snapshot.exists(
            "SELECT 1 FROM address_group_addresses WHERE address_group_id = ?1 AND address = ?2",
            params![id, address.to_string()],
        )?;
        let side = if known { &mut there } else { &mut others };
        side.insert(address);
    }
    Ok((there, others))
}

/// As Python prints a list.
fn listed(addresses: &BTreeSet<IpNet>) -> String {
    let quoted: Vec<String> = addresses.iter().map(|address| format!("'{address}'")).collect();
    format!("[{}]", quoted.join(", "))
}

fn insert(work: &Work<'_>, id: Uuid, addresses: &BTreeSet<IpNet>) -> Result<(), NetworkError> {
    for address in addresses {
        work.tx.execute(
            "INSERT INTO address_group_addresses (address_group_id, address) VALUES (?1, ?2)",
            params![id, address.to_string()],
        )?;
    }
    Ok(())
}

fn changed(work: &Work<'_>, id: Uuid) -> Result<(), NetworkError> {
    work.touch("address_groups", id)?;
    work.log("address_group", id, Operation::Update, None)
}
