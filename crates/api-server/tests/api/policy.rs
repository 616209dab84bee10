//! An operator's policy file in force.

use crate::server::{ADMIN, DEMO, OTHER, READER, Server, id};
use serde_json::json;

#[tokio::test]
async fn an_operators_rules_hold_for_actions_attributes_and_members() {
    let rules = [
        "\"create_router\": \"role:network_team\"",
        "\"get_network:mtu\": \"rule:admin_only\"",
        "\"create_port:fixed_ips:subnet_id\": \"!\"",
        "\"update_network\": \"rule:admin_only or project_id:%(project_id)s\"",
        "\"get_port\": \"rule:admin_or_owner and not field:ports:name=~secret\"",
    ];
    let server = Server::ruled(&rules.join("\n"));
    let network = server.create(DEMO, "network", json!({"name": "n"})).await;
    assert!(network.get("mtu").is_none(), "one attribute is hidden");
    let path = format!("/v2.0/networks/{}", id(&network));
    assert!(server.get(ADMIN, &path).await.expect(200)["network"]["mtu"].is_number());
    let refused = server.post(DEMO, "/v2.0/routers", json!({"router": {}})).await;
    assert_eq!(refused.error(), "403 PolicyNotAuthorized: rule:create_router is disallowed by policy");
    // What was a member's to do is a reader's, too.
    server.put(READER, &path, json!({"network": {"name": "read"}})).await.expect(200);
    let subnet = json!({"network_id": id(&network), "ip_version": 4, "cidr": "10.0.0.0/24"});
    let subnet = server.create(DEMO, "subnet", subnet).await;
    let port = json!({"port": {"network_id": id(&network), "fixed_ips": [{"subnet_id": id(&subnet)}]}});
    server.post(DEMO, "/v2.0/ports", port).await.expect(403);
    // Conditions upon objects hold for lists and for single objects.
    let hidden = server.create(DEMO, "port", json!({"network_id": id(&network), "name": "secret-1"})).await;
    let shown = server.create(DEMO, "port", json!({"network_id": id(&network), "name": "plain"})).await;
    let list = server.get(DEMO, "/v2.0/ports").await.expect(200);
    let names: Vec<&str> =
        list["ports"].as_array().unwrap().iter().map(|port| port["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["plain"]);
    server.get(DEMO, &format!("/v2.0/ports/{}", id(&hidden))).await.expect(404);
    server.get(DEMO, &format!("/v2.0/ports/{}", id(&shown))).await.expect(200);
    server.get(OTHER, &format!("/v2.0/ports/{}", id(&shown))).await.expect(404);
}
