//! Highly available and distributed routers as clients see them.

use crate::routers::{external, subnet};
use crate::server::{ADMIN, DEMO, DEMO_PROJECT, Server, id};
use serde_json::{Value, json};

async fn put(server: &Server, router: &Value, members: Value) -> crate::server::Answer {
    server.put(ADMIN, &format!("/v2.0/routers/{}", id(router)), json!({ "router": members })).await
}

async fn ports(server: &Server, router: &Value, owner: &str) -> Vec<Value> {
    let path = format!("/v2.0/ports?device_id={}&device_owner={owner}", id(router));
    server.get(ADMIN, &path).await.expect(200)["ports"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_projects_ha_network_comes_and_goes_with_its_ha_routers() {
    let server = Server::new();
    let forbidden = server.post(DEMO, "/v2.0/routers", json!({"router": {"ha": true}})).await;
    assert_eq!(forbidden.status, 403);
    let create = async || server.create(ADMIN, "router", json!({"ha": true, "project_id": DEMO_PROJECT})).await;
    let (first, second) = (create().await, create().await);
    assert_eq!((&first["ha"], &first["distributed"]), (&json!(true), &json!(false)));
    let listed = format!("/v2.0/networks?name=HA%20network%20project%20{DEMO_PROJECT}");
    let networks = server.get(ADMIN, &listed).await.expect(200);
    let network = &networks["networks"][0];
    assert_eq!((networks["networks"].as_array().unwrap().len(), &network["project_id"]), (1, &json!("")));
    let subnet = network["subnets"][0].as_str().unwrap();
    let subnet = server.get(ADMIN, &format!("/v2.0/subnets/{subnet}")).await.expect(200)["subnet"].clone();
    assert_eq!((&subnet["cidr"], &subnet["enable_dhcp"]), (&json!("169.254.192.0/18"), &json!(false)));
    assert_eq!(server.get(DEMO, &listed).await.expect(200), json!({"networks": []}), "hidden from the project");
    let groups = server.get(ADMIN, "/v2.0/security-groups?project_id=").await.expect(200);
    assert_eq!(groups, json!({"security_groups": []}), "nobody has no default group");

    server.delete(ADMIN, &format!("/v2.0/routers/{}", id(&second))).await.expect(204);
    let left = server.get(ADMIN, &listed).await.expect(200);
    assert_eq!(left["networks"][0]["provider:segmentation_id"], network["provider:segmentation_id"]);
    server.delete(ADMIN, &format!("/v2.0/routers/{}", id(&first))).await.expect(204);
    assert_eq!(server.get(ADMIN, &listed).await.expect(200), json!({"networks": []}));

    server.create(DEMO, "network", json!({"ha": true})).await;
    let again = server.post(DEMO, "/v2.0/networks", json!({"network": {"ha": true}})).await;
    assert_eq!(again.error(), format!("409 DuplicatedHANetwork: Project {DEMO_PROJECT} already has a HA network."));
}

#[tokio::test]
async fn only_a_router_that_is_down_becomes_another_kind() {
    let server = Server::new();
    let inside = subnet(&server, DEMO, json!({}), "10.0.0.0/24").await;
    let router = server.create(DEMO, "router", json!({})).await;
    assert!(router.get("ha").is_none() && router.get("distributed").is_none());
    let add = format!("/v2.0/routers/{}/add_router_interface", id(&router));
    server.put(DEMO, &add, json!({"subnet_id": id(&inside)})).await.expect(200);
    assert_eq!(
        put(&server, &router, json!({"ha": true})).await.error(),
        "400 BadRequest: Bad router request: Cannot change HA attribute of active routers. Please set router \
         admin_state_up to False prior to upgrade."
    );
    assert_eq!(
        put(&server, &router, json!({"distributed": true, "admin_state_up": false})).await.error(),
        "400 BadRequest: Bad router request: Cannot change the 'distributed' attribute of active routers. Please set \
         router admin_state_up to False prior to upgrade."
    );
    put(&server, &router, json!({"admin_state_up": false})).await.expect(200);
    for (change, owner) in [
        (json!({"ha": true}), "network:ha_router_replicated_interface"),
        (json!({"distributed": true}), "network:router_interface_distributed"),
        (json!({"ha": false}), "network:router_interface_distributed"),
        (json!({"distributed": false}), "network:router_interface"),
    ] {
        let changed = put(&server, &router, change.clone()).await.expect(200);
        for (name, value) in change.as_object().unwrap() {
            assert_eq!(changed["router"][name], *value);
        }
        assert_eq!(ports(&server, &router, owner).await.len(), 1, "{change}");
    }
    let listed = format!("/v2.0/networks?name=HA%20network%20project%20{DEMO_PROJECT}");
    assert_eq!(server.get(ADMIN, &listed).await.expect(200), json!({"networks": []}), "the last one has gone");
}

#[tokio::test]
async fn a_distributed_router_has_snat_ports_while_it_has_a_gateway() {
    const SNAT: &str = "network:router_centralized_snat";
    let server = Server::new();
    let outside = external(&server).await;
    let inside = subnet(&server, DEMO, json!({}), "10.0.0.0/24").await;
    let v6 = json!({"network_id": inside["network_id"], "ip_version": 6, "cidr": "fd00:1::/64"});
    let v6 = server.create(DEMO, "subnet", v6).await;
    let more = json!({"network_id": inside["network_id"], "ip_version": 6, "cidr": "fd00:2::/64"});
    let more = server.create(DEMO, "subnet", more).await;
    let router = server.create(ADMIN, "router", json!({"distributed": true, "project_id": DEMO_PROJECT})).await;
    let interface = async |what: &str, subnet: &Value| {
        let path = format!("/v2.0/routers/{}/{what}_router_interface", id(&router));
        server.put(DEMO, &path, json!({"subnet_id": id(subnet)})).await.expect(200)
    };
    interface("add", &inside).await;
    interface("add", &v6).await;
    assert!(ports(&server, &router, SNAT).await.is_empty(), "nothing to translate without a gateway");
    let info = json!({"external_gateway_info": {"network_id": outside["network_id"]}});
    put(&server, &router, info).await.expect(200);
    let made = ports(&server, &router, SNAT).await;
    assert_eq!(made.len(), 2, "one of IPv4 and one of IPv6");
    assert!(made.iter().all(|port| port["project_id"] == ""));
    interface("add", &more).await;
    let addresses = async || {
        let ports = ports(&server, &router, SNAT).await;
        let mut counts: Vec<usize> = ports.iter().map(|port| port["fixed_ips"].as_array().unwrap().len()).collect();
        counts.sort_unstable();
        counts
    };
    assert_eq!(addresses().await, [1, 2], "IPv6 subnets of a network share a port");
    interface("remove", &v6).await;
    assert_eq!(addresses().await, [1, 1]);
    interface("remove", &inside).await;
    assert_eq!(addresses().await, [1]);
    let port = ports(&server, &router, SNAT).await[0].clone();
    let direct = server.delete(ADMIN, &format!("/v2.0/ports/{}", id(&port))).await;
    assert!(direct.error().starts_with("409 ServicePortInUse: "));
    put(&server, &router, json!({"external_gateway_info": null})).await.expect(200);
    assert_eq!(addresses().await, [0; 0]);
    interface("remove", &more).await;
    server.delete(ADMIN, &format!("/v2.0/routers/{}", id(&router))).await.expect(204);
}

#[tokio::test]
async fn a_router_wants_a_zone_that_is_there() {
    let server = Server::new();
    let hints = json!({"router": {"availability_zone_hints": ["nowhere"]}});
    let refused = server.post(DEMO, "/v2.0/routers", hints).await;
    assert_eq!(refused.error(), "404 AvailabilityZoneNotFound: AvailabilityZone nowhere could not be found.");
}

#[tokio::test]
async fn a_floating_ip_goes_by_the_router_that_its_owner_names() {
    let server = Server::new();
    let outside = external(&server).await;
    let inside = subnet(&server, DEMO, json!({}), "10.0.0.0/24").await;
    let info = json!({"network_id": outside["network_id"]});
    let between = server.create(DEMO, "router", json!({"external_gateway_info": info})).await;
    let aside = server.create(DEMO, "router", json!({"external_gateway_info": info})).await;
    let nowhere = server.create(DEMO, "router", json!({})).await;
    let add = format!("/v2.0/routers/{}/add_router_interface", id(&between));
    server.put(DEMO, &add, json!({"subnet_id": id(&inside)})).await.expect(200);
    let port = server.create(DEMO, "port", json!({"network_id": inside["network_id"]})).await;
    let body = json!({"floating_network_id": outside["network_id"], "port_id": id(&port), "router_id": id(&aside)});
    let floating_ip = server.create(DEMO, "floatingip", body).await;
    assert_eq!(floating_ip["router_id"], aside["id"]);
    let path = format!("/v2.0/floatingips/{}", id(&floating_ip));
    let by = |router: &Value| json!({"floatingip": {"router_id": id(router)}});
    assert_eq!(server.put(DEMO, &path, by(&between)).await.expect(200)["floatingip"]["router_id"], between["id"]);
    assert!(server.put(DEMO, &path, by(&nowhere)).await.error().starts_with("409 Conflict: "));
    assert!(server.put(DEMO, &path, by(&port)).await.error().starts_with("404 RouterNotFound: "));
}
