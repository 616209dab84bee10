//! What tells one network from another on the wire.

use crate::ParseError;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// An IEEE 802.1Q VLAN id that may carry traffic: 1 to 4094.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct VlanId(u16);

/// A 24-bit virtual network identifier (VXLAN, Geneve); zero is not used (RFC 7348).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Vni(u32);

/// `provider:network_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkType {
    /// Stays on one host.
    Local,
    /// Untagged on a physical network.
    Flat,
    /// Tagged on a physical network.
    Vlan,
    /// Tunnelled (RFC 7348).
    Vxlan,
    /// Tunnelled (RFC 2784, with a key).
    Gre,
    /// Tunnelled (RFC 8926).
    Geneve,
}

macro_rules! number {
    ($name:ident, $repr:ty, $range:expr, $what:literal) => {
        impl $name {
            /// A value within the range that the wire format allows.
            pub fn new(value: $repr) -> Result<Self, ParseError> {
                if $range.contains(&value) { Ok(Self(value)) } else { Err(ParseError::new($what, value)) }
            }

            /// The number itself.
            pub fn get(self) -> $repr {
                self.0
            }
        }

        impl TryFrom<$repr> for $name {
            type Error = ParseError;
            fn try_from(value: $repr) -> Result<Self, ParseError> {
                Self::new(value)
            }
        }

        impl From<$name> for $repr {
            fn from(value: $name) -> $repr {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(VlanId, u16, (1..=4094), "VLAN id");
number!(Vni, u32, (1..=0xff_ffff), "VNI");

impl NetworkType {
    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Flat => "flat",
            Self::Vlan => "vlan",
            Self::Vxlan => "vxlan",
            Self::Gre => "gre",
            Self::Geneve => "geneve",
        }
    }
}

impl fmt::Display for NetworkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for NetworkType {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        [Self::Local, Self::Flat, Self::Vlan, Self::Vxlan, Self::Gre, Self::Geneve]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| ParseError::new("network type", text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_outside_the_wire_format_are_refused() {
        assert!(VlanId::new(0).is_err() && VlanId::new(4095).is_err() && VlanId::new(4094).is_ok());
        assert!(Vni::new(0).is_err() && Vni::new(1 << 24).is_err());
        assert!(serde_json::from_str::<VlanId>("4095").is_err());
        assert_eq!("vxlan".parse(), Ok(NetworkType::Vxlan));
        assert!("VXLAN".parse::<NetworkType>().is_err());
    }
}
