//! Who may use objects of other projects: the entries of `/v2.0/rbac-policies`, and what other rules ask of them.
//!
//! An entry names an object, an action and a target: a project, or everybody. What a *list* shows follows from the
//! declaration's `shared` in the API's engine; here is the same for rules that refer to an object by its id.

mod shareable;

pub use shareable::{ALL, EVERYBODY, EXTERNAL, SHARED, Shareable};

use crate::{NetworkError, Work};
use net_types::NetworkId;
use serde::Deserialize;
use serde_json::json;
use store::{Operation, Snapshot, StoreError, params};
use uuid::Uuid;

/// A checked POST body.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct RbacPolicyCreate {
    pub project_id: String,
    pub object_type: String,
    pub object_id: Uuid,
    pub action: String,
    pub target_tenant: String,
}

/// A checked PUT body: what it does not have stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct RbacPolicyUpdate {
    pub target_tenant: Option<String>,
}

/// An entry.
struct Entry {
    id: Uuid,
    kind: &'static Shareable,
    object: Uuid,
    action: String,
    target: String,
}

/// Whether entries let this project use the object: by its name, or everybody.
pub fn is_shared_with(
    snapshot: &Snapshot<'_>,
    object: Uuid,
    action: &str,
    project_id: &str,
) -> Result<bool, StoreError> {
    snapshot.exists(
        "SELECT 1 FROM rbac_policies WHERE object_id = ?1 AND action = ?2 AND target_project IN ('*', ?3)",
        params![object, action, project_id],
    )
}

/// Whether an entry names exactly this target.
pub fn has_entry(snapshot: &Snapshot<'_>, object: Uuid, action: &str, target: &str) -> Result<bool, StoreError> {
    snapshot.exists(
        "SELECT 1 FROM rbac_policies WHERE object_id = ?1 AND action = ?2 AND target_project = ?3",
        params![object, action, target],
    )
}

/// Whether the caller may refer to the object: an administrator, its owner, and whom it is shared with.
pub fn may_use(work: &Work<'_>, object: Uuid, owner: &str) -> Result<bool, StoreError> {
    let caller = work.caller;
    Ok(caller.is_admin || owner == caller.project_id || is_shared_with(work.tx, object, SHARED, caller.project_id)?)
}

/// Writes what a request says of an object's `shared`: whether there is an entry for everybody. Sharing does not end while
/// somebody needs it.
pub fn set_shared(work: &Work<'_>, object_type: &str, object: Uuid, shared: bool) -> Result<(), NetworkError> {
    let kind = kind(object_type)?;
    match (has_entry(work.tx, object, SHARED, EVERYBODY)?, shared) {
        (false, true) => allow_everybody(work, kind, object, SHARED),
        (true, false) => {
            let entry =
                Entry { id: Uuid::nil(), kind, object, action: SHARED.to_owned(), target: EVERYBODY.to_owned() };
            check_not_needed(work, &entry, None)?;
            forbid_everybody(work, object, SHARED)
        }
        _ => Ok(()),
    }
}

/// Makes the entry for everybody, which is not there yet.
pub(crate) fn allow_everybody(
    work: &Work<'_>,
    kind: &'static Shareable,
    object: Uuid,
    action: &str,
) -> Result<(), NetworkError> {
    let owner = owner(work.tx, kind, object)?.unwrap_or_default();
    insert(work, kind, object, action, EVERYBODY, &owner).map(drop)
}

/// Removes the entry for everybody.
pub(crate) fn forbid_everybody(work: &Work<'_>, object: Uuid, action: &str) -> Result<(), NetworkError> {
    work.tx.execute(
        "DELETE FROM rbac_policies WHERE object_id = ?1 AND action = ?2 AND target_project = '*'",
        params![object, action],
    )?;
    Ok(())
}

/// The object goes, and its entries with it.
pub fn forget(work: &Work<'_>, object: Uuid) -> Result<(), NetworkError> {
    work.tx.execute("DELETE FROM rbac_policies WHERE object_id = ?1", params![object])?;
    Ok(())
}

/// The networks' kind.
pub(crate) fn kind(object_type: &str) -> Result<&'static Shareable, NetworkError> {
    shareable::find(object_type).ok_or_else(|| invalid(format!("'{object_type}' is not a valid RBAC object type")))
}

fn invalid(reason: String) -> NetworkError {
    NetworkError::named("InvalidInput", 400, format!("Invalid input for operation: {reason}."))
}

fn owner(snapshot: &Snapshot<'_>, kind: &Shareable, object: Uuid) -> Result<Option<String>, StoreError> {
    let sql = format!("SELECT project_id FROM {} WHERE id = ?1", kind.table);
    snapshot.query_opt(&sql, params![object], |row| row.get(0))
}

/// Makes an entry.
pub fn create(work: &Work<'_>, request: &RbacPolicyCreate) -> Result<Uuid, NetworkError> {
    let kind = kind(&request.object_type)?;
    let object = request.object_id;
    check_manipulator(work, kind, object)?;
    if kind.users(&request.action).is_none() {
        return Err(invalid_action(kind, &request.action));
    }
    check_stands_in(work, kind, object, &request.target_tenant)?;
    check_no_duplicate(work, object, &request.action, &request.target_tenant)?;
    let id = insert(work, kind, object, &request.action, &request.target_tenant, &request.project_id)?;
    after_change(work, kind, object, &request.action)?;
    Ok(id)
}

fn insert(
    work: &Work<'_>,
    kind: &Shareable,
    object: Uuid,
    action: &str,
    target: &str,
    project_id: &str,
) -> Result<Uuid, NetworkError> {
    let id = work.new_id();
    work.tx.execute(
        "INSERT INTO rbac_policies (id, project_id, object_type, object_id, target_project, action)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![id, project_id, kind.object_type, object, target, action],
    )?;
    log(work, id, Operation::Create, kind, object)?;
    Ok(id)
}

fn log(work: &Work<'_>, id: Uuid, what: Operation, kind: &Shareable, object: Uuid) -> Result<(), NetworkError> {
    work.log("rbac_policy", id, what, Some(json!({"object_type": kind.object_type, "object_id": object})))
}

/// Python's way of writing a tuple.
fn invalid_action(kind: &Shareable, action: &str) -> NetworkError {
    let names: Vec<String> = kind.actions.iter().map(|(name, _)| format!("'{name}'")).collect();
    let tuple = match names.as_slice() {
        [one] => format!("({one},)"),
        several => format!("({})", several.join(", ")),
    };
    let message = format!("Invalid action '{action}' for object type '{}'. Valid actions: {tuple}", kind.object_type);
    NetworkError::named("InvalidActionForType", 400, message)
}

/// Only the owner of an object and administrators may say who may use it.
fn check_manipulator(work: &Work<'_>, kind: &Shareable, object: Uuid) -> Result<(), NetworkError> {
    let owner = owner(work.tx, kind, object)?;
    let caller = work.caller;
    match owner {
        Some(owner) if caller.is_admin || owner == caller.project_id => Ok(()),
        Some(_) => {
            let objects = if kind.object_type == "network" { "networks" } else { "objects" };
            Err(invalid(format!("Only admins can manipulate policies on {objects} they do not own")))
        }
        None => Err(invalid(format!("{} {object} could not be found", kind.object_type))),
    }
}

/// A subnet pool is of no use to whom its address scope is not shared with.
fn check_stands_in(work: &Work<'_>, kind: &Shareable, object: Uuid, target: &str) -> Result<(), NetworkError> {
    let Some(stands_in) = kind.stands_in else { return Ok(()) };
    let other: Option<Uuid> = work.tx.query_opt(stands_in.sql, params![object], |row| row.parse(0))?;
    match other {
        Some(other) if !is_shared_with(work.tx, other, SHARED, target)? => Err(invalid(format!(
            "Failed to create RBAC policy on object {object} because target project doesn't have access to associated {}",
            stands_in.name
        ))),
        _ => Ok(()),
    }
}

fn check_no_duplicate(work: &Work<'_>, object: Uuid, action: &str, target: &str) -> Result<(), NetworkError> {
    if has_entry(work.tx, object, action, target)? {
        let message = "An RBAC policy already exists with those values.";
        return Err(NetworkError::named("DuplicateRbacPolicy", 409, message));
    }
    Ok(())
}

fn get(snapshot: &Snapshot<'_>, id: Uuid) -> Result<Entry, NetworkError> {
    let found = snapshot.query_opt(
        "SELECT object_type, object_id, action, target_project FROM rbac_policies WHERE id = ?1",
        params![id],
        |row| Ok((row.get::<String>(0)?, row.parse(1)?, row.get(2)?, row.get(3)?)),
    )?;
    match found {
        Some((object_type, object, action, target)) => {
            Ok(Entry { id, kind: kind(&object_type)?, object, action, target })
        }
        None => Err(NetworkError::named(
            "RbacPolicyNotFound",
            404,
            format!("RBAC policy of type unknown with ID {id} not found"),
        )),
    }
}

/// Gives an entry another target.
pub fn update(work: &Work<'_>, id: Uuid, request: &RbacPolicyUpdate) -> Result<(), NetworkError> {
    let entry = get(work.tx, id)?;
    check_manipulator(work, entry.kind, entry.object)?;
    let Some(target) = request.target_tenant.as_deref().filter(|target| *target != entry.target) else {
        return Ok(());
    };
    check_no_duplicate(work, entry.object, &entry.action, target)?;
    check_not_needed(work, &entry, Some(target))?;
    work.tx.execute("UPDATE rbac_policies SET target_project = ?2 WHERE id = ?1", params![id, target])?;
    log(work, id, Operation::Update, entry.kind, entry.object)?;
    after_change(work, entry.kind, entry.object, &entry.action)
}

/// Removes an entry that nobody needs.
pub fn delete(work: &Work<'_>, id: Uuid) -> Result<(), NetworkError> {
    let entry = get(work.tx, id)?;
    check_not_needed(work, &entry, None)?;
    work.tx.execute("DELETE FROM rbac_policies WHERE id = ?1", params![entry.id])?;
    log(work, id, Operation::Delete, entry.kind, entry.object)?;
    after_change(work, entry.kind, entry.object, &entry.action)
}

/// Refuses that an entry goes, or becomes one for another target, while a project uses the object that then could not.
fn check_not_needed(work: &Work<'_>, entry: &Entry, new_target: Option<&str>) -> Result<(), NetworkError> {
    let Entry { kind, object, action, target, .. } = entry;
    let owner = owner(work.tx, kind, *object)?.unwrap_or_default();
    if new_target == Some(EVERYBODY) || *target == owner {
        return Ok(());
    }
    if *action == EXTERNAL && target == EVERYBODY && is_default(work.tx, *object)? {
        return Err(in_use(*object, "Default external networks must be shared to everyone."));
    }
    let mut allowed = targets(work.tx, *object, action)?;
    allowed.retain(|other| other != target);
    if allowed.iter().any(|other| other == EVERYBODY) {
        return Ok(());
    }
    // Of networks Neutron counts neither the owner nor whom the entry is to be for; of everything else both.
    if kind.object_type == "network" {
        allowed.push(owner);
        allowed.extend(new_target.map(str::to_owned));
    }
    let Some(users) = kind.users(action) else { return Ok(()) };
    let users: Vec<String> = work.tx.query(users, params![*object], |row| row.get(0))?;
    let depends = |user: &String| (target == EVERYBODY || user == target) && !allowed.contains(user);
    if !users.iter().any(depends) {
        return Ok(());
    }
    Err(match (kind.object_type, action.as_str()) {
        (_, EXTERNAL) => {
            in_use(*object, "There are routers attached to this network that depend on this policy for access.")
        }
        ("network", _) => in_use(
            *object,
            &format!("Unable to reconfigure sharing settings for network {object}. Multiple tenants are using it."),
        ),
        _ => in_use(*object, &format!("project_id={target}")),
    })
}

/// Whom entries let use an object by this action.
pub(crate) fn targets(snapshot: &Snapshot<'_>, object: Uuid, action: &str) -> Result<Vec<String>, StoreError> {
    snapshot.query(
        "SELECT target_project FROM rbac_policies WHERE object_id = ?1 AND action = ?2",
        params![object, action],
        |row| row.get(0),
    )
}

fn in_use(object: Uuid, details: &str) -> NetworkError {
    let message = format!(
        "RBAC policy on object {object} cannot be removed because other objects depend on it.\nDetails: {details}"
    );
    NetworkError::named("RbacPolicyInUse", 409, message)
}

fn is_default(snapshot: &Snapshot<'_>, network: Uuid) -> Result<bool, StoreError> {
    snapshot.exists("SELECT 1 FROM networks WHERE id = ?1 AND is_default = 1", params![network])
}

/// An entry of a network is part of what clients see of it, and the first or last one for gateways decides whether the
/// network is external.
fn after_change(work: &Work<'_>, kind: &Shareable, object: Uuid, action: &str) -> Result<(), NetworkError> {
    if kind.object_type != "network" {
        return Ok(());
    }
    if action == EXTERNAL {
        let external = !targets(work.tx, object, EXTERNAL)?.is_empty();
        crate::network::set_external(work, NetworkId(object), external)?;
    }
    work.touch(kind.table, object)?;
    work.log("network", object, Operation::Update, None)
}
