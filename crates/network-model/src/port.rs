//! Ports: port security and what hangs on it, allowed address pairs, the MAC address, the device.

use crate::{ModelError, binding::is_unplugged, device_owner};
use net_types::{MacAddr, PortId};

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

/// Allowed address pairs (address or CIDR, MAC address) with the port's own MAC address where a request gave none; refuses
/// more than `most`, and what then is there twice.
pub fn complete_address_pairs(
    pairs: impl IntoIterator<Item = (String, Option<MacAddr>)>,
    own: MacAddr,
    most: usize,
) -> Result<Vec<(String, MacAddr)>, ModelError> {
    let mut complete: Vec<(String, MacAddr)> = Vec::new();
    for (ip_address, mac) in pairs {
        let pair = (ip_address, mac.unwrap_or(own));
        if complete.contains(&pair) {
            let (ip_address, mac) = pair;
            return Err(ModelError::DuplicateAddressPairInRequest { mac_address: mac.to_string(), ip_address });
        }
        if complete.len() == most {
            return Err(ModelError::AllowedAddressPairExhausted { quota: most });
        }
        complete.push(pair);
    }
    Ok(complete)
}

/// Refuses a new MAC address for a port that is plugged in (`vif_type` is its `binding:vif_type`), or that belongs to the
/// network's own services.
pub fn check_mac_change(
    port_id: PortId,
    owner: &str,
    vif_type: &str,
    old_mac: MacAddr,
    new_mac: MacAddr,
) -> Result<(), ModelError> {
    if old_mac == new_mac {
        return Ok(());
    }
    if !is_unplugged(vif_type) {
        return Err(ModelError::PortBound { port_id, vif_type: vif_type.to_owned(), old_mac, new_mac });
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
        let (own, other) = (MacAddr([2; 6]), MacAddr([4; 6]));
        let pair = |mac| ("10.0.0.5".to_owned(), mac);
        let both = complete_address_pairs([pair(None), pair(Some(other))], own, 2).unwrap();
        assert_eq!(both, [("10.0.0.5".to_owned(), own), ("10.0.0.5".to_owned(), other)]);
        assert_eq!(
            complete_address_pairs([pair(None), pair(Some(own))], own, 9).unwrap_err().to_string(),
            "Request contains duplicate address pair: mac_address 02:02:02:02:02:02 ip_address 10.0.0.5."
        );
        let many = complete_address_pairs([pair(None), pair(Some(other))], own, 1).unwrap_err();
        assert_eq!(many.to_string(), "The number of allowed address pair exceeds the maximum 1.");
    }

    #[test]
    fn the_mac_address_of_a_plugged_port_stays() {
        let port_id = "739c4cf2-0b00-4000-8000-000000000000".parse().unwrap();
        let (old, new) = (MacAddr([2; 6]), MacAddr([4; 6]));
        let check = |owner, vif| check_mac_change(port_id, owner, vif, old, new).map_err(|error| error.type_name());
        assert_eq!(check("", "unbound"), Ok(()));
        assert_eq!(check("", "ovs"), Err("PortBound"));
        assert_eq!(check("network:dhcp", "binding_failed"), Err("UnsupportedPortDeviceOwner"));
        assert!(check_mac_change(port_id, "", "ovs", old, old).is_ok());
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
