//! Quality of service: policies, rules, who has them, and what they ask of Placement.

use crate::server::{ADMIN, DEMO, DEMO_PROJECT, MANAGER, OTHER, Server, id, options};
use serde_json::{Value, json};

const NOBODY: &str = "0c1d2e3f-0000-4000-8000-000000000000";

async fn policy(server: &Server, members: Value) -> String {
    id(&server.create(ADMIN, "qos_policy", members).await).to_owned()
}

async fn rule(server: &Server, policy: &str, kind: &str, members: Value) -> Value {
    let path = format!("/v2.0/qos/policies/{policy}/{kind}_rules");
    let key = format!("{kind}_rule");
    server.post(ADMIN, &path, json!({ &key: members })).await.expect(201)[&key].clone()
}

async fn show(server: &Server, token: &str, path: String) -> Value {
    let body = server.get(token, &path).await.expect(200);
    body.as_object().unwrap().values().next().unwrap().clone()
}

#[tokio::test]
async fn a_policy_shows_its_rules_of_every_kind() {
    let server = Server::new();
    let policy = policy(&server, json!({"name": "gold"})).await;
    let mark = rule(&server, &policy, "dscp_marking", json!({"dscp_mark": 26})).await;
    let limit = rule(&server, &policy, "bandwidth_limit", json!({"max_kbps": "2000"})).await;
    assert_eq!(limit, json!({"id": limit["id"], "max_kbps": 2000, "max_burst_kbps": 0, "direction": "egress"}));
    let packets = rule(&server, &policy, "packet_rate_limit", json!({"max_kpps": 7, "direction": "ingress"})).await;
    let shown = show(&server, ADMIN, format!("/v2.0/qos/policies/{policy}")).await;
    assert_eq!(
        shown["rules"],
        json!([
            {"id": limit["id"], "max_kbps": 2000, "max_burst_kbps": 0, "direction": "egress",
             "qos_policy_id": policy, "type": "bandwidth_limit"},
            {"id": mark["id"], "dscp_mark": 26, "qos_policy_id": policy, "type": "dscp_marking"},
            {"id": packets["id"], "max_kpps": 7, "max_burst_kpps": 0, "direction": "ingress",
             "qos_policy_id": policy, "type": "packet_rate_limit"},
        ])
    );
    assert_eq!(shown["revision_number"], 3, "a rule is part of its policy");
    let lists = server.get(ADMIN, "/v2.0/qos/policies?name=gold&fields=rules&fields=id").await.expect(200);
    assert_eq!(lists["policies"], json!([{"id": policy, "rules": shown["rules"]}]));
    let path = format!("/v2.0/qos/policies/{policy}/bandwidth_limit_rules");
    let found = server.get(ADMIN, &format!("{path}?max_kbps=2000&sort_key=max_kbps&sort_dir=asc")).await.expect(200);
    assert_eq!(found["bandwidth_limit_rules"], json!([limit]));
    assert_eq!(server.get(ADMIN, &format!("{path}?max_kbps=1")).await.body["bandwidth_limit_rules"], json!([]));
}

#[tokio::test]
async fn rules_of_one_policy_are_not_found_in_another() {
    let server = Server::new();
    let (one, other) = (policy(&server, json!({})).await, policy(&server, json!({})).await);
    let limit = rule(&server, &one, "bandwidth_limit", json!({"max_kbps": 5})).await;
    let wrong = format!("/v2.0/qos/policies/{other}/bandwidth_limit_rules/{}", id(&limit));
    let missing = format!("404 QosRuleNotFound: QoS rule {} for policy {other} could not be found.", id(&limit));
    assert_eq!(server.get(ADMIN, &wrong).await.error(), missing);
    assert_eq!(server.delete(ADMIN, &wrong).await.error(), missing);
    let wrong_kind = format!("/v2.0/qos/policies/{one}/packet_rate_limit_rules/{}", id(&limit));
    assert_eq!(server.get(ADMIN, &wrong_kind).await.status, 404);
    let nowhere = server.get(ADMIN, &format!("/v2.0/qos/policies/{NOBODY}/dscp_marking_rules")).await.error();
    assert_eq!(nowhere, format!("404 QosPolicyNotFound: QoS policy {NOBODY} could not be found."));
}

#[tokio::test]
async fn rules_that_contradict_each_other_are_refused() {
    let server = Server::new();
    let policy = policy(&server, json!({})).await;
    rule(&server, &policy, "bandwidth_limit", json!({"max_kbps": 1000})).await;
    let base = format!("/v2.0/qos/policies/{policy}");
    let refused = async |kind: &str, members: Value| {
        let path = format!("{base}/{kind}_rules");
        server.post(ADMIN, &path, json!({ format!("{kind}_rule"): members })).await.error()
    };
    assert_eq!(
        refused("minimum_bandwidth", json!({"min_kbps": 1001})).await,
        format!(
            "409 QoSRuleParameterConflict: Unable to add the rule with value 1001 to the policy {policy} as the existing rule of \
             type bandwidth_limit has value 1000."
        )
    );
    let again = refused("bandwidth_limit", json!({"max_kbps": 1})).await;
    assert!(again.starts_with("409 QoSRulesConflict: Rule bandwidth_limit conflicts with rule "), "{again}");
    let mark = refused("dscp_marking", json!({"dscp_mark": 58})).await;
    assert!(mark.starts_with("400 "), "{mark}");
    let guarantee = rule(&server, &policy, "minimum_bandwidth", json!({"min_kbps": 900})).await;
    let change = json!({"minimum_bandwidth_rule": {"min_kbps": 2000}});
    let path = format!("{base}/minimum_bandwidth_rules/{}", id(&guarantee));
    assert_eq!(server.put(ADMIN, &path, change).await.status, 409);
}

#[tokio::test]
async fn rules_are_known_without_their_policy_too() {
    let server = Server::new();
    let policy = policy(&server, json!({"project_id": DEMO_PROJECT})).await;
    let limit = rule(&server, &policy, "bandwidth_limit", json!({"max_kbps": 5})).await;
    let path = format!("/v2.0/qos/alias-bandwidth-limit-rules/{}", id(&limit));
    assert_eq!(show(&server, DEMO, path.clone()).await, limit);
    assert_eq!(
        server.get(OTHER, &path).await.error(),
        format!("404 QosRuleNotFound: QoS rule {} for policy  could not be found.", id(&limit))
    );
    let change = json!({"alias_bandwidth_limit_rule": {"max_kbps": 6}});
    assert_eq!(server.put(DEMO, &path, change.clone()).await.status, 403);
    let changed = server.put(MANAGER, &path, change).await.expect(200);
    assert_eq!(changed["alias_bandwidth_limit_rule"]["max_kbps"], 6);
    assert_eq!(server.get(ADMIN, "/v2.0/qos/alias-bandwidth-limit-rules").await.status, 404);
    server.delete(MANAGER, &path).await.expect(204);
    let left = show(&server, DEMO, format!("/v2.0/qos/policies/{policy}")).await;
    assert_eq!(left["rules"], json!([]));
}

#[tokio::test]
async fn only_managers_make_policies_and_only_in_their_project_rules() {
    let server = Server::new();
    let body = json!({"policy": {"name": "p"}});
    assert_eq!(server.post(DEMO, "/v2.0/qos/policies", body).await.status, 403);
    let own = policy(&server, json!({"project_id": DEMO_PROJECT})).await;
    let foreign = policy(&server, json!({})).await;
    let body = json!({"dscp_marking_rule": {"dscp_mark": 8}});
    let in_policy = |policy: &str| format!("/v2.0/qos/policies/{policy}/dscp_marking_rules");
    assert_eq!(server.post(DEMO, &in_policy(&own), body.clone()).await.status, 403);
    assert_eq!(server.post(MANAGER, &in_policy(&foreign), body.clone()).await.status, 403, "not 404, as in Neutron");
    assert_eq!(server.post(MANAGER, &in_policy(NOBODY), body.clone()).await.status, 404);
    server.post(MANAGER, &in_policy(&own), body).await.expect(201);
}

#[tokio::test]
async fn a_shared_policy_can_be_seen_and_used_but_not_changed() {
    let server = Server::new();
    let id_of = policy(&server, json!({"name": "p"})).await;
    let path = format!("/v2.0/qos/policies/{id_of}");
    let net =
        async |token: &str| server.post(token, "/v2.0/networks", json!({"network": {"qos_policy_id": id_of}})).await;
    assert_eq!(server.get(DEMO, &path).await.status, 404);
    let hidden = net(DEMO).await.error();
    assert_eq!(hidden, format!("404 QosPolicyNotFound: QoS policy {id_of} could not be found."));
    let shared = server.put(ADMIN, &path, json!({"policy": {"shared": true}})).await.expect(200);
    assert_eq!(shared["policy"]["shared"], true);
    assert_eq!(show(&server, DEMO, path.clone()).await["shared"], true);
    let network = net(DEMO).await.expect(201)["network"].clone();
    assert_eq!(network["qos_policy_id"], json!(id_of));
    assert_eq!(server.put(DEMO, &path, json!({"policy": {"name": "x"}})).await.status, 403);
    let unshare = server.put(ADMIN, &path, json!({"policy": {"shared": false}})).await;
    assert_eq!(unshare.status, 409, "{}", unshare.text);
    server.delete(DEMO, &format!("/v2.0/networks/{}", id(&network))).await.expect(204);
    server.put(ADMIN, &path, json!({"policy": {"shared": false}})).await.expect(200);
    assert_eq!(server.get(DEMO, &path).await.status, 404);
}

/// Of networks it is enough that the owner may still use them; of everything else Neutron counts the owner's own use, too.
#[tokio::test]
async fn a_policy_that_its_owner_uses_stays_shared() {
    let server = Server::new();
    let policy = policy(&server, json!({"shared": true})).await;
    let path = format!("/v2.0/qos/policies/{policy}");
    let network = server.create(ADMIN, "network", json!({"qos_policy_id": policy})).await;
    let unshare = json!({"policy": {"shared": false}});
    assert_eq!(server.put(ADMIN, &path, unshare.clone()).await.status, 409);
    let entries = server.get(ADMIN, &format!("/v2.0/rbac-policies?object_id={policy}")).await.expect(200);
    let entry = format!("/v2.0/rbac-policies/{}", id(&entries["rbac_policies"][0]));
    let narrow = json!({"rbac_policy": {"target_tenant": DEMO_PROJECT}});
    let refused = server.put(ADMIN, &entry, narrow).await.error();
    assert!(refused.starts_with("409 RbacPolicyInUse: "), "{refused}");
    server.delete(ADMIN, &format!("/v2.0/networks/{}", id(&network))).await.expect(204);
    server.put(ADMIN, &path, unshare).await.expect(200);
}

#[tokio::test]
async fn what_has_a_policy_holds_it() {
    let server = Server::new();
    let policy = policy(&server, json!({"project_id": DEMO_PROJECT})).await;
    let path = format!("/v2.0/qos/policies/{policy}");
    let network = server.create(DEMO, "network", json!({"qos_policy_id": policy})).await;
    let used =
        |what: &str, by: &Value| format!("409 QosPolicyInUse: QoS Policy {policy} is used by {what} {}.", id(by));
    assert_eq!(server.delete(ADMIN, &path).await.error(), used("network", &network));
    let port = server.create(DEMO, "port", json!({"network_id": id(&network), "qos_policy_id": policy})).await;
    assert_eq!(port["qos_policy_id"], json!(policy));
    assert_eq!(port["qos_network_policy_id"], json!(policy));
    assert_eq!(server.delete(ADMIN, &path).await.error(), used("port", &port));
    for (kind, object) in [("port", &port), ("network", &network)] {
        let path = format!("/v2.0/{kind}s/{}", id(object));
        let changed = server.put(DEMO, &path, json!({kind: {"qos_policy_id": null}})).await.expect(200);
        assert_eq!(changed[kind]["qos_policy_id"], Value::Null);
    }
    server.delete(ADMIN, &path).await.expect(204);
}

#[tokio::test]
async fn who_may_not_use_a_policy_may_not_take_it_away() {
    let server = Server::new();
    let foreign = policy(&server, json!({})).await;
    let network = server.create(DEMO, "network", json!({})).await;
    let path = format!("/v2.0/networks/{}", id(&network));
    server.put(ADMIN, &path, json!({"network": {"qos_policy_id": foreign}})).await.expect(200);
    let refused = server.put(DEMO, &path, json!({"network": {"qos_policy_id": null}})).await.error();
    let message = format!("Failed to remove provided policy {foreign} because you are not authorized.");
    assert_eq!(refused, format!("403 PolicyRemoveAuthorizationError: {message}"));
    // A port of that network is nobody's business.
    let port = server.create(DEMO, "port", json!({"network_id": id(&network)})).await;
    assert_eq!((&port["qos_policy_id"], &port["qos_network_policy_id"]), (&Value::Null, &json!(foreign)));
}

#[tokio::test]
async fn new_networks_have_their_projects_default_policy() {
    let server = Server::new();
    let default = policy(&server, json!({"project_id": DEMO_PROJECT, "is_default": true})).await;
    let other = policy(&server, json!({"project_id": DEMO_PROJECT})).await;
    assert_eq!(server.create(DEMO, "network", json!({})).await["qos_policy_id"], json!(default));
    let asked = server.create(DEMO, "network", json!({"qos_policy_id": other})).await;
    assert_eq!(asked["qos_policy_id"], json!(other));
    assert_eq!(server.create(OTHER, "network", json!({})).await["qos_policy_id"], Value::Null);
    let path = format!("/v2.0/qos/policies/{other}");
    let second = server.put(ADMIN, &path, json!({"policy": {"is_default": true}})).await.error();
    let message = format!("A default QoS policy exists for project {DEMO_PROJECT}.");
    assert_eq!(second, format!("409 QoSPolicyDefaultAlreadyExists: {message}"));
    let path = format!("/v2.0/qos/policies/{default}");
    server.put(ADMIN, &path, json!({"policy": {"is_default": false}})).await.expect(200);
    assert_eq!(server.create(DEMO, "network", json!({})).await["qos_policy_id"], Value::Null);
}

#[tokio::test]
async fn floating_ips_and_gateways_have_policies() {
    let server = Server::new();
    let policy = policy(&server, json!({"project_id": DEMO_PROJECT})).await;
    let network = server.create(ADMIN, "network", json!({"router:external": true})).await;
    let subnet = json!({"network_id": id(&network), "ip_version": 4, "cidr": "198.51.100.0/24"});
    server.create(ADMIN, "subnet", subnet).await;
    let members = json!({"floating_network_id": id(&network), "qos_policy_id": policy});
    let address = server.create(DEMO, "floatingip", members).await;
    assert_eq!(address["qos_policy_id"], json!(policy));
    let path = format!("/v2.0/qos/policies/{policy}");
    let used = server.delete(ADMIN, &path).await.error();
    assert_eq!(used, format!("409 QosPolicyInUse: QoS Policy {policy} is used by fip {}.", id(&address)));
    let of_address = format!("/v2.0/floatingips/{}", id(&address));
    server.put(DEMO, &of_address, json!({"floatingip": {"qos_policy_id": null}})).await.expect(200);

    let gateway = json!({"network_id": id(&network), "qos_policy_id": policy});
    let router = server.create(ADMIN, "router", json!({"external_gateway_info": gateway})).await;
    assert_eq!(router["external_gateway_info"]["qos_policy_id"], json!(policy));
    let used = server.delete(ADMIN, &path).await.error();
    assert_eq!(used, format!("409 QosPolicyInUse: QoS Policy {policy} is used by router {}.", id(&router)));
    let of_router = format!("/v2.0/routers/{}", id(&router));
    let change = async |info: Value| {
        let body = json!({"router": {"external_gateway_info": info}});
        server.put(ADMIN, &of_router, body).await.expect(200)["router"]["external_gateway_info"].clone()
    };
    let of_network = format!("/v2.0/networks/{}", id(&network));
    let on_network = async |policy: Value| {
        server.put(ADMIN, &of_network, json!({"network": {"qos_policy_id": policy}})).await.expect(200);
        show(&server, ADMIN, of_router.clone()).await["external_gateway_info"].clone()
    };
    let kept = change(json!({"network_id": id(&network), "enable_snat": false})).await;
    assert_eq!(kept["qos_policy_id"], json!(policy), "what is not said stays");
    let removed = change(json!({"network_id": id(&network), "qos_policy_id": null})).await;
    assert_eq!(removed.get("qos_policy_id"), None, "it is told only where there is one");
    let inherited = on_network(json!(policy)).await;
    assert_eq!(inherited.get("qos_policy_id"), Some(&Value::Null), "or where the network has one");
    assert_eq!(on_network(Value::Null).await.get("qos_policy_id"), None);
    change(json!({"network_id": id(&network), "qos_policy_id": policy})).await;
    assert_eq!(change(Value::Null).await, Value::Null);
    server.delete(ADMIN, &path).await.expect(204);
}

#[tokio::test]
async fn guarantees_are_asked_of_placement() {
    let server = Server::new();
    let policy = policy(&server, json!({"project_id": DEMO_PROJECT})).await;
    let members = json!({"provider:network_type": "vlan", "provider:physical_network": "physnet1",
                         "project_id": DEMO_PROJECT});
    let network = server.create(ADMIN, "network", members).await;
    let port = server.create(DEMO, "port", json!({"network_id": id(&network)})).await;
    let request = async || show(&server, ADMIN, format!("/v2.0/ports/{}", id(&port))).await["resource_request"].clone();
    assert_eq!(request().await, Value::Null);
    let own = show(&server, DEMO, format!("/v2.0/ports/{}", id(&port))).await;
    assert_eq!(own.get("resource_request"), None, "only administrators see it");
    let guarantee = rule(&server, &policy, "minimum_bandwidth", json!({"min_kbps": 100})).await;
    let of_network = format!("/v2.0/networks/{}", id(&network));
    server.put(DEMO, &of_network, json!({"network": {"qos_policy_id": policy}})).await.expect(200);
    let asked = request().await;
    let group = asked["same_subtree"][0].clone();
    let bandwidth = |amount: u32| {
        json!({"id": group, "required": ["CUSTOM_PHYSNET_PHYSNET1", "CUSTOM_VNIC_TYPE_NORMAL"],
               "resources": {"NET_BW_EGR_KILOBIT_PER_SEC": amount}})
    };
    assert_eq!(asked, json!({"request_groups": [bandwidth(100)], "same_subtree": [group]}));
    let path = format!("/v2.0/qos/policies/{policy}/minimum_bandwidth_rules/{}", id(&guarantee));
    server.put(ADMIN, &path, json!({"minimum_bandwidth_rule": {"min_kbps": 200}})).await.expect(200);
    assert_eq!(request().await["request_groups"], json!([bandwidth(200)]));
    rule(&server, &policy, "minimum_packet_rate", json!({"min_kpps": 3})).await;
    let packets = request().await["request_groups"][1].clone();
    assert_eq!(packets["resources"], json!({"NET_PACKET_RATE_EGR_KILOPACKET_PER_SEC": 3}));
    assert_eq!(packets["required"], json!(["CUSTOM_VNIC_TYPE_NORMAL"]));
    // Another kind of device asks for another kind of provider.
    let of_port = format!("/v2.0/ports/{}", id(&port));
    server.put(DEMO, &of_port, json!({"port": {"binding:vnic_type": "direct"}})).await.expect(200);
    assert_eq!(request().await["request_groups"][1]["required"], json!(["CUSTOM_VNIC_TYPE_DIRECT"]));
    // What an instance has been promised does not change under it.
    server.put(DEMO, &of_port, json!({"port": {"device_owner": "compute:nova"}})).await.expect(200);
    let refused = server.delete(ADMIN, &path).await;
    assert_eq!(refused.status, 501, "{}", refused.text);
    server.put(DEMO, &of_network, json!({"network": {"qos_policy_id": null}})).await.expect(200);
    assert_eq!(request().await, Value::Null);
}

#[tokio::test]
async fn a_port_that_cannot_obey_is_refused() {
    let server = Server::with(&options());
    let policy = policy(&server, json!({"project_id": DEMO_PROJECT})).await;
    let network = server.create(DEMO, "network", json!({})).await;
    let members = json!({"network_id": id(&network), "qos_policy_id": policy, "binding:vnic_type": "macvtap"});
    let port = server.create(DEMO, "port", members.clone()).await;
    let path = format!("/v2.0/qos/policies/{policy}/dscp_marking_rules");
    let body = json!({"dscp_marking_rule": {"dscp_mark": 8}});
    assert_eq!(
        server.post(ADMIN, &path, body.clone()).await.error(),
        format!("409 QosRuleNotSupported: Rule dscp_marking is not supported by port {}", id(&port))
    );
    server.delete(DEMO, &format!("/v2.0/ports/{}", id(&port))).await.expect(204);
    server.post(ADMIN, &path, body).await.expect(201);
    assert_eq!(server.post(DEMO, "/v2.0/ports", json!({"port": members})).await.status, 409);
}

#[tokio::test]
async fn rule_types_and_their_details() {
    let server = Server::new();
    let all = server.get(DEMO, "/v2.0/qos/rule-types").await.expect(200);
    let names = ["bandwidth_limit", "dscp_marking", "minimum_bandwidth", "minimum_packet_rate", "packet_rate_limit"];
    assert_eq!(all["rule_types"], json!(names.map(|name| json!({"type": name}))));
    for filter in ["all_rules=true", "all_supported=True", "all_supported=false", "all_rules=1&all_supported=0"] {
        let same = server.get(DEMO, &format!("/v2.0/qos/rule-types?{filter}")).await.expect(200);
        assert_eq!(same, all, "{filter}");
    }
    let one = show(&server, ADMIN, "/v2.0/qos/rule-types/dscp_marking".into()).await;
    assert_eq!(one["type"], "dscp_marking");
    let parameter = &one["drivers"][0]["supported_parameters"][0];
    assert_eq!((&parameter["parameter_name"], &parameter["parameter_type"]), (&json!("dscp_mark"), &json!("choices")));
    assert_eq!(parameter["parameter_values"], json!(network_model::qos::DSCP_MARKS));
    assert_eq!(server.get(DEMO, "/v2.0/qos/rule-types/dscp_marking").await.status, 403);
}

#[tokio::test]
async fn policies_have_tags_with_and_without_their_prefix() {
    let server = Server::new();
    let policy = policy(&server, json!({})).await;
    server.put(ADMIN, &format!("/v2.0/policies/{policy}/tags"), json!({"tags": ["red"]})).await.expect(200);
    let shown = server.get(ADMIN, &format!("/v2.0/qos/policies/{policy}/tags")).await.expect(200);
    assert_eq!(shown["tags"], json!(["red"]));
    let found = server.get(ADMIN, "/v2.0/qos/policies?tags=red").await.expect(200);
    assert_eq!(found["policies"][0]["tags"], json!(["red"]));
    assert_eq!(server.get(ADMIN, &format!("/v2.0/policies/{policy}")).await.status, 404, "only tags");
}
