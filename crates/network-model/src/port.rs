//! Ports: port security and what hangs on it, allowed address pairs, and the MAC address.

use crate::{ModelError, binding::VifType, device_owner};
use net_types::{IpNet, MacAddr, PortId};
use std::collections::BTreeSet;

/// Neutron's `max_allowed_address_pair`.
pub const MAX_ADDRESS_PAIRS: usize = 10;

/// What a request says of a list that a port has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListChange {
    /// Nothing.
    Unchanged,
    /// It shall be empty.
    Emptied,
    /// It shall have entries.
    Set,
}

/// Whether a new port is protected: never one of the network's own services, else as asked, else as its network says.
pub fn port_security(owner: &str, asked: Option<bool>, network: bool) -> bool {
    !device_owner::is_trusted(owner) && asked.unwrap_or(network)
}

/// Refuses what only a protected port can have. For a new port, `had_groups` and `had_pairs` are false.
pub fn check_port_security(
    enabled: bool,
    groups: ListChange,
    had_groups: bool,
    pairs: ListChange,
    had_pairs: bool,
) -> Result<(), ModelError> {
    if enabled {
        return Ok(());
    }
    let remains = |change, had| change == ListChange::Set || (change == ListChange::Unchanged && had);
    if remains(pairs, had_pairs) {
        return Err(ModelError::AddressPairAndPortSecurityRequired);
    }
    match groups {
        ListChange::Set => Err(ModelError::PortSecurityAndIPRequiredForSecurityGroups),
        ListChange::Unchanged if had_groups => Err(ModelError::PortSecurityPortHasSecurityGroup),
        _ => Ok(()),
    }
}

/// Refuses too many allowed address pairs, and the same pair twice. A pair without a MAC address has the port's.
pub fn check_address_pairs(pairs: &[(Option<MacAddr>, IpNet)]) -> Result<(), ModelError> {
    if pairs.len() > MAX_ADDRESS_PAIRS {
        return Err(ModelError::AllowedAddressPairExhausted { quota: MAX_ADDRESS_PAIRS });
    }
    let mut seen = BTreeSet::new();
    match pairs.iter().find(|pair| !seen.insert(**pair)) {
        Some((mac, net)) => {
            let mac_address = mac.map_or_else(|| "None".to_owned(), |mac| mac.to_string());
            let host = net.prefix_len() == net.max_prefix_len();
            let ip_address = if host { net.addr().to_string() } else { net.to_string() };
            Err(ModelError::DuplicateAddressPairInRequest { mac_address, ip_address })
        }
        None => Ok(()),
    }
}

/// Refuses a new MAC address for a port that is plugged in, or that belongs to the network's own services.
pub fn check_mac_change(
    port_id: PortId,
    owner: &str,
    vif_type: VifType,
    old_mac: MacAddr,
    new_mac: MacAddr,
) -> Result<(), ModelError> {
    if old_mac == new_mac {
        return Ok(());
    }
    if vif_type == VifType::Ovs {
        return Err(ModelError::PortBound { port_id, vif_type: vif_type.as_str().to_owned(), old_mac, new_mac });
    }
    if device_owner::is_trusted(owner) {
        let device_owner = owner.to_owned();
        return Err(ModelError::UnsupportedPortDeviceOwner { op: "mac address update", port_id, device_owner });
    }
    Ok(())
}

/// Refuses a port that claims to be an interface of another project's router.
///
/// `router_project` is the project of the router that `device_id` names, if there is such a router.
pub fn check_device(
    owner: &str,
    device_id: &str,
    port_project: &str,
    router_project: Option<&str>,
    is_admin: bool,
) -> Result<(), ModelError> {
    let foreign = router_project.is_some_and(|project| project != port_project);
    if device_owner::is_router_interface(owner) && !is_admin && foreign {
        return Err(ModelError::DeviceIDNotOwnedByTenant { device_id: device_id.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_never_protected() {
        assert!(!port_security("network:dhcp", Some(true), true));
        assert!(
            port_security("", None, true) && !port_security("", None, false) && !port_security("", Some(false), true)
        );
    }

    #[test]
    fn groups_and_pairs_need_port_security() {
        use ListChange::{Emptied, Set, Unchanged};
        let name = |groups, had_groups, pairs, had_pairs| {
            check_port_security(false, groups, had_groups, pairs, had_pairs).map_err(|error| error.type_name())
        };
        assert_eq!(check_port_security(true, Set, true, Set, true), Ok(()));
        assert_eq!(name(Unchanged, false, Unchanged, false), Ok(()));
        assert_eq!(name(Set, false, Unchanged, false), Err("PortSecurityAndIPRequiredForSecurityGroups"));
        assert_eq!(name(Unchanged, true, Unchanged, false), Err("PortSecurityPortHasSecurityGroup"));
        assert_eq!(name(Emptied, true, Unchanged, false), Ok(()));
        assert_eq!(name(Emptied, true, Unchanged, true), Err("AddressPairAndPortSecurityRequired"));
        assert_eq!(name(Emptied, true, Emptied, true), Ok(()));
    }

    #[test]
    fn pairs_are_few_and_different() {
        let net: IpNet = "10.0.0.5/32".parse().unwrap();
        assert!(check_address_pairs(&[(None, net), (Some(MacAddr([2; 6])), net)]).is_ok());
        assert_eq!(
            check_address_pairs(&[(None, net), (None, net)]).unwrap_err().to_string(),
            "Request contains duplicate address pair: mac_address None ip_address 10.0.0.5."
        );
        assert_eq!(check_address_pairs(&[(None, net); 11]).unwrap_err().type_name(), "AllowedAddressPairExhausted");
    }

    #[test]
    fn the_mac_address_of_a_plugged_port_stays() {
        let port_id = "739c4cf2-0b00-4000-8000-000000000000".parse().unwrap();
        let (old, new) = (MacAddr([2; 6]), MacAddr([4; 6]));
        let check = |owner, vif| check_mac_change(port_id, owner, vif, old, new).map_err(|error| error.type_name());
        assert_eq!(check("", VifType::Unbound), Ok(()));
        assert_eq!(check("", VifType::Ovs), Err("PortBound"));
        assert_eq!(check("network:dhcp", VifType::Unbound), Err("UnsupportedPortDeviceOwner"));
        assert!(check_mac_change(port_id, "", VifType::Ovs, old, old).is_ok());
    }

    #[test]
    fn nobody_joins_another_projects_router() {
        let owner = device_owner::ROUTER_INTERFACE;
        assert!(check_device(owner, "r", "me", Some("them"), false).is_err());
        assert!(check_device(owner, "r", "me", Some("them"), true).is_ok());
        assert!(check_device(owner, "r", "me", None, false).is_ok());
        assert!(check_device("compute:nova", "r", "me", Some("them"), false).is_ok());
    }
}
