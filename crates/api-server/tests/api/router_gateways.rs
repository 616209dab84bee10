//! Several gateways of one router.

use crate::routers::{external, subnet};
use crate::server::{ADMIN, Answer, DEMO, OTHER, Server, id};
use serde_json::{Value, json};

/// What one of the three actions is answered with.
async fn ask(server: &Server, token: &str, router: &Value, action: &str, gateways: Value) -> Answer {
    let path = format!("/v2.0/routers/{}/{action}_external_gateways", id(router));
    server.put(token, &path, json!({"router": {"external_gateways": gateways}})).await
}

/// The gateways of a router as it is shown: of each its network and addresses.
fn gateways(shown: &Value) -> Vec<(Value, Vec<String>)> {
    let router = &shown["router"];
    let gateways = router["external_gateways"].as_array().unwrap();
    let first = &router["external_gateway_info"];
    assert_eq!(gateways.first().map(|gateway| &gateway["network_id"]), first.get("network_id"));
    assert_eq!(gateways.first().map(|gateway| &gateway["external_fixed_ips"]), first.get("external_fixed_ips"));
    assert_eq!(gateways.first().map(|gateway| &gateway["enable_snat"]), first.get("enable_snat"));
    let addresses = |gateway: &Value| {
        let ips = gateway["external_fixed_ips"].as_array().unwrap();
        ips.iter().map(|ip| ip["ip_address"].as_str().unwrap().to_owned()).collect()
    };
    gateways.iter().map(|gateway| (gateway["network_id"].clone(), addresses(gateway))).collect()
}

/// A second external network, 198.51.100.0/24; its subnet.
async fn second(server: &Server) -> Value {
    subnet(server, ADMIN, json!({"router:external": true}), "198.51.100.0/24").await
}

#[tokio::test]
async fn administrators_say_whether_default_routes_stand_side_by_side() {
    let server = Server::new();
    let router = server.create(DEMO, "router", json!({})).await;
    assert_eq!(router["enable_default_route_ecmp"], false);
    let both = server.create(ADMIN, "router", json!({"enable_default_route_ecmp": true})).await;
    assert_eq!(both["enable_default_route_ecmp"], true);
    let unsaid = server.create(ADMIN, "router", json!({"enable_default_route_ecmp": null})).await;
    assert_eq!(unsaid["enable_default_route_ecmp"], false);
    let path = format!("/v2.0/routers/{}", id(&router));
    let body = json!({"router": {"enable_default_route_ecmp": true}});
    assert_eq!(server.put(DEMO, &path, body.clone()).await.status, 403);
    let refused = server.post(DEMO, "/v2.0/routers", body.clone()).await;
    assert_eq!(refused.status, 403);
    let changed = server.put(ADMIN, &path, body).await.expect(200);
    assert_eq!(changed["router"]["enable_default_route_ecmp"], true);
    let null = json!({"router": {"enable_default_route_ecmp": null}});
    let kept = server.put(ADMIN, &path, null).await.expect(200);
    assert_eq!(kept["router"]["enable_default_route_ecmp"], true);
}

#[tokio::test]
async fn gateways_come_and_go_and_one_of_them_is_the_first() {
    let server = Server::new();
    let (one, two) = (external(&server).await["network_id"].clone(), second(&server).await["network_id"].clone());
    let router = server.create(DEMO, "router", json!({})).await;
    assert_eq!(router["external_gateways"], json!([]));
    let at = |network: &Value, last: u8| {
        let prefix = if *network == one { "203.0.113" } else { "198.51.100" };
        json!({"network_id": network, "external_fixed_ips": [{"ip_address": format!("{prefix}.{last}")}]})
    };
    let is = |network: &Value, last: u8| {
        let prefix = if *network == one { "203.0.113" } else { "198.51.100" };
        (network.clone(), vec![format!("{prefix}.{last}")])
    };

    let added =
        ask(&server, ADMIN, &router, "add", json!([at(&one, 10), at(&two, 10), at(&one, 11)])).await.expect(200);
    assert_eq!(gateways(&added), [is(&one, 10), is(&two, 10), is(&one, 11)]);
    let shown = server.get(DEMO, &format!("/v2.0/routers/{}", id(&router))).await.expect(200);
    assert_eq!(gateways(&shown), gateways(&added));
    let listed = server.get(DEMO, "/v2.0/routers").await.expect(200);
    assert_eq!(listed["routers"][0]["external_gateways"], shown["router"]["external_gateways"]);
    let ports = server.get(ADMIN, &format!("/v2.0/ports?device_id={}&fields=device_owner", id(&router))).await;
    assert_eq!(ports.expect(200)["ports"], json!(vec![json!({"device_owner": "network:router_gateway"}); 3]));

    // Without the first one the next is the first.
    let removed = ask(&server, DEMO, &router, "remove", json!([at(&one, 10)])).await.expect(200);
    assert_eq!(gateways(&removed), [is(&two, 10), is(&one, 11)]);
    let path = format!("/v2.0/routers/{}", id(&router));
    let cleared = server.put(DEMO, &path, json!({"router": {"external_gateway_info": {}}})).await.expect(200);
    assert_eq!(gateways(&cleared), [is(&one, 11)]);

    // The last of these two stays as it is and becomes the first; the other is new.
    let update = json!([at(&two, 20), at(&one, 11)]);
    assert_eq!(
        gateways(&ask(&server, ADMIN, &router, "update", update).await.expect(200)),
        [is(&two, 20), is(&one, 11)]
    );
    let before = server.get(ADMIN, &format!("/v2.0/ports?device_id={}&fields=id", id(&router))).await.expect(200);
    let update = json!([{"network_id": one}, {"network_id": two}]);
    assert_eq!(
        gateways(&ask(&server, DEMO, &router, "update", update).await.expect(200)),
        [is(&one, 11), is(&two, 20)]
    );
    let after = server.get(ADMIN, &format!("/v2.0/ports?device_id={}&fields=id", id(&router))).await.expect(200);
    assert_eq!(before, after, "the same ports in another order");
    let moved = json!([{"network_id": one, "external_fixed_ips": [{"ip_address": "203.0.113.11"}, {"ip_address": "203.0.113.12"}]}]);
    let moved = ask(&server, ADMIN, &router, "update", moved).await.expect(200);
    assert_eq!(gateways(&moved), [(one.clone(), vec!["203.0.113.11".to_owned(), "203.0.113.12".to_owned()])]);
    assert_eq!(gateways(&ask(&server, DEMO, &router, "update", json!([])).await.expect(200)), Vec::new());

    ask(&server, ADMIN, &router, "add", json!([at(&one, 10), at(&two, 10)])).await.expect(200);
    server.delete(DEMO, &path).await.expect(204);
    assert_eq!(server.get(ADMIN, "/v2.0/ports").await.expect(200), json!({"ports": []}));
}

#[tokio::test]
async fn snat_is_each_gateways_own_and_an_administrators_matter() {
    let server = Server::new();
    let (one, two) = (external(&server).await["network_id"].clone(), second(&server).await["network_id"].clone());
    let router = server.create(DEMO, "router", json!({"external_gateway_info": {"network_id": one}})).await;
    let silent = json!([{"network_id": two, "enable_snat": false}]);
    let refused = ask(&server, DEMO, &router, "add", silent.clone()).await;
    assert_eq!(refused.status, 403);
    assert!(refused.text.contains("rule:add_external_gateways:external_gateways:enable_snat"), "{}", refused.text);
    let placed = json!([{"network_id": two, "external_fixed_ips": [{"ip_address": "198.51.100.9"}]}]);
    assert_eq!(ask(&server, DEMO, &router, "add", placed).await.status, 403);
    assert_eq!(ask(&server, OTHER, &router, "add", json!([{"network_id": two}])).await.status, 404);

    let added = ask(&server, ADMIN, &router, "add", silent).await.expect(200);
    let snat = |router: &Value| {
        let gateways = router["router"]["external_gateways"].as_array().unwrap();
        gateways.iter().map(|gateway| gateway["enable_snat"].as_bool().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(snat(&added), [true, false]);
    let left = ask(&server, DEMO, &router, "remove", json!([{"network_id": one}])).await.expect(200);
    assert_eq!(snat(&left), [false]);
    assert_eq!(left["router"]["external_gateway_info"]["enable_snat"], false);
}

#[tokio::test]
async fn mistakes_in_gateways_are_refused() {
    let server = Server::new();
    let (outside, other) = (external(&server).await, second(&server).await);
    let (one, two) = (outside["network_id"].clone(), other["network_id"].clone());
    let inside = subnet(&server, DEMO, json!({}), "10.0.0.0/24").await;
    let router = server.create(DEMO, "router", json!({})).await;
    let named = json!([{"network_id": one}]);
    let none = ask(&server, DEMO, &router, "remove", named.clone()).await.error();
    assert!(none.starts_with("400 UnableToRemoveGateways: "), "{none}");
    let cases = [
        ("add", json!("net"), "400 HTTPBadRequest: Invalid input for external_gateways. Reason: 'net' is not a list."),
        ("add", json!([{}]), "400 HTTPBadRequest: "),
        ("add", json!([null]), "400 HTTPBadRequest: "),
        (
            "update",
            json!([{"network_id": one, "mtu": 1}]),
            "400 HTTPBadRequest: Invalid input for external_gateways. Reason: Unexpected keys supplied: mtu.",
        ),
        ("add", json!([{"network_id": one, "qos_policy_id": null}]), "400 HTTPBadRequest: "),
        ("add", json!([{"network_id": inside["network_id"]}]), "400 BadRequest: Bad router request: Network "),
        ("update", json!([{"network_id": one}, {"network_id": id(&router)}]), "404 NetworkNotFound: "),
    ];
    for (action, given, expected) in cases {
        let refused = ask(&server, DEMO, &router, action, given).await.error();
        assert!(refused.starts_with(expected), "{refused}");
    }
    let path = format!("/v2.0/routers/{}", id(&router));
    let body = json!({"router": {"external_gateways": []}});
    assert_eq!(
        server.put(ADMIN, &path, body).await.error(),
        "400 HTTPBadRequest: Cannot update read-only attribute external_gateways"
    );
    let missing = server.put(DEMO, &format!("{path}/add_external_gateways"), json!({"router": {}})).await;
    assert_eq!(missing.status, 400);

    ask(&server, DEMO, &router, "add", json!([{"network_id": one}, {"network_id": one}])).await.expect(200);
    for nothing in [json!([]), json!({}), json!(null)] {
        ask(&server, DEMO, &router, "remove", nothing.clone()).await.expect(200);
        ask(&server, DEMO, &router, "add", nothing).await.expect(200);
    }
    let which = ask(&server, DEMO, &router, "remove", named).await.error();
    assert!(which.starts_with("400 UnableToMatchGateways: "), "{which}");
    let nowhere = ask(&server, DEMO, &router, "remove", json!([{"network_id": two}])).await.error();
    assert!(nowhere.starts_with("400 UnableToMatchGateways: "), "{nowhere}");
    let overlapping = subnet(&server, ADMIN, json!({"router:external": true}), "203.0.113.0/25").await;
    let overlaps = ask(&server, DEMO, &router, "add", json!([{"network_id": overlapping["network_id"]}])).await.error();
    assert!(overlaps.starts_with("400 BadRequest: Bad router request: Cidr 203.0.113.0/25"), "{overlaps}");
}

#[tokio::test]
async fn a_floating_ip_comes_in_by_any_of_the_gateways_and_holds_it() {
    let server = Server::new();
    let (one, two) = (external(&server).await["network_id"].clone(), second(&server).await["network_id"].clone());
    let inside = subnet(&server, DEMO, json!({}), "10.0.0.0/24").await;
    let router = server.create(DEMO, "router", json!({"external_gateway_info": {"network_id": one}})).await;
    let join = json!({"subnet_id": id(&inside)});
    server.put(DEMO, &format!("/v2.0/routers/{}/add_router_interface", id(&router)), join).await.expect(200);
    let port = server.create(DEMO, "port", json!({"network_id": inside["network_id"]})).await;
    let floating = json!({"floatingip": {"floating_network_id": two, "port_id": id(&port)}});
    let unreachable = server.post(DEMO, "/v2.0/floatingips", floating.clone()).await;
    assert_eq!(unreachable.status, 404);
    ask(&server, DEMO, &router, "add", json!([{"network_id": two}])).await.expect(200);
    let floating = server.post(DEMO, "/v2.0/floatingips", floating).await.expect(201)["floatingip"].clone();
    assert_eq!(floating["router_id"], router["id"]);

    let gone = json!([{"network_id": two}]);
    let held = ask(&server, DEMO, &router, "remove", gone.clone()).await.error();
    assert!(held.starts_with("409 RouterExternalGatewayInUseByFloatingIp: "), "{held}");
    assert_eq!(ask(&server, DEMO, &router, "update", json!([])).await.status, 409);
    assert_eq!(ask(&server, DEMO, &router, "update", json!([{"network_id": one}])).await.status, 409);
    let swapped = json!([{"network_id": two}, {"network_id": one}]);
    ask(&server, DEMO, &router, "update", swapped).await.expect(200);
    ask(&server, DEMO, &router, "remove", json!([{"network_id": one}])).await.expect(200);
    server.delete(DEMO, &format!("/v2.0/floatingips/{}", id(&floating))).await.expect(204);
    assert_eq!(gateways(&ask(&server, DEMO, &router, "remove", gone).await.expect(200)), Vec::new());
}

#[tokio::test]
async fn gateways_get_an_address_of_a_subnet_that_comes_later() {
    let server = Server::new();
    let one = external(&server).await["network_id"].clone();
    let router = server.create(DEMO, "router", json!({"external_gateway_info": {"network_id": one}})).await;
    let more = async |members: Value| {
        let mut subnet = json!({"network_id": one});
        subnet.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let made = server.create(ADMIN, "subnet", subnet).await;
        let shown = server.get(DEMO, &format!("/v2.0/routers/{}", id(&router))).await.expect(200)["router"].clone();
        let ips = shown["external_gateway_info"]["external_fixed_ips"].as_array().unwrap().clone();
        (ips.len(), ips.iter().any(|ip| ip["subnet_id"] == made["id"]))
    };
    let slaac =
        json!({"ip_version": 6, "cidr": "2001:db8:1::/64", "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"});
    assert_eq!(more(slaac).await, (2, true));
    assert_eq!(more(json!({"ip_version": 4, "cidr": "192.0.2.0/24"})).await, (2, false), "it has one of IPv4");
    assert_eq!(more(json!({"ip_version": 6, "cidr": "2001:db8:2::/64"})).await, (3, true));
    assert_eq!(more(json!({"ip_version": 6, "cidr": "2001:db8:3::/64"})).await, (3, false), "it has one of each");
}
