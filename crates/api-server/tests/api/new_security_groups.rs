//! What a new security group begins with: rules that an administrator decides, and whether it is stateful.

use crate::server::{ADMIN, DEMO, DEMO_PROJECT, OTHER, Server, id};
use serde_json::{Value, json};

async fn templates(server: &Server, token: &str) -> Vec<Value> {
    let list = server.get(token, "/v2.0/default-security-group-rules").await.expect(200);
    list["default_security_group_rules"].as_array().unwrap().clone()
}

fn has_port(group: &Value, port: u16) -> bool {
    group["security_group_rules"].as_array().unwrap().iter().any(|rule| rule["port_range_min"] == port)
}

#[tokio::test]
async fn new_groups_take_the_rules_of_their_sort() {
    let server = Server::new();
    let legacy = templates(&server, DEMO).await;
    assert_eq!(legacy.len(), 4);
    let from_itself = legacy.iter().filter(|rule| rule["remote_group_id"] == "PARENT").count();
    assert_eq!(from_itself, 2);
    let template = |port: u16, default: bool, other: bool| {
        json!({"direction": "ingress", "protocol": "tcp", "port_range_min": port, "port_range_max": port,
            "used_in_default_sg": default, "used_in_non_default_sg": other, "description": "of all"})
    };
    let made = server.create(ADMIN, "default_security_group_rule", template(80, true, false)).await;
    assert_eq!(made["ethertype"], "IPv4");
    assert!(made.get("project_id").is_none());
    server.create(ADMIN, "default_security_group_rule", template(81, false, true)).await;
    let group = server.create(DEMO, "security_group", json!({"name": "g"})).await;
    assert_eq!(group["security_group_rules"][0]["tags"], json!([]), "only where the group is new");
    let shown = server.get(DEMO, &format!("/v2.0/security-groups/{}", id(&group))).await.expect(200);
    assert!(shown["security_group"]["security_group_rules"][0].get("tags").is_none());
    assert_eq!((has_port(&group, 80), has_port(&group, 81)), (false, true));
    let default = server.get(DEMO, "/v2.0/security-groups?name=default").await.expect(200);
    let default = &default["security_groups"][0];
    assert_eq!((has_port(default, 80), has_port(default, 81)), (true, false));

    server.delete(ADMIN, &format!("/v2.0/default-security-group-rules/{}", id(&made))).await.expect(204);
    let gone = server.get(DEMO, &format!("/v2.0/default-security-group-rules/{}", id(&made))).await;
    assert_eq!(
        gone.error(),
        format!("404 DefaultSecurityGroupRuleNotFound: Default Security Group rule {} does not exist", id(&made))
    );
    server.post(OTHER, "/v2.0/security-groups", json!({"security_group": {}})).await.expect(201);
    let default = server.get(OTHER, "/v2.0/security-groups?name=default").await.expect(200);
    assert!(!has_port(&default["security_groups"][0], 80));
}

#[tokio::test]
async fn templates_are_an_administrator_s_and_each_once_per_sort() {
    let server = Server::new();
    let path = "/v2.0/default-security-group-rules";
    let template = |default: bool, other: bool| {
        json!({"default_security_group_rule": {"direction": "ingress", "protocol": "tcp", "port_range_min": 22,
            "port_range_max": 22, "used_in_default_sg": default, "used_in_non_default_sg": other}})
    };
    assert_eq!(server.post(DEMO, path, template(true, true)).await.status, 403);
    let made = server.post(ADMIN, path, template(true, false)).await.expect(201);
    server.post(ADMIN, path, template(false, true)).await.expect(201);
    assert_eq!(
        server.post(ADMIN, path, template(true, true)).await.error(),
        format!(
            "409 DefaultSecurityGroupRuleExists: Default Security group rule already exists. Rule id is {}.",
            id(&made["default_security_group_rule"])
        )
    );
    let bad = json!({"default_security_group_rule": {"direction": "ingress", "port_range_min": 1, "port_range_max": 2,
        "used_in_default_sg": true, "used_in_non_default_sg": true}});
    assert!(server.post(ADMIN, path, bad).await.error().contains("SecurityGroupProtocolRequiredWithPorts"));
    let missing = json!({"default_security_group_rule": {"direction": "ingress"}});
    assert_eq!(server.post(ADMIN, path, missing).await.status, 400);
    let one = format!("{path}/{}", id(&made["default_security_group_rule"]));
    assert_eq!(server.delete(DEMO, &one).await.status, 403);
}

#[tokio::test]
async fn a_template_that_names_a_group_ends_with_it() {
    let server = Server::new();
    let target = server.create(ADMIN, "security_group", json!({"name": "target"})).await;
    let template = json!({"direction": "ingress", "remote_group_id": id(&target), "used_in_default_sg": false,
        "used_in_non_default_sg": true});
    server.create(ADMIN, "default_security_group_rule", template).await;
    let group = server.create(DEMO, "security_group", json!({"name": "g"})).await;
    assert_eq!(group["security_group_rules"].as_array().unwrap().len(), 3);
    server.delete(ADMIN, &format!("/v2.0/security-groups/{}", id(&target))).await.expect(204);
    let group = server.create(DEMO, "security_group", json!({"name": "h"})).await;
    assert_eq!(group["security_group_rules"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn statefulness_is_the_request_s_or_the_project_s_or_everybody_s() {
    let server = Server::new();
    let kind = "security_groups_default_statefulness";
    let path = "/v2.0/security-groups-default-statefulness";
    let stateful = async |members: Value| server.create(DEMO, "security_group", members).await["stateful"].clone();
    assert_eq!(stateful(json!({})).await, true);
    let for_all = server.create(ADMIN, kind, json!({"project_id": null, "stateful": false})).await;
    assert_eq!(for_all["project_id"], Value::Null);
    assert_eq!(stateful(json!({})).await, false);
    assert_eq!(stateful(json!({"stateful": true})).await, true);
    let own = server.create(ADMIN, kind, json!({"project_id": DEMO_PROJECT, "stateful": true})).await;
    assert_eq!(stateful(json!({})).await, true);
    let change = json!({ kind: {"stateful": false} });
    server.put(ADMIN, &format!("{path}/{}", id(&own)), change.clone()).await.expect(200);
    assert_eq!(stateful(json!({})).await, false);
    assert_eq!(
        server.post(ADMIN, path, json!({ kind: {"project_id": null} })).await.error(),
        "409 SecurityGroupDefaultStatefulnessAlreadyExists: A security group default statefulness setting already exists \
         for project 'system-wide'."
    );
    let seen = server.get(DEMO, path).await.expect(200);
    assert_eq!(seen[kind].as_array().unwrap().len(), 1, "one's own");
    assert_eq!(server.put(DEMO, &format!("{path}/{}", id(&own)), change).await.status, 403);
    assert_eq!(server.post(DEMO, path, json!({ kind: {"project_id": null} })).await.status, 400);
    for setting in [own, for_all] {
        server.delete(ADMIN, &format!("{path}/{}", id(&setting))).await.expect(204);
    }
    assert_eq!(stateful(json!({})).await, true);
}
