//! Segments, routed networks and subnets for some devices only, as clients see them.

use crate::server::{ADMIN, DEMO, Server, add_l2_agent, id};
use serde_json::{Value, json};

/// A network with one VLAN segment on each of two physical networks, a subnet on each, and a host at each.
struct Routed {
    server: Server,
    network: Value,
    segments: Vec<Value>,
    subnets: Vec<Value>,
}

fn options() -> network_store::NetworkOptions {
    let mut options = crate::server::options();
    options.ml2.network_vlan_ranges = vec!["left:100:199".into(), "right:100:199".into()];
    options
}

async fn routed() -> Routed {
    let server = Server::with(&options());
    for (host, name) in [("host-left", "left"), ("host-right", "right")] {
        add_l2_agent(&server, host, json!({"bridge_mappings": {name: "br-ex"}})).await;
    }
    let provider = json!({"shared": true, "provider:network_type": "vlan", "provider:physical_network": "left",
                          "provider:segmentation_id": 150});
    let network = server.create(ADMIN, "network", provider).await;
    let path = format!("/v2.0/segments?network_id={}", id(&network));
    let first = server.get(ADMIN, &path).await.expect(200)["segments"][0].clone();
    let second = json!({"network_id": id(&network), "network_type": "vlan", "physical_network": "right", "name": "r"});
    let second = server.create(ADMIN, "segment", second).await;
    let mut subnets = Vec::new();
    for (segment, cidr) in [(&first, "10.0.1.0/24"), (&second, "10.0.2.0/24")] {
        let subnet = json!({"network_id": id(&network), "ip_version": 4, "cidr": cidr, "segment_id": id(segment)});
        subnets.push(server.create(ADMIN, "subnet", subnet).await);
    }
    Routed { server, network, segments: vec![first, second], subnets }
}

#[tokio::test]
async fn a_network_shows_one_segment_or_all_of_them() {
    let routed = routed().await;
    let server = &routed.server;
    let path = format!("/v2.0/networks/{}", id(&routed.network));
    let shown = server.get(ADMIN, &path).await.expect(200)["network"].clone();
    assert_eq!((&shown["provider:network_type"], &shown["l2_adjacency"]), (&Value::Null, &json!(false)));
    assert_eq!(shown["segments"].as_array().unwrap().len(), 2);
    assert_eq!(shown["segments"][0]["provider:segmentation_id"], 150);
    assert_eq!((&routed.network["segments"], &routed.network["l2_adjacency"]), (&Value::Null, &json!(true)));
    let of_project = server.get(DEMO, &path).await.expect(200);
    assert!(of_project["network"].get("segments").is_none());
    let change = json!({"network": {"provider:segmentation_id": 151}});
    assert_eq!(server.put(ADMIN, &path, change).await.status, 400);

    let segment = format!("/v2.0/segments/{}", id(&routed.segments[1]));
    assert_eq!(server.get(DEMO, &segment).await.status, 404);
    let renamed =
        server.put(ADMIN, &segment, json!({"segment": {"name": "new", "description": "d"}})).await.expect(200);
    assert_eq!((&renamed["segment"]["name"], &renamed["segment"]["description"]), (&json!("new"), &json!("d")));
    let used = server.delete(ADMIN, &segment).await.error();
    assert!(used.contains("The segment is still associated with subnet(s)"), "{used}");
    server.delete(ADMIN, &format!("/v2.0/subnets/{}", id(&routed.subnets[1]))).await.expect(204);
    server.delete(ADMIN, &segment).await.expect(204);
    let shown = server.get(ADMIN, &path).await.expect(200)["network"].clone();
    assert_eq!((&shown["segments"], &shown["provider:segmentation_id"]), (&Value::Null, &json!(150)));
}

#[tokio::test]
async fn addresses_are_of_the_segment_of_the_ports_host() {
    let routed = routed().await;
    let server = &routed.server;
    let port = |members: Value| {
        let mut body = json!({"network_id": id(&routed.network)});
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        server.post(ADMIN, "/v2.0/ports", json!({ "port": body }))
    };
    let bound = port(json!({"binding:host_id": "host-right"})).await.expect(201)["port"].clone();
    assert_eq!(bound["fixed_ips"][0]["subnet_id"], routed.subnets[1]["id"]);
    assert_eq!((&bound["binding:vif_type"], &bound["ip_allocation"]), (&json!("ovs"), &json!("immediate")));
    let waits = port(json!({})).await.expect(201)["port"].clone();
    assert_eq!((&waits["fixed_ips"], &waits["ip_allocation"]), (&json!([]), &json!("deferred")));
    let path = format!("/v2.0/ports/{}", id(&waits));
    let placed = server.put(ADMIN, &path, json!({"port": {"binding:host_id": "host-left"}})).await.expect(200);
    assert_eq!(placed["port"]["fixed_ips"][0]["subnet_id"], routed.subnets[0]["id"]);
    let moved = server.put(ADMIN, &path, json!({"port": {"binding:host_id": "host-right"}})).await.error();
    assert!(moved.starts_with("409 HostNotCompatibleWithFixedIps"), "{moved}");
    let nowhere = port(json!({"binding:host_id": "elsewhere"})).await.error();
    assert!(nowhere.starts_with("409 HostNotConnectedToAnySegment"), "{nowhere}");
    let without = port(json!({"fixed_ips": []})).await.expect(201);
    assert_eq!(without["port"]["ip_allocation"], "none");
    let segment = format!("/v2.0/segments/{}", id(&routed.segments[1]));
    server.delete(ADMIN, &segment).await.expect(409);
}

#[tokio::test]
async fn hosts_of_a_segment_learn_the_way_to_the_others() {
    let routed = routed().await;
    let server = &routed.server;
    let routes = async |index: usize| {
        let path = format!("/v2.0/subnets/{}", id(&routed.subnets[index]));
        server.get(ADMIN, &path).await.expect(200)["subnet"]["host_routes"].clone()
    };
    assert_eq!(routes(0).await, json!([{"destination": "10.0.2.0/24", "nexthop": "10.0.1.1"}]));
    assert_eq!(routes(1).await, json!([{"destination": "10.0.1.0/24", "nexthop": "10.0.2.1"}]));
    let path = format!("/v2.0/subnets/{}", id(&routed.subnets[0]));
    server.put(ADMIN, &path, json!({"subnet": {"gateway_ip": "10.0.1.254", "allocation_pools": []}})).await.expect(200);
    assert_eq!(routes(0).await[0]["nexthop"], "10.0.1.254");
    server.delete(ADMIN, &path).await.expect(204);
    assert_eq!(routes(1).await, json!([]));
}

#[tokio::test]
async fn subnets_are_all_on_segments_or_none() {
    let server = Server::with(&options());
    let network = server.create(ADMIN, "network", json!({})).await;
    let path = format!("/v2.0/segments?network_id={}", id(&network));
    let segment = server.get(ADMIN, &path).await.expect(200)["segments"][0].clone();
    let subnet = |cidr: &str, segment: Value| json!({"subnet": {"network_id": id(&network), "ip_version": 4, "cidr": cidr, "segment_id": segment}});
    let plain = server.post(ADMIN, "/v2.0/subnets", subnet("10.0.1.0/24", Value::Null)).await.expect(201);
    let mixed = server.post(ADMIN, "/v2.0/subnets", subnet("10.0.2.0/24", segment["id"].clone())).await.error();
    assert!(mixed.starts_with("400 SubnetsNotAllAssociatedWithSegments"), "{mixed}");
    let unknown = json!("0c1d2e3f-0000-4000-8000-000000000000");
    let unknown = server.post(ADMIN, "/v2.0/subnets", subnet("10.0.2.0/24", unknown)).await.error();
    assert!(unknown.starts_with("404 SegmentNotFound"), "{unknown}");
    let path = format!("/v2.0/subnets/{}", id(&plain["subnet"]));
    let change = json!({"subnet": {"segment_id": segment["id"]}});
    assert_eq!(server.put(ADMIN, &path, change.clone()).await.expect(200)["subnet"]["segment_id"], segment["id"]);
    let back = server.put(ADMIN, &path, json!({"subnet": {"segment_id": null}})).await.error();
    assert!(back.starts_with("400 SubnetSegmentAssociationChangeNotAllowed"), "{back}");
}

#[tokio::test]
async fn a_network_is_made_of_several_segments() {
    let server = Server::with(&options());
    let vlan = |name: &str| json!({"provider:network_type": "vlan", "provider:physical_network": name});
    let network = json!({"segments": [vlan("left"), vlan("left"), {"provider:network_type": "vxlan"}]});
    let network = server.create(ADMIN, "network", network).await;
    assert_eq!(network["segments"].as_array().unwrap().len(), 3);
    assert_ne!(network["segments"][0]["provider:segmentation_id"], network["segments"][1]["provider:segmentation_id"]);
    assert_eq!(network["mtu"], 1450, "the smallest of all");
    // Not where the first two have numbers out of a hat.
    let mut full = vlan("right");
    full["provider:segmentation_id"] = json!(120);
    let twice = json!({"network": {"segments": [full, full]}});
    let twice = server.post(ADMIN, "/v2.0/networks", twice).await.error();
    assert_eq!(twice, "400 SegmentsContainDuplicateEntry: Duplicate segment entry in request.");
    let both = json!({"network": {"segments": [full], "provider:network_type": "vxlan"}});
    let both = server.post(ADMIN, "/v2.0/networks", both).await.error();
    assert_eq!(both, "400 SegmentsSetInConjunctionWithProviders: Segments and provider values cannot both be set.");
    let one = server.create(ADMIN, "network", json!({"segments": [full]})).await;
    assert_eq!((&one["segments"], &one["provider:segmentation_id"]), (&Value::Null, &json!(120)));
    let forbidden = server.post(DEMO, "/v2.0/networks", json!({"network": {"segments": [full]}})).await;
    assert_eq!(forbidden.status, 403);
    add_l2_agent(&server, "h", json!({"tunnel_types": ["vxlan"]})).await;
    let port = json!({"network_id": id(&network), "binding:host_id": "h"});
    assert_eq!(server.create(ADMIN, "port", port).await["binding:vif_type"], "ovs", "by the segment that it reaches");
}

#[tokio::test]
async fn some_subnets_are_for_some_devices() {
    let server = Server::new();
    let network = server.create(ADMIN, "network", json!({"shared": true})).await;
    let subnet = |cidr: &str, types: Value| json!({"network_id": id(&network), "ip_version": 4, "cidr": cidr, "service_types": types});
    let instances = server.create(ADMIN, "subnet", subnet("10.0.1.0/24", json!(["compute:nova"]))).await;
    assert_eq!(instances["service_types"], json!(["compute:nova"]));
    let port = |owner: &str| json!({"port": {"network_id": id(&network), "device_owner": owner}});
    let none = server.post(ADMIN, "/v2.0/ports", port("network:floatingip")).await.error();
    assert!(none.starts_with("409 IpAddressGenerationFailureNoMatchingSubnet: No valid service subnet"), "{none}");
    let any = server.create(ADMIN, "subnet", subnet("10.0.2.0/24", json!([]))).await;
    for (owner, of) in [("compute:nova", &instances), ("network:floatingip", &any), ("", &any)] {
        let made = server.post(ADMIN, "/v2.0/ports", port(owner)).await.expect(201);
        assert_eq!(made["port"]["fixed_ips"][0]["subnet_id"], of["id"], "{owner}");
    }
    let path = format!("/v2.0/subnets/{}", id(&any));
    let changed = server.put(ADMIN, &path, json!({"subnet": {"service_types": ["network:dhcp"]}})).await.expect(200);
    assert_eq!(changed["subnet"]["service_types"], json!(["network:dhcp"]));
    let wrong = server.put(ADMIN, &path, json!({"subnet": {"service_types": ["bad"]}})).await.error();
    assert!(wrong.starts_with("400 InvalidSubnetServiceType"), "{wrong}");
    // A member says it too: Neutron's rule create_subnet:service_types belongs to an attribute that policy is not asked for.
    let own = server.create(DEMO, "network", json!({})).await;
    let own =
        json!({"network_id": id(&own), "ip_version": 4, "cidr": "10.0.9.0/24", "service_types": ["compute:nova"]});
    assert_eq!(server.create(DEMO, "subnet", own).await["service_types"], json!(["compute:nova"]));
    // The subnet of a shared network is seen by all, and changed by its own project alone.
    server.put(DEMO, &path, json!({"subnet": {"service_types": []}})).await.expect(403);
}
