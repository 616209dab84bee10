//! Subnet pools and address scopes as clients see them.

use crate::server::{ADMIN, DEMO, OTHER, Server, id};
use serde_json::{Value, json};

async fn pool(server: &Server, token: &str, members: Value) -> Value {
    let mut body = json!({"name": "p", "prefixes": ["10.11.0.0/16"], "min_prefixlen": 24});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    server.create(token, "subnetpool", body).await
}

/// A new network's subnet out of a pool.
async fn cut(server: &Server, token: &str, pool: &Value, members: Value) -> crate::server::Answer {
    let network = server.create(token, "network", json!({})).await;
    let mut subnet = json!({"network_id": id(&network), "ip_version": pool["ip_version"], "subnetpool_id": pool["id"]});
    subnet.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    server.post(token, "/v2.0/subnets", json!({ "subnet": subnet })).await
}

#[tokio::test]
async fn a_pool_shows_lengths_as_neutron_does_and_compact_prefixes() {
    let server = Server::new();
    let prefixes = json!(["10.1.0.0/17", "10.1.128.0/17", "10.0.0.5/24"]);
    let made = pool(&server, DEMO, json!({"prefixes": prefixes, "default_quota": "7"})).await;
    assert_eq!(made["prefixes"], json!(["10.0.0.0/24", "10.1.0.0/16"]));
    let lengths = ["default_prefixlen", "min_prefixlen", "max_prefixlen"].map(|name| made[name].clone());
    assert_eq!(lengths, [json!("24"), json!("24"), json!("32")]);
    assert_eq!((&made["ip_version"], &made["default_quota"]), (&json!(4), &json!(7)));
    let found = server.get(DEMO, "/v2.0/subnetpools?min_prefixlen=24&fields=id").await.expect(200);
    assert_eq!(found["subnetpools"], json!([{"id": made["id"]}]));
    for (body, refusal) in [
        (
            json!({"name": " ", "prefixes": ["10.0.0.0/8"]}),
            "400 HTTPBadRequest: Invalid input for name. Reason: ' ' Blank strings are not permitted.",
        ),
        (json!({"name": "p", "prefixes": []}), "400 EmptySubnetPoolPrefixList: Empty subnet pool prefix list."),
        (
            json!({"name": "p", "prefixes": ["x"]}),
            "400 HTTPBadRequest: Invalid input for prefixes. Reason: 'x' is not a valid IP subnet.",
        ),
        (
            json!({"name": "p", "prefixes": ["10.0.0.0/8", "fd00::/8"]}),
            "400 PrefixVersionMismatch: Cannot mix IPv4 and IPv6 prefixes in a subnet pool.",
        ),
    ] {
        assert_eq!(server.post(DEMO, "/v2.0/subnetpools", json!({ "subnetpool": body })).await.error(), refusal);
    }
}

#[tokio::test]
async fn subnets_are_cut_out_of_a_pool() {
    let server = Server::new();
    let v4 = pool(&server, DEMO, json!({})).await;
    let any = cut(&server, DEMO, &v4, json!({})).await.expect(201);
    assert_eq!((&any["subnet"]["cidr"], &any["subnet"]["gateway_ip"]), (&json!("10.11.0.0/24"), &json!("10.11.0.1")));
    assert_eq!(any["subnet"]["subnetpool_id"], v4["id"]);
    let named = cut(&server, DEMO, &v4, json!({"cidr": "10.11.2.0/24"})).await.expect(201);
    assert_eq!(named["subnet"]["cidr"], "10.11.2.0/24");
    let small = cut(&server, DEMO, &v4, json!({"prefixlen": 28})).await.expect(201);
    assert_eq!(small["subnet"]["cidr"], "10.11.1.0/28", "the smallest hole that is large enough");
    let by_gateway = cut(&server, DEMO, &v4, json!({"gateway_ip": "10.11.9.7"})).await.expect(201);
    assert_eq!(by_gateway["subnet"]["cidr"], "10.11.9.0/24");
    let refusals = [
        (
            json!({"cidr": "10.11.2.128/25"}),
            "409 SubnetAllocationError: Failed to allocate subnet: Cannot allocate requested subnet from the available set of prefixes.",
        ),
        (
            json!({"prefixlen": 20}),
            "400 MinPrefixSubnetAllocationError: Unable to allocate subnet with prefix length 20, minimum allowed prefix is 24.",
        ),
        (
            json!({"prefixlen": 24, "cidr": "10.11.7.0/24"}),
            "400 BadRequest: Bad subnets request: cidr and prefixlen must not be supplied together.",
        ),
        (
            json!({"ip_version": 6}),
            "400 BadRequest: Bad subnets request: Cannot allocate IPv6 subnet from IPv4 subnet pool.",
        ),
    ];
    for (members, refusal) in refusals {
        assert_eq!(cut(&server, DEMO, &v4, members).await.error(), refusal);
    }
    let v6 = pool(&server, DEMO, json!({"prefixes": ["2001:db8:3::/48"], "min_prefixlen": 64})).await;
    let any = cut(&server, DEMO, &v6, json!({})).await.expect(201);
    assert_eq!(
        (&any["subnet"]["cidr"], &any["subnet"]["gateway_ip"]),
        (&json!("2001:db8:3::/64"), &json!("2001:db8:3::1"))
    );

    let path = format!("/v2.0/subnetpools/{}", id(&v4));
    let used = server.delete(DEMO, &path).await.error();
    assert_eq!(used, "400 SubnetPoolDeleteError: Unable to delete subnet pool: Subnet pool has existing allocations.");
    for subnet in [&named, &small, &by_gateway] {
        server.delete(DEMO, &format!("/v2.0/subnets/{}", id(&subnet["subnet"]))).await.expect(204);
    }
    let again = cut(&server, DEMO, &v4, json!({"cidr": "10.11.2.128/25"})).await.expect(201);
    assert_eq!(again["subnet"]["cidr"], "10.11.2.128/25");
}

#[tokio::test]
async fn one_default_pool_for_each_version() {
    let server = Server::new();
    let network = server.create(DEMO, "network", json!({})).await;
    let subnet = json!({"subnet": {"network_id": id(&network), "ip_version": 4, "use_default_subnetpool": true}});
    let none = server.post(DEMO, "/v2.0/subnets", subnet.clone()).await.error();
    assert_eq!(none, "400 BadRequest: Bad subnets request: No default subnetpool found for IPv4.");
    let body =
        json!({"subnetpool": {"name": "p", "prefixes": ["10.0.0.0/8"], "is_default": true, "default_prefixlen": 24}});
    assert_eq!(server.post(DEMO, "/v2.0/subnetpools", body).await.status, 403);
    let members = json!({"is_default": true, "shared": true});
    let made = pool(&server, ADMIN, members.clone()).await;
    let second = json!({"subnetpool": {"name": "q", "prefixes": ["11.0.0.0/8"], "is_default": true}});
    assert_eq!(
        server.post(ADMIN, "/v2.0/subnetpools", second).await.error(),
        "400 InvalidInput: Invalid input for operation: A default subnetpool for this IP family has already been set. \
         Only one default may exist per IP family."
    );
    pool(&server, ADMIN, json!({"is_default": true, "prefixes": ["fd00::/48"], "min_prefixlen": 64})).await;
    let subnet = server.post(DEMO, "/v2.0/subnets", subnet).await.expect(201);
    assert_eq!(subnet["subnet"]["subnetpool_id"], made["id"]);
    assert!(subnet["subnet"].get("use_default_subnetpool").is_none());
}

#[tokio::test]
async fn prefixes_grow_and_unused_ones_can_be_taken_out() {
    let server = Server::new();
    let made = pool(&server, DEMO, json!({})).await;
    cut(&server, DEMO, &made, json!({})).await.expect(201);
    let path = format!("/v2.0/subnetpools/{}", id(&made));
    let shrink = server.put(DEMO, &path, json!({"subnetpool": {"prefixes": ["10.11.0.0/17"]}})).await.error();
    assert_eq!(
        shrink,
        "400 IllegalSubnetPoolPrefixUpdate: Illegal update to prefixes: Existing prefixes must be a subset of the new prefixes."
    );
    let grown = server.put(DEMO, &path, json!({"subnetpool": {"prefixes": ["10.10.0.0/15"]}})).await.expect(200);
    assert_eq!(grown["subnetpool"]["prefixes"], json!(["10.10.0.0/15"]));
    let add = format!("{path}/add_prefixes");
    let remove = format!("{path}/remove_prefixes");
    let added = server.put(DEMO, &add, json!({"prefixes": ["172.16.0.0/24"]})).await.expect(200);
    assert_eq!(added, json!({"prefixes": ["10.10.0.0/15", "172.16.0.0/24"]}));
    let used = server.put(DEMO, &remove, json!({"prefixes": ["10.11.0.0/25"]})).await.error();
    assert!(used.ends_with("One or more the prefixes to be removed is in use by a subnet.."), "{used}");
    let left = server.put(DEMO, &remove, json!({"prefixes": ["10.10.0.0/16"]})).await.expect(200);
    assert_eq!(left, json!({"prefixes": ["10.11.0.0/16", "172.16.0.0/24"]}));
    for body in [json!({}), json!({"prefixes": []}), json!({"prefixes": "10.0.0.0/8"}), json!({"prefixes": [1]})] {
        assert_eq!(server.put(DEMO, &add, body).await.status, 400);
    }
    assert_eq!(server.put(OTHER, &add, json!({"prefixes": ["172.17.0.0/24"]})).await.status, 404);
}

#[tokio::test]
async fn scopes_hold_pools_apart_and_networks_together() {
    let server = Server::new();
    let scope = server.create(DEMO, "address_scope", json!({"name": "s", "ip_version": 4})).await;
    let first = pool(&server, DEMO, json!({"address_scope_id": id(&scope)})).await;
    let overlapping = json!({"name": "q", "prefixes": ["10.0.0.0/8"], "address_scope_id": id(&scope)});
    assert_eq!(
        server.post(DEMO, "/v2.0/subnetpools", json!({ "subnetpool": overlapping })).await.error(),
        "409 AddressScopePrefixConflict: Failed to associate address scope: subnetpools within an address scope must have \
         unique prefixes."
    );
    let second = pool(&server, DEMO, json!({"prefixes": ["10.12.0.0/16"], "address_scope_id": id(&scope)})).await;
    let loose = pool(&server, DEMO, json!({"prefixes": ["10.13.0.0/16"]})).await;
    let subnet = cut(&server, DEMO, &first, json!({})).await.expect(201)["subnet"].clone();
    let network = format!("/v2.0/networks/{}", subnet["network_id"].as_str().unwrap());
    let shown = server.get(DEMO, &network).await.expect(200);
    assert_eq!(shown["network"]["ipv4_address_scope"], scope["id"]);
    assert_eq!(shown["network"]["ipv6_address_scope"], Value::Null);
    let same = json!({"network_id": subnet["network_id"]});
    cut(&server, DEMO, &second, same.clone()).await.expect(201);
    let foreign = cut(&server, DEMO, &loose, same).await.error();
    assert!(foreign.starts_with("400 NetworkAddressScopeAffinityError"), "{foreign}");
    // Leaving the scope would leave the network in two.
    let other = server.create(DEMO, "address_scope", json!({"ip_version": 4})).await;
    let path = format!("/v2.0/subnetpools/{}", id(&second));
    let moved = server.put(DEMO, &path, json!({"subnetpool": {"address_scope_id": id(&other)}})).await.error();
    assert!(moved.starts_with("400 NetworkAddressScopeAffinityError"), "{moved}");
    let six = server.create(DEMO, "address_scope", json!({"ip_version": 6})).await;
    let path = format!("/v2.0/subnetpools/{}", id(&loose));
    let wrong = server.put(DEMO, &path, json!({"subnetpool": {"address_scope_id": id(&six)}})).await.error();
    assert!(wrong.starts_with("400 IllegalSubnetPoolIpVersionAssociationToAddressScope"), "{wrong}");
    server.put(DEMO, &path, json!({"subnetpool": {"address_scope_id": id(&other)}})).await.expect(200);
    let used = server.delete(DEMO, &format!("/v2.0/address-scopes/{}", id(&other))).await.error();
    assert!(used.starts_with("409 AddressScopeInUse"), "{used}");
    server.put(DEMO, &path, json!({"subnetpool": {"address_scope_id": null}})).await.expect(200);
    server.delete(DEMO, &format!("/v2.0/address-scopes/{}", id(&other))).await.expect(204);
}

#[tokio::test]
async fn anothers_scope_is_not_there_and_a_shared_one_is_its_owners() {
    let server = Server::new();
    let hidden = server.create(ADMIN, "address_scope", json!({"ip_version": 4})).await;
    let body = json!({"subnetpool": {"name": "p", "prefixes": ["10.0.0.0/8"], "address_scope_id": id(&hidden)}});
    let refused = server.post(DEMO, "/v2.0/subnetpools", body).await.error();
    assert_eq!(refused, format!("404 AddressScopeNotFound: Address scope {} could not be found.", id(&hidden)));
    let path = format!("/v2.0/address-scopes/{}", id(&hidden));
    assert_eq!(server.get(DEMO, &path).await.status, 404);
    server.put(ADMIN, &path, json!({"address_scope": {"shared": true}})).await.expect(200);
    server.get(DEMO, &path).await.expect(200);
    assert_eq!(server.put(DEMO, &path, json!({"address_scope": {"name": "mine"}})).await.status, 403);
    let back = server.put(ADMIN, &path, json!({"address_scope": {"shared": false}})).await.error();
    assert!(back.ends_with("Shared address scope can't be unshared."), "{back}");
    let made = pool(&server, DEMO, json!({"address_scope_id": id(&hidden)})).await;
    let path = format!("/v2.0/subnetpools/{}", id(&made));
    let change = json!({"subnetpool": {"prefixes": ["10.11.0.0/16", "10.12.0.0/16"]}});
    let refused = server.put(DEMO, &path, change.clone()).await.error();
    assert!(refused.starts_with("400 IllegalSubnetPoolUpdate"), "{refused}");
    server.put(ADMIN, &path, change).await.expect(200);
}

#[tokio::test]
async fn pools_of_others_give_nothing_unless_shared() {
    let server = Server::new();
    let own = pool(&server, DEMO, json!({})).await;
    let refused = cut(&server, OTHER, &own, json!({})).await.error();
    assert_eq!(refused, format!("404 SubnetPoolNotFound: Subnet pool {} could not be found.", id(&own)));
    let shared = pool(&server, ADMIN, json!({"shared": true, "default_quota": 256})).await;
    cut(&server, DEMO, &shared, json!({})).await.expect(201);
    let over = cut(&server, DEMO, &shared, json!({"prefixlen": 32, "enable_dhcp": false})).await.error();
    assert_eq!(over, "409 SubnetPoolQuotaExceeded: Per-project subnet pool prefix quota exceeded.");
    cut(&server, OTHER, &shared, json!({})).await.expect(201);
}

#[tokio::test]
async fn a_networks_subnets_are_taken_on_board() {
    let server = Server::new();
    let made = pool(&server, DEMO, json!({"prefixes": ["10.20.0.0/16"]})).await;
    let network = server.create(DEMO, "network", json!({})).await;
    for (version, cidr) in [(4, "192.168.1.0/24"), (4, "192.168.2.0/24"), (6, "fd00::/64")] {
        let body = json!({"network_id": id(&network), "ip_version": version, "cidr": cidr});
        server.create(DEMO, "subnet", body).await;
    }
    let path = format!("/v2.0/subnetpools/{}/onboard_network_subnets", id(&made));
    let body = json!({"network_id": id(&network)});
    let taken = server.put(DEMO, &path, body.clone()).await.expect(200);
    assert_eq!(taken.as_array().unwrap().len(), 2);
    let of_pool = server.get(DEMO, &format!("/v2.0/subnets?subnetpool_id={}", id(&made))).await.expect(200);
    assert_eq!(of_pool["subnets"].as_array().unwrap().len(), 2);
    let shown = server.get(DEMO, &format!("/v2.0/subnetpools/{}", id(&made))).await.expect(200);
    assert_eq!(shown["subnetpool"]["prefixes"], json!(["10.20.0.0/16", "192.168.1.0/24", "192.168.2.0/24"]));
    let again = server.put(DEMO, &path, body).await.error();
    assert!(again.starts_with("400 IllegalSubnetPoolUpdate: Illegal subnetpool update : Onboarding subnet"), "{again}");
    let missing = server.put(DEMO, &path, json!({})).await.error();
    assert_eq!(missing, "400 InvalidInput: Invalid input for operation: network_id must be specified..");
    let shared = server.create(ADMIN, "network", json!({"shared": true})).await;
    assert_eq!(server.put(DEMO, &path, json!({"network_id": id(&shared)})).await.status, 403);
    let hidden = server.create(ADMIN, "network", json!({})).await;
    assert_eq!(server.put(DEMO, &path, json!({"network_id": id(&hidden)})).await.status, 404);
}

#[tokio::test]
async fn a_subnet_can_wait_for_a_delegated_prefix() {
    let server = Server::new();
    let network = server.create(DEMO, "network", json!({})).await;
    let subnet = |mode: &str| {
        json!({"subnet": {"network_id": id(&network), "ip_version": 6, "subnetpool_id": "prefix_delegation",
                          "ipv6_ra_mode": mode, "ipv6_address_mode": mode}})
    };
    let refused = server.post(DEMO, "/v2.0/subnets", subnet("dhcpv6-stateful")).await.error();
    assert!(refused.ends_with("IPv6 RA Mode must be SLAAC or Stateless for Prefix Delegation.."), "{refused}");
    let made = server.post(DEMO, "/v2.0/subnets", subnet("slaac")).await.expect(201);
    assert_eq!(made["subnet"]["cidr"], "::/64");
    assert_eq!(made["subnet"]["subnetpool_id"], "prefix_delegation");
}

#[tokio::test]
async fn entries_share_scopes_and_pools() {
    let server = Server::new();
    let entry = |kind: &str, object: &Value, target: &str| {
        json!({"rbac_policy": {"object_type": kind, "object_id": object["id"], "action": "access_as_shared",
                               "target_tenant": target}})
    };
    let other = crate::server::OTHER_PROJECT;
    let scope = server.create(DEMO, "address_scope", json!({"ip_version": 4})).await;
    let own = pool(&server, DEMO, json!({"address_scope_id": id(&scope)})).await;
    let refused = server.post(DEMO, "/v2.0/rbac-policies", entry("subnetpool", &own, other)).await.error();
    assert!(refused.starts_with("400 "), "{refused}");
    server.post(DEMO, "/v2.0/rbac-policies", entry("address_scope", &scope, other)).await.expect(201);
    let shared = server.post(DEMO, "/v2.0/rbac-policies", entry("subnetpool", &own, other)).await.expect(201);
    let seen = server.get(OTHER, &format!("/v2.0/subnetpools/{}", id(&own))).await.expect(200);
    assert_eq!(seen["subnetpool"]["shared"], true);
    let subnet = cut(&server, OTHER, &own, json!({})).await.expect(201);
    let path = format!("/v2.0/rbac-policies/{}", id(&shared["rbac_policy"]));
    assert_eq!(server.delete(DEMO, &path).await.status, 409, "a subnet depends on it");
    server.delete(OTHER, &format!("/v2.0/subnets/{}", id(&subnet["subnet"]))).await.expect(204);
    server.delete(DEMO, &path).await.expect(204);
    assert_eq!(server.get(OTHER, &format!("/v2.0/subnetpools/{}", id(&own))).await.status, 404);
}
