//! Port security, security groups and allowed address pairs of a port: they depend on each other.

use super::{Port, PortId};
use crate::network::Network;
use crate::{NetworkError, Work, security_group};
use net_types::{MacAddr, SecurityGroupId};
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
    pub has_address: bool,
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
        let trusted = device_owner::is_trusted(owner);
        let port_security = asked.port_security.unwrap_or(network.port_security_enabled && !trusted);
        let groups = match &asked.groups {
            Some(groups) if !groups.is_empty() && (!port_security || !asked.has_address) => {
                return Err(ModelError::PortSecurityAndIPRequiredForSecurityGroups.into());
            }
            Some(groups) => groups.clone(),
            None if trusted || !port_security || !asked.has_address => Vec::new(),
            None => vec![security_group::ensure_default(work, project)?],
        };
        check_groups(work, project, &groups)?;
        let pairs = complete(work, asked.pairs, asked.mac)?.unwrap_or_default();
        if !pairs.is_empty() && !port_security {
            return Err(ModelError::AddressPairAndPortSecurityRequired.into());
        }
        Ok(Self { port_security, groups: Some(groups), pairs: Some(pairs) })
    }

    pub fn of_changed(work: &Work<'_>, port: &Port, asked: Asked) -> Result<Self, NetworkError> {
        let port_security = asked.port_security.unwrap_or(port.port_security_enabled);
        let groups_left = match &asked.groups {
            Some(groups) => !groups.is_empty(),
            None => work.tx.exists("SELECT 1 FROM port_security_groups WHERE port_id = ?1", params![port.id.0])?,
        };
        if groups_left && !(port_security && asked.has_address) {
            return Err(match &asked.groups {
                Some(_) => ModelError::PortSecurityAndIPRequiredForSecurityGroups,
                None => ModelError::PortSecurityPortHasSecurityGroup,
            }
            .into());
        }
        if let Some(groups) = &asked.groups {
            check_groups(work, &port.project_id, groups)?;
        }
        let pairs = complete(work, asked.pairs, asked.mac)?;
        let pairs_left = match &pairs {
            Some(pairs) => !pairs.is_empty(),
            None => work.tx.exists("SELECT 1 FROM port_address_pairs WHERE port_id = ?1", params![port.id.0])?,
        };
        if pairs_left && !port_security {
            return Err(ModelError::AddressPairAndPortSecurityRequired.into());
        }
        Ok(Self { port_security, groups: asked.groups, pairs })
    }

    pub fn write(&self, work: &Work<'_>, port: PortId) -> Result<(), NetworkError> {
        work.set("ports", port.0, "port_security_enabled", Some(self.port_security))?;
        if let Some(groups) = &self.groups {
            work.tx.execute("DELETE FROM port_security_groups WHERE port_id = ?1", params![port.0])?;
            for group in groups {
                work.tx.execute(
                    "INSERT INTO port_security_groups (port_id, security_group_id) VALUES (?1, ?2)",
                    params![port.0, group.0],
                )?;
            }
        }
        if let Some(pairs) = &self.pairs {
            work.tx.execute("DELETE FROM port_address_pairs WHERE port_id = ?1", params![port.0])?;
            for (ip, mac) in pairs {
                work.tx.execute(
                    "INSERT INTO port_address_pairs (port_id, ip_address, mac_address) VALUES (?1, ?2, ?3)",
                    params![port.0, ip, mac.to_string()],
                )?;
            }
        }
        Ok(())
    }
}

/// Groups must exist and be the port's project's; an administrator may name any.
fn check_groups(work: &Work<'_>, project: &str, groups: &[SecurityGroupId]) -> Result<(), NetworkError> {
    let mut stateful = Vec::with_capacity(groups.len());
    for group in groups {
        let known: Option<bool> = work.tx.query_opt(
            "SELECT stateful FROM security_groups WHERE id = ?1 AND (project_id = ?2 OR project_id = ?3 OR ?4 = 1)",
            params![group.0, project, work.caller.project_id, work.caller.is_admin],
            |row| row.get(0),
        )?;
        stateful.push(known.ok_or_else(|| ModelError::SecurityGroupNotFound { id: group.to_string() })?);
    }
    Ok(check_same_statefulness(stateful)?)
}

/// Fills in the port's MAC address, and refuses what then is twice the same, or too much.
fn complete(
    work: &Work<'_>,
    pairs: Option<Vec<Pair>>,
    mac: MacAddr,
) -> Result<Option<Vec<(String, MacAddr)>>, NetworkError> {
    let Some(pairs) = pairs else { return Ok(None) };
    let quota = work.config.max_allowed_address_pair;
    if pairs.len() > quota {
        return Err(ModelError::AllowedAddressPairExhausted { quota }.into());
    }
    let mut complete: Vec<(String, MacAddr)> = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let full = (pair.ip_address, pair.mac_address.unwrap_or(mac));
        if complete.contains(&full) {
            let (ip_address, mac) = full;
            return Err(ModelError::DuplicateAddressPairInRequest { mac_address: mac.to_string(), ip_address }.into());
        }
        complete.push(full);
    }
    Ok(Some(complete))
}
