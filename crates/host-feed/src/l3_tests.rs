//! What belongs to routers: every row reaches the router's host, with what changes it, and goes again.

use crate::tests::{ALL, Host, World, eventually};
use host_view::{PortForwarding, Router};
use net_types::{FloatingIpId, NetworkId, PortId, RouterId, SubnetId};
use network_model::router::InterfaceRequest;
use network_store::floating_ip::{self, FloatingIpCreate};
use network_store::network::{self, NetworkCreate};
use network_store::port_forwarding::{self, PortForwardingCreate, PortForwardingUpdate};
use network_store::router::{self, RouterCreate};
use network_store::subnet::{self, SubnetCreate};
use serde_json::{Value, json};
use store::{StoreError, params};

/// A router on host `a` between an inside network, with an instance, and an external one.
struct Routed {
    world: World,
    host: Host,
    router: RouterId,
    inside: NetworkId,
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
    async fn new(inside: Value, outside: Value) -> Self {
        let world = World::new().await;
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
        let mut routed = Self { world, host, router, inside, outside, instance };
        routed.until("the router is here", |router| router.gateway.is_some() && !router.interfaces.is_empty()).await;
        routed
    }

    async fn v4() -> Self {
        Self::new(json!({"cidr": "10.0.0.0/24"}), json!({"cidr": "203.0.113.0/24"})).await
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
    let _ = routed.inside;
}
