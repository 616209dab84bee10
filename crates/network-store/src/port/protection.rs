//! Port security, security groups and allowed address pairs of a port: they depend on each other.

use super::{Port, PortId};
use crate::network::Network;
use crate::{NetworkError, Work, security_group};
use net_types::{MacAddr, SecurityGroupId};
use network_model::port::{self as rules, ListChange, check_port_security, complete_address_pairs};
use network_model::{ModelError, device_owner, security_group::check_same_statefulness};
use serde::Deserialize;
use store::params;

/// An allowed address pair; without a MAC address it has the port's.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Pair {
    /// Address or CIDR.
    pub ip_address: String,
    /// Not given: the port's.
    #[serde(default)]
    pub mac_address: Option<MacAddr>,
}

/// What a request says, and what the port has.
pub(super) struct Asked {
    pub port_security: Option<bool>,
    pub groups: Option<Vec<SecurityGroupId>>,
    pub pairs: Option<Vec<Pair>>,
    pub mac: MacAddr,
}

/// What shall be; `None`: stays as it is.
pub(super) struct Protection {
    pub port_security: bool,
    groups: Option<Vec<SecurityGroupId>>,
    pairs: Option<Vec<(String, MacAddr)>>,
}

impl Protection {
    pub fn of_new(
        work: &Work<'_>,
        network: &Network,
        project: &str,
        owner: &str,
        asked: Asked,
    ) -> Result<Self, NetworkError> {
        let port_security = rules::port_security(owner, asked.port_security, network.port_security_enabled);
        let pairs = complete(work, asked.pairs, asked.mac)?;
        check_port_security(port_security, change(&asked.groups), false, change(&pairs), false)?;
        let groups = match asked.groups {
            Some(groups) => groups,
            None if port_security && !device_owner::is_trusted(owner) => {
                vec![security_group::ensure_default(work, project)?]
            }
            None => Vec::new(),
        };
        check_groups(work, project, &groups)?;
        Ok(Self { port_security, groups: Some(groups), pairs: Some(pairs.unwrap_or_default()) })
    }

    pub fn of_changed(work: &Work<'_>, port: &Port, asked: Asked) -> Result<Self, NetworkError> {
        let port_security = asked.port_security.unwrap_or(port.port_security_enabled);
        let pairs = complete(work, asked.pairs, asked.mac)?;
        if !port_security {
            let has = |sql| work.tx.exists(sql, params![port.id.0]);
            let had_groups = has("SELECT 1 FROM port_security_groups WHERE port_id = ?1")?;
            let had_pairs = has("SELECT 1 FROM port_address_pairs WHERE port_id = ?1")?;
            check_port_security(false, change(&asked.groups), had_groups, change(&pairs), had_pairs)?;
        }
        if let Some(groups) = &asked.groups {
            check_groups(work, &port.project_id, groups)?;
        }
        Ok(Self { port_security, groups: asked.groups, pairs })
    }

    pub fn write(&self, work: &Work<'_>, port: PortId) -> Result<(), NetworkError> {
        work.set("ports", port.0, "port_security_enabled", Some(self.port_security))?;
        if self.groups.is_some() {
            work.tx.execute("DELETE FROM port_security_groups WHERE port_id = ?1", params![port.0])?;
        }
        if self.pairs.is_some() {
            work.tx.execute("DELETE FROM port_address_pairs WHERE port_id = ?1", params![port.0])?;
        }
        self.write_new(work, port)
    }

    /// The same of a port that has been made just now, with its `port_security_enabled`.
    pub fn write_new(&self, work: &Work<'_>, port: PortId) -> Result<(), NetworkError> {
        for group in self.groups.iter().flatten() {
            work.tx.execute(
                "INSERT INTO port_security_groups (port_id, security_group_id) VALUES (?1, ?2)",
                params![port.0, group.0],
            )?;
        }
        for (ip, mac) in self.pairs.iter().flatten() {
            work.tx.execute(
                "INSERT INTO port_address_pairs (port_id, ip_address, mac_address) VALUES (?1, ?2, ?3)",
                params![port.0, ip, mac.to_string()],
            )?;
        }
        Ok(())
    }
}

/// Groups must exist and be the port's project's or shared with it; an administrator may name any.
fn check_groups(work: &Work<'_>, project: &str, groups: &[SecurityGroupId]) -> Result<(), NetworkError> {
    let mut stateful = Vec::with_capacity(groups.len());
    for group in groups {
        let known: Option<bool> = work.tx.query_opt(
            "SELECT stateful FROM security_groups WHERE id = ?1 AND (project_id = ?2 OR project_id = ?3 OR ?4 = 1
                 OR EXISTS (SELECT 1 FROM rbac_policies WHERE object_id = security_groups.id
                     AND action = 'access_as_shared' AND target_project IN ('*', ?2, ?3)))",
            params![group.0, project, work.caller.project_id, work.caller.is_admin],
            |row| row.get(0),
        )?;
        stateful.push(known.ok_or_else(|| ModelError::SecurityGroupNotFound { id: group.to_string() })?);
    }
    Ok(check_same_statefulness(stateful)?)
}

/// The pairs as they are kept.
fn complete(
    work: &Work<'_>,
    pairs: Option<Vec<Pair>>,
    mac: MacAddr,
) -> Result<Option<Vec<(String, MacAddr)>>, NetworkError> {
    let Some(pairs) = pairs else { return Ok(None) };
    let pairs = pairs.into_iter().map(|pair| (pair.ip_address, pair.mac_address));
    Ok(Some(complete_address_pairs(pairs, mac, work.config.max_allowed_address_pair)?))
}

/// What a request says of a list.
fn change<T>(list: &Option<Vec<T>>) -> ListChange {
    match list {
        None => ListChange::Unchanged,
        Some(list) if list.is_empty() => ListChange::Emptied,
        Some(_) => ListChange::Set,
    }
}
