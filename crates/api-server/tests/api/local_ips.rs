//! Local IPs and the ports that they lead to.

use crate::routers::subnet;
use crate::server::{ADMIN, DEMO, Server, id};
use serde_json::{Value, json};

#[tokio::test]
async fn a_local_ip_has_a_port_or_takes_one() {
    let server = Server::new();
    let inside = subnet(&server, DEMO, json!({}), "10.0.0.0/24").await;
    let network = &inside["network_id"];
    let made = server.create(DEMO, "local_ip", json!({"network_id": network, "local_ip_address": "10.0.0.77"})).await;
    assert_eq!((&made["local_ip_address"], &made["ip_mode"]), (&json!("10.0.0.77"), &json!("translate")));
    let holder = format!("/v2.0/ports/{}", made["local_port_id"].as_str().unwrap());
    let port = server.get(ADMIN, &holder).await.expect(200)["port"].clone();
    assert_eq!((&port["device_owner"], &port["status"]), (&json!("network:local_ip"), &json!("N/A")));
    assert!(server.delete(ADMIN, &holder).await.error().starts_with("409 ServicePortInUse: "));

    let target = server.create(DEMO, "port", json!({"network_id": network})).await;
    let associations = format!("/v2.0/local_ips/{}/port_associations", id(&made));
    let body = json!({"port_association": {"fixed_port_id": id(&target)}});
    let one = server.post(DEMO, &associations, body.clone()).await.expect(201)["port_association"].clone();
    assert_eq!((&one["local_ip_id"], &one["fixed_ip"]), (&made["id"], &target["fixed_ips"][0]["ip_address"]));
    assert_eq!((&one["local_ip_address"], &one["host"]), (&json!("10.0.0.77"), &json!("")));
    assert_eq!(server.post(DEMO, &associations, body).await.status, 409);
    let listed = server.get(DEMO, &associations).await.expect(200);
    assert_eq!(listed, json!({"port_associations": [one]}));

    let item = format!("/v2.0/local_ips/{}", id(&made));
    let held = server.delete(DEMO, &item).await.error();
    assert_eq!(held, format!("409 LocalIPInUse: Local IP {} is still associated with one or more ports.", id(&made)));
    let association = format!("{associations}/{}", id(&target));
    server.delete(DEMO, &association).await.expect(204);
    assert_eq!(
        server.get(DEMO, &association).await.error(),
        format!(
            "404 LocalIPAssociationNotFound: Local IP {} association with port {} could not be found.",
            id(&made),
            id(&target)
        )
    );
    server.delete(DEMO, &item).await.expect(204);
    assert_eq!(server.get(ADMIN, &holder).await.status, 404, "it was made for it");

    let own = server.create(DEMO, "local_ip", json!({"local_port_id": id(&target)})).await;
    assert_eq!(own["local_ip_address"], target["fixed_ips"][0]["ip_address"]);
    let refused = async |body: Value| server.post(DEMO, "/v2.0/local_ips", json!({ "local_ip": body })).await.error();
    assert!(refused(json!({})).await.starts_with("400 LocalIPPortOrNetworkRequired: "));
    let other = json!({"local_port_id": id(&target), "local_ip_address": "10.0.0.250"});
    assert!(refused(other).await.starts_with("400 LocalIPRequestedIPNotFound: "));
}
