//! What administrators schedule by hand: routers to L3 agents, networks to DHCP agents.

use crate::routers::external;
use crate::server::{ADMIN, DEMO, Server, id};
use serde_json::{Value, json};

async fn agent(server: &Server, kind: &'static str, host: &'static str) -> String {
    let id = uuid::Uuid::new_v4();
    let insert = move |tx: &store::Tx<'_>| {
        tx.execute(
            "INSERT INTO agents (id, agent_type, \"binary\", topic, host, availability_zone, admin_state_up, description,
                 configurations, resources_synced, created_at, started_at, heartbeat_timestamp)
             VALUES (?1, ?2, 'b', 't', ?3, 'nova', 1, NULL, '{}', NULL, ?4, ?4, ?4)",
            store::params![id, kind, host, jiff::Timestamp::now()],
        )
    };
    server.store.write(insert).await.unwrap();
    id.to_string()
}

fn ids(list: &Value) -> Vec<&str> {
    let members = list.as_object().unwrap().values().next().unwrap();
    members.as_array().unwrap().iter().map(id).collect()
}

#[tokio::test]
async fn a_router_is_on_the_agents_that_it_is_given_to() {
    let server = Server::new();
    let (first, second) = (agent(&server, "L3 agent", "a").await, agent(&server, "L3 agent", "b").await);
    let dhcp = agent(&server, "DHCP agent", "a").await;
    let router = server.create(DEMO, "router", json!({})).await;
    let routers = |agent: &str| format!("/v2.0/agents/{agent}/l3-routers");
    let hosting = format!("/v2.0/routers/{}/l3-agents", id(&router));
    let body = json!({"router_id": id(&router)});

    assert_eq!(server.post(DEMO, &routers(&first), body.clone()).await.status, 404, "agents are the administrator's");
    let added = server.post(ADMIN, &routers(&first), body.clone()).await;
    assert_eq!((added.status, added.text.as_str()), (201, "null"));
    server.post(ADMIN, &routers(&first), body.clone()).await.expect(201);
    let agents = server.get(ADMIN, &hosting).await.expect(200);
    assert_eq!(ids(&agents), [&first]);
    assert_eq!(agents["agents"][0]["ha_state"], Value::Null);
    assert_eq!(
        server.post(ADMIN, &routers(&second), body.clone()).await.error(),
        format!(
            "409 RouterHostedByL3Agent: The router {} has been already hosted by the L3 Agent {first}.",
            id(&router)
        )
    );
    assert_eq!(
        server.post(ADMIN, &routers(&dhcp), body.clone()).await.error(),
        format!("404 InvalidL3Agent: Agent {dhcp} is not a L3 Agent or has been disabled")
    );
    let unknown = server.post(ADMIN, &routers(&first), json!({"router_id": dhcp})).await;
    assert!(unknown.error().starts_with("404 RouterNotFound: "));
    assert_eq!(server.post(ADMIN, &routers(&first), json!({})).await.status, 400);
    server.delete(ADMIN, &format!("{}/{}", routers(&first), id(&router))).await.expect(204);
    assert_eq!(server.get(ADMIN, &hosting).await.expect(200), json!({"agents": []}));
    server.post(ADMIN, &routers(&second), body).await.expect(201);
    assert_eq!(ids(&server.get(ADMIN, &routers(&second)).await.expect(200)), [id(&router)]);
}

#[tokio::test]
async fn a_highly_available_router_has_an_active_agent() {
    let server = Server::new();
    let (first, second) = (agent(&server, "L3 agent", "a").await, agent(&server, "L3 agent", "b").await);
    let outside = external(&server).await;
    let info = json!({"network_id": outside["network_id"]});
    let router = server.create(ADMIN, "router", json!({"ha": true, "external_gateway_info": info})).await;
    let body = json!({"router_id": id(&router)});
    for agent in [&first, &second] {
        server.post(ADMIN, &format!("/v2.0/agents/{agent}/l3-routers"), body.clone()).await.expect(201);
    }
    let hosting = format!("/v2.0/routers/{}/l3-agents", id(&router));
    let states = async || {
        let agents = server.get(ADMIN, &hosting).await.expect(200);
        let states = agents["agents"].as_array().unwrap().iter();
        states.map(|agent| (agent["host"].clone(), agent["ha_state"].clone())).collect::<Vec<_>>()
    };
    let expected = [(json!("a"), json!("active")), (json!("b"), json!("standby"))];
    let found = states().await;
    assert!(found.len() == 2 && expected.iter().all(|one| found.contains(one)), "{found:?}");
    let ports = format!("/v2.0/ports?device_id={}&device_owner=network:router_ha_interface", id(&router));
    let ports = server.get(ADMIN, &ports).await.expect(200);
    let hosts: Vec<&Value> = ports["ports"].as_array().unwrap().iter().map(|port| &port["binding:host_id"]).collect();
    assert!(hosts.len() == 2 && hosts.contains(&&json!("a")) && hosts.contains(&&json!("b")));
    let gateway = format!("/v2.0/ports?device_id={}&device_owner=network:router_gateway", id(&router));
    let host = async || server.get(ADMIN, &gateway).await.expect(200)["ports"][0]["binding:host_id"].clone();
    assert_eq!(host().await, "a");
    server.delete(ADMIN, &format!("/v2.0/agents/{first}/l3-routers/{}", id(&router))).await.expect(204);
    assert_eq!(states().await, [(json!("b"), json!("active"))]);
    assert_eq!(host().await, "b", "the ports follow");
}

#[tokio::test]
async fn a_network_is_served_by_the_agents_that_it_is_given_to() {
    let server = Server::new();
    let (dhcp, l3) = (agent(&server, "DHCP agent", "a").await, agent(&server, "L3 agent", "a").await);
    let network = server.create(DEMO, "network", json!({})).await;
    let networks = |agent: &str| format!("/v2.0/agents/{agent}/dhcp-networks");
    let body = json!({"network_id": id(&network)});
    server.post(ADMIN, &networks(&dhcp), body.clone()).await.expect(201);
    assert_eq!(ids(&server.get(ADMIN, &networks(&dhcp)).await.expect(200)), [id(&network)]);
    assert_eq!(
        server.post(ADMIN, &networks(&dhcp), body.clone()).await.error(),
        format!(
            "409 NetworkHostedByDHCPAgent: The network {} has been already hosted by the DHCP Agent {dhcp}.",
            id(&network)
        )
    );
    assert_eq!(
        server.post(ADMIN, &networks(&l3), body).await.error(),
        format!("404 InvalidDHCPAgent: Agent {l3} is not a valid DHCP Agent or has been disabled.")
    );
    let item = format!("{}/{}", networks(&dhcp), id(&network));
    server.delete(ADMIN, &item).await.expect(204);
    assert_eq!(
        server.delete(ADMIN, &item).await.error(),
        format!(
            "409 NetworkNotHostedByDhcpAgent: The network {} is not hosted by the DHCP agent {dhcp}.",
            id(&network)
        )
    );
    assert_eq!(server.get(ADMIN, &networks(&dhcp)).await.expect(200), json!({"networks": []}));
}

#[tokio::test]
async fn pools_of_floating_ips_are_everybodys() {
    let server = Server::new();
    let outside = external(&server).await;
    for token in [DEMO, ADMIN] {
        let pools = server.get(token, "/v2.0/floatingip_pools").await.expect(200);
        let pool = &pools["floatingip_pools"][0];
        assert_eq!((&pool["subnet_id"], &pool["cidr"]), (&outside["id"], &json!("203.0.113.0/24")));
        assert_eq!(pool["network_id"], outside["network_id"]);
    }
    let pools = server.get(DEMO, "/v2.0/floatingip_pools").await.expect(200);
    assert_eq!(pools["floatingip_pools"][0]["project_id"], crate::server::DEMO_PROJECT);
}
