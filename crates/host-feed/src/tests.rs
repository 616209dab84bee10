//! The whole feed on a real store: hosts that watch and report as agents do.

use crate::hub::Hub;
use crate::{Feed, FeedConfig};
use host_view::{
    AgentRole, Direction, HostDescription, HostReport, HostView, L3Mode, PortState, Remote, RuleMatch, WatchEvent,
};
use net_types::{NetworkId, NetworkType, PortId, SecurityGroupId};
use network_store::network::{self, NetworkCreate};
use network_store::port::bindings::{self, BindingCreate};
use network_store::port::{self, PortCreate, PortUpdate};
use network_store::subnet::{self, SubnetCreate};
use network_store::{NetworkConfig, NetworkError, NetworkOptions, Work, address_group, security_group_rule};
use serde_json::{Map, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use store::testing::TestDatabase;
use store::{Store, params};

/// A host that realises whatever it is told, when the test says so.
pub(crate) struct Host {
    pub name: &'static str,
    zone: &'static str,
    pub hub: Arc<Hub>,
    session: uuid::Uuid,
    pub revision: Option<u64>,
    pub l3_mode: L3Mode,
    pub view: HostView,
}

impl Host {
    pub fn new(world: &World, name: &'static str) -> Self {
        Self::at(&world.feed, name)
    }

    /// One whose agent talks to this server.
    pub fn at(feed: &Feed, name: &'static str) -> Self {
        let hub = Arc::clone(feed.hub());
        Self {
            name,
            zone: "nova",
            hub,
            session: uuid::Uuid::new_v4(),
            revision: None,
            l3_mode: L3Mode::Legacy,
            view: HostView::default(),
        }
    }

    pub fn watch(&mut self) {
        for line in self.hub.lines_after(self.name, self.revision) {
            match line {
                WatchEvent::Snapshot { revision, view } => (self.revision, self.view) = (Some(revision), *view),
                WatchEvent::Delta { revision, from, delta } => {
                    assert_eq!(self.revision, Some(from));
                    delta.apply(&mut self.view);
                    self.revision = Some(revision);
                }
                WatchEvent::Bookmark { revision } => self.revision = Some(revision),
            }
        }
    }

    pub fn report_of(&self, roles: &[AgentRole], address: &str, ports: BTreeMap<PortId, PortState>) -> HostReport {
        HostReport {
            routers: BTreeMap::new(),
            session: self.session,
            revision: self.revision.unwrap_or(0),
            full: true,
            description: Some(HostDescription {
                l3_mode: self.l3_mode,
                roles: roles.iter().copied().collect(),
                bridge_mappings: BTreeMap::new(),
                tunnel_types: BTreeSet::from([NetworkType::Vxlan]),
                local_ip: Some(address.parse().unwrap()),
                endpoint_mac: None,
                datapath_type: "netdev".into(),
                integration_bridge: "br-int".into(),
                availability_zone: self.zone.into(),
                version: "0".into(),
                started_at: 0,
            }),
            ports,
            errors: Vec::new(),
        }
    }

    /// Reports everything that it has been told as realised.
    pub async fn realise(&mut self) {
        self.watch();
        let ports = self.view.ports.keys().map(|id| (*id, PortState::Up)).collect();
        let report = HostReport { full: true, description: None, ..self.report_of(&[], "192.0.2.0", ports) };
        self.hub.take_report(self.name, report).await.unwrap();
    }
}

pub(crate) struct World {
    pub store: Store,
    pub network: Arc<NetworkConfig>,
    pub feed: Feed,
    pub database: TestDatabase,
}

pub(crate) const ALL: &[AgentRole] = &[AgentRole::L2, AgentRole::Dhcp, AgentRole::L3];

impl World {
    pub async fn new() -> Self {
        Self::on(TestDatabase::new()).await
    }

    pub async fn on(database: TestDatabase) -> Self {
        let store = database.open();
        network_store::prepare(&store).unwrap();
        let options: NetworkOptions = serde_json::from_value(json!({
            "ml2": { "tenant_network_types": ["vxlan"], "vni_ranges": ["1000:1999"] }
        }))
        .unwrap();
        let network = Arc::new(NetworkConfig::new(&options).unwrap());
        let config = FeedConfig { secret: "s".into(), ..FeedConfig::default() };
        let feed = Feed::start(store.clone(), config, Arc::clone(&network)).await.unwrap();
        Self { store, network, feed, database }
    }

    pub async fn work<T: Send + 'static>(
        &self,
        work: impl Fn(&Work<'_>) -> Result<T, NetworkError> + Send + 'static,
    ) -> T {
        let network = Arc::clone(&self.network);
        self.store.write(move |tx| work(&Work::system(tx, &network))).await.unwrap()
    }

    pub async fn register(&self, host: &mut Host, roles: &[AgentRole], address: &str) {
        let report = host.report_of(roles, address, BTreeMap::new());
        host.hub.take_report(host.name, report).await.unwrap();
    }

    /// A VXLAN network with a subnet that DHCP serves.
    pub async fn network(&self) -> NetworkId {
        self.network_in(&[]).await
    }

    async fn network_in(&self, zones: &'static [&'static str]) -> NetworkId {
        self.network_of("10.0.0.0/24", zones).await
    }

    pub async fn network_of(&self, cidr: &'static str, zones: &'static [&'static str]) -> NetworkId {
        self.work(move |work| {
            let request: NetworkCreate = serde_json::from_value(json!({
                "project_id": "p", "name": "n", "description": "", "admin_state_up": true, "mtu": 0, "shared": false,
                "router:external": false, "is_default": false, "port_security_enabled": true, "dns_domain": "", "pvlan": false,
                "availability_zone_hints": zones, "provider:network_type": null, "provider:physical_network": null,
                "provider:segmentation_id": null
            }))
            .unwrap();
            let id = network::create(work, request)?;
            let request: SubnetCreate = serde_json::from_value(json!({
                "project_id": "p", "network_id": id, "name": "s", "description": "", "ip_version": 4,
                "cidr": cidr, "enable_dhcp": true, "dns_publish_fixed_ip": false
            }))
            .unwrap();
            subnet::create(work, request)?;
            Ok(id)
        })
        .await
    }

    pub async fn port(&self, network: NetworkId, host: &'static str) -> PortId {
        self.work(move |work| {
            let request = PortCreate {
                binding_host: Some(host.to_owned()),
                ..PortCreate::of_service(network, "p", "compute:probe", "i")
            };
            port::create(work, request)
        })
        .await
    }

    /// Binds a port to another host.
    pub async fn bind(&self, port: PortId, host: &'static str) {
        self.work(move |work| {
            let binding_host = Some(Some(host.to_owned()));
            port::update(work, port, PortUpdate { binding_host, ..PortUpdate::default() })
        })
        .await;
    }

    pub fn status(&self, id: PortId) -> String {
        let read = |snapshot: &store::Snapshot<'_>| {
            snapshot.query_opt("SELECT status FROM ports WHERE id = ?1", params![id.0], |row| row.get(0))
        };
        self.store.read_blocking::<_, store::StoreError, _>(read).unwrap().unwrap()
    }
}

/// The feed's tasks take their time; what never comes fails the test.
pub(crate) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

#[tokio::test]
async fn a_port_is_active_when_its_host_and_its_dhcp_server_have_realised_it() {
    let world = World::new().await;
    let (mut net, mut c1) = (Host::new(&world, "net"), Host::new(&world, "c1"));
    world.register(&mut net, ALL, "192.0.2.1").await;
    world.register(&mut c1, &[AgentRole::L2], "192.0.2.2").await;

    let network = world.network().await;
    eventually("the network node is told to serve DHCP", || {
        net.watch();
        net.view.dhcp.contains_key(&network)
    })
    .await;
    assert!(net.view.dhcp_clients.is_empty() && net.view.ports.len() == 1, "its own port only: {:#?}", net.view);
    net.realise().await;

    let port = world.port(network, "c1").await;
    eventually("both hosts are told of the port", || {
        net.watch();
        c1.watch();
        net.view.dhcp_clients.contains_key(&port) && c1.view.ports.contains_key(&port)
    })
    .await;
    assert!(net.view.remote_ports.contains_key(&port), "behind c1's tunnel");
    assert_eq!(net.view.tunnel_peers["c1"].address.to_string(), "192.0.2.2");
    assert_eq!(c1.view.remote_ports.len(), 1, "the DHCP port");

    c1.realise().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(world.status(port), "DOWN", "DHCP does not answer it yet");
    net.realise().await;
    eventually("ACTIVE", || world.status(port) == "ACTIVE").await;

    // Its device leaves.
    let gone = HostReport {
        full: false,
        description: None,
        ..c1.report_of(&[], "192.0.2.2", BTreeMap::from([(port, PortState::Down)]))
    };
    c1.hub.take_report("c1", gone).await.unwrap();
    eventually("DOWN", || world.status(port) == "DOWN").await;

    world.work(move |work| port::delete(work, port)).await;
    eventually("nobody has it", || {
        net.watch();
        c1.watch();
        c1.view == HostView::default() && net.view.dhcp_clients.is_empty() && net.view.remote_ports.is_empty()
    })
    .await;
}

/// An instance that moves: the host that it goes to may wire it already, and the other one hears nothing any more once it is
/// there.
#[tokio::test]
async fn a_waiting_binding_takes_nothing_from_the_one_in_use() {
    let world = World::new().await;
    let (mut here, mut there) = (Host::new(&world, "c1"), Host::new(&world, "c2"));
    world.register(&mut here, &[AgentRole::L2], "192.0.2.1").await;
    world.register(&mut there, &[AgentRole::L2], "192.0.2.2").await;
    let network = world.network().await;
    let port = world.port(network, "c1").await;
    let other = world.port(network, "c2").await;
    let binding = world
        .work(move |work| {
            let (host, vnic_type) = ("c2".to_owned(), "normal".to_owned());
            bindings::create(work, BindingCreate { port_id: port, host, vnic_type, profile: Map::default() })
        })
        .await;
    eventually("both hosts know that the port is on the first", || {
        here.watch();
        there.watch();
        here.view.ports.contains_key(&port)
            && there.view.ports.contains_key(&other)
            // Its device is wired as soon as it is there.
            && there.view.ports.contains_key(&port)
            && there.view.remote_ports.get(&port).is_some_and(|remote| remote.host == "c1")
    })
    .await;
    here.realise().await;
    eventually("it is up where it is", || world.status(port) == "ACTIVE").await;
    let wired = || {
        let read = |snapshot: &store::Snapshot<'_>| snapshot.count("SELECT wired FROM port_bindings", &[]);
        world.store.read_blocking::<_, store::StoreError, _>(read).unwrap() == 1
    };
    assert!(!wired());
    there.realise().await;
    eventually("Nova can be told that its device is on the second", wired).await;
    assert_eq!(world.status(port), "ACTIVE", "the host that it is on decides");
    world.work(move |work| bindings::activate(work, binding).map(drop)).await;
    eventually("both hosts know that the port is on the second", || {
        here.watch();
        there.watch();
        !here.view.ports.contains_key(&port) && there.view.ports.contains_key(&port)
    })
    .await;
    assert!(!there.view.remote_ports.contains_key(&port), "it is no longer behind a tunnel");
}

#[tokio::test]
async fn a_rule_reaches_the_hosts_of_its_group_as_it_was_given() {
    let world = World::new().await;
    let mut c1 = Host::new(&world, "c1");
    world.register(&mut c1, &[AgentRole::L2], "192.0.2.2").await;
    let network = world.network().await;
    let port = world.port(network, "c1").await;
    eventually("told", || {
        c1.watch();
        c1.view.ports.contains_key(&port)
    })
    .await;
    let group = *c1.view.ports[&port].security_groups.first().expect("the project's default group");
    let web = RuleMatch::Ports(net_types::PortRange::new(8080, 8090).unwrap());
    for (body, protocol, matching) in [
        (json!({"protocol": "tcp", "port_range_min": 8080, "port_range_max": 8090}), Some(6), web),
        (json!({"protocol": "icmp", "port_range_min": 8}), Some(1), RuleMatch::Icmp { kind: 8, code: None }),
        (json!({"protocol": "132"}), Some(132), RuleMatch::Any),
        (json!({"protocol": "ip"}), None, RuleMatch::Any),
    ] {
        let mut request = json!({
            "project_id": "p", "security_group_id": group, "description": "", "direction": "ingress", "ethertype": "IPv4"
        });
        request.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let id = world
            .work(move |work| security_group_rule::create(work, vec![serde_json::from_value(request.clone()).unwrap()]))
            .await[0];
        eventually("the rule is told", || {
            c1.watch();
            c1.view.security_groups[&group].rules.contains_key(&id)
        })
        .await;
        let rule = &c1.view.security_groups[&group].rules[&id];
        assert_eq!((rule.protocol, rule.matching), (protocol, matching), "{body}");
        world.work(move |work| security_group_rule::delete(work, id)).await;
        eventually("the rule is gone", || {
            c1.watch();
            !c1.view.security_groups[&group].rules.contains_key(&id)
        })
        .await;
    }
}

/// Prefixes of the rules that a host has for a group, beside those that refer to groups.
/// The prefixes behind the remote groups of a group's rules, but for the group itself.
fn prefixes(host: &Host, group: SecurityGroupId) -> Vec<String> {
    let remotes = host.view.security_groups[&group].rules.values().filter_map(|rule| match rule.remote {
        Remote::Group(id) if id != group => Some(id),
        _ => None,
    });
    let members = remotes.flat_map(|id| host.view.group_members.get(&id).into_iter().flatten());
    members.map(ToString::to_string).collect()
}

#[tokio::test]
async fn rules_with_an_address_group_follow_its_prefixes() {
    let world = World::new().await;
    let mut c1 = Host::new(&world, "c1");
    world.register(&mut c1, &[AgentRole::L2], "192.0.2.2").await;
    let network = world.network().await;
    let port = world.port(network, "c1").await;
    eventually("told", || {
        c1.watch();
        c1.view.ports.contains_key(&port)
    })
    .await;
    let group = *c1.view.ports[&port].security_groups.first().expect("the project's default group");
    let free = |host: &Host| {
        let rules = host.view.security_groups[&group].rules.values();
        rules.filter(|rule| rule.direction == Direction::Ingress && rule.remote == Remote::Any).count()
    };
    let addresses = world
        .work(move |work| {
            let request = json!({"project_id": "p", "name": "", "description": "", "addresses": []});
            let addresses = address_group::create(work, serde_json::from_value(request).unwrap())?;
            let rule = json!({
                "project_id": "p", "security_group_id": group, "description": "", "direction": "ingress",
                "ethertype": "IPv4", "remote_address_group_id": addresses
            });
            security_group_rule::create(work, vec![serde_json::from_value(rule).unwrap()])?;
            Ok(addresses)
        })
        .await;
    let net = |text: &str| text.parse::<net_types::IpNet>().unwrap();
    for (add, list, expected) in [
        (true, vec![net("10.1.0.0/16"), net("2001:db8::/64")], vec!["10.1.0.0/16", "2001:db8::/64"]),
        (true, vec![net("192.0.2.7/24")], vec!["10.1.0.0/16", "192.0.2.0/24", "2001:db8::/64"]),
        (false, vec![net("10.1.0.0/16"), net("2001:db8::/64")], vec!["192.0.2.0/24"]),
        (false, vec![net("192.0.2.0/24")], vec![]),
    ] {
        world
            .work(move |work| match add {
                true => address_group::add_addresses(work, addresses, &list),
                false => address_group::remove_addresses(work, addresses, &list),
            })
            .await;
        eventually("the prefixes are told", || {
            c1.watch();
            prefixes(&c1, group) == expected
        })
        .await;
        assert_eq!(free(&c1), 0, "an address group never means everybody");
    }
}

#[tokio::test]
async fn a_server_that_starts_again_takes_up_where_the_other_stopped() {
    let mut world = World::new().await;
    let (mut net, mut c1) = (Host::new(&world, "net"), Host::new(&world, "c1"));
    world.register(&mut net, ALL, "192.0.2.1").await;
    world.register(&mut c1, &[AgentRole::L2], "192.0.2.2").await;
    let network = world.network().await;
    let port = world.port(network, "c1").await;
    eventually("both know", || {
        net.watch();
        c1.watch();
        net.view.dhcp_clients.contains_key(&port) && c1.view.ports.contains_key(&port)
    })
    .await;
    c1.realise().await;
    net.realise().await;
    eventually("ACTIVE", || world.status(port) == "ACTIVE").await;

    let config = FeedConfig { secret: "s".into(), ..FeedConfig::default() };
    world.feed = Feed::start(world.store.clone(), config, Arc::clone(&world.network)).await.unwrap();
    let before = c1.view.clone();
    c1.hub = Arc::clone(world.feed.hub());
    c1.watch();
    assert_eq!(c1.view, before, "the same view from the same rows");
    let partial = HostReport { full: false, ..c1.report_of(&[], "192.0.2.2", BTreeMap::new()) };
    let answer = c1.hub.take_report("c1", partial).await.unwrap();
    assert_eq!(answer.full_report_wanted, !world.store.is_shared(), "on a shared database reports are kept");
    assert_eq!(world.status(port), "ACTIVE", "nobody said otherwise");
    c1.realise().await;
    let second = world.port(network, "c1").await;
    eventually("the new one is told", || {
        c1.watch();
        c1.view.ports.contains_key(&second)
    })
    .await;
}

#[tokio::test]
async fn dhcp_follows_its_subnets_and_leaves_a_dead_agent() {
    let world = World::new().await;
    let mut a = Host::new(&world, "a");
    world.register(&mut a, ALL, "192.0.2.1").await;
    let network = world.network().await;
    eventually("a serves", || {
        a.watch();
        a.view.dhcp.contains_key(&network)
    })
    .await;
    let address = a.view.ports.values().next().unwrap().fixed_ips.clone();

    // a dies, b comes: the server moves with its address.
    let mut b = Host::new(&world, "b");
    world.work(|work| Ok(work.tx.execute("UPDATE agents SET heartbeat_timestamp = 0 WHERE host = 'a'", &[])?)).await;
    world.register(&mut b, ALL, "192.0.2.2").await;
    eventually("b serves", || {
        b.watch();
        a.watch();
        b.view.dhcp.contains_key(&network) && a.view.dhcp.is_empty()
    })
    .await;
    assert_eq!(b.view.ports.values().next().unwrap().fixed_ips, address);

    world
        .work(move |work| {
            let ids = work.tx.query("SELECT id FROM subnets", &[], |row| row.parse(0))?;
            ids.into_iter().try_for_each(|id| subnet::delete(work, id))
        })
        .await;
    eventually("nobody serves", || {
        b.watch();
        b.view == HostView::default()
    })
    .await;
}

#[tokio::test]
async fn a_network_is_served_in_the_zone_that_it_wants() {
    let world = World::new().await;
    let mut here = Host::new(&world, "a");
    world.register(&mut here, ALL, "192.0.2.1").await;
    let mut there = Host { zone: "north", ..Host::new(&world, "b") };
    world.register(&mut there, ALL, "192.0.2.2").await;
    let networks = [world.network_in(&["north"]).await, world.network_in(&["north"]).await];
    eventually("both are served in the north", || {
        there.watch();
        networks.iter().all(|network| there.view.dhcp.contains_key(network))
    })
    .await;
    here.watch();
    assert!(here.view.dhcp.is_empty());
}

#[tokio::test]
async fn the_channel_wants_the_secret() {
    use tower::ServiceExt;
    let world = World::new().await;
    let ask = |secret: Option<&str>| {
        let mut request = axum::http::Request::get("/hosts/h/watch");
        if let Some(secret) = secret {
            request = request.header("Authorization", format!("Bearer {secret}"));
        }
        let router = world.feed.router();
        let request = request.body(axum::body::Body::empty()).unwrap();
        async move { router.oneshot(request).await.unwrap() }
    };
    for wrong in [None, Some(""), Some("t"), Some("s "), Some("ss")] {
        assert_eq!(ask(wrong).await.status(), 401, "{wrong:?}");
    }
    let answer = ask(Some("s")).await;
    assert_eq!(answer.status(), 200);
    let first = futures_util::StreamExt::next(&mut answer.into_body().into_data_stream()).await.unwrap().unwrap();
    assert!(matches!(serde_json::from_slice(&first).unwrap(), WatchEvent::Snapshot { .. }));
    assert!(first.ends_with(b"\n"));

    let nonsense = axum::http::Request::post("/hosts/h/report").header("Authorization", "Bearer s");
    let nonsense = nonsense.body(axum::body::Body::from("{")).unwrap();
    assert_eq!(world.feed.router().oneshot(nonsense).await.unwrap().status(), 400);
}
