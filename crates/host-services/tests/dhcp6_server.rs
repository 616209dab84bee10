//! The DHCPv6 server in a real namespace, asked by a client in another one whose DUID and address say nothing of its port.
//!
//! Needs root, iproute2 and ethtool.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use dhcproto::v6::{DhcpOption, DhcpOptions, IANA, Message, MessageType, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable, Encoder};
use host_plan::{Dhcp6Client, Dhcp6Server as Plan};
use host_services::{Dhcp6Server, Dhcp6Sockets};
use net_types::NetworkId;
use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::time::Duration;
use support::{CLIENT, SERVER_MAC, Wire, inside, sh};

fn plan(addresses: &[&str]) -> Plan {
    let client = Dhcp6Client {
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        lease_seconds: 600,
        dns_servers: vec![],
        domain: "openstacklocal".to_owned(),
        hostname: "probe".to_owned(),
        options: vec![],
    };
    let clients = if addresses.is_empty() { [].into() } else { [(CLIENT, client)].into() };
    Plan { network: NetworkId(uuid::Uuid::nil()), device: "tap0".to_owned(), mac: SERVER_MAC, clients }
}

/// A socket of a client with an address that its hardware address does not imply.
fn client_socket(wire: &Wire) -> (UdpSocket, SocketAddrV6) {
    let client = &wire.client;
    sh(&format!("ip -n {client} addr add fe80::1234/64 dev eth0 nodad"));
    inside(client, || {
        let index = nix::net::if_::if_nametoindex("eth0").unwrap();
        let socket = UdpSocket::bind(SocketAddrV6::new("fe80::1234".parse().unwrap(), 546, 0, index)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let servers: Ipv6Addr = "ff02::1:2".parse().unwrap();
        (socket, SocketAddrV6::new(servers, 547, 0, index))
    })
}

fn exchange((socket, servers): &(UdpSocket, SocketAddrV6), message: &Message, attempts: u32) -> Option<Message> {
    let (mut bytes, mut buffer) = (vec![], [0; 2048]);
    message.encode(&mut Encoder::new(&mut bytes)).unwrap();
    for _ in 0..attempts {
        socket.send_to(&bytes, servers).unwrap();
        while let Ok(length) = socket.recv(&mut buffer) {
            let reply = Message::decode(&mut Decoder::new(&buffer[..length])).unwrap();
            if reply.xid() == message.xid() {
                return Some(reply);
            }
        }
    }
    None
}

fn message(kind: MessageType) -> Message {
    let mut message = Message::new(kind);
    message.opts_mut().insert(DhcpOption::ClientId(vec![0, 2, 0, 0, 171, 17, 1, 2, 3, 4]));
    message.opts_mut().insert(DhcpOption::IANA(IANA { id: 1, t1: 0, t2: 0, opts: DhcpOptions::new() }));
    message
}

fn given(message: &Message) -> Vec<Ipv6Addr> {
    let Some(DhcpOption::IANA(association)) = message.opts().get(OptionCode::IANA) else { return vec![] };
    let addresses = association.opts.get_all(OptionCode::IAAddr).unwrap_or_default();
    addresses
        .iter()
        .filter_map(|option| match option {
            DhcpOption::IAAddr(address) => Some(address.addr),
            _ => None,
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_is_known_by_its_frames() {
    let wire = Wire::new("dhcp6", "");
    let sockets = inside(&wire.server, || Dhcp6Sockets::open("tap0")).unwrap();
    let second = inside(&wire.server, || Dhcp6Sockets::open("tap0")).unwrap_err();
    assert!(second.to_string().contains("port 547"), "{second}");
    let server = Dhcp6Server::start(sockets, plan(&[])).unwrap();
    let client = client_socket(&wire);

    let solicit = message(MessageType::Solicit);
    assert!(exchange(&client, &solicit, 1).is_none(), "not a port of the network");

    // A port is made: it is answered by the same server, with both of its addresses.
    let addresses = ["2001:db8:7::17", "2001:db8:7::18"];
    server.set(&plan(&addresses));
    let offer = exchange(&client, &solicit, 20).expect("an offer");
    assert_eq!(offer.msg_type(), MessageType::Advertise);
    assert_eq!(given(&offer).iter().map(ToString::to_string).collect::<Vec<_>>(), addresses);

    let mut request = message(MessageType::Request);
    request.opts_mut().insert(offer.opts().get(OptionCode::ServerId).unwrap().clone());
    let reply = exchange(&client, &request, 20).expect("a reply");
    assert_eq!((reply.msg_type(), given(&reply).len()), (MessageType::Reply, 2));

    server.stop().await;
    inside(&wire.server, || Dhcp6Sockets::open("tap0")).unwrap();
}
