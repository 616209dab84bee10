//! What a server may answer.

use net_types::{Ipv4Net, MacAddr};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// Everything that the server of one network knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DhcpTable {
    /// Bytes of the largest IP packet (option 26).
    pub mtu: u16,
    /// Lease time in seconds (option 51); `u32::MAX` is for ever.
    pub lease_seconds: u32,
    /// Domain without the trailing dot (option 15); empty: none.
    pub domain: String,
    /// The IPv4 subnets that are served.
    pub subnets: Vec<DhcpSubnet>,
    /// Whom to answer, by hardware address.
    pub clients: BTreeMap<MacAddr, DhcpLease>,
}

/// A subnet and what its clients are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DhcpSubnet {
    /// Its prefix (options 1 and 28).
    pub cidr: Ipv4Net,
    /// The server's own address on it (option 54).
    pub server: Ipv4Addr,
    /// Option 3.
    pub gateway: Option<Ipv4Addr>,
    /// Option 6, in order.
    pub dns: Vec<Ipv4Addr>,
    /// Option 121 (and 249), in order; the default route stands among them where there is one.
    pub routes: Vec<(Ipv4Net, Ipv4Addr)>,
}

/// What one client may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DhcpLease {
    /// Its addresses, the preferred one first; each lies in one of the table's subnets.
    pub addresses: Vec<Ipv4Addr>,
    /// Option 12; none: `host-` and the address with dashes.
    pub hostname: Option<String>,
}

impl DhcpTable {
    /// The subnet that an address lies in.
    pub fn subnet_of(&self, address: Ipv4Addr) -> Option<&DhcpSubnet> {
        self.subnets.iter().find(|subnet| subnet.cidr.contains(&address))
    }
}
