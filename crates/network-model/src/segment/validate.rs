//! Provider attributes that a request names: do they make sense, and for which segment do they ask.

use super::{Segment, SegmentTypes};
use crate::ModelError;
use net_types::{NetworkType, VlanId};
use serde::{Deserialize, Serialize};

/// The three `provider:` attributes as a request gives them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProviderAttributes {
    /// `provider:network_type`.
    pub network_type: Option<String>,
    /// `provider:physical_network`.
    pub physical_network: Option<String>,
    /// `provider:segmentation_id`.
    pub segmentation_id: Option<u32>,
}

impl ProviderAttributes {
    /// Whether the request names any of them.
    pub fn any(&self) -> bool {
        self.network_type.is_some() || self.physical_network.is_some() || self.segmentation_id.is_some()
    }
}

impl SegmentTypes {
    /// Checks provider attributes. The segment may still lack what an allocation fills in: the VLAN id or VNI, and the
    /// physical network of a VLAN network.
    pub fn validate(&self, asked: &ProviderAttributes) -> Result<Segment, ModelError> {
        let name = asked.network_type.as_deref().ok_or_else(|| ModelError::invalid("network_type required"))?;
        let network_type = name
            .parse()
            .ok()
            .filter(|kind| self.drivers.contains(kind))
            .ok_or_else(|| ModelError::invalid(format!("network_type value '{name}' not supported")))?;
        // Neutron takes an empty name for none, and 0 for no id where none belongs.
        let physical_network = asked.physical_network.clone().filter(|name| !name.is_empty());
        let segment = Segment { network_type, physical_network, segmentation_id: asked.segmentation_id };
        match network_type {
            NetworkType::Local => prohibit_physical_network(&segment).and_then(|()| prohibit_id(&segment)),
            NetworkType::Flat => self.validate_flat(&segment),
            NetworkType::Vlan => self.validate_vlan(&segment),
            NetworkType::Vxlan | NetworkType::Gre | NetworkType::Geneve => validate_tunnel(&segment),
        }?;
        Ok(match network_type {
            NetworkType::Local | NetworkType::Flat => Segment { segmentation_id: None, ..segment },
            _ => segment,
        })
    }

    fn validate_flat(&self, segment: &Segment) -> Result<(), ModelError> {
        let Some(name) = &segment.physical_network else {
            return Err(ModelError::invalid("physical_network required for flat provider network"));
        };
        if let Some(allowed) = &self.flat {
            if allowed.is_empty() {
                return Err(ModelError::invalid("Flat provider networks are disabled"));
            }
            if !allowed.contains(name) {
                return Err(ModelError::invalid(format!(
                    "physical_network '{name}' unknown for flat provider network"
                )));
            }
        }
        prohibit_id(segment)
    }

    fn validate_vlan(&self, segment: &Segment) -> Result<(), ModelError> {
        let Some(name) = &segment.physical_network else {
            return match segment.segmentation_id {
                Some(_) => {
                    Err(ModelError::invalid("segmentation_id requires physical_network for VLAN provider network"))
                }
                None => Ok(()),
            };
        };
        if !self.vlan.iter().any(|(known, _)| known == name) {
            return Err(ModelError::invalid(format!("physical_network '{name}' unknown for VLAN provider network")));
        }
        let valid = |id: u32| u16::try_from(id).is_ok_and(|id| VlanId::new(id).is_ok());
        match segment.segmentation_id {
            Some(id) if !valid(id) => Err(ModelError::invalid("segmentation_id out of range (1 through 4094)")),
            _ => Ok(()),
        }
    }
}

fn validate_tunnel(segment: &Segment) -> Result<(), ModelError> {
    let kind = segment.network_type;
    if segment.physical_network.is_some() {
        return Err(ModelError::invalid(format!("provider:physical_network specified for {kind} network")));
    }
    // Neutron lets an id pass here that the wire format does not have, and then fails to build the network.
    let possible = SegmentTypes::possible_tunnel_ids(kind);
    match segment.segmentation_id {
        Some(id) if !(possible.first()..=possible.last()).contains(&id) => Err(ModelError::invalid(format!(
            "segmentation_id out of range ({} through {})",
            possible.first(),
            possible.last()
        ))),
        _ => Ok(()),
    }
}

fn prohibit_physical_network(segment: &Segment) -> Result<(), ModelError> {
    match segment.physical_network {
        Some(_) => Err(prohibited("physical_network", segment.network_type)),
        None => Ok(()),
    }
}

fn prohibit_id(segment: &Segment) -> Result<(), ModelError> {
    match segment.segmentation_id {
        Some(id) if id != 0 => Err(prohibited("segmentation_id", segment.network_type)),
        _ => Ok(()),
    }
}

fn prohibited(attribute: &str, kind: NetworkType) -> ModelError {
    ModelError::invalid(format!("{attribute} prohibited for {kind} provider network"))
}
