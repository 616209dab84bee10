//! Trunks: their subports, what they refuse, and how ports follow their parent.

use crate::server::{ADMIN, DEMO, Server, add_l2_agent, id};
use serde_json::{Value, json};

async fn port(server: &Server, network: Value) -> Value {
    let network = server.create(ADMIN, "network", network).await;
    server.create(ADMIN, "port", json!({"network_id": id(&network)})).await
}

fn subport(port: &Value, tag: u16) -> Value {
    json!({"segmentation_id": tag, "segmentation_type": "vlan", "port_id": id(port)})
}

async fn act(server: &Server, trunk: &Value, action: &str, subports: Value) -> crate::server::Answer {
    server.put(ADMIN, &format!("/v2.0/trunks/{}/{action}", id(trunk)), json!({"sub_ports": subports})).await
}

async fn show(server: &Server, kind: &str, object: &Value) -> Value {
    server.get(ADMIN, &format!("/v2.0/{kind}s/{}", id(object))).await.expect(200)[kind].clone()
}

#[tokio::test]
async fn ports_come_and_go() {
    let server = Server::new();
    let (parent, first, second) =
        (port(&server, json!({})).await, port(&server, json!({})).await, port(&server, json!({})).await);
    let members = json!({"port_id": id(&parent), "sub_ports": [subport(&first, 20)]});
    let trunk = server.create(ADMIN, "trunk", members).await;
    assert_eq!((&trunk["status"], &trunk["sub_ports"]), (&json!("DOWN"), &json!([subport(&first, 20)])));
    let added = act(&server, &trunk, "add_subports", json!([subport(&second, 10)])).await.expect(200);
    assert_eq!(added["sub_ports"], json!([subport(&second, 10), subport(&first, 20)]));
    assert_eq!(added["id"], trunk["id"], "the trunk stands bare in the answer");
    let listed = server.get(ADMIN, &format!("/v2.0/trunks/{}/get_subports", id(&trunk))).await.expect(200);
    assert_eq!(listed["sub_ports"], added["sub_ports"]);
    let details = show(&server, "port", &parent).await["trunk_details"].clone();
    assert_eq!(details["trunk_id"], trunk["id"]);
    assert_eq!(details["sub_ports"][0]["mac_address"], second["mac_address"]);
    assert_eq!(show(&server, "port", &first).await["trunk_details"], Value::Null);
    for held in [&parent, &first] {
        let refused = server.delete(ADMIN, &format!("/v2.0/ports/{}", id(held))).await;
        assert_eq!(refused.status, 409, "{}", refused.text);
    }
    let left = act(&server, &trunk, "remove_subports", json!([{"port_id": id(&first)}])).await.expect(200);
    assert_eq!(left["sub_ports"], json!([subport(&second, 10)]));
    assert!(left["revision_number"].as_u64() > trunk["revision_number"].as_u64());
    let gone = act(&server, &trunk, "remove_subports", json!([{"port_id": id(&first)}])).await;
    assert!(gone.error().starts_with("404 SubPortNotFound: "), "{}", gone.text);
    server.delete(ADMIN, &format!("/v2.0/trunks/{}", id(&trunk))).await.expect(204);
    server.delete(ADMIN, &format!("/v2.0/ports/{}", id(&parent))).await.expect(204);
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let server = Server::new();
    let (parent, first, second) =
        (port(&server, json!({})).await, port(&server, json!({})).await, port(&server, json!({})).await);
    let trunk = server.create(ADMIN, "trunk", json!({"port_id": id(&parent), "sub_ports": [subport(&first, 2)]})).await;
    let refused = async |subports: Value| act(&server, &trunk, "add_subports", subports).await.error();
    let begins = |error: &str, with: &str| assert!(error.starts_with(with), "{error}");
    begins(&refused(json!([subport(&parent, 3)])).await, "409 ParentPortInUse: ");
    begins(&refused(json!([subport(&first, 3)])).await, "409 TrunkPortInUse: ");
    begins(
        &refused(json!([subport(&second, 2)])).await,
        "409 DuplicateSubPort: segmentation_type vlan and segmentation_id 2 ",
    );
    begins(
        &refused(json!([subport(&second, 4095)])).await,
        "400 InvalidInput: Invalid input for operation: Segmentation ID '4095'",
    );
    begins(
        &refused(subport(&second, 5)).await,
        "400 InvalidInput: Invalid input for operation: Invalid data format for subports: ",
    );
    let inherits = json!([{"port_id": id(&second), "segmentation_type": "inherit"}]);
    begins(
        &refused(inherits).await,
        "400 InvalidInput: Invalid input for operation: Unknown segmentation_type 'vxlan'",
    );
    let large = port(&server, json!({"mtu": 1450})).await;
    let small = port(&server, json!({"mtu": 1400})).await;
    let beyond = json!({"trunk": {"port_id": id(&small), "sub_ports": [subport(&large, 2)]}});
    begins(
        &server.post(ADMIN, "/v2.0/trunks", beyond).await.error(),
        "409 SubPortMtuGreaterThanTrunkPortMtu: MTU 1450 ",
    );
    let again = json!({"trunk": {"port_id": id(&first)}});
    begins(&server.post(ADMIN, "/v2.0/trunks", again).await.error(), "409 TrunkPortInUse: ");
    let foreign = json!({"trunk": {"port_id": id(&second)}});
    begins(&server.post(DEMO, "/v2.0/trunks", foreign).await.error(), "404 PortNotFound: ");
    let path = format!("/v2.0/trunks/{}", id(&trunk));
    server.put(ADMIN, &path, json!({"trunk": {"admin_state_up": false}})).await.expect(200);
    begins(&refused(json!([subport(&second, 5)])).await, "409 TrunkDisabled: ");
    begins(&act(&server, &trunk, "remove_subports", json!([])).await.error(), "409 TrunkDisabled: ");
    begins(&server.delete(ADMIN, &path).await.error(), "409 TrunkDisabled: ");
}

#[tokio::test]
async fn subports_take_the_tag_of_their_network_when_told_so() {
    let server = Server::new();
    let vlan = json!({"provider:network_type": "vlan", "provider:physical_network": "physnet1",
        "provider:segmentation_id": 150});
    let (parent, other) = (port(&server, json!({"mtu": 1400})).await, port(&server, json!({})).await);
    let mut small = vlan.clone();
    small["mtu"] = json!(1400);
    let subport = port(&server, small).await;
    let inherits = json!([{"port_id": id(&subport), "segmentation_type": "inherit"}]);
    let trunk = server.create(ADMIN, "trunk", json!({"port_id": id(&parent), "sub_ports": inherits})).await;
    assert_eq!(trunk["sub_ports"][0]["segmentation_id"], 150);
    assert_eq!(trunk["sub_ports"][0]["segmentation_type"], "vlan");
    assert_eq!(show(&server, "port", &other).await["trunk_details"], Value::Null);
}

#[tokio::test]
async fn subports_go_where_their_parent_goes() {
    let server = Server::new();
    for host in ["h1", "h2"] {
        add_l2_agent(&server, host, json!({"tunnel_types": ["vxlan"]})).await;
    }
    let (parent, subport_port, late) =
        (port(&server, json!({})).await, port(&server, json!({})).await, port(&server, json!({})).await);
    let members = json!({"port_id": id(&parent), "sub_ports": [subport(&subport_port, 2)]});
    let trunk = server.create(ADMIN, "trunk", members).await;
    let bind = async |host: &str| {
        let path = format!("/v2.0/ports/{}", id(&parent));
        server.put(ADMIN, &path, json!({"port": {"binding:host_id": host}})).await.expect(200);
    };
    let place = async |port: &Value| {
        let port = show(&server, "port", port).await;
        let text = |name: &str| port[name].as_str().unwrap().to_owned();
        (text("binding:host_id"), text("binding:vif_type"), text("device_owner"))
    };
    let at = |host: &str, vif: &str, owner: &str| (host.to_owned(), vif.to_owned(), owner.to_owned());
    assert_eq!(place(&subport_port).await, at("", "unbound", ""));
    bind("h1").await;
    assert_eq!(place(&subport_port).await, at("h1", "ovs", "trunk:subport"));
    act(&server, &trunk, "add_subports", json!([subport(&late, 3)])).await.expect(200);
    assert_eq!(place(&late).await, at("h1", "ovs", "trunk:subport"));
    bind("h2").await;
    assert_eq!(place(&late).await, at("h2", "ovs", "trunk:subport"));
    act(&server, &trunk, "remove_subports", json!([{"port_id": id(&late)}])).await.expect(200);
    assert_eq!(place(&late).await, at("", "unbound", ""));
    let path = format!("/v2.0/trunks/{}", id(&trunk));
    assert!(server.delete(ADMIN, &path).await.error().starts_with("409 TrunkInUse: "));
    bind("").await;
    server.delete(ADMIN, &path).await.expect(204);
    assert_eq!(place(&subport_port).await, at("", "unbound", ""));
    bind("h1").await;
    let bound = json!({"trunk": {"port_id": id(&parent)}});
    assert!(server.post(ADMIN, "/v2.0/trunks", bound).await.error().starts_with("409 ParentPortInUse: "));
}
