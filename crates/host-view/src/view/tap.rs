//! Port mirroring: ports of this host whose frames are copied, and ports of this host that copies come to.

use net_types::PortId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Which frames of a port are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TapDirection {
    /// Those that the port receives.
    In,
    /// Those that the port sends.
    Out,
    /// Both.
    Both,
}

impl TapDirection {
    /// Whether what the port receives is copied.
    pub fn is_in(self) -> bool {
        self != Self::Out
    }

    /// Whether what the port sends is copied.
    pub fn is_out(self) -> bool {
        self != Self::In
    }

    /// What either of them copies.
    pub fn and(self, other: Self) -> Self {
        if self == other { self } else { Self::Both }
    }
}

/// A tap service that this host has a part in: as the host of its port, or of a port that is mirrored to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TapService {
    /// The port that copies are delivered to.
    pub port: PortId,
    /// The host of that port; its endpoint stands in `tunnel_peers`. None: this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The key that copies bear in tunnels; no network has it.
    pub key: u32,
    /// Ports of this host that are mirrored to it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<PortId, TapDirection>,
    /// Where its port is here: other hosts with ports that are mirrored to it; their endpoints stand in `tunnel_peers`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub from: BTreeSet<String>,
}

/// How copies go to a collector outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TapMirrorKind {
    /// RFC 2784 and 2890: Ethernet in GRE, the number is the key.
    Gre,
    /// ERSPAN version 1 (type II), the number is the session.
    ErspanV1,
}

/// A port of this host that is mirrored to a collector outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TapMirror {
    /// The port.
    pub port: PortId,
    /// The collector.
    pub collector: IpAddr,
    /// How the copies go there.
    pub kind: TapMirrorKind,
    /// The number that the copies of each direction bear.
    pub numbers: BTreeMap<TapDirection, u32>,
}
