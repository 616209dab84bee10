//! Views, piece by piece.

use host_view::{
    Dhcp, DhcpClient, Direction, EtherType, FixedIp, Gateway, HostView, Network, Port, Remote, Router, RuleMatch,
    SecurityGroup, SecurityGroupRule, Segment, Subnet, TunnelPeer,
};
use net_types::{MacAddr, NetworkId, NetworkType, PortId, RouterId, SecurityGroupId, SubnetId, Vni};
use std::net::IpAddr;
use uuid::Uuid;

/// An id that is as random as the API's.
pub fn id<T: From<Uuid>>() -> T {
    Uuid::new_v4().into()
}

pub fn mac(last: u8) -> MacAddr {
    MacAddr([0xfa, 0x16, 0x3e, 0, 0, last])
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A network and its only subnet.
#[derive(Debug, Clone, Copy)]
pub struct Net {
    pub network: NetworkId,
    pub subnet: SubnetId,
}

/// Adds a network with a subnet.
pub fn add_network(view: &mut HostView, segment: Segment, cidr: &str, gateway: Option<&str>) -> Net {
    let net = Net { network: id(), subnet: id() };
    let external = matches!(segment, Segment::Flat { .. });
    view.networks.insert(net.network, Network { segment, mtu: 1400, admin_state_up: true, external });
    let subnet = Subnet {
        network: net.network,
        cidr: cidr.parse().unwrap(),
        gateway: gateway.map(ip),
        enable_dhcp: true,
        dns_nameservers: vec![],
        host_routes: vec![],
        ipv6_address_mode: None,
        ipv6_ra_mode: None,
        address_scope: None,
    };
    view.subnets.insert(net.subnet, subnet);
    net
}

/// Adds a port without port security.
pub fn add_port(view: &mut HostView, net: Net, owner: &str, mac: MacAddr, address: &str) -> PortId {
    let port = id();
    let value = Port {
        network: net.network,
        mac,
        fixed_ips: vec![FixedIp { subnet: net.subnet, address: ip(address) }],
        device_owner: owner.to_owned(),
        device_id: String::new(),
        admin_state_up: true,
        port_security: false,
        security_groups: [].into(),
        allowed_address_pairs: [].into(),
    };
    view.ports.insert(port, value);
    port
}

/// Adds a port in a group that lets everything out, and in what the rule says.
pub fn add_secured_port(view: &mut HostView, net: Net, mac: MacAddr, address: &str, allow_icmp: bool) -> PortId {
    let port = add_port(view, net, "compute:nova", mac, address);
    let group: SecurityGroupId = id();
    let rule = |direction, protocol| SecurityGroupRule {
        direction,
        ethertype: EtherType::IPv4,
        protocol,
        matching: RuleMatch::Any,
        remote: Remote::Any,
    };
    let mut rules = vec![rule(Direction::Egress, None)];
    if allow_icmp {
        rules.push(rule(Direction::Ingress, Some(1)));
    }
    let rules = rules.into_iter().map(|rule| (id(), rule)).collect();
    view.security_groups.insert(group, SecurityGroup { stateful: true, rules });
    let value = view.ports.get_mut(&port).unwrap();
    value.port_security = true;
    value.security_groups.insert(group);
    port
}

/// Serves a network with DHCP; its port.
pub fn serve_dhcp(view: &mut HostView, net: Net, mac: MacAddr, address: &str) -> PortId {
    let port = add_port(view, net, "network:dhcp", mac, address);
    let dhcp =
        Dhcp { port, domain: "openstacklocal".to_owned(), lease_seconds: 600, routers: [].into(), servers: [].into() };
    view.dhcp.insert(net.network, dhcp);
    port
}

/// What [`add_router`] has added.
#[derive(Debug, Clone, Copy)]
pub struct Routed {
    /// The network inside.
    pub net: Net,
    pub router: RouterId,
    /// The port of its DHCP server.
    pub dhcp: PortId,
    /// The router's port inside.
    pub inner: PortId,
    /// Its gateway's.
    pub outer: PortId,
}

impl Routed {
    /// The ports that the agent makes.
    pub fn ports(&self) -> [PortId; 3] {
        [self.dhcp, self.inner, self.outer]
    }
}

/// Adds a router from 10.0.0.0/24, tunnelled to another host and served with DHCP, to 203.0.113.0/24 on `physnet1`.
pub fn add_router(view: &mut HostView) -> Routed {
    let vni = Vni::new(77).unwrap();
    let net = add_network(view, Segment::Vxlan { vni }, "10.0.0.0/24", Some("10.0.0.1"));
    let flat = Segment::Flat { physical_network: "physnet1".to_owned() };
    let outside = add_network(view, flat, "203.0.113.0/24", Some("203.0.113.1"));
    let dhcp = serve_dhcp(view, net, mac(0xd), "10.0.0.2");
    let inner = add_port(view, net, "network:router_interface", mac(0xa), "10.0.0.1");
    let outer = add_port(view, outside, "network:router_gateway", mac(0xb), "203.0.113.10");
    let value = Router {
        admin_state_up: true,
        interfaces: [inner].into(),
        gateway: Some(Gateway { port: outer, enable_snat: true }),
        ..Router::default()
    };
    let router = id();
    view.routers.insert(router, value);
    let types = [NetworkType::Vxlan].into();
    let peer = TunnelPeer { address: ip("192.0.2.12"), mac: Some(mac(0x12)), types, watched: false };
    view.tunnel_peers.insert("other".to_owned(), peer);
    Routed { net, router, dhcp, inner, outer }
}

/// Lets DHCP answer a port.
pub fn add_client(view: &mut HostView, port: PortId) {
    let value = &view.ports[&port];
    let client = DhcpClient {
        network: value.network,
        mac: value.mac,
        fixed_ips: value.fixed_ips.clone(),
        hostname: None,
        options: [].into(),
    };
    view.dhcp_clients.insert(port, client);
}
