//! The DNS server in a real namespace, asked from another one; the resolver that it asks is in neither.
//!
//! Needs root, iproute2 and ethtool.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType, rdata::A};
use host_plan::{DnsServer as Plan, DnsUpstream};
use host_services::{DnsServer, DnsSockets};
use net_types::NetworkId;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;
use support::{Wire, inside};

const SERVER4: &str = "10.7.0.2";
const SERVER6: &str = "2001:db8:7::2";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn plan(name: &str, upstream: DnsUpstream) -> Plan {
    Plan {
        network: NetworkId(uuid::Uuid::nil()),
        device: "tap0".to_owned(),
        addresses: [ip(SERVER4), ip(SERVER6)].into(),
        domain: "openstacklocal".to_owned(),
        names: [(ip("10.7.0.9"), name.to_owned())].into(),
        upstream,
    }
}

/// Code and addresses of the answer.
async fn ask(wire: &Wire, server: &str, name: &str, by_tcp: bool) -> (ResponseCode, Vec<String>) {
    let server = SocketAddr::new(ip(server), 53);
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
    let query = message.to_vec().unwrap();
    let namespace = wire.client.clone();
    let asked = move || {
        inside(&namespace, move || {
            if by_tcp {
                let mut stream = TcpStream::connect_timeout(&server, Duration::from_secs(20)).unwrap();
                stream.write_all(&[&(query.len() as u16).to_be_bytes()[..], &query].concat()).unwrap();
                let mut length = [0; 2];
                stream.read_exact(&mut length).unwrap();
                let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
                stream.read_exact(&mut answer).unwrap();
                return answer;
            }
            let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(any).unwrap();
            socket.connect(server).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let mut buffer = vec![0; 4096];
            for _ in 0..10 {
                // The first frames may be lost while the neighbours find each other.
                let _ = socket.send(&query);
                if let Ok(length) = socket.recv(&mut buffer) {
                    buffer.truncate(length);
                    return buffer;
                }
            }
            panic!("no answer from {server}")
        })
    };
    let answer = tokio::task::spawn_blocking(asked).await.unwrap();
    let read = Message::from_vec(&answer).unwrap();
    assert_eq!(read.metadata.id, message.metadata.id);
    (read.metadata.response_code, read.answers.iter().map(|record| record.data.to_string()).collect())
}

/// A resolver on a loopback address of its own, which answers everything with 192.0.2.80; and who asked it.
fn resolver() -> (IpAddr, std::sync::mpsc::Receiver<IpAddr>) {
    let [.., high, low] = std::process::id().to_be_bytes();
    let address = IpAddr::V4(Ipv4Addr::new(127, 77, high, low.clamp(1, 254)));
    let socket = UdpSocket::bind((address, 53)).unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let query = Message::from_vec(&buffer[..length]).unwrap();
            let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
            answer.add_queries(query.queries.clone());
            let data = RData::A(A(Ipv4Addr::new(192, 0, 2, 80)));
            answer.add_answer(Record::from_rdata(query.queries[0].name().clone(), 60, data));
            socket.send_to(&answer.to_vec().unwrap(), from).unwrap();
            if sender.send(from.ip()).is_err() {
                return;
            }
        }
    });
    (address, receiver)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_names_are_known_and_others_are_asked_for_from_outside() {
    let wire = Wire::new(
        "dns",
        &format!(
            "ip -n $server addr add {SERVER4}/24 dev tap0; ip -n $server addr add {SERVER6}/64 dev tap0 nodad
             ip -n $client addr add 10.7.0.9/24 dev eth0; ip -n $client addr add 2001:db8:7::9/64 dev eth0 nodad"
        ),
    );
    let nobody = plan("vm-a", DnsUpstream::Nobody);
    let addresses = nobody.addresses.clone();
    let sockets = inside(&wire.server, move || DnsSockets::open("tap0", &addresses)).unwrap();
    let server = DnsServer::start(sockets, nobody).unwrap();

    let ours = (ResponseCode::NoError, vec!["10.7.0.9".to_owned()]);
    for (address, by_tcp) in [(SERVER4, false), (SERVER6, false), (SERVER4, true), (SERVER6, true)] {
        assert_eq!(ask(&wire, address, "vm-a.openstacklocal.", by_tcp).await, ours, "{address} {by_tcp}");
    }
    assert_eq!(ask(&wire, SERVER4, "example.org.", false).await, (ResponseCode::Refused, vec![]));

    // Another name, and somebody to ask: the same sockets.
    let (address, asked_by) = resolver();
    server.set(&plan("vm-b", DnsUpstream::Servers(vec![address])));
    assert_eq!(ask(&wire, SERVER4, "vm-b.openstacklocal.", false).await, ours);
    let theirs = (ResponseCode::NoError, vec!["192.0.2.80".to_owned()]);
    assert_eq!(ask(&wire, SERVER6, "example.org.", false).await, theirs);
    assert!(asked_by.recv().unwrap().is_loopback(), "asked from outside of the tenant's namespace");
    assert_eq!(ask(&wire, SERVER4, "the-host-itself.", false).await, (ResponseCode::NXDomain, vec![]));

    // Nobody there who would answer by TCP.
    assert_eq!(ask(&wire, SERVER4, "example.org.", true).await, (ResponseCode::ServFail, vec![]));

    server.stop().await;
    let again = inside(&wire.server, || DnsSockets::open("tap0", &[ip(SERVER4), ip(SERVER6)].into()));
    again.unwrap();
}
