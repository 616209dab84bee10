//! Routers that live on this host.

use super::network::HostRoute;
use super::qos::Limit;
use super::security_group::Direction;
use net_types::{FloatingIpId, IpNet, MacAddr, MeteringLabelId, PortForwardingId, PortId, PortRange};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// A router that lives on this host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Router {
    /// A router that is administratively down forwards nothing.
    pub admin_state_up: bool,
    /// Its internal ports (in `ports`).
    pub interfaces: BTreeSet<PortId>,
    /// Its way out.
    pub gateway: Option<Gateway>,
    /// More ways out (`external_gateways` behind the first).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further_gateways: Vec<Gateway>,
    /// The default routes of all gateways are used side by side (`enable_default_route_ecmp`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub default_route_ecmp: bool,
    /// `routes` (extra routes).
    pub routes: BTreeSet<HostRoute>,
    /// Floating IPs that it realises.
    pub floating_ips: BTreeMap<FloatingIpId, FloatingIp>,
    /// Ports of floating IPs that it leads to ports of instances.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub port_forwardings: BTreeMap<PortForwardingId, PortForwarding>,
    /// Addresses inside that it answers for outside (`ndp_proxies`); none: `enable_ndp_proxy` is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ndp_proxies: Option<BTreeSet<IpAddr>>,
    /// Limits of its addresses outside, of gateways and of floating IPs.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<IpAddr, BandwidthLimits>,
    /// Protocols that connection tracking follows into their further connections.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub conntrack_helpers: BTreeSet<ConntrackHelper>,
    /// What each metering label counts of its traffic with the outside; labels that count nothing are left out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metering: BTreeMap<MeteringLabelId, BTreeSet<MeteringRule>>,
    /// Of a highly available router whose hosts agree among themselves who is active: this host's place among them. None:
    /// it is active here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standby: Option<Standby>,
    /// By these ports the other hosts of a distributed router reach this one, where its ways out are
    /// (`network:router_centralized_snat`).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub snat_ports: BTreeSet<PortId>,
    /// Of a distributed router that is on several hosts at once: this host's part. None: it is here and nowhere else, or on
    /// hosts that agree who is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distributed: Option<Distributed>,
}

impl Router {
    /// All its gateways, the first one first.
    pub fn gateways(&self) -> impl Iterator<Item = &Gateway> {
        self.gateway.iter().chain(&self.further_gateways)
    }

    /// Whether its ways out are on another host, but for what floating IPs of this host's ports need.
    pub fn is_copy(&self) -> bool {
        self.distributed.as_ref().is_some_and(|part| !part.central)
    }
}

/// A host's place among those that a highly available router lives on. It is active exactly while no host lives that is
/// preferred to it and, where there are at least two others, one of the others does: who is cut off from all must assume
/// that it is itself the one that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Standby {
    /// Hosts that come before this one, by name.
    pub preferred: BTreeSet<String>,
    /// Hosts that come after this one.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub successors: BTreeSet<String>,
    /// All other hosts that have a say: those that the router lives on, and where these are but two, one more as witness. Each
    /// is a tunnel peer that is `watched`.
    pub others: BTreeSet<String>,
}

impl Standby {
    /// Whether the router is active here, as far as this host sees which others live.
    pub fn is_active(&self, lives: impl Fn(&str) -> bool) -> bool {
        !self.preferred.iter().any(|host| lives(host))
            && (!self.needs_company() || self.others.iter().any(|host| lives(host)))
    }

    /// Whether a host that sees none of the others must not be active.
    pub fn needs_company(&self) -> bool {
        self.others.len() > 1
    }
}

/// A host's part in a router that forwards on every host that has ports behind it, under the same addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distributed {
    /// This host's number among all hosts: what of the router leaves it can be told from the same on other hosts.
    pub station: u16,
    /// Whether the router's ways out are here; there is one such host, or those that agree who is active.
    pub central: bool,
    /// Where a host that is not central leads what it has no way for: addresses of the central host's `snat_ports`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub central_addresses: BTreeSet<IpAddr>,
}

/// What a router's port sends with as its MAC address from one of several hosts, instead of that which they share.
///
/// A locally administered address with the host's number and the lower half of the shared one, so that the receiving host
/// can tell which port it stands for without knowing the sender.
pub fn station_mac(shared: MacAddr, station: u16) -> MacAddr {
    let [first, _, _, d, e, f] = shared.0;
    let [b, c] = station.to_be_bytes();
    MacAddr([station_prefix(first), b, c, d, e, f])
}

/// The first octet of all such addresses; never that of the shared one.
pub fn station_prefix(first: u8) -> u8 {
    if first == 0x02 { 0x06 } else { 0x02 }
}

/// One of `external_gateways`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gateway {
    /// The gateway port (in `ports`).
    pub port: PortId,
    /// Whether what leaves by it takes its address.
    pub enable_snat: bool,
}

/// A floating IP that a router realises.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FloatingIp {
    /// The outside address.
    pub floating_address: IpAddr,
    /// The inside address.
    pub fixed_address: IpAddr,
}

/// Ports of a floating IP that lead to ports of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortForwarding {
    /// The floating IP that it belongs to.
    pub floating_ip: FloatingIpId,
    /// The outside address.
    pub floating_address: IpAddr,
    /// `tcp`, `udp`, `sctp`, `dccp`, ...
    pub protocol: String,
    /// The outside ports.
    pub external: PortRange,
    /// The inside address.
    pub internal_address: IpAddr,
    /// The inside ports: one, or as many as outside.
    pub internal: PortRange,
}

/// A protocol that names addresses and ports inside what it says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ConntrackHelper {
    /// The kernel's name for it: `ftp`, `tftp`, ...
    pub helper: String,
    /// `tcp`, `udp`, ...
    pub protocol: String,
    /// The port that it is served on.
    pub port: u16,
}

/// Traffic of a router with the outside that a metering label counts, or does not count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MeteringRule {
    /// In by the gateway, or out.
    pub direction: Direction,
    /// This traffic is not counted, whatever other rules say.
    pub excluded: bool,
    /// From where; none: from anywhere.
    pub source: Option<IpNet>,
    /// Where to; none: anywhere.
    pub destination: Option<IpNet>,
}

/// How much may pass of an address outside, in kbit/s and kbit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BandwidthLimits {
    /// To the outside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress: Option<Limit>,
    /// From there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Limit>,
}
