//! What should be in the database of Open vSwitch, as far as it is ours to say.

use crate::{Row, StringMap};
use std::collections::{BTreeMap, BTreeSet};

/// Keys of `Port:other_config` that Neutron's agent keeps its local VLANs in, and so do we: of these, those that are not
/// wanted are removed. Other keys are somebody else's.
pub const PORT_CONFIG_KEYS: [&str; 5] = ["net_uuid", "network_type", "physical_network", "segmentation_id", "tag"];

/// The pair in `external_ids` of bridges and ports that says who made them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Key.
    pub key: String,
    /// Value.
    pub value: String,
}

impl Owner {
    /// This pair.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }

    /// Whether somebody with these `external_ids` was made by us.
    pub fn owns(&self, external_ids: &StringMap) -> bool {
        external_ids.get(&self.key) == Some(&self.value)
    }

    pub(crate) fn mark(&self) -> StringMap {
        [(self.key.clone(), self.value.clone())].into()
    }
}

/// What should be there. A bridge or port that is named here gets the settings given here, whoever made it; only those
/// that carry the owner's mark are removed when they are not named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// What marks our bridges and ports.
    pub owner: Owner,
    /// Bridges, by name.
    pub bridges: BTreeMap<String, DesiredBridge>,
    /// VLANs of ports, by name, whoever made them (a hypervisor's carry `iface-id`). A port that is not there is passed
    /// over; one that is not named keeps its VLAN.
    pub vlans: BTreeMap<String, PortVlan>,
}

impl Desired {
    /// Nothing of ours.
    pub fn nothing(owner: Owner) -> Self {
        Self { owner, bridges: BTreeMap::new(), vlans: BTreeMap::new() }
    }
}

/// A bridge. What is none or empty is left as it is, or as Open vSwitch makes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DesiredBridge {
    /// Whether it is made when it is missing. A physical bridge is not: the operator makes it.
    pub create: bool,
    /// `netdev` or `system`.
    pub datapath_type: Option<String>,
    /// `secure` or `standalone`.
    pub fail_mode: Option<String>,
    /// OpenFlow versions.
    pub protocols: BTreeSet<String>,
    /// `other_config:hwaddr`: the MAC address of its own port.
    pub hwaddr: Option<String>,
    /// MTU of its own port.
    pub mtu_request: Option<u32>,
    /// Ports that we make on it, by name.
    pub ports: BTreeMap<String, DesiredPort>,
    /// Mirrors that we make on it, by name.
    pub mirrors: BTreeMap<String, DesiredMirror>,
    /// What it tells collectors: columns of the row, without `external_ids`. Columns that are not named are left alone.
    pub exports: BTreeMap<ExportKind, Row>,
}

/// A mirror; ports by name. Ports that are not there are passed over, and so is a mirror without its output.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DesiredMirror {
    /// Ports whose incoming packets are copied.
    pub select_src_port: BTreeSet<String>,
    /// Ports whose outgoing packets are copied.
    pub select_dst_port: BTreeSet<String>,
    /// Only packets of these VLANs; empty: of all.
    pub select_vlan: BTreeSet<u16>,
    /// Where the copies go; nothing else goes out by this port.
    pub output_port: String,
}

/// How a bridge tells collectors of its traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExportKind {
    /// sFlow version 5.
    SFlow,
    /// RFC 7011.
    Ipfix,
    /// NetFlow version 5.
    NetFlow,
}

impl ExportKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::SFlow, Self::Ipfix, Self::NetFlow];

    /// Its table.
    pub fn table(self) -> &'static str {
        match self {
            Self::SFlow => "sFlow",
            Self::Ipfix => "IPFIX",
            Self::NetFlow => "NetFlow",
        }
    }

    /// The bridge's column.
    pub fn column(self) -> &'static str {
        match self {
            Self::SFlow => "sflow",
            Self::Ipfix => "ipfix",
            Self::NetFlow => "netflow",
        }
    }
}

/// A port with one interface of the same name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DesiredPort {
    /// `type` of the interface: empty for a device of the kernel, `internal`, `patch`, `vxlan`, `gre`, `geneve`.
    pub kind: String,
    /// `options`: of a tunnel or patch.
    pub options: StringMap,
    /// `bfd` of the interface: settings of a BFD session; empty for none.
    pub bfd: StringMap,
    /// `external_ids` of the interface: `iface-id`, `attached-mac`, ...
    pub external_ids: StringMap,
    /// The MAC address of an internal port; none leaves it alone.
    pub mac: Option<String>,
    /// The MTU of an internal port; none leaves it alone.
    pub mtu_request: Option<u32>,
}

/// The VLAN of a port.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PortVlan {
    /// The VLAN of an access port; none for a trunk.
    pub tag: Option<u16>,
    /// `trunks`.
    pub trunks: BTreeSet<u16>,
    /// Of [`PORT_CONFIG_KEYS`], those that there are; others are left alone, too.
    pub other_config: StringMap,
}
