//! Bindings as Nova makes and unmakes them when an instance starts, moves and goes.

use crate::server::{ADMIN, DEMO, SERVICE, Server, add_l2_agent, id};
use serde_json::{Value, json};

async fn cloud() -> (Server, Value) {
    let server = Server::new();
    for host in ["h1", "h2"] {
        add_l2_agent(&server, host, json!({"tunnel_types": ["vxlan"]})).await;
    }
    add_l2_agent(&server, "far", json!({"tunnel_types": ["gre"]})).await;
    let network = server.create(DEMO, "network", json!({})).await;
    let port = server.create(DEMO, "port", json!({"network_id": id(&network)})).await;
    (server, port)
}

async fn change(server: &Server, port: &Value, members: Value) -> Value {
    let path = format!("/v2.0/ports/{}", id(port));
    server.put(SERVICE, &path, json!({"port": members})).await.expect(200)["port"].clone()
}

/// Nova's PUT when it starts an instance.
async fn boot(server: &Server, port: &Value, host: &str) -> Value {
    let members = json!({"device_id": "instance", "device_owner": "compute:nova", "binding:host_id": host,
        "binding:profile": {}, "binding:vnic_type": "normal"});
    change(server, port, members).await
}

fn bindings(port: &Value) -> String {
    format!("/v2.0/ports/{}/bindings", id(port))
}

async fn hosts(server: &Server, port: &Value) -> Vec<(String, String, String)> {
    let listed = server.get(SERVICE, &format!("{}?sort_key=host&sort_dir=asc", bindings(port))).await.expect(200);
    let text = |binding: &Value, name: &str| binding[name].as_str().unwrap().to_owned();
    let listed = listed["bindings"].as_array().unwrap().clone();
    listed.iter().map(|b| (text(b, "host"), text(b, "status"), text(b, "vif_type"))).collect()
}

fn at(host: &str, status: &str, vif: &str) -> (String, String, String) {
    (host.to_owned(), status.to_owned(), vif.to_owned())
}

#[tokio::test]
async fn an_instance_starts_and_goes() {
    let (server, port) = cloud().await;
    let bound = boot(&server, &port, "h1").await;
    assert_eq!((&bound["binding:vif_type"], &bound["status"]), (&json!("ovs"), &json!("DOWN")));
    assert_eq!(
        bound["binding:vif_details"],
        json!({"port_filter": true, "connectivity": "l2", "ovs_hybrid_plug": false, "datapath_type": "system",
               "bridge_name": "br-int", "bound_drivers": {"0": "openvswitch"}})
    );
    let again = boot(&server, &port, "h1").await;
    assert_eq!(again["binding:vif_type"], "ovs", "saying again what is so unplugs nothing");
    let profiled = change(&server, &port, json!({"binding:profile": {"migrating_to": "h2"}})).await;
    assert_eq!(
        (&profiled["binding:profile"], &profiled["binding:vif_type"]),
        (&json!({"migrating_to": "h2"}), &json!("ovs"))
    );
    let left = change(
        &server,
        &port,
        json!({"device_id": "", "device_owner": "", "binding:host_id": null, "binding:profile": {}}),
    )
    .await;
    assert_eq!((&left["binding:vif_type"], &left["binding:host_id"]), (&json!("unbound"), &json!("")));
    assert_eq!(left["binding:vif_details"], json!({}));
    let lost = boot(&server, &port, "nowhere").await;
    assert_eq!((&lost["binding:vif_type"], &lost["binding:host_id"]), (&json!("binding_failed"), &json!("nowhere")));
    assert_eq!(boot(&server, &port, "far").await["binding:vif_type"], "binding_failed");
    assert_eq!(boot(&server, &port, "h2").await["binding:vif_type"], "ovs");
}

#[tokio::test]
async fn an_instance_moves() {
    let (server, port) = cloud().await;
    boot(&server, &port, "h1").await;
    let path = bindings(&port);
    let wanted = json!({"binding": {"host": "h2", "vnic_type": "normal", "profile": {"migrating": true}}});
    let made = server.post(SERVICE, &path, wanted.clone()).await.expect(201);
    let made = &made["binding"];
    assert_eq!((&made["status"], &made["vif_type"], &made["host"]), (&json!("INACTIVE"), &json!("ovs"), &json!("h2")));
    assert_eq!(made["vif_details"]["bridge_name"], "br-int");
    assert_eq!(hosts(&server, &port).await, [at("h1", "ACTIVE", "ovs"), at("h2", "INACTIVE", "ovs")]);
    let shown = server.get(ADMIN, &format!("/v2.0/ports/{}", id(&port))).await.expect(200);
    assert_eq!(shown["port"]["binding:host_id"], "h1", "a waiting binding takes nothing away");
    let twice = server.post(SERVICE, &path, wanted).await;
    assert!(twice.error().starts_with("409 PortBindingAlreadyExists: "), "{}", twice.text);

    let active = server.put(SERVICE, &format!("{path}/h2/activate"), json!({})).await.expect(200);
    assert_eq!((&active["status"], &active["host"]), (&json!("ACTIVE"), &json!("h2")));
    assert_eq!(hosts(&server, &port).await, [at("h1", "INACTIVE", "unbound"), at("h2", "ACTIVE", "ovs")]);
    let shown = server.get(ADMIN, &format!("/v2.0/ports/{}", id(&port))).await.expect(200);
    let shown = &shown["port"];
    assert_eq!((&shown["binding:host_id"], &shown["status"]), (&json!("h2"), &json!("DOWN")));
    assert_eq!(shown["binding:profile"], json!({"migrating": true}));
    let again = server.put(SERVICE, &format!("{path}/h2/activate"), json!({})).await;
    assert!(again.error().starts_with("409 PortBindingAlreadyActive: "), "{}", again.text);
    server.delete(SERVICE, &format!("{path}/h1")).await.expect(204);
    assert_eq!(hosts(&server, &port).await, [at("h2", "ACTIVE", "ovs")]);
    let gone = server.get(SERVICE, &format!("{path}/h1")).await;
    assert_eq!(
        gone.error(),
        format!("404 PortBindingNotFound: Binding for port {} for host h1 could not be found.", id(&port))
    );
}

#[tokio::test]
async fn a_move_that_cannot_be_leaves_everything_as_it_was() {
    let (server, port) = cloud().await;
    let path = bindings(&port);
    let wanted = |host: &str| json!({"binding": {"host": host}});
    let ordinary = server.post(SERVICE, &path, wanted("h2")).await;
    assert!(ordinary.error().starts_with("400 BadRequest: "), "{}", ordinary.text);
    boot(&server, &port, "h1").await;
    for host in ["nowhere", "far"] {
        let refused = server.post(SERVICE, &path, wanted(host)).await;
        assert!(refused.error().starts_with("409 PortBindingError: "), "{}", refused.text);
    }
    server.post(SERVICE, &path, wanted("h2")).await.expect(201);
    server.delete(SERVICE, &format!("{path}/h2")).await.expect(204);
    assert_eq!(hosts(&server, &port).await, [at("h1", "ACTIVE", "ovs")]);
    assert_eq!(server.post(ADMIN, &path, wanted("h2")).await.status, 403, "bindings are for other services to make");
    server.post(SERVICE, &path, wanted("h2")).await.expect(201);
    let moved = change(&server, &port, json!({"binding:host_id": "h2"})).await;
    assert_eq!(moved["binding:host_id"], "h2");
    assert_eq!(hosts(&server, &port).await, [at("h2", "ACTIVE", "ovs")], "what waited for the host is of no use");
}

#[tokio::test]
async fn what_a_port_asks_of_placement_follows_the_device_that_it_moves_to() {
    let (server, port) = cloud().await;
    boot(&server, &port, "h1").await;
    let policy = server.post(ADMIN, "/v2.0/qos/policies", json!({"policy": {"name": "p"}})).await.expect(201);
    let policy = policy["policy"]["id"].as_str().unwrap();
    let rules = format!("/v2.0/qos/policies/{policy}/minimum_packet_rate_rules");
    server.post(ADMIN, &rules, json!({"minimum_packet_rate_rule": {"min_kpps": 3}})).await.expect(201);
    let path = format!("/v2.0/ports/{}", id(&port));
    server.put(ADMIN, &path, json!({"port": {"qos_policy_id": policy}})).await.expect(200);
    let traits = async || {
        let shown = server.get(ADMIN, &path).await.expect(200);
        shown["port"]["resource_request"]["request_groups"][0]["required"].clone()
    };
    assert_eq!(traits().await, json!(["CUSTOM_VNIC_TYPE_NORMAL"]));
    let wanted = json!({"host": "h2", "vnic_type": "direct", "profile": {"capabilities": ["switchdev"]}});
    server.post(SERVICE, &bindings(&port), json!({ "binding": wanted })).await.expect(201);
    assert_eq!(traits().await, json!(["CUSTOM_VNIC_TYPE_NORMAL"]));
    server.put(SERVICE, &format!("{}/h2/activate", bindings(&port)), json!({})).await.expect(200);
    assert_eq!(traits().await, json!(["CUSTOM_VNIC_TYPE_DIRECT"]));
}
