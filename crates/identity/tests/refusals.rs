//! Who may do what, and what happens to requests that make no sense.

#![allow(clippy::unwrap_used, reason = "the configured allowance covers only functions marked as tests")]

mod common;

use axum::body::Body;
use axum::http::Request;
use common::Cloud;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value as Json, json};

const COLLECTIONS: [(&str, &str); 7] = [
    ("domains", "domain"),
    ("projects", "project"),
    ("users", "user"),
    ("roles", "role"),
    ("regions", "region"),
    ("services", "service"),
    ("endpoints", "endpoint"),
];

/// Every call that needs a token, with ids that exist.
async fn calls(cloud: &Cloud, user: &str, project: &str) -> Vec<(&'static str, String)> {
    let admin = cloud.admin().await;
    let role = cloud.role("reader").await;
    let mut calls = Vec::new();
    for (plural, _) in COLLECTIONS {
        let first =
            cloud.get(&format!("/v3/{plural}"), &admin).await.body[plural][0]["id"].as_str().unwrap().to_owned();
        calls.push(("GET", format!("/v3/{plural}")));
        calls.push(("POST", format!("/v3/{plural}")));
        for id in [first.as_str(), "unknown"] {
            for method in ["GET", "HEAD", "PATCH", "DELETE"] {
                calls.push((method, format!("/v3/{plural}/{id}")));
            }
        }
    }
    for target in [format!("projects/{project}"), "domains/default".to_owned()] {
        calls.push(("GET", format!("/v3/{target}/users/{user}/roles")));
        for method in ["GET", "HEAD", "PUT", "DELETE"] {
            calls.push((method, format!("/v3/{target}/users/{user}/roles/{role}")));
        }
    }
    for method in ["GET", "PUT", "DELETE"] {
        calls.push((method, format!("/v3/roles/{role}/implies/{role}")));
    }
    for path in ["role_assignments", "role_inferences", "groups", "groups/x"] {
        calls.push(("GET", format!("/v3/{path}")));
    }
    calls.push(("GET", format!("/v3/roles/{role}/implies")));
    for path in ["projects", "groups"] {
        calls.push(("GET", format!("/v3/users/unknown/{path}")));
        calls.push(("GET", format!("/v3/users/{user}/{path}")));
    }
    calls.push(("GET", format!("/v3/users/{user}")));
    calls.push(("GET", format!("/v3/projects/{project}")));
    for path in ["catalog", "projects", "domains", "system"] {
        calls.push(("GET", format!("/v3/auth/{path}")));
    }
    calls
}

/// What a member of one project may do, which is what Keystone's default policy gives; everything else is refused, and
/// refused in the same way whether the object exists or not.
#[tokio::test]
async fn every_call_needs_a_token_and_most_an_administrator() {
    let cloud = Cloud::new();
    let (user, project) = cloud.person("demo", "member").await;
    let demo = cloud.token_of("demo").await;
    let allowed = [
        "/v3/domains/default".to_owned(),
        format!("/v3/projects/{project}"),
        format!("/v3/users/{user}"),
        format!("/v3/users/{user}/projects"),
        format!("/v3/users/{user}/groups"),
        "/v3/regions".to_owned(),
        "/v3/regions/RegionOne".to_owned(),
        "/v3/auth/catalog".to_owned(),
        "/v3/auth/projects".to_owned(),
        "/v3/auth/domains".to_owned(),
        "/v3/auth/system".to_owned(),
    ];
    for (method, path) in calls(&cloud, &user, &project).await {
        let anonymous = cloud.call(method, &path, "", Json::Null).await;
        assert_eq!(anonymous.status, 401, "{method} {path}");
        let reply = cloud.call(method, &path, &demo, Json::Null).await;
        let reads = matches!(method, "GET" | "HEAD");
        let expected = match path.as_str() {
            "/v3/regions/unknown" if reads => 404,
            path if reads && allowed.iter().any(|allowed| allowed == path) => 200,
            _ => 403,
        };
        assert_eq!(reply.status, expected, "{method} {path}");
        if reply.status == 403 && method != "HEAD" {
            assert_eq!(reply.body["error"]["title"], "Forbidden");
        }
    }
}

#[tokio::test]
async fn unknown_paths_and_methods() {
    let cloud = Cloud::new();
    let admin = cloud.admin().await;
    for path in
        ["/v2.0", "/v3/credentials", "/v3/projects/a/b", "/v3/auth", "/v3/auth/x", "/v3/users/a/b/c", "/v3/ec2tokens"]
    {
        for token in ["", admin.as_str()] {
            let reply = cloud.get(path, token).await;
            assert_eq!((reply.status, &reply.body["error"]["code"]), (404, &json!(404)), "{path}");
        }
    }
    for (method, path) in
        [("POST", "/v3"), ("PUT", "/v3/projects"), ("PUT", "/v3/auth/tokens"), ("POST", "/v3/users/x")]
    {
        assert_eq!(cloud.call(method, path, &admin, Json::Null).await.status, 405, "{method} {path}");
    }
}

#[tokio::test]
async fn senseless_bodies_are_refused_in_keystone_s_form() {
    let cloud = Cloud::new();
    let admin = cloud.admin().await;
    let send = async |method: &str, path: &str, body: Vec<u8>| {
        let request = Request::builder().method(method).uri(format!("/identity{path}")).header("x-auth-token", &admin);
        cloud.send(request.body(Body::from(body)).unwrap()).await
    };
    let not_json: [&[u8]; 6] = [b"", b"{", b"\xff\xfe", b"null", b"[]", b"\"text\""];
    for (plural, _) in COLLECTIONS {
        for body in not_json {
            let reply = send("POST", &format!("/v3/{plural}"), body.to_vec()).await;
            assert_eq!((reply.status, &reply.body["error"]["title"]), (400, &json!("Bad Request")), "{plural}");
        }
    }
    for body in not_json {
        assert_eq!(send("POST", "/v3/auth/tokens", body.to_vec()).await.status, 400);
        assert_eq!(send("POST", "/v3/users/x/password", body.to_vec()).await.status, 400);
    }
    let deep = "[".repeat(50_000).into_bytes();
    assert_eq!(send("POST", "/v3/projects", deep).await.status, 400);
    let large = format!("{{\"project\": {{\"name\": \"{}\"}}}}", "x".repeat(200_000));
    assert_eq!(send("POST", "/v3/projects", large.into_bytes()).await.status, 413);

    for (path, body) in [
        ("/v3/projects", json!({"project": {}})),
        ("/v3/projects", json!({"project": {"name": ""}})),
        ("/v3/projects", json!({"project": {"name": "   "}})),
        ("/v3/projects", json!({"project": {"name": null}})),
        ("/v3/projects", json!({"project": {"name": 5}})),
        ("/v3/projects", json!({"project": {"name": "x".repeat(65)}})),
        ("/v3/projects", json!({"project": {"name": "a\u{0}b"}})),
        ("/v3/projects", json!({"project": {"name": "a", "enabled": "true"}})),
        ("/v3/projects", json!({"project": {"name": "a", "tags": ["a", "a"]}})),
        ("/v3/projects", json!({"project": {"name": "a", "tags": ["a,b"]}})),
        ("/v3/projects", json!({"project": {"name": "a", "options": []}})),
        ("/v3/projects", json!({"project": {"name": "a", "domain_id": null}})),
        ("/v3/projects", json!({"projects": {"name": "a"}})),
        ("/v3/users", json!({"user": {"name": "x".repeat(256)}})),
        ("/v3/users", json!({"user": {"name": "a", "password": 5}})),
        ("/v3/users", json!({"user": {"name": "a", "password": "x".repeat(4097)}})),
        ("/v3/roles", json!({"role": {"name": "a", "domain_id": "default"}})),
        ("/v3/services", json!({"service": {"name": "a"}})),
        ("/v3/endpoints", json!({"endpoint": {"service_id": "a", "interface": "secret", "url": "http://x"}})),
        ("/v3/regions", json!({"region": {"id": 5}})),
        ("/v3/regions", json!({"region": {"id": "x".repeat(65)}})),
        ("/v3/regions", json!({"region": {"id": "a", "parent_region_id": "nowhere"}})),
        ("/v3/auth/tokens", json!({"auth": {}})),
        ("/v3/auth/tokens", json!({"auth": {"identity": {"methods": []}}})),
        ("/v3/auth/tokens", json!({"auth": {"identity": {"methods": ["password"]}}})),
        (
            "/v3/auth/tokens",
            json!({"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "a", "password": "b"}}}}}),
        ),
        (
            "/v3/auth/tokens",
            json!({"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": "a", "password": 1}}}}}),
        ),
        ("/v3/auth/tokens", json!({"auth": {"identity": {"methods": ["token"], "token": {}}}})),
        ("/v3/auth/tokens", json!({"auth": {"identity": {"methods": ["token"], "token": {"id": "x"}}, "scope": 5}})),
        (
            "/v3/auth/tokens",
            json!({"auth": {"identity": {"methods": ["token"], "token": {"id": "x"}}, "scope": {"project": {"name": "x"}}}}),
        ),
        (
            "/v3/auth/tokens",
            json!({"auth": {"identity": {"methods": ["token"], "token": {"id": "x"}}, "scope": {"project": {"id": "x"}, "domain": {"id": "y"}}}}),
        ),
    ] {
        let reply = cloud.call("POST", path, &admin, body.clone()).await;
        assert_eq!(reply.status, 400, "{path} {body}: {}", reply.body);
        assert_eq!((&reply.body["error"]["code"], &reply.body["error"]["title"]), (&json!(400), &json!("Bad Request")));
    }
}

/// JSON that looks a little like what the API expects: the words of the API in places where they do not belong.
fn near_json() -> impl Strategy<Value = Json> {
    let word = prop_oneof![
        Just("auth"),
        Just("identity"),
        Just("methods"),
        Just("password"),
        Just("token"),
        Just("user"),
        Just("scope"),
        Just("project"),
        Just("domain"),
        Just("id"),
        Just("name"),
        Just("enabled"),
        Just("tags"),
        Just("options"),
        Just("domain_id"),
        Just("parent_id"),
        Just("role"),
        Just("region"),
        Just("service"),
        Just("endpoint"),
        Just("interface"),
        Just("url"),
        Just("service_id"),
        Just("type"),
        Just("default"),
        Just("admin"),
        Just("description"),
        Just("immutable"),
        Just("region_id"),
        Just("parent_region_id"),
        Just("extra"),
    ];
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        word.clone().prop_map(Json::from),
        "\\PC{0,20}".prop_map(Json::from),
        ".{0,300}".prop_map(Json::from),
    ];
    leaf.prop_recursive(6, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            proptest::collection::vec((word.clone(), inner.clone()), 0..6).prop_map(|members| {
                Json::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
            }),
            ("\\PC{0,10}", inner).prop_map(|(name, value)| json!({ name: value })),
        ]
    })
}

/// Several thousand requests that make no sense: never a 5xx, never a panic, always JSON in Keystone's form.
#[test]
fn nothing_a_client_sends_breaks_the_service() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (cloud, admin) = runtime.block_on(async {
        let cloud = Cloud::new();
        let admin = cloud.admin().await;
        (cloud, admin)
    });
    let member = "[a-z_]{1,12}|projects|domains|users|roles|regions|services|endpoints|auth|tokens|v3|default|RegionOne|implies|\\PC{1,8}";
    let path = proptest::collection::vec(member, 0..6);
    let query = proptest::collection::vec(
        ("name|enabled|domain_id|tags|user[.]id|scope[.]project[.]id|effective|[a-z]{1,5}", "\\PC{0,12}"),
        0..3,
    );
    let methods = prop_oneof![Just("GET"), Just("POST"), Just("PATCH"), Just("PUT"), Just("DELETE"), Just("HEAD")];
    let any_route = (methods, path, query, near_json()).prop_map(|(method, path, query, body)| {
        let escape = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let path: String = path.iter().map(|part| format!("/{}", escape(part))).collect();
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
        (method.to_owned(), format!("{path}?{}", query.join("&")), body)
    });
    let known_route = (proptest::sample::select(COLLECTIONS.to_vec()), near_json(), any::<bool>()).prop_map(
        |((plural, singular), body, creates)| {
            let body = json!({ singular: body });
            if creates {
                ("POST".to_owned(), format!("/v3/{plural}"), body)
            } else {
                ("PATCH".to_owned(), format!("/v3/{plural}/default"), body)
            }
        },
    );
    let authentication = near_json().prop_map(|inner| {
        let body = json!({"auth": {"identity": {"methods": ["password", "token"], "password": {"user": inner}, "token": inner}, "scope": inner}});
        ("POST".to_owned(), "/v3/auth/tokens".to_owned(), body)
    });
    let mut runner =
        TestRunner::new(ProptestConfig { failure_persistence: None, cases: 4000, ..ProptestConfig::default() });
    runner
        .run(&prop_oneof![any_route, known_route, authentication], |(method, path, body)| {
            let reply = runtime.block_on(cloud.call(&method, &path, &admin, body));
            prop_assert!(reply.status < 500, "{method} {path}: {}", reply.body);
            if reply.status >= 400 && method != "HEAD" {
                prop_assert_eq!(&reply.body["error"]["code"], &json!(reply.status));
                prop_assert!(reply.body["error"]["message"].is_string() && reply.body["error"]["title"].is_string());
            }
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn what_is_not_there_says_so() {
    let cloud = Cloud::new();
    let (user, _) = cloud.person("demo", "member").await;
    let (admin, demo) = (cloud.admin().await, cloud.token_of("demo").await);
    let group = json!({"group": {"name": "g"}});
    let refused = cloud.call("POST", "/v3/groups", &admin, group.clone()).await;
    assert_eq!(refused.status, 400);
    assert!(refused.body["error"]["message"].as_str().unwrap().contains("Groups are not supported"));
    assert_eq!(cloud.call("POST", "/v3/groups", &demo, group).await.status, 403);
    let path = format!("/v3/users/{user}/application_credentials");
    assert_eq!(cloud.get(&path, &demo).await.body["application_credentials"], json!([]));
    assert_eq!(cloud.get(&format!("{path}/x"), &demo).await.status, 404);
    let refused = cloud.call("POST", &path, &demo, json!({"application_credential": {"name": "a"}})).await;
    assert_eq!(refused.status, 400);
    assert!(refused.body["error"]["message"].as_str().unwrap().contains("Application credentials are not supported"));
    let others = format!("/v3/users/{}/application_credentials", "0".repeat(32));
    assert_eq!(cloud.get(&others, &demo).await.status, 403);
}
