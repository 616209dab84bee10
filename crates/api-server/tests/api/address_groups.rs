//! Address groups, and security group rules that refer to them.

use crate::server::{ADMIN, DEMO, OTHER, OTHER_PROJECT, Server, id};
use serde_json::{Value, json};

fn path(group: &Value, action: &str) -> String {
    format!("/v2.0/address-groups/{}{action}", id(group))
}

#[tokio::test]
async fn addresses_are_kept_without_host_bits_and_come_and_go() {
    let server = Server::new();
    let addresses = json!(["10.10.10.3/32", "192.168.0.10/24", "2001:db8::f00/64"]);
    let group = server.create(DEMO, "address_group", json!({"name": "a", "addresses": addresses})).await;
    assert_eq!(group["addresses"], json!(["10.10.10.3/32", "192.168.0.0/24", "2001:db8::/64"]));
    assert!(group.get("shared").is_none());

    let add = async |action: &str, addresses: Value| {
        server.put(DEMO, &path(&group, action), json!({"addresses": addresses})).await
    };
    let more = add("/add_addresses", json!(["10.20.30.40/32"])).await.expect(200);
    assert_eq!(
        more["address_group"]["addresses"],
        json!(["10.10.10.3/32", "10.20.30.40/32", "192.168.0.0/24", "2001:db8::/64"])
    );
    assert_eq!(
        add("/add_addresses", json!(["192.168.0.77/24", "10.0.0.0/8"])).await.error(),
        format!(
            "400 AddressesAlreadyExist: Addresses ['192.168.0.0/24'] already exist in the address group {}.",
            id(&group)
        )
    );
    assert_eq!(
        add("/remove_addresses", json!(["10.200.200.200", "10.20.30.40"])).await.error(),
        format!(
            "404 AddressesNotFound: Addresses ['10.200.200.200/32'] not found in the address group {}.",
            id(&group)
        )
    );
    for action in ["/add_addresses", "/remove_addresses"] {
        assert_eq!(add(action, json!(["this is bad IP address"])).await.status, 400);
        assert_eq!(add(action, json!(7)).await.status, 400);
    }
    add("/remove_addresses", json!(["10.20.30.40/32", "10.10.10.3/32"])).await.expect(200);
    let renamed = json!({"address_group": {"description": "d"}});
    let now = server.put(DEMO, &path(&group, ""), renamed).await.expect(200);
    assert_eq!(now["address_group"]["addresses"], json!(["192.168.0.0/24", "2001:db8::/64"]));
    assert_eq!(now["address_group"]["name"], "a");
    let refused = server.put(DEMO, &path(&group, ""), json!({"address_group": {"addresses": []}})).await;
    assert_eq!(refused.status, 400, "addresses have requests of their own");
}

#[tokio::test]
async fn what_is_no_prefix_is_refused() {
    let server = Server::new();
    for (addresses, reason) in [
        (json!(["10.20.30.40"]), "'10.20.30.40' is not a valid IP subnet"),
        (json!(["nonsense"]), "'nonsense' is not a valid IP subnet"),
        (json!("10.0.0.0/8"), "'10.0.0.0/8' is not a list"),
        (json!(["10.0.0.0/8", "10.0.0.0/8"]), "Duplicate items in the list: '10.0.0.0/8'"),
    ] {
        let body = json!({"address_group": {"addresses": addresses}});
        assert_eq!(
            server.post(DEMO, "/v2.0/address-groups", body).await.error(),
            format!("400 HTTPBadRequest: Invalid input for addresses. Reason: {reason}.")
        );
    }
    let none = server.create(DEMO, "address_group", json!({"addresses": null})).await;
    assert_eq!(none["addresses"], json!([]));
}

#[tokio::test]
async fn rules_refer_to_groups_that_their_project_may_use() {
    let server = Server::new();
    let addresses = server.create(DEMO, "address_group", json!({"addresses": ["192.0.2.0/24"]})).await;
    let group = server.create(DEMO, "security_group", json!({"name": "g"})).await;
    let rule =
        json!({"security_group_id": id(&group), "direction": "ingress", "remote_address_group_id": id(&addresses)});
    let made = server.create(DEMO, "security_group_rule", rule.clone()).await;
    assert_eq!(made["remote_address_group_id"], addresses["id"]);
    let filtered = format!("/v2.0/security-group-rules?remote_address_group_id={}", id(&addresses));
    let found = server.get(DEMO, &filtered).await.expect(200);
    assert_eq!(found["security_group_rules"].as_array().unwrap().len(), 1);
    let again = server.post(DEMO, "/v2.0/security-group-rules", json!({"security_group_rule": rule})).await;
    assert_eq!(
        again.error(),
        format!("409 SecurityGroupRuleExists: Security group rule already exists. Rule id is {}.", id(&made))
    );
    assert_eq!(
        server.delete(DEMO, &path(&addresses, "")).await.error(),
        format!(
            "409 AddressGroupInUse: Address group {} is in use on one or more security group rules.",
            id(&addresses)
        )
    );
    let both = json!({"security_group_rule": {"security_group_id": id(&group), "direction": "ingress",
        "remote_address_group_id": id(&addresses), "remote_ip_prefix": "10.0.0.0/8"}});
    assert!(server.post(DEMO, "/v2.0/security-group-rules", both).await.error().contains("MultipleRemote"));

    let theirs = server.create(OTHER, "security_group", json!({"name": "g"})).await;
    let rule = json!({"security_group_rule": {"security_group_id": id(&theirs), "direction": "ingress",
        "remote_address_group_id": id(&addresses)}});
    assert_eq!(
        server.post(OTHER, "/v2.0/security-group-rules", rule.clone()).await.error(),
        format!("404 AddressGroupNotFound: Address group {} could not be found.", id(&addresses))
    );
    let entry = json!({"object_type": "address_group", "object_id": id(&addresses), "action": "access_as_shared",
        "target_tenant": OTHER_PROJECT});
    let entry = server.create(DEMO, "rbac_policy", entry).await;
    server.get(OTHER, &path(&addresses, "")).await.expect(200);
    assert_eq!(server.delete(OTHER, &path(&addresses, "")).await.status, 404, "seen, not owned");
    let used = server.post(OTHER, "/v2.0/security-group-rules", rule).await.expect(201);
    let entry = format!("/v2.0/rbac-policies/{}", id(&entry));
    assert_eq!(server.delete(DEMO, &entry).await.status, 409, "a rule of theirs needs it");
    let used = format!("/v2.0/security-group-rules/{}", id(&used["security_group_rule"]));
    server.delete(OTHER, &used).await.expect(204);
    server.delete(DEMO, &entry).await.expect(204);
    server.delete(DEMO, &format!("/v2.0/security-groups/{}", id(&group))).await.expect(204);
    server.delete(DEMO, &path(&addresses, "")).await.expect(204);
    assert_eq!(server.get(ADMIN, &path(&addresses, "")).await.status, 404);
}
