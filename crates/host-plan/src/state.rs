//! What only the host itself knows: read from its OVSDB before planning.
//!
//! A plan may need two rounds: a port that is planned for the first time has no OpenFlow number before OVSDB has it.
//! Flows that need the number are then not in the plan and the port is [`PortState::Down`](host_view::PortState); the
//! agent applies, reads the state again and plans again, until the plan stays the same.

use net_types::{MacAddr, NetworkId, PortId, VlanId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What the planner must be told of the host as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LocalState {
    /// The local VLAN of each network: those of the last plan or, after a restart of the agent, those read from
    /// `Port:other_config` (`net_uuid` and `tag`).
    pub local_vlans: BTreeMap<NetworkId, VlanId>,
    /// Bridges that exist.
    pub bridges: BTreeSet<String>,
    /// Interfaces of all bridges, by name.
    pub interfaces: BTreeMap<String, Interface>,
}

/// An interface as OVSDB has it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Interface {
    /// The bridge that its port is on.
    pub bridge: String,
    /// OpenFlow port number; none while the switch has not given one, or could not open the device.
    pub ofport: Option<u32>,
    /// `external_ids:iface-id`.
    pub iface_id: Option<PortId>,
    /// `external_ids:attached-mac`.
    pub attached_mac: Option<MacAddr>,
    /// `bfd_status:forwarding`: of a BFD session, whether the other end lives.
    pub lives: bool,
    /// The session has only just begun: that it is down says nothing yet.
    pub begins: bool,
    /// `bfd_status:remote_diagnostic`: the other end of a session lives, and says that it has no way on (RFC 5880, section
    /// 4.1, "Concatenated Path Down").
    pub is_impaired: bool,
    /// `link_state`, of devices of the kernel: whether there is carrier.
    pub carrier: Option<bool>,
}

impl LocalState {
    /// The OpenFlow number of an interface on this bridge.
    pub fn ofport(&self, bridge: &str, interface: &str) -> Option<u32> {
        self.interfaces.get(interface).filter(|known| known.bridge == bridge)?.ofport
    }
}
