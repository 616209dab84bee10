//! Who has a QoS policy: networks, ports, floating IPs, gateways of routers.

use super::{default_of, owner, rule};
use crate::{NetworkError, Work, rbac};
use net_types::{NetworkId, PortId};
use network_model::ModelError;
use network_model::qos::{RuleKind, resource_request};
use store::{Snapshot, StoreError, params};
use uuid::Uuid;

/// What can have a policy: Neutron's word for it, and the objects that do.
const USERS: [(&str, &str); 4] = [
    ("port", "SELECT id FROM ports WHERE qos_policy_id = ?1 LIMIT 1"),
    ("network", "SELECT id FROM networks WHERE qos_policy_id = ?1 LIMIT 1"),
    ("fip", "SELECT id FROM floating_ips WHERE qos_policy_id = ?1 LIMIT 1"),
    ("router", "SELECT id FROM routers WHERE gateway_qos_policy_id = ?1 LIMIT 1"),
];

/// The ports that obey a policy: their own, or their network's.
const PORTS: &str = "SELECT id, network_id, device_owner, binding_vnic_type, binding_vif_type FROM ports
         WHERE qos_policy_id = ?1
     UNION ALL
     SELECT id, network_id, device_owner, binding_vnic_type, binding_vif_type FROM ports
         WHERE qos_policy_id IS NULL AND network_id IN (SELECT id FROM networks WHERE qos_policy_id = ?1)";

/// A port as far as policies look at it.
struct Port {
    id: Uuid,
    network: Uuid,
    device_owner: String,
    vnic_type: String,
    vif_type: String,
}

/// Something that has a policy, and what it is.
pub(super) fn one_user(snapshot: &Snapshot<'_>, policy: Uuid) -> Result<Option<(&'static str, Uuid)>, StoreError> {
    for (name, sql) in USERS {
        if let Some(id) = snapshot.query_opt(sql, params![policy], |row| row.parse(0))? {
            return Ok(Some((name, id)));
        }
    }
    Ok(None)
}

/// The policy must be there for the caller.
fn check_usable(work: &Work<'_>, policy: Uuid) -> Result<(), NetworkError> {
    let owner = owner(work.tx, policy)?;
    if rbac::may_use(work, policy, &owner)? {
        return Ok(());
    }
    Err(ModelError::QosPolicyNotFound { policy_id: policy }.into())
}

/// Whoever could not use a policy may not take it away either.
fn check_removable(work: &Work<'_>, policy: Uuid) -> Result<(), NetworkError> {
    if check_usable(work, policy).is_ok() {
        return Ok(());
    }
    Err(NetworkError::named(
        "PolicyRemoveAuthorizationError",
        403,
        format!("Failed to remove provided policy {policy} because you are not authorized."),
    ))
}

/// The policy of a new network: the one that is asked for, else the default of its project.
pub(crate) fn of_new_network(
    work: &Work<'_>,
    project: &str,
    asked: Option<Uuid>,
) -> Result<Option<Uuid>, NetworkError> {
    let Some(policy) = asked.map_or_else(|| default_of(work.tx, project), |asked| Ok(Some(asked)))? else {
        return Ok(None);
    };
    check_usable(work, policy)?;
    Ok(Some(policy))
}

/// Gives a network another policy, or none; its ports without one of their own obey it.
pub(crate) fn change_network(work: &Work<'_>, network: NetworkId, new: Option<Uuid>) -> Result<(), NetworkError> {
    let old = change(work, "networks", "qos_policy_id", network.0, new)?;
    if let Some(new) = new.filter(|new| old != Some(*new)) {
        check_ports(work.tx, new)?;
    }
    let ports = work.tx.query(
        "SELECT id, network_id, device_owner, binding_vnic_type, binding_vif_type FROM ports
         WHERE network_id = ?1 AND qos_policy_id IS NULL AND (resource_request IS NOT NULL OR ?2 = 1)",
        params![network.0, new.is_some()],
        read_port,
    )?;
    write_requests(work, new, &ports)
}

/// Gives a port another policy, or none.
pub(crate) fn change_port(work: &Work<'_>, port: PortId, new: Option<Uuid>) -> Result<(), NetworkError> {
    let old = change(work, "ports", "qos_policy_id", port.0, new)?;
    if let Some(new) = new.filter(|new| old != Some(*new)) {
        check_ports(work.tx, new)?;
    }
    follow_port(work, port)
}

/// A new port, or one whose policy or vnic_type has changed: what it asks Placement for. Where neither the port nor its
/// network has a policy there is nothing to do, and nothing to ask here: `network_policy` and `asked` say so.
pub(crate) fn of_new_port(
    work: &Work<'_>,
    port: PortId,
    asked: Option<Uuid>,
    network_policy: Option<Uuid>,
) -> Result<(), NetworkError> {
    match (asked, network_policy) {
        (None, None) => return Ok(()),
        (None, Some(policy)) => check_port(work.tx, policy, &load_port(work.tx, port)?)?,
        (Some(policy), _) => {
            check_usable(work, policy)?;
            check_port(work.tx, policy, &load_port(work.tx, port)?)?;
            work.set("ports", port.0, "qos_policy_id", Some(policy))?;
        }
    }
    follow_port(work, port)
}

/// Writes what a port now asks Placement for.
pub(crate) fn follow_port(work: &Work<'_>, port: PortId) -> Result<(), NetworkError> {
    let policy: Option<Option<Uuid>> = work.tx.query_opt(
        "SELECT COALESCE(ports.qos_policy_id, networks.qos_policy_id)
         FROM ports JOIN networks ON networks.id = ports.network_id WHERE ports.id = ?1",
        params![port.0],
        |row| row.parse_opt(0),
    )?;
    write_requests(work, policy.flatten(), &[load_port(work.tx, port)?])
}

/// Gives a floating IP another policy, or none.
pub(crate) fn change_floating_ip(work: &Work<'_>, id: Uuid, new: Option<Uuid>) -> Result<(), NetworkError> {
    change(work, "floating_ips", "qos_policy_id", id, new).map(drop)
}

/// Gives a router's gateway another policy, or none.
pub(crate) fn change_gateway(work: &Work<'_>, router: Uuid, new: Option<Uuid>) -> Result<(), NetworkError> {
    change(work, "routers", "gateway_qos_policy_id", router, new).map(drop)
}

/// Writes an object's policy; the one that it had.
fn change(
    work: &Work<'_>,
    table: &'static str,
    column: &'static str,
    id: Uuid,
    new: Option<Uuid>,
) -> Result<Option<Uuid>, NetworkError> {
    let sql = format!("SELECT {column} FROM {table} WHERE id = ?1");
    let old: Option<Uuid> = work.tx.query_opt(&sql, params![id], |row| row.parse_opt(0))?.flatten();
    if let Some(old) = old {
        check_removable(work, old)?;
    }
    if let Some(new) = new.filter(|new| old != Some(*new)) {
        check_usable(work, new)?;
    }
    if old != new {
        work.set(table, id, column, Some(new))?;
    }
    Ok(old)
}

/// A rule of a policy has come, changed or gone: its ports must be able to obey it, and guarantees do not change under
/// instances, since Placement has promised them already.
pub(super) fn check_rules_changed(work: &Work<'_>, policy: Uuid, kind: RuleKind) -> Result<(), NetworkError> {
    check_ports(work.tx, policy)?;
    if !kind.is_minimum() {
        return Ok(());
    }
    let ports: Vec<Port> = work.tx.query(PORTS, params![policy], read_port)?;
    if ports.iter().any(|port| port.device_owner.starts_with("compute:")) {
        return Err(NetworkError::named(
            "NotImplementedError",
            501,
            "Cannot update QoS policies/rules backed by resources tracked in Placement",
        ));
    }
    write_requests(work, Some(policy), &ports)
}

fn read_port(row: &store::Row<'_>) -> Result<Port, StoreError> {
    Ok(Port {
        id: row.parse(0)?,
        network: row.parse(1)?,
        device_owner: row.get(2)?,
        vnic_type: row.get(3)?,
        vif_type: row.get(4)?,
    })
}

fn load_port(snapshot: &Snapshot<'_>, port: PortId) -> Result<Port, NetworkError> {
    let found = snapshot.query_opt(
        "SELECT id, network_id, device_owner, binding_vnic_type, binding_vif_type FROM ports WHERE id = ?1",
        params![port.0],
        read_port,
    )?;
    found.ok_or_else(|| ModelError::PortNotFound { port_id: port }.into())
}

/// Every port that obeys a policy must be able to.
fn check_ports(snapshot: &Snapshot<'_>, policy: Uuid) -> Result<(), NetworkError> {
    let ports: Vec<Port> = snapshot.query(
        &format!(
            "SELECT id, network_id, device_owner, binding_vnic_type, binding_vif_type FROM ({PORTS}) AS theirs
             WHERE binding_vif_type <> 'ovs' AND binding_vnic_type NOT IN ('normal', 'direct')"
        ),
        params![policy],
        read_port,
    )?;
    ports.iter().try_for_each(|port| check_port(snapshot, policy, port))
}

/// Where a port goes in is known by its binding; while it has none, by what it asks for.
fn check_port(snapshot: &Snapshot<'_>, policy: Uuid, port: &Port) -> Result<(), NetworkError> {
    if port.vif_type == "ovs" || matches!(port.vnic_type.as_str(), "normal" | "direct") {
        return Ok(());
    }
    match rule::of_policy(snapshot, policy)?.first() {
        Some(rule) => Err(ModelError::QosRuleNotSupported { rule_type: rule.kind.as_str(), port_id: port.id }.into()),
        None => Ok(()),
    }
}

/// Writes what these ports, which obey this policy, ask Placement for.
fn write_requests(work: &Work<'_>, policy: Option<Uuid>, ports: &[Port]) -> Result<(), NetworkError> {
    if ports.is_empty() {
        return Ok(());
    }
    let rules = policy.map(|policy| rule::of_policy(work.tx, policy)).transpose()?.unwrap_or_default();
    for port in ports {
        let physical_network: Option<String> = work
            .tx
            .query_opt(
                "SELECT physical_network FROM network_segments WHERE network_id = ?1 ORDER BY position LIMIT 1",
                params![port.network],
                |row| row.get(0),
            )?
            .flatten();
        let request = resource_request(port.id, &port.vnic_type, physical_network.as_deref(), &rules);
        let json = request.map(|request| serde_json::json!(request).to_string());
        work.tx.execute("UPDATE ports SET resource_request = ?2 WHERE id = ?1", params![port.id, json.as_deref()])?;
    }
    Ok(())
}
