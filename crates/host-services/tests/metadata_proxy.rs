//! The proxy in a real namespace, asked by instances in another one; the metadata service is a plain one on loopback of the
//! host, as Nova's would be, that says what it was asked.
//!
//! Needs root and iproute2.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use host_plan::MetadataInstance;
use host_services::{
    MetadataClients, MetadataServer, MetadataService, MetadataSockets, RateLimit, Upstream, UpstreamConfig, Window,
    sign_instance_id,
};
use secret::Secret;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use support::{inside, sh};

const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe);
const KNOWN: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 17);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 18);
const STRANGER: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 99);
/// What the instance's device gives itself: its MAC is fa:16:3e:00:00:11.
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0xf816, 0x3eff, 0xfe00, 0x11);

/// Two namespaces and the wire between them; gone when dropped.
struct Wire {
    server: String,
    client: String,
}

impl Wire {
    fn new() -> Self {
        let id = std::process::id();
        let wire = Self { server: format!("mdp-s-{id}"), client: format!("mdp-c-{id}") };
        let (server, client) = (&wire.server, &wire.client);
        sh(&format!(
            "ip netns add {server}; ip netns add {client}
             ip -n {server} link add tap0 type veth peer name eth0 netns {client}
             ip -n {client} link set eth0 address fa:16:3e:00:00:11
             ip -n {server} addr add 10.7.0.2/24 dev tap0; ip -n {server} addr add {METADATA}/32 dev tap0
             ip -n {server} -6 addr add {METADATA_V6}/128 dev tap0 nodad
             ip -n {client} addr add {LINK_LOCAL}/64 dev eth0 nodad
             for last in {KNOWN} {OTHER} {STRANGER}; do ip -n {client} addr add $last/24 dev eth0; done
             ip -n {server} link set tap0 up; ip -n {client} link set eth0 up
             ip -n {client} route add {METADATA}/32 via 10.7.0.2"
        ));
        wire
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for name in [&self.server, &self.client] {
            let _ = Command::new("ip").args(["netns", "del", name]).status();
        }
    }
}

/// A metadata service: it answers with the request that it got, or with the status that the path's end asks for.
fn metadata_service() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || {
                let mut stream = BufReader::new(stream.unwrap());
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    if stream.read_line(&mut head).unwrap_or(0) == 0 {
                        return;
                    }
                }
                let length = head.to_lowercase().lines().find_map(|line| {
                    line.strip_prefix("content-length:").map(|length| length.trim().parse::<usize>().unwrap())
                });
                let mut body = vec![0; length.unwrap_or(0)];
                stream.read_exact(&mut body).unwrap();
                let status = head.split(' ').nth(1).and_then(|path| path.strip_prefix("/status/")).unwrap_or("200");
                let said = format!("{head}{}", String::from_utf8_lossy(&body));
                let answer = format!(
                    "HTTP/1.1 {status} As asked\r\nContent-Type: text/x-said\r\nX-Internal: secret\r\n\
                     Connection: close\r\nContent-Length: {}\r\n\r\n{said}",
                    said.len()
                );
                stream.get_mut().write_all(answer.as_bytes()).unwrap();
            });
        }
    });
    url
}

fn service(urls: &[String], rate_limit: Option<RateLimit>) -> Arc<MetadataService> {
    let config = UpstreamConfig { services: urls.to_vec(), secret: Secret::new("shared"), cafile: None };
    Arc::new(MetadataService { upstream: Upstream::new(&config).unwrap(), rate_limit })
}

fn instance(name: &str) -> MetadataInstance {
    MetadataInstance { instance: name.to_owned(), project: format!("project of {name}") }
}

fn proxy(wire: &Wire, clients: MetadataClients, service: Arc<MetadataService>) -> MetadataServer {
    let sockets = inside(&wire.server, || {
        let listens = [SocketAddr::new(METADATA.into(), 80), SocketAddr::new(METADATA_V6.into(), 80)];
        MetadataSockets::open(Some("tap0"), &listens)
    });
    MetadataServer::start("net1", sockets.unwrap(), clients, service).unwrap()
}

fn connect(from: IpAddr) -> std::io::Result<TcpStream> {
    use socket2::{Domain, Socket, Type};
    let index = nix::net::if_::if_nametoindex("eth0").unwrap();
    let (local, peer): (SocketAddr, SocketAddr) = match from {
        IpAddr::V4(_) => (SocketAddr::new(from, 0), SocketAddr::new(METADATA.into(), 80)),
        IpAddr::V6(from) => {
            (SocketAddrV6::new(from, 0, 0, index).into(), SocketAddrV6::new(METADATA_V6, 80, 0, index).into())
        }
    };
    let socket = Socket::new(Domain::for_address(peer), Type::STREAM, None)?;
    socket.bind(&local.into())?;
    socket.connect_timeout(&peer.into(), Duration::from_secs(20))?;
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    Ok(socket.into())
}

/// Status and the whole answer; status 0 when the connection ended without one.
fn ask(wire: &Wire, from: impl Into<IpAddr>, request: &str) -> (u16, String) {
    let (from, request) = (from.into(), request.to_owned());
    inside(&wire.client, move || {
        let mut stream = connect(from).unwrap();
        let _ = stream.write_all(request.as_bytes());
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        (status, answer)
    })
}

fn get(wire: &Wire, from: impl Into<IpAddr>, path: &str) -> (u16, String) {
    ask(wire, from, &format!("GET {path} HTTP/1.1\r\nHost: {METADATA}\r\n\r\n"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_learns_who_asks_and_nothing_that_an_instance_says_of_itself() {
    let wire = Wire::new();
    // The first of the services is not there.
    let urls = ["http://127.0.0.1:9".to_owned(), metadata_service()];
    let clients = BTreeMap::from([(KNOWN.into(), instance("one"))]);
    let server = proxy(&wire, clients.clone(), service(&urls, None));

    let (status, said) = get(&wire, KNOWN, "/latest/meta-data/?q=1");
    assert_eq!(status, 200, "{said}");
    let said = said.to_lowercase();
    let signature = sign_instance_id(b"shared", "one");
    for wanted in [
        "get /latest/meta-data/?q=1 http/1.1",
        "x-forwarded-for: 10.7.0.17",
        "x-instance-id: one",
        "x-tenant-id: project of one",
        &format!("x-instance-id-signature: {signature}"),
        "content-type: text/x-said",
    ] {
        assert!(said.contains(wanted), "{wanted} in {said}");
    }
    assert!(!said.contains("x-internal"), "{said}");

    let forged = "POST /password HTTP/1.1\r\nHost: x\r\nX-Instance-ID: two\r\nX-Forwarded-For: 1.2.3.4\r\n\
                  X-Instance-ID-Signature: beef\r\nX-Tenant-ID: t\r\nContent-Length: 6\r\n\r\nsecret";
    let (status, said) = ask(&wire, KNOWN, forged);
    assert_eq!(status, 200, "{said}");
    assert!(said.contains("POST /password") && said.ends_with("secret"), "{said}");
    for never in ["two", "1.2.3.4", "beef"] {
        assert!(!said.contains(never), "{never} in {said}");
    }

    // Nobody is known by this address, and then somebody is.
    assert_eq!(get(&wire, OTHER, "/").0, 404);
    let link_local = (LINK_LOCAL.into(), instance("six"));
    server.set_clients(clients.into_iter().chain([(OTHER.into(), instance("two")), link_local]).collect());
    assert!(get(&wire, OTHER, "/").1.contains("project of two"));
    assert!(get(&wire, LINK_LOCAL, "/").1.contains("project of six"), "by IPv6");
    assert_eq!(get(&wire, STRANGER, "/").0, 404);

    // Answers as Neutron's agent gives them.
    for (asked, answered) in [(404, 404), (403, 403), (500, 500), (503, 503), (418, 500)] {
        let (status, said) = get(&wire, KNOWN, &format!("/status/{asked}"));
        assert_eq!(status, answered, "{said}");
        assert!(!said.contains("signature"), "what the service says of itself is not the instance's: {said}");
    }
    for (request, answered) in [
        ("GET /a/../../agent/v1 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET /a/%2e%2E/b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("CONNECT other:80 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("no http\r\n\r\n", 400),
    ] {
        assert_eq!(ask(&wire, KNOWN, request).0, answered, "{request}");
    }
    let large = format!("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n{}", "x".repeat(70_000));
    assert!(matches!(ask(&wire, KNOWN, &large).0, 413 | 0), "0: closed while it was still sending");

    // Stopped, the port is free at once; without a service there is 503.
    server.stop().await;
    let server = proxy(&wire, BTreeMap::from([(KNOWN.into(), instance("one"))]), service(&urls[..1], None));
    assert_eq!(get(&wire, KNOWN, "/").0, 503);
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_too_much_takes_nothing_of_anothers() {
    let wire = Wire::new();
    let window = Window { length: Duration::from_secs(3600), requests: 20 };
    let service = service(&[metadata_service()], Some(RateLimit { base: window, burst: window }));
    let clients = BTreeMap::from([(KNOWN.into(), instance("one")), (OTHER.into(), instance("two"))]);
    let _server = proxy(&wire, clients, service);

    // Connections that say nothing: eight are held, the ninth is closed at once.
    let held = inside(&wire.client, || (0..9).map(|_| connect(KNOWN.into()).unwrap()).collect::<Vec<_>>());
    let mut last = &held[8];
    assert_eq!(last.read(&mut [0; 1]).unwrap_or(0), 0);
    assert_eq!(get(&wire, OTHER, "/").0, 200, "another has its own");
    drop(held);

    // Places are free again once the proxy has seen that they are.
    let mut answered = 0;
    let mut slowed = false;
    for _ in 0..200 {
        match get(&wire, KNOWN, "/").0 {
            200 => answered += 1,
            429 => {
                slowed = true;
                break;
            }
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    assert!(slowed && answered == 20, "{answered} answered");
    assert_eq!(get(&wire, OTHER, "/").0, 200);
}
