//! Metering labels and their rules.

use crate::server::{ADMIN, DEMO, MANAGER, OTHER, Server, id};
use serde_json::{Value, json};

const LABELS: &str = "/v2.0/metering/metering-labels";
const RULES: &str = "/v2.0/metering/metering-label-rules";

async fn label(server: &Server) -> String {
    id(&server.create(MANAGER, "metering_label", json!({"name": "m"})).await).to_owned()
}

async fn add(server: &Server, label: &str, members: Value) -> crate::server::Answer {
    let mut rule = json!({"metering_label_id": label, "direction": "ingress"});
    for (name, value) in members.as_object().unwrap() {
        rule[name] = value.clone();
    }
    server.post(MANAGER, RULES, json!({"metering_label_rule": rule})).await
}

#[tokio::test]
async fn labels_are_their_projects() {
    let server = Server::new();
    let label = label(&server).await;
    let item = format!("{LABELS}/{label}");
    let shown = server.get(DEMO, &item).await.expect(200)["metering_label"].clone();
    assert_eq!((&shown["name"], &shown["description"], &shown["shared"]), (&json!("m"), &json!(""), &json!(false)));
    let missing = format!("404 MeteringLabelNotFound: Metering label '{label}' does not exist.");
    assert_eq!(server.get(OTHER, &item).await.error(), missing);
    assert_eq!(server.post(DEMO, LABELS, json!({"metering_label": {}})).await.status, 403);
    let of_other = add(&server, "0c1d2e3f-0000-4000-8000-000000000000", json!({"remote_ip_prefix": "::/0"})).await;
    assert!(of_other.error().starts_with("404 MeteringLabelNotFound: "));
}

#[tokio::test]
async fn rules_of_a_label_do_not_count_the_same_twice() {
    let server = Server::new();
    let label = label(&server).await;
    let rule = add(&server, &label, json!({"remote_ip_prefix": "10.0.0.0/24"})).await.expect(201);
    let rule = rule["metering_label_rule"].clone();
    assert_eq!(rule["remote_ip_prefix"], "10.0.0.0/24");
    assert_eq!((&rule["excluded"], &rule["source_ip_prefix"]), (&json!(false), &Value::Null));
    let again = add(&server, &label, json!({"remote_ip_prefix": "10.0.0.128/25"})).await.error();
    let message = "Metering label rule with remote_ip_prefix '10.0.0.128/25' overlaps another.";
    assert_eq!(again, format!("409 MeteringLabelRuleOverlaps: {message}"));
    for apart in [json!({"direction": "egress"}), json!({"excluded": true}), json!({"remote_ip_prefix": "10.0.1.0/24"})]
    {
        let mut members = json!({"remote_ip_prefix": "10.0.0.128/25"});
        for (name, value) in apart.as_object().unwrap() {
            members[name] = value.clone();
        }
        add(&server, &label, members).await.expect(201);
    }
    server.delete(MANAGER, &format!("{RULES}/{}", id(&rule))).await.expect(204);
    add(&server, &label, json!({"remote_ip_prefix": "10.0.0.128/25"})).await.expect(201);
    server.delete(ADMIN, &format!("{LABELS}/{label}")).await.expect(204);
    let left = server.get(ADMIN, RULES).await.expect(200);
    assert_eq!(left["metering_label_rules"], json!([]), "they go with their label");
}

#[tokio::test]
async fn a_rule_names_the_remote_side_or_the_ends() {
    let server = Server::new();
    let label = label(&server).await;
    let ends = json!({"source_ip_prefix": "10.0.0.5", "destination_ip_prefix": "192.0.2.0/24"});
    let made = add(&server, &label, ends).await.expect(201)["metering_label_rule"].clone();
    assert_eq!(made["source_ip_prefix"], "10.0.0.5/32");
    for wrong in [
        json!({}),
        json!({"remote_ip_prefix": "10.0.0.0/24", "source_ip_prefix": "10.0.0.0/24"}),
        json!({"remote_ip_prefix": "10.0.0.0/33"}),
        json!({"remote_ip_prefix": "x"}),
    ] {
        let answer = add(&server, &label, wrong.clone()).await;
        assert!(answer.error().starts_with("400 Invalid: "), "{wrong}: {}", answer.text);
    }
}
