//! The server in a real namespace, asked by a client in another one over a veth pair without checksum offload.
//!
//! Needs root, iproute2 and ethtool.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use dhcproto::v4::{Decodable, DhcpOption, Encodable, Flags, Message, MessageType};
use host_plan::{DhcpLease, ExtraOption};
use host_services::{DhcpServer, DhcpSockets, Leases};
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::Duration;
use support::{CLIENT, Wire, inside, sh};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 2);

/// A client's socket. Like udhcpc in its first state it has no address; it hears what its device delivers to port 68.
fn client_socket(namespace: &str) -> UdpSocket {
    inside(namespace, || {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
        socket.set_broadcast(true).unwrap();
        socket.bind_device(Some(b"eth0")).unwrap();
        socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68).into()).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        socket.into()
    })
}

fn leases(address: Option<Ipv4Addr>) -> Leases {
    let lease = |address| DhcpLease {
        address,
        prefix_len: 24,
        server: SERVER,
        router: Some(Ipv4Addr::new(10, 7, 0, 1)),
        dns_servers: vec![],
        hostname: "probe".to_owned(),
        domain: String::new(),
        mtu: 1450,
        lease_seconds: 600,
        classless_routes: vec![],
        options: vec![],
    };
    address.map(|address| (CLIENT, lease(address))).into_iter().collect()
}

fn message(kind: MessageType, broadcast: bool) -> Message {
    let none = Ipv4Addr::UNSPECIFIED;
    let mut message = Message::new(none, none, none, none, &CLIENT.0);
    message.opts_mut().insert(DhcpOption::MessageType(kind));
    if broadcast {
        message.set_flags(Flags::default().set_broadcast());
    }
    message
}

/// Sends and waits for the reply of the same transaction; none when nobody answers.
fn exchange(socket: &UdpSocket, to: Ipv4Addr, message: &Message, attempts: u32) -> Option<Message> {
    let mut buffer = [0; 2048];
    for _ in 0..attempts {
        socket.send_to(&message.to_vec().unwrap(), (to, 67)).unwrap();
        while let Ok(length) = socket.recv(&mut buffer) {
            let reply = Message::from_bytes(&buffer[..length]).unwrap();
            if reply.xid() == message.xid() {
                return Some(reply);
            }
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_gets_its_address_and_keeps_it_when_the_table_changes() {
    let wire = Wire::new("dhcp", &format!("ip -n $server addr add {SERVER}/24 dev tap0"));
    let ours = Ipv4Addr::new(10, 7, 0, 17);
    let sockets = inside(&wire.server, || DhcpSockets::open("tap0")).unwrap();
    let server = DhcpServer::start("net1", sockets, leases(None)).unwrap();
    let client = client_socket(&wire.client);
    let broadcast = Ipv4Addr::BROADCAST;

    assert!(
        exchange(&client, broadcast, &message(MessageType::Discover, true), 1).is_none(),
        "not a port of the network"
    );

    // A port is made: it is answered by the same server.
    server.set_leases(leases(Some(ours)));
    let offer = exchange(&client, broadcast, &message(MessageType::Discover, true), 5).expect("an offer");
    assert_eq!((offer.opts().msg_type(), offer.yiaddr()), (Some(MessageType::Offer), ours));

    let mut request = message(MessageType::Request, true);
    request.opts_mut().insert(DhcpOption::RequestedIpAddress(ours));
    request.opts_mut().insert(DhcpOption::ServerIdentifier(SERVER));
    let ack = exchange(&client, broadcast, &request, 5).expect("an acknowledgement");
    assert_eq!((ack.opts().msg_type(), ack.yiaddr()), (Some(MessageType::Ack), ours));

    // The client takes the address and renews by unicast.
    let client_namespace = &wire.client;
    sh(&format!("ip -n {client_namespace} addr add {ours}/24 dev eth0"));
    let mut renew = message(MessageType::Request, false);
    renew.set_ciaddr(ours);
    let ack = exchange(&client, SERVER, &renew, 5).expect("a renewal");
    assert_eq!((ack.opts().msg_type(), ack.yiaddr()), (Some(MessageType::Ack), ours));

    // Without the broadcast flag the frame goes to the client's hardware address and the datagram to the address given,
    // which the kernel of this namespace takes because it has that address.
    let offer = exchange(&client, broadcast, &message(MessageType::Discover, false), 5).expect("a unicast offer");
    assert_eq!(offer.yiaddr(), ours);

    // An answer is counted once it is sent, which the client may see first.
    let mut counters = server.counters();
    for _ in 0..100 {
        if counters.answered >= 4 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        counters = server.counters();
    }
    assert!(counters.answered >= 4 && counters.ignored >= 1 && counters.failed == 0, "{counters:?}");

    // Stopped, the port is free at once.
    server.stop().await;
    let again = inside(&wire.server, || DhcpSockets::open("tap0")).unwrap();
    let second = inside(&wire.server, || DhcpSockets::open("tap0")).unwrap_err();
    assert!(second.to_string().contains("port 67"), "{second}");
    drop(again);
    let absent = inside(&wire.server, || DhcpSockets::open("tap9")).unwrap_err();
    assert!(absent.to_string().contains("tap9"), "{absent}");
}

/// What ISC's client makes of the search list: of one that points back to itself, and of one longer than an option may be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_client_is_told_the_domains_to_search() {
    let wire = Wire::new("dhcp", &format!("ip -n $server addr add {SERVER}/24 dev tap0"));
    let sockets = inside(&wire.server, || DhcpSockets::open("tap0")).unwrap();
    let server = DhcpServer::start("net1", sockets, leases(None)).unwrap();
    let short = b"\x03eng\x05apple\x03com\0\x09marketing\xc0\x04".to_vec();
    let names: Vec<String> = (10..30).map(|number| format!("department-{number}.example.org.")).collect();
    let label = |label: &str| [&[label.len() as u8], label.as_bytes()].concat();
    let long: Vec<u8> = names.iter().flat_map(|name| name.split('.').flat_map(label)).collect();
    assert!(long.len() > 500, "two parts at least");
    let told = |data: &[u8]| {
        let option = ExtraOption { code: 119, data: data.to_vec(), when: vec![] };
        let mut leases = leases(Some(Ipv4Addr::new(10, 7, 0, 31)));
        leases.get_mut(&CLIENT).unwrap().options = vec![option];
        server.set_leases(leases);
        // It says what it would set, and sets nothing. It stays in the foreground: going to the background it would write its
        // process's number only after it seems to have ended.
        let files = std::env::temp_dir().join(format!("dhclient-{}", std::process::id()));
        let (files, client) = (files.display(), &wire.client);
        let said = sh(&format!(
            "echo 'request subnet-mask, domain-search; send dhcp-max-message-size 1400; timeout 60;' > {files}.conf
             : > {files}.leases
             ip netns exec {client} timeout 90 dhclient -4 -d -1 -sf /usr/bin/env -cf {files}.conf -lf {files}.leases \
                 -pf {files}.pid eth0 > {files}.said 2>&1 & client=$!
             while kill -0 $client 2>/dev/null && ! grep -q '^bound to' {files}.said; do sleep 0.05; done
             kill $client 2>/dev/null || true; wait $client || true
             cat {files}.said; rm -f {files}.conf {files}.leases {files}.pid {files}.said"
        ));
        let found = said.lines().filter_map(|line| line.strip_prefix("new_domain_search=")).next_back();
        found.unwrap_or_else(|| panic!("{said}")).trim_matches('\'').to_owned()
    };
    assert_eq!(told(&short), "eng.apple.com. marketing.apple.com.");
    assert_eq!(told(&long), names.join(" "));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_without_any_address_is_reached_by_its_hardware_address() {
    let wire = Wire::new("dhcp", &format!("ip -n $server addr add {SERVER}/24 dev tap0"));
    let ours = Ipv4Addr::new(10, 7, 0, 23);
    let sockets = inside(&wire.server, || DhcpSockets::open("tap0")).unwrap();
    let server = DhcpServer::start("net1", sockets, leases(Some(ours))).unwrap();
    // A packet socket sees the frame even though the kernel would not take a datagram for an address it lacks.
    let link = inside(&wire.client, || {
        let link = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(i32::from(0x0003u16.to_be())))).unwrap();
        link.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        link
    });
    let sender = client_socket(&wire.client);
    let discover = message(MessageType::Discover, false);
    let mut frame = None;
    for _ in 0..5 {
        sender.send_to(&discover.to_vec().unwrap(), (Ipv4Addr::BROADCAST, 67)).unwrap();
        let mut buffer = [0u8; 2048];
        let mut link = &link;
        while let Ok(length) = std::io::Read::read(&mut link, &mut buffer) {
            if buffer[..6] == CLIENT.0 && buffer[12..14] == [8, 0] {
                frame = Some(buffer[..length].to_vec());
                break;
            }
        }
        if frame.is_some() {
            break;
        }
    }
    let frame = frame.expect("a frame to the client");
    let packet = etherparse::SlicedPacket::from_ethernet(&frame).unwrap();
    let Some(etherparse::NetSlice::Ipv4(ip)) = &packet.net else { panic!("not IPv4") };
    let Some(etherparse::TransportSlice::Udp(udp)) = &packet.transport else { panic!("not UDP") };
    assert_eq!((ip.header().source_addr(), ip.header().destination_addr()), (SERVER, ours));
    assert_eq!((udp.source_port(), udp.destination_port()), (67, 68));
    let checksum = udp.to_header().calc_checksum_ipv4(&ip.header().to_header(), udp.payload()).unwrap();
    assert_eq!(udp.checksum(), checksum);
    assert_eq!(Message::from_bytes(udp.payload()).unwrap().yiaddr(), ours);
    drop(server);
}
