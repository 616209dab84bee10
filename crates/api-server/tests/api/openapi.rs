//! The description that is served, held against the routes that answer.

use crate::server::{ADMIN, Server};
use serde_json::Value;

async fn description(server: &Server) -> Value {
    server.raw("GET", "/openapi.json", None, Vec::new()).await.expect(200)
}

#[tokio::test]
async fn every_described_operation_is_there() {
    let server = Server::new();
    let description = description(&server).await;
    for (path, item) in description["paths"].as_object().unwrap() {
        // Nothing has this name: what is asked for is not found, or the body is wrong, but the route exists.
        let path = path.replace('{', "no-").replace('}', "");
        for method in ["get", "post", "put", "delete"] {
            if item.get(method).is_none() {
                continue;
            }
            let answer = server.raw(&method.to_uppercase(), &path, Some(ADMIN), Vec::new()).await;
            assert_ne!(answer.status, 405, "{method} {path}: {}", answer.text);
            // What Neutron says of a path that leads nowhere.
            let nowhere = "The resource could not be found.";
            assert_ne!(answer.body["NeutronError"]["message"], nowhere, "{method} {path}: {}", answer.text);
            assert!(answer.status < 500, "{method} {path}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn what_is_not_described_is_not_there() {
    let server = Server::new();
    let description = description(&server).await;
    for (path, item) in description["paths"].as_object().unwrap() {
        let path = path.replace('{', "no-").replace('}', "");
        for method in ["post", "put", "delete", "patch"] {
            if item.get(method).is_some() {
                continue;
            }
            let answer = server.raw(&method.to_uppercase(), &path, Some(ADMIN), b"{}".to_vec()).await;
            // What can be made but not changed has its body read, as in Neutron.
            let expected: &[u16] = if method == "put" { &[400, 404, 405] } else { &[404, 405] };
            assert!(expected.contains(&answer.status), "{method} {path}: {} {}", answer.status, answer.text);
        }
    }
}

#[tokio::test]
async fn paths_are_spelled_as_clients_write_them() {
    let description = description(&Server::new()).await;
    let unnamed = |part: &str| if part.starts_with('{') { "ID".to_owned() } else { part.to_owned() };
    let described: Vec<String> = description["paths"]
        .as_object()
        .unwrap()
        .keys()
        .map(|path| path.split('/').map(unnamed).collect::<Vec<_>>().join("/"))
        .collect();
    // openstacksdk's `base_path`s.
    for path in [
        "address-groups",
        "auto-allocated-topology/ID",
        "availability_zones",
        "local_ips/ID/port_associations",
        "metering/metering-labels",
        "ndp_proxies",
        "network-ip-availabilities",
        "network_segment_ranges",
        "networks/ID/dhcp-agents",
        "qos/policies/ID/bandwidth_limit_rules",
        "qos/rule-types",
        "security-groups-default-statefulness",
        "service-providers",
        "service_profiles",
    ] {
        assert!(described.contains(&format!("/v2.0/{path}")), "{path}");
    }
}

#[tokio::test]
async fn the_description_needs_no_token_and_says_that_everything_else_does() {
    let server = Server::new();
    let description = description(&server).await;
    assert_eq!(description["openapi"], "3.1.0");
    assert_eq!(description["security"], serde_json::json!([{"token": []}]));
    assert_eq!(server.raw("GET", "/v2.0/extensions", None, Vec::new()).await.status, 401);
}
