//! NDP proxies, and what they keep a router from doing.

use crate::routers::{external, subnet};
use crate::samples;
use crate::server::{ADMIN, DEMO, Server, id};
use serde_json::{Value, json};

#[tokio::test]
async fn a_router_answers_for_addresses_behind_it() {
    let server = Server::new();
    let sample = samples::create(&server, DEMO, "ndp_proxy").await;
    let post = async |body: Value| server.post(DEMO, "/v2.0/ndp_proxies", json!({ "ndp_proxy": body })).await;
    let made = post(sample.clone()).await.expect(201)["ndp_proxy"].clone();
    let port = format!("/v2.0/ports/{}", sample["port_id"].as_str().unwrap());
    let port = server.get(DEMO, &port).await.expect(200)["port"].clone();
    assert_eq!(made["ip_address"], port["fixed_ips"][0]["ip_address"]);
    assert_eq!(post(sample.clone()).await.status, 409, "an address once");

    let router = format!("/v2.0/routers/{}", sample["router_id"].as_str().unwrap());
    assert_eq!(server.get(DEMO, &router).await.expect(200)["router"]["enable_ndp_proxy"], true);
    let outside = server.get(ADMIN, &router).await.expect(200)["router"]["external_gateway_info"]["network_id"].clone();
    let v4 = json!({"network_id": outside, "ip_version": 4, "cidr": "203.0.113.0/24"});
    let v4 = server.create(ADMIN, "subnet", v4).await;
    let ips = json!([{"subnet_id": id(&v4)}]);
    let only_v4 = json!({"router": {"external_gateway_info": {"network_id": outside, "external_fixed_ips": ips}}});
    let held = server.put(ADMIN, &router, only_v4).await;
    assert!(held.error().starts_with("409 RouterIPv6GatewayInUse: "), "{}", held.text);
    let cleared = json!({"router": {"external_gateway_info": null}});
    let held = server.put(DEMO, &router, cleared.clone()).await;
    assert!(held.error().starts_with("409 RouterGatewayInUseByNDPProxy: "), "{}", held.text);
    let remove = json!({"subnet_id": port["fixed_ips"][0]["subnet_id"]});
    let held = server.put(DEMO, &format!("{router}/remove_router_interface"), remove).await;
    assert!(held.error().starts_with("409 RouterInterfaceInUseByNDPProxy: "), "{}", held.text);

    // A subnet outside of the scope.
    let foreign = json!({"network_id": port["network_id"], "ip_version": 4, "cidr": "10.6.0.0/24"});
    server.create(DEMO, "subnet", foreign).await;
    let other = subnet(&server, DEMO, json!({}), "fd00:7::/64").await;
    let unscoped = server.create(DEMO, "port", json!({"network_id": other["network_id"]})).await;
    let mut body = json!({"router_id": sample["router_id"], "port_id": id(&unscoped)});
    assert!(post(body.clone()).await.error().starts_with("409 PortUnreachableRouter: "));
    server.put(DEMO, &format!("{router}/add_router_interface"), json!({"subnet_id": id(&other)})).await.expect(200);
    assert!(post(body.clone()).await.error().starts_with("409 AddressScopeConflict: "));
    body["ip_address"] = json!("fd00:7::dead:beef");
    assert!(post(body).await.error().starts_with("400 InvalidAddress: "));

    server.delete(DEMO, &format!("/v2.0/ndp_proxies/{}", id(&made))).await.expect(204);
    let without = server.put(DEMO, &router, cleared).await.expect(200);
    assert_eq!(without["router"]["enable_ndp_proxy"], false);
    let again = server.put(DEMO, &router, json!({"router": {"enable_ndp_proxy": true}})).await;
    assert!(again.error().starts_with("409 RouterGatewayNotValid: "));
}

#[tokio::test]
async fn a_router_needs_an_outside_of_a_scope_for_it() {
    let server = Server::new();
    let outside = external(&server).await;
    let body = json!({"external_gateway_info": {"network_id": outside["network_id"]}, "enable_ndp_proxy": true});
    let refused = server.post(DEMO, "/v2.0/routers", json!({ "router": body })).await;
    assert!(refused.error().starts_with("409 RouterGatewayNotValid: "));
    let router = server.create(DEMO, "router", json!({})).await;
    assert_eq!(router["enable_ndp_proxy"], false);
}
