//! Trunks whose parent port is on this host.

use net_types::{PortId, VlanId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A trunk: untagged frames of its parent's device are the parent's, tagged ones are those of its subports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trunk {
    /// The parent port (in `ports`).
    pub parent: PortId,
    /// Its subports (in `ports`, where they could be bound), and the tag that each has on the parent's device.
    pub subports: BTreeMap<PortId, VlanId>,
}
