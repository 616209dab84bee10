//! What is particular to networks, subnets and ports.

use crate::server::{ADMIN, DEMO, Server, add_l2_agent, id};
use serde_json::{Value, json};
use std::collections::BTreeSet;

async fn network_with(server: &Server, subnet: Value) -> (Value, Value) {
    let network = server.create(DEMO, "network", json!({})).await;
    let mut members = json!({"network_id": id(&network), "ip_version": 4});
    members.as_object_mut().unwrap().extend(subnet.as_object().unwrap().clone());
    let subnet = server.create(DEMO, "subnet", members).await;
    (network, subnet)
}

#[tokio::test]
async fn an_address_is_given_once_whoever_asks_at_the_same_time() {
    let server = std::sync::Arc::new(Server::new());
    let (network, _) = network_with(&server, json!({"cidr": "10.0.0.0/26"})).await;
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let (server, network) = (server.clone(), id(&network).to_owned());
            tokio::spawn(
                async move { server.post(DEMO, "/v2.0/ports", json!({"port": {"network_id": network}})).await },
            )
        })
        .collect();
    let (mut given, mut refused) = (BTreeSet::new(), 0);
    for task in tasks {
        let answer = task.await.unwrap();
        match answer.status {
            201 => {
                let ip = answer.body["port"]["fixed_ips"][0]["ip_address"].as_str().unwrap().to_owned();
                assert!(given.insert(ip.clone()), "{ip} given twice");
            }
            409 => {
                assert_eq!(answer.body["NeutronError"]["type"], "IpAddressGenerationFailure");
                refused += 1;
            }
            other => panic!("{other}: {}", answer.text),
        }
    }
    // 64 addresses but for network, broadcast and gateway.
    assert_eq!((given.len(), refused), (61, 3));
}

/// DHCP's ports begin at the start of the pool, and go on from there.
#[tokio::test]
async fn dhcp_keeps_out_of_the_way_of_chosen_addresses() {
    let server = Server::new();
    let (network, subnet) = network_with(&server, json!({"cidr": "10.0.0.0/16"})).await;
    let body = json!({"network_id": id(&network), "device_owner": "network:dhcp"});
    for expected in ["10.0.0.2", "10.0.0.3", "10.0.0.4"] {
        let port = server.create(ADMIN, "port", body.clone()).await;
        assert_eq!(port["fixed_ips"], json!([{"subnet_id": id(&subnet), "ip_address": expected}]));
    }
}

#[tokio::test]
async fn what_a_port_gives_back_can_be_had_again() {
    let server = Server::new();
    let (network, subnet) = network_with(
        &server,
        json!({"cidr": "10.0.0.0/24", "allocation_pools": [{"start": "10.0.0.10", "end": "10.0.0.11"}]}),
    )
    .await;
    let body = json!({"network_id": id(&network)});
    let first = server.create(DEMO, "port", body.clone()).await;
    server.create(DEMO, "port", body.clone()).await;
    let full = server.post(DEMO, "/v2.0/ports", json!({"port": body})).await;
    assert_eq!(
        full.error(),
        format!("409 IpAddressGenerationFailure: No more IP addresses available on network {}.", id(&network))
    );
    let in_use = server.delete(DEMO, &format!("/v2.0/subnets/{}", id(&subnet))).await;
    assert_eq!(
        in_use.error(),
        format!(
            "409 SubnetInUse: Unable to complete operation on subnet {}: One or more ports have an IP allocation from this subnet.",
            id(&subnet)
        )
    );
    server.delete(DEMO, &format!("/v2.0/ports/{}", id(&first))).await.expect(204);
    let again = server.create(DEMO, "port", body).await;
    assert_eq!(again["fixed_ips"], first["fixed_ips"]);
}

#[tokio::test]
async fn a_changed_port_keeps_its_address_or_moves_it() {
    let server = Server::new();
    let (network, subnet) = network_with(&server, json!({"cidr": "10.0.0.0/24"})).await;
    let port = server
        .create(DEMO, "port", json!({"network_id": id(&network), "fixed_ips": [{"ip_address": "10.0.0.7"}]}))
        .await;
    let path = format!("/v2.0/ports/{}", id(&port));
    let renamed = server.put(DEMO, &path, json!({"port": {"name": "web"}})).await.expect(200);
    assert_eq!(renamed["port"]["fixed_ips"], port["fixed_ips"]);
    assert_eq!(renamed["port"]["revision_number"], 2);
    let moved = json!({"port": {"fixed_ips": [{"subnet_id": id(&subnet), "ip_address": "10.0.0.8"}]}});
    let moved = server.put(DEMO, &path, moved).await.expect(200);
    assert_eq!(moved["port"]["fixed_ips"][0]["ip_address"], "10.0.0.8");
    // The old one is free again.
    server.create(DEMO, "port", json!({"network_id": id(&network), "fixed_ips": [{"ip_address": "10.0.0.7"}]})).await;
    let taken = json!({"port": {"fixed_ips": [{"ip_address": "10.0.0.7"}]}});
    assert_eq!(
        server.put(DEMO, &path, taken).await.error(),
        format!("409 IpAddressAlreadyAllocated: IP address 10.0.0.7 already allocated in subnet {}", id(&subnet))
    );
    let off = json!({"port": {"port_security_enabled": false}});
    assert!(server.put(DEMO, &path, off).await.error().starts_with("409 PortSecurityPortHasSecurityGroup"));
    let off = json!({"port": {"port_security_enabled": false, "security_groups": []}});
    assert_eq!(server.put(DEMO, &path, off).await.expect(200)["port"]["security_groups"], json!([]));
}

#[tokio::test]
async fn a_port_binds_where_the_host_reaches_its_segment() {
    let server = Server::new();
    add_l2_agent(&server, "compute1", json!({"tunnel_types": ["vxlan"]})).await;
    add_l2_agent(&server, "storage1", json!({"tunnel_types": []})).await;
    let (network, _) = network_with(&server, json!({"cidr": "10.0.0.0/24"})).await;
    let port = server.create(DEMO, "port", json!({"network_id": id(&network)})).await;
    assert!(port.get("binding:host_id").is_none(), "not for projects");
    let path = format!("/v2.0/ports/{}", id(&port));
    let bind = async |host: Value| {
        let port = server.put(ADMIN, &path, json!({"port": {"binding:host_id": host}})).await.expect(200);
        (port["port"]["binding:vif_type"].clone(), port["port"]["binding:host_id"].clone())
    };
    assert_eq!(bind(json!("storage1")).await, (json!("binding_failed"), json!("storage1")));
    assert_eq!(bind(json!("compute1")).await, (json!("ovs"), json!("compute1")));
    let mac = server.put(ADMIN, &path, json!({"port": {"mac_address": "fa:16:3e:00:00:09"}})).await;
    assert!(mac.error().starts_with("409 PortBound"));
    assert_eq!(bind(Value::Null).await, (json!("unbound"), json!("")));
    let forbidden = server.put(DEMO, &path, json!({"port": {"binding:host_id": "compute1"}})).await;
    assert_eq!(forbidden.status, 403);
}

#[tokio::test]
async fn slaac_gives_every_port_its_address() {
    let server = Server::new();
    let (network, _) = network_with(&server, json!({"cidr": "10.0.0.0/24"})).await;
    let port = server.create(DEMO, "port", json!({"network_id": id(&network)})).await;
    let slaac = json!({"network_id": id(&network), "ip_version": 6, "cidr": "fd00::/64", "ipv6_address_mode": "slaac",
                       "ipv6_ra_mode": "slaac"});
    let subnet = server.create(DEMO, "subnet", slaac).await;
    let path = format!("/v2.0/ports/{}", id(&port));
    let port = server.get(DEMO, &path).await.expect(200)["port"].clone();
    let mac: net_types::MacAddr = port["mac_address"].as_str().unwrap().parse().unwrap();
    assert_eq!(port["fixed_ips"][1]["ip_address"], mac.eui64("fd00::".parse().unwrap()).to_string());
    // It does not hold the subnet.
    server.delete(DEMO, &format!("/v2.0/subnets/{}", id(&subnet))).await.expect(204);
    let port = server.get(DEMO, &path).await.expect(200)["port"].clone();
    assert_eq!(port["fixed_ips"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn provider_networks_take_what_they_ask_for_once() {
    let server = Server::new();
    let vlan = json!({"provider:network_type": "vlan", "provider:physical_network": "physnet1",
                      "provider:segmentation_id": 150});
    let network = server.create(ADMIN, "network", vlan.clone()).await;
    assert_eq!((&network["mtu"], &network["provider:segmentation_id"]), (&json!(1500), &json!(150)));
    assert_eq!(
        server.post(ADMIN, "/v2.0/networks", json!({"network": vlan})).await.error(),
        "409 VlanIdInUse: Unable to create the network. The VLAN 150 on physical network physnet1 is in use."
    );
    let asked = json!({"network": {"provider:network_type": "flat"}});
    assert_eq!(
        server.post(DEMO, "/v2.0/networks", asked).await.error(),
        "403 PolicyNotAuthorized: (rule:create_network and rule:create_network:provider:network_type) is disallowed by policy"
    );
    let path = format!("/v2.0/networks/{}", id(&network));
    server.delete(ADMIN, &path).await.expect(204);
    server
        .create(
            ADMIN,
            "network",
            json!({"provider:network_type": "vlan", "provider:physical_network": "physnet1",
        "provider:segmentation_id": 150}),
        )
        .await;
}

#[tokio::test]
async fn a_network_goes_with_its_subnets_but_not_with_ports() {
    let server = Server::new();
    let (network, subnet) = network_with(&server, json!({"cidr": "10.0.0.0/24"})).await;
    let port = server.create(DEMO, "port", json!({"network_id": id(&network)})).await;
    let path = format!("/v2.0/networks/{}", id(&network));
    assert!(server.delete(DEMO, &path).await.error().starts_with("409 NetworkInUse"));
    server.delete(DEMO, &format!("/v2.0/ports/{}", id(&port))).await.expect(204);
    server.delete(DEMO, &path).await.expect(204);
    assert_eq!(server.get(DEMO, &format!("/v2.0/subnets/{}", id(&subnet))).await.status, 404);
}

#[tokio::test]
async fn every_change_is_in_the_log_with_its_revision() {
    let server = Server::new();
    let (network, subnet) = network_with(&server, json!({"cidr": "10.0.0.0/24"})).await;
    let port = server.create(DEMO, "port", json!({"network_id": id(&network)})).await;
    let path = format!("/v2.0/ports/{}", id(&port));
    let stale = axum::http::Request::builder()
        .method("PUT")
        .uri(&path)
        .header("x-auth-token", DEMO)
        .header("if-match", "revision_number=7")
        .body(axum::body::Body::from(json!({"port": {"name": "x"}}).to_string()))
        .unwrap();
    assert_eq!(
        server.send(stale).await.error(),
        "412 RevisionNumberConstraintFailed: Constrained to 7, but current revision is 1"
    );
    server.delete(DEMO, &path).await.expect(204);
    let log = server
        .store
        .read_blocking(|snapshot| {
            snapshot.query("SELECT resource, id, op FROM change_log ORDER BY revision", &[], |row| {
                Ok((row.get::<String>(0)?, row.get::<String>(1)?, row.get::<String>(2)?))
            })
        })
        .map_err(|e: store::StoreError| e)
        .unwrap();
    let of = |object: &Value| {
        log.iter().filter(|(_, i, _)| i == id(object)).map(|(r, _, op)| format!("{r} {op}")).collect::<Vec<_>>()
    };
    assert_eq!(of(&network), ["network create"]);
    assert_eq!(of(&subnet), ["subnet create"]);
    assert_eq!(of(&port), ["port create", "port delete"]);
}

#[tokio::test]
async fn a_network_is_another_when_its_subnets_change() {
    let server = Server::new();
    let (network, subnet) = network_with(&server, json!({"cidr": "10.0.0.0/24"})).await;
    let revision = async || {
        let shown = server.get(DEMO, &format!("/v2.0/networks/{}", id(&network))).await.expect(200);
        shown["network"]["revision_number"].as_u64().unwrap()
    };
    let mut last = network["revision_number"].as_u64().unwrap();
    let mut grew = async || {
        let now = revision().await;
        assert!(now > last, "{now} after {last}");
        last = now;
    };
    grew().await;
    let path = format!("/v2.0/subnets/{}", id(&subnet));
    server.put(DEMO, &path, json!({"subnet": {"name": "renamed"}})).await.expect(200);
    grew().await;
    server.delete(DEMO, &path).await.expect(204);
    grew().await;
}
