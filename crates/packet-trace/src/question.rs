//! A question in the API's terms: can this port reach that address? Becomes a packet, and the answer names ports and rules.

use crate::room::Neighbours;
use crate::{Packet, Step, Trace};
use host_plan::{FlowRules, HostPlan, Interface, LocalState};
use host_view::{EtherType, HostView, Port};
use net_types::{MacAddr, NetworkId, PortId, SecurityGroupRuleId, VlanId};
use openflow::{Field, ip_proto};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Source port of packets that somebody asks about.
const SOURCE_PORT: u16 = 40000;

/// Whether a port may begin a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The port of this host that begins it.
    pub from: PortId,
    /// IP protocol number.
    pub protocol: u8,
    /// With whom.
    pub to: IpAddr,
    /// Destination port, for protocols that have ports.
    pub port: u16,
}

impl Question {
    /// The first packet; why there can be none.
    pub fn packet(&self, view: &HostView) -> Result<Packet, String> {
        let port = view.ports.get(&self.from).ok_or_else(|| format!("port {} is not on this host", self.from))?;
        let family = EtherType::of(&self.to);
        let own = port.fixed_ips.iter().find(|fixed| EtherType::of(&fixed.address) == family);
        let own = own.ok_or_else(|| format!("port {} has no address of the family of {}", self.from, self.to))?;
        let subnets = || port.fixed_ips.iter().filter_map(|fixed| view.subnets.get(&fixed.subnet));
        let to = if subnets().any(|subnet| subnet.cidr.contains(&self.to)) {
            who_has(view, port.network, self.to)
                .ok_or_else(|| format!("nobody who is known on this host has {} on the port's network", self.to))?
        } else {
            let gateway = view.subnets.get(&own.subnet).and_then(|subnet| subnet.gateway);
            let gateway =
                gateway.ok_or_else(|| format!("the port's subnet has no gateway that leads to {}", self.to))?;
            who_has(view, port.network, gateway)
                .ok_or_else(|| format!("nobody who is known on this host has the gateway's address {gateway}"))?
        };
        let (ethertype, source, target) = match family {
            EtherType::IPv4 => ("ip", "nw_src", "nw_dst"),
            EtherType::IPv6 => ("ipv6", "ipv6_src", "ipv6_dst"),
        };
        let rest = match self.protocol {
            ip_proto::TCP => format!(",tcp_src={SOURCE_PORT},tcp_dst={}", self.port),
            ip_proto::UDP => format!(",udp_src={SOURCE_PORT},udp_dst={}", self.port),
            ip_proto::SCTP => format!(",sctp_src={SOURCE_PORT},sctp_dst={}", self.port),
            ip_proto::ICMP => ",icmp_type=8,icmp_code=0".to_owned(),
            ip_proto::ICMPV6 => ",icmpv6_type=128,icmpv6_code=0".to_owned(),
            _ => String::new(),
        };
        let (mac, address, protocol) = (port.mac, own.address, self.protocol);
        let text = format!(
            "{ethertype},dl_src={mac},dl_dst={to},{source}={address},{target}={},nw_proto={protocol},nw_ttl=64{rest}",
            self.to
        );
        Packet::parse(&text).map_err(|error| error.to_string())
    }
}

/// Where a port's packets come into the switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entrance {
    /// The bridge.
    pub bridge: String,
    /// The device.
    pub device: String,
    /// The tag that they bear there, if the port is on a trunk.
    pub tag: Option<VlanId>,
}

impl Entrance {
    /// Of a port; none: it is not plugged here.
    pub fn of(port: PortId, view: &HostView, state: &LocalState) -> Option<Self> {
        let plugged = |is_here: &dyn Fn(&Interface) -> bool, tag| {
            let (device, known) = state.interfaces.iter().find(|(_, known)| is_here(known))?;
            Some(Self { bridge: known.bridge.clone(), device: device.clone(), tag })
        };
        // Frames of a trunk's ports come by the parent's device, where the trunk's bridge has it.
        let on_trunk = view.trunks.iter().find_map(|(id, trunk)| {
            let tag = trunk.subports.get(&port).copied();
            let here = |known: &Interface| known.bridge == id.bridge() && known.iface_id == Some(trunk.parent);
            (trunk.parent == port || tag.is_some()).then(|| plugged(&here, tag)).flatten()
        });
        on_trunk.or_else(|| plugged(&|known| known.iface_id == Some(port), None))
    }

    /// The packet as it comes in.
    pub fn packet(&self, packet: &Packet) -> Packet {
        let mut packet = packet.clone();
        if let Some(tag) = self.tag {
            packet.push_tag();
            packet.set(Field::VlanTci, packet.get(Field::VlanTci) | u128::from(tag.get()));
        }
        packet
    }
}

/// The MAC address behind an address of a network.
fn who_has(view: &HostView, network: NetworkId, address: IpAddr) -> Option<MacAddr> {
    let has = |port: &&Port| port.network == network && port.fixed_ips.iter().any(|fixed| fixed.address == address);
    let here = view.ports.values().find(has).map(|port| port.mac);
    let elsewhere = || {
        let known = view.remote_ports.values();
        known.filter(|port| port.network == network).find(|port| port.addresses.contains(&address)).map(|port| port.mac)
    };
    // Known from DHCP although the network has no tunnels.
    let client = || {
        let clients = view.dhcp_clients.values().filter(|client| client.network == network);
        let mut known = clients.filter(|client| client.fixed_ips.iter().any(|fixed| fixed.address == address));
        known.next().map(|client| client.mac)
    };
    here.or_else(elsewhere).or_else(client)
}

/// Who answers for addresses on the networks behind the devices of a plan's namespaces.
pub fn neighbours<'n>(view: &'n HostView, plan: &'n HostPlan) -> Box<Neighbours<'n>> {
    Box::new(move |device, address| {
        let port = plan.namespaces.values().find_map(|room| room.devices.get(device))?.port;
        who_has(view, view.ports.get(&port)?.network, address)
    })
}

/// The security group rules that let a packet pass, in the order in which they were asked.
pub fn rules_met(trace: &Trace<'_>, rules: &FlowRules) -> Vec<BTreeSet<SecurityGroupRuleId>> {
    let behind = |step: &Step<'_>| match step {
        Step::Flow { flow, conjunction, .. } => {
            let clauses = conjunction.iter().flat_map(|(_, clauses)| clauses).copied();
            let ids: BTreeSet<_> = std::iter::once(*flow)
                .chain(clauses)
                .filter_map(|flow| rules.get(&(flow.table, flow.matches.clone())))
                .flatten()
                .copied()
                .collect();
            (!ids.is_empty()).then_some(ids)
        }
        _ => None,
    };
    trace.steps.iter().filter_map(behind).collect()
}
