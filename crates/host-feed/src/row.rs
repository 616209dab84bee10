//! Rows as the feed needs them: typed, without what hosts do not care about.

use host_view::{
    ConntrackHelper, ExtraDhcpOption, Gateway, HostRoute, LocalIp, LogEvent, MeteringRule, Network, Port,
    PortForwarding, PortQos, SecurityGroup, Segment, Subnet, TapDirection, TapMirror, Trunk,
};
use net_types::{
    FloatingIpId, IpNet, MacAddr, MeteringLabelId, NetworkId, NetworkType, PortForwardingId, PortId, RouterId,
    SecurityGroupId, SubnetId, TrunkId,
};
use network_model::device_owner;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use uuid::Uuid;

/// A port's row and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortRow {
    /// What its host is told of it.
    pub port: Port,
    /// The host that it is successfully bound to; none: unbound, or the binding failed.
    pub host: Option<String>,
    /// Hosts that it may move to (live migration): they wire its device before it is theirs.
    pub moving_to: BTreeSet<String>,
    /// Those of them that are known to have wired it.
    pub wired_on: BTreeSet<String>,
    /// `project_id`.
    pub project: String,
    /// `dns_name`, when it has one.
    pub hostname: Option<String>,
    /// `extra_dhcp_opts`.
    pub dhcp_options: BTreeSet<ExtraDhcpOption>,
    /// Whether `status` is ACTIVE.
    pub active: bool,
    /// `qos_policy_id`, its own.
    pub qos_policy: Option<Uuid>,
}

/// A port's row is the port, and more.
impl std::ops::Deref for PortRow {
    type Target = Port;
    fn deref(&self) -> &Port {
        &self.port
    }
}

impl PortRow {
    /// The router that it is a port of, if it is one's.
    pub fn router(&self) -> Option<RouterId> {
        let owner = &self.device_owner;
        let is_routers = device_owner::is_router_interface_or_snat(owner) || owner == device_owner::ROUTER_GATEWAY;
        if is_routers { self.device_id.parse().ok() } else { None }
    }

    /// Hosts that realise it.
    pub fn hosts(&self) -> impl Iterator<Item = &String> {
        self.host.iter().chain(&self.moving_to)
    }

    /// Whether what decides about hosts is the same; status is not.
    pub fn realises_like(&self, other: &Self) -> bool {
        Self { active: other.active, wired_on: other.wired_on.clone(), ..self.clone() } == *other
    }
}

/// A router's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouterRow {
    /// `admin_state_up`.
    pub admin_state_up: bool,
    /// `distributed`.
    pub distributed: bool,
    /// Its gateways, the first one first.
    pub gateways: Vec<Gateway>,
    /// `enable_default_route_ecmp`.
    pub default_route_ecmp: bool,
    /// Whose it is.
    pub project: String,
    /// Extra routes.
    pub routes: BTreeSet<HostRoute>,
    /// `ndp_proxies`, while `enable_ndp_proxy`.
    pub ndp_proxies: Option<BTreeSet<IpAddr>>,
    /// `qos_policy_id` of its first gateway.
    pub gateway_policy: Option<Uuid>,
    /// `conntrack_helpers`.
    pub conntrack_helpers: BTreeSet<ConntrackHelper>,
}

/// A metering label's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeteringLabelRow {
    /// Whose routers it measures.
    pub project: String,
    /// It measures everybody's.
    pub shared: bool,
    /// What it counts.
    pub rules: BTreeSet<MeteringRule>,
}

impl MeteringLabelRow {
    /// Whether it measures a router.
    pub fn measures(&self, router: &RouterRow) -> bool {
        self.shared || self.project == router.project
    }
}

/// A floating IP's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FloatingIpRow {
    /// The outside address.
    pub floating_address: IpAddr,
    /// The inside address, when associated.
    pub fixed_address: Option<IpAddr>,
    /// The port that has that address.
    pub port: Option<PortId>,
    /// The router that realises it, when associated.
    pub router: Option<RouterId>,
    /// `qos_policy_id`.
    pub policy: Option<Uuid>,
    /// Where single ports of it lead.
    pub forwardings: BTreeMap<PortForwardingId, PortForwarding>,
    /// Whether `status` is ACTIVE.
    pub active: bool,
}

/// A host with an L2 agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRow {
    /// Its tunnel endpoint.
    pub tunnel_address: Option<IpAddr>,
    /// The MAC behind it.
    pub endpoint_mac: Option<MacAddr>,
    /// Tunnel types that it takes part in.
    pub tunnel_types: BTreeSet<NetworkType>,
    /// Physical networks that it has bridges to.
    pub physical_networks: BTreeSet<String>,
    /// Whether its L3 agent has distributed routers for the ports of this host (`agent_mode` dvr or dvr_snat).
    pub takes_copies: bool,
}

impl HostRow {
    /// Whether it can take part in a segment, as port binding decides it.
    pub fn reaches(&self, segment: &Segment) -> bool {
        match segment {
            Segment::Local => true,
            Segment::Flat { physical_network } | Segment::Vlan { physical_network, .. } => {
                self.physical_networks.contains(physical_network)
            }
            Segment::Vxlan { .. } => self.tunnel_types.contains(&NetworkType::Vxlan),
            Segment::Geneve { .. } => self.tunnel_types.contains(&NetworkType::Geneve),
            Segment::Gre { .. } => self.tunnel_types.contains(&NetworkType::Gre),
        }
    }
}

/// A network's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkRow {
    /// As most hosts are told of it: with its first segment.
    pub network: Network,
    /// Its further segments, in order.
    pub further: Vec<Segment>,
    /// `qos_policy_id`: of ports that have none of their own.
    pub qos_policy: Option<Uuid>,
}

impl NetworkRow {
    /// The segment by which a host takes part: the first that it reaches.
    pub fn segment_of(&self, host: Option<&HostRow>) -> &Segment {
        let all = std::iter::once(&self.network.segment).chain(&self.further);
        let reached = |segment: &&Segment| host.is_some_and(|host| host.reaches(segment));
        // With one segment there is no choice; what cannot be bound there is not bound at all.
        if self.further.is_empty() {
            return &self.network.segment;
        }
        all.into_iter().find(reached).unwrap_or(&self.network.segment)
    }
}

/// A trunk's row and its subports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrunkRow {
    /// What its host is told of it.
    pub trunk: Trunk,
    /// `status`.
    pub status: String,
}

/// A tap service with its flows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TapServiceRow {
    /// The port that copies go to.
    pub port: PortId,
    /// The key that they bear in tunnels.
    pub key: u32,
    /// The ports that are mirrored to it.
    pub sources: BTreeMap<PortId, TapDirection>,
}

impl TapServiceRow {
    /// Every port that it is about.
    pub fn ports(&self) -> impl Iterator<Item = &PortId> {
        self.sources.keys().chain([&self.port])
    }
}

/// What a log is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogScope {
    /// One port (`target_id`).
    Port(PortId),
    /// The ports in a group (`resource_id`).
    Group(SecurityGroupId),
    /// Every port of a project.
    Project(String),
}

/// A log that is enabled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// `project_id`.
    pub project: String,
    /// `event`.
    pub event: LogEvent,
    /// `resource_id`.
    pub group: Option<SecurityGroupId>,
    /// `target_id`.
    pub target: Option<PortId>,
}

impl LogRow {
    /// The narrowest that it says; its port must be in its group as well.
    pub fn scope(&self) -> LogScope {
        match (self.target, self.group) {
            (Some(port), _) => LogScope::Port(port),
            (None, Some(group)) => LogScope::Group(group),
            (None, None) => LogScope::Project(self.project.clone()),
        }
    }
}

/// The new state of one row (and of the rows that belong to it); none: it is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowChange {
    /// A network.
    Network(NetworkId, Option<NetworkRow>),
    /// A subnet.
    Subnet(SubnetId, Option<Subnet>),
    /// A port.
    Port(PortId, Option<PortRow>),
    /// A security group with its rules.
    Group(SecurityGroupId, Option<SecurityGroup>),
    /// Addresses of an address group. Rules refer to it as to a remote group, and so do hosts: ids of both never clash.
    AddressGroup(SecurityGroupId, Option<BTreeSet<IpNet>>),
    /// A router.
    Router(RouterId, Option<RouterRow>),
    /// A floating IP.
    FloatingIp(FloatingIpId, Option<FloatingIpRow>),
    /// A QoS policy with its rules.
    QosPolicy(Uuid, Option<PortQos>),
    /// A metering label with its rules.
    MeteringLabel(MeteringLabelId, Option<MeteringLabelRow>),
    /// A trunk with its subports.
    Trunk(TrunkId, Option<TrunkRow>),
    /// A tap service with its flows.
    TapService(Uuid, Option<TapServiceRow>),
    /// A tap mirror.
    TapMirror(Uuid, Option<TapMirror>),
    /// A local IP with all ports that it leads to, on whatever host they are.
    LocalIp(Uuid, Option<LocalIp>),
    /// A log; none: it is gone, or not enabled.
    Log(Uuid, Option<LogRow>),
    /// A host.
    Host(String, Option<HostRow>),
    /// The hosts whose DHCP agents serve a network.
    DhcpHosts(NetworkId, BTreeSet<String>),
    /// The hosts that a router lives on.
    RouterHosts(RouterId, RouterHosts),
}

/// The hosts of a router.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RouterHosts {
    /// Where it is active, as far as the server knows; of a router that is not highly available, where it is.
    pub active: BTreeSet<String>,
    /// All hosts of a highly available one, the one to be preferred first.
    pub candidates: Vec<String>,
}
