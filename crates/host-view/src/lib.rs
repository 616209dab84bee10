//! What one host must realise, as one value: the contract of server and agent.
//!
//! In: nothing; these are the types that `host-feed` fills from the store and that `host-plan` reads. Out: a [`HostView`],
//! the [`HostViewDelta`] between two of them, the lines of the watch stream ([`WatchEvent`]) and what the agent answers
//! ([`HostReport`]). The view says *what* must be true on the host in API terms (networks, ports, groups, routers), never
//! *how* (no flows, no device names, no local VLANs): that is the planner's.
//!
//! Every part is a flat map keyed by the API's id, so that a change of one thing is one entry of a delta, however large
//! the host. No I/O, no clock.
//!
//! ```text
//! networks ── subnets            what the ports below stand on
//! ports                          bound to this host: instances, DHCP ports, router ports
//! remote_ports                   the same networks' ports elsewhere, and behind which tunnel endpoint (l2population)
//! security_groups, group_members rules of the groups in use here; addresses of the groups that rules refer to
//! dhcp, dhcp_clients             networks that this host serves with DHCP, and whom it may answer
//! metadata_clients               instances that may ask for metadata here
//! routers                        routers that live here
//! tunnel_peers                   endpoints of the other hosts
//! qos                            limits and marks of ports here
//! trunks                         parents here: their subports and tags
//! tap_services, tap_mirrors      ports here that are mirrored, and to where; ports here that copies come to
//! ```

mod delta;
mod report;
mod view;
mod watch;

pub use delta::{HostViewDelta, MapDelta};
pub use report::{AgentRole, HostDescription, HostReport, L3Mode, PortState, ReportAnswer, RouterState};
pub use view::{
    AddressPair, BandwidthLimits, ConntrackHelper, Dhcp, DhcpClient, Direction, Distributed, EtherType,
    ExtraDhcpOption, FixedIp, FloatingIp, Gateway, HostRoute, HostView, Limit, Limits, LocalIp, LocalIpMode, Log,
    LogEvent, MetadataClient, MeteringRule, Network, Port, PortForwarding, PortQos, Remote, RemotePort, Router,
    RuleMatch, SecurityGroup, SecurityGroupRule, Segment, Standby, Subnet, TapDirection, TapMirror, TapMirrorKind,
    TapService, Trunk, TunnelPeer, station_mac, station_prefix,
};
pub use watch::WatchEvent;
