//! Sharing by `/v2.0/rbac-policies`: who sees what, who may use it, and what holds an entry.

use crate::server::{ADMIN, ADMIN_PROJECT, Answer, DEMO, DEMO_PROJECT, OTHER, OTHER_PROJECT, Server, id};
use serde_json::{Value, json};

async fn ask(server: &Server, token: &str, object: &Value, kind: &str, action: &str, target: &str) -> Answer {
    let members = json!({"object_type": kind, "object_id": id(object), "action": action, "target_tenant": target});
    server.post(token, "/v2.0/rbac-policies", json!({"rbac_policy": members})).await
}

async fn share(server: &Server, token: &str, object: &Value, action: &str, target: &str) -> Value {
    ask(server, token, object, "network", action, target).await.expect(201)["rbac_policy"].clone()
}

async fn ids(server: &Server, token: &str, path: &str) -> Vec<String> {
    let body = server.get(token, path).await.expect(200);
    let list = body.as_object().unwrap().values().next().unwrap().as_array().unwrap().clone();
    list.iter().map(|object| id(object).to_owned()).collect()
}

const SHARED: &str = "access_as_shared";
const EXTERNAL: &str = "access_as_external";

#[tokio::test]
async fn a_network_is_there_for_whom_it_is_shared_with() {
    let server = Server::new();
    let network = server.create(DEMO, "network", json!({})).await;
    let subnet = json!({"network_id": id(&network), "ip_version": 4, "cidr": "10.0.0.0/24"});
    let subnet = server.create(DEMO, "subnet", subnet).await;
    let path = format!("/v2.0/networks/{}", id(&network));
    server.get(OTHER, &path).await.expect(404);
    let before = network["revision_number"].as_u64().unwrap();
    let entry = share(&server, DEMO, &network, SHARED, OTHER_PROJECT).await;
    assert_eq!(
        entry,
        json!({"id": entry["id"], "object_type": "network", "object_id": network["id"], "target_tenant": OTHER_PROJECT,
               "tenant_id": DEMO_PROJECT, "project_id": DEMO_PROJECT, "action": SHARED})
    );
    let seen = server.get(OTHER, &path).await.expect(200)["network"].clone();
    assert_eq!(seen["shared"], true);
    assert!(seen["revision_number"].as_u64().unwrap() > before);
    assert_eq!(
        server.get(DEMO, &path).await.expect(200)["network"]["shared"],
        false,
        "it is not shared with its owner"
    );
    for (token, shared) in [(OTHER, true), (DEMO, false), (ADMIN, false)] {
        assert_eq!(ids(&server, token, &format!("/v2.0/networks?shared={shared}")).await, [id(&network)]);
        assert_eq!(ids(&server, token, &format!("/v2.0/subnets?shared={shared}")).await, [id(&subnet)]);
        assert!(ids(&server, token, &format!("/v2.0/networks?shared={}", !shared)).await.is_empty());
        assert!(ids(&server, token, &format!("/v2.0/subnets?shared={}", !shared)).await.is_empty());
    }
    // Seeing is not owning.
    server.put(OTHER, &path, json!({"network": {"name": "mine"}})).await.expect(403);
    assert!(ids(&server, OTHER, "/v2.0/rbac-policies").await.is_empty(), "entries are their owner's to see");
    server.delete(DEMO, &format!("/v2.0/rbac-policies/{}", id(&entry))).await.expect(204);
    server.get(OTHER, &path).await.expect(404);
    assert!(ids(&server, OTHER, "/v2.0/networks").await.is_empty());
}

#[tokio::test]
async fn ports_of_others_hold_the_entry_that_let_them_be() {
    let server = Server::new();
    let network = server.create(DEMO, "network", json!({})).await;
    let port = json!({"port": {"network_id": id(&network)}});
    server.post(OTHER, "/v2.0/ports", port.clone()).await.expect(404);
    let entry = share(&server, DEMO, &network, SHARED, OTHER_PROJECT).await;
    let path = format!("/v2.0/rbac-policies/{}", id(&entry));
    let port = server.post(OTHER, "/v2.0/ports", port).await.expect(201)["port"].clone();
    let refused = server.delete(DEMO, &path).await;
    assert_eq!(
        refused.error(),
        format!(
            "409 RbacPolicyInUse: RBAC policy on object {network} cannot be removed because other objects depend on it.\n\
             Details: Unable to reconfigure sharing settings for network {network}. Multiple tenants are using it.",
            network = id(&network)
        )
    );
    server.put(DEMO, &path, json!({"rbac_policy": {"target_tenant": ADMIN_PROJECT}})).await.expect(409);
    // With an entry for everybody the other one is not needed, and the other way round.
    let everybody = share(&server, ADMIN, &network, SHARED, "*").await;
    server.delete(DEMO, &path).await.expect(204);
    server.delete(ADMIN, &format!("/v2.0/rbac-policies/{}", id(&everybody))).await.expect(409);
    let unshare = json!({"network": {"shared": false}});
    server.put(ADMIN, &format!("/v2.0/networks/{}", id(&network)), unshare.clone()).await.expect(409);
    share(&server, DEMO, &network, SHARED, OTHER_PROJECT).await;
    server.put(ADMIN, &format!("/v2.0/networks/{}", id(&network)), unshare).await.expect(200);
    server.get(ADMIN, &format!("/v2.0/rbac-policies/{}", id(&everybody))).await.expect(404);
    // The network's owner may remove other people's ports from it.
    server.delete(DEMO, &format!("/v2.0/ports/{}", id(&port))).await.expect(204);
    server.delete(DEMO, &format!("/v2.0/networks/{}", id(&network))).await.expect(204);
    assert!(ids(&server, ADMIN, "/v2.0/rbac-policies").await.is_empty(), "entries go with their object");
}

#[tokio::test]
async fn what_an_entry_may_say() {
    let server = Server::new();
    let network = server.create(DEMO, "network", json!({})).await;
    let refused = ask(&server, DEMO, &network, "network", SHARED, "*").await;
    assert_eq!(refused.status, 403, "only administrators share with everybody");
    let refused = ask(&server, OTHER, &network, "network", SHARED, OTHER_PROJECT).await;
    assert_eq!(
        refused.error(),
        "400 InvalidInput: Invalid input for operation: Only admins can manipulate policies on networks they do not own."
    );
    assert_eq!(
        ask(&server, DEMO, &network, "network", "own", OTHER_PROJECT).await.error(),
        "400 InvalidActionForType: Invalid action 'own' for object type 'network'. Valid actions: ('access_as_shared', \
         'access_as_external')"
    );
    assert_eq!(
        ask(&server, DEMO, &network, "router", SHARED, OTHER_PROJECT).await.error(),
        "400 InvalidInput: Invalid input for operation: 'router' is not a valid RBAC object type."
    );
    assert_eq!(
        ask(&server, DEMO, &network, "network", SHARED, "somebody").await.error(),
        "400 InvalidInput: Invalid input for operation: 'somebody' is not a valid target project ID; expected a UUID or '*'."
    );
    ask(&server, DEMO, &network, " Network", SHARED, OTHER_PROJECT).await.expect(201);
    assert_eq!(
        ask(&server, DEMO, &network, "network", SHARED, OTHER_PROJECT).await.error(),
        "409 DuplicateRbacPolicy: An RBAC policy already exists with those values."
    );
    for _ in 1..10 {
        let target = uuid::Uuid::new_v4().simple().to_string();
        ask(&server, DEMO, &network, "network", SHARED, &target).await.expect(201);
    }
    assert!(ask(&server, DEMO, &network, "network", SHARED, ADMIN_PROJECT).await.error().starts_with("409 OverQuota"));
}

#[tokio::test]
async fn external_networks_have_entries_of_their_own() {
    let server = Server::new();
    let network = server.create(ADMIN, "network", json!({"router:external": true})).await;
    let (path, external) =
        (format!("/v2.0/networks/{}", id(&network)), |on| json!({"network": {"router:external": on}}));
    let entries = format!("/v2.0/rbac-policies?object_id={}&action=access_as_external&target_tenant=*", id(&network));
    assert_eq!(ids(&server, ADMIN, &entries).await.len(), 1);
    server.put(ADMIN, &path, external(false)).await.expect(200);
    assert!(ids(&server, ADMIN, &entries).await.is_empty());
    // The other way: the first entry makes the network external, the last one's end ends it.
    let entry = share(&server, ADMIN, &network, EXTERNAL, DEMO_PROJECT).await;
    assert_eq!(server.get(DEMO, &path).await.expect(200)["network"]["router:external"], true);
    assert_eq!(server.get(DEMO, &path).await.expect(200)["network"]["shared"], false);
    server.get(OTHER, &path).await.expect(404);
    let gateway = json!({"external_gateway_info": {"network_id": id(&network)}});
    let subnet = json!({"network_id": id(&network), "ip_version": 4, "cidr": "198.51.100.0/24"});
    server.create(ADMIN, "subnet", subnet).await;
    server.post(OTHER, "/v2.0/routers", json!({"router": gateway})).await.expect(404);
    let router = server.create(DEMO, "router", gateway).await;
    let entry = format!("/v2.0/rbac-policies/{}", id(&entry));
    assert!(
        server
            .delete(ADMIN, &entry)
            .await
            .error()
            .ends_with("Details: There are routers attached to this network that depend on this policy for access.")
    );
    server.delete(DEMO, &format!("/v2.0/routers/{}", id(&router))).await.expect(204);
    server.delete(ADMIN, &entry).await.expect(204);
    assert_eq!(server.get(ADMIN, &path).await.expect(200)["network"]["router:external"], false);
}

#[tokio::test]
async fn pools_are_of_the_external_networks_that_one_sees() {
    let server = Server::new();
    let network = server.create(ADMIN, "network", json!({})).await;
    let subnet = json!({"network_id": id(&network), "ip_version": 4, "cidr": "203.0.113.0/24", "name": "out"});
    let subnet = server.create(ADMIN, "subnet", subnet).await;
    let pools = async |token: &str| {
        let path = format!("/v2.0/floatingip_pools?network_id={}", id(&network));
        server.get(token, &path).await.expect(200)["floatingip_pools"].clone()
    };
    let nothing = json!([]);
    let pool = |project: &str| {
        let (subnet, network) = (&subnet["id"], &network["id"]);
        json!([{"subnet_id": subnet, "subnet_name": "out", "network_id": network, "cidr": "203.0.113.0/24",
                "project_id": project, "tenant_id": project}])
    };
    assert_eq!(pools(ADMIN).await, nothing, "it is not external");
    let entry = share(&server, ADMIN, &network, EXTERNAL, OTHER_PROJECT).await;
    assert_eq!(pools(OTHER).await, pool(OTHER_PROJECT));
    assert_eq!(pools(DEMO).await, nothing);
    assert_eq!(pools(ADMIN).await, pool(ADMIN_PROJECT));
    let request =
        |subnet: &Value| json!({"floatingip": {"floating_network_id": id(&network), "subnet_id": id(subnet)}});
    let floating = server.post(OTHER, "/v2.0/floatingips", request(&subnet)).await.expect(201);
    assert!(floating["floatingip"]["floating_ip_address"].as_str().unwrap().starts_with("203.0.113."));
    server.post(DEMO, "/v2.0/floatingips", request(&subnet)).await.expect(404);
    server.delete(OTHER, &format!("/v2.0/floatingips/{}", id(&floating["floatingip"]))).await.expect(204);

    share(&server, ADMIN, &network, EXTERNAL, "*").await;
    assert_eq!(pools(DEMO).await, pool(DEMO_PROJECT));
    server.delete(ADMIN, &format!("/v2.0/rbac-policies/{}", id(&entry))).await.expect(204);
    assert_eq!(pools(OTHER).await, pool(OTHER_PROJECT));
}

#[tokio::test]
async fn only_external_networks_have_a_default() {
    let server = Server::new();
    let inside = server.create(ADMIN, "network", json!({"is_default": true})).await;
    assert_eq!(inside["is_default"], false, "shown of new networks only");
    let shown = server.get(ADMIN, &format!("/v2.0/networks/{}", id(&inside))).await.expect(200);
    assert!(shown["network"].get("is_default").is_none());
    let outside = server.create(ADMIN, "network", json!({"router:external": true, "is_default": true})).await;
    assert_eq!(outside["is_default"], true);
    let entries = format!("/v2.0/rbac-policies?object_id={}", id(&outside));
    let entry = ids(&server, ADMIN, &entries).await.remove(0);
    let refused = server.delete(ADMIN, &format!("/v2.0/rbac-policies/{entry}")).await;
    assert!(refused.error().ends_with("Details: Default external networks must be shared to everyone."));
    let path = format!("/v2.0/networks/{}", id(&outside));
    let closed = server.put(ADMIN, &path, json!({"network": {"router:external": false}})).await.expect(200);
    assert!(closed["network"].get("is_default").is_none());
    let again = server.put(ADMIN, &path, json!({"network": {"router:external": true}})).await.expect(200);
    assert_eq!(again["network"]["is_default"], false);
}

#[tokio::test]
async fn a_router_joins_a_subnet_that_is_shared_by_name() {
    let server = Server::new();
    let network = server.create(DEMO, "network", json!({})).await;
    let subnet = json!({"network_id": id(&network), "ip_version": 4, "cidr": "10.0.0.0/24"});
    let subnet = server.create(DEMO, "subnet", subnet).await;
    let router = server.create(OTHER, "router", json!({})).await;
    let path = format!("/v2.0/routers/{}/add_router_interface", id(&router));
    let body = json!({"subnet_id": id(&subnet)});
    server.put(OTHER, &path, body.clone()).await.expect(404);
    let everybody = share(&server, ADMIN, &network, SHARED, "*").await;
    server.put(OTHER, &path, body.clone()).await.expect(400);
    server.delete(ADMIN, &format!("/v2.0/rbac-policies/{}", id(&everybody))).await.expect(204);
    share(&server, DEMO, &network, SHARED, OTHER_PROJECT).await;
    server.put(OTHER, &path, body).await.expect(200);
}

#[tokio::test]
async fn security_groups_are_shared_too() {
    let server = Server::new();
    let group = server.create(ADMIN, "security_group", json!({"name": "g"})).await;
    let path = format!("/v2.0/security-groups/{}", id(&group));
    let network = server.create(DEMO, "network", json!({})).await;
    let port = json!({"port": {"network_id": id(&network), "security_groups": [id(&group)]}});
    server.get(DEMO, &path).await.expect(404);
    server.post(DEMO, "/v2.0/ports", port.clone()).await.expect(404);
    let entry = ask(&server, ADMIN, &group, "security_group", SHARED, DEMO_PROJECT).await.expect(201);
    let entry = format!("/v2.0/rbac-policies/{}", id(&entry["rbac_policy"]));
    assert_eq!(server.get(DEMO, &path).await.expect(200)["security_group"]["shared"], true);
    assert_eq!(ids(&server, DEMO, "/v2.0/security-groups?shared=True").await, [id(&group)]);
    server.get(OTHER, &path).await.expect(404);
    // Whom it is shared with may name it in rules of its own groups, and adds nothing to it.
    let own = server.create(DEMO, "security_group", json!({"name": "own"})).await;
    let rule = |group: &Value, remote: &Value| json!({"security_group_rule": {"security_group_id": id(group), "direction": "ingress", "remote_group_id": id(remote)}});
    let named = server.post(DEMO, "/v2.0/security-group-rules", rule(&own, &group)).await.expect(201);
    assert_eq!(named["security_group_rule"]["remote_group_id"], group["id"]);
    server.post(DEMO, "/v2.0/security-group-rules", rule(&group, &own)).await.expect(403);
    let theirs = server.create(OTHER, "security_group", json!({"name": "theirs"})).await;
    server.post(OTHER, "/v2.0/security-group-rules", rule(&theirs, &group)).await.expect(404);
    let port = server.post(DEMO, "/v2.0/ports", port).await.expect(201)["port"].clone();
    assert!(server.delete(ADMIN, &entry).await.error().ends_with(&format!("Details: project_id={DEMO_PROJECT}")));
    server.delete(DEMO, &format!("/v2.0/ports/{}", id(&port))).await.expect(204);
    server.delete(ADMIN, &entry).await.expect(204);
    // An owner who uses what is shared with everybody keeps it shared, as in Neutron; nor can the entry become another's.
    let everybody = ask(&server, ADMIN, &group, "security_group", SHARED, "*").await.expect(201);
    let everybody = format!("/v2.0/rbac-policies/{}", id(&everybody["rbac_policy"]));
    let own = json!({"network_id": id(&network), "security_groups": [id(&group)]});
    let own = server.create(ADMIN, "port", own).await;
    server.delete(ADMIN, &everybody).await.expect(409);
    let moved = json!({"rbac_policy": {"target_tenant": ADMIN_PROJECT}});
    server.put(ADMIN, &everybody, moved).await.expect(409);
    server.delete(ADMIN, &format!("/v2.0/ports/{}", id(&own))).await.expect(204);
    server.delete(ADMIN, &everybody).await.expect(204);
    assert!(
        ask(&server, ADMIN, &group, "security_group", EXTERNAL, DEMO_PROJECT)
            .await
            .error()
            .ends_with("Valid actions: ('access_as_shared',)")
    );
}

#[tokio::test]
async fn address_scopes_and_the_pools_in_them_are_shared_one_after_the_other() {
    let server = Server::new();
    let scope = server.create(ADMIN, "address_scope", json!({"name": "s", "ip_version": 4})).await;
    let pool = json!({"name": "p", "prefixes": ["10.0.0.0/16"], "address_scope_id": id(&scope)});
    let pool = server.create(ADMIN, "subnetpool", pool).await;
    let too_early = ask(&server, ADMIN, &pool, "subnetpool", SHARED, DEMO_PROJECT).await;
    assert!(too_early.error().ends_with("target project doesn't have access to associated address scope."));
    let own = json!({"name": "p", "prefixes": ["10.1.0.0/16"], "address_scope_id": id(&scope)});
    server.post(DEMO, "/v2.0/subnetpools", json!({"subnetpool": own})).await.expect(404);
    let entry = ask(&server, ADMIN, &scope, "address_scope", SHARED, DEMO_PROJECT).await.expect(201);
    let entry = format!("/v2.0/rbac-policies/{}", id(&entry["rbac_policy"]));
    assert_eq!(ids(&server, DEMO, "/v2.0/address-scopes?shared=true").await, [id(&scope)]);
    let own = server.create(DEMO, "subnetpool", own).await;
    assert_eq!(own["shared"], false);
    server.delete(ADMIN, &entry).await.expect(409);
    ask(&server, ADMIN, &pool, "subnetpool", SHARED, DEMO_PROJECT).await.expect(201);
    let network = server.create(DEMO, "network", json!({})).await;
    let subnet = json!({"network_id": id(&network), "ip_version": 4, "subnetpool_id": id(&pool), "prefixlen": 24});
    server.create(DEMO, "subnet", subnet).await;
    assert!(ids(&server, OTHER, "/v2.0/subnetpools").await.is_empty());
    server.delete(DEMO, &format!("/v2.0/subnetpools/{}", id(&own))).await.expect(204);
    server.delete(ADMIN, &entry).await.expect(204);
    // What is said of everybody when an object is made is an entry, too.
    let scope = server.create(ADMIN, "address_scope", json!({"name": "t", "ip_version": 4, "shared": true})).await;
    assert_eq!(ids(&server, ADMIN, &format!("/v2.0/rbac-policies?object_id={}", id(&scope))).await.len(), 1);
    assert_eq!(server.get(OTHER, "/v2.0/address-scopes").await.expect(200)["address_scopes"][0]["shared"], true);
}
