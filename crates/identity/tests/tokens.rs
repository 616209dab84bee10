//! Getting tokens, what they say, and how long they are good for.

mod common;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Request};
use common::{Cloud, PASSWORD, by_password, by_token, config, names, project};
use identity::{IdentityConfig, IdentityError, Scope};
use serde_json::{Value as Json, json};

#[tokio::test]
async fn versions_are_told_without_a_token_under_the_client_s_address() {
    let cloud = Cloud::new();
    for path in ["", "/"] {
        let reply = cloud.get(path, "").await;
        assert_eq!(reply.status, 300);
        assert_eq!(reply.body["versions"]["values"][0]["id"], "v3.14");
        assert_eq!(reply.body["versions"]["values"][0]["links"][0]["href"], "http://cloud:5000/identity/v3/");
        assert_eq!(reply.header("location"), "http://cloud:5000/identity/v3/");
    }
    for path in ["/v3", "/v3/"] {
        let reply = cloud.get(path, "").await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.body["version"]["status"], "stable");
    }
    let proxied = Request::builder()
        .uri("/identity/v3")
        .header("host", "cloud.example.org")
        .header("x-forwarded-proto", "https")
        .body(Body::empty())
        .unwrap();
    let reply = cloud.send(proxied).await;
    assert_eq!(reply.body["version"]["links"][0]["href"], "https://cloud.example.org/identity/v3/");
    let hostile = Request::builder().uri("/identity/v3").header("host", "a\"b/c").body(Body::empty()).unwrap();
    let reply = cloud.send(hostile).await;
    assert_eq!(reply.body["version"]["links"][0]["href"], "http://localhost/identity/v3/");

    let fixed = Cloud::with(IdentityConfig { public_url: Some("https://fixed/".into()), ..config() });
    let reply = fixed.get("/v3", "").await;
    assert_eq!(reply.body["version"]["links"][0]["href"], "https://fixed/identity/v3/");
}

#[tokio::test]
async fn a_project_token_says_who_where_what_and_until_when() {
    let cloud = Cloud::new();
    let reply = cloud.login("admin", PASSWORD, project("admin")).await;
    assert_eq!(reply.status, 201);
    assert_eq!(reply.header("vary"), "X-Auth-Token");
    assert!(reply.header("x-openstack-request-id").starts_with("req-"));
    let token = &reply.body["token"];
    assert_eq!(token["methods"], json!(["password"]));
    assert_eq!(token["user"]["name"], "admin");
    assert_eq!(token["user"]["domain"], json!({"id": "default", "name": "Default"}));
    assert_eq!(token["user"]["password_expires_at"], Json::Null);
    assert_eq!(token["project"]["name"], "admin");
    assert_eq!(token["project"]["domain"], json!({"id": "default", "name": "Default"}));
    assert_eq!(token["is_domain"], false);
    assert_eq!(names(&token["roles"]), ["admin", "manager", "member", "reader"]);
    assert_eq!(token["issued_at"], "2027-01-15T08:00:00.000000Z");
    assert_eq!(token["expires_at"], "2027-01-15T09:00:00.000000Z");
    assert_eq!(token["audit_ids"].as_array().unwrap().len(), 1);
    assert_eq!(token["audit_ids"][0].as_str().unwrap().len(), 22);
    let catalog = token["catalog"].as_array().unwrap();
    assert_eq!(
        catalog.iter().map(|service| service["type"].as_str().unwrap()).collect::<Vec<_>>(),
        ["identity", "network"]
    );
    let endpoints = catalog[1]["endpoints"].as_array().unwrap();
    assert_eq!(endpoints.len(), 3);
    for endpoint in endpoints {
        assert_eq!(endpoint["url"], "http://cloud:5000/networking");
        assert_eq!((&endpoint["region"], &endpoint["region_id"]), (&json!("RegionOne"), &json!("RegionOne")));
    }
}

#[tokio::test]
async fn users_and_scopes_are_found_by_id_and_by_name() {
    let cloud = Cloud::new();
    let (user, project_id) = cloud.person("demo", "member").await;
    let identities = [
        by_password("demo", "pw"),
        json!({"methods": ["password"], "password": {"user": {"id": user, "password": "pw"}}}),
        json!({"methods": ["password"], "password": {"user": {"name": "demo", "domain": {"name": "Default"}, "password": "pw"}}}),
    ];
    let scopes = [
        json!({"project": {"id": project_id}}),
        project("demo"),
        json!({"project": {"name": "demo", "domain": {"id": "default"}}}),
    ];
    for identity in identities {
        for scope in &scopes {
            let reply = cloud.authenticate(identity.clone(), scope.clone()).await;
            assert_eq!(reply.status, 201, "{}", reply.body);
            assert_eq!(reply.body["token"]["project"]["id"], json!(project_id));
            assert_eq!(names(&reply.body["token"]["roles"]), ["member", "reader"]);
        }
    }
}

#[tokio::test]
async fn unscoped_default_and_domain_scopes() {
    let cloud = Cloud::new();
    let (user, project_id) = cloud.person("demo", "member").await;
    let unscoped = cloud.login("demo", "pw", Json::Null).await;
    assert_eq!(unscoped.status, 201);
    for absent in ["project", "domain", "roles", "catalog", "is_domain"] {
        assert!(unscoped.body["token"].get(absent).is_none(), "{absent}");
    }

    let admin = cloud.admin().await;
    let body = json!({"user": {"default_project_id": project_id}});
    assert_eq!(cloud.call("PATCH", &format!("/v3/users/{user}"), &admin, body).await.status, 200);
    assert_eq!(cloud.login("demo", "pw", Json::Null).await.body["token"]["project"]["id"], json!(project_id));
    for explicit in [json!("unscoped"), json!({"unscoped": {}})] {
        assert!(cloud.login("demo", "pw", explicit).await.body["token"].get("project").is_none());
    }
    // A default project without a role is no reason to refuse.
    let body = json!({"user": {"default_project_id": "elsewhere"}});
    cloud.call("PATCH", &format!("/v3/users/{user}"), &admin, body).await;
    let reply = cloud.login("demo", "pw", Json::Null).await;
    assert_eq!((reply.status, reply.body["token"].get("project")), (201, None));

    for domain in [json!({"id": "default"}), json!({"name": "Default"})] {
        let scope = json!({"domain": domain});
        let reply = cloud.login("admin", PASSWORD, scope.clone()).await;
        assert_eq!(reply.body["token"]["domain"], json!({"id": "default", "name": "Default"}));
        assert!(names(&reply.body["token"]["roles"]).contains(&"admin".to_owned()));
        assert_eq!(cloud.login("demo", "pw", scope).await.status, 401, "no role on the domain");
    }
}

#[tokio::test]
async fn whoever_proves_nothing_learns_nothing() {
    let cloud = Cloud::new();
    cloud.person("demo", "member").await;
    let refused = [
        cloud.login("admin", "wrong", project("admin")).await,
        cloud.login("nobody", "wrong", project("admin")).await,
        cloud.login("demo", "", Json::Null).await,
        cloud.login("demo", &"x".repeat(5000), Json::Null).await,
        cloud.login("demo", "pw", project("admin")).await,
        cloud.login("demo", "pw", project("nowhere")).await,
        cloud.login("demo", "pw", json!({"project": {"id": "nowhere"}})).await,
        cloud.login("demo", "pw", json!({"domain": {"id": "nowhere"}})).await,
        cloud.login("demo", "pw", json!({"system": {"all": true}})).await,
        cloud.authenticate(by_token("gAAAAA"), Json::Null).await,
        cloud.authenticate(json!({"methods": ["totp"], "totp": {}}), Json::Null).await,
        cloud.get("/v3/projects", "").await,
        cloud.get("/v3/projects", "nonsense").await,
        cloud.get("/v3/projects", &"x".repeat(100_000)).await,
    ];
    for reply in refused {
        assert_eq!(reply.status, 401);
        assert_eq!(reply.header("www-authenticate"), r#"Keystone uri="http://cloud:5000/identity/v3""#);
        assert_eq!(
            reply.body,
            json!({"error": {"code": 401, "title": "Unauthorized",
                             "message": "The request you have made requires authentication."}})
        );
    }
}

#[tokio::test]
async fn tokens_expire_and_rescoping_does_not_prolong_them() {
    let cloud = Cloud::new();
    let first = cloud.admin().await;
    cloud.pass(1800);
    let reply = cloud.authenticate(by_token(&first), json!({"domain": {"id": "default"}})).await;
    assert_eq!(reply.status, 201);
    let second = reply.header("x-subject-token").to_owned();
    assert_eq!(reply.body["token"]["methods"], json!(["password", "token"]));
    assert_eq!(reply.body["token"]["expires_at"], "2027-01-15T09:00:00.000000Z");
    let audit_ids = reply.body["token"]["audit_ids"].as_array().unwrap();
    let first_audit_id = &cloud.about("GET", &first, &first).await.body["token"]["audit_ids"][0];
    assert_eq!((audit_ids.len(), &audit_ids[1]), (2, first_audit_id));
    // The chain keeps its beginning.
    let reply = cloud.authenticate(by_token(&second), project("admin")).await;
    assert_eq!(&reply.body["token"]["audit_ids"][1], first_audit_id);

    cloud.pass(1799);
    assert!(cloud.identity.validate(&first).is_ok() && cloud.identity.validate(&second).is_ok());
    cloud.pass(1);
    for token in [&first, &second] {
        assert!(matches!(cloud.identity.validate(token), Err(IdentityError::Unauthorized { .. })));
        assert_eq!(cloud.get("/v3/projects", token).await.status, 401);
        assert_eq!(cloud.authenticate(by_token(token), Json::Null).await.status, 401);
    }
}

#[tokio::test]
async fn forged_and_foreign_tokens_are_refused() {
    let cloud = Cloud::new();
    let token = cloud.admin().await;
    assert!(cloud.identity.validate(&token).is_ok());
    let other = Cloud::new();
    assert!(other.identity.validate(&token).is_err(), "another cloud's key");
    for position in 0..token.len() {
        let mut forged = token.clone().into_bytes();
        forged[position] = if forged[position] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        // The last character carries bits that are no part of the token; the decoder refuses those too.
        assert!(cloud.identity.validate(&forged).is_err(), "position {position}");
    }
    assert!(cloud.identity.validate(&token[..token.len() - 1]).is_err());
    assert!(cloud.identity.validate("").is_err());
}

#[tokio::test]
async fn a_revoked_token_is_no_good_and_its_siblings_are() {
    let cloud = Cloud::new();
    let (admin, other) = (cloud.admin().await, cloud.admin().await);
    assert_eq!(cloud.about("DELETE", &admin, &other).await.status, 204);
    assert!(cloud.identity.validate(&other).is_err());
    assert_eq!(cloud.about("GET", &admin, &other).await.status, 404);
    assert_eq!(cloud.about("DELETE", &admin, &other).await.status, 404);
    assert!(cloud.identity.validate(&admin).is_ok());
    // A restart does not forget.
    assert!(cloud.second_server().validate(&other).is_err());
    // Nor does the memory of it grow for ever: what nobody can vouch for any more is dropped.
    cloud.pass(3600 + 48 * 3600 + 1);
    let (admin, third) = (cloud.admin().await, cloud.admin().await);
    cloud.about("DELETE", &admin, &third).await;
    let kept = cloud.store.read_blocking(|snap| snap.count("SELECT count(*) FROM identity_revoked_token", &[]));
    assert_eq!(kept.unwrap(), 1);
}

#[tokio::test]
async fn holders_services_and_administrators_may_look_at_a_token() {
    let cloud = Cloud::new();
    cloud.person("demo", "member").await;
    cloud.person("other", "member").await;
    cloud.person("nova", "service").await;
    let (demo, other, nova) =
        (cloud.token_of("demo").await, cloud.token_of("other").await, cloud.token_of("nova").await);
    let admin = cloud.admin().await;
    for who in [&demo, &nova, &admin] {
        let reply = cloud.about("GET", who, &demo).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("x-subject-token"), demo);
        assert_eq!(reply.body["token"]["user"]["name"], "demo");
        assert!(reply.body["token"]["catalog"].is_array());
    }
    assert_eq!(cloud.about("GET", &other, &demo).await.status, 403);
    assert_eq!(cloud.about("GET", &other, "nonsense").await.status, 403);
    assert_eq!(cloud.about("GET", &nova, "nonsense").await.status, 404);
    assert_eq!(cloud.about("DELETE", &nova, &demo).await.status, 403);
    assert_eq!(cloud.about("DELETE", &demo, &demo).await.status, 204);
    assert_eq!(cloud.about("GET", &demo, &demo).await.status, 401);
    assert_eq!(cloud.get("/v3/auth/tokens", &admin).await.status, 400, "no subject");
    let request = Request::builder().uri("/identity/v3/auth/tokens?nocatalog").header("x-auth-token", &admin);
    let reply = cloud.send(request.header("x-subject-token", &admin).body(Body::empty()).unwrap()).await;
    assert!(reply.body["token"].get("catalog").is_none());
}

#[tokio::test]
async fn what_is_disabled_deleted_or_taken_away_ends_tokens_at_once() {
    let cloud = Cloud::new();
    let (user, project_id) = cloud.person("demo", "member").await;
    let admin = cloud.admin().await;
    let role = cloud.role("member").await;
    let (user_path, project_path) = (format!("/v3/users/{user}"), format!("/v3/projects/{project_id}"));
    let grant = format!("{project_path}/users/{user}/roles/{role}");

    for (resource, path) in [("user", &user_path), ("project", &project_path)] {
        let token = cloud.token_of("demo").await;
        assert!(cloud.identity.validate(&token).is_ok());
        cloud.pass(1);
        let reply = cloud.call("PATCH", path, &admin, json!({resource: {"enabled": false}})).await;
        assert_eq!((reply.status, &reply.body[resource]["enabled"]), (200, &json!(false)));
        assert!(cloud.identity.validate(&token).is_err(), "{resource}");
        assert_eq!(cloud.login("demo", "pw", project("demo")).await.status, 401, "{resource}");
        cloud.call("PATCH", path, &admin, json!({resource: {"enabled": true}})).await;
        // Tokens of a user who was disabled stay dead.
        assert_eq!(cloud.identity.validate(&token).is_ok(), resource == "project");
    }

    let token = cloud.token_of("demo").await;
    cloud.call("DELETE", &grant, &admin, Json::Null).await;
    assert!(cloud.identity.validate(&token).is_err(), "no role any more");
    cloud.call("PUT", &grant, &admin, Json::Null).await;
    assert!(cloud.identity.validate(&token).is_ok());
    let admin_role = cloud.role("admin").await;
    cloud.call("PUT", &format!("{project_path}/users/{user}/roles/{admin_role}"), &admin, Json::Null).await;
    assert!(cloud.identity.validate(&token).unwrap().is_admin(), "a role given is seen at once");

    cloud.call("DELETE", &project_path, &admin, Json::Null).await;
    assert!(cloud.identity.validate(&token).is_err(), "the project is gone");
    let unscoped = cloud.login("demo", "pw", Json::Null).await.header("x-subject-token").to_owned();
    assert!(cloud.identity.validate(&unscoped).is_ok());
    cloud.call("DELETE", &user_path, &admin, Json::Null).await;
    assert!(cloud.identity.validate(&unscoped).is_err(), "the user is gone");
}

#[tokio::test]
async fn a_disabled_domain_closes_its_users_and_projects() {
    let cloud = Cloud::new();
    let domain = common::id(&cloud.create("domains", "domain", json!({"name": "acme"})).await);
    let user = cloud.create("users", "user", json!({"name": "eve", "password": "pw", "domain_id": domain})).await;
    let user = common::id(&user);
    let identity = json!({"methods": ["password"], "password": {"user": {"id": user, "password": "pw"}}});
    let token = cloud.authenticate(identity.clone(), Json::Null).await.header("x-subject-token").to_owned();
    assert!(cloud.identity.validate(&token).is_ok());
    let admin = cloud.admin().await;
    cloud.call("PATCH", &format!("/v3/domains/{domain}"), &admin, json!({"domain": {"enabled": false}})).await;
    assert!(cloud.identity.validate(&token).is_err());
    assert_eq!(cloud.authenticate(identity, Json::Null).await.status, 401);
}

#[tokio::test]
async fn changing_a_password_ends_earlier_tokens() {
    let cloud = Cloud::new();
    let (user, _) = cloud.person("demo", "member").await;
    let path = format!("/v3/users/{user}/password");
    let old = cloud.token_of("demo").await;
    cloud.pass(1);
    let change = |original: &str| json!({"user": {"original_password": original, "password": "new"}});
    assert_eq!(cloud.call("POST", &path, "", change("wrong")).await.status, 401);
    assert_eq!(cloud.call("POST", "/v3/users/nobody/password", "", change("pw")).await.status, 401);
    assert!(cloud.identity.validate(&old).is_ok());
    assert_eq!(cloud.call("POST", &path, "", change("pw")).await.status, 204);
    assert!(cloud.identity.validate(&old).is_err());
    assert_eq!(cloud.login("demo", "pw", Json::Null).await.status, 401);
    let reply = cloud.login("demo", "new", project("demo")).await;
    assert_eq!(reply.status, 201, "in the same instant");
    assert!(cloud.identity.validate(reply.header("x-subject-token")).is_ok());

    // By the administrator, and to none at all.
    let admin = cloud.admin().await;
    let set = |password: Json| json!({"user": {"password": password}});
    let reply = cloud.call("PATCH", &format!("/v3/users/{user}"), &admin, set(json!("third"))).await;
    assert_eq!(reply.status, 200);
    assert!(!reply.body.to_string().contains("third") && !reply.body.to_string().contains("argon2"));
    assert_eq!(cloud.login("demo", "third", Json::Null).await.status, 201);
    cloud.call("PATCH", &format!("/v3/users/{user}"), &admin, set(Json::Null)).await;
    assert_eq!(cloud.login("demo", "third", Json::Null).await.status, 401);
}

#[tokio::test]
async fn the_holder_sees_the_catalogue_and_where_to_go() {
    let cloud = Cloud::new();
    cloud.person("demo", "member").await;
    let demo = cloud.token_of("demo").await;
    let reply = cloud.get("/v3/auth/catalog", &demo).await;
    assert_eq!((reply.status, reply.body["catalog"].as_array().unwrap().len()), (200, 2));
    let reply = cloud.get("/v3/auth/projects", &demo).await;
    assert_eq!(names(&reply.body["projects"]), ["demo"]);
    assert_eq!(reply.body["links"]["self"], "http://cloud:5000/identity/v3/auth/projects");
    assert_eq!(cloud.get("/v3/auth/domains", &demo).await.body["domains"], json!([]));
    let admin = cloud.admin().await;
    assert_eq!(names(&cloud.get("/v3/auth/domains", &admin).await.body["domains"]), ["Default"]);
    let unscoped = cloud.login("demo", "pw", json!("unscoped")).await.header("x-subject-token").to_owned();
    assert_eq!(cloud.get("/v3/auth/catalog", &unscoped).await.status, 403);
    assert_eq!(names(&cloud.get("/v3/auth/projects", &unscoped).await.body["projects"]), ["demo"]);

    // An endpoint that names the project; one that is off; a service that is off.
    let service = common::id(&cloud.create("services", "service", json!({"type": "compute", "name": "nova"})).await);
    let endpoint = |url: &str, enabled: bool| json!({"service_id": service, "interface": "public", "region_id": "RegionOne", "url": url, "enabled": enabled});
    cloud.create("endpoints", "endpoint", endpoint("http://nova/v2/%(tenant_id)s", true)).await;
    cloud.create("endpoints", "endpoint", endpoint("http://off", false)).await;
    let project_id = cloud.identity.validate(&demo).unwrap().project_id().unwrap().to_owned();
    let compute = |reply: &common::Reply| {
        reply.body["catalog"].as_array().unwrap().iter().find(|service| service["type"] == "compute").cloned()
    };
    let seen = compute(&cloud.get("/v3/auth/catalog", &demo).await).unwrap();
    assert_eq!(seen["endpoints"].as_array().unwrap().len(), 1);
    assert_eq!(seen["endpoints"][0]["url"], format!("http://nova/v2/{project_id}"));
    let off = json!({"service": {"enabled": false}});
    assert_eq!(cloud.call("PATCH", &format!("/v3/services/{service}"), &admin, off).await.status, 200);
    assert!(compute(&cloud.get("/v3/auth/catalog", &demo).await).is_none());
}

#[tokio::test]
async fn the_networking_api_s_view_of_a_token() {
    let cloud = Cloud::new();
    let (user, project_id) = cloud.person("demo", "manager").await;
    let token = cloud.token_of("demo").await;
    let info = cloud.identity.validate(&token).unwrap();
    assert_eq!((info.user.id.as_str(), info.user.name.as_str()), (user.as_str(), "demo"));
    assert_eq!(info.user.domain.name, "Default");
    assert_eq!(info.project_id(), Some(project_id.as_str()));
    assert!(matches!(&info.scope, Scope::Project(project) if project.name == "demo"));
    assert!(!info.is_admin() && info.has_role("member") && info.has_role("Reader") && !info.has_role("service"));
    let mut roles: Vec<&str> = info.role_names().collect();
    roles.sort_unstable();
    assert_eq!(roles, ["manager", "member", "reader"]);

    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("net:9696"));
    let response = cloud.identity.unauthorized_response(&headers);
    assert_eq!(response.status().as_u16(), 401);
    assert_eq!(response.headers()["www-authenticate"], r#"Keystone uri="http://net:9696/identity/v3""#);
}

/// Two servers on one database: each sees its own changes at once, the other's when its cache has run out at the latest.
#[tokio::test]
async fn a_change_by_another_server_is_seen_within_the_cache_time() {
    let cloud = Cloud::new();
    let second = cloud.second_server();
    let admin = cloud.admin().await;
    let victim = cloud.admin().await;
    assert!(second.validate(&victim).is_ok());
    assert_eq!(cloud.about("DELETE", &admin, &victim).await.status, 204);
    assert!(cloud.identity.validate(&victim).is_err());
    cloud.pass(4);
    // On a database that is made to be shared it hears of the change, and need not wait.
    if !cloud.store.is_shared() {
        assert!(second.validate(&victim).is_ok(), "within five seconds, as documented");
    }
    cloud.pass(1);
    assert!(second.validate(&victim).is_err());
}

#[tokio::test]
async fn a_restart_keeps_tokens_passwords_and_changes() {
    let cloud = Cloud::new();
    cloud.person("demo", "member").await;
    let token = cloud.token_of("demo").await;
    let again = Cloud { identity: cloud.second_server(), ..cloud };
    assert!(again.identity.validate(&token).is_ok());
    assert_eq!(again.login("admin", PASSWORD, project("admin")).await.status, 201);
    assert_eq!(again.get("/v3/projects", &again.admin().await).await.body["projects"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn without_a_configured_password_one_is_invented_for_its_owner() {
    use std::os::unix::fs::PermissionsExt;
    let cloud = Cloud::with(IdentityConfig { admin_password: None, ..config() });
    let path = cloud.folder.path().join("admin-password");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let password = std::fs::read_to_string(path).unwrap();
    assert!(password.trim().len() >= 24);
    assert_eq!(cloud.login("admin", password.trim(), project("admin")).await.status, 201);
}

#[test]
fn the_configuration_is_read_from_toml_and_strict() {
    let config: IdentityConfig = toml::from_str("token_lifetime_seconds = 60\nadmin_password = \"s3cret\"").unwrap();
    assert_eq!((config.token_lifetime_seconds, config.region.as_str()), (60, "RegionOne"));
    assert!(!format!("{config:?}").contains("s3cret"));
    assert!(toml::from_str::<IdentityConfig>("token_lifetime = 60").is_err());
}

#[tokio::test]
async fn services_may_ask_about_a_token_that_has_expired_but_not_about_one_that_was_revoked() {
    let cloud = Cloud::new();
    cloud.person("member", "member").await;
    cloud.person("nova", "service").await;
    let (expired, revoked) = (cloud.token_of("member").await, cloud.token_of("member").await);
    assert_eq!(cloud.about("DELETE", &revoked, &revoked).await.status, 204);
    cloud.pass(4000);
    let asked = async |by: &str, subject: &str| {
        let request = Request::builder().uri("/identity/v3/auth/tokens?allow_expired=1").header("host", "cloud:5000");
        let request = request.header("x-auth-token", by).header("x-subject-token", subject);
        cloud.send(request.body(Body::empty()).unwrap()).await.status
    };
    let (service, user) = (cloud.token_of("nova").await, cloud.token_of("member").await);
    // A revocation after the end of a token tidies up; what may still be asked about stays known.
    let another = cloud.token_of("member").await;
    assert_eq!(cloud.about("DELETE", &another, &another).await.status, 204);
    assert_eq!(asked(&service, &expired).await, 200);
    assert_eq!(asked(&service, &revoked).await, 404);
    assert_eq!(cloud.about("GET", &service, &expired).await.status, 404);
    assert_eq!(asked(&user, &expired).await, 403);
    cloud.pass(48 * 3600);
    assert_eq!(asked(&cloud.token_of("nova").await, &expired).await, 404);
}

#[tokio::test]
async fn a_service_token_counts_when_it_is_a_services() {
    let cloud = Cloud::new();
    cloud.person("member", "member").await;
    cloud.person("nova", "service").await;
    let (member, nova) = (cloud.token_of("member").await, cloud.token_of("nova").await);
    let (user, service) = cloud.identity.validate_both(&member, Some(&nova)).unwrap();
    assert!(user.has_role("member") && service.unwrap().has_role("service"));
    assert!(cloud.identity.validate_both(&member, None).unwrap().1.is_none());
    assert!(cloud.identity.validate_both(&member, Some(&member)).is_err());
    assert!(cloud.identity.validate_both(&member, Some("forged")).is_err());
    cloud.pass(4000);
    assert!(cloud.identity.validate_both(&member, Some(&nova)).is_err(), "the service's own has expired too");
    let nova = cloud.token_of("nova").await;
    assert!(cloud.identity.validate_both(&member, Some(&nova)).is_ok());
}

#[tokio::test]
async fn a_service_token_without_the_role_counts_where_none_is_required_but_vouches_for_nothing() {
    let cloud = Cloud::with(IdentityConfig { service_token_roles_required: false, ..config() });
    cloud.person("member", "member").await;
    let token = cloud.token_of("member").await;
    assert!(cloud.identity.validate_both(&token, Some(&token)).unwrap().1.unwrap().has_role("member"));
    cloud.pass(4000);
    let fresh = cloud.token_of("member").await;
    assert!(cloud.identity.validate_both(&token, Some(&fresh)).is_err());
}
