//! Networks for the asking, and how many addresses are used.

use crate::server::{ADMIN, DEMO, DEMO_PROJECT, OTHER_PROJECT, Server, id};
use serde_json::{Value, json};

async fn count(server: &Server, token: &str, collection: &str) -> usize {
    let list = server.get(token, &format!("/v2.0/{collection}?project_id={DEMO_PROJECT}")).await.expect(200);
    list[collection].as_array().unwrap().len()
}

#[tokio::test]
async fn a_project_gets_a_network_for_the_asking() {
    let server = Server::new();
    let path = format!("/v2.0/auto-allocated-topology/{DEMO_PROJECT}");
    let dry = format!("{path}?fields=dry-run");
    assert_eq!(
        server.get(DEMO, &dry).await.error(),
        "409 AutoAllocationFailure: Deployment error: No default router:external network."
    );
    let external = json!({"router:external": true, "is_default": true});
    let external = server.create(ADMIN, "network", external).await;
    let subnet = json!({"network_id": id(&external), "ip_version": 4, "cidr": "203.0.113.0/24"});
    server.create(ADMIN, "subnet", subnet).await;
    assert_eq!(
        server.get(DEMO, &path).await.error(),
        "409 AutoAllocationFailure: Deployment error: No default subnetpools defined."
    );
    for (prefix, length) in [("10.0.0.0/8", 26), ("fd00::/48", 64)] {
        let pool =
            json!({"name": "p", "prefixes": [prefix], "default_prefixlen": length, "is_default": true, "shared": true});
        server.create(ADMIN, "subnetpool", pool).await;
    }
    let pass = server.get(DEMO, &dry).await.expect(200);
    assert_eq!(pass["auto_allocated_topology"]["id"], "dry-run=pass");
    assert_eq!(count(&server, DEMO, "networks").await, 0);
    let made = server.get(DEMO, &path).await.expect(200);
    assert_eq!(server.get(DEMO, "/v2.0/auto-allocated-topology/None").await.expect(200), made, "it is made once");
    assert_eq!((count(&server, DEMO, "networks").await, count(&server, DEMO, "subnets").await), (1, 2));
    let routers = server.get(DEMO, "/v2.0/routers?name=auto_allocated_router").await.expect(200);
    assert_eq!(routers["routers"][0]["external_gateway_info"]["network_id"], external["id"]);
    let foreign = format!("/v2.0/auto-allocated-topology/{OTHER_PROJECT}");
    assert_eq!(server.get(DEMO, &foreign).await.status, 403);
    assert_eq!(server.get(DEMO, &format!("{path}?fields=id")).await.status, 400);
    server.delete(DEMO, &path).await.expect(204);
    for collection in ["networks", "subnets", "routers", "ports"] {
        assert_eq!(count(&server, DEMO, collection).await, 0, "{collection}");
    }
    server.delete(DEMO, &path).await.expect(204);
}

#[tokio::test]
async fn administrators_see_how_many_addresses_are_used() {
    let server = Server::new();
    let network = server.create(DEMO, "network", json!({"name": "n"})).await;
    let show = format!("/v2.0/network-ip-availabilities/{}", id(&network));
    let empty = server.get(ADMIN, &show).await.expect(200);
    assert_eq!(empty["network_ip_availability"]["total_ips"], 0);
    for (version, cidr) in [(4, "10.0.0.0/24"), (6, "fd00::/64")] {
        let subnet = json!({"network_id": id(&network), "ip_version": version, "cidr": cidr});
        server.create(DEMO, "subnet", subnet).await;
    }
    server.create(DEMO, "port", json!({"network_id": id(&network)})).await;
    let shown = server.get(ADMIN, &show).await.expect(200)["network_ip_availability"].clone();
    assert_eq!((&shown["used_ips"], &shown["network_name"]), (&json!(2), &json!("n")));
    let (v4, v6) = (&shown["subnet_ip_availability"][0], &shown["subnet_ip_availability"][1]);
    assert_eq!((&v4["total_ips"], &v4["used_ips"]), (&json!(253), &json!(1)));
    assert_eq!(v4["ip_availability_details"]["total_ips_in_subnet"], 254);
    assert_eq!(v6["total_ips"], json!(u64::MAX));
    let list = "/v2.0/network-ip-availabilities?ip_version=4&fields=network_id&fields=used_ips";
    let listed = server.get(ADMIN, list).await.expect(200);
    assert_eq!(listed["network_ip_availabilities"], json!([{"network_id": id(&network), "used_ips": 1}]));
    assert_eq!(server.get(DEMO, &show).await.status, 404);
    let hidden = server.get(DEMO, "/v2.0/network-ip-availabilities").await.expect(200);
    assert_eq!(hidden["network_ip_availabilities"], json!([]) as Value);
    assert_eq!(server.get(ADMIN, "/v2.0/network-ip-availabilities?color=red").await.status, 400);
    let alone = server.get(ADMIN, &format!("{show}?fields=used_ips&fields=network_name")).await.expect(200);
    assert_eq!(alone["network_ip_availability"], json!({"network_name": "n", "used_ips": 2}));
}

#[tokio::test]
async fn the_counts_come_in_pages() {
    let server = Server::new();
    let mut networks = Vec::new();
    for name in ["a", "b", "b"] {
        networks.push(id(&server.create(DEMO, "network", json!({ "name": name })).await).to_owned());
    }
    let subnet = json!({"network_id": networks[0], "ip_version": 4, "cidr": "10.0.0.0/24"});
    server.create(DEMO, "subnet", subnet).await;
    networks.sort();
    let list = "/v2.0/network-ip-availabilities";
    let ids = |body: &Value| -> Vec<String> {
        let found = body["network_ip_availabilities"].as_array().unwrap().iter();
        found.map(|network| network["network_id"].as_str().unwrap().to_owned()).collect()
    };
    let first = server.get(ADMIN, &format!("{list}?limit=2&sort_key=network_id&sort_dir=asc")).await.expect(200);
    assert_eq!(ids(&first), networks[..2]);
    let next = first["network_ip_availabilities_links"][0]["href"].as_str().unwrap();
    let rest = server.get(ADMIN, next.split_once("9696").unwrap().1).await.expect(200);
    assert_eq!(ids(&rest), networks[2..]);
    let back = format!("{list}?limit=5&page_reverse=True&marker={}", networks[2]);
    assert_eq!(ids(&server.get(ADMIN, &back).await.expect(200)), networks[..2]);
    let falling = server.get(ADMIN, &format!("{list}?sort_key=network_id&sort_dir=desc")).await.expect(200);
    assert_eq!(ids(&falling), networks.iter().rev().cloned().collect::<Vec<_>>());
    assert_eq!(server.get(ADMIN, &format!("{list}?sort_key=used_ips&sort_dir=asc")).await.status, 400);
    for (filter, count) in [("network_name=b", 2), ("ip_version=4", 1), ("ip_version=6", 0), ("ip_version=x", 0)] {
        let found = server.get(ADMIN, &format!("{list}?{filter}")).await.expect(200);
        assert_eq!(ids(&found).len(), count, "{filter}");
    }
}
