//! What belongs to routers: every row reaches the router's host, with what changes it, and goes again.

use crate::tests::{ALL, Host, World, eventually};
use host_view::{PortForwarding, Router};
use net_types::{FloatingIpId, NetworkId, PortId, RouterId, SubnetId};
use network_model::qos::RuleKind;
use network_model::router::InterfaceRequest;
use network_store::floating_ip::{self, FloatingIpCreate, FloatingIpUpdate};
use network_store::network::{self, NetworkCreate};
use network_store::port_forwarding::{self, PortForwardingCreate, PortForwardingUpdate};
use network_store::qos::rule::{self, RuleCreate};
use network_store::router::{self, RouterCreate};
use network_store::subnet::{self, SubnetCreate};
use network_store::subnetpool::{self, SubnetPoolUpdate};
use network_store::{address_scope, conntrack_helper, metering, ndp_proxy, qos};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use store::{StoreError, params};

/// A router on host `a` between an inside network, with an instance, and an external one.
struct Routed {
    world: World,
    host: Host,
    router: RouterId,
    outside: NetworkId,
    instance: PortId,
}

impl World {
    /// A network with a subnet; `more` is what the subnet's request says besides.
    async fn network_with(&self, external: bool, more: Value) -> (NetworkId, SubnetId) {
        self.work(move |work| {
            let request: NetworkCreate = serde_json::from_value(json!({
                "project_id": "p", "name": "n", "description": "", "admin_state_up": true, "mtu": 0, "shared": false,
                "router:external": external, "is_default": false, "port_security_enabled": true, "dns_domain": "",
                "pvlan": false, "availability_zone_hints": [], "provider:network_type": null,
                "provider:physical_network": null, "provider:segmentation_id": null
            }))
            .unwrap();
            let id = network::create(work, request)?;
            let mut request = json!({
                "project_id": "p", "network_id": id, "name": "s", "description": "", "ip_version": 4,
                "enable_dhcp": false, "dns_publish_fixed_ip": false
            });
            for (name, value) in more.as_object().unwrap() {
                request[name] = value.clone();
            }
            let request: SubnetCreate = serde_json::from_value(request).unwrap();
            Ok((id, subnet::create(work, request)?))
        })
        .await
    }
}

impl Routed {
    async fn in_world(world: World, inside: Value, outside: Value) -> Self {
        let mut host = Host::new(&world, "a");
        world.register(&mut host, ALL, "192.0.2.1").await;
        let (inside, subnet) = world.network_with(false, inside).await;
        let (outside, _) = world.network_with(true, outside).await;
        let router = world
            .work(move |work| {
                let request: RouterCreate = serde_json::from_value(json!({
                    "project_id": "p", "name": "r", "description": "", "admin_state_up": true,
                    "external_gateway_info": {"network_id": outside}, "availability_zone_hints": [], "ha": false,
                    "distributed": false
                }))
                .unwrap();
                let id = router::create(work, request)?;
                router::add_interface(work, id, InterfaceRequest::Subnet(subnet))?;
                Ok(id)
            })
            .await;
        let instance = world.port(inside, "a").await;
        let mut routed = Self { world, host, router, outside, instance };
        routed.until("the router is here", |router| router.gateway.is_some() && !router.interfaces.is_empty()).await;
        routed
    }

    async fn v4() -> Self {
        Self::in_world(World::new().await, json!({"cidr": "10.0.0.0/24"}), json!({"cidr": "203.0.113.0/24"})).await
    }

    /// Waits for what its host is told of the router.
    async fn until(&mut self, what: &str, is_so: impl Fn(&Router) -> bool) {
        let (host, id) = (&mut self.host, self.router);
        eventually(what, || {
            host.watch();
            host.view.routers.get(&id).is_some_and(&is_so)
        })
        .await;
    }

    fn text(&self, sql: &'static str, id: uuid::Uuid) -> String {
        let read = |snapshot: &store::Snapshot<'_>| snapshot.query_opt(sql, params![id], |row| row.get(0));
        self.world.store.read_blocking::<_, StoreError, _>(read).unwrap().unwrap()
    }

    /// A floating IP that leads nowhere.
    async fn floating_ip(&self) -> FloatingIpId {
        let network = self.outside;
        self.world
            .work(move |work| {
                let request: FloatingIpCreate = serde_json::from_value(json!({
                    "project_id": "p", "description": "", "floating_network_id": network
                }))
                .unwrap();
                floating_ip::create(work, &request)
            })
            .await
    }
}

#[tokio::test]
async fn port_forwardings_follow_their_rows_and_make_their_floating_ip_active() {
    let mut routed = Routed::v4().await;
    let floating_ip = routed.floating_ip().await;
    let status = "SELECT status FROM floating_ips WHERE id = ?1";
    assert_eq!(routed.text(status, floating_ip.0), "DOWN");
    let address = routed.text("SELECT ip_address FROM fixed_ips WHERE port_id = ?1", routed.instance.0);
    let port = routed.instance;
    let request: PortForwardingCreate = serde_json::from_value(json!({
        "floatingip_id": floating_ip, "description": "", "protocol": "tcp", "internal_port_id": port,
        "internal_ip_address": address, "internal_port": null, "internal_port_range": "22:22",
        "external_port": null, "external_port_range": "2200:2209"
    }))
    .unwrap();
    let id = routed.world.work(move |work| port_forwarding::create(work, &request)).await;
    let only = |router: &Router| match router.port_forwardings.values().collect::<Vec<_>>().as_slice() {
        [only] => Some(PortForwarding::clone(only)),
        _ => None,
    };
    routed.until("it is told", |router| only(router).is_some()).await;
    let told = only(&routed.host.view.routers[&routed.router]).unwrap();
    assert_eq!((told.floating_ip, told.protocol.as_str()), (floating_ip, "tcp"));
    assert_eq!((told.external.first(), told.external.last(), told.internal.first()), (2200, 2209, 22));
    assert_eq!(told.internal_address.to_string(), address);
    routed.host.realise().await;
    eventually("active", || routed.text(status, floating_ip.0) == "ACTIVE").await;

    let update = PortForwardingUpdate { protocol: Some("udp".into()), ..PortForwardingUpdate::default() };
    routed.world.work(move |work| port_forwarding::update(work, id, update.clone())).await;
    routed.until("it changes", |router| only(router).is_some_and(|told| told.protocol == "udp")).await;

    routed.world.work(move |work| port_forwarding::delete(work, id)).await;
    routed.until("it goes", |router| router.port_forwardings.is_empty()).await;
    eventually("down again", || routed.text(status, floating_ip.0) == "DOWN").await;
}

#[tokio::test]
async fn subnets_know_their_address_scope_and_follow_their_pool() {
    let world = World::new().await;
    let (scope, pool) = world
        .work(|work| {
            let request = json!({"project_id": "p", "name": "s", "shared": false, "ip_version": 4});
            let scope = address_scope::create(work, &serde_json::from_value(request).unwrap())?;
            let request = json!({
                "project_id": "p", "name": "pool", "description": "", "prefixes": ["10.0.0.0/8"],
                "default_prefixlen": null, "min_prefixlen": null, "max_prefixlen": null, "default_quota": null,
                "is_default": false, "shared": false, "address_scope_id": scope
            });
            Ok((scope, subnetpool::create(work, &serde_json::from_value(request).unwrap())?))
        })
        .await;
    let inside = json!({"cidr": "10.0.0.0/24", "subnetpool_id": pool});
    let mut routed = Routed::in_world(world, inside, json!({"cidr": "203.0.113.0/24"})).await;
    let scopes = |host: &Host| -> BTreeSet<_> {
        host.view.subnets.values().map(|subnet| subnet.address_scope.map(|scope| scope.0)).collect()
    };
    assert_eq!(scopes(&routed.host), [None, Some(scope)].into());
    routed
        .world
        .work(move |work| {
            let update = SubnetPoolUpdate { address_scope_id: Some(None), ..SubnetPoolUpdate::default() };
            subnetpool::update(work, pool, update)
        })
        .await;
    eventually("none", || {
        routed.host.watch();
        scopes(&routed.host) == [None].into()
    })
    .await;
}

#[tokio::test]
async fn helpers_and_labels_reach_the_routers_that_they_are_for() {
    let mut routed = Routed::v4().await;
    let router = routed.router;
    let helper = routed
        .world
        .work(move |work| {
            let request = json!({"router_id": router, "protocol": "udp", "port": 69, "helper": "tftp"});
            conntrack_helper::create(work, &serde_json::from_value(request).unwrap())
        })
        .await;
    routed.until("a helper", |router| router.conntrack_helpers.iter().any(|helper| helper.port == 69)).await;
    routed.world.work(move |work| conntrack_helper::delete(work, helper)).await;
    routed.until("no helper", |router| router.conntrack_helpers.is_empty()).await;

    let label = |project: &'static str, shared: bool| {
        move |work: &network_store::Work<'_>| {
            let request = json!({"project_id": project, "name": "l", "description": "", "shared": shared});
            let label = metering::create_label(work, &serde_json::from_value(request).unwrap())?;
            let request = json!({
                "project_id": project, "metering_label_id": label, "direction": "egress", "excluded": false,
                "remote_ip_prefix": "10.0.0.7/24", "source_ip_prefix": null, "destination_ip_prefix": null
            });
            Ok((label, metering::create_rule(work, &serde_json::from_value(request).unwrap())?))
        }
    };
    let (_others, _) = routed.world.work(label("q", false)).await;
    let (own, rule) = routed.world.work(label("p", false)).await;
    let (shared, _) = routed.world.work(label("q", true)).await;
    let labels = |router: &Router| router.metering.keys().map(|id| id.0).collect::<BTreeSet<_>>();
    routed.until("both labels", |router| labels(router) == [own, shared].into()).await;
    let told = routed.host.view.routers[&routed.router].metering[&own.into()].first().cloned().unwrap();
    assert_eq!((told.source.map(|net| net.to_string()).as_deref(), told.destination), (Some("10.0.0.0/24"), None));
    routed.world.work(move |work| metering::delete_rule(work, rule)).await;
    routed.until("nothing to count", |router| labels(router) == [shared].into()).await;
    routed.world.work(move |work| metering::delete_label(work, shared)).await;
    routed.until("no label", |router| router.metering.is_empty()).await;
}

#[tokio::test]
async fn a_router_answers_for_what_is_proxied_while_that_is_switched_on() {
    let world = World::new().await;
    let pool = world
        .work(|work| {
            let request = json!({"project_id": "p", "name": "s", "shared": false, "ip_version": 6});
            let scope = address_scope::create(work, &serde_json::from_value(request).unwrap())?;
            let request = json!({
                "project_id": "p", "name": "pool", "description": "", "prefixes": ["2001:db8::/32"],
                "default_prefixlen": null, "min_prefixlen": null, "max_prefixlen": null, "default_quota": null,
                "is_default": false, "shared": false, "address_scope_id": scope
            });
            subnetpool::create(work, &serde_json::from_value(request).unwrap())
        })
        .await;
    let subnet = |cidr: &str| json!({"cidr": cidr, "ip_version": 6, "subnetpool_id": pool});
    let mut routed = Routed::in_world(world, subnet("2001:db8:1::/64"), subnet("2001:db8:2::/64")).await;
    let (router, port) = (routed.router, routed.instance);
    assert_eq!(routed.host.view.routers[&router].ndp_proxies, None);
    let proxy = routed
        .world
        .work(move |work| {
            router::update(work, router, serde_json::from_value(json!({"enable_ndp_proxy": true})).unwrap())?;
            let request =
                json!({"project_id": "p", "name": "", "description": "", "router_id": router, "port_id": port});
            ndp_proxy::create(work, &serde_json::from_value(request).unwrap())
        })
        .await;
    let proxied = |router: &Router| router.ndp_proxies.as_ref().map(BTreeSet::len);
    routed.until("one", |router| proxied(router) == Some(1)).await;
    routed.world.work(move |work| ndp_proxy::delete(work, proxy)).await;
    routed.until("none", |router| proxied(router) == Some(0)).await;
}

#[tokio::test]
async fn limits_follow_the_policies_of_gateway_and_floating_ips() {
    let mut routed = Routed::v4().await;
    let (router, floating_ip, port) = (routed.router, routed.floating_ip().await, routed.instance);
    let policy = routed
        .world
        .work(move |work| {
            let request =
                json!({"project_id": "p", "name": "q", "description": "", "is_default": false, "shared": false});
            let policy = qos::create(work, &serde_json::from_value(request).unwrap())?;
            let rule = |rate, direction: &str| RuleCreate {
                qos_policy_id: policy,
                rate,
                burst: 0,
                direction: Some(direction.to_owned()),
            };
            rule::create(work, RuleKind::BandwidthLimit, &rule(3000, "egress"))?;
            floating_ip::update(
                work,
                floating_ip,
                FloatingIpUpdate {
                    port_id: Some(Some(port)),
                    qos_policy_id: Some(Some(policy)),
                    ..FloatingIpUpdate::default()
                },
            )?;
            Ok(policy)
        })
        .await;
    let egress = |router: &Router| router.limits.values().map(|l| l.egress.map(|l| l.rate)).collect::<Vec<_>>();
    routed.until("the floating IP's", |router| egress(router) == [Some(3000)]).await;
    let network = routed.outside;
    routed
        .world
        .work(move |work| {
            let info = json!({"external_gateway_info": {"network_id": network, "qos_policy_id": policy}});
            router::update(work, router, serde_json::from_value(info).unwrap())
        })
        .await;
    routed.until("the gateway's, too", |router| egress(router) == [Some(3000), Some(3000)]).await;
    routed
        .world
        .work(move |work| {
            let rule = RuleCreate { qos_policy_id: policy, rate: 500, burst: 0, direction: Some("ingress".to_owned()) };
            rule::create(work, RuleKind::BandwidthLimit, &rule).map(drop)
        })
        .await;
    let ingress = |router: &Router| router.limits.values().all(|l| l.ingress.is_some_and(|l| l.rate == 500));
    routed.until("the policy's new rule", |router| router.limits.len() == 2 && ingress(router)).await;
    let none = FloatingIpUpdate { qos_policy_id: Some(None), ..FloatingIpUpdate::default() };
    routed.world.work(move |work| floating_ip::update(work, floating_ip, none.clone())).await;
    routed.until("only the gateway's", |router| router.limits.len() == 1).await;
}
