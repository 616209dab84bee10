//! Network segment ranges as administrators see them, and what networks take from them.

use crate::server::{ADMIN, DEMO, DEMO_PROJECT, Server, id};
use serde_json::{Value, json};

async fn range(server: &Server, members: Value) -> Value {
    let mut body = json!({"name": "r", "network_type": "vxlan", "minimum": 2000, "maximum": 2002, "shared": false,
                          "project_id": DEMO_PROJECT});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    server.create(ADMIN, "network_segment_range", body).await
}

async fn vni(server: &Server, token: &str) -> u64 {
    let network = server.create(token, "network", json!({})).await;
    let shown = server.get(ADMIN, &format!("/v2.0/networks/{}", id(&network))).await.expect(200);
    shown["network"]["provider:segmentation_id"].as_u64().unwrap()
}

#[tokio::test]
async fn the_configurations_ranges_are_there_and_stay() {
    let server = Server::new();
    let list = server.get(ADMIN, "/v2.0/network-segment-ranges?network_type=vlan").await.expect(200);
    let default = list["network_segment_ranges"][0].clone();
    assert_eq!(default["name"], serde_json::Value::Null);
    assert_eq!((&default["default"], &default["shared"]), (&json!(true), &json!(true)));
    assert_eq!((&default["minimum"], &default["maximum"]), (&json!(100), &json!(199)));
    assert_eq!((&default["physical_network"], &default["project_id"]), (&json!("physnet1"), &Value::Null));
    let path = format!("/v2.0/network-segment-ranges/{}", id(&default));
    let kept = server.delete(ADMIN, &path).await.error();
    assert!(kept.starts_with("400 NetworkSegmentRangeDefaultReadOnly"), "{kept}");
    assert_eq!(server.get(DEMO, &path).await.status, 404);
}

#[tokio::test]
async fn a_project_takes_from_its_own_range_first_and_others_do_not() {
    let server = Server::new();
    let own = range(&server, json!({})).await;
    assert_eq!(own["available"], json!([2000, 2001, 2002]));
    let mut taken = Vec::new();
    for _ in 0..3 {
        taken.push(vni(&server, DEMO).await);
    }
    taken.sort_unstable();
    assert_eq!(taken, [2000, 2001, 2002]);
    assert!(vni(&server, DEMO).await <= 1000, "its own are used up");
    assert!(vni(&server, ADMIN).await <= 1000);
    let path = format!("/v2.0/network-segment-ranges/{}", id(&own));
    let shown = server.get(ADMIN, &path).await.expect(200)["network_segment_range"].clone();
    assert_eq!((&shown["available"], &shown["used"]["2001"]), (&json!([]), &json!(DEMO_PROJECT)));
    let narrower = server.put(ADMIN, &path, json!({"network_segment_range": {"minimum": 2001}})).await.error();
    assert!(narrower.starts_with("409 NetworkSegmentRangeReferencedByProject"), "{narrower}");
    let wider = json!({"network_segment_range": {"minimum": 1950, "maximum": 2050, "name": "n"}});
    let wider = server.put(ADMIN, &path, wider).await.expect(200)["network_segment_range"].clone();
    assert_eq!((&wider["minimum"], &wider["maximum"]), (&json!(1950), &json!(2050)));
    let used = server.delete(ADMIN, &path).await.error();
    assert!(used.starts_with("409 NetworkSegmentRangeReferencedByProject"), "{used}");
    let body = json!({"network_segment_range": {"network_type": "vxlan", "minimum": 2050, "maximum": 2060}});
    let overlapping = server.post(ADMIN, "/v2.0/network-segment-ranges", body).await.error();
    assert!(overlapping.starts_with("409 NetworkSegmentRangeOverlaps"), "{overlapping}");
}

#[tokio::test]
async fn shared_ranges_are_everybodys() {
    let server = Server::new();
    let vlans = json!({"shared": true, "network_type": "vlan", "physical_network": "new", "minimum": 7, "maximum": 7});
    let made = range(&server, vlans).await;
    assert_eq!(made["project_id"], Value::Null);
    let network = json!({"provider:network_type": "vlan", "provider:physical_network": "new"});
    let network = server.create(ADMIN, "network", network).await;
    assert_eq!(network["provider:segmentation_id"], 7);
    let nameless = json!({"network_segment_range": {"network_type": "vlan", "minimum": 1, "maximum": 2}});
    assert_eq!(server.post(ADMIN, "/v2.0/network-segment-ranges", nameless).await.status, 400);
    let backwards = json!({"network_segment_range": {"network_type": "gre", "minimum": 9, "maximum": 2}});
    assert_eq!(server.post(ADMIN, "/v2.0/network-segment-ranges", backwards).await.status, 400);
}
