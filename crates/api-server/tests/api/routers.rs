//! Routers as clients see them.

use crate::server::{ADMIN, DEMO, DEMO_PROJECT, OTHER, Server, id};
use serde_json::{Value, json};

/// A network with one subnet; the subnet.
pub async fn subnet(server: &Server, token: &str, network: Value, cidr: &str) -> Value {
    let network = server.create(token, "network", network).await;
    let version = if cidr.contains(':') { 6 } else { 4 };
    server.create(token, "subnet", json!({"network_id": id(&network), "ip_version": version, "cidr": cidr})).await
}

/// An external network 203.0.113.0/24; its subnet.
pub async fn external(server: &Server) -> Value {
    subnet(server, ADMIN, json!({"router:external": true}), "203.0.113.0/24").await
}

/// A subnet 10.0.0.0/24 behind a router to an external network: that one's subnet, the one inside, and the router.
pub async fn behind(server: &Server) -> (Value, Value, Value) {
    let outside = external(server).await;
    let inside = subnet(server, DEMO, json!({}), "10.0.0.0/24").await;
    let info = json!({"network_id": outside["network_id"]});
    let router = server.create(DEMO, "router", json!({"external_gateway_info": info})).await;
    let add = format!("/v2.0/routers/{}/add_router_interface", id(&router));
    server.put(DEMO, &add, json!({"subnet_id": id(&inside)})).await.expect(200);
    (outside, inside, router)
}

#[tokio::test]
async fn a_gateway_is_an_address_outside() {
    let server = Server::new();
    let outside = external(&server).await;
    let info = json!({"network_id": outside["network_id"]});
    let router = server.create(DEMO, "router", json!({"name": "r", "external_gateway_info": info})).await;
    let shown = &router["external_gateway_info"];
    assert_eq!((&shown["network_id"], &shown["enable_snat"]), (&outside["network_id"], &json!(true)));
    assert_eq!(shown["external_fixed_ips"][0]["subnet_id"], outside["id"]);
    assert_eq!((&router["status"], &router["routes"]), (&json!("ACTIVE"), &json!([])));
    assert!(router.get("ha").is_none() && router.get("distributed").is_none(), "an administrator's matter");

    let ports = server.get(DEMO, "/v2.0/ports").await.expect(200);
    assert_eq!(ports, json!({"ports": []}), "the gateway's port is nobody's");
    let ports = server.get(ADMIN, &format!("/v2.0/ports?device_id={}", id(&router))).await.expect(200);
    assert_eq!(ports["ports"][0]["device_owner"], "network:router_gateway");

    let path = format!("/v2.0/routers/{}", id(&router));
    let no_snat =
        json!({"router": {"external_gateway_info": {"network_id": outside["network_id"], "enable_snat": false}}});
    assert_eq!(server.put(DEMO, &path, no_snat.clone()).await.status, 403, "only an administrator switches SNAT off");
    let changed = server.put(ADMIN, &path, no_snat).await.expect(200);
    assert_eq!(changed["router"]["external_gateway_info"]["enable_snat"], false);
    assert_eq!((&changed["router"]["ha"], &changed["router"]["distributed"]), (&json!(false), &json!(false)));
    let cleared = server.put(DEMO, &path, json!({"router": {"external_gateway_info": {}}})).await.expect(200);
    assert_eq!(cleared["router"]["external_gateway_info"], Value::Null);
    server.delete(DEMO, &path).await.expect(204);
    assert_eq!(server.get(ADMIN, "/v2.0/ports").await.expect(200), json!({"ports": []}));
}

#[tokio::test]
async fn gateways_are_refused_in_neutrons_words() {
    let server = Server::new();
    let inside = subnet(&server, DEMO, json!({}), "10.0.0.0/24").await;
    let foreign = subnet(&server, OTHER, json!({}), "10.1.0.0/24").await;
    let network = inside["network_id"].as_str().unwrap();
    let cases = [
        (
            json!({"network_id": network}),
            format!("400 BadRequest: Bad router request: Network {network} is not an external network."),
        ),
        (
            json!({"network_id": foreign["network_id"]}),
            format!("404 NetworkNotFound: Network {} could not be found.", foreign["network_id"].as_str().unwrap()),
        ),
        (
            json!({"enable_snat": true}),
            "400 HTTPBadRequest: Invalid input for external_gateway_info. Reason: Validation of dictionary's keys failed. \
             Expected keys: {'network_id'} Provided keys: {'enable_snat'}."
                .to_owned(),
        ),
        (
            json!("net"),
            "400 HTTPBadRequest: Invalid input for external_gateway_info. Reason: 'net' is not a dictionary.".to_owned(),
        ),
    ];
    for (info, expected) in cases {
        let answer = server.post(DEMO, "/v2.0/routers", json!({"router": {"external_gateway_info": info}})).await;
        assert_eq!(answer.error(), expected);
    }
    assert_eq!(server.get(DEMO, "/v2.0/routers").await.expect(200), json!({"routers": []}));
}

#[tokio::test]
async fn interfaces_come_and_go_by_subnet_and_by_port() {
    let server = Server::new();
    let inside = subnet(&server, DEMO, json!({}), "10.0.0.0/24").await;
    let second = subnet(&server, DEMO, json!({}), "10.0.1.0/24").await;
    let router = server.create(DEMO, "router", json!({})).await;
    let path = |action: &str| format!("/v2.0/routers/{}/{action}", id(&router));
    let (add, remove) = (path("add_router_interface"), path("remove_router_interface"));
    let by_subnet = json!({"subnet_id": id(&inside)});
    let added = server.put(DEMO, &add, by_subnet.clone()).await.expect(200);
    assert_eq!(added["id"], router["id"]);
    assert_eq!((&added["subnet_id"], &added["subnet_ids"]), (&inside["id"], &json!([inside["id"]])));
    assert_eq!((&added["tenant_id"], &added["network_id"]), (&json!(DEMO_PROJECT), &inside["network_id"]));
    let port = server.get(DEMO, &format!("/v2.0/ports/{}", added["port_id"].as_str().unwrap())).await.expect(200);
    assert_eq!(port["port"]["fixed_ips"][0]["ip_address"], "10.0.0.1");
    assert_eq!(port["port"]["device_owner"], "network:router_interface");
    assert_eq!(
        server.put(DEMO, &add, by_subnet.clone()).await.error(),
        format!("400 BadRequest: Bad router request: Router already has a port on subnet {}.", id(&inside))
    );
    let delete = server.delete(DEMO, &format!("/v2.0/ports/{}", added["port_id"].as_str().unwrap())).await;
    assert!(delete.error().starts_with("409 ServicePortInUse: "), "{}", delete.text);

    let port = server.create(DEMO, "port", json!({"network_id": second["network_id"]})).await;
    let by_port = json!({"port_id": id(&port)});
    assert_eq!(server.put(DEMO, &add, by_port.clone()).await.expect(200)["port_id"], port["id"]);
    let held = server.delete(DEMO, &format!("/v2.0/routers/{}", id(&router))).await.error();
    assert!(held.starts_with(&format!("409 RouterInUse: Router {} has ports still attached: ", id(&router))), "{held}");
    let wrong = json!({"port_id": id(&port), "subnet_id": id(&inside)});
    assert!(server.put(DEMO, &remove, wrong).await.error().starts_with("400 SubnetMismatchForPort: "));
    server.put(DEMO, &remove, by_port).await.expect(200);
    server.put(DEMO, &remove, by_subnet.clone()).await.expect(200);
    assert_eq!(
        server.put(DEMO, &remove, by_subnet).await.error(),
        format!(
            "404 RouterInterfaceNotFoundForSubnet: Router {} has no interface on subnet {}",
            id(&router),
            id(&inside)
        )
    );
}

#[tokio::test]
async fn mistakes_in_interfaces_are_told_in_neutrons_words() {
    let server = Server::new();
    let inside = subnet(&server, DEMO, json!({}), "10.0.0.0/24").await;
    let overlapping = subnet(&server, DEMO, json!({}), "10.0.0.128/25").await;
    let foreign = subnet(&server, OTHER, json!({}), "10.1.0.0/24").await;
    let shared = subnet(&server, ADMIN, json!({"shared": true}), "10.2.0.0/24").await;
    let router = server.create(DEMO, "router", json!({})).await;
    let add = format!("/v2.0/routers/{}/add_router_interface", id(&router));
    server.put(DEMO, &add, json!({"subnet_id": id(&inside)})).await.expect(200);
    let bad = "400 BadRequest: Bad router request: ";
    let cases = [
        (json!({}), format!("{bad}Either subnet_id or port_id must be specified.")),
        (json!({"subnet_id": "x"}), format!("{bad}'x' is not a valid UUID.")),
        (
            json!({"subnet_id": id(&inside), "port_id": id(&inside)}),
            format!("{bad}Cannot specify both subnet-id and port-id."),
        ),
        (
            json!({"subnet_id": id(&overlapping)}),
            format!(
                "{bad}Cidr 10.0.0.128/25 of subnet {} overlaps with cidr 10.0.0.0/24 of subnet {}.",
                id(&overlapping),
                id(&inside)
            ),
        ),
        (
            json!({"subnet_id": id(&foreign)}),
            format!("404 SubnetNotFound: Subnet {} could not be found.", id(&foreign)),
        ),
        (
            json!({"subnet_id": id(&shared)}),
            format!(
                "{bad}Cannot add interface to router because subnet {} is not owned by project making the request.",
                id(&shared)
            ),
        ),
        (json!({"port_id": id(&inside)}), format!("404 PortNotFound: Port {} could not be found.", id(&inside))),
    ];
    for (body, expected) in cases {
        assert_eq!(server.put(DEMO, &add, body).await.error(), expected);
    }
    let theirs = server.put(OTHER, &add, json!({"subnet_id": id(&foreign)})).await;
    assert_eq!(theirs.error(), format!("404 RouterNotFound: Router {} could not be found", id(&router)));
}

#[tokio::test]
async fn extra_routes_are_replaced_added_and_removed() {
    let server = Server::new();
    let inside = subnet(&server, DEMO, json!({}), "10.0.0.0/24").await;
    let router = server.create(DEMO, "router", json!({})).await;
    let path = format!("/v2.0/routers/{}", id(&router));
    server.put(DEMO, &format!("{path}/add_router_interface"), json!({"subnet_id": id(&inside)})).await.expect(200);
    let route = |n: u8| json!({"destination": format!("192.168.{n}.0/24"), "nexthop": "10.0.0.9"});
    let body = |routes: Value| json!({"router": {"routes": routes}});
    let set = server.put(DEMO, &path, body(json!([route(2), route(1)]))).await.expect(200);
    assert_eq!(set["router"]["routes"], json!([route(1), route(2)]));
    let more =
        server.put(DEMO, &format!("{path}/add_extraroutes"), body(json!([route(2), route(3)]))).await.expect(200);
    assert_eq!(more["router"]["routes"], json!([route(1), route(2), route(3)]));
    let less =
        server.put(DEMO, &format!("{path}/remove_extraroutes"), body(json!([route(1), route(9)]))).await.expect(200);
    assert_eq!(less["router"]["routes"], json!([route(2), route(3)]));
    let held = server.put(DEMO, &format!("{path}/remove_router_interface"), json!({"subnet_id": id(&inside)})).await;
    assert!(held.error().starts_with("409 RouterInterfaceInUseByRoute: "));
    let lost = server.put(DEMO, &path, body(json!([{"destination": "192.168.1.0/24", "nexthop": "10.9.0.9"}]))).await;
    assert_eq!(
        lost.error(),
        "400 InvalidRoutes: Invalid format for routes: [{'destination': '192.168.1.0/24', 'nexthop': '10.9.0.9'}], \
         the nexthop is not connected with router"
    );
    let twice =
        server.put(DEMO, &format!("{path}/add_extraroutes"), body(json!([route(4), route(4)]))).await.expect(200);
    assert_eq!(twice["router"]["routes"], json!([route(2), route(3), route(4)]));
    let invalid = "400 HTTPBadRequest: Invalid input for routes. Reason: ";
    for (routes, expected) in [
        (json!("x"), format!("{invalid}Invalid data format for hostroute: 'x'.")),
        (
            json!([{"destination": "192.168.1.0/24"}]),
            format!(
                "{invalid}Validation of dictionary's keys failed. Expected keys: {{'destination', 'nexthop'}} Provided keys: {{'destination'}}."
            ),
        ),
        (
            json!([{"destination": "192.168.1.0/24", "nexthop": "x"}]),
            format!("{invalid}'x' is not a valid IP address."),
        ),
    ] {
        for action in ["add_extraroutes", "remove_extraroutes"] {
            let refused = server.put(DEMO, &format!("{path}/{action}"), body(routes.clone())).await;
            assert_eq!(refused.error(), expected, "{action}");
        }
    }
    let unsaid = server.put(DEMO, &format!("{path}/add_extraroutes"), json!({"router": {}})).await;
    assert_eq!(unsaid.error(), "400 HTTPBadRequest: Unable to find 'routes' in request body");
    let cleared = server.put(DEMO, &path, body(Value::Null)).await.expect(200);
    assert_eq!(cleared["router"]["routes"], json!([]));
}
