//! What requests on address scopes do.

use crate::{NetworkError, Work, rbac};
use network_model::ModelError;
use serde::Deserialize;
use store::{Operation, Snapshot, params};
use uuid::Uuid;

/// A checked POST body.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct AddressScopeCreate {
    pub project_id: String,
    pub name: String,
    pub shared: bool,
    pub ip_version: u8,
}

/// A checked PUT body: what it does not have stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct AddressScopeUpdate {
    pub name: Option<String>,
    pub shared: Option<bool>,
}

/// What pools must know of a scope.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // Its columns.
pub struct AddressScope {
    pub id: Uuid,
    pub project_id: String,
    pub ip_version: u8,
}

/// The scope, or that it is not there.
pub fn get(snapshot: &Snapshot<'_>, id: Uuid) -> Result<AddressScope, NetworkError> {
    let found =
        snapshot.query_opt("SELECT project_id, ip_version FROM address_scopes WHERE id = ?1", params![id], |row| {
            Ok(AddressScope { id, project_id: row.get(0)?, ip_version: row.get(1)? })
        })?;
    found.ok_or_else(|| ModelError::AddressScopeNotFound { address_scope_id: id }.into())
}

/// The scope, or that it is not there for this caller.
pub(crate) fn get_visible(work: &Work<'_>, id: Uuid) -> Result<AddressScope, NetworkError> {
    let scope = get(work.tx, id)?;
    if rbac::may_use(work, id, &scope.project_id)? {
        return Ok(scope);
    }
    Err(ModelError::AddressScopeNotFound { address_scope_id: id }.into())
}

impl AddressScope {
    /// Whether the caller may change what is in it.
    pub(crate) fn is_own(&self, work: &Work<'_>) -> bool {
        work.caller.is_admin || self.project_id == work.caller.project_id
    }
}

/// Makes a scope.
pub fn create(work: &Work<'_>, request: &AddressScopeCreate) -> Result<Uuid, NetworkError> {
    let id = work.new_id();
    work.tx.execute(
        "INSERT INTO address_scopes (id, project_id, name, ip_version) VALUES (?1, ?2, ?3, ?4)",
        params![id, &request.project_id, &request.name, request.ip_version],
    )?;
    rbac::set_shared(work, "address_scope", id, request.shared)?;
    work.log("address_scope", id, Operation::Create, None)?;
    Ok(id)
}

/// Changes a scope. Once shared it stays so, since others' pools may be in it.
pub fn update(work: &Work<'_>, id: Uuid, request: AddressScopeUpdate) -> Result<(), NetworkError> {
    get(work.tx, id)?;
    if request.shared == Some(false) && rbac::is_shared_with(work.tx, id, rbac::SHARED, work.caller.project_id)? {
        let reason = "Shared address scope can't be unshared";
        return Err(ModelError::AddressScopeUpdateError { address_scope_id: id, reason }.into());
    }
    work.set("address_scopes", id, "name", request.name)?;
    if request.shared == Some(true) {
        rbac::set_shared(work, "address_scope", id, true)?;
    }
    work.log("address_scope", id, Operation::Update, None)
}

/// Removes a scope that no pool is in.
pub fn delete(work: &Work<'_>, id: Uuid) -> Result<(), NetworkError> {
    get(work.tx, id)?;
    if work.tx.exists("SELECT 1 FROM subnetpools WHERE address_scope_id = ?1", params![id])? {
        return Err(ModelError::AddressScopeInUse { address_scope_id: id }.into());
    }
    rbac::forget(work, id)?;
    work.tx.execute("DELETE FROM address_scopes WHERE id = ?1", params![id])?;
    work.log("address_scope", id, Operation::Delete, None)
}
