//! Hosts' reports in the database, where several servers share it: an agent talks to one server, and a port may wait for hosts
//! that talk to different ones.
//!
//! In: a report, as a unit of work. Out: every host's newest state as one full report, which each server takes when the change
//! log names the host (`host_report`), also the server that the agent talked to: so all servers see the reports of all hosts
//! in one order, and none judges a port by what a host said before it went over to another server.

use host_view::{HostReport, PortState};
use jiff::Timestamp;
use net_types::PortId;
use std::collections::{BTreeMap, BTreeSet};
use store::{Change, Operation, Snapshot, StoreError, Tx, params};

const RESOURCE: &str = "host_report";

/// Keeps a report; answers whether a full one is wanted instead. Only news are logged.
pub fn keep(tx: &Tx<'_>, host: &str, report: &HostReport, now: Timestamp) -> Result<bool, StoreError> {
    let session = report.session.to_string();
    let known: Option<(String, u64)> =
        tx.query_opt("SELECT session, revision FROM host_reports WHERE host = ?1", params![host], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    // What this life of the agent has realised; nothing yet of a new one.
    let realised = known.filter(|(known, _)| *known == session).map(|(_, revision)| revision);
    if realised.is_none() && !report.full {
        return Ok(true);
    }
    tx.execute(
        "INSERT INTO host_reports (host, session, revision, reported_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (host) DO UPDATE SET session = excluded.session, revision = excluded.revision,
                                          reported_at = excluded.reported_at",
        params![host, &session, realised.unwrap_or(0).max(report.revision), now],
    )?;
    if report.full {
        tx.execute("DELETE FROM host_report_ports WHERE host = ?1", params![host])?;
    }
    for (port, state) in &report.ports {
        let state = serde_json::to_string(state).unwrap_or_default();
        // Not of a port that has gone meanwhile.
        tx.execute(
            "INSERT INTO host_report_ports (host, port_id, state)
             SELECT CAST(?1 AS TEXT), id, CAST(?3 AS TEXT) FROM ports WHERE id = ?2
             ON CONFLICT (host, port_id) DO UPDATE SET state = excluded.state",
            params![host, port.0, state],
        )?;
    }
    if report.full || !report.ports.is_empty() || realised.is_none_or(|realised| report.revision > realised) {
        tx.log_change(RESOURCE, host, Operation::Update, None)?;
    }
    Ok(false)
}

/// The newest state of every host that `changes` name.
pub fn changed(snapshot: &Snapshot<'_>, changes: &[Change]) -> Result<Vec<(String, HostReport)>, StoreError> {
    let hosts = changes.iter().filter(|change| change.resource == RESOURCE).map(|change| change.id.as_str());
    let mut reports = Vec::new();
    for host in hosts.collect::<BTreeSet<_>>() {
        reports.extend(load(snapshot, Some(host))?);
    }
    Ok(reports)
}

/// The newest state of every host.
pub fn everything(snapshot: &Snapshot<'_>) -> Result<Vec<(String, HostReport)>, StoreError> {
    load(snapshot, None)
}

/// Hosts that have reported since then.
pub fn alive(snapshot: &Snapshot<'_>, since: Timestamp) -> Result<BTreeSet<String>, StoreError> {
    let hosts = snapshot
        .query("SELECT host FROM host_reports WHERE reported_at >= ?1", params![since], |row| row.get::<String>(0))?;
    Ok(hosts.into_iter().collect())
}

fn load(snapshot: &Snapshot<'_>, host: Option<&str>) -> Result<Vec<(String, HostReport)>, StoreError> {
    let (only, values): (&str, &[_]) = match host {
        Some(host) => ("WHERE host = ?1", params![host]),
        None => ("", params![]),
    };
    let mut ports: BTreeMap<String, BTreeMap<PortId, PortState>> = BTreeMap::new();
    snapshot.for_each(&format!("SELECT host, port_id, state FROM host_report_ports {only}"), values, |row| {
        // A state that cannot be read is as good as none: the agent's next full report mends it.
        if let Ok(state) = serde_json::from_str(&row.text(2)?) {
            ports.entry(row.get(0)?).or_default().insert(row.parse(1)?, state);
        }
        Ok(())
    })?;
    snapshot.query(&format!("SELECT host, session, revision FROM host_reports {only}"), values, |row| {
        let host: String = row.get(0)?;
        let report = HostReport {
            session: row.get(1)?,
            revision: row.get(2)?,
            full: true,
            description: None,
            ports: ports.remove(&host).unwrap_or_default(),
            routers: BTreeMap::new(),
            errors: Vec::new(),
        };
        Ok((host, report))
    })
}
