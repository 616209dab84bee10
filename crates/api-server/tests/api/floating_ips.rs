//! Floating IPs as clients see them.

use crate::routers::{self, subnet};
use crate::server::{ADMIN, DEMO, OTHER, Server, id};
use serde_json::{Value, json};

/// A port behind a router to an external network.
struct Behind {
    server: Server,
    outside: Value,
    router: Value,
    port: Value,
}

async fn behind() -> Behind {
    let server = Server::new();
    let (outside, inside, router) = routers::behind(&server).await;
    let port = server.create(DEMO, "port", json!({"network_id": inside["network_id"], "name": "vm"})).await;
    Behind { server, outside, router, port }
}

impl Behind {
    async fn create(&self, members: Value) -> Value {
        let mut body = json!({"floating_network_id": self.outside["network_id"]});
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        self.server.create(DEMO, "floatingip", body).await
    }
}

#[tokio::test]
async fn it_leads_to_a_port_and_shows_it() {
    let behind = behind().await;
    let floating_ip = behind.create(json!({"port_id": id(&behind.port), "description": "d"})).await;
    assert_eq!(floating_ip["port_id"], behind.port["id"]);
    assert_eq!(floating_ip["fixed_ip_address"], behind.port["fixed_ips"][0]["ip_address"]);
    assert_eq!(floating_ip["router_id"], behind.router["id"]);
    assert_eq!(floating_ip["status"], "DOWN", "no host has realised it");
    assert!(floating_ip["floating_ip_address"].as_str().unwrap().starts_with("203.0.113."));
    let details = &floating_ip["port_details"];
    assert_eq!((&details["name"], &details["network_id"]), (&json!("vm"), &behind.port["network_id"]));
    assert_eq!(details["mac_address"], behind.port["mac_address"]);
    assert!(floating_ip.get("subnet_id").is_none());

    let path = format!("/v2.0/floatingips/{}", id(&floating_ip));
    let away = behind.server.put(DEMO, &path, json!({"floatingip": {"port_id": null}})).await.expect(200);
    let away = &away["floatingip"];
    for name in ["port_id", "fixed_ip_address", "router_id", "port_details"] {
        assert_eq!(away[name], Value::Null, "{name}");
    }
    let back =
        json!({"floatingip": {"port_id": id(&behind.port), "fixed_ip_address": floating_ip["fixed_ip_address"]}});
    let back = behind.server.put(DEMO, &path, back).await.expect(200);
    assert_eq!(back["floatingip"]["router_id"], behind.router["id"]);
    let renamed = behind.server.put(DEMO, &path, json!({"floatingip": {"description": "e"}})).await.expect(200);
    assert_eq!(renamed["floatingip"]["port_id"], behind.port["id"], "what is not said stays");

    let empty = behind.server.put(DEMO, &path, json!({"floatingip": {}})).await.expect(200);
    assert_eq!(empty["floatingip"]["port_id"], Value::Null, "an empty change ends the association");
    behind.server.put(DEMO, &path, json!({"floatingip": {"port_id": id(&behind.port)}})).await.expect(200);

    let found = format!("/v2.0/floatingips?port_id={}&fields=id", id(&behind.port));
    let found = behind.server.get(DEMO, &found).await.expect(200);
    assert_eq!(found, json!({"floatingips": [{"id": floating_ip["id"]}]}));
    assert_eq!(behind.server.get(OTHER, &path).await.status, 404);
    behind.server.delete(DEMO, &path).await.expect(204);
    let owner = "/v2.0/ports?device_owner=network:floatingip";
    assert_eq!(behind.server.get(ADMIN, owner).await.expect(200), json!({"ports": []}));
}

#[tokio::test]
async fn what_it_needs_stays_and_what_it_leads_to_goes() {
    let behind = behind().await;
    let floating_ip = behind.create(json!({"port_id": id(&behind.port)})).await;
    let server = &behind.server;
    let router = format!("/v2.0/routers/{}", id(&behind.router));
    let cleared = server.put(DEMO, &router, json!({"router": {"external_gateway_info": null}})).await;
    assert!(cleared.error().starts_with("409 RouterExternalGatewayInUseByFloatingIp: "));
    let interface = json!({"subnet_id": behind.port["fixed_ips"][0]["subnet_id"]});
    let removed = server.put(DEMO, &format!("{router}/remove_router_interface"), interface).await;
    assert!(removed.error().starts_with("409 RouterInterfaceInUseByFloatingIP: "));
    let second = behind.create(json!({})).await;
    let taken = json!({"floatingip": {"port_id": id(&behind.port)}});
    let taken = server.put(DEMO, &format!("/v2.0/floatingips/{}", id(&second)), taken).await;
    assert!(taken.error().starts_with("409 FloatingIPPortAlreadyAssociated: "));
    server.delete(DEMO, &format!("/v2.0/ports/{}", id(&behind.port))).await.expect(204);
    let left = server.get(DEMO, &format!("/v2.0/floatingips/{}", id(&floating_ip))).await.expect(200);
    assert_eq!((&left["floatingip"]["port_id"], &left["floatingip"]["status"]), (&Value::Null, &json!("DOWN")));
}

#[tokio::test]
async fn mistakes_are_told_in_neutrons_words() {
    let behind = behind().await;
    let (server, network) = (&behind.server, behind.port["network_id"].as_str().unwrap());
    let alone = subnet(server, DEMO, json!({}), "10.7.0.0/24").await;
    let alone = server.create(DEMO, "port", json!({"network_id": alone["network_id"]})).await;
    let theirs = subnet(server, OTHER, json!({}), "10.8.0.0/24").await;
    let theirs = server.create(OTHER, "port", json!({"network_id": theirs["network_id"]})).await;
    let outside = &behind.outside["network_id"];
    let cases = [
        (
            json!({"floating_network_id": network}),
            format!("400 BadRequest: Bad floatingip request: Network {network} is not a valid external network."),
        ),
        (
            json!({"floating_network_id": outside, "fixed_ip_address": "10.0.0.5"}),
            "400 BadRequest: Bad floatingip request: fixed_ip_address cannot be specified without a port_id."
                .to_owned(),
        ),
        (
            json!({"floating_network_id": outside, "port_id": id(&behind.port), "fixed_ip_address": "10.0.0.200"}),
            format!(
                "400 BadRequest: Bad floatingip request: Port {} does not have fixed ip 10.0.0.200.",
                id(&behind.port)
            ),
        ),
        (
            json!({"floating_network_id": outside, "port_id": id(&alone)}),
            format!(
                "404 ExternalGatewayForFloatingIPNotFound: External network {} is not reachable from subnet {}.  \
                 Therefore, cannot associate Port {} with a Floating IP.",
                outside.as_str().unwrap(),
                alone["fixed_ips"][0]["subnet_id"].as_str().unwrap(),
                id(&alone)
            ),
        ),
        (
            json!({"floating_network_id": outside, "port_id": id(&theirs)}),
            format!("404 PortNotFound: Port {} could not be found.", id(&theirs)),
        ),
        (
            json!({"floating_network_id": outside, "floating_ip_address": "203.0.113.50"}),
            "403 PolicyNotAuthorized: (rule:create_floatingip and rule:create_floatingip:floating_ip_address) is \
             disallowed by policy"
                .to_owned(),
        ),
    ];
    for (body, expected) in cases {
        assert_eq!(server.post(DEMO, "/v2.0/floatingips", json!({"floatingip": body})).await.error(), expected);
    }
    let named = json!({"floatingip": {"floating_network_id": outside, "floating_ip_address": "203.0.113.50"}});
    let made = server.post(ADMIN, "/v2.0/floatingips", named.clone()).await.expect(201);
    assert_eq!(made["floatingip"]["floating_ip_address"], "203.0.113.50");
    assert!(server.post(ADMIN, "/v2.0/floatingips", named).await.error().starts_with("409 IpAddressAlreadyAllocated"));
    let foreign =
        json!({"floatingip": {"floating_network_id": outside, "subnet_id": theirs["fixed_ips"][0]["subnet_id"]}});
    assert!(server.post(ADMIN, "/v2.0/floatingips", foreign).await.error().starts_with("400 InvalidInput: "));
}
