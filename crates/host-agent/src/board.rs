//! Where the reconcile loops write how far they are, and the report task reads it.
//!
//! [`combine`] is the whole rule of when a port is up: its device is there and its flows are committed (the switch's part)
//! and, for a port that lives in a namespace of ours, its namespace is complete (the rooms' part).

use host_view::{PortState, RouterState};
use net_types::{MacAddr, PortId, RouterId};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::watch;

/// How far the switch is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SwitchPart {
    /// The revision whose flows are installed; 0: none yet.
    pub revision: u64,
    /// Every port of the view.
    pub ports: BTreeMap<PortId, PortState>,
    /// Those of them that are up only when the rooms say so too.
    pub in_rooms: BTreeSet<PortId>,
    /// Ports whose flows are committed.
    pub wired: BTreeSet<PortId>,
    /// Highly available routers: whether they are active here.
    pub routers: BTreeMap<RouterId, RouterState>,
    /// What failed beyond single ports.
    pub errors: Vec<String>,
    /// The MAC behind the tunnel endpoint.
    pub endpoint_mac: Option<MacAddr>,
}

/// How far the namespaces are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RoomsPart {
    /// The revision whose namespaces are complete (but for what failed); 0: none yet.
    pub revision: u64,
    /// Ports whose namespace is complete, or that failed.
    pub ports: BTreeMap<PortId, PortState>,
    /// Devices whose end in the host is ready to be a port of the switch.
    pub devices: BTreeSet<String>,
    /// What failed beyond single ports.
    pub errors: Vec<String>,
}

/// Both parts together, as the server is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Realised {
    pub revision: u64,
    pub ports: BTreeMap<PortId, PortState>,
    pub routers: BTreeMap<RouterId, RouterState>,
    pub errors: Vec<String>,
    pub endpoint_mac: Option<MacAddr>,
}

/// The board itself.
#[derive(Debug)]
pub(crate) struct Board {
    pub switch: watch::Sender<SwitchPart>,
    pub rooms: watch::Sender<RoomsPart>,
}

impl Board {
    pub(crate) fn new() -> Self {
        Self { switch: watch::Sender::new(SwitchPart::default()), rooms: watch::Sender::new(RoomsPart::default()) }
    }
}

/// What the host as a whole has realised.
pub(crate) fn combine(switch: &SwitchPart, rooms: &RoomsPart) -> Realised {
    let state = |id: &PortId, state: &PortState| match (state, rooms.ports.get(id)) {
        (PortState::Up, Some(in_room)) if switch.in_rooms.contains(id) => in_room.clone(),
        (PortState::Up, None) if switch.in_rooms.contains(id) => PortState::Down,
        // Why there is no device is known where devices are made.
        (PortState::Down, Some(failed @ PortState::Failed { .. })) if switch.in_rooms.contains(id) => failed.clone(),
        _ => state.clone(),
    };
    Realised {
        revision: switch.revision.min(rooms.revision),
        ports: switch.ports.iter().map(|(id, of_switch)| (*id, state(id, of_switch))).collect(),
        routers: switch.routers.clone(),
        errors: switch.errors.iter().chain(&rooms.errors).cloned().collect(),
        endpoint_mac: switch.endpoint_mac,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u128) -> PortId {
        PortId(uuid::Uuid::from_u128(n))
    }

    #[test]
    fn a_port_in_a_namespace_is_up_when_both_parts_say_so() {
        let failed = PortState::Failed { reason: "no".to_owned() };
        let (instance, ready, waiting, broken, unplugged) = (id(1), id(2), id(3), id(4), id(5));
        let switch = SwitchPart {
            revision: 9,
            ports: [instance, ready, waiting, broken]
                .map(|id| (id, PortState::Up))
                .into_iter()
                .chain([(unplugged, PortState::Down)])
                .collect(),
            in_rooms: [ready, waiting, broken, unplugged].into(),
            ..SwitchPart::default()
        };
        let rooms = RoomsPart {
            revision: 7,
            ports: [(ready, PortState::Up), (broken, failed.clone()), (unplugged, failed.clone())].into(),
            errors: vec!["router r: no".to_owned()],
            ..RoomsPart::default()
        };
        let realised = combine(&switch, &rooms);
        assert_eq!(realised.revision, 7);
        let expected = [PortState::Up, PortState::Up, PortState::Down, failed.clone(), failed];
        assert_eq!(realised.ports.into_values().collect::<Vec<_>>(), expected);
        assert_eq!(realised.errors, ["router r: no"]);
    }
}
