//! Hosts with an agent, and what their agents serve.

use super::{gone, malformed, select};
use crate::row::{HostRow, RouterHosts, RowChange};
use std::collections::BTreeMap;
use std::str::FromStr;
use store::{Change, Snapshot, StoreError, Value, params};

/// Hosts with an L2 agent.
pub(super) fn hosts(snapshot: &Snapshot<'_>, host: Option<&str>, rows: &mut Vec<RowChange>) -> Result<(), StoreError> {
    let mut sql = "SELECT l2.host, l2.configurations, COALESCE(l3.configurations, '{}')
         FROM agents l2 LEFT JOIN agents l3 ON l3.host = l2.host AND l3.agent_type = ?2
         WHERE l2.agent_type = ?1"
        .to_owned();
    let mut params = params![crate::agents::L2_AGENT, crate::agents::L3_AGENT].to_vec();
    if let Some(host) = host {
        sql += " AND l2.host = ?3";
        params.push(Value::from(host));
    }
    snapshot.for_each(&sql, &params, |row| {
        let name: String = row.get(0)?;
        let configurations = |column| -> Result<serde_json::Value, StoreError> {
            serde_json::from_str(&row.text(column)?).map_err(|e| malformed(column, "a JSON object", e))
        };
        rows.push(RowChange::Host(name, Some(host_row(&configurations(1)?, &configurations(2)?))));
        Ok(())
    })
}

/// What `crate::agents` wrote into `configurations`.
fn host_row(configurations: &serde_json::Value, l3: &serde_json::Value) -> HostRow {
    fn text<T: FromStr>(configurations: &serde_json::Value, key: &str) -> Option<T> {
        configurations.get(key).and_then(|value| value.as_str()).and_then(|text| text.parse().ok())
    }
    let types = configurations.get("tunnel_types").and_then(|value| value.as_array());
    let mappings = configurations.get("bridge_mappings").and_then(|value| value.as_object());
    HostRow {
        tunnel_address: text(configurations, "tunneling_ip"),
        endpoint_mac: text(configurations, "endpoint_mac"),
        tunnel_types: types.into_iter().flatten().filter_map(|kind| kind.as_str()?.parse().ok()).collect(),
        physical_networks: mappings.into_iter().flatten().map(|(name, _)| name.clone()).collect(),
        takes_copies: text::<String>(l3, "agent_mode").is_some_and(|mode| mode == "dvr" || mode == "dvr_snat"),
    }
}

pub(super) fn agent(snapshot: &Snapshot<'_>, change: &Change, rows: &mut Vec<RowChange>) -> Result<(), StoreError> {
    let noted = change.extra.as_ref().and_then(|extra| extra.get("host")).and_then(|host| host.as_str());
    let host = match noted {
        Some(host) => Some(host.to_owned()),
        None => snapshot.query_opt("SELECT host FROM agents WHERE id = ?1", params![&change.id], |row| row.get(0))?,
    };
    let Some(host) = host else { return Ok(()) };
    let before = rows.len();
    hosts(snapshot, Some(&host), rows)?;
    gone(rows, before, &host, |host| RowChange::Host(host, None));
    Ok(())
}

/// What is bound to agents.
#[derive(Clone, Copy)]
pub(super) enum Bound {
    Networks,
    Routers,
}

pub(super) fn agent_hosts(
    snapshot: &Snapshot<'_>,
    bound: Bound,
    id: Option<&str>,
    rows: &mut Vec<RowChange>,
) -> Result<(), StoreError> {
    let (all, column) = match bound {
        Bound::Networks => (
            "SELECT b.network_id, a.host FROM dhcp_agent_networks b JOIN agents a ON a.id = b.agent_id",
            "b.network_id",
        ),
        Bound::Routers => (
            "SELECT b.router_id, a.host, b.ha_state FROM l3_agent_routers b JOIN agents a ON a.id = b.agent_id",
            "b.router_id",
        ),
    };
    let order = match bound {
        Bound::Networks => "",
        Bound::Routers => "ORDER BY b.ha_priority, a.host",
    };
    let mut found: BTreeMap<String, RouterHosts> = BTreeMap::new();
    // An id whose last binding went has no row, and must be told all the same.
    found.extend(id.map(|id| (id.to_owned(), RouterHosts::default())));
    let (sql, params) = select(all, column, id, order);
    snapshot.for_each(&sql, &params, |row| {
        let hosts = found.entry(row.get(0)?).or_default();
        let host: String = row.get(1)?;
        let state: Option<String> = if matches!(bound, Bound::Routers) { row.get(2)? } else { None };
        if state.is_some() {
            hosts.candidates.push(host.clone());
        }
        if state.is_none_or(|state| state == "active") {
            hosts.active.insert(host);
        }
        Ok(())
    })?;
    for (id, hosts) in found {
        rows.extend(match bound {
            Bound::Networks => id.parse().ok().map(|id| RowChange::DhcpHosts(id, hosts.active)),
            Bound::Routers => id.parse().ok().map(|id| RowChange::RouterHosts(id, hosts)),
        });
    }
    Ok(())
}
