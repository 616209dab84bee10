//! Typed ids: a port id cannot be passed where a network id is meant.
//!
//! All are UUIDs in the API (lower case, hyphenated); in JSON they are plain strings.

use crate::ParseError;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $what:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// The first 11 characters of the id: what Neutron puts behind `tap`, `qr-` and `qg-` in device names.
            pub fn short(&self) -> String {
                let mut text = self.0.to_string();
                text.truncate(11);
                text
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseError;
            fn from_str(text: &str) -> Result<Self, ParseError> {
                Uuid::parse_str(text).map(Self).map_err(|_| ParseError::new($what, text))
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    )*};
}

ids! {
    /// Id of a network.
    NetworkId = "network id";
    /// Id of a subnet.
    SubnetId = "subnet id";
    /// Id of a port.
    PortId = "port id";
    /// Id of a router.
    RouterId = "router id";
    /// Id of a floating IP.
    FloatingIpId = "floating IP id";
    /// Id of a security group.
    SecurityGroupId = "security group id";
    /// Id of a security group rule.
    SecurityGroupRuleId = "security group rule id";
    /// Id of an address scope.
    AddressScopeId = "address scope id";
    /// Id of a metering label.
    MeteringLabelId = "metering label id";
    /// Id of a port forwarding.
    PortForwardingId = "port forwarding id";
    /// Id of a trunk.
    TrunkId = "trunk id";
}

impl TrunkId {
    /// The trunk's own bridge on the host of its parent, where the parent's device is plugged in: `tbr-` and ten characters
    /// of the id. Nova reads it from the port's `binding:vif_details`.
    pub fn bridge(&self) -> String {
        let mut name = format!("tbr-{}", self.0);
        name.truncate(14);
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trunks_bridge_is_named_as_neutron_names_it() {
        let id: TrunkId = "739c4cf2-0b00-4000-8000-000000000000".parse().unwrap();
        assert_eq!(id.bridge(), "tbr-739c4cf2-0");
    }

    #[test]
    fn short_is_what_device_names_carry() {
        let id: PortId = "739c4cf2-0b00-4000-8000-000000000000".parse().unwrap();
        assert_eq!(id.short(), "739c4cf2-0b");
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"739c4cf2-0b00-4000-8000-000000000000\"");
        assert!("x".parse::<PortId>().is_err());
    }
}
