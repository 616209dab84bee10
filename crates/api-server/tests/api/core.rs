//! Networks, subnets and ports as clients see them.

use crate::server::{ADMIN, DEMO, DEMO_PROJECT, OTHER, READER, Server, add_l2_agent, id};
use serde_json::{Value, json};

/// Replaces what differs from run to run.
fn redact(value: &mut Value) {
    match value {
        Value::String(text) => {
            if uuid::Uuid::parse_str(text).is_ok() && text.contains('-') {
                *text = "[uuid]".into();
            } else if text.starts_with("fa:16:3e") {
                *text = "[mac]".into();
            } else if text.len() == 20 && text.ends_with('Z') {
                *text = "[time]".into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        Value::Object(members) => members.values_mut().for_each(redact),
        _ => {}
    }
}

#[tokio::test]
async fn json_of_each_resource() {
    let server = Server::new();
    add_l2_agent(&server, "compute1", json!({"tunnel_types": ["vxlan"], "datapath_type": "netdev"})).await;
    let network = server.create(ADMIN, "network", json!({"name": "n"})).await;
    let subnet = server
        .create(
            ADMIN,
            "subnet",
            json!({"network_id": id(&network), "ip_version": 4, "cidr": "10.0.0.0/24", "dns_nameservers": ["9.9.9.9"],
                   "host_routes": [{"destination": "10.9.0.0/16", "nexthop": "10.0.0.9"}]}),
        )
        .await;
    let port = server
        .create(
            ADMIN,
            "port",
            json!({"network_id": id(&network), "binding:host_id": "compute1",
                   "fixed_ips": [{"ip_address": "10.0.0.5"}], "allowed_address_pairs": [{"ip_address": "10.1.0.0/24"}]}),
        )
        .await;
    let network = server.get(ADMIN, &format!("/v2.0/networks/{}", id(&network))).await.expect(200);
    let mut all = json!({"network": network["network"], "subnet": subnet, "port": port});
    all["network"]["provider:segmentation_id"] = json!("[vni]");
    redact(&mut all);
    insta::assert_snapshot!(serde_json::to_string_pretty(&all).unwrap());
}

#[tokio::test]
async fn projects_see_what_is_theirs_shared_or_external() {
    let server = Server::new();
    let own = server.create(DEMO, "network", json!({"name": "own"})).await;
    let foreign = server.create(OTHER, "network", json!({"name": "foreign"})).await;
    server.create(ADMIN, "network", json!({"name": "shared", "shared": true})).await;
    server.create(ADMIN, "network", json!({"name": "external", "router:external": true})).await;
    let list = server.get(DEMO, "/v2.0/networks?sort_key=name&sort_dir=asc&fields=name").await.expect(200);
    assert_eq!(list, json!({"networks": [{"name": "external"}, {"name": "own"}, {"name": "shared"}]}));
    let path = format!("/v2.0/networks/{}", id(&foreign));
    let hidden = format!("404 NetworkNotFound: Network {} could not be found.", id(&foreign));
    assert_eq!(server.get(DEMO, &path).await.error(), hidden);
    assert_eq!(server.put(DEMO, &path, json!({"network": {"name": "x"}})).await.error(), hidden);
    assert_eq!(server.delete(DEMO, &path).await.error(), hidden);
    let port = json!({"port": {"network_id": id(&foreign)}});
    assert_eq!(server.post(DEMO, "/v2.0/ports", port).await.error(), hidden);
    let own_path = format!("/v2.0/networks/{}", id(&own));
    assert_eq!(
        server.delete(READER, &own_path).await.error(),
        "403 PolicyNotAuthorized: rule:delete_network is disallowed by policy"
    );
    let shared = server.put(DEMO, &own_path, json!({"network": {"shared": true}})).await;
    assert_eq!(
        shared.error(),
        "403 PolicyNotAuthorized: (rule:update_network and rule:update_network:shared) is disallowed by policy"
    );
    let seen = server.get(DEMO, &own_path).await.expect(200);
    assert!(seen["network"].get("provider:network_type").is_none());
    assert_eq!(seen["network"]["tenant_id"], DEMO_PROJECT);
}

#[tokio::test]
async fn bodies_are_refused_in_neutrons_words() {
    let server = Server::new();
    let network = server.create(DEMO, "network", json!({})).await;
    let cases = [
        ("ports", json!({}), "400 HTTPBadRequest: Unable to find 'port' in request body"),
        ("ports", json!({"port": []}), "400 HTTPBadRequest: Object 'port' contains invalid data"),
        (
            "ports",
            json!({"port": {}}),
            "400 HTTPBadRequest: Failed to parse request. Required attribute 'network_id' not specified",
        ),
        (
            "ports",
            json!({"port": {"network_id": id(&network), "colour": "red"}}),
            "400 HTTPBadRequest: Unrecognized attribute(s) 'colour'",
        ),
        (
            "networks",
            json!({"network": {"status": "ACTIVE"}}),
            "400 HTTPBadRequest: Attribute 'status' not allowed in POST",
        ),
        (
            "networks",
            json!({"network": {"name": 5}}),
            "400 HTTPBadRequest: Invalid input for name. Reason: '5' is not a valid string.",
        ),
        (
            "networks",
            json!({"network": {"admin_state_up": "maybe"}}),
            "400 InvalidInput: Invalid input for operation: 'maybe' cannot be converted to boolean.",
        ),
        (
            "networks",
            json!({"network": {"tenant_id": "a", "project_id": "b"}}),
            "400 HTTPBadRequest: 'project_id' and 'tenant_id' do not match",
        ),
        (
            "networks",
            json!({"network": {"tenant_id": "a"}}),
            "400 HTTPBadRequest: Specifying 'project_id' other than the authenticated project in request is not allowed \
             for the current user.",
        ),
        ("networks", json!({"networks": []}), "400 HTTPBadRequest: Resources required"),
        (
            "subnets",
            json!({"subnet": {"network_id": id(&network), "ip_version": 4}}),
            "400 BadRequest: Bad subnets request: a subnetpool must be specified in the absence of a cidr.",
        ),
    ];
    for (collection, body, expected) in cases {
        let answer = server.post(DEMO, &format!("/v2.0/{collection}"), body).await;
        assert_eq!(answer.error(), expected);
    }
    let malformed = server.raw("POST", "/v2.0/networks", Some(DEMO), b"{\"network\":".to_vec()).await;
    assert_eq!(malformed.error(), "400 HTTPBadRequest: Body contains invalid data");
    let path = format!("/v2.0/networks/{}", id(&network));
    let read_only = server.put(DEMO, &path, json!({"network": {"id": "x"}})).await;
    assert_eq!(read_only.error(), "400 HTTPBadRequest: Cannot update read-only attribute id");
}

#[tokio::test]
async fn on_a_shared_network_only_its_owner_chooses() {
    let server = Server::new();
    let network = server.create(ADMIN, "network", json!({"shared": true})).await;
    let subnet = json!({"network_id": id(&network), "ip_version": 4, "cidr": "10.0.0.0/24"});
    let subnet = server.create(ADMIN, "subnet", subnet).await;
    let port = async |members: Value| {
        let mut body = json!({"network_id": id(&network)});
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        server.post(DEMO, "/v2.0/ports", json!({"port": body})).await
    };
    port(json!({"fixed_ips": [{"subnet_id": id(&subnet)}], "device_owner": "compute:nova"})).await.expect(201);
    for (members, rule) in [
        (json!({"mac_address": "fa:16:3e:01:02:03"}), "mac_address"),
        (json!({"device_owner": "network:dhcp"}), "device_owner"),
        (json!({"port_security_enabled": false}), "port_security_enabled"),
        (json!({"allowed_address_pairs": [{"ip_address": "10.0.0.9"}]}), "allowed_address_pairs"),
        (json!({"fixed_ips": [{"ip_address": "10.0.0.9"}]}), "fixed_ips:ip_address"),
        (json!({"binding:host_id": "compute1"}), "binding:host_id"),
    ] {
        let answer = port(members).await;
        assert_eq!(answer.status, 403, "{rule}: {}", answer.text);
        assert!(answer.error().contains(&format!("rule:create_port:{rule}")), "{}", answer.error());
    }
    // A reader of the project sees its ports, and those of other projects only on networks of the project.
    let foreign = server.create(ADMIN, "port", json!({"network_id": id(&network)})).await;
    assert_eq!(server.get(READER, "/v2.0/ports?fields=id").await.expect(200)["ports"].as_array().unwrap().len(), 1);
    assert_eq!(server.get(READER, &format!("/v2.0/ports/{}", id(&foreign))).await.status, 404);
    assert_eq!(server.post(READER, "/v2.0/networks", json!({"network": {}})).await.status, 403);
}

#[tokio::test]
async fn a_networks_owner_sees_every_port_on_it() {
    let server = Server::new();
    let network = server.create(DEMO, "network", json!({})).await;
    let foreign = json!({"network_id": id(&network), "project_id": crate::server::OTHER_PROJECT});
    let foreign = server.create(ADMIN, "port", foreign).await;
    let path = format!("/v2.0/ports/{}", id(&foreign));
    server.get(DEMO, &path).await.expect(200);
    server.get(OTHER, &path).await.expect(200);
    assert_eq!(server.put(DEMO, &path, json!({"port": {"name": "x"}})).await.status, 403);
    server.delete(DEMO, &path).await.expect(204);
}

#[tokio::test]
async fn saying_what_is_so_changes_nothing() {
    let server = Server::new();
    let network = server.create(DEMO, "network", json!({"name": "n"})).await;
    let path = format!("/v2.0/networks/{}", id(&network));
    let network = server.get(DEMO, &path).await.expect(200)["network"].clone();
    let same = server.put(DEMO, &path, json!({"network": {"name": "n", "admin_state_up": true}})).await.expect(200);
    assert_eq!(same["network"], network);
    let changed = server.put(DEMO, &path, json!({"network": {"name": "m"}})).await.expect(200);
    assert!(changed["network"]["revision_number"].as_u64() > network["revision_number"].as_u64());
    // What may not be said may not be said again.
    let groups = server.get(DEMO, "/v2.0/security-groups").await.expect(200);
    let default = format!("/v2.0/security-groups/{}", id(&groups["security_groups"][0]));
    server.put(DEMO, &default, json!({"security_group": {"name": "default"}})).await.expect(409);
}
