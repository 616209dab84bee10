//! Logs as clients see them.

use crate::server::{ADMIN, DEMO, MANAGER, Server, id};
use serde_json::{Value, json};

const LOGS: &str = "/v2.0/log/logs";

async fn make(server: &Server, members: Value) -> crate::server::Answer {
    server.post(ADMIN, LOGS, json!({ "log": members })).await
}

#[tokio::test]
async fn a_log_goes_with_what_it_is_about() {
    let server = Server::new();
    let group = server.create(ADMIN, "security_group", json!({"name": "g"})).await;
    let log = make(&server, json!({"resource_type": "security_group", "resource_id": id(&group)})).await.expect(201);
    let log = log["log"].clone();
    assert_eq!((&log["event"], &log["enabled"], &log["target_id"]), (&json!("ALL"), &json!(true), &Value::Null));
    let path = format!("{LOGS}/{}", id(&log));
    let off = server.put(ADMIN, &path, json!({"log": {"enabled": false}})).await.expect(200);
    assert_eq!(off["log"]["enabled"], false);
    assert!(off["log"]["revision_number"].as_i64() > log["revision_number"].as_i64());
    server.delete(ADMIN, &format!("/v2.0/security-groups/{}", id(&group))).await.expect(204);
    let gone = server.get(ADMIN, &path).await.error();
    assert_eq!(gone, format!("404 LogResourceNotFound: Log resource {} could not be found.", id(&log)));
}

#[tokio::test]
async fn what_a_log_is_about_must_be_there_and_belong_together() {
    let server = Server::new();
    let other = make(&server, json!({"resource_type": "router"})).await.error();
    assert_eq!(other, "400 InvalidLogResourceType: Invalid input for operation: Invalid log resource_type: router.");
    let nobody = "5ab1a4c2-33c0-4b0f-8f0c-0c4f8f1f3a10";
    let about = |members: Value| {
        let mut all = json!({"resource_type": "security_group"});
        all.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        all
    };
    let none = make(&server, about(json!({ "resource_id": nobody }))).await.error();
    assert!(none.starts_with("404 ResourceNotFound"), "{none}");
    let none = make(&server, about(json!({ "target_id": nobody }))).await.error();
    assert!(none.starts_with("404 TargetResourceNotFound"), "{none}");

    let group = server.create(ADMIN, "security_group", json!({"name": "g"})).await;
    let network = server.create(ADMIN, "network", json!({})).await;
    let port = server.create(ADMIN, "port", json!({"network_id": id(&network)})).await;
    let apart = make(&server, about(json!({"resource_id": id(&group), "target_id": id(&port)}))).await.error();
    assert!(apart.starts_with("400 InvalidResourceConstraint"), "{apart}");
    let member = json!({"port": {"security_groups": [id(&group)]}});
    server.put(ADMIN, &format!("/v2.0/ports/{}", id(&port)), member).await.expect(200);
    make(&server, about(json!({"resource_id": id(&group), "target_id": id(&port)}))).await.expect(201);
    let direct = json!({"network_id": id(&network), "binding:vnic_type": "macvtap"});
    let direct = server.create(ADMIN, "port", direct).await;
    let past = make(&server, about(json!({ "target_id": id(&direct) }))).await.error();
    assert!(past.starts_with("409 LoggingTypeNotSupported"), "{past}");
}

#[tokio::test]
async fn managers_log_and_administrators_learn_what_can_be_logged() {
    let server = Server::new();
    // What can be logged is of no project, so that Neutron's rule shows it to administrators alone.
    let can = server.get(ADMIN, "/v2.0/log/loggable-resources").await.expect(200);
    assert_eq!(can, json!({"loggable_resources": [{"type": "security_group"}]}));
    let log = json!({"log": {"resource_type": "security_group"}});
    server.post(MANAGER, LOGS, log.clone()).await.expect(201);
    assert_eq!(server.post(DEMO, LOGS, log).await.status, 403);
}
