//! Two real servers on one PostgreSQL, called over HTTP by clients that do not care which one answers; one of them is killed
//! while they write.

#![allow(clippy::unwrap_used, clippy::panic)] // The helpers are tests too.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use store::testing::{Server as Postgres, TestDatabase};

const PASSWORD: &str = "several";
const CLIENTS: usize = 6;

/// A `neutronium server` that goes with the test.
struct Server {
    address: SocketAddr,
    process: Child,
    _state: tempfile::TempDir,
}

impl Server {
    fn start(database: &TestDatabase) -> Self {
        let state = tempfile::tempdir().unwrap();
        // A port that was free a moment ago: the kernel does not give it out again soon.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = state.path().join("server.toml");
        let text = format!(
            "[server]\nlisten = ['{address}']\nstate_dir = '{}'\ndatabase = '{}'\n\
             [identity]\nadmin_password = '{PASSWORD}'\npassword_hash_memory_kib = 8\npassword_hash_passes = 1\n",
            state.path().display(),
            database.place().display()
        );
        std::fs::write(&config, text).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_neutronium"))
            .arg("server")
            .arg("--config")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let server = Self { address, process, _state: state };
        let since = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(since.elapsed() < Duration::from_secs(60), "the server does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        server
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An answer: status, the token that it gives, body. None: the server went away before it had answered.
fn call(at: SocketAddr, method: &str, path: &str, token: &str, body: &Value) -> Option<(u16, String, Value)> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut stream = TcpStream::connect(at).ok()?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\nX-Auth-Token: {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut reader = BufReader::new(stream);
    let (mut status, mut given, mut length) = (0, String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
            status = rest.get(..3)?.parse().ok()?;
        }
        match line.split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("x-subject-token") => value.clone_into(&mut given),
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().ok()?,
            _ => {}
        }
    }
    let mut octets = vec![0; length];
    reader.read_exact(&mut octets).ok()?;
    Some((status, given, serde_json::from_slice(&octets).unwrap_or(Value::Null)))
}

#[track_caller]
fn made(at: SocketAddr, path: &str, token: &str, body: &Value) -> Value {
    let (status, _, answer) = call(at, "POST", path, token, body).unwrap();
    assert_eq!(status, 201, "{answer}");
    answer.as_object().unwrap().values().next().unwrap().clone()
}

#[test]
fn two_servers_share_a_database_and_one_may_die_while_it_writes() {
    let database = Postgres::start(true).database();
    // Both find an empty database: who comes first fills it.
    let (mut first, second) = thread::scope(|scope| {
        let other = scope.spawn(|| Server::start(&database));
        (Server::start(&database), other.join().unwrap())
    });
    let user = json!({"name": "admin", "domain": {"id": "default"}, "password": PASSWORD});
    let auth = json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": user}},
        "scope": {"project": {"name": "admin", "domain": {"id": "default"}}}
    }});
    let (status, token, said) = call(first.address, "POST", "/identity/v3/auth/tokens", "", &auth).unwrap();
    assert_eq!(status, 201, "{said}");

    // What one server has answered, the other knows; the token of one is good at the other.
    let network = made(first.address, "/v2.0/networks", &token, &json!({"network": {"name": "n"}}));
    let subnet = json!({"subnet": {"network_id": network["id"], "ip_version": 4, "cidr": "10.0.0.0/22"}});
    made(second.address, "/v2.0/subnets", &token, &subnet);
    let project = network["project_id"].as_str().unwrap();
    let limit = 150;
    let quota = json!({"quota": {"port": limit}});
    let (status, _, said) = call(first.address, "PUT", &format!("/v2.0/quotas/{project}"), &token, &quota).unwrap();
    assert_eq!(status, 200, "{said}");

    let answered = Mutex::new(Vec::new());
    let (unanswered, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let servers = [first.address, second.address];
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (answered, unanswered, refused) = (&answered, &unanswered, &refused);
            let (token, network) = (&token, &network);
            scope.spawn(move || {
                for turn in 0.. {
                    let body = json!({"port": {"network_id": network["id"], "name": format!("{client}-{turn}")}});
                    match call(servers[(client + turn) % 2], "POST", "/v2.0/ports", token, &body) {
                        Some((201, _, port)) => answered.lock().unwrap().push(port["port"].clone()),
                        Some((409, _, said)) => {
                            assert_eq!(said["NeutronError"]["type"], "OverQuota", "{said}");
                            refused.fetch_add(1, Ordering::SeqCst);
                            break;
                        }
                        Some((status, _, said)) => panic!("{status}: {said}"),
                        None => {
                            unanswered.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                }
            });
        }
        while answered.lock().unwrap().len() < 40 {
            thread::sleep(Duration::from_millis(1));
        }
        first.kill();
    });
    assert_eq!(refused.load(Ordering::SeqCst), CLIENTS);
    assert!(unanswered.load(Ordering::SeqCst) > 0, "the first server was killed among requests");

    let list = format!("/v2.0/ports?network_id={}", network["id"].as_str().unwrap());
    let (_, _, listed) = call(second.address, "GET", &list, &token, &Value::Null).unwrap();
    let ports = listed["ports"].as_array().unwrap();
    // The quota to the very last, and every port whole: one address, its own.
    assert_eq!(ports.len(), limit);
    let addresses: BTreeSet<&str> =
        ports.iter().map(|port| port["fixed_ips"][0]["ip_address"].as_str().unwrap()).collect();
    assert_eq!(addresses.len(), limit);
    let macs: BTreeSet<&str> = ports.iter().map(|port| port["mac_address"].as_str().unwrap()).collect();
    assert_eq!(macs.len(), limit);
    // What was answered is there as it was answered.
    for port in answered.lock().unwrap().iter() {
        let there = ports.iter().find(|there| there["id"] == port["id"]).unwrap();
        assert_eq!(there["fixed_ips"], port["fixed_ips"]);
    }
    // Each is in the log once, in order; nothing else of ports is.
    let created: Vec<String> = database
        .open()
        .read_blocking(|snapshot| {
            let sql = "SELECT id FROM change_log WHERE resource = 'port' AND op = 'create' ORDER BY revision";
            snapshot.query(sql, &[], |row| row.get(0))
        })
        .map_err(|error: store::StoreError| error)
        .unwrap();
    assert_eq!(created.len(), limit);
    assert_eq!(created.iter().collect::<BTreeSet<_>>().len(), limit);
}
