//! How large a packet may be on a segment: what the physical networks carry, less what a tunnel puts around it.

use super::{Segment, SegmentConfig};
use crate::ModelError;
use net_types::NetworkType;
use std::collections::BTreeMap;

/// Outer Ethernet, UDP and VXLAN headers (RFC 7348): 14 + 8 + 8 bytes. The outer IP header comes on top.
const VXLAN_OVERHEAD: u32 = 30;
/// Inner Ethernet and GRE header with a key (RFC 2890): 14 + 8 bytes.
const GRE_OVERHEAD: u32 = 22;
/// As VXLAN, without options (RFC 8926).
const GENEVE_OVERHEAD: u32 = 30;

/// The MTU options, read. All in bytes; 0 means that nothing limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MtuConfig {
    global_physnet_mtu: u32,
    path_mtu: u32,
    physical_network_mtus: BTreeMap<String, u32>,
    outer_ip_header: u32,
}

impl MtuConfig {
    pub(super) fn new(config: &SegmentConfig) -> Result<Self, ModelError> {
        let outer_ip_header = match config.overlay_ip_version {
            4 => 20,
            6 => 40,
            other => {
                let (opt_name, opt_value) = ("overlay_ip_version", other.to_string());
                return Err(ModelError::InvalidConfigurationOption { opt_name, opt_value });
            }
        };
        let read = |entry: &String| {
            let pair = entry.trim().rsplit_once(':').and_then(|(name, mtu)| Some((name, mtu.trim().parse().ok()?)));
            let (name, mtu) = pair.filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
                let (opt_name, opt_value) = ("physical_network_mtus", entry.clone());
                ModelError::InvalidConfigurationOption { opt_name, opt_value }
            })?;
            Ok((name.to_owned(), mtu))
        };
        Ok(Self {
            global_physnet_mtu: config.global_physnet_mtu,
            path_mtu: config.path_mtu,
            physical_network_mtus: config.physical_network_mtus.iter().map(read).collect::<Result<_, ModelError>>()?,
            outer_ip_header,
        })
    }

    /// The largest packet that instances may send on the segment, bytes.
    pub fn largest(&self, segment: &Segment) -> u32 {
        let tunnel = |overhead: u32| {
            smallest([self.global_physnet_mtu, self.path_mtu]).saturating_sub(self.outer_ip_header + overhead)
        };
        match segment.network_type {
            // Nothing limits what stays on a host; Neutron then takes the physical networks' MTU.
            NetworkType::Local => self.global_physnet_mtu,
            NetworkType::Flat | NetworkType::Vlan => {
                let own = segment.physical_network.as_ref().and_then(|name| self.physical_network_mtus.get(name));
                smallest([self.global_physnet_mtu, own.copied().unwrap_or(0)])
            }
            NetworkType::Vxlan => tunnel(VXLAN_OVERHEAD),
            NetworkType::Geneve => tunnel(GENEVE_OVERHEAD),
            NetworkType::Gre => tunnel(GRE_OVERHEAD),
        }
    }

    /// The network's MTU: what was asked for (0: nothing), if the segment can carry it, else the largest.
    pub fn of_network(&self, segment: &Segment, asked: u32) -> Result<u32, ModelError> {
        match self.largest(segment) {
            largest if asked == 0 => Ok(largest),
            largest if largest > 0 && asked > largest => {
                Err(ModelError::invalid(format!("Requested MTU is too big, maximum is {largest}")))
            }
            _ => Ok(asked),
        }
    }
}

/// The smaller of those that limit at all.
fn smallest(mtus: [u32; 2]) -> u32 {
    mtus.into_iter().filter(|mtu| *mtu > 0).min().unwrap_or(0)
}
