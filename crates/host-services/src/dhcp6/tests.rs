//! Conversations with the pure server; the client's side is written and read by dhcproto's full codec.

use super::*;
use dhcproto::v6::{
    DhcpOption, DhcpOptions, IAAddr, IANA, IAPD, Message, MessageType, ORO, OptionCode, Status, UnknownOption,
};
use dhcproto::{Decodable, Decoder, Encodable, Encoder};
use host_plan::{Dhcp6Client, ExtraOption, Tag};
use net_types::MacAddr;
use proptest::prelude::*;
use std::net::Ipv6Addr;

const CLIENT: MacAddr = MacAddr([0xfa, 0x16, 0x3e, 1, 2, 3]);
const STATELESS: MacAddr = MacAddr([0xfa, 0x16, 0x3e, 1, 2, 4]);
const STRANGER: MacAddr = MacAddr([0xfa, 0x16, 0x3e, 9, 9, 9]);
const SERVER: MacAddr = MacAddr([0xfa, 0x16, 0x3e, 0, 0, 2]);
const DUID: [u8; 6] = [0, 4, 1, 2, 3, 4];

fn ip(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn clients() -> Dhcp6Clients {
    let stateful = Dhcp6Client {
        addresses: vec![ip("2001:db8:1::17"), ip("2001:db8:1::18")],
        lease_seconds: 1000,
        dns_servers: vec![ip("2001:db8::53")],
        domain: "openstacklocal".to_owned(),
        hostname: "vm-a".to_owned(),
        options: vec![ExtraOption { code: 59, data: b"tftp://x".to_vec(), when: vec![] }],
    };
    let stateless = Dhcp6Client { addresses: vec![], options: vec![], ..stateful.clone() };
    [(CLIENT, stateful), (STATELESS, stateless)].into()
}

fn request(kind: MessageType, options: &[DhcpOption]) -> Message {
    let mut message = Message::new_with_id(kind, [1, 2, 3]);
    message.opts_mut().insert(DhcpOption::ClientId(DUID.to_vec()));
    for option in options {
        message.opts_mut().insert(option.clone());
    }
    message
}

fn octets(message: &Message) -> Vec<u8> {
    let mut bytes = vec![];
    message.encode(&mut Encoder::new(&mut bytes)).unwrap();
    bytes
}

fn ask(mac: MacAddr, message: &Message) -> Result<Message, Dhcp6Silence> {
    let reply = dhcp6_reply(&octets(message), mac, SERVER, &clients())?;
    let read = Message::decode(&mut Decoder::new(&reply.message)).unwrap();
    assert_eq!(read.xid(), message.xid());
    assert_eq!(read.opts().get(OptionCode::ClientId), message.opts().get(OptionCode::ClientId));
    assert_eq!(read.opts().get(OptionCode::ServerId), Some(&DhcpOption::ServerId(reply::server_duid(SERVER))));
    Ok(read)
}

fn association(id: u32, addresses: &[&str]) -> DhcpOption {
    let mut opts = DhcpOptions::new();
    for address in addresses {
        let addr = ip(address);
        opts.insert(DhcpOption::IAAddr(IAAddr { addr, preferred_life: 0, valid_life: 0, opts: DhcpOptions::new() }));
    }
    DhcpOption::IANA(IANA { id, t1: 0, t2: 0, opts })
}

fn to_server() -> DhcpOption {
    DhcpOption::ServerId(reply::server_duid(SERVER))
}

/// Addresses with their valid lifetimes, of the first association of this number.
fn given(message: &Message, id: u32) -> Vec<(String, u32)> {
    let associations = message.opts().get_all(OptionCode::IANA).unwrap_or_default();
    let inner = associations.iter().find_map(|option| match option {
        DhcpOption::IANA(association) if association.id == id => Some(&association.opts),
        _ => None,
    });
    let addresses = inner.and_then(|inner| inner.get_all(OptionCode::IAAddr)).unwrap_or_default();
    addresses
        .iter()
        .map(|option| match option {
            DhcpOption::IAAddr(address) => (address.addr.to_string(), address.valid_life),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn ours() -> Vec<(String, u32)> {
    vec![("2001:db8:1::17".to_owned(), 1000), ("2001:db8:1::18".to_owned(), 1000)]
}

fn status(options: &DhcpOptions) -> Option<Status> {
    match options.get(OptionCode::StatusCode) {
        Some(DhcpOption::StatusCode(status)) => Some(status.status),
        _ => None,
    }
}

#[test]
fn solicit_and_request_give_the_addresses_of_the_api() {
    let offer = ask(CLIENT, &request(MessageType::Solicit, &[association(7, &["2001:db8:1::99"])])).unwrap();
    assert_eq!(offer.msg_type(), MessageType::Advertise);
    assert_eq!(given(&offer, 7), ours());
    let Some(DhcpOption::IANA(association_7)) = offer.opts().get(OptionCode::IANA) else { panic!() };
    assert_eq!((association_7.t1, association_7.t2), (500, 800));
    assert_eq!(status(offer.opts()), None);

    let reply = ask(CLIENT, &request(MessageType::Request, &[to_server(), association(7, &[])])).unwrap();
    assert_eq!((reply.msg_type(), given(&reply, 7)), (MessageType::Reply, ours()));

    let rapid = ask(CLIENT, &request(MessageType::Solicit, &[association(7, &[]), DhcpOption::RapidCommit])).unwrap();
    assert_eq!((rapid.msg_type(), given(&rapid, 7)), (MessageType::Reply, ours()));
    assert!(rapid.opts().get(OptionCode::RapidCommit).is_some());
}

#[test]
fn a_second_association_a_prefix_and_a_stateless_port_get_none() {
    let pd = DhcpOption::IAPD(IAPD { id: 9, t1: 0, t2: 0, opts: DhcpOptions::new() });
    let offer = ask(CLIENT, &request(MessageType::Solicit, &[association(7, &[]), association(8, &[]), pd])).unwrap();
    // Whichever of them stands first.
    let mut both = [given(&offer, 7), given(&offer, 8)];
    both.sort();
    assert_eq!(both, [vec![], ours()]);
    let Some(DhcpOption::IAPD(prefix)) = offer.opts().get(OptionCode::IAPD) else { panic!() };
    assert_eq!(status(&prefix.opts), Some(Status::NoPrefixAvail));

    let none = ask(STATELESS, &request(MessageType::Solicit, &[association(7, &[])])).unwrap();
    assert_eq!((none.msg_type(), status(none.opts())), (MessageType::Advertise, Some(Status::NoAddrsAvail)));
    assert_eq!(given(&none, 7), []);
}

#[test]
fn a_client_keeps_its_own_and_loses_what_is_not() {
    let with = |kind, addresses: &[&str]| ask(CLIENT, &request(kind, &[association(7, addresses)])).unwrap();
    let rebound = with(MessageType::Rebind, &["2001:db8:1::17", "2001:db8:1::66"]);
    assert_eq!(given(&rebound, 7), [ours(), vec![("2001:db8:1::66".to_owned(), 0)]].concat());
    let renewed =
        ask(CLIENT, &request(MessageType::Renew, &[to_server(), association(7, &["2001:db8:1::17"])])).unwrap();
    assert_eq!(given(&renewed, 7), ours());
    assert_eq!(status(with(MessageType::Confirm, &["2001:db8:1::18"]).opts()), Some(Status::Success));
    assert_eq!(status(with(MessageType::Confirm, &["2001:db8:1::66"]).opts()), Some(Status::NotOnLink));
    for kind in [MessageType::Release, MessageType::Decline] {
        let reply = ask(CLIENT, &request(kind, &[to_server(), association(7, &["2001:db8:1::17"])])).unwrap();
        assert_eq!((reply.msg_type(), status(reply.opts())), (MessageType::Reply, Some(Status::Success)));
    }
}

#[test]
fn parameters_are_told_to_who_asks() {
    let asks = |codes: &[OptionCode]| DhcpOption::ORO(ORO { opts: codes.to_vec() });
    let all = ask(STATELESS, &request(MessageType::InformationRequest, &[])).unwrap();
    assert_eq!(all.msg_type(), MessageType::Reply);
    assert_eq!(
        all.opts().get(OptionCode::DomainNameServers),
        Some(&DhcpOption::DomainNameServers(vec![ip("2001:db8::53")]))
    );
    let Some(DhcpOption::DomainSearchList(search)) = all.opts().get(OptionCode::DomainSearchList) else { panic!() };
    assert_eq!(search.iter().map(ToString::to_string).collect::<Vec<_>>(), ["openstacklocal."]);

    let some = request(MessageType::InformationRequest, &[asks(&[OptionCode::DomainSearchList])]);
    let some = ask(CLIENT, &some).unwrap();
    assert!(some.opts().get(OptionCode::DomainNameServers).is_none());

    let boot = request(MessageType::InformationRequest, &[asks(&[OptionCode::from(59), OptionCode::from(39)])]);
    let boot = ask(CLIENT, &boot).unwrap();
    let raw = |code: u16| match boot.opts().get(OptionCode::from(code)) {
        Some(DhcpOption::Unknown(option)) => Some(UnknownOption::data(option).to_vec()),
        _ => None,
    };
    assert_eq!(raw(59), Some(b"tftp://x".to_vec()));
    assert_eq!(raw(39), Some(b"\0\x04vm-a\x0eopenstacklocal\0".to_vec()));
}

#[test]
fn a_ports_own_option_takes_the_place_of_the_networks() {
    let mut clients = clients();
    let own = |data: &[u8], when: Vec<Tag>| ExtraOption { code: 23, data: data.to_vec(), when };
    let ipxe = Tag { name: "ipxe6".to_owned(), absent: false };
    let client = clients.get_mut(&CLIENT).unwrap();
    client.options = vec![own(&[1; 16], vec![ipxe]), own(&[], vec![])];
    let mut message = request(MessageType::InformationRequest, &[]);
    let told = |message: &Message| {
        let reply = dhcp6_reply(&octets(message), CLIENT, SERVER, &clients).unwrap();
        let read = Message::decode(&mut Decoder::new(&reply.message)).unwrap();
        read.opts().get(OptionCode::DomainNameServers).cloned()
    };
    assert_eq!(told(&message), None, "empty: nothing is told");
    let class = UnknownOption::new(OptionCode::UserClass, b"\0\x04iPXE".to_vec());
    message.opts_mut().insert(DhcpOption::Unknown(class));
    assert_eq!(told(&message), Some(DhcpOption::DomainNameServers(vec![Ipv6Addr::from([1; 16])])));
}

#[test]
fn silence_has_its_reasons() {
    let solicit = request(MessageType::Solicit, &[association(7, &[])]);
    assert_eq!(ask(STRANGER, &solicit), Err(Dhcp6Silence::UnknownClient));
    let other = DhcpOption::ServerId(vec![0, 3, 0, 1, 1, 1, 1, 1, 1, 1]);
    let to_other = request(MessageType::Request, &[other, association(7, &[])]);
    assert_eq!(ask(CLIENT, &to_other), Err(Dhcp6Silence::OtherServer));
    let to_nobody = request(MessageType::Request, &[association(7, &[])]);
    assert_eq!(ask(CLIENT, &to_nobody), Err(Dhcp6Silence::Malformed));
    let misdirected = request(MessageType::Solicit, &[to_server(), association(7, &[])]);
    assert_eq!(ask(CLIENT, &misdirected), Err(Dhcp6Silence::Malformed));
    assert_eq!(ask(CLIENT, &Message::new(MessageType::Solicit)), Err(Dhcp6Silence::Malformed));
    assert_eq!(ask(CLIENT, &request(MessageType::Advertise, &[])), Err(Dhcp6Silence::NotForServers));
    assert_eq!(dhcp6_reply(&[1, 2], CLIENT, SERVER, &clients()), Err(Dhcp6Silence::Malformed));
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(kind in 0u8..14, data in proptest::collection::vec(any::<u8>(), 0..300)) {
        fuzz_dhcp6(&data);
        fuzz_dhcp6(&[&[kind, 0, 0, 0, 0, 1, 0, 2, 1, 1][..], &data].concat());
    }
}
