//! What the integration bridge tells collectors of its traffic: sFlow, IPFIX, NetFlow.
//!
//! In: the operator's configuration. Out: the same in the plan of the bridge, from where it becomes a row of OVSDB; names and
//! meaning are those of ovs-vswitchd.conf.db(5). What is not said is left to Open vSwitch.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Each of the three, if it is switched on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Exports {
    /// sFlow version 5: samples of packets, counters of ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sflow: Option<SFlow>,
    /// RFC 7011: records of flows, of sampled packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipfix: Option<Ipfix>,
    /// NetFlow version 5: records of flows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netflow: Option<NetFlow>,
}

impl Exports {
    /// Whether nothing is switched on.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// sFlow version 5.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SFlow {
    /// Collectors, `address:port`.
    pub targets: BTreeSet<String>,
    /// The device whose address says who is speaking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Octets of each packet that are sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<u32>,
    /// One packet of so many is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampling: Option<u32>,
    /// Seconds between two looks at the ports' counters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub polling: Option<u32>,
}

/// IPFIX.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ipfix {
    /// Collectors, `address:port`.
    pub targets: BTreeSet<String>,
    /// One packet of so many is counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampling: Option<u32>,
    /// Observation Domain ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub obs_domain_id: Option<u32>,
    /// Observation Point ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub obs_point_id: Option<u32>,
    /// Seconds after which a flow's record is sent; 0 sends one for each packet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_active_timeout: Option<u32>,
    /// How many flows are kept at once; 0 sends a record for each packet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_max_flows: Option<u32>,
}

/// NetFlow version 5.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetFlow {
    /// Collectors, `address:port`.
    pub targets: BTreeSet<String>,
    /// Seconds after which records of a flow that goes on are sent; 0: the usual 600.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_timeout: Option<u32>,
}
