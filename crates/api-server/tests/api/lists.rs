//! Filters, sorting, pages, fields.

use crate::server::{ADMIN, DEMO, OTHER, Server, id};
use serde_json::{Value, json};

fn names(list: &Value, collection: &str) -> Vec<String> {
    list[collection].as_array().unwrap().iter().map(|o| o["name"].as_str().unwrap().to_owned()).collect()
}

async fn networks(server: &Server, count: usize) {
    let bodies: Vec<Value> =
        (0..count).map(|i| json!({"name": format!("n{i}"), "admin_state_up": i % 2 == 0})).collect();
    server.post(DEMO, "/v2.0/networks", json!({"networks": bodies})).await.expect(201);
}

#[tokio::test]
async fn pages_lead_through_the_whole_list_and_back() {
    let server = Server::new();
    networks(&server, 7).await;
    let mut path = "/v2.0/networks?limit=3&sort_key=admin_state_up&sort_dir=desc&sort_key=name&sort_dir=asc".to_owned();
    let mut seen = Vec::new();
    let mut pages = Vec::new();
    loop {
        let page = server.get(DEMO, &path).await.expect(200);
        seen.extend(names(&page, "networks"));
        let link = |rel: &str| {
            let links = page["networks_links"].as_array().unwrap();
            links.iter().find(|l| l["rel"] == rel).map(|l| l["href"].as_str().unwrap().to_owned())
        };
        pages.push((names(&page, "networks"), link("previous")));
        match link("next") {
            Some(href) => path = href.strip_prefix("http://net.example:9696").unwrap().to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, ["n0", "n2", "n4", "n6", "n1", "n3", "n5"]);
    let (_, previous) = pages.pop().unwrap();
    let back = previous.unwrap();
    let page = server.get(DEMO, back.strip_prefix("http://net.example:9696").unwrap()).await.expect(200);
    assert_eq!(names(&page, "networks"), ["n6", "n1", "n3"]);
    let plain = server.get(DEMO, "/v2.0/networks").await.expect(200);
    assert!(plain.get("networks_links").is_none());
}

#[tokio::test]
async fn sorting_and_limits_are_checked() {
    let server = Server::new();
    let get = async |query: &str| server.get(DEMO, &format!("/v2.0/networks?{query}")).await.error();
    assert_eq!(get("sort_key=name").await, "400 HTTPBadRequest: The number of sort_keys and sort_dirs must be same");
    assert_eq!(
        get("sort_key=subnets&sort_dir=asc").await,
        "400 HTTPBadRequest: ['subnets'] is invalid attribute for sort_keys"
    );
    assert_eq!(
        get("sort_key=name&sort_dir=up").await,
        "400 HTTPBadRequest: ['up'] is invalid value for sort_dirs, valid value is 'asc' and 'desc'"
    );
    assert_eq!(
        get("limit=-1").await,
        "400 BadRequest: Bad limit request: Limit must be an integer 0 or greater and not '-1'."
    );
    let marker = "0c1d2e3f-0000-4000-8000-000000000000";
    assert_eq!(
        get(&format!("limit=1&marker={marker}")).await,
        format!("404 NetworkNotFound: Network {marker} could not be found.")
    );
}

#[tokio::test]
async fn filters_are_typed_and_many_valued() {
    let server = Server::new();
    networks(&server, 4).await;
    let get = async |query: &str| {
        let list = server.get(DEMO, &format!("/v2.0/networks?sort_key=name&sort_dir=asc&{query}")).await.expect(200);
        names(&list, "networks")
    };
    assert_eq!(get("name=n1&name=n3").await, ["n1", "n3"]);
    assert_eq!(get("admin_state_up=False").await, ["n1", "n3"]);
    assert_eq!(get("admin_state_up=1&name=n2").await, ["n2"]);
    assert_eq!(get("id=not-an-id").await, Vec::<String>::new());
    assert_eq!(get("name=").await, Vec::<String>::new());
    assert_eq!(get("changed_since=2020-01-01T00:00:00").await.len(), 4);
    assert_eq!(get("changed_since=2220-01-01T00:00:00Z").await.len(), 0);
    assert_eq!(
        server.get(DEMO, "/v2.0/networks?colour=red&tone=high").await.error(),
        "400 HTTPBadRequest: ['colour', 'tone'] is invalid attribute for filtering"
    );
    assert_eq!(
        server.get(DEMO, "/v2.0/networks?shared=maybe").await.error(),
        "400 InvalidInput: Invalid input for operation: 'maybe' cannot be converted to boolean."
    );
}

#[tokio::test]
async fn ports_are_found_by_address_subnet_and_group() {
    let server = Server::new();
    let network = server.create(DEMO, "network", json!({})).await;
    let subnet = json!({"network_id": id(&network), "ip_version": 4, "cidr": "10.0.0.0/24"});
    let subnet = server.create(DEMO, "subnet", subnet).await;
    for last in [5, 6, 50] {
        let port = json!({"network_id": id(&network), "name": format!("p{last}"),
                          "fixed_ips": [{"ip_address": format!("10.0.0.{last}")}]});
        server.create(DEMO, "port", port).await;
    }
    let bare = server.create(DEMO, "port", json!({"network_id": id(&network), "name": "bare", "fixed_ips": []})).await;
    assert_eq!(bare["fixed_ips"], json!([]));
    assert_eq!(bare["security_groups"].as_array().unwrap().len(), 1, "protected like any other");
    let get = async |query: &str| {
        let list = server.get(DEMO, &format!("/v2.0/ports?sort_key=name&sort_dir=asc&{query}")).await.expect(200);
        names(&list, "ports")
    };
    assert_eq!(get("fixed_ips=ip_address%3D10.0.0.5").await, ["p5"]);
    assert_eq!(get("fixed_ips=ip_address=10.0.0.5&fixed_ips=ip_address=10.0.0.6").await, ["p5", "p6"]);
    let both = format!("fixed_ips=subnet_id={}&fixed_ips=ip_address=10.0.0.6", id(&subnet));
    assert_eq!(get(&both).await, ["p6"]);
    assert_eq!(get("fixed_ips=ip_address_substr=0.5").await, ["p5", "p50"]);
    let group = &server.get(DEMO, "/v2.0/ports?name=p5").await.expect(200)["ports"][0]["security_groups"][0];
    assert_eq!(get(&format!("security_groups={}", group.as_str().unwrap())).await.len(), 4);
    assert_eq!(
        server.get(DEMO, "/v2.0/ports?fixed_ips=10.0.0.5").await.error(),
        "400 InvalidInput: Invalid input for operation: '10.0.0.5' is not of the form <key>=[value]."
    );
    let fields = server.get(DEMO, "/v2.0/ports?name=p5&fields=name&fields=tenant_id&fields=none").await.expect(200);
    assert_eq!(fields["ports"], json!([{"name": "p5", "tenant_id": "1".repeat(32)}]));
}

#[tokio::test]
async fn too_many_filters_are_a_bad_request() {
    let server = Server::new();
    let many = vec!["t"; 2000].join(",");
    assert_eq!(
        server.get(DEMO, &format!("/v2.0/networks?tags={many}")).await.error(),
        "400 HTTPBadRequest: Too many filters"
    );
    let many = vec!["id=x"; 2000].join("&");
    assert_eq!(
        server.get(DEMO, &format!("/v2.0/networks?{many}")).await.error(),
        "400 HTTPBadRequest: Too many filters"
    );
}

#[tokio::test]
async fn agents_are_an_administrators() {
    let server = Server::new();
    crate::server::add_l2_agent(&server, "compute1", json!({"tunnel_types": []})).await;
    let list = server.get(ADMIN, "/v2.0/agents?alive=true&sort_key=host&sort_dir=asc&limit=1").await.expect(200);
    let agent = &list["agents"][0];
    assert_eq!((&agent["alive"], &agent["host"]), (&json!(true), &json!("compute1")));
    assert_eq!(server.get(ADMIN, "/v2.0/agents?alive=false").await.expect(200), json!({"agents": []}));
    // As a Neutron on MySQL does, for clients write the type as they like.
    let of_type = server.get(ADMIN, "/v2.0/agents?agent_type=OPEN%20vSwitch%20Agent").await.expect(200);
    assert!(!of_type["agents"].as_array().unwrap().is_empty(), "{of_type}");
    let next = format!("/v2.0/agents?limit=1&sort_key=alive&sort_dir=desc&marker={}", id(agent));
    assert_eq!(server.get(ADMIN, &next).await.expect(200)["agents"], json!([]));
    assert_eq!(server.get(OTHER, "/v2.0/agents").await.expect(200), json!({"agents": []}));
    let path = format!("/v2.0/agents/{}", id(agent));
    let off = server.put(ADMIN, &path, json!({"agent": {"admin_state_up": false}})).await.expect(200);
    assert_eq!(off["agent"]["admin_state_up"], false);
    server.delete(ADMIN, &path).await.expect(204);
    assert_eq!(server.get(ADMIN, &path).await.status, 404);
}

#[tokio::test]
async fn versions_and_extensions_answer() {
    let server = Server::new();
    let versions = server.raw("GET", "/", None, Vec::new()).await.expect(200);
    assert_eq!(versions["versions"][0]["links"][0]["href"], "http://net.example:9696/v2.0/");
    let extensions = server.get(DEMO, "/v2.0/extensions").await.expect(200);
    assert!(extensions["extensions"].as_array().unwrap().iter().any(|e| e["alias"] == "external-net"));
    assert_eq!(server.get(DEMO, "/v2.0/extensions/provider").await.expect(200)["extension"]["alias"], "provider");
    assert_eq!(server.get(DEMO, "/v2.0/extensions/none").await.status, 404);
}

#[tokio::test]
async fn tags_are_put_on_and_found_by() {
    let server = Server::new();
    networks(&server, 3).await;
    let list = server.get(DEMO, "/v2.0/networks?sort_key=name&sort_dir=asc").await.expect(200);
    let tags: Vec<String> =
        list["networks"].as_array().unwrap().iter().map(|n| format!("/v2.0/networks/{}/tags", id(n))).collect();
    let set = server.put(DEMO, &tags[0], json!({"tags": ["red", "blue"]})).await.expect(200);
    assert_eq!(set, json!({"tags": ["blue", "red"]}));
    assert_eq!(server.put(DEMO, &format!("{}/red", tags[1]), Value::Null).await.status, 201);
    assert_eq!(
        server.post(DEMO, &tags[1], json!({"tags": ["green"]})).await.expect(201)["tags"],
        json!(["green", "red"])
    );
    let get = async |query: &str| {
        let list = server.get(DEMO, &format!("/v2.0/networks?sort_key=name&sort_dir=asc&{query}")).await.expect(200);
        names(&list, "networks")
    };
    assert_eq!(get("tags=red").await, ["n0", "n1"]);
    assert_eq!(get("tags=red,blue").await, ["n0"]);
    assert_eq!(get("tags-any=green,blue").await, ["n0", "n1"]);
    assert_eq!(get("not-tags=red").await, ["n2"]);
    assert_eq!(get("not-tags-any=green,blue").await, ["n2"]);
    assert_eq!(server.get(DEMO, &format!("{}/red", tags[0])).await.status, 204);
    server.delete(DEMO, &format!("{}/red", tags[0])).await.expect(204);
    assert_eq!(
        server.get(DEMO, &format!("{}/red", tags[0])).await.error(),
        "404 TagNotFound: Tag red could not be found."
    );
    server.delete(DEMO, &tags[0]).await.expect(204);
    assert_eq!(server.get(DEMO, &tags[0]).await.expect(200), json!({"tags": []}));
    assert_eq!(server.get(OTHER, &tags[0]).await.status, 404);
    assert_eq!(server.put(OTHER, &tags[0], json!({"tags": []})).await.status, 404);
    assert_eq!(server.put(crate::server::READER, &tags[0], json!({"tags": []})).await.status, 403);
    assert_eq!(
        server.put(DEMO, &tags[0], json!({"tags": "red"})).await.error(),
        "400 InvalidInput: Invalid input for operation: 'red' is not a list."
    );
    let many: Vec<String> = (0..51).map(|i| i.to_string()).collect();
    assert_eq!(
        server.put(DEMO, &tags[0], json!({"tags": many})).await.error(),
        "400 BadRequest: Bad networks request: The number of tags exceed the per-resource limit of 50."
    );
}

#[tokio::test]
async fn operators_see_what_is_scheduled_where() {
    let server = Server::new();
    networks(&server, 2).await;
    crate::server::add_l2_agent(&server, "network1", json!({})).await;
    let agents = server.get(ADMIN, "/v2.0/agents").await.expect(200);
    let agent = id(&agents["agents"][0]).to_owned();
    let list = server.get(DEMO, "/v2.0/networks?name=n1").await.expect(200);
    let network = id(&list["networks"][0]).to_owned();
    let row = (network.clone(), agent.clone());
    let bind = move |tx: &store::Tx<'_>| {
        let sql = "INSERT INTO dhcp_agent_networks (network_id, agent_id) VALUES (?1, ?2)";
        tx.execute(sql, store::params![&row.0, &row.1])
    };
    server.store.write(bind).await.unwrap();
    let hosting = format!("/v2.0/networks/{network}/dhcp-agents");
    assert_eq!(server.get(ADMIN, &hosting).await.expect(200)["agents"][0]["host"], "network1");
    assert_eq!(
        names(&server.get(ADMIN, &format!("/v2.0/agents/{agent}/dhcp-networks")).await.expect(200), "networks"),
        ["n1"]
    );
    assert_eq!(
        server.get(ADMIN, &format!("/v2.0/agents/{agent}/l3-routers")).await.expect(200),
        json!({"routers": []})
    );
    assert_eq!(server.get(DEMO, &hosting).await.status, 403);
    assert_eq!(server.get(OTHER, &hosting).await.status, 404);
    assert_eq!(server.delete(ADMIN, &hosting).await.status, 405);
}
