//! What Neutron does with its Open vSwitch driver: instances' own VLAN tags are not carried, and nobody is told otherwise.

use crate::server::{ADMIN, Server};
use serde_json::json;

#[tokio::test]
async fn vlan_transparency_and_qinq_are_neither_announced_nor_taken() {
    let server = Server::new();
    let extensions = server.get(ADMIN, "/v2.0/extensions").await.expect(200);
    let announced = |alias: &str| extensions["extensions"].as_array().unwrap().iter().any(|one| one["alias"] == alias);
    assert!(announced("provider") && !announced("vlan-transparent") && !announced("qinq"));
    for attribute in ["vlan_transparent", "qinq"] {
        let refused = server.post(ADMIN, "/v2.0/networks", json!({"network": { attribute: true }})).await.error();
        assert_eq!(refused, format!("400 HTTPBadRequest: Unrecognized attribute(s) '{attribute}'"));
    }
    let network = server.create(ADMIN, "network", json!({})).await;
    assert!(network.get("vlan_transparent").is_none() && network.get("qinq").is_none());
}
