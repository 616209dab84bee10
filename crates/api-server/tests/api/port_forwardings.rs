//! Port forwardings of floating IPs.

use crate::routers::{self, subnet};
use crate::server::{Answer, DEMO, Server, id};
use serde_json::{Value, json};

/// A network behind a router to an external one.
struct Behind {
    server: Server,
    outside: Value,
    inside: Value,
    router: Value,
}

async fn behind() -> Behind {
    let server = Server::new();
    let (outside, inside, router) = routers::behind(&server).await;
    Behind { server, outside, inside, router }
}

impl Behind {
    async fn port(&self) -> Value {
        self.server.create(DEMO, "port", json!({"network_id": self.inside["network_id"]})).await
    }

    async fn floating_ip(&self) -> Value {
        let body = json!({"floating_network_id": self.outside["network_id"]});
        self.server.create(DEMO, "floatingip", body).await
    }

    async fn forward(&self, floating_ip: &Value, port: &Value, members: Value) -> Answer {
        let mut body = json!({
            "internal_port_id": id(port), "internal_ip_address": port["fixed_ips"][0]["ip_address"], "protocol": "tcp"
        });
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let path = format!("/v2.0/floatingips/{}/port_forwardings", id(floating_ip));
        self.server.post(DEMO, &path, json!({"port_forwarding": body})).await
    }

    async fn shown(&self, floating_ip: &Value) -> Value {
        let path = format!("/v2.0/floatingips/{}", id(floating_ip));
        self.server.get(DEMO, &path).await.expect(200)["floatingip"].clone()
    }
}

#[tokio::test]
async fn a_floating_ip_is_on_a_router_for_its_forwardings() {
    let behind = behind().await;
    let (floating_ip, port) = (behind.floating_ip().await, behind.port().await);
    let made = behind.forward(&floating_ip, &port, json!({"internal_port": 1111, "external_port": 2222})).await;
    let made = made.expect(201)["port_forwarding"].clone();
    assert_eq!((&made["internal_port"], &made["external_port_range"]), (&json!(1111), &json!("2222:2222")));
    let shown = behind.shown(&floating_ip).await;
    assert_eq!(
        shown["port_forwardings"],
        json!([{
            "id": made["id"], "internal_ip_address": port["fixed_ips"][0]["ip_address"], "protocol": "tcp",
            "internal_port": 1111, "external_port": 2222, "internal_port_id": port["id"]
        }])
    );
    assert_eq!((&shown["router_id"], &shown["port_id"]), (&behind.router["id"], &Value::Null));

    let item = format!("/v2.0/floatingips/{}/port_forwardings/{}", id(&floating_ip), id(&made));
    let change = json!({"port_forwarding": {"internal_port": 3333, "description": "d"}});
    let changed = behind.server.put(DEMO, &item, change).await.expect(200)["port_forwarding"].clone();
    assert_eq!((&changed["internal_port"], &changed["external_port"]), (&json!(3333), &json!(2222)));
    let fip = format!("/v2.0/floatingips/{}", id(&floating_ip));
    assert_eq!(
        behind.server.delete(DEMO, &fip).await.error(),
        format!("409 FipInUseByPortForwarding: Floating IP {} in use by Port Forwarding resources.", id(&floating_ip))
    );
    let kept = behind.server.put(DEMO, &fip, json!({"floatingip": {"port_id": null}})).await.expect(200);
    assert_eq!(kept["floatingip"]["router_id"], behind.router["id"]);
    let other = behind.port().await;
    let away = behind.server.put(DEMO, &fip, json!({"floatingip": {"port_id": id(&other)}})).await;
    assert!(away.error().starts_with("409 FipInUseByPortForwarding: "));
    let remove = format!("/v2.0/routers/{}/remove_router_interface", id(&behind.router));
    let held = behind.server.put(DEMO, &remove, json!({"subnet_id": id(&behind.inside)})).await;
    assert!(held.error().starts_with("409 RouterInterfaceInUseByFloatingIP: "));

    behind.server.delete(DEMO, &item).await.expect(204);
    assert_eq!(behind.server.get(DEMO, &item).await.status, 404);
    assert_eq!(behind.shown(&floating_ip).await["router_id"], Value::Null);
    behind.server.delete(DEMO, &fip).await.expect(204);
}

#[tokio::test]
async fn forwardings_go_with_their_port_and_its_addresses() {
    let behind = behind().await;
    let (floating_ip, port) = (behind.floating_ip().await, behind.port().await);
    behind.forward(&floating_ip, &port, json!({"internal_port": 1, "external_port": 1})).await.expect(201);
    let path = format!("/v2.0/ports/{}", id(&port));
    let moved = json!({"port": {"fixed_ips": [{"subnet_id": id(&behind.inside), "ip_address": "10.0.0.200"}]}});
    behind.server.put(DEMO, &path, moved).await.expect(200);
    let shown = behind.shown(&floating_ip).await;
    assert_eq!((&shown["port_forwardings"], &shown["router_id"]), (&json!([]), &Value::Null));
    let here = json!({"internal_port": 1, "external_port": 1, "internal_ip_address": "10.0.0.200"});
    behind.forward(&floating_ip, &port, here).await.expect(201);
    behind.server.delete(DEMO, &path).await.expect(204);
    assert_eq!(behind.shown(&floating_ip).await["port_forwardings"], json!([]));
}

#[tokio::test]
async fn what_contradicts_each_other_is_refused_in_neutrons_words() {
    let behind = behind().await;
    let (floating_ip, port, other) = (behind.floating_ip().await, behind.port().await, behind.port().await);
    let range = json!({"internal_port_range": "80:89", "external_port_range": "8080:8089"});
    let made = behind.forward(&floating_ip, &port, range).await.expect(201)["port_forwarding"].clone();
    assert_eq!((&made["internal_port"], &made["internal_port_range"]), (&Value::Null, &json!("80:89")));
    let bad = "400 BadRequest: Bad port_forwarding request: ";
    let address = other["fixed_ips"][0]["ip_address"].as_str().unwrap();
    let cases = [
        (
            &other,
            json!({"internal_port": 1, "external_port": 8085}),
            format!(
                "{bad}There is a port collision with the external_port_range. The following ranges collide: 8080:8089 and \
                 8085:8085."
            ),
        ),
        (
            &port,
            json!({"internal_port": 89, "external_port": 1}),
            format!(
                "{bad}There is a port collision with the internal_port_range. The following ranges collide: 80:89 and \
                 89:89."
            ),
        ),
        (
            &other,
            json!({"internal_port_range": "1:2", "external_port_range": "1:3"}),
            format!(
                "{bad}Invalid ranges of internal and/or external ports. The relation between internal and external ports \
                 must be N-N or 1-N."
            ),
        ),
        (
            &other,
            json!({"internal_port": 1, "external_port_range": "3:1"}),
            "400 HTTPBadRequest: Invalid input for external_port_range. Reason: First port in a port range must be lower \
             than the second port."
                .to_owned(),
        ),
        (
            &other,
            json!({"internal_port": 1, "external_port": 1, "internal_ip_address": "10.0.0.250"}),
            format!(
                "{bad}Requested internal IP address 10.0.0.250 is not suitable for internal neutron port {}, as its \
                 fixed_ips are [{{'subnet_id': '{}', 'ip_address': '{address}'}}].",
                id(&other),
                id(&behind.inside)
            ),
        ),
    ];
    for (port, members, expected) in cases {
        assert_eq!(behind.forward(&floating_ip, port, members).await.error(), expected);
    }
    let one = json!({"internal_port": 1, "external_port": 1});
    let alone = subnet(&behind.server, DEMO, json!({}), "10.9.0.0/24").await;
    let alone = behind.server.create(DEMO, "port", json!({"network_id": alone["network_id"]})).await;
    let unreachable = behind.forward(&floating_ip, &alone, one.clone()).await.error();
    assert!(unreachable.starts_with(&format!("{bad}External network ")), "{unreachable}");
    let whole = behind.floating_ip().await;
    let associate = json!({"floatingip": {"port_id": id(&other)}});
    behind.server.put(DEMO, &format!("/v2.0/floatingips/{}", id(&whole)), associate).await.expect(200);
    let third = behind.port().await;
    let used = behind.forward(&whole, &third, one.clone()).await;
    assert!(used.error().starts_with("409 FloatingIPPortAlreadyAssociated: "));
    let bound = behind.forward(&floating_ip, &other, one).await;
    assert!(bound.error().starts_with("409 PortHasBindingFloatingIP: "));
}
