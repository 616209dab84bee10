//! What extensions tell of ports: DHCP options, names, private VLANs, and what is kept for Nova and the switch.

use crate::server::{ADMIN, DEMO, Server, add_l2_agent, id, options};
use serde_json::{Value, json};

async fn network(server: &Server, members: Value) -> String {
    let network = server.create(DEMO, "network", members).await;
    let subnet = json!({"network_id": id(&network), "ip_version": 4, "cidr": "10.0.0.0/24"});
    server.create(DEMO, "subnet", subnet).await;
    id(&network).to_owned()
}

async fn change(server: &Server, token: &str, port: &Value, members: Value) -> Value {
    let path = format!("/v2.0/ports/{}", id(port));
    server.put(token, &path, json!({"port": members})).await.expect(200)["port"].clone()
}

async fn refusal(server: &Server, token: &str, port: &Value, members: Value) -> String {
    server.put(token, &format!("/v2.0/ports/{}", id(port)), json!({"port": members})).await.error()
}

#[tokio::test]
async fn options_change_by_name_and_version() {
    let server = Server::new();
    let network = network(&server, json!({})).await;
    let option = |name: &str, value: Value| json!({"opt_name": name, "opt_value": value});
    let port = json!({"network_id": network, "extra_dhcp_opts": [option("bootfile-name", json!("pxelinux.0")),
        {"opt_name": "bootfile-name", "opt_value": "six", "ip_version": 6}, option("router", json!("")), option("gone", Value::Null)]});
    let port = server.create(DEMO, "port", port).await;
    let shown =
        |name: &str, value: &str, version: u8| json!({"opt_name": name, "opt_value": value, "ip_version": version});
    assert_eq!(
        port["extra_dhcp_opts"],
        json!([shown("bootfile-name", "pxelinux.0", 4), shown("bootfile-name", "six", 6), shown("router", "", 4)])
    );
    let options =
        json!({"extra_dhcp_opts": [option("bootfile-name", Value::Null), option("tftp-server", json!("10.0.0.9"))]});
    let changed = change(&server, DEMO, &port, options).await;
    assert_eq!(
        changed["extra_dhcp_opts"],
        json!([shown("bootfile-name", "six", 6), shown("router", "", 4), shown("tftp-server", "10.0.0.9", 4)])
    );
    assert!(changed["revision_number"].as_u64() > port["revision_number"].as_u64());
    let refused = refusal(&server, DEMO, &port, json!({"extra_dhcp_opts": [option("x", json!(""))]})).await;
    assert!(
        refused.starts_with("400 InvalidInput: Invalid input for operation: No valid key specs matched for: "),
        "{refused}"
    );
}

#[tokio::test]
async fn ports_have_names_in_the_deployments_domain() {
    let mut options = options();
    options.dns_domain = "cloud.example".to_owned();
    let server = Server::with(&options);
    let network = network(&server, json!({"dns_domain": "Net.example."})).await;
    let shown = server.get(DEMO, &format!("/v2.0/networks/{network}")).await.expect(200);
    assert_eq!(shown["network"]["dns_domain"], "net.example.");
    let port = json!({"network_id": network, "dns_name": "Web", "dns_domain": "a.example.", "fixed_ips": [{"ip_address": "10.0.0.5"}]});
    let port = server.create(DEMO, "port", port).await;
    assert_eq!((&port["dns_name"], &port["dns_domain"]), (&json!("web"), &json!("a.example.")));
    let assigned = |hostname: &str, fqdn: &str| json!([{"ip_address": "10.0.0.5", "hostname": hostname, "fqdn": fqdn}]);
    assert_eq!(port["dns_assignment"], assigned("web", "web.cloud.example."));
    let unnamed = change(&server, DEMO, &port, json!({"dns_name": ""})).await;
    assert_eq!(unnamed["dns_assignment"], assigned("host-10-0-0-5", "host-10-0-0-5.cloud.example."));
    let full = change(&server, DEMO, &port, json!({"dns_name": "web.cloud.example."})).await;
    assert_eq!(full["dns_assignment"], assigned("web.cloud.example.", "web.cloud.example."));
    let refused = refusal(&server, DEMO, &port, json!({"dns_name": "web.example."})).await;
    assert!(
        refused.starts_with("400 HTTPBadRequest: Invalid input for dns_name. Reason: The dns_name passed is a FQDN."),
        "{refused}"
    );
    let refused = refusal(&server, DEMO, &port, json!({"dns_domain": "example"})).await;
    assert_eq!(refused, "400 HTTPBadRequest: Invalid input for dns_domain. Reason: 'example' is not a FQDN.");
    let listed = server.get(DEMO, "/v2.0/ports").await.expect(200);
    assert_eq!(listed["ports"][0]["dns_assignment"], full["dns_assignment"]);
}

#[tokio::test]
async fn without_a_domain_nothing_keeps_names() {
    let server = Server::new();
    let network = network(&server, json!({})).await;
    let port = json!({"network_id": network, "dns_name": "web", "fixed_ips": [{"ip_address": "10.0.0.5"}]});
    let port = server.create(DEMO, "port", port).await;
    assert_eq!(port["dns_name"], "");
    assert_eq!(port["dns_assignment"][0]["fqdn"], "host-10-0-0-5.openstacklocal.");
    assert_eq!(change(&server, DEMO, &port, json!({"dns_name": "web"})).await["dns_name"], "");
}

#[tokio::test]
async fn private_vlans_give_every_port_a_place() {
    let server = Server::new();
    let network = network(&server, json!({"pvlan": true})).await;
    let port = server.create(DEMO, "port", json!({"network_id": network})).await;
    assert_eq!((&port["pvlan_type"], &port["pvlan_community"]), (&json!("promiscuous"), &Value::Null));
    let isolated = server.create(DEMO, "port", json!({"network_id": network, "pvlan_type": "isolated"})).await;
    let joined = change(&server, DEMO, &isolated, json!({"pvlan_type": "community", "pvlan_community": "web"})).await;
    assert_eq!((&joined["pvlan_type"], &joined["pvlan_community"]), (&json!("community"), &json!("web")));
    let renamed = change(&server, DEMO, &isolated, json!({"name": "still there"})).await;
    assert_eq!(renamed["pvlan_community"], "web");
    let bare =
        server.post(DEMO, "/v2.0/ports", json!({"port": {"network_id": network, "pvlan_type": "community"}})).await;
    assert!(bare.error().starts_with("400 PVLANCommunityNameRequired: "), "{}", bare.text);
    let open = json!({"port_security_enabled": false, "security_groups": []});
    assert!(refusal(&server, DEMO, &port, open).await.starts_with("400 PVLANPortSecurityDisabled: "));
    let path = format!("/v2.0/networks/{network}");
    let listed = server.get(DEMO, "/v2.0/ports?pvlan_type=promiscuous").await.expect(200);
    assert_eq!(listed["ports"].as_array().map(Vec::len), Some(1));
    server.put(DEMO, &path, json!({"network": {"pvlan": false}})).await.expect(200);
    let ordinary = server.get(DEMO, &format!("/v2.0/ports/{}", id(&isolated))).await.expect(200);
    assert_eq!((&ordinary["port"]["pvlan_type"], &ordinary["port"]["pvlan_community"]), (&Value::Null, &Value::Null));
    assert!(
        refusal(&server, DEMO, &port, json!({"pvlan_type": "isolated"}))
            .await
            .starts_with("400 PVLANNotEnabledOnNetwork: ")
    );
    let open = json!({"network": {"pvlan": true, "port_security_enabled": false}});
    assert!(server.put(DEMO, &path, open).await.error().starts_with("400 PVLANNetworkPortSecurityDisabled: "));
}

#[tokio::test]
async fn what_is_for_nova_is_kept_for_it() {
    let server = Server::new();
    let network = network(&server, json!({})).await;
    let members = json!({"network_id": network, "numa_affinity_policy": "socket", "device_profile": "gpu",
        "hardware_offload_type": "switchdev", "trusted": true, "propagate_uplink_status": false,
        "hints": {"openvswitch": {"other_config": {"tx-steering": "hash"}}}, "tags": ["b", "a"]});
    let port = server.create(ADMIN, "port", members).await;
    for (name, value) in [
        ("numa_affinity_policy", json!("socket")),
        ("device_profile", json!("gpu")),
        ("hardware_offload_type", json!("switchdev")),
        ("trusted", json!(true)),
        ("propagate_uplink_status", json!(false)),
        ("hints", json!({"openvswitch": {"other_config": {"tx-steering": "hash"}}})),
        ("tags", json!(["a", "b"])),
        ("binding:profile", json!({"capabilities": ["switchdev"], "trusted": true})),
        ("data_plane_status", Value::Null),
    ] {
        assert_eq!(port[name], value, "{name}");
    }
    let changed = change(
        &server,
        ADMIN,
        &port,
        json!({"trusted": false, "hints": null, "data_plane_status": "DOWN", "numa_affinity_policy": null}),
    )
    .await;
    assert_eq!((&changed["trusted"], &changed["hints"]), (&json!(false), &Value::Null));
    assert_eq!((&changed["data_plane_status"], &changed["numa_affinity_policy"]), (&json!("DOWN"), &Value::Null));
    assert_eq!(changed["binding:profile"]["trusted"], false);
    let path = format!("/v2.0/ports/{}", id(&port));
    let plain = server.create(DEMO, "port", json!({"network_id": network})).await;
    assert_eq!((&plain["propagate_uplink_status"], plain.get("trusted")), (&json!(true), None));
    let denied = server.post(DEMO, "/v2.0/ports", json!({"port": {"network_id": network, "trusted": true}})).await;
    assert_eq!(denied.status, 403, "{}", denied.text);
    let fixed = server.put(ADMIN, &path, json!({"port": {"device_profile": "other"}})).await;
    assert_eq!(fixed.error(), "400 HTTPBadRequest: Cannot update read-only attribute device_profile");
}

#[tokio::test]
async fn a_plugged_port_keeps_what_its_instance_was_started_with() {
    let server = Server::new();
    add_l2_agent(&server, "h1", json!({"tunnel_types": ["vxlan"]})).await;
    let network = network(&server, json!({})).await;
    let port = server.create(ADMIN, "port", json!({"network_id": network, "binding:host_id": "h1"})).await;
    assert_eq!(port["binding:vif_type"], "ovs");
    let refused = refusal(&server, ADMIN, &port, json!({"numa_affinity_policy": "required"})).await;
    assert!(refused.starts_with("409 PortBoundNUMAAffinityPolicy: "), "{refused}");
    let refused = refusal(&server, ADMIN, &port, json!({"binding:vnic_type": "direct"})).await;
    assert!(refused.starts_with("409 PortInUse: "), "{refused}");
    let same = change(&server, ADMIN, &port, json!({"binding:vnic_type": "normal", "trusted": true})).await;
    assert_eq!((&same["binding:vif_type"], &same["binding:profile"]), (&json!("ovs"), &json!({"trusted": true})));
}
