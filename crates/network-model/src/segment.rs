//! Segments: which network types there are, which VLAN ids and VNIs they may use, and which one a new network gets.
//!
//! In: the operator's configuration under Neutron's option names ([`SegmentConfig`], read once into [`SegmentTypes`]), the
//! provider attributes of a request, and a way to ask which ids are used ([`UsedSegments`]). Out: the [`Segment`], or the
//! refusal. Ids are never materialised: 16 million free VNIs cost nothing.

mod allocate;
mod config;
mod mtu;
mod ranges;
pub mod routed;
mod validate;

pub use allocate::UsedSegments;
pub use config::{IdRange, SegmentConfig, SegmentTypes};
pub use mtu::MtuConfig;
pub use validate::ProviderAttributes;

use net_types::NetworkType;
use serde::{Deserialize, Serialize};

/// What carries a network on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Segment {
    /// `provider:network_type`.
    pub network_type: NetworkType,
    /// `provider:physical_network`: of flat and VLAN networks.
    pub physical_network: Option<String>,
    /// `provider:segmentation_id`: VLAN id, VNI or GRE key.
    pub segmentation_id: Option<u32>,
}

impl Segment {
    /// Whether something is left to choose.
    pub fn is_partial(&self) -> bool {
        match self.network_type {
            NetworkType::Local | NetworkType::Flat => false,
            _ => self.segmentation_id.is_none(),
        }
    }
}

#[cfg(test)]
mod tests;
