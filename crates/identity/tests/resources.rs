//! Domains, projects, users, roles, assignments, regions, services and endpoints: their ordinary calls and their rules.

mod common;

use common::{Cloud, id, names, project};
use serde_json::{Value as Json, json};

/// Every resource: create, show, list by each attribute, update, delete, and then 404.
#[tokio::test]
async fn the_ordinary_life_of_every_resource() {
    let cloud = Cloud::new();
    let admin = cloud.admin().await;
    let service = id(&cloud.create("services", "service", json!({"type": "compute"})).await);
    let cases = [
        (
            "domains",
            "domain",
            json!({"name": "acme", "description": "d"}),
            json!({"description": "e", "enabled": false}),
        ),
        (
            "projects",
            "project",
            json!({"name": "p", "tags": ["a", "b"], "mine": {"k": [1]}}),
            json!({"name": "q", "enabled": false}),
        ),
        (
            "users",
            "user",
            json!({"name": "u", "email": "u@x.org", "phone": "1"}),
            json!({"name": "v", "description": "w"}),
        ),
        ("roles", "role", json!({"name": "r"}), json!({"description": "for tests"})),
        ("regions", "region", json!({"id": "R2", "parent_region_id": "RegionOne"}), json!({"description": "south"})),
        ("services", "service", json!({"type": "image", "name": "glance"}), json!({"enabled": false})),
        (
            "endpoints",
            "endpoint",
            json!({"service_id": service, "interface": "admin", "url": "http://x"}),
            json!({"url": "http://y"}),
        ),
    ];
    for (plural, singular, given, changes) in cases {
        let created = cloud.create(plural, singular, given.clone()).await;
        let path = format!("/v3/{plural}/{}", id(&created));
        assert_eq!(created["links"]["self"], format!("http://cloud:5000/identity{path}"));
        for (name, value) in given.as_object().unwrap() {
            assert_eq!(&created[name], value, "{plural} {name}");
        }
        let shown = cloud.get(&path, &admin).await;
        assert_eq!((shown.status, &shown.body[singular]), (200, &created));
        let list = cloud.get(&format!("/v3/{plural}"), &admin).await;
        assert_eq!(list.body["links"]["self"], format!("http://cloud:5000/identity/v3/{plural}"));
        assert_eq!((&list.body["links"]["next"], &list.body["links"]["previous"]), (&Json::Null, &Json::Null));
        assert!(list.body[plural].as_array().unwrap().contains(&created));
        for (name, value) in given.as_object().unwrap().iter().filter(|(name, _)| *name != "id") {
            let Some(value) = value.as_str() else { continue };
            let query = format!("/v3/{plural}?{name}={}", value.replace(' ', "%20"));
            let found = cloud.get(&query, &admin).await;
            assert!(found.body[plural].as_array().unwrap().contains(&created), "{query}");
        }
        let changed = cloud.call("PATCH", &path, &admin, json!({singular: changes})).await;
        let mut expected = created.clone();
        expected.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        assert_eq!((changed.status, &changed.body[singular]), (200, &expected));
        assert_eq!(cloud.get(&path, &admin).await.body[singular], expected);
        assert_eq!(cloud.call("HEAD", &path, &admin, Json::Null).await.status, 200);
        assert_eq!(cloud.call("DELETE", &path, &admin, Json::Null).await.status, 204);
        for (method, body) in [("GET", Json::Null), ("DELETE", Json::Null), ("PATCH", json!({singular: changes}))] {
            let reply = cloud.call(method, &path, &admin, body).await;
            assert_eq!(reply.status, 404);
            let message = format!("Could not find {singular}: {}.", id(&created));
            assert_eq!(reply.body, json!({"error": {"code": 404, "title": "Not Found", "message": message}}));
        }
    }
}

#[tokio::test]
async fn new_objects_look_as_clients_know_them() {
    let cloud = Cloud::new();
    let project =
        cloud.create("projects", "project", json!({"name": "p", "domain_id": "default", "description": "d"})).await;
    let project_id = id(&project);
    assert!(project_id.len() == 32 && project_id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(
        project,
        json!({"id": project_id, "name": "p", "domain_id": "default", "description": "d", "enabled": true,
               "parent_id": "default", "is_domain": false, "tags": [], "options": {},
               "links": {"self": format!("http://cloud:5000/identity/v3/projects/{project_id}")}})
    );
    let user = cloud
        .create("users", "user", json!({"name": "u", "password": "Z9+aeoswXoeNt4&", "domain_id": "default"}))
        .await;
    let user_id = id(&user);
    assert_eq!(
        user,
        json!({"id": user_id, "name": "u", "domain_id": "default", "enabled": true, "password_expires_at": null,
               "options": {}, "links": {"self": format!("http://cloud:5000/identity/v3/users/{user_id}")}})
    );
    let admin = cloud.admin().await;
    let reply = cloud.get("/v3/domains?name=Default", &admin).await;
    assert_eq!(
        reply.body,
        json!({"domains": [{"id": "default", "name": "Default", "description": "The default domain", "enabled": true,
                            "tags": [], "options": {}, "links": {"self": "http://cloud:5000/identity/v3/domains/default"}}],
               "links": {"next": null, "self": "http://cloud:5000/identity/v3/domains?name=Default", "previous": null}})
    );
    let roles = cloud.get("/v3/roles", &admin).await;
    assert_eq!(names(&roles.body["roles"]), ["admin", "manager", "member", "reader", "service"]);
    for role in roles.body["roles"].as_array().unwrap() {
        assert_eq!(role["options"], json!({"immutable": true}));
        assert_eq!((&role["domain_id"], &role["description"]), (&Json::Null, &Json::Null));
    }
    assert_eq!(names(&cloud.get("/v3/projects", &admin).await.body["projects"]), ["admin", "p", "service"]);
}

#[tokio::test]
async fn names_are_unique_where_they_must_be() {
    let cloud = Cloud::new();
    let admin = cloud.admin().await;
    let domain = id(&cloud.create("domains", "domain", json!({"name": "acme"})).await);
    for (plural, singular) in [("projects", "project"), ("users", "user")] {
        let first = cloud.create(plural, singular, json!({"name": "same"})).await;
        cloud.create(plural, singular, json!({"name": "same", "domain_id": domain})).await;
        let other = cloud.create(plural, singular, json!({"name": "other"})).await;
        let again = cloud.call("POST", &format!("/v3/{plural}"), &admin, json!({singular: {"name": "same"}})).await;
        let path = format!("/v3/{plural}/{}", id(&other));
        let renamed = cloud.call("PATCH", &path, &admin, json!({singular: {"name": "same"}})).await;
        for reply in [again, renamed] {
            assert_eq!((reply.status, &reply.body["error"]["title"]), (409, &json!("Conflict")));
            assert!(reply.body["error"]["message"].as_str().unwrap().contains("same"));
        }
        assert_eq!(
            cloud.get(&format!("/v3/{plural}?name=same&domain_id=default"), &admin).await.body[plural],
            json!([first])
        );
    }
    for (plural, given) in [
        ("roles", json!({"role": {"name": "member"}})),
        ("domains", json!({"domain": {"name": "Default"}})),
        ("regions", json!({"region": {"id": "RegionOne"}})),
    ] {
        assert_eq!(cloud.call("POST", &format!("/v3/{plural}"), &admin, given).await.status, 409, "{plural}");
    }
}

#[tokio::test]
async fn filters_narrow_and_unknown_ones_do_not() {
    let cloud = Cloud::new();
    let admin = cloud.admin().await;
    cloud.create("projects", "project", json!({"name": "on", "tags": ["x", "y"]})).await;
    cloud.create("projects", "project", json!({"name": "off", "enabled": false, "tags": ["y"]})).await;
    let list = async |query: &str| names(&cloud.get(&format!("/v3/projects?{query}"), &admin).await.body["projects"]);
    for no in ["false", "False", "0", "no"] {
        assert_eq!(list(&format!("enabled={no}")).await, ["off"]);
    }
    assert_eq!(list("enabled").await, ["admin", "on", "service"]);
    assert_eq!(list("tags=y").await, ["off", "on"]);
    assert_eq!(list("tags=x,y").await, ["on"]);
    assert_eq!(list("name=on&enabled=false").await, Vec::<String>::new());
    assert_eq!(list("name=o'n%22%3B--").await, Vec::<String>::new());
    assert_eq!(list("colour=red").await.len(), 4);
    assert_eq!(cloud.get("/v3/projects?enabled=maybe", &admin).await.status, 400);
}

#[tokio::test]
async fn what_is_immutable_stays() {
    let cloud = Cloud::new();
    let admin = cloud.admin().await;
    let path = format!("/v3/roles/{}", cloud.role("member").await);
    let patch = async |body: Json| cloud.call("PATCH", &path, &admin, json!({"role": body})).await.status;
    assert_eq!(cloud.call("DELETE", &path, &admin, Json::Null).await.status, 403);
    assert_eq!(patch(json!({"name": "other"})).await, 403);
    assert_eq!(patch(json!({"name": "other", "options": {"immutable": false}})).await, 403);
    assert_eq!(patch(json!({"options": {"immutable": false}})).await, 200);
    assert_eq!(patch(json!({"name": "other"})).await, 200);
    assert_eq!(cloud.call("DELETE", &path, &admin, Json::Null).await.status, 204);
}

#[tokio::test]
async fn a_domain_is_deleted_only_when_disabled_and_takes_all_with_it() {
    let cloud = Cloud::new();
    let admin = cloud.admin().await;
    let domain = id(&cloud.create("domains", "domain", json!({"name": "acme"})).await);
    let in_domain = |name: &str| json!({"name": name, "domain_id": domain});
    let project = id(&cloud.create("projects", "project", in_domain("p")).await);
    let user = id(&cloud.create("users", "user", in_domain("u")).await);
    let role = cloud.role("member").await;
    let grant = format!("/v3/domains/{domain}/users/{user}/roles/{role}");
    assert_eq!(cloud.call("PUT", &grant, &admin, Json::Null).await.status, 204);
    let path = format!("/v3/domains/{domain}");
    assert_eq!(cloud.call("DELETE", &path, &admin, Json::Null).await.status, 403);
    cloud.call("PATCH", &path, &admin, json!({"domain": {"enabled": false}})).await;
    assert_eq!(cloud.call("DELETE", &path, &admin, Json::Null).await.status, 204);
    assert_eq!(cloud.get(&format!("/v3/projects/{project}"), &admin).await.status, 404);
    assert_eq!(cloud.get(&format!("/v3/users/{user}"), &admin).await.status, 404);
    let left = cloud.get(&format!("/v3/role_assignments?user.id={user}"), &admin).await;
    assert_eq!(left.body["role_assignments"], json!([]));
}

#[tokio::test]
async fn projects_have_parents_in_their_domain_and_die_after_their_children() {
    let cloud = Cloud::new();
    let admin = cloud.admin().await;
    let parent = id(&cloud.create("projects", "project", json!({"name": "parent"})).await);
    let child = cloud.create("projects", "project", json!({"name": "child", "parent_id": parent})).await;
    assert_eq!(child["parent_id"], json!(parent));
    let path = format!("/v3/projects/{parent}");
    assert_eq!(cloud.call("DELETE", &path, &admin, Json::Null).await.status, 403);
    let child_path = format!("/v3/projects/{}", id(&child));
    let reply = cloud.call("PATCH", &child_path, &admin, json!({"project": {"parent_id": "default"}})).await;
    assert_eq!(reply.status, 400, "a project does not move");
    assert_eq!(cloud.call("DELETE", &child_path, &admin, Json::Null).await.status, 204);
    assert_eq!(cloud.call("DELETE", &path, &admin, Json::Null).await.status, 204);
    let domain = id(&cloud.create("domains", "domain", json!({"name": "acme"})).await);
    let elsewhere = id(&cloud.create("projects", "project", json!({"name": "x", "domain_id": domain})).await);
    for (given, status) in [
        (json!({"name": "a", "parent_id": elsewhere}), 400),
        (json!({"name": "a", "parent_id": "nowhere"}), 404),
        (json!({"name": "a", "domain_id": "nowhere"}), 404),
        (json!({"name": "a", "is_domain": true}), 400),
    ] {
        let reply = cloud.call("POST", "/v3/projects", &admin, json!({"project": given})).await;
        assert_eq!(reply.status, status, "{given}");
    }
}

#[tokio::test]
async fn regions_and_endpoints_hold_together() {
    let cloud = Cloud::new();
    let admin = cloud.admin().await;
    let service = id(&cloud.create("services", "service", json!({"type": "compute", "name": "nova"})).await);
    // The older form names a region, which is made when it is new.
    let old = json!({"service_id": service, "interface": "public", "url": "http://x", "region": "RegionTwo"});
    let endpoint = cloud.create("endpoints", "endpoint", old).await;
    assert_eq!((&endpoint["region"], &endpoint["region_id"]), (&json!("RegionTwo"), &json!("RegionTwo")));
    assert_eq!(cloud.call("DELETE", "/v3/regions/RegionTwo", &admin, Json::Null).await.status, 403);
    let unknown = json!({"service_id": service, "interface": "public", "url": "http://x", "region_id": "R9"});
    for given in [unknown, json!({"service_id": "nope", "interface": "public", "url": "http://x"})] {
        assert_eq!(cloud.call("POST", "/v3/endpoints", &admin, json!({"endpoint": given})).await.status, 400);
    }
    let by_service = cloud.get(&format!("/v3/endpoints?service_id={service}&interface=public"), &admin).await;
    assert_eq!(by_service.body["endpoints"].as_array().unwrap().len(), 1);
    assert_eq!(cloud.call("DELETE", &format!("/v3/services/{service}"), &admin, Json::Null).await.status, 204);
    let path = format!("/v3/endpoints/{}", id(&endpoint));
    assert_eq!(cloud.get(&path, &admin).await.status, 404, "it goes with its service");

    cloud.create("regions", "region", json!({"id": "South", "parent_region_id": "RegionTwo"})).await;
    let circle = json!({"region": {"parent_region_id": "South"}});
    assert_eq!(cloud.call("PATCH", "/v3/regions/RegionTwo", &admin, circle).await.status, 400);
    let own = json!({"region": {"id": "Self", "parent_region_id": "Self"}});
    assert_eq!(cloud.call("POST", "/v3/regions", &admin, own).await.status, 400);
}

#[tokio::test]
async fn roles_are_given_seen_listed_and_taken() {
    let cloud = Cloud::new();
    let admin = cloud.admin().await;
    let (user, project_id) = cloud.person("demo", "member").await;
    let (member, reader, manager) =
        (cloud.role("member").await, cloud.role("reader").await, cloud.role("manager").await);
    let path = |role: &str| format!("/v3/projects/{project_id}/users/{user}/roles/{role}");
    for method in ["PUT", "GET", "HEAD"] {
        assert_eq!(cloud.call(method, &path(&member), &admin, Json::Null).await.status, 204);
    }
    assert_eq!(cloud.call("HEAD", &path(&reader), &admin, Json::Null).await.status, 404, "implied is not given");
    assert_eq!(cloud.call("DELETE", &path(&reader), &admin, Json::Null).await.status, 404);
    for unknown in [
        path("nope"),
        format!("/v3/projects/nope/users/{user}/roles/{member}"),
        format!("/v3/projects/{project_id}/users/nope/roles/{member}"),
    ] {
        assert_eq!(cloud.call("PUT", &unknown, &admin, Json::Null).await.status, 404, "{unknown}");
    }
    let listed = cloud.get(&format!("/v3/projects/{project_id}/users/{user}/roles"), &admin).await;
    assert_eq!(names(&listed.body["roles"]), ["member"]);
    cloud.call("PUT", &format!("/v3/domains/default/users/{user}/roles/{manager}"), &admin, Json::Null).await;

    let assignments = async |query: String| {
        let reply = cloud.get(&format!("/v3/role_assignments?{query}"), &admin).await;
        reply.body["role_assignments"].as_array().unwrap().clone()
    };
    let on_project = assignments(format!("user.id={user}&scope.project.id={project_id}")).await;
    let link = format!("http://cloud:5000/identity{}", path(&member));
    assert_eq!(
        on_project,
        [json!({"role": {"id": member}, "user": {"id": user}, "scope": {"project": {"id": project_id}},
                "links": {"assignment": link}})]
    );
    let named = assignments(format!("user.id={user}&scope.domain.id=default&include_names=True")).await;
    let default = json!({"id": "default", "name": "Default"});
    assert_eq!(named.len(), 1);
    assert_eq!(named[0]["role"], json!({"id": manager, "name": "manager"}));
    assert_eq!(named[0]["user"], json!({"id": user, "name": "demo", "domain": default}));
    assert_eq!(named[0]["scope"], json!({"domain": default}));
    let effective = assignments(format!("user.id={user}&effective&include_names")).await;
    let mut seen: Vec<(bool, &str)> = effective
        .iter()
        .map(|one| (one["scope"].get("project").is_some(), one["role"]["name"].as_str().unwrap()))
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, [(false, "manager"), (false, "member"), (false, "reader"), (true, "member"), (true, "reader")]);
    let implied = effective.iter().find(|one| one["role"]["name"] == "reader" && one["scope"].get("project").is_some());
    assert_eq!(implied.unwrap()["links"]["assignment"], json!(link));
    assert_eq!(assignments(format!("role.id={member}")).await.len(), 1);
    assert_eq!(assignments("include_names=false".into()).await.len(), 4);
    assert_eq!(assignments("group.id=x".into()).await.len(), 0);
    let both = cloud.get("/v3/role_assignments?scope.project.id=a&scope.domain.id=b", &admin).await;
    assert_eq!(both.status, 400);

    assert_eq!(cloud.call("DELETE", &path(&member), &admin, Json::Null).await.status, 204);
    assert_eq!(cloud.login("demo", "pw", project("demo")).await.status, 401);
    // Who loses a role that only they had given loses what it implied, too.
    assert_eq!(assignments(format!("user.id={user}&scope.project.id={project_id}&effective")).await.len(), 0);
}

#[tokio::test]
async fn roles_imply_roles() {
    let cloud = Cloud::new();
    let admin = cloud.admin().await;
    let rules = cloud.get("/v3/role_inferences", &admin).await;
    let rules: Vec<(String, Vec<String>)> = rules.body["role_inferences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| (rule["prior_role"]["name"].as_str().unwrap().to_owned(), names(&rule["implies"])))
        .collect();
    let expected = [("admin", "manager"), ("manager", "member"), ("member", "reader")];
    assert_eq!(rules, expected.map(|(prior, implied)| (prior.to_owned(), vec![implied.to_owned()])));

    let (reader, service) = (cloud.role("reader").await, cloud.role("service").await);
    let path = format!("/v3/roles/{reader}/implies/{service}");
    cloud.person("demo", "reader").await;
    let token = cloud.token_of("demo").await;
    assert_eq!(cloud.call("GET", &path, &admin, Json::Null).await.status, 404);
    assert_eq!(cloud.call("PUT", &path, &admin, Json::Null).await.status, 201);
    assert_eq!(cloud.call("GET", &path, &admin, Json::Null).await.status, 200);
    assert!(cloud.identity.validate(&token).unwrap().has_role("service"));
    // A circle does no harm.
    let back = format!("/v3/roles/{service}/implies/{reader}");
    assert_eq!(cloud.call("PUT", &back, &admin, Json::Null).await.status, 201);
    assert_eq!(cloud.identity.validate(&token).unwrap().roles.len(), 2);
    assert_eq!(cloud.get("/v3/role_assignments?effective", &admin).await.status, 200);
    assert_eq!(cloud.call("DELETE", &path, &admin, Json::Null).await.status, 204);
    assert_eq!(cloud.call("DELETE", &path, &admin, Json::Null).await.status, 404);
    assert!(!cloud.identity.validate(&token).unwrap().has_role("service"));
}

#[tokio::test]
async fn a_client_s_own_attributes_are_kept_but_cannot_stand_for_ours() {
    let cloud = Cloud::new();
    let admin = cloud.admin().await;
    let given = json!({"name": "u", "password": "pw", "links": "x", "password_expires_at": "never", "id": "chosen",
                       "original_password": "p", "nested": {"a": [1, null]}});
    let user = cloud.create("users", "user", given).await;
    assert_ne!(user["id"], "chosen");
    assert_eq!((&user["nested"], &user["password_expires_at"]), (&json!({"a": [1, null]}), &Json::Null));
    assert!(user["links"].is_object() && user.get("password").is_none() && user.get("original_password").is_none());
    let path = format!("/v3/users/{}", id(&user));
    let reply = cloud.call("PATCH", &path, &admin, json!({"user": {"id": "other"}})).await;
    assert_eq!(reply.status, 400);
    let reply = cloud.call("PATCH", &path, &admin, json!({"user": {"domain_id": "other"}})).await;
    assert_eq!(reply.status, 400);
    let reply = cloud.call("PATCH", &path, &admin, json!({"user": {"domain_id": "default", "id": user["id"]}})).await;
    assert_eq!(reply.status, 200, "the same is no change");
}

#[tokio::test]
async fn names_are_compared_without_case() {
    let cloud = Cloud::new();
    cloud.person("Alice", "member").await;
    let scope = json!({"project": {"name": "ALICE", "domain": {"name": "default"}}});
    let identity = json!({"methods": ["password"], "password": {"user": {
        "name": "alice", "domain": {"name": "DEFAULT"}, "password": "pw"}}});
    let reply = cloud.authenticate(identity, scope).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    assert_eq!(reply.body["token"]["user"]["name"], "Alice", "shown as it was given");

    let admin = cloud.admin().await;
    for (plural, name) in [("users", "aLICE"), ("projects", "aLICE"), ("domains", "default"), ("roles", "MEMBER")] {
        let found = cloud.get(&format!("/v3/{plural}?name={name}"), &admin).await;
        assert_eq!(found.body[plural].as_array().unwrap().len(), 1, "{plural}");
        let singular = plural.trim_end_matches('s');
        let again = json!({singular: {"name": name, "domain_id": (plural != "roles").then_some("default")}});
        let refused = cloud.call("POST", &format!("/v3/{plural}"), &admin, again).await;
        assert_eq!(refused.status, 409, "{plural}: {}", refused.body);
    }
    let bob = cloud.create("users", "user", json!({"name": "bob"})).await;
    let path = format!("/v3/users/{}", bob["id"].as_str().unwrap());
    let renamed = cloud.call("PATCH", &path, &admin, json!({"user": {"name": "ALICE"}})).await;
    assert_eq!(renamed.status, 409, "{}", renamed.body);
    let renamed = cloud.call("PATCH", &path, &admin, json!({"user": {"name": "BOB"}})).await;
    assert_eq!(
        (renamed.status, &renamed.body["user"]["name"]),
        (200, &json!("BOB")),
        "its own name may change its case"
    );
}
