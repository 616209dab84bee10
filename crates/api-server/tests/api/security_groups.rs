//! Security groups and their rules as clients see them.

use crate::server::{ADMIN, DEMO, OTHER, OTHER_PROJECT, READER, Server, id};
use serde_json::{Value, json};

/// `direction ethertype from-itself` of each rule, sorted.
fn rules(group: &Value) -> Vec<String> {
    let words = |rule: &Value| {
        let itself = if rule["remote_group_id"] == group["id"] { " from itself" } else { "" };
        format!("{} {}{itself}", rule["direction"].as_str().unwrap(), rule["ethertype"].as_str().unwrap())
    };
    let mut rules: Vec<String> = group["security_group_rules"].as_array().unwrap().iter().map(words).collect();
    rules.sort();
    rules
}

#[tokio::test]
async fn every_project_has_a_default_group_when_it_first_looks() {
    let server = Server::new();
    for path in ["/v2.0/security-groups", "/v2.0/security-group-rules"] {
        server.get(READER, path).await.expect(200);
    }
    let list = server.get(DEMO, "/v2.0/security-groups").await.expect(200);
    let groups = list["security_groups"].as_array().unwrap();
    assert_eq!(groups.len(), 1);
    assert_eq!(
        (groups[0]["name"].as_str(), groups[0]["description"].as_str()),
        (Some("default"), Some("Default security group"))
    );
    assert_eq!(
        rules(&groups[0]),
        ["egress IPv4", "egress IPv6", "ingress IPv4 from itself", "ingress IPv6 from itself"]
    );
    let of_other = format!("/v2.0/security-groups?project_id={OTHER_PROJECT}");
    assert_eq!(server.get(DEMO, &of_other).await.expect(200), json!({"security_groups": []}));
    let seen = server.get(ADMIN, &of_other).await.expect(200);
    assert_eq!(seen["security_groups"].as_array().unwrap().len(), 1, "an administrator's look makes it too");
}

#[tokio::test]
async fn a_group_shows_its_rules_and_each_rule_is_an_object() {
    let server = Server::new();
    let group = server.create(DEMO, "security_group", json!({"name": "web", "description": "d"})).await;
    assert_eq!(rules(&group), ["egress IPv4", "egress IPv6"]);
    assert_eq!(group["security_group_rules"][0]["description"], Value::Null, "nobody has described it");
    assert_eq!((&group["stateful"], &group["shared"], &group["tags"]), (&json!(true), &json!(false), &json!([])));
    let rule = json!({"security_group_id": id(&group), "direction": "ingress", "protocol": "TCP", "port_range_min": "80",
                      "port_range_max": 90, "remote_ip_prefix": "10.1.2.3/8"});
    let rule = server.create(DEMO, "security_group_rule", rule).await;
    assert_eq!((rule["protocol"].as_str(), rule["description"].as_str()), (Some("tcp"), Some("")));
    assert_eq!((&rule["port_range_min"], &rule["port_range_max"]), (&json!(80), &json!(90)));
    assert_eq!((&rule["remote_ip_prefix"], &rule["normalized_cidr"]), (&json!("10.1.2.3/8"), &json!("10.0.0.0/8")));
    assert_eq!((&rule["belongs_to_default_sg"], &rule["remote_address_group_id"]), (&json!(false), &Value::Null));
    let shown = server.get(DEMO, &format!("/v2.0/security-groups/{}", id(&group))).await.expect(200);
    let nested = shown["security_group"]["security_group_rules"].as_array().unwrap();
    assert!(nested.contains(&rule), "the group shows the rule as the rule shows itself");
    assert!(shown["security_group"]["revision_number"].as_u64() > group["revision_number"].as_u64());

    let found = server.get(DEMO, "/v2.0/security-group-rules?protocol=tcp&fields=id").await.expect(200);
    assert_eq!(found, json!({"security_group_rules": [{"id": id(&rule)}]}));
    let path = format!("/v2.0/security-group-rules/{}", id(&rule));
    assert_eq!(server.get(OTHER, &path).await.status, 404);
    assert_eq!(server.delete(READER, &path).await.status, 403);
    server.delete(DEMO, &path).await.expect(204);
    assert_eq!(
        server.delete(DEMO, &path).await.error(),
        format!("404 SecurityGroupRuleNotFound: Security group rule {} does not exist", id(&rule))
    );
}

#[tokio::test]
async fn mistakes_in_rules_are_told_in_neutrons_words() {
    let server = Server::new();
    let group = server.create(DEMO, "security_group", json!({"name": "web"})).await;
    let unknown = "5a0fa2a2-6d5c-4a2c-8f0e-0d0c1c1d2e3f";
    let cases = [
        (
            json!({"protocol": "smtp"}),
            "400 SecurityGroupRuleInvalidProtocol: Security group rule protocol smtp not supported.",
        ),
        (
            json!({"protocol": 300}),
            "400 SecurityGroupRuleInvalidProtocol: Security group rule protocol 300 not supported.",
        ),
        (json!({"ethertype": "arp"}), "400 SecurityGroupRuleInvalidEtherType: Security group rule for ethertype 'arp'"),
        (
            json!({"protocol": "tcp", "port_range_min": 70000}),
            "400 SecurityGroupInvalidPortValue: Invalid value for port 70000",
        ),
        (json!({"protocol": "tcp", "port_range_min": 9, "port_range_max": 5}), "400 SecurityGroupInvalidPortRange: "),
        (json!({"port_range_min": 9, "port_range_max": 9}), "400 SecurityGroupProtocolRequiredWithPorts: "),
        (json!({"remote_ip_prefix": "10.0.0.0/33"}), "400 InvalidCIDR: Invalid CIDR 10.0.0.0/33 given as IP prefix."),
        (json!({"remote_ip_prefix": "fd00::/8"}), "400 SecurityGroupRuleParameterConflict: "),
        (
            json!({"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": id(&group)}),
            "400 SecurityGroupMultipleRemoteEntites: ",
        ),
        (json!({"remote_group_id": unknown}), "404 SecurityGroupNotFound: Security group 5a0fa2a2"),
        (
            json!({"direction": "up"}),
            "400 HTTPBadRequest: Invalid input for direction. Reason: up is not in valid_values.",
        ),
        (json!({"security_group_id": unknown}), "404 SecurityGroupNotFound: Security group 5a0fa2a2"),
        (json!({"security_group_id": "nonsense"}), "404 SecurityGroupNotFound: Security group nonsense does not exist"),
    ];
    for (change, expected) in cases {
        let mut rule = json!({"security_group_id": id(&group), "direction": "ingress"});
        rule.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let error = server.post(DEMO, "/v2.0/security-group-rules", json!({"security_group_rule": rule})).await.error();
        assert!(error.starts_with(expected), "{error}\nnot\n{expected}");
    }
    let foreign = json!({"security_group_rule": {"security_group_id": id(&group), "direction": "ingress"}});
    assert_eq!(server.post(OTHER, "/v2.0/security-group-rules", foreign).await.status, 404);
}

#[tokio::test]
async fn several_rules_are_made_together_or_not_at_all() {
    let server = Server::new();
    let group = server.create(DEMO, "security_group", json!({"name": "web"})).await;
    let rule = |protocol: &str| json!({"security_group_id": id(&group), "direction": "ingress", "protocol": protocol});
    let post = |rules: Value| {
        let server = &server;
        async move { server.post(DEMO, "/v2.0/security-group-rules", json!({"security_group_rules": rules})).await }
    };
    let made = post(json!([rule("tcp"), rule("udp")])).await.expect(201);
    assert_eq!(made["security_group_rules"].as_array().unwrap().len(), 2);
    let twice = post(json!([rule("sctp"), rule("132")])).await;
    assert_eq!(twice.error(), "409 DuplicateSecurityGroupRuleInPost: Duplicate Security Group Rule in POST.");
    let exists = post(json!([rule("sctp"), rule("6")])).await.error();
    let first = id(&made["security_group_rules"][0]);
    assert_eq!(exists, format!("409 SecurityGroupRuleExists: Security group rule already exists. Rule id is {first}."));
    let all =
        server.get(DEMO, &format!("/v2.0/security-group-rules?security_group_id={}", id(&group))).await.expect(200);
    assert_eq!(all["security_group_rules"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn the_default_group_and_groups_in_use_are_kept() {
    let server = Server::new();
    let list = server.get(DEMO, "/v2.0/security-groups?name=default").await.expect(200);
    let default = format!("/v2.0/security-groups/{}", id(&list["security_groups"][0]));
    assert_eq!(
        server.delete(DEMO, &default).await.error(),
        "409 SecurityGroupCannotRemoveDefault: Insufficient rights for removing default security group."
    );
    assert_eq!(
        server.put(DEMO, &default, json!({"security_group": {"name": "x"}})).await.error(),
        "409 SecurityGroupCannotUpdateDefault: Updating default security group not allowed."
    );
    assert_eq!(
        server.post(DEMO, "/v2.0/security-groups", json!({"security_group": {"name": "Default"}})).await.error(),
        "409 SecurityGroupDefaultAlreadyExists: Default security group already exists."
    );
    let network = server.create(DEMO, "network", json!({})).await;
    server.create(DEMO, "subnet", json!({"network_id": id(&network), "ip_version": 4, "cidr": "10.0.0.0/24"})).await;
    let group = server.create(DEMO, "security_group", json!({"name": "web"})).await;
    let port = server.create(DEMO, "port", json!({"network_id": id(&network), "security_groups": [id(&group)]})).await;
    let path = format!("/v2.0/security-groups/{}", id(&group));
    assert_eq!(
        server.delete(DEMO, &path).await.error(),
        format!("409 SecurityGroupInUse: Security Group {} in use.", id(&group))
    );
    let stateless = json!({"security_group": {"stateful": false}});
    assert_eq!(server.put(DEMO, &path, stateless.clone()).await.status, 409);
    server.delete(DEMO, &format!("/v2.0/ports/{}", id(&port))).await.expect(204);
    assert_eq!(server.put(DEMO, &path, stateless).await.expect(200)["security_group"]["stateful"], false);
    server.delete(DEMO, &path).await.expect(204);
}

#[tokio::test]
async fn groups_and_rules_count_against_quotas() {
    let server = Server::new();
    for n in 0..9 {
        server.create(DEMO, "security_group", json!({"name": format!("g{n}")})).await;
    }
    let tenth = server.post(DEMO, "/v2.0/security-groups", json!({"security_group": {"name": "g10"}})).await;
    assert_eq!(
        tenth.error(),
        "409 OverQuota: Quota exceeded for resources: ['security_group'].",
        "nine and the default one"
    );
}
