//! Kinds of routers: in one place, highly available, distributed, or both.

use crate::{ModelError, device_owner};

/// What kind a router is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RouterKind {
    /// `distributed`: wanted on every host that has ports behind it.
    pub distributed: bool,
    /// `ha`: scheduled to several hosts, of which one is active.
    pub ha: bool,
}

/// VRRP's virtual router ids (RFC 5798 section 5.2.3): one for each highly available router of a project.
pub const VIRTUAL_ROUTER_IDS: std::ops::RangeInclusive<u8> = 1..=255;

impl RouterKind {
    /// The kind of a new router: what the request says, else the operator's defaults.
    pub fn of_new(distributed: Option<bool>, ha: Option<bool>, defaults: Self) -> Self {
        Self { distributed: distributed.unwrap_or(defaults.distributed), ha: ha.unwrap_or(defaults.ha) }
    }

    /// The kind after a change. `was_up` and `is_up`: the router's admin state before and after it.
    pub fn change(
        self,
        distributed: Option<bool>,
        ha: Option<bool>,
        was_up: bool,
        is_up: bool,
    ) -> Result<Self, ModelError> {
        let new = Self::of_new(distributed, ha, self);
        let refuse = |msg: &str| Err(ModelError::bad("router", msg));
        if (was_up || is_up) && new.distributed != self.distributed {
            return refuse(
                "Cannot change the 'distributed' attribute of active routers. Please set router admin_state_up to False \
                 prior to upgrade",
            );
        }
        if is_up && new.ha != self.ha {
            return refuse(
                "Cannot change HA attribute of active routers. Please set router admin_state_up to False prior to upgrade",
            );
        }
        Ok(new)
    }

    /// `device_owner` of its interfaces.
    pub fn interface_owner(self) -> &'static str {
        match self {
            Self { distributed: true, .. } => device_owner::DVR_INTERFACE,
            Self { ha: true, .. } => device_owner::HA_REPLICATED_INTERFACE,
            Self { .. } => device_owner::ROUTER_INTERFACE,
        }
    }
}

/// A free virtual router id, the first at or after `start`; none when the project has used them all.
pub fn free_virtual_router_id(used: &[u8], start: u8) -> Option<u8> {
    let start = start.max(*VIRTUAL_ROUTER_IDS.start());
    let in_turn = (start..=*VIRTUAL_ROUTER_IDS.end()).chain(*VIRTUAL_ROUTER_IDS.start()..start);
    in_turn.into_iter().find(|id| !used.contains(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEGACY: RouterKind = RouterKind { distributed: false, ha: false };

    #[test]
    fn only_a_router_that_is_down_changes_its_kind() {
        let refused = |distributed, ha| LEGACY.change(distributed, ha, true, true).unwrap_err().to_string();
        assert!(refused(Some(true), None).contains("'distributed' attribute of active routers"));
        assert!(refused(None, Some(true)).contains("HA attribute of active routers"));
        assert!(LEGACY.change(Some(true), None, true, false).is_err(), "it must be down before");
        assert!(LEGACY.change(None, Some(true), true, false).is_ok(), "it may go down together with this change");
        assert_eq!(LEGACY.change(Some(false), Some(false), true, true), Ok(LEGACY), "nothing changes");
        let both = LEGACY.change(Some(true), Some(true), false, false).unwrap();
        assert_eq!(both.interface_owner(), device_owner::DVR_INTERFACE);
        let ha = both.change(Some(false), None, false, false).unwrap();
        assert_eq!(ha.interface_owner(), device_owner::HA_REPLICATED_INTERFACE);
    }

    #[test]
    fn virtual_router_ids_are_used_up_and_never_zero() {
        assert_eq!(free_virtual_router_id(&[], 0), Some(1));
        assert_eq!(free_virtual_router_id(&[255], 255), Some(1));
        let all: Vec<u8> = VIRTUAL_ROUTER_IDS.collect();
        assert_eq!(free_virtual_router_id(&all, 7), None);
        assert_eq!(free_virtual_router_id(&all[1..], 7), Some(1));
    }
}
