//! Port mirroring: tap services, tap flows and tap mirrors.

use crate::server::{ADMIN, ADMIN_PROJECT, DEMO, DEMO_PROJECT, OTHER, READER, Server, id};
use serde_json::{Value, json};

async fn port(server: &Server, token: &str) -> Value {
    let network = server.create(token, "network", json!({})).await;
    server.create(token, "port", json!({"network_id": id(&network)})).await
}

async fn tries(server: &Server, token: &str, resource: &str, body: Value) -> String {
    server.post(token, &format!("/v2.0/taas/{resource}s"), json!({ resource: body })).await.error()
}

#[tokio::test]
async fn a_tap_service_goes_with_its_flows() {
    let server = Server::new();
    let (monitor, source) = (port(&server, DEMO).await, port(&server, DEMO).await);
    let service = server.create(DEMO, "tap_service", json!({"port_id": id(&monitor), "name": "watch"})).await;
    assert_eq!(
        service,
        json!({"id": service["id"], "project_id": DEMO_PROJECT, "tenant_id": DEMO_PROJECT, "name": "watch",
            "description": "", "port_id": monitor["id"], "status": "DOWN"})
    );
    let body = json!({"tap_service_id": id(&service), "source_port": id(&source), "direction": "BOTH"});
    let flow = server.create(DEMO, "tap_flow", body).await;
    assert_eq!((&flow["direction"], &flow["status"]), (&json!("BOTH"), &json!("DOWN")));
    let path = format!("/v2.0/taas/tap_flows/{}", id(&flow));
    let renamed = server.put(DEMO, &path, json!({"tap_flow": {"name": "f"}})).await.expect(200);
    assert_eq!(renamed["tap_flow"]["name"], "f");
    assert_eq!(server.put(DEMO, &path, json!({"tap_flow": {"direction": "IN"}})).await.status, 400);
    let listed = server.get(DEMO, "/v2.0/taas/tap_flows?name=f&fields=id").await.expect(200);
    assert_eq!(listed, json!({"tap_flows": [{"id": flow["id"]}]}));
    // Members look; readers do not, as the service's own rules have it.
    assert_eq!(server.get(READER, &path).await.status, 404);
    server.delete(DEMO, &format!("/v2.0/taas/tap_services/{}", id(&service))).await.expect(204);
    assert_eq!(
        server.get(DEMO, &path).await.error(),
        format!("404 TapFlowNotFound: Tap Flow  {} does not exist", id(&flow))
    );
}

#[tokio::test]
async fn what_is_mirrored_is_the_projects_own() {
    let server = Server::new();
    let (mine, theirs) = (port(&server, DEMO).await, port(&server, OTHER).await);
    let foreign = tries(&server, DEMO, "tap_service", json!({"port_id": id(&theirs)})).await;
    assert!(foreign.starts_with("404 PortNotFound: "), "{foreign}");
    // An administrator sees it, but the service would be of another project than the port.
    let refused = tries(&server, ADMIN, "tap_service", json!({"port_id": id(&theirs)})).await;
    assert_eq!(refused, "403 PortDoesNotBelongToTenant: The specified port does not belong to the tenant");
    let own = json!({"port_id": id(&mine), "project_id": DEMO_PROJECT});
    let service = server.create(ADMIN, "tap_service", own).await;
    let flow = |port: &Value| json!({"tap_service_id": id(&service), "source_port": id(port), "direction": "IN"});
    let error = tries(&server, DEMO, "tap_flow", flow(&theirs)).await;
    assert!(error.starts_with("404 PortNotFound: "), "{error}");
    let error = tries(&server, OTHER, "tap_flow", flow(&theirs)).await;
    assert_eq!(error, format!("404 TapServiceNotFound: Tap Service  {} does not exist", id(&service)));
    let mut of_admin = flow(&mine);
    of_admin["project_id"] = json!(ADMIN_PROJECT);
    let error = tries(&server, ADMIN, "tap_flow", of_admin).await;
    assert_eq!(error, "403 TapServiceNotBelongToTenant: Specified Tap Service does not belong to the tenant");
    let mut wrong = flow(&mine);
    wrong["direction"] = json!("both");
    assert!(tries(&server, DEMO, "tap_flow", wrong).await.starts_with("400 HTTPBadRequest: "));
    server.create(DEMO, "tap_flow", flow(&mine)).await;
}

#[tokio::test]
async fn with_a_port_goes_what_is_mirrored_to_or_from_it() {
    let server = Server::new();
    let (monitor, source) = (port(&server, DEMO).await, port(&server, DEMO).await);
    let service = server.create(DEMO, "tap_service", json!({"port_id": id(&monitor)})).await;
    let body = json!({"tap_service_id": id(&service), "source_port": id(&source), "direction": "OUT"});
    server.create(DEMO, "tap_flow", body.clone()).await;
    let mirror = json!({"port_id": id(&source), "directions": {"BOTH": "7"}, "remote_ip": "192.0.2.9",
        "mirror_type": "erspanv1"});
    server.create(DEMO, "tap_mirror", mirror).await;
    let left = async || {
        let mut left = Vec::new();
        for collection in ["tap_services", "tap_flows", "tap_mirrors"] {
            let listed = server.get(DEMO, &format!("/v2.0/taas/{collection}")).await.expect(200);
            left.push(listed[collection].as_array().unwrap().len());
        }
        left
    };
    assert_eq!(left().await, [1, 1, 1]);
    server.delete(DEMO, &format!("/v2.0/ports/{}", id(&source))).await.expect(204);
    assert_eq!(left().await, [1, 0, 0]);
    let another = port(&server, DEMO).await;
    let body = json!({"tap_service_id": id(&service), "source_port": id(&another), "direction": "OUT"});
    server.create(DEMO, "tap_flow", body).await;
    server.delete(DEMO, &format!("/v2.0/ports/{}", id(&monitor))).await.expect(204);
    assert_eq!(left().await, [0, 0, 0]);
}

#[tokio::test]
async fn numbers_of_mirrors_are_used_once() {
    let server = Server::new();
    let source = port(&server, DEMO).await;
    let body = |directions: Value| json!({"port_id": id(&source), "directions": directions, "remote_ip": "192.0.2.9", "mirror_type": "gre"});
    // What clients send as text is shown as text.
    let mirror = server.create(DEMO, "tap_mirror", body(json!({"IN": "101", "OUT": 102}))).await;
    assert_eq!(mirror["directions"], json!({"IN": "101", "OUT": 102}));
    let taken = tries(&server, DEMO, "tap_mirror", body(json!({"BOTH": 102}))).await;
    assert_eq!(taken, "409 TapMirrorTunnelConflict: Tap Mirror with tunnel_id 102 already exists");
    let twice = tries(&server, DEMO, "tap_mirror", body(json!({"IN": 5, "OUT": 5}))).await;
    assert_eq!(twice, "409 TapMirrorTunnelConflict: Tap Mirror with tunnel_id 5 already exists");
    server.delete(DEMO, &format!("/v2.0/taas/tap_mirrors/{}", id(&mirror))).await.expect(204);
    server.create(DEMO, "tap_mirror", body(json!({"BOTH": 102}))).await;
    let multicast = tries(
        &server,
        DEMO,
        "tap_mirror",
        json!({"port_id": id(&source), "directions": {"IN": 9},
        "remote_ip": "collector", "mirror_type": "gre"}),
    )
    .await;
    assert!(multicast.starts_with("400 HTTPBadRequest: "), "{multicast}");
}

/// The copies of a tap service go by the tunnels of networks: no network gets the same number.
#[tokio::test]
async fn networks_keep_away_from_the_keys_of_taps() {
    let server = Server::new();
    let monitor = port(&server, DEMO).await;
    server.create(DEMO, "tap_service", json!({"port_id": id(&monitor)})).await;
    let vxlan =
        |number: u32| json!({"network": {"provider:network_type": "vxlan", "provider:segmentation_id": number}});
    let taken = server.post(ADMIN, "/v2.0/networks", vxlan(0xff_ffff)).await.error();
    assert!(taken.starts_with("409 TunnelIdInUse: "), "{taken}");
    server.post(ADMIN, "/v2.0/networks", vxlan(0xff_fffe)).await.expect(201);
    server.create(DEMO, "tap_service", json!({"port_id": id(&monitor)})).await;
    let taken = server.post(ADMIN, "/v2.0/networks", vxlan(0xff_fffd)).await.error();
    assert!(taken.starts_with("409 TunnelIdInUse: "), "{taken}");
}
