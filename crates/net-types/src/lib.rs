//! The vocabulary that every other crate speaks: MAC addresses, VLAN ids, VNIs, port ranges and typed ids.
//!
//! In: text or numbers from the outside. Out: values that cannot be malformed. Nothing here may do I/O, read a clock or
//! draw a random number.

mod error;
mod id;
mod mac;
mod port_range;
mod segment;

pub use error::ParseError;
pub use id::{
    AddressScopeId, FloatingIpId, MeteringLabelId, NetworkId, PortForwardingId, PortId, RouterId, SecurityGroupId,
    SecurityGroupRuleId, SubnetId, TrunkId,
};
pub use ipnet::{IpNet, Ipv4Net, Ipv6Net};
pub use mac::MacAddr;
pub use port_range::{PortMask, PortRange};
pub use segment::{NetworkType, VlanId, Vni};
