//! Which subnets a port's addresses come from, in the store.

use super::Port;
use crate::segment::routed;
use crate::{NetworkError, Work, subnet};
use net_types::{NetworkId, SubnetId};
use network_model::candidates::{Candidates, Device, PlacedSubnet, candidates, check_host};
use network_model::fixed_ips::{FixedIp, FixedIpRequest};
use network_model::subnet::Subnet;
use std::collections::BTreeSet;
use uuid::Uuid;

/// A network's subnets, seen from a port on a host.
pub(super) struct Choice<'a> {
    network_id: NetworkId,
    owner: &'a str,
    host: &'a str,
    subnets: Vec<PlacedSubnet>,
    reached: BTreeSet<Uuid>,
}

impl<'a> Choice<'a> {
    pub fn new(work: &Work<'_>, network_id: NetworkId, owner: &'a str, host: &'a str) -> Result<Self, NetworkError> {
        let subnets = subnet::placed(work.tx, network_id)?;
        let routed = !host.is_empty() && subnets.iter().any(|placed| placed.segment_id.is_some());
        let reached = if routed { routed::reached(work.tx, network_id, host)? } else { BTreeSet::new() };
        Ok(Self { network_id, owner, host, subnets, reached })
    }

    /// The subnets for what a request asks, or for any addresses.
    pub fn of(&self, request: Option<&[FixedIpRequest]>) -> Result<Candidates, NetworkError> {
        Ok(candidates(&self.subnets, &self.device(), request)?)
    }

    /// All of them.
    pub fn all(&self) -> Vec<Subnet> {
        self.subnets.iter().map(|placed| placed.subnet.clone()).collect()
    }

    /// Refuses a new host on which the port's addresses would lead nowhere.
    pub fn check_host(&self, port: &Port, current: &[FixedIp]) -> Result<(), NetworkError> {
        if self.host.is_empty() || self.host == port.binding_host || current.is_empty() {
            return Ok(());
        }
        // Only segments tell hosts apart.
        if self.subnets.iter().all(|placed| placed.segment_id.is_none()) {
            return Ok(());
        }
        Ok(check_host(&self.subnets, &self.device(), port.id, current)?)
    }

    fn device(&self) -> Device<'_> {
        Device { network_id: self.network_id, owner: self.owner, host: self.host, reached: &self.reached }
    }
}

/// `ip_allocation` of a new port.
pub(super) fn ip_allocation(candidates: &Candidates, request: Option<&[FixedIpRequest]>) -> &'static str {
    match (candidates, request) {
        (_, Some([])) => "none",
        (Candidates::Deferred, _) => "deferred",
        (Candidates::Subnets(_), _) => "immediate",
    }
}

/// Whether a port may have addresses of this subnet.
pub(super) fn may_have(
    work: &Work<'_>,
    network: NetworkId,
    owner: &str,
    host: &str,
    subnet: SubnetId,
) -> Result<bool, NetworkError> {
    match Choice::new(work, network, owner, host)?.of(None) {
        Ok(candidates) => Ok(candidates.subnets().iter().any(|candidate| candidate.id == subnet)),
        Err(NetworkError::Refused(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
