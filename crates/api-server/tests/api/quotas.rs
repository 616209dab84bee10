//! Quotas: limits by project, what is used of them, and that they hold.

use crate::server::{ADMIN, DEMO, DEMO_PROJECT, OTHER, Server, id};
use serde_json::json;

fn path() -> String {
    format!("/v2.0/quotas/{DEMO_PROJECT}")
}

#[tokio::test]
async fn a_limit_is_set_shown_and_given_back() {
    let server = Server::new();
    let set = server.put(ADMIN, &path(), json!({"quota": {"network": "2"}})).await.expect(200);
    assert_eq!((&set["quota"]["network"], &set["quota"]["port"]), (&json!(2), &json!(500)));
    assert_eq!(server.get(DEMO, &path()).await.expect(200), set);
    let default = server.get(DEMO, &format!("{}/default", path())).await.expect(200);
    assert_eq!(default["quota"]["network"], 100);
    let names = |limits: &serde_json::Value| limits.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&default["quota"]), names(&set["quota"]));
    let list = server.get(ADMIN, "/v2.0/quotas").await.expect(200);
    let [only] = list["quotas"].as_array().unwrap().as_slice() else { panic!("{list}") };
    assert_eq!((&only["project_id"], &only["tenant_id"]), (&json!(DEMO_PROJECT), &json!(DEMO_PROJECT)));
    assert_eq!(only["network"], 2);
    server.delete(ADMIN, &path()).await.expect(204);
    assert_eq!(
        server.delete(ADMIN, &path()).await.error(),
        format!("404 TenantQuotaNotFound: Quota for tenant {DEMO_PROJECT} could not be found.")
    );
    assert_eq!(server.get(DEMO, &path()).await.expect(200), default);
    assert_eq!(server.get(ADMIN, "/v2.0/quotas").await.expect(200), json!({"quotas": []}));
}

#[tokio::test]
async fn who_may_not_sees_and_changes_nothing() {
    let server = Server::new();
    for path in [path(), format!("{}/default", path()), format!("{}/details", path())] {
        assert_eq!(server.get(OTHER, &path).await.status, 403, "{path}");
        server.get(ADMIN, &path).await.expect(200);
        server.get(DEMO, &path).await.expect(200);
    }
    assert_eq!(
        server.get(DEMO, "/v2.0/quotas").await.error(),
        "403 AdminRequired: User does not have admin privileges: Only admin can view or configure quota."
    );
    let mine = server.get(DEMO, "/v2.0/quotas/project").await.expect(200);
    assert_eq!(mine, json!({"project": {"project_id": DEMO_PROJECT}}));
    let mine = server.get(DEMO, "/v2.0/quotas/tenant").await.expect(200);
    assert_eq!(mine, json!({"tenant": {"tenant_id": DEMO_PROJECT}}));
    assert_eq!(server.put(DEMO, &path(), json!({"quota": {"network": 9}})).await.status, 403);
    assert_eq!(server.delete(DEMO, &path()).await.status, 403);
}

#[tokio::test]
async fn limits_are_checked_before_they_are_written() {
    let server = Server::new();
    for (limits, expected) in [
        (json!({"network": -2}), "400"),
        (json!({"network": "many"}), "400"),
        (json!({"network": 2_147_483_648_i64}), "400"),
        (json!({"project_id": "x"}), "400 HTTPBadRequest: Cannot update read-only attribute project_id"),
        (json!({"network": 1, "nothing": 1}), "400 HTTPBadRequest: Unrecognized attribute(s) 'nothing'"),
    ] {
        let refused = server.put(ADMIN, &path(), json!({"quota": limits})).await.error();
        assert!(refused.starts_with(expected), "{limits}: {refused}");
    }
    assert_eq!(server.get(ADMIN, "/v2.0/quotas").await.expect(200), json!({"quotas": []}));
    server.put(ADMIN, &path(), json!({"quota": {"network": -1, "port": 2_147_483_647}})).await.expect(200);
}

#[tokio::test]
async fn what_is_used_is_shown_and_goes_with_what_is_deleted() {
    let server = Server::new();
    let used = async |name: &str| {
        let details = server.get(DEMO, &format!("{}/details", path())).await.expect(200);
        assert_eq!(details["quota"][name]["reserved"], 0);
        details["quota"][name]["used"].as_i64().unwrap()
    };
    assert_eq!((used("network").await, used("port").await, used("security_group").await), (0, 0, 0));
    let network = server.create(DEMO, "network", json!({})).await;
    let subnet = json!({"network_id": id(&network), "ip_version": 4, "cidr": "10.0.0.0/24"});
    let subnet = server.create(DEMO, "subnet", subnet).await;
    server.create(DEMO, "port", json!({"network_id": id(&network)})).await;
    let router = server.create(DEMO, "router", json!({})).await;
    let join = format!("/v2.0/routers/{}", id(&router));
    let interface = json!({"subnet_id": id(&subnet)});
    server.put(DEMO, &format!("{join}/add_router_interface"), interface.clone()).await.expect(200);
    assert_eq!((used("port").await, used("security_group").await, used("security_group_rule").await), (2, 1, 4));
    assert_eq!((used("network").await, used("subnet").await, used("router").await), (1, 1, 1));

    let low = server.put(ADMIN, &path(), json!({"quota": {"port": 1, "check_limit": true}})).await;
    assert_eq!(
        low.error(),
        "400 HTTPBadRequest: Quota limit 1 for port must be greater than or equal to already used 2"
    );
    server.put(ADMIN, &path(), json!({"quota": {"port": 1, "force": true}})).await.expect(200);
    let port = json!({"port": {"network_id": id(&network)}});
    assert_eq!(
        server.post(DEMO, "/v2.0/ports", port).await.error(),
        "409 OverQuota: Quota exceeded for resources: ['port']."
    );
    server.put(DEMO, &format!("{join}/remove_router_interface"), interface).await.expect(200);
    server.delete(DEMO, &join).await.expect(204);
    for port in server.get(DEMO, "/v2.0/ports").await.expect(200)["ports"].as_array().unwrap() {
        server.delete(DEMO, &format!("/v2.0/ports/{}", id(port))).await.expect(204);
    }
    server.delete(DEMO, &format!("/v2.0/networks/{}", id(&network))).await.expect(204);
    for name in ["network", "subnet", "port", "router"] {
        assert_eq!(used(name).await, 0, "{name}");
    }
}

#[tokio::test]
async fn many_at_once_do_not_pass_a_limit() {
    let server = std::sync::Arc::new(Server::new());
    server.put(ADMIN, &path(), json!({"quota": {"network": 5}})).await.expect(200);
    let mut requests = tokio::task::JoinSet::new();
    for several in [1, 1, 1, 2, 1, 3, 1, 1, 6, 1, 1, 2, 1] {
        let server = server.clone();
        let networks = vec![json!({}); several];
        requests.spawn(async move { server.post(DEMO, "/v2.0/networks", json!({"networks": networks})).await.status });
    }
    while let Some(status) = requests.join_next().await {
        assert!(matches!(status.unwrap(), 201 | 409));
    }
    let there = server.get(DEMO, "/v2.0/networks").await.expect(200);
    assert_eq!(there["networks"].as_array().unwrap().len(), 5);

    server.put(ADMIN, &path(), json!({"quota": {"router": 7}})).await.expect(200);
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let server = server.clone();
        requests.spawn(async move { server.post(DEMO, "/v2.0/routers", json!({"router": {}})).await.status });
    }
    let answers = requests.join_all().await;
    let count = |status| answers.iter().filter(|answer| **answer == status).count();
    assert_eq!((count(201), count(409)), (7, 33));
    let details = server.get(ADMIN, &format!("{}/details.json", path())).await.expect(200);
    assert_eq!(details["quota"]["router"], json!({"limit": 7, "used": 7, "reserved": 0}));
}
