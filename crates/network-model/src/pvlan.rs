//! Private VLANs: whom a port of such a network reaches.
//!
//! A promiscuous port reaches all, an isolated one only promiscuous ones, one of a community those and its community.

use crate::{ModelError, device_owner};
use net_types::{NetworkId, PortId};

/// Reaches every port of its network.
pub const PROMISCUOUS: &str = "promiscuous";
/// Reaches promiscuous ports, and those of its community.
pub const COMMUNITY: &str = "community";

/// A port's place in a private VLAN.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// `promiscuous`, `isolated` or `community`; none: its network is no private VLAN.
    pub kind: Option<String>,
    /// The name of its community.
    pub community: Option<String>,
}

/// What a request says of it. Null counts as said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked {
    /// `pvlan_type`.
    pub kind: Option<Option<String>>,
    /// `pvlan_community`.
    pub community: Option<Option<String>>,
}

/// The port's place after a request, or why it cannot be there.
pub fn place(
    port_id: PortId,
    (network_id, enabled): (NetworkId, bool),
    before: &Place,
    asked: Asked,
) -> Result<Place, ModelError> {
    let kind = asked.kind.unwrap_or_else(|| before.kind.clone());
    let community = asked.community.flatten();
    if !enabled {
        if before.kind.is_none() && (kind.is_some() || community.is_some()) {
            return Err(ModelError::PVLANNotEnabledOnNetwork { network_id });
        }
        return Ok(Place::default());
    }
    let kind = kind.unwrap_or_else(|| PROMISCUOUS.to_owned());
    if kind != COMMUNITY {
        return match community {
            Some(_) => Err(ModelError::PVLANCannotSetCommunityName { port_id }),
            None => Ok(Place { kind: Some(kind), community: None }),
        };
    }
    match community.or_else(|| before.community.clone()) {
        None => Err(ModelError::PVLANCommunityNameRequired { port_id }),
        community => Ok(Place { kind: Some(kind), community }),
    }
}

/// Refuses an unprotected port of a private VLAN: what is not filtered cannot be kept apart.
pub fn check_protected(port_id: PortId, owner: &str, network: bool, port: bool) -> Result<(), ModelError> {
    if device_owner::is_trusted(owner) || (network && port) {
        return Ok(());
    }
    Err(ModelError::PVLANPortSecurityDisabled { port_id })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: PortId = PortId(uuid::Uuid::nil());
    const NETWORK: NetworkId = NetworkId(uuid::Uuid::nil());

    fn there(kind: &str, community: Option<&str>) -> Place {
        Place { kind: Some(kind.to_owned()), community: community.map(str::to_owned) }
    }

    fn says(kind: Option<&str>, community: Option<&str>) -> Asked {
        Asked {
            kind: kind.map(|kind| Some(kind.to_owned())),
            community: community.map(|community| Some(community.to_owned())),
        }
    }

    #[test]
    fn everybody_is_promiscuous_unless_told_otherwise() {
        let place = |before: &Place, asked| place(PORT, (NETWORK, true), before, asked);
        let nowhere = Place::default();
        assert_eq!(place(&nowhere, says(None, None)), Ok(there("promiscuous", None)));
        assert_eq!(place(&nowhere, says(Some("isolated"), None)), Ok(there("isolated", None)));
        assert_eq!(place(&there("isolated", None), says(None, None)), Ok(there("isolated", None)));
        assert_eq!(
            place(&there("isolated", None), says(Some("community"), Some("a"))),
            Ok(there("community", Some("a")))
        );
        assert_eq!(place(&there("community", Some("a")), says(None, None)), Ok(there("community", Some("a"))));
        assert_eq!(place(&there("community", Some("a")), says(Some("isolated"), None)), Ok(there("isolated", None)));
    }

    #[test]
    fn communities_have_names_and_nobody_else_has() {
        let refused = |asked| place(PORT, (NETWORK, true), &Place::default(), asked).unwrap_err().type_name();
        assert_eq!(refused(says(Some("community"), None)), "PVLANCommunityNameRequired");
        assert_eq!(refused(says(Some("isolated"), Some("a"))), "PVLANCannotSetCommunityName");
        let ordinary = |before: &Place, asked| place(PORT, (NETWORK, false), before, asked);
        assert_eq!(ordinary(&Place::default(), says(None, None)), Ok(Place::default()));
        assert_eq!(ordinary(&there("isolated", None), says(None, None)), Ok(Place::default()));
        let refused = ordinary(&Place::default(), says(Some("isolated"), None)).unwrap_err();
        assert_eq!(refused.type_name(), "PVLANNotEnabledOnNetwork");
    }

    #[test]
    fn the_networks_own_ports_need_no_protection() {
        assert!(check_protected(PORT, "network:dhcp", false, false).is_ok());
        assert!(check_protected(PORT, "", true, true).is_ok());
        assert!(check_protected(PORT, "", false, true).is_err() && check_protected(PORT, "", true, false).is_err());
    }
}
