//! Security groups: the default group that every project has by itself.

use crate::{NetworkError, Work};
use net_types::SecurityGroupId;
use serde_json::json;
use store::{Operation, params};

/// The project's default group; made now if the project is new. Egress is free, ingress from members of the group only.
pub fn ensure_default(work: &Work<'_>, project_id: &str) -> Result<SecurityGroupId, NetworkError> {
    let known = work.tx.query_opt(
        "SELECT id FROM security_groups WHERE project_id = ?1 AND is_default = 1",
        params![project_id],
        |row| row.parse(0),
    )?;
    if let Some(id) = known {
        return Ok(id);
    }
    let id = SecurityGroupId(work.new_id());
    work.tx.execute(
        "INSERT INTO security_groups (id, project_id, name, description, stateful, is_default, revision_number, created_at,
             updated_at)
         VALUES (?1, ?2, 'default', 'Default security group', 1, 1, 1, ?3, ?3)",
        params![id.0, project_id, work.now],
    )?;
    for ethertype in ["IPv4", "IPv6"] {
        insert_rule(work, project_id, id, "ingress", ethertype, Some(id))?;
        insert_rule(work, project_id, id, "egress", ethertype, None)?;
    }
    work.log("security_group", id, Operation::Create, None)?;
    Ok(id)
}

/// A rule that lets everything of an ethertype pass: what default groups and new groups begin with.
pub(crate) fn insert_rule(
    work: &Work<'_>,
    project_id: &str,
    group: SecurityGroupId,
    direction: &str,
    ethertype: &str,
    remote_group: Option<SecurityGroupId>,
) -> Result<(), NetworkError> {
    let id = work.new_id();
    work.tx.execute(
        "INSERT INTO security_group_rules (id, project_id, security_group_id, description, direction, ethertype, protocol,
             port_range_min, port_range_max, remote_ip_prefix, remote_group_id, remote_address_group_id, revision_number,
             created_at, updated_at)
         VALUES (?1, ?2, ?3, '', ?4, ?5, NULL, NULL, NULL, NULL, ?6, NULL, 0, ?7, ?7)",
        params![id, project_id, group.0, direction, ethertype, remote_group.map(|g| g.0), work.now],
    )?;
    work.log("security_group_rule", id, Operation::Create, Some(json!({"security_group_id": group})))
}
