//! A whole server tells Nova what happens to an instance's port, also of what happened while Nova was away and the server
//! was started anew. The identity that both sign in to is the server's own.

use crate::processes::{Server, by_password, project, sign_in};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

const ADMIN: &str = "the administrator's password";
const SERVER: &str = "6f9619ff-8b86-4011-b42d-00cf4fc964ff";

/// Takes one request as Nova does and answers it; its events.
fn take(nova: &TcpListener) -> Vec<Value> {
    let (mut stream, _) = nova.accept().unwrap();
    let mut request = Vec::new();
    let mut part = [0; 4096];
    loop {
        let count = stream.read(&mut part).unwrap();
        assert!(count > 0, "the request is cut off");
        request.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        assert!(head.starts_with("POST /v2.1/os-server-external-events HTTP/1.1"), "{head}");
        assert!(head.to_ascii_lowercase().contains("\r\nx-auth-token: "), "{head}");
        if let Ok(body) = serde_json::from_str::<Value>(body) {
            reply(&mut stream, &body);
            return body["events"].as_array().unwrap().clone();
        }
    }
}

fn reply(stream: &mut TcpStream, body: &Value) {
    let body = body.to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
    stream.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes()).unwrap();
}

/// The names of events until there are so many.
fn names(nova: &TcpListener, count: usize) -> Vec<String> {
    let mut names = Vec::new();
    while names.len() < count {
        names.extend(take(nova).iter().map(|event| event["name"].as_str().unwrap().to_owned()));
    }
    names
}

#[test]
fn nova_hears_of_an_instances_port() {
    let folder = tempfile::tempdir().unwrap();
    let nova = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    // A place where nobody listens, until the second start.
    let sections = |url: &str, auth_url: &str| {
        format!(
            "[identity]\nadmin_password = \"{ADMIN}\"\n[ml2]\nvni_ranges = ['1:1000']\n[nova]\nenabled = true\nurl = '{url}'\n\
             auth_url = '{auth_url}'\nusername = 'admin'\nproject_name = 'admin'\npassword = \"{ADMIN}\"\n"
        )
    };
    let first = Server::start(folder.path(), &sections("http://127.0.0.1:1/v2.1", "http://127.0.0.1:1"));
    let identity = format!("{}/identity/v3", first.url);
    let token = sign_in(&identity, by_password("admin", ADMIN), project("admin"));
    let made = first.post("/v2.0/networks", &token, &json!({"network": {}})).expect(201);
    let port = json!({"port": {
        "network_id": made["network"]["id"], "device_id": SERVER, "device_owner": "compute:nova",
    }});
    let made = first.post("/v2.0/ports", &token, &port).expect(201);
    let path = format!("/v2.0/ports/{}", made["port"]["id"].as_str().unwrap());
    let renamed = first.call("PUT", &path, &[("x-auth-token", &token)], &json!({"port": {"name": "x"}}));
    renamed.expect(200);
    let address = first.url.trim_start_matches("http://").to_owned();
    drop(first);

    let url = format!("http://{}/v2.1", nova.local_addr().unwrap());
    let second = Server::start_at(&address, folder.path(), &sections(&url, &identity));
    assert_eq!(names(&nova, 1), ["network-changed"]);
    second.call("DELETE", &path, &[("x-auth-token", &token)], &Value::Null).expect(204);
    let told = take(&nova);
    let tag = &made["port"]["id"];
    assert_eq!(told, [json!({"name": "network-vif-deleted", "server_uuid": SERVER, "tag": tag})]);
}
