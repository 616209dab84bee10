//! The groups themselves: the default group, and what may not be done to a group that ports use.

use crate::ModelError;
use net_types::SecurityGroupId;

/// Name of the group that every project has, and that ports get which name none.
pub const DEFAULT_GROUP: &str = "default";

/// Refuses a second group by the name of the default one, in any case.
pub fn check_new_name(name: &str) -> Result<(), ModelError> {
    if name.eq_ignore_ascii_case(DEFAULT_GROUP) {
        return Err(ModelError::SecurityGroupDefaultAlreadyExists);
    }
    Ok(())
}

/// Refuses to delete a group that ports use, or for an ordinary user the default group.
pub fn check_group_deletion(id: SecurityGroupId, name: &str, used: bool, is_admin: bool) -> Result<(), ModelError> {
    if used {
        return Err(ModelError::SecurityGroupInUse { id, reason: "in use" });
    }
    if name == DEFAULT_GROUP && !is_admin {
        return Err(ModelError::SecurityGroupCannotRemoveDefault);
    }
    Ok(())
}

/// Refuses to rename the default group, and to change the statefulness of a group that ports use.
pub fn check_group_update(
    id: SecurityGroupId,
    name: &str,
    renamed: bool,
    stateful_changes: bool,
    used: bool,
) -> Result<(), ModelError> {
    if stateful_changes && used {
        return Err(ModelError::SecurityGroupInUse { id, reason: "in use" });
    }
    if renamed && name == DEFAULT_GROUP {
        return Err(ModelError::SecurityGroupCannotUpdateDefault);
    }
    Ok(())
}

/// Refuses stateful and stateless groups on one port.
pub fn check_same_statefulness(groups: impl IntoIterator<Item = bool>) -> Result<(), ModelError> {
    let mut groups = groups.into_iter();
    let first = groups.next();
    if groups.any(|stateful| Some(stateful) != first) {
        let reason = "Cannot apply both stateful and stateless security groups on the same port at the same time";
        return Err(ModelError::SecurityGroupConflict { reason });
    }
    Ok(())
}
