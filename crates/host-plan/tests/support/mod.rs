//! The host of `shared/facts/flows`, state by state, as views; and a switch that only gives numbers to ports.
#![allow(dead_code)] // each test binary uses its part

pub mod real;

use host_plan::{BridgePort, Datapath, HostConfig, HostPlan, Interface, LocalState, TunnelEndpoint, plan};
use host_view::{
    AddressPair, Dhcp, DhcpClient, Direction, Distributed, EtherType, FixedIp, FloatingIp, Gateway, HostRoute,
    HostView, Network, Port, Remote, RemotePort, Router, RuleMatch, SecurityGroup, SecurityGroupRule, Segment, Subnet,
    TunnelPeer,
};
use net_types::{
    IpNet, MacAddr, NetworkId, NetworkType, PortId, PortRange, RouterId, SecurityGroupId, SecurityGroupRuleId,
    SubnetId, VlanId, Vni,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// An id of any kind from its text; short forms `7` stand for `00000007-0000-4000-8000-000000000000`.
pub fn id<T: std::str::FromStr<Err = net_types::ParseError>>(text: &str) -> T {
    let full = if text.len() == 36 { text.to_owned() } else { format!("{text:0>8}-0000-4000-8000-000000000000") };
    full.parse().unwrap()
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn net(text: &str) -> IpNet {
    text.parse().unwrap_or_else(|_| IpNet::from(ip(text)))
}

pub fn mac(text: &str) -> MacAddr {
    text.parse().unwrap()
}

pub const VXLAN_NET: &str = "a9620c4e-3d4e-4664-81ef-2543623b8fa6";
pub const VXLAN_SUBNET: &str = "80d8cf29-31b2-4f3d-915d-fe21ad974ad0";
pub const VLAN_NET: &str = "fb19ac43-e2fe-4a18-85ff-51c300f14a14";
pub const VLAN_SUBNET: &str = "34fcd5de-d2ab-4749-ae17-018ef5ad4876";
pub const EXT_NET: &str = "d7f1d9ea-acff-4bff-bc07-f5e5eaf5bef7";
pub const EXT_SUBNET: &str = "fde94e7f-3f9e-4307-b348-d35d32599492";
pub const WEB: &str = "c197fb02-ce8b-492e-bea7-faf57bf0993a";
pub const REMOTE: &str = "e381de1f-f4ff-4bdf-9a6d-8bb30bee3e55";
pub const G1: &str = "b3c9976f-4e17-4468-8504-e77012d0bcdb";
pub const G2: &str = "b433cbf7-b942-44ea-9c6a-4f8074c8e062";
pub const G3: &str = "3b9e7cdf-620e-42a7-838e-ac22c5516c55";
pub const G4: &str = "31cc4601-25ae-4d7f-99e8-d36fcb8134d7";
pub const DHCP_VXLAN: &str = "739c4cf2-0b00-4000-8000-000000000001";
pub const DHCP_VLAN: &str = "28fe4fe7-5600-4000-8000-000000000001";
pub const QR: &str = "4ff3a089-7600-4000-8000-000000000001";
pub const QG: &str = "3214e3a1-fe00-4000-8000-000000000001";
/// A second gateway's port.
pub const QG2: &str = "6214e3a1-fe00-4000-8000-000000000002";
pub const ROUTER: &str = "f4353a5f-0f21-40d0-9029-39c5aa7ad359";
/// A distributed router.
pub const DISTRIBUTED: &str = "f4353a5f-0f21-40d0-9029-00000000d15b";
pub const H2: &str = "8482d3d2-62de-40aa-8bcf-04e367592168";

/// One host: what it must realise and what it has.
#[derive(Debug, Clone)]
pub struct Host {
    pub view: HostView,
    pub config: HostConfig,
    pub state: LocalState,
}

/// A port under construction.
pub struct NewPort {
    pub id: PortId,
    pub port: Port,
}

impl NewPort {
    pub fn new(id_text: &str, network: &str, mac_text: &str, addresses: &[(&str, &str)]) -> Self {
        let fixed_ips =
            addresses.iter().map(|(subnet, address)| FixedIp { subnet: id(subnet), address: ip(address) }).collect();
        let port = Port {
            network: id(network),
            mac: mac(mac_text),
            fixed_ips,
            device_owner: "compute:nova".into(),
            device_id: format!("vm-{}", &id_text[..4.min(id_text.len())]),
            admin_state_up: true,
            port_security: true,
            security_groups: BTreeSet::new(),
            allowed_address_pairs: BTreeSet::new(),
        };
        Self { id: id(id_text), port }
    }

    pub fn group(mut self, group: &str) -> Self {
        self.port.security_groups.insert(id(group));
        self
    }

    pub fn pair(mut self, mac_text: &str, address: &str) -> Self {
        self.port.allowed_address_pairs.insert(AddressPair { mac: mac(mac_text), address: net(address) });
        self
    }

    pub fn unsecured(mut self) -> Self {
        self.port.port_security = false;
        self
    }

    pub fn owner(mut self, owner: &str) -> Self {
        self.port.device_owner = owner.into();
        self.unsecured()
    }
}

pub fn rule(direction: Direction, ethertype: EtherType) -> SecurityGroupRule {
    SecurityGroupRule { direction, ethertype, protocol: None, matching: RuleMatch::Any, remote: Remote::Any }
}

pub fn tcp(first: u16, last: u16, remote: Remote) -> SecurityGroupRule {
    let matching = RuleMatch::Ports(PortRange::new(first, last).unwrap());
    SecurityGroupRule { protocol: Some(6), matching, remote, ..rule(Direction::Ingress, EtherType::IPv4) }
}

/// A stateful group with these rules, and everything allowed outwards.
pub fn group(rules: impl IntoIterator<Item = SecurityGroupRule>) -> SecurityGroup {
    let out = [rule(Direction::Egress, EtherType::IPv4), rule(Direction::Egress, EtherType::IPv6)];
    let rules = out.into_iter().chain(rules).enumerate();
    let rules = rules.map(|(index, rule)| (id::<SecurityGroupRuleId>(&format!("{index:x}")), rule)).collect();
    SecurityGroup { stateful: true, rules }
}

impl Host {
    /// `01-empty`: physical network `phys` on br-phys, VXLAN from 10.77.0.1.
    pub fn empty() -> Self {
        let tunnel = TunnelEndpoint {
            local_ip: ip("10.77.0.1"),
            types: [NetworkType::Vxlan].into(),
            bridge: Some("br-under".into()),
            prefix_len: 24,
            mac: Some(mac("02:00:0a:4d:00:01")),
        };
        let config = HostConfig {
            bridge_mappings: [("phys".to_owned(), "br-phys".to_owned())].into(),
            tunnel: Some(tunnel),
            datapath: Datapath::Netdev,
            ..HostConfig::default()
        };
        let state = LocalState { bridges: ["br-phys".into(), "br-under".into()].into(), ..LocalState::default() };
        Self { view: HostView::default(), config, state }
    }

    /// `03`: a port without security on a VXLAN network, and that network's DHCP port.
    pub fn vxlan_port_without_security() -> Self {
        let mut host = Self::empty();
        host.network(VXLAN_NET, Segment::Vxlan { vni: Vni::new(1000).unwrap() }, 1450);
        host.subnet(VXLAN_SUBNET, VXLAN_NET, "10.10.0.0/16", Some("10.10.0.1"));
        let subnet = host.view.subnets.get_mut(&id(VXLAN_SUBNET)).unwrap();
        subnet.dns_nameservers = vec![ip("198.51.100.53")];
        subnet.host_routes = vec![HostRoute { destination: net("192.0.2.128/25"), nexthop: ip("10.10.0.1") }];
        host.plug(NewPort::new(G1, VXLAN_NET, "fa:16:3e:c3:ac:c9", &[(VXLAN_SUBNET, "10.10.3.181")]).unsecured());
        host.settle();
        host.dhcp(DHCP_VXLAN, VXLAN_NET, "fa:16:3e:6b:ae:46", &[(VXLAN_SUBNET, "10.10.0.2")], &["10.10.0.1"]);
        host.settle();
        host
    }

    /// `04`: a port in group "web"; the DHCP port of a VLAN network.
    pub fn vxlan_port_with_group() -> Self {
        let mut host = Self::vxlan_port_without_security();
        host.network(
            VLAN_NET,
            Segment::Vlan { physical_network: "phys".into(), vlan: VlanId::new(101).unwrap() },
            1500,
        );
        host.subnet(VLAN_SUBNET, VLAN_NET, "10.20.0.0/24", Some("10.20.0.1"));
        host.dhcp(DHCP_VLAN, VLAN_NET, "fa:16:3e:71:f1:e8", &[(VLAN_SUBNET, "10.20.0.2")], &[]);
        host.settle();
        let icmp = SecurityGroupRule { protocol: Some(1), ..rule(Direction::Ingress, EtherType::IPv4) };
        let web = [tcp(22, 22, Remote::Any), icmp, tcp(8000, 8010, Remote::Group(id(REMOTE)))];
        host.view.security_groups.insert(id(WEB), group(web));
        host.view.group_members.insert(id(REMOTE), BTreeSet::new());
        host.plug(NewPort::new(G2, VXLAN_NET, "fa:16:3e:51:ee:cd", &[(VXLAN_SUBNET, "10.10.2.144")]).group(WEB));
        host.settle();
        host
    }

    /// `05`: a member of the remote group.
    pub fn remote_group_member() -> Self {
        let mut host = Self::vxlan_port_with_group();
        host.view.security_groups.insert(id(REMOTE), group([]));
        host.view.group_members.insert(id(REMOTE), [net("10.10.2.71")].into());
        host.plug(NewPort::new(G3, VXLAN_NET, "fa:16:3e:d3:9e:09", &[(VXLAN_SUBNET, "10.10.2.71")]).group(REMOTE));
        host.settle();
        host
    }

    /// `06`: a port on the VLAN network with an allowed address pair.
    pub fn vlan_port_with_address_pair() -> Self {
        let mut host = Self::remote_group_member();
        let port = NewPort::new(G4, VLAN_NET, "fa:16:3e:33:a0:a6", &[(VLAN_SUBNET, "10.20.0.35")]).group(WEB);
        host.plug(port.pair("fa:16:3e:33:a0:a6", "10.20.0.99"));
        host.settle();
        host
    }

    /// `07`: a router with a flat external network and a floating IP for the port in "web".
    pub fn router_with_floating_ip() -> Self {
        let mut host = Self::vlan_port_with_address_pair();
        host.network(EXT_NET, Segment::Flat { physical_network: "phys".into() }, 1500);
        host.subnet(EXT_SUBNET, EXT_NET, "198.51.100.0/24", Some("198.51.100.1"));
        host.port(
            NewPort::new(QR, VXLAN_NET, "fa:16:3e:1a:28:4f", &[(VXLAN_SUBNET, "10.10.0.1")])
                .owner("network:router_interface"),
        );
        let router = Router { admin_state_up: true, interfaces: [id(QR)].into(), ..Router::default() };
        host.view.routers.insert(id::<RouterId>(ROUTER), router);
        host.settle();
        host.port(
            NewPort::new(QG, EXT_NET, "fa:16:3e:9c:eb:28", &[(EXT_SUBNET, "198.51.100.181")])
                .owner("network:router_gateway"),
        );
        let router = host.view.routers.get_mut(&id(ROUTER)).unwrap();
        router.gateway = Some(Gateway { port: id(QG), enable_snat: true });
        let floating = FloatingIp { floating_address: ip("198.51.100.238"), fixed_address: ip("10.10.2.144") };
        router.floating_ips.insert(id("3b5f7d0f-1ade-4db3-a805-3b8a05d41c6e"), floating);
        host.settle();
        host
    }

    /// A second gateway of that router on another external network, with a floating IP of it for 10.30.0.5.
    pub fn add_gateway(&mut self) {
        self.network("31", Segment::Flat { physical_network: "phys2".into() }, 1500);
        self.subnet("531", "31", "203.0.113.0/24", Some("203.0.113.1"));
        self.port(
            NewPort::new(QG2, "31", "fa:16:3e:31:00:01", &[("531", "203.0.113.181")]).owner("network:router_gateway"),
        );
        let router = self.view.routers.get_mut(&id(ROUTER)).unwrap();
        router.further_gateways.push(Gateway { port: id(QG2), enable_snat: true });
        let floating = FloatingIp { floating_address: ip("203.0.113.238"), fixed_address: ip("10.30.0.5") };
        router.floating_ips.insert(id("3b5f7d0f-1ade-4db3-a805-000000000002"), floating);
        self.settle();
    }

    /// A distributed router beside the other one, between a VLAN network and a VXLAN network of both families: the copy of a
    /// host with ports, or the central host's.
    pub fn distributed(central: bool) -> Self {
        let mut host = Self::second_host();
        host.network("41", Segment::Vxlan { vni: Vni::new(1041).unwrap() }, 1450);
        host.subnet("541", "41", "10.41.0.0/24", Some("10.41.0.1"));
        host.subnet("641", "41", "2001:db8:41::/64", Some("2001:db8:41::1"));
        host.plug(
            NewPort::new("a41", "41", "fa:16:3e:41:00:05", &[("541", "10.41.0.5"), ("641", "2001:db8:41::5")])
                .group(WEB),
        );
        let interfaces = [
            NewPort::new("d1", VLAN_NET, "fa:16:3e:d1:00:01", &[(VLAN_SUBNET, "10.20.0.1")]),
            NewPort::new("d2", "41", "fa:16:3e:d2:00:01", &[("541", "10.41.0.1"), ("641", "2001:db8:41::1")]),
        ];
        for interface in interfaces {
            host.port(interface.owner("network:router_interface"));
        }
        let part = Distributed {
            station: 0xabcd,
            central,
            central_addresses: if central {
                [].into()
            } else {
                ["10.20.0.7", "10.41.0.7", "2001:db8:41::7"].map(ip).into()
            },
        };
        let mut router = Router {
            admin_state_up: true,
            interfaces: ["d1", "d2"].map(id).into(),
            distributed: Some(part),
            ..Router::default()
        };
        if central {
            router.snat_ports = ["c1", "c2", "c3"].map(id).into();
            let ports = [
                NewPort::new("c1", VLAN_NET, "fa:16:3e:c1:00:07", &[(VLAN_SUBNET, "10.20.0.7")]),
                NewPort::new("c2", "41", "fa:16:3e:c2:00:07", &[("541", "10.41.0.7")]),
                NewPort::new("c3", "41", "fa:16:3e:c3:00:07", &[("641", "2001:db8:41::7")]),
            ];
            for port in ports {
                host.port(port.owner("network:router_centralized_snat"));
            }
            host.port(
                NewPort::new("d9", EXT_NET, "fa:16:3e:d9:00:01", &[(EXT_SUBNET, "198.51.100.182")])
                    .owner("network:router_gateway"),
            );
            router.gateway = Some(Gateway { port: id("d9"), enable_snat: true });
        }
        if !central {
            // The instance has a floating IP.
            let own = host_view::station_mac(mac("fa:16:3e:d9:00:01"), 0xabcd).to_string();
            host.port(NewPort::new("d9", EXT_NET, &own, &[]).owner("network:router_gateway"));
            router.gateway = Some(Gateway { port: id("d9"), enable_snat: true });
            let floating = FloatingIp { floating_address: ip("198.51.100.240"), fixed_address: ip("10.41.0.5") };
            router.floating_ips.insert(id("3b5f7d0f-1ade-4db3-a805-00000000d15b"), floating);
        }
        host.view.routers.insert(id::<RouterId>(DISTRIBUTED), router);
        for (port, network, mac_text, address) in
            [("f1", VLAN_NET, "fa:16:3e:20:00:06", "10.20.0.6"), ("f2", "41", "fa:16:3e:41:00:06", "10.41.0.6")]
        {
            let remote = RemotePort {
                network: id(network),
                host: "peer2".into(),
                mac: mac(mac_text),
                addresses: [ip(address)].into(),
                may_be_on: [].into(),
            };
            host.view.remote_ports.insert(id(port), remote);
        }
        let copies = RemotePort {
            network: id("41"),
            host: "peer2".into(),
            mac: mac("fa:16:3e:d2:00:01"),
            addresses: ["10.41.0.1", "2001:db8:41::1"].map(ip).into(),
            may_be_on: ["peer2".to_owned()].into(),
        };
        host.view.remote_ports.insert(id("d2"), copies);
        host.settle();
        host
    }

    /// `08`: another host with a port on the VXLAN network, in the remote group.
    pub fn second_host() -> Self {
        let mut host = Self::router_with_floating_ip();
        let peer = TunnelPeer {
            address: ip("10.77.0.2"),
            mac: Some(mac("02:00:0a:4d:00:02")),
            types: [NetworkType::Vxlan].into(),
            watched: false,
        };
        host.view.tunnel_peers.insert("peer2".into(), peer);
        let remote = RemotePort {
            network: id(VXLAN_NET),
            host: "peer2".into(),
            mac: mac("fa:16:3e:2e:29:90"),
            addresses: [ip("10.10.1.5")].into(),
            may_be_on: [].into(),
        };
        host.view.remote_ports.insert(id(H2), remote);
        host.view.group_members.entry(id(REMOTE)).or_default().insert(net("10.10.1.5"));
        host.settle();
        host
    }

    pub fn network(&mut self, network: &str, segment: Segment, mtu: u16) {
        let network_value = Network { segment, mtu, admin_state_up: true, external: network == EXT_NET };
        self.view.networks.insert(id::<NetworkId>(network), network_value);
    }

    pub fn subnet(&mut self, subnet: &str, network: &str, cidr: &str, gateway: Option<&str>) {
        let value = Subnet {
            network: id(network),
            cidr: net(cidr),
            gateway: gateway.map(ip),
            enable_dhcp: true,
            dns_nameservers: vec![],
            host_routes: vec![],
            ipv6_address_mode: None,
            ipv6_ra_mode: None,
            address_scope: None,
        };
        self.view.subnets.insert(id::<SubnetId>(subnet), value);
    }

    /// Adds a port that DHCP may answer.
    pub fn port(&mut self, new: NewPort) {
        if !new.port.device_owner.starts_with("network:dhcp") {
            let client = DhcpClient {
                network: new.port.network,
                mac: new.port.mac,
                fixed_ips: new.port.fixed_ips.clone(),
                hostname: None,
                options: BTreeSet::new(),
            };
            self.view.dhcp_clients.insert(new.id, client);
        }
        self.view.ports.insert(new.id, new.port);
    }

    /// Adds a port whose device is plugged.
    pub fn plug(&mut self, new: NewPort) {
        let name = host_plan::names::tap(new.id);
        let mac = Some(new.port.mac);
        let interface = Interface {
            bridge: "br-int".into(),
            ofport: Some(self.next_number("br-int")),
            iface_id: Some(new.id),
            attached_mac: mac,
            ..Interface::default()
        };
        self.port(new);
        self.state.interfaces.insert(name, interface);
    }

    pub fn dhcp(&mut self, port: &str, network: &str, mac: &str, addresses: &[(&str, &str)], routers: &[&str]) {
        self.port(NewPort::new(port, network, mac, addresses).owner("network:dhcp"));
        let dhcp = Dhcp {
            port: id(port),
            domain: "openstacklocal".into(),
            lease_seconds: 86400,
            routers: routers.iter().map(|router| ip(router)).collect(),
            servers: BTreeSet::new(),
        };
        self.view.dhcp.insert(id(network), dhcp);
    }

    fn next_number(&self, bridge: &str) -> u32 {
        let known = self.state.interfaces.values().filter(|interface| interface.bridge == bridge);
        known.filter_map(|interface| interface.ofport).max().unwrap_or(0) + 1
    }

    pub fn plan(&self) -> HostPlan {
        plan(&self.view, &self.config, &self.state)
    }

    /// Plans and gives numbers to planned ports until the plan stays the same, as agent and switch do.
    pub fn settle(&mut self) -> HostPlan {
        for _ in 0..6 {
            let plan = self.plan();
            let before = self.state.clone();
            self.take(&plan);
            if self.state == before {
                return plan;
            }
        }
        panic!("the plan does not settle");
    }

    fn take(&mut self, plan: &HostPlan) {
        self.state.local_vlans = plan.local_vlans.clone();
        self.state.bridges.extend(plan.bridges.keys().cloned());
        for (bridge, value) in &plan.bridges {
            for (name, port) in &value.ports {
                if !self.state.interfaces.contains_key(name) {
                    let ofport = Some(self.next_number(bridge));
                    let BridgePort { external_ids, .. } = port;
                    let iface_id = external_ids.get("iface-id").map(|text| text.parse().unwrap());
                    let attached_mac = external_ids.get("attached-mac").map(|text| text.parse().unwrap());
                    let interface =
                        Interface { bridge: bridge.clone(), ofport, iface_id, attached_mac, ..Interface::default() };
                    self.state.interfaces.insert(name.clone(), interface);
                }
            }
        }
    }
}

/// The flows of a bridge in ovs-ofctl's notation with port names, as `shared/facts/flows` has them.
pub fn flows_text(plan: &HostPlan, state: &LocalState, bridge: &str) -> String {
    let names: BTreeMap<u32, String> = state
        .interfaces
        .iter()
        .filter(|(_, interface)| interface.bridge == bridge)
        .filter_map(|(name, interface)| Some((interface.ofport?, name.clone())))
        .collect();
    let name = |port: openflow::PortNo| names.get(&port.0).cloned();
    let flows = plan.flows.get(bridge).cloned().unwrap_or_default();
    let without_cookie = flows.into_iter().map(|flow| flow.cookie(0));
    without_cookie.map(|flow| format!("{}\n", openflow::text::print_flow(&flow, &name))).collect()
}

pub fn groups(ids: &[&str]) -> BTreeSet<SecurityGroupId> {
    ids.iter().map(|text| id(text)).collect()
}
