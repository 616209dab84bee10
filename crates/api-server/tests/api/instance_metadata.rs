//! The server's own metadata service: what administrators put there, and what proxies may ask for whom.

use crate::server::{ADMIN, DEMO, DEMO_PROJECT, OTHER_PROJECT, Server, id};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use hmac::{Hmac, Mac};
use secret::Secret;
use serde_json::{Value, json};
use sha2::Sha256;
use tower::ServiceExt;

const INSTANCE: &str = "6a1f7b52-90c1-4a5e-8a0e-0d7d6d1f1a01";
const OTHER: &str = "6a1f7b52-90c1-4a5e-8a0e-0d7d6d1f1a02";

fn signed(secret: &str, instance: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(instance.as_bytes());
    mac.finalize().into_bytes().iter().map(|octet| format!("{octet:02x}")).collect()
}

/// What a proxy says of who asks.
#[derive(Clone, Copy)]
struct Says<'a> {
    instance: &'a str,
    project: &'a str,
    address: &'a str,
    signature: &'a str,
}

async fn ask(router: &Router, says: Says<'_>, path: &str) -> (u16, Vec<u8>) {
    let request = Request::builder()
        .uri(format!("{}{path}", instance_metadata::PATH))
        .header("X-Forwarded-For", says.address)
        .header("X-Instance-ID", says.instance)
        .header("X-Tenant-ID", says.project)
        .header("X-Instance-ID-Signature", says.signature)
        .body(Body::empty());
    let response = router.clone().oneshot(request.unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    (parts.status.as_u16(), to_bytes(body, usize::MAX).await.unwrap().to_vec())
}

async fn instance(server: &Server, network: &Value, device: &str, address: &str) -> Value {
    let port = json!({"network_id": id(network), "device_id": device, "device_owner": "compute:probe",
        "fixed_ips": [{"ip_address": address}]});
    server.create(DEMO, "port", port).await
}

#[tokio::test]
async fn an_instance_gets_its_own_and_nobody_anothers() {
    let server = Server::new();
    let network = server.create(DEMO, "network", json!({"name": "n"})).await;
    let subnet = json!({"network_id": id(&network), "cidr": "10.0.0.0/24", "ip_version": 4});
    server.create(DEMO, "subnet", subnet).await;
    let port = instance(&server, &network, INSTANCE, "10.0.0.5").await;
    instance(&server, &network, OTHER, "10.0.0.6").await;

    let path = format!("/v2.0/metadata/instances/{INSTANCE}");
    // "#!\r\n" and octets that are no text.
    let body = json!({"instance": {"hostname": "web", "user_data": "IyENCv8A", "public_keys": {"mine": "ssh-ed25519 AAAA me"}}});
    server.put(DEMO, &path, body.clone()).await.expect(403);
    assert_eq!(server.put(ADMIN, &path, body.clone()).await.expect(200), body);
    assert_eq!(server.get(ADMIN, &path).await.expect(200), body);
    server.get(DEMO, &path).await.expect(403);
    server.put(ADMIN, &path, json!({"instance": {"user_data": "?"}})).await.expect(400);
    server.put(ADMIN, &path, json!({"instance": {"nonsense": 1}})).await.expect(400);

    let router = instance_metadata::router(server.store.clone(), Secret::new("the agents'"));
    let signature = signed("the agents'", INSTANCE);
    let says = Says { instance: INSTANCE, project: DEMO_PROJECT, address: "10.0.0.5", signature: &signature };
    for root in ["", "/"] {
        let (status, body) = ask(&router, says, root).await;
        assert!(status == 200 && body.starts_with(b"1.0\n"), "{status}");
    }
    assert_eq!(ask(&router, says, "/latest/user-data").await, (200, b"#!\r\n\xff\x00".to_vec()));
    let (_, key) = ask(&router, says, "/1.0/meta-data/public-keys/0/openssh-key").await;
    assert_eq!(key, b"ssh-ed25519 AAAA me");
    let (_, body) = ask(&router, says, "/openstack/latest/network_data.json").await;
    let network_data: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(network_data["links"][0]["ethernet_mac_address"], port["mac_address"]);
    assert_eq!(ask(&router, says, "/nowhere").await.0, 404);

    // Forged, of another secret, another's address, another project, another instance's, nobody's.
    let foreign = signed("another's", INSTANCE);
    let nobody = signed("the agents'", "nobody");
    for wrong in [
        Says { signature: "beef", ..says },
        Says { signature: &foreign, ..says },
        Says { signature: "", ..says },
        Says { address: "10.0.0.6", ..says },
        Says { address: "nonsense", ..says },
        Says { project: OTHER_PROJECT, ..says },
        Says { instance: OTHER, ..says },
        Says { instance: "nobody", signature: &nobody, ..says },
    ] {
        assert_eq!(ask(&router, wrong, "/latest/user-data").await.0, 403);
    }
    let open = instance_metadata::router(server.store.clone(), Secret::new(""));
    let unsigned = signed("", INSTANCE);
    assert_eq!(ask(&open, Says { signature: &unsigned, ..says }, "/").await.0, 403, "no secret lets nobody in");

    // What nothing was put for has what its ports say.
    let signature = signed("the agents'", OTHER);
    let other = Says { instance: OTHER, address: "10.0.0.6", signature: &signature, ..says };
    assert_eq!(ask(&router, other, "/latest/user-data").await.0, 404);
    assert_eq!(ask(&router, other, "/latest/meta-data/hostname").await.1, b"host-10-0-0-6");
    server.delete(ADMIN, &path).await.expect(204);
    server.delete(ADMIN, &path).await.expect(404);
    assert_eq!(ask(&router, says, "/latest/user-data").await.0, 404);
}
