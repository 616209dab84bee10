//! One thing on which host and plan disagree.

use serde::{Deserialize, Serialize};

/// Where in the host it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// Open vSwitch's database: bridges, ports, VLANs.
    Ovsdb,
    /// OpenFlow.
    Flow,
    /// The tunnel endpoint's address, and the peers' MAC addresses.
    Tunnel,
    /// Namespaces as such.
    Namespace,
    /// Kernel parameters.
    Sysctl,
    /// nftables.
    Filter,
    /// Devices in namespaces, and their ends in the host.
    Device,
    /// Addresses of devices in namespaces.
    Address,
    /// Routes in namespaces.
    Route,
    /// Sockets that must listen.
    Service,
}

impl Layer {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ovsdb => "ovsdb",
            Self::Flow => "flow",
            Self::Tunnel => "tunnel",
            Self::Namespace => "namespace",
            Self::Sysctl => "sysctl",
            Self::Filter => "filter",
            Self::Device => "device",
            Self::Address => "address",
            Self::Route => "route",
            Self::Service => "service",
        }
    }
}

/// In which way they disagree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// Planned, and not there.
    Missing,
    /// There, ours, and not planned.
    Unexpected,
    /// There, but not as planned.
    Different,
}

/// One disagreement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// Where in the host.
    pub layer: Layer,
    /// Which bridge, namespace or device; `host` is the host's own namespace.
    pub place: String,
    /// In which way.
    pub how: How,
    /// What it is about, in the layer's own language.
    pub what: String,
    /// How it should be, where `what` does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<String>,
    /// How it is, where `what` does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// Whose it is, where that is known: `network ID`, `port ID of network ID`, `router ID`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
}

impl Finding {
    pub(super) fn missing(layer: Layer, place: &str, what: impl ToString) -> Self {
        Self::new(layer, place, How::Missing, what)
    }

    pub(super) fn unexpected(layer: Layer, place: &str, what: impl ToString) -> Self {
        Self::new(layer, place, How::Unexpected, what)
    }

    pub(super) fn different(
        layer: Layer,
        place: &str,
        what: impl ToString,
        planned: impl ToString,
        found: impl ToString,
    ) -> Self {
        let (planned, found) = (Some(planned.to_string()), Some(found.to_string()));
        Self { planned, found, ..Self::new(layer, place, How::Different, what) }
    }

    pub(super) fn new(layer: Layer, place: &str, how: How, what: impl ToString) -> Self {
        Self { layer, place: place.to_owned(), how, what: what.to_string(), planned: None, found: None, about: None }
    }

    /// The same, with whose it is.
    pub(super) fn about(self, about: Option<String>) -> Self {
        Self { about, ..self }
    }
}
