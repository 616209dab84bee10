//! What scheduling has to look at.
//!
//! In: each row that changes, with what is known of it from before. Out: the networks whose DHCP servers and the routers whose
//! hosts may not be as they should be any more; of the others nobody has to ask. A look at all of them costs the more, the
//! more there are, and with every change that comes.

use crate::row::RowChange;
use crate::topology::Topology;
use net_types::{NetworkId, RouterId};
use network_model::device_owner;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// What is to be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agenda {
    /// All networks and routers.
    Everything,
    /// These.
    Some {
        /// Networks.
        networks: BTreeSet<NetworkId>,
        /// Routers.
        routers: BTreeSet<RouterId>,
    },
}

impl Default for Agenda {
    fn default() -> Self {
        Self::Some { networks: BTreeSet::new(), routers: BTreeSet::new() }
    }
}

impl Agenda {
    /// Whether nothing is left out.
    pub fn is_everything(&self) -> bool {
        *self == Self::Everything
    }

    /// Whether there is nothing to look at.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Notes what a change gives scheduling to look at; `before` is what was known until it.
    pub fn note(&mut self, before: &Topology, change: &RowChange) {
        let Self::Some { networks, routers } = self else { return };
        match change {
            RowChange::Network(id, _) | RowChange::DhcpHosts(id, _) => drop(networks.insert(*id)),
            RowChange::Subnet(id, row) => {
                networks.extend([before.subnet(id), row.as_ref()].into_iter().flatten().map(|subnet| subnet.network));
            }
            RowChange::Port(id, row) => {
                for port in [before.port(id), row.as_ref()].into_iter().flatten() {
                    routers.extend(port.router());
                    if port.device_owner == device_owner::DHCP {
                        networks.insert(port.network);
                    }
                }
            }
            RowChange::Router(id, _) | RowChange::RouterHosts(id, _) => drop(routers.insert(*id)),
            RowChange::Host(..) => *self = Self::Everything,
            RowChange::Group(..)
            | RowChange::AddressGroup(..)
            | RowChange::FloatingIp(..)
            | RowChange::QosPolicy(..)
            | RowChange::MeteringLabel(..)
            | RowChange::Trunk(..)
            | RowChange::TapService(..)
            | RowChange::TapMirror(..)
            | RowChange::LocalIp(..)
            | RowChange::Log(..) => {}
        }
    }

    /// Takes another one in.
    pub fn extend(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::Some { networks, routers }, Self::Some { networks: more_networks, routers: more_routers }) => {
                networks.extend(more_networks);
                routers.extend(more_routers);
            }
            (_, Self::Everything) => *self = Self::Everything,
            (Self::Everything, _) => {}
        }
    }

    /// The looks at networks to be taken; none: at all of them.
    pub fn networks(&self) -> Vec<Option<NetworkId>> {
        match self {
            Self::Everything => vec![None],
            Self::Some { networks, .. } => networks.iter().copied().map(Some).collect(),
        }
    }

    /// The same of routers.
    pub fn routers(&self) -> Vec<Option<RouterId>> {
        match self {
            Self::Everything => vec![None],
            Self::Some { routers, .. } => routers.iter().copied().map(Some).collect(),
        }
    }
}

/// Between those who know of changes and the task that schedules.
#[derive(Debug, Default)]
pub struct Calls {
    agenda: Mutex<Agenda>,
    wake: Notify,
}

impl Calls {
    /// Has the task look at these, if there are any.
    pub fn call(&self, agenda: Agenda) {
        if agenda.is_empty() {
            return;
        }
        self.agenda.lock().unwrap_or_else(PoisonError::into_inner).extend(agenda);
        self.wake.notify_one();
    }

    /// Waits until there is something to look at.
    pub async fn wait(&self) {
        self.wake.notified().await;
    }

    /// What there is to look at, which is no longer waiting then.
    pub fn take(&self) -> Agenda {
        std::mem::take(&mut *self.agenda.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests;
