//! From the store's rows to [`RowChange`]s: everything at start, and what a page of the change log names afterwards.
//!
//! Both take the same way; the only difference is a `WHERE`.

mod host;
mod local_ip;
mod log;
mod metering;
mod network;
mod port;
mod qos;
mod router;
mod security_group;
mod tap;
mod trunk;

use crate::row::RowChange;
use host::{Bound, agent, agent_hosts, hosts};
use local_ip::local_ips;
use log::logs;
use metering::{label_of_rule, metering_labels};
use network::{networks, subnets, subnets_of_pool};
use port::ports;
use qos::qos_policies;
use router::{floating_ips, routers};
use security_group::{address_groups, groups, rule_group};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::str::FromStr;
use store::{Change, Row, Snapshot, StoreError, Value};
use tap::{tap_mirrors, tap_services};
use trunk::trunks;

/// Every row that matters.
pub fn everything(snapshot: &Snapshot<'_>) -> Result<Vec<RowChange>, StoreError> {
    let mut rows = Vec::new();
    networks(snapshot, None, &mut rows)?;
    subnets(snapshot, None, &mut rows)?;
    groups(snapshot, None, &mut rows)?;
    address_groups(snapshot, None, &mut rows)?;
    ports(snapshot, None, &mut rows)?;
    routers(snapshot, None, &mut rows)?;
    floating_ips(snapshot, None, &mut rows)?;
    qos_policies(snapshot, None, &mut rows)?;
    metering_labels(snapshot, None, &mut rows)?;
    trunks(snapshot, None, &mut rows)?;
    tap_services(snapshot, None, &mut rows)?;
    tap_mirrors(snapshot, None, &mut rows)?;
    local_ips(snapshot, None, &mut rows)?;
    logs(snapshot, None, &mut rows)?;
    hosts(snapshot, None, &mut rows)?;
    agent_hosts(snapshot, Bound::Networks, None, &mut rows)?;
    agent_hosts(snapshot, Bound::Routers, None, &mut rows)?;
    Ok(rows)
}

/// The present state of every row that `changes` name, each once.
pub fn changed(snapshot: &Snapshot<'_>, changes: &[Change]) -> Result<Vec<RowChange>, StoreError> {
    let mut rows = Vec::new();
    let mut seen = BTreeSet::new();
    let mut groups_of_rules = BTreeSet::new();
    for change in changes {
        if !seen.insert((change.resource.as_str(), change.id.as_str())) {
            continue;
        }
        let id = change.id.as_str();
        let before = rows.len();
        match change.resource.as_str() {
            "network" => {
                networks(snapshot, Some(id), &mut rows)?;
                gone(&mut rows, before, id, |id| RowChange::Network(id, None));
            }
            "subnet" => {
                subnets(snapshot, Some(id), &mut rows)?;
                gone(&mut rows, before, id, |id| RowChange::Subnet(id, None));
            }
            "port" => {
                ports(snapshot, Some(id), &mut rows)?;
                gone(&mut rows, before, id, |id| RowChange::Port(id, None));
            }
            "security_group" => {
                groups(snapshot, Some(id), &mut rows)?;
                gone(&mut rows, before, id, |id| RowChange::Group(id, None));
            }
            "security_group_rule" => {
                // Many rules of one group often come together.
                if let Some(group) = rule_group(snapshot, change)?.filter(|group| groups_of_rules.insert(*group)) {
                    let group = group.to_string();
                    groups(snapshot, Some(&group), &mut rows)?;
                    gone(&mut rows, before, &group, |id| RowChange::Group(id, None));
                }
            }
            "address_group" => {
                address_groups(snapshot, Some(id), &mut rows)?;
                gone(&mut rows, before, id, |id| RowChange::AddressGroup(id, None));
            }
            "router" => {
                routers(snapshot, Some(id), &mut rows)?;
                gone(&mut rows, before, id, |id| RowChange::Router(id, None));
            }
            "floatingip" => {
                floating_ips(snapshot, Some(id), &mut rows)?;
                gone(&mut rows, before, id, |id| RowChange::FloatingIp(id, None));
            }
            "qos_policy" => {
                qos_policies(snapshot, Some(id), &mut rows)?;
                gone(&mut rows, before, id, |id| RowChange::QosPolicy(id, None));
            }
            "trunk" => {
                trunks(snapshot, Some(id), &mut rows)?;
                gone(&mut rows, before, id, |id| RowChange::Trunk(id, None));
            }
            "tap_service" => {
                tap_services(snapshot, Some(id), &mut rows)?;
                gone(&mut rows, before, id, |id| RowChange::TapService(id, None));
            }
            "tap_flow" => {
                let service = change.extra.as_ref().and_then(|extra| extra.get("tap_service_id")?.as_str());
                if let Some(service) = service {
                    tap_services(snapshot, Some(service), &mut rows)?;
                    gone(&mut rows, before, service, |id| RowChange::TapService(id, None));
                }
            }
            "tap_mirror" => {
                tap_mirrors(snapshot, Some(id), &mut rows)?;
                gone(&mut rows, before, id, |id| RowChange::TapMirror(id, None));
            }
            "local_ip" => {
                local_ips(snapshot, Some(id), &mut rows)?;
                gone(&mut rows, before, id, |id| RowChange::LocalIp(id, None));
            }
            "local_ip_association" => {
                if let Some(local_ip) = local_ip::of_association(snapshot, change)? {
                    let local_ip = local_ip.to_string();
                    local_ips(snapshot, Some(&local_ip), &mut rows)?;
                    gone(&mut rows, before, &local_ip, |id| RowChange::LocalIp(id, None));
                }
            }
            "log" => {
                logs(snapshot, Some(id), &mut rows)?;
                gone(&mut rows, before, id, |id| RowChange::Log(id, None));
            }
            "ndp_proxy" => {
                let noted = change.extra.as_ref().and_then(|extra| extra.get("router_id")).and_then(|id| id.as_str());
                if let Some(router) = noted {
                    routers(snapshot, Some(router), &mut rows)?;
                }
            }
            "subnetpool" => subnets_of_pool(snapshot, id, &mut rows)?,
            "metering_label" => {
                metering_labels(snapshot, Some(id), &mut rows)?;
                gone(&mut rows, before, id, |id| RowChange::MeteringLabel(id, None));
            }
            "metering_label_rule" => {
                if let Some(label) = label_of_rule(snapshot, change)? {
                    metering_labels(snapshot, Some(&label.to_string()), &mut rows)?;
                }
            }
            "agent" => agent(snapshot, change, &mut rows)?,
            "dhcp_agent_network" => agent_hosts(snapshot, Bound::Networks, Some(id), &mut rows)?,
            "l3_agent_router" => agent_hosts(snapshot, Bound::Routers, Some(id), &mut rows)?,
            // Kinds that no host realises (quotas, ...).
            _ => {}
        }
    }
    Ok(rows)
}

/// When a look-up by id added nothing, the row is gone.
fn gone<Id: FromStr>(rows: &mut Vec<RowChange>, before: usize, id: &str, change: impl Fn(Id) -> RowChange) {
    if rows.len() == before
        && let Ok(id) = id.parse()
    {
        rows.push(change(id));
    }
}

/// A query over all rows, or over those with `column` equal to an id.
fn select(all: &str, column: &str, id: Option<&str>, order: &str) -> (String, Vec<Value<'static>>) {
    match id {
        Some(id) => (format!("{all} WHERE {column} = ?1 {order}"), vec![Value::from(id.to_owned())]),
        None => (format!("{all} {order}"), Vec::new()),
    }
}

/// Reads a child table into lists by parent, in the order of the query.
fn children<P: Ord, T>(
    snapshot: &Snapshot<'_>,
    (sql, params): (String, Vec<Value<'static>>),
    read: impl Fn(&Row<'_>) -> Result<(P, T), StoreError>,
) -> Result<BTreeMap<P, Vec<T>>, StoreError> {
    let mut found: BTreeMap<P, Vec<T>> = BTreeMap::new();
    snapshot.for_each(&sql, &params, |row| {
        let (parent, child) = read(row)?;
        found.entry(parent).or_default().push(child);
        Ok(())
    })?;
    Ok(found)
}

/// A column that holds what nobody should have written.
fn malformed(index: usize, expected: &'static str, found: impl Display) -> StoreError {
    StoreError::Column { index, expected, found: found.to_string() }
}
