//! Walks every route of every declaration: what must hold for all resources alike.

use crate::samples;
use crate::server::{ADMIN, DEMO, OTHER, Server, id};
use api_schema::{Attribute, JsonType, Literal, Post, Resource, Stored, Visible};
use api_server::registry;
use serde_json::{Map, Value, json};

const NOBODY: &str = "0c1d2e3f-0000-4000-8000-000000000000";

/// Every declaration, and its path in which nobody's objects stand for those that it is inside.
fn collections() -> impl Iterator<Item = (&'static Resource, String)> {
    registry::all().map(|rules| (rules.resource, path_in(rules.resource, NOBODY)))
}

fn path_in(resource: &Resource, parent: &str) -> String {
    let path = format!("/v2.0/{}", resource.path());
    match &resource.inside {
        Some(inside) => path.replace(&format!("{{{}}}", inside.attribute), parent),
        None => path,
    }
}

/// The path of a collection, in an object that is made for it if it is inside one.
async fn made(server: &Server, token: &str, resource: &Resource) -> String {
    match &resource.inside {
        Some(inside) => {
            let sample = samples::around(server, token, resource).await;
            path_in(resource, id(&server.create(token, inside.name, sample).await))
        }
        None => path_in(resource, NOBODY),
    }
}

/// What a POST has answered, without what is shown of new objects only.
fn lasting(resource: &Resource, mut object: Value) -> Value {
    for attribute in resource.attributes {
        if let Visible::With(other) = attribute.visible
            && object[other] != true
        {
            object.as_object_mut().unwrap().remove(attribute.name);
        }
        if let Stored::Nested(nested) = attribute.stored {
            let part = api_schema::resources::find(nested.resource).unwrap();
            for new in part.attributes.iter().filter(|attribute| attribute.visible == Visible::NestedWhenNew) {
                for item in object[attribute.name].as_array_mut().unwrap() {
                    item.as_object_mut().unwrap().remove(new.name);
                }
            }
        }
    }
    object
}

/// What an object's path ends with.
fn key<'a>(resource: &Resource, object: &'a Value) -> &'a str {
    object[resource.path_key].as_str().unwrap()
}

fn methods() -> [&'static str; 6] {
    ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"]
}

#[tokio::test]
async fn without_a_good_token_everything_is_401() {
    let server = Server::new();
    let fixed = ["/v2.0", "/v2.0/extensions", "/v2.0/quotas", "/v2.0/quotas/x", "/v2.0/nothing"].map(str::to_owned);
    let all = collections().flat_map(|(_, path)| [format!("{path}/{NOBODY}"), format!("{path}/{NOBODY}/act"), path]);
    for path in all.chain(fixed) {
        for method in methods() {
            for token in [None, Some("forged")] {
                let answer = server.raw(method, &path, token, b"{}".to_vec()).await;
                assert_eq!(answer.status, 401, "{method} {path}");
                let challenge = answer.headers["www-authenticate"].to_str().unwrap();
                assert_eq!(challenge, "Keystone uri=\"http://net.example:9696/identity\"");
                if method != "HEAD" {
                    assert_eq!(answer.body["error"]["code"], 401);
                }
                assert!(answer.headers["x-openstack-request-id"].to_str().unwrap().starts_with("req-"));
            }
        }
    }
}

#[tokio::test]
async fn unknown_ids_paths_and_methods() {
    let server = Server::new();
    for (resource, nowhere) in collections() {
        if let Some(inside) = &resource.inside {
            let parent = api_schema::resources::find(inside.name).unwrap();
            let expected = format!("404 {}: {}", parent.not_found.kind, parent.not_found.message(NOBODY, None));
            let mut answers = vec![server.get(ADMIN, &format!("{nowhere}/{NOBODY}")).await];
            if resource.listed {
                answers.push(server.get(ADMIN, &nowhere).await);
            }
            if resource.methods.delete {
                answers.push(server.delete(ADMIN, &format!("{nowhere}/{NOBODY}")).await);
            }
            for answer in answers {
                assert_eq!(answer.error(), expected, "{nowhere}");
            }
        }
        let path = made(&server, ADMIN, resource).await;
        for unknown in [NOBODY, "no-uuid", "%00", "..", "a%20b"] {
            let answer = server.get(ADMIN, &format!("{path}/{unknown}")).await;
            assert_eq!(answer.status, 404, "{path}/{unknown}");
            assert_eq!(answer.body["NeutronError"]["type"], resource.not_found.kind);
        }
        let item = format!("{path}/{NOBODY}");
        let change = match resource.methods.update {
            true => samples::update(resource.name),
            false => json!({}),
        };
        let update = server.put(ADMIN, &item, json!({ resource.key(): change })).await;
        let has_put = resource.methods.update || resource.methods.create;
        assert_eq!(update.status, if has_put { 404 } else { 405 }, "{path}");
        let delete = server.delete(ADMIN, &item).await;
        assert_eq!(delete.status, if resource.methods.delete { 404 } else { 405 }, "{path}");
        let no_such = if resource.listed { 405 } else { 404 };
        assert_eq!(server.raw("PATCH", &path, Some(ADMIN), Vec::new()).await.status, no_such);
        assert_eq!(server.raw("PUT", &path, Some(ADMIN), Vec::new()).await.status, no_such);
        assert_eq!(server.raw("POST", &item, Some(ADMIN), Vec::new()).await.status, 405);
        assert_eq!(server.get(ADMIN, &format!("{item}/no-such-action")).await.status, 404);
        for action in resource.actions {
            let answer =
                server.raw(action.method, &format!("{item}/{}", action.name), Some(ADMIN), b"{}".to_vec()).await;
            assert_eq!(answer.status, 404, "{item}/{}", action.name);
        }
    }
    assert_eq!(server.get(ADMIN, "/v2.0/nothing").await.status, 404);
    assert_eq!(server.get(ADMIN, "/v9/networks").await.status, 404);
}

#[tokio::test]
async fn what_declaration_and_registry_say_is_the_same() {
    for rules in registry::all() {
        let resource = rules.resource;
        let methods =
            (rules.create.is_some() || rules.create_together.is_some(), rules.update.is_some(), rules.delete.is_some());
        let declared = (resource.methods.create, resource.methods.update, resource.methods.delete);
        assert_eq!(methods, declared, "{}", resource.name);
        let puts = rules.actions.iter().map(|(name, _)| (*name, "PUT"));
        let names: Vec<_> = puts.chain(rules.looks.iter().map(|(name, _)| (*name, "GET"))).collect();
        let declared: Vec<_> = resource.actions.iter().map(|action| (action.name, action.method)).collect();
        assert_eq!(names, declared, "{}", resource.name);
    }
}

/// Another project's objects are not there; one's own can be shown, changed, listed and removed.
#[tokio::test]
async fn own_and_foreign_objects() {
    for resource in registry::all().map(|rules| rules.resource).filter(|resource| resource.methods.create) {
        let server = Server::new();
        let owner = samples::owner(resource.name);
        let path = made(&server, owner, resource).await;
        let sample = samples::create(&server, owner, resource.name).await;
        let object =
            server.post(owner, &path, json!({ resource.key(): sample })).await.expect(201)[resource.key()].clone();
        let item = format!("{path}/{}", key(resource, &object));
        let change = json!({ resource.key(): samples::update(resource.name) });
        // What is inside another's object is not even looked for.
        let parent = resource.inside.as_ref().map(|inside| api_schema::resources::find(inside.name).unwrap());
        let hidden = match parent {
            Some(parent) if !samples::is_everybodys(parent.name) => {
                let id = path.rsplit('/').nth(1).unwrap();
                format!("404 {}: {}", parent.not_found.kind, parent.not_found.message(id, None))
            }
            Some(_) => {
                let message = resource.not_found.message(key(resource, &object), path.rsplit('/').nth(1));
                format!("404 {}: {message}", resource.not_found.kind)
            }
            None => {
                let message = resource.not_found.message(key(resource, &object), None);
                format!("404 {}: {message}", resource.not_found.kind)
            }
        };
        let mut foreign = vec![server.get(OTHER, &item).await];
        if resource.methods.update {
            foreign.push(server.put(OTHER, &item, change.clone()).await);
        }
        if resource.methods.delete {
            foreign.push(server.delete(OTHER, &item).await);
        }
        match samples::is_everybodys(resource.name) {
            true => {
                assert!(foreign.iter().map(|answer| answer.status).eq([200, 403, 403].into_iter().take(foreign.len())))
            }
            false => foreign.iter().for_each(|answer| assert_eq!(answer.error(), hidden)),
        }
        if resource.listed {
            let filter = format!("{path}?{}={}", resource.path_key, key(resource, &object));
            let listed = async |token: &str| {
                let list = server.get(token, &filter).await.expect(200);
                list[resource.collection].as_array().unwrap().len()
            };
            assert_eq!((listed(owner).await, listed(ADMIN).await), (1, 1), "{path}");
            match parent {
                Some(_) => assert_eq!(server.get(OTHER, &filter).await.error(), hidden),
                None => assert_eq!(listed(OTHER).await, usize::from(samples::is_everybodys(resource.name)), "{path}"),
            }
        }
        let shown = server.get(owner, &item).await.expect(200);
        let object = lasting(resource, object);
        assert_eq!(shown[resource.key()], object, "{path}: what a POST answers and what a GET shows");
        if resource.methods.update {
            let changed = server.put(owner, &item, change).await.expect(200);
            let revision = |body: &Value| body[resource.key()]["revision_number"].as_u64();
            assert!(revision(&changed) > revision(&shown) || resource.attribute("revision_number").is_none(), "{path}");
        } else {
            let put = async |body: Value| server.put(owner, &item, body).await;
            assert_eq!(put(json!({})).await.status, 400, "{path}");
            let own =
                |attribute: &&Attribute| attribute.name != "project_id" && attribute.visible != Visible::NestedWhenNew;
            for attribute in resource.attributes.iter().filter(own) {
                let answer = put(json!({ resource.key(): {attribute.name: null} })).await;
                let refusal = format!("Cannot update read-only attribute {}", attribute.name);
                assert_eq!(
                    (answer.status, answer.body["NeutronError"]["message"].as_str()),
                    (400, Some(&*refusal)),
                    "{path}"
                );
            }
            let nothing = put(json!({ resource.key(): {} })).await;
            let not_implemented = json!({"type": "NotImplementedError", "message": "", "detail": ""});
            assert_eq!((nothing.status, &nothing.body["NotImplementedError"]), (501, &not_implemented), "{path}");
        }
        if resource.methods.delete {
            server.delete(owner, &item).await.expect(204);
            assert_eq!(server.get(owner, &item).await.status, 404);
        }
    }
}

#[tokio::test]
async fn malformed_bodies_are_400() {
    let server = Server::new();
    for resource in registry::all().map(|rules| rules.resource).filter(|resource| resource.methods.create) {
        let owner = samples::owner(resource.name);
        let path = made(&server, owner, resource).await;
        let name = resource.key();
        let bodies: Vec<Vec<u8>> = vec![
            b"".to_vec(),
            b"{".to_vec(),
            b"\xff\xfe".to_vec(),
            b"[]".to_vec(),
            b"null".to_vec(),
            "[".repeat(5000).into_bytes(),
            json!({}).to_string().into(),
            json!({ name: null }).to_string().into(),
            json!({ name: [] }).to_string().into(),
            json!({ name: "x" }).to_string().into(),
            json!({ name: {"no such attribute": 1} }).to_string().into(),
            // One of a plural that is the singular too must have members, as any one.
            json!({ resource.collection: if resource.collection == name { json!(7) } else { json!({}) } })
                .to_string()
                .into(),
            json!({ resource.collection: [null] }).to_string().into(),
        ];
        for body in bodies {
            let shown = String::from_utf8_lossy(&body).chars().take(40).collect::<String>();
            assert_eq!(server.raw("POST", &path, Some(owner), body).await.status, 400, "{path} {shown}");
        }
        let long = json!({ name: {"name": "x".repeat(200_000)} }).to_string();
        assert_eq!(server.raw("POST", &path, Some(owner), long.into()).await.status, 413);
    }
}

/// What the checks of a declaration let pass, the rules can read: every attribute with every kind of value, alone in a PUT
/// and beside a valid rest in a POST.
#[tokio::test]
async fn rules_can_read_what_the_checks_let_pass() {
    let texts = [
        "",
        "x",
        "10.0.0.5",
        "10.0.0.0/24",
        "10.0.0.7/24",
        "0.0.0.0/0",
        "::",
        "fd00::1",
        "fd00::/64",
        "fa:16:3e:00:00:01",
        NOBODY,
        "0C1D2E3F000040008000000000000000",
        "vxlan",
        "geneve",
        "slaac",
        "normal",
        "direct",
        "ingress",
        "tcp",
        "255",
        "IPv6",
    ];
    let numbers =
        [0, 1, -1, 4, 6, 255, 256, 65_535, 65_536, 1 << 24, i64::from(i32::MAX), 1 << 31, 1 << 32, i64::MAX, i64::MIN];
    let mut values: Vec<Value> = texts.iter().map(|text| json!(text)).collect();
    values.extend(numbers.iter().map(|number| json!(number)));
    values.extend(texts.iter().map(|text| json!([text])));
    values.extend(texts.iter().map(|text| json!([{"ip_address": text}])));
    values.extend(texts.iter().map(|text| json!([{"start": text, "end": text}])));
    values.extend(texts.iter().map(|text| json!([{"destination": text, "nexthop": text}])));
    values.extend(texts.iter().map(|text| json!({"network_id": text})));
    values.extend([
        json!(null),
        json!(true),
        json!([]),
        json!({}),
        json!([{}]),
        json!([null]),
        json!(1.5),
        json!([[]]),
    ]);
    for resource in registry::all().map(|rules| rules.resource) {
        let server = Server::new();
        let token = samples::powerful(resource.name);
        let path = made(&server, token, resource).await;
        let sample = match resource.methods.create {
            true => samples::create(&server, token, resource.name).await,
            false => json!({}),
        };
        let object = match resource.methods.create {
            true => {
                let made = server.post(token, &path, json!({ resource.key(): sample })).await.expect(201);
                key(resource, &made[resource.key()]).to_owned()
            }
            false => NOBODY.to_owned(),
        };
        let quotas = json!({"quota": {resource.name: -1, "network": -1, "port": -1, "security_group_rule": -1}});
        server.put(ADMIN, &format!("/v2.0/quotas/{}", crate::server::ADMIN_PROJECT), quotas).await;
        let server = std::sync::Arc::new(server);
        for attribute in resource.attributes {
            // Together, so that they share commits.
            let mut requests = tokio::task::JoinSet::new();
            let mut ask = |method: &'static str, path: String, members: Value| {
                let server = server.clone();
                requests.spawn(async move {
                    let body = json!({ resource.key(): members }).to_string();
                    let answer = server.raw(method, &path, Some(token), body.clone().into_bytes()).await;
                    assert!(answer.status < 500 || answer.status == 503, "{method} {path} {body}: {}", answer.text);
                });
            };
            for value in &values {
                if resource.methods.create && attribute.post != Post::Refused {
                    let mut members = sample.clone();
                    members[attribute.name] = value.clone();
                    ask("POST", path.clone(), members);
                }
                if resource.methods.update && attribute.put {
                    ask("PUT", format!("{path}/{object}"), json!({attribute.name: value}));
                }
            }
            while let Some(done) = requests.join_next().await {
                done.unwrap();
            }
        }
    }
}

/// A small generator of its own (xorshift), so that a failure comes again with the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % sides
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.roll(items.len())]
    }
}

/// A resource's name and the id of such an object.
type Known = (String, String);

fn any_id(dice: &mut Dice, ids: &[Known]) -> String {
    if ids.is_empty() { NOBODY.to_owned() } else { dice.pick(ids).1.clone() }
}

fn anything(dice: &mut Dice, depth: usize, ids: &[Known]) -> Value {
    const TEXTS: &[&str] = &[
        "",
        "x",
        "\u{0}",
        "'; DROP TABLE ports; --",
        "10.0.0.5",
        "10.0.0.0/24",
        "fd00::/64",
        "::",
        "fa:16:3e:00:00:01",
        "true",
        "null",
        "-1",
        "99999999999999999999",
        "ü\n",
        "vlan",
        "vxlan",
        "slaac",
        "network:dhcp",
        "network:router_interface",
        "ingress",
        "tcp",
        "IPv4",
        "compute1",
    ];
    match dice.roll(if depth > 2 { 8 } else { 11 }) {
        0 => Value::Null,
        1 => json!(dice.roll(2) == 0),
        2 => json!([0, 1, -1, 4, 6, 22, 65_536][dice.roll(7)]),
        3 => json!([i64::MIN, i64::MAX, 1 << 40][dice.roll(3)]),
        4 => json!([1.5, 1e300, -0.0][dice.roll(3)]),
        5 | 6 => json!(*dice.pick(TEXTS)),
        7 => json!(any_id(dice, ids)),
        8 => Value::Array((0..dice.roll(4)).map(|_| anything(dice, depth + 1, ids)).collect()),
        _ => {
            const KEYS: &[&str] = &[
                "ip_address",
                "subnet_id",
                "mac_address",
                "start",
                "end",
                "destination",
                "nexthop",
                "network_id",
                "enable_snat",
                "external_fixed_ips",
                "a",
            ];
            let members = (0..dice.roll(4)).map(|_| ((*dice.pick(KEYS)).to_owned(), anything(dice, depth + 1, ids)));
            Value::Object(members.collect())
        }
    }
}

/// Mostly something that the attribute could take.
fn likely(dice: &mut Dice, attribute: &Attribute, ids: &[Known]) -> Value {
    if dice.roll(8) == 0 {
        return anything(dice, 0, ids);
    }
    match (attribute.kind.json(), attribute.post) {
        (_, Post::Default(Literal::Text(text))) if !text.is_empty() && dice.roll(2) == 0 => json!(text),
        (JsonType::Boolean, _) => json!(dice.roll(2) == 0),
        (JsonType::Integer, _) => json!([4, 6, 0, 1, 1500][dice.roll(5)]),
        (JsonType::Array, _) => Value::Array((0..dice.roll(3)).map(|_| anything(dice, 1, ids)).collect()),
        (JsonType::Object, _) => json!({}),
        (JsonType::String, _) if attribute.name.ends_with("_id") => {
            // Half of the time one of the kind that the name says: "network_id", "floating_network_id".
            let kind = attribute.name.trim_end_matches("_id");
            let fit: Vec<&String> = ids.iter().filter(|(k, _)| kind.ends_with(k.as_str())).map(|(_, id)| id).collect();
            if fit.is_empty() || dice.roll(2) == 0 { json!(any_id(dice, ids)) } else { json!(dice.pick(&fit)) }
        }
        (JsonType::String, _) if attribute.name == "cidr" => {
            json!(["10.0.0.0/24", "10.1.0.0/30", "fd00::/64"][dice.roll(3)])
        }
        (JsonType::String, _) => anything(dice, 3, ids),
    }
}

/// 10,000 requests out of a hat: some are right, most are not, none makes the server fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_makes_the_server_fail() {
    let server = Server::new();
    crate::server::add_l2_agent(&server, "compute1", json!({"tunnel_types": ["vxlan"]})).await;
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut ids: Vec<Known> = Vec::new();
    let mut statuses: std::collections::BTreeMap<u16, usize> = Default::default();
    let all: Vec<_> = registry::all().collect();
    for step in 0..10_000 {
        let rules = *dice.pick(&all);
        let resource = rules.resource;
        let token = *dice.pick(&[DEMO, DEMO, ADMIN, ADMIN, OTHER]);
        let path = {
            let parent = resource.inside.as_ref().map(|inside| inside.name);
            let fit: Vec<&Known> = ids.iter().filter(|(kind, _)| Some(kind.as_str()) == parent).collect();
            let parent = if fit.is_empty() { any_id(&mut dice, &ids) } else { dice.pick(&fit).1.clone() };
            path_in(resource, &parent)
        };
        let object = {
            let own: Vec<&Known> = ids.iter().filter(|(kind, _)| kind == resource.name).collect();
            if own.is_empty() || dice.roll(8) == 0 { any_id(&mut dice, &ids) } else { dice.pick(&own).1.clone() }
        };
        let mut body = || {
            let mut members = Map::new();
            for attribute in resource.attributes {
                let often = matches!(attribute.post, Post::Required) || attribute.put;
                if dice.roll(if often { 6 } else { 40 }) == 0
                    || matches!(attribute.post, Post::Required) && dice.roll(20) > 0
                {
                    members.insert(attribute.name.to_owned(), likely(&mut dice, attribute, &ids));
                }
            }
            json!({ resource.key(): members })
        };
        let (method, path, body) = match step % 7 {
            0..=2 => ("POST", path, body().to_string().into_bytes()),
            3 => ("PUT", format!("{path}/{object}"), body().to_string().into_bytes()),
            4 if step % 5 == 0 => ("DELETE", format!("{path}/{object}"), Vec::new()),
            5 if !resource.actions.is_empty() => {
                let action = dice.pick(resource.actions);
                (
                    action.method,
                    format!("{path}/{object}/{}", action.name),
                    anything(&mut dice, 0, &ids).to_string().into_bytes(),
                )
            }
            _ => {
                let mut query = String::new();
                for _ in 0..dice.roll(4) {
                    let attribute = dice.pick(resource.attributes);
                    let value = *dice.pick(&["", "x", "1", "true", "ip_address=1", "%00", "-1", "null", "2020-01-01"]);
                    let name = *dice.pick(&[
                        attribute.name,
                        "sort_key",
                        "sort_dir",
                        "limit",
                        "marker",
                        "fields",
                        "tags",
                        "not-tags-any",
                    ]);
                    let value = if name == "sort_key" { attribute.name } else { value };
                    query.push_str(&format!("{name}={value}&"));
                }
                ("GET", format!("{path}?{query}"), Vec::new())
            }
        };
        let shown = format!("{method} {path} {}", String::from_utf8_lossy(&body));
        let answer = server.raw(method, &path.replace(' ', "%20"), Some(token), body).await;
        let unchangeable = method == "PUT" && !resource.methods.update;
        let expected = answer.status < 500 || answer.status == 503 || (answer.status == 501 && unchangeable);
        assert!(expected, "step {step}: {shown}\n{}", answer.text);
        *statuses.entry(answer.status).or_default() += 1;
        if answer.status == 201
            && let Some(id) = answer.body[resource.key()][resource.path_key].as_str()
        {
            ids.push((resource.name.to_owned(), id.to_owned()));
            if ids.len() > 40 {
                let old = dice.roll(20);
                ids.remove(old);
            }
        }
    }
    // That the hat held requests that come through to the rules.
    assert!(statuses.get(&201).is_some_and(|made| *made > 100), "{statuses:?}");
    assert!(statuses.get(&400).is_some_and(|refused| *refused > 1000), "{statuses:?}");
}
