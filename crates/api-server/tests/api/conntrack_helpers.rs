//! Connection tracking helpers of routers.

use crate::server::{DEMO, OTHER, Server, id};
use serde_json::json;

#[tokio::test]
async fn a_router_shows_its_helpers() {
    let server = Server::new();
    let router = server.create(DEMO, "router", json!({})).await;
    assert_eq!(router["conntrack_helpers"], json!([]));
    let path = format!("/v2.0/routers/{}/conntrack_helpers", id(&router));
    let body = |helper: &str, protocol: &str, port: u16| json!({"conntrack_helper": {"helper": helper, "protocol": protocol, "port": port}});
    let made = server.post(DEMO, &path, body("tftp", "udp", 69)).await.expect(201)["conntrack_helper"].clone();
    assert!(made.get("project_id").is_none() && made.get("tenant_id").is_none());
    server.post(DEMO, &path, body("ftp", "tcp", 21)).await.expect(201);
    let item = format!("{path}/{}", id(&made));
    let changed = server.put(DEMO, &item, json!({"conntrack_helper": {"port": 6969}})).await.expect(200);
    assert_eq!(changed["conntrack_helper"]["port"], 6969);
    let router_path = format!("/v2.0/routers/{}", id(&router));
    let shown = server.get(DEMO, &router_path).await.expect(200)["router"].clone();
    let helpers = shown["conntrack_helpers"].as_array().unwrap();
    assert!(helpers.len() == 2 && helpers.contains(&json!({"helper": "ftp", "protocol": "tcp", "port": 21})));
    assert!(shown["revision_number"].as_u64() > router["revision_number"].as_u64());

    let bad = "400 BadRequest: Bad conntrack_helper request: A duplicate conntrack helper entry with same attributes already \
               exists, conflicting values are ";
    let cases = [
        (body("ftp", "tcp", 21), bad),
        (body("ftp", "udp", 21), "400 InvalidProtocolForHelper: Conntrack Helper ftp does not support: udp. Supported"),
        (body("dns", "udp", 53), "400 ConntrackHelperNotAllowed: Conntrack Helper dns is not allowed."),
        (body("ftp", "tcp", 0), "400 HTTPBadRequest: Invalid input for port. Reason: "),
    ];
    for (body, expected) in cases {
        let answer = server.post(DEMO, &path, body).await.error();
        assert!(answer.starts_with(expected), "{answer}");
    }
    assert_eq!(server.get(OTHER, &path).await.status, 404);
    server.delete(DEMO, &item).await.expect(204);
    server.delete(DEMO, &router_path).await.expect(204);
}
