//! Conversations with the pure server; the client's side is written and read by dhcproto's full codec.

use super::*;
use dhcproto::v4::{Decodable, DhcpOption, Encodable, Flags, Message, MessageType, OptionCode};
use host_plan::{ClasslessRoute, DhcpLease, ExtraOption, Tag};
use net_types::MacAddr;
use proptest::prelude::*;
use std::net::Ipv4Addr;

const CLIENT: MacAddr = MacAddr([0xfa, 0x16, 0x3e, 1, 2, 3]);
const STRANGER: MacAddr = MacAddr([0xfa, 0x16, 0x3e, 9, 9, 9]);
const OURS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 17);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

fn route(destination: &str, via: Ipv4Addr) -> ClasslessRoute {
    ClasslessRoute { destination: destination.parse().unwrap(), via }
}

fn leases() -> Leases {
    let lease = DhcpLease {
        address: OURS,
        prefix_len: 24,
        server: SERVER,
        router: Some(GATEWAY),
        dns_servers: vec![Ipv4Addr::new(8, 8, 8, 8), Ipv4Addr::new(1, 1, 1, 1)],
        hostname: "host-10-0-0-17".to_owned(),
        domain: "openstacklocal".to_owned(),
        mtu: 1450,
        lease_seconds: 86_400,
        classless_routes: vec![route("169.254.169.254/32", SERVER), route("0.0.0.0/0", GATEWAY)],
        options: vec![],
    };
    [(CLIENT, lease)].into()
}

fn request(kind: MessageType, mac: MacAddr, options: &[DhcpOption]) -> Message {
    let none = Ipv4Addr::UNSPECIFIED;
    let mut message = Message::new_with_id(0x1234_5678, none, none, none, none, &mac.0);
    message.opts_mut().insert(DhcpOption::MessageType(kind));
    for option in options {
        message.opts_mut().insert(option.clone());
    }
    message
}

fn ask(message: &Message) -> Result<(Reply, Message), Silence> {
    let reply = dhcp_reply(&message.to_vec().unwrap(), &leases())?;
    let read = Message::from_bytes(&reply.message).unwrap();
    assert_eq!((read.xid(), read.chaddr()), (message.xid(), message.chaddr()));
    assert_eq!(read.opts().msg_type(), Some(reply.kind.into()));
    Ok((reply, read))
}

fn option_text(message: &Message, code: u8) -> String {
    message.opts().get(OptionCode::from(code)).map_or("-".to_owned(), |option| format!("{option:?}"))
}

fn all_options(message: &Message) -> String {
    message.opts().iter().map(|(code, option)| format!("{} {option:?}\n", u8::from(*code))).collect()
}

#[test]
fn discover_is_answered_with_the_address_of_the_api() {
    let (reply, message) = ask(&request(MessageType::Discover, CLIENT, &[])).unwrap();
    assert_eq!((reply.kind, reply.address, reply.source), (ReplyKind::Offer, OURS, SERVER));
    assert_eq!(reply.to, Destination::Link { mac: CLIENT, address: OURS });
    assert_eq!(message.yiaddr(), OURS);
    insta::assert_snapshot!(all_options(&message), @r#"
    1 SubnetMask(255.255.255.0)
    3 Router([10.0.0.1])
    6 DomainNameServer([8.8.8.8, 1.1.1.1])
    12 Hostname("host-10-0-0-17")
    15 DomainName("openstacklocal")
    26 InterfaceMtu(1450)
    28 BroadcastAddr(10.0.0.255)
    51 AddressLeaseTime(86400)
    53 MessageType(Offer)
    54 ServerIdentifier(10.0.0.2)
    58 Renewal(43200)
    59 Rebinding(75600)
    121 ClasslessStaticRoute([(169.254.169.254/32, 10.0.0.2), (0.0.0.0/0, 10.0.0.1)])
    "#);
}

#[test]
fn only_what_is_asked_for_beside_what_every_client_needs() {
    let wanted = vec![OptionCode::Router, OptionCode::from(249)];
    let (_, message) =
        ask(&request(MessageType::Discover, CLIENT, &[DhcpOption::ParameterRequestList(wanted)])).unwrap();
    insta::assert_snapshot!(all_options(&message), @r"
    1 SubnetMask(255.255.255.0)
    3 Router([10.0.0.1])
    26 InterfaceMtu(1450)
    28 BroadcastAddr(10.0.0.255)
    51 AddressLeaseTime(86400)
    53 MessageType(Offer)
    54 ServerIdentifier(10.0.0.2)
    58 Renewal(43200)
    59 Rebinding(75600)
    249 Unknown(UnknownOption { code: 249, data: [32, 169, 254, 169, 254, 10, 0, 0, 2, 0, 10, 0, 0, 1] })
    ");
}

#[test]
fn bytes_of_an_offer() {
    let (reply, _) = ask(&request(MessageType::Discover, CLIENT, &[])).unwrap();
    let hex =
        |range: std::ops::Range<usize>| reply.message[range].iter().map(|b| format!("{b:02x}")).collect::<String>();
    // op htype hlen hops, xid, secs flags, ciaddr, yiaddr, siaddr, giaddr
    let fixed = "02010600 12345678 00000000 00000000 0a000011 00000000 00000000";
    assert_eq!(hex(0..28), fixed.replace(' ', ""));
    assert_eq!(hex(28..44), "fa163e01020300000000000000000000");
    // cookie, then: 53 offer, 54 server, 51 lease, 58 and 59
    assert_eq!(hex(236..267), "638253633501023604 0a000002 3304 00015180 3a04 0000a8c0 3b04 00012750".replace(' ', ""));
}

#[test]
fn a_request_in_every_state_is_acknowledged() {
    let selecting = [DhcpOption::RequestedIpAddress(OURS), DhcpOption::ServerIdentifier(SERVER)];
    let (reply, message) = ask(&request(MessageType::Request, CLIENT, &selecting)).unwrap();
    assert_eq!((reply.kind, message.yiaddr()), (ReplyKind::Ack, OURS));

    let rebooting = [DhcpOption::RequestedIpAddress(OURS)];
    assert_eq!(ask(&request(MessageType::Request, CLIENT, &rebooting)).unwrap().0.kind, ReplyKind::Ack);

    let mut renewing = request(MessageType::Request, CLIENT, &[]);
    renewing.set_ciaddr(OURS).set_flags(Flags::default().set_broadcast());
    let (reply, message) = ask(&renewing).unwrap();
    assert_eq!((reply.kind, message.ciaddr(), message.yiaddr()), (ReplyKind::Ack, OURS, OURS));
    assert_eq!(reply.to, Destination::Link { mac: CLIENT, address: OURS }, "a client with an address takes unicast");
}

#[test]
fn an_address_of_somebody_else_is_refused_aloud() {
    for wrong in ["10.0.0.99", "192.168.7.7"] {
        let options = [DhcpOption::RequestedIpAddress(wrong.parse().unwrap())];
        let (reply, message) = ask(&request(MessageType::Request, CLIENT, &options)).unwrap();
        assert_eq!((reply.kind, reply.source, message.yiaddr()), (ReplyKind::Nak, SERVER, Ipv4Addr::UNSPECIFIED));
        assert_eq!(reply.to, Destination::Link { mac: MacAddr::BROADCAST, address: Ipv4Addr::BROADCAST });
        assert_eq!(option_text(&message, 51), "-");
    }
}

#[test]
fn what_the_client_wishes_for_is_a_wish_only() {
    let options = [DhcpOption::RequestedIpAddress(Ipv4Addr::new(10, 0, 0, 200))];
    assert_eq!(ask(&request(MessageType::Discover, CLIENT, &options)).unwrap().0.address, OURS);
}

#[test]
fn the_broadcast_flag_is_obeyed() {
    let mut discover = request(MessageType::Discover, CLIENT, &[]);
    discover.set_flags(Flags::default().set_broadcast());
    let (reply, message) = ask(&discover).unwrap();
    assert_eq!(reply.to, Destination::Link { mac: MacAddr::BROADCAST, address: Ipv4Addr::BROADCAST });
    assert!(message.flags().broadcast());
}

#[test]
fn a_relay_agent_is_answered_for_its_own_subnet_only() {
    let relay = Ipv4Addr::new(10, 0, 0, 254);
    let mut discover = request(MessageType::Discover, CLIENT, &[]);
    discover.set_giaddr(relay);
    let (reply, message) = ask(&discover).unwrap();
    assert_eq!((reply.to, message.giaddr(), reply.address), (Destination::Relay(relay), relay, OURS));
    discover.set_giaddr(Ipv4Addr::new(172, 16, 0, 1));
    assert_eq!(ask(&discover).unwrap_err(), Silence::UnknownClient(CLIENT));
}

#[test]
fn inform_gets_parameters_and_no_lease() {
    let mut inform = request(MessageType::Inform, CLIENT, &[]);
    inform.set_ciaddr(OURS);
    let (reply, message) = ask(&inform).unwrap();
    assert_eq!((reply.kind, message.yiaddr()), (ReplyKind::Ack, Ipv4Addr::UNSPECIFIED));
    assert_eq!(reply.to, Destination::Link { mac: CLIENT, address: OURS });
    assert_eq!((option_text(&message, 51).as_str(), option_text(&message, 3).as_str()), ("-", "Router([10.0.0.1])"));
}

#[test]
fn silence_has_its_reasons() {
    let silent = |message: Message| ask(&message).unwrap_err();
    assert_eq!(silent(request(MessageType::Discover, STRANGER, &[])), Silence::UnknownClient(STRANGER));
    assert_eq!(silent(request(MessageType::Offer, CLIENT, &[])), Silence::NotForServers);
    assert_eq!(silent(request(MessageType::Request, CLIENT, &[])), Silence::NoAddressNamed(CLIENT));
    assert_eq!(silent(request(MessageType::Release, CLIENT, &[])), Silence::Released(CLIENT));
    let other = [DhcpOption::RequestedIpAddress(OURS), DhcpOption::ServerIdentifier(Ipv4Addr::new(10, 0, 0, 250))];
    assert_eq!(silent(request(MessageType::Request, CLIENT, &other)), Silence::OtherServer(CLIENT));
    let declined = [DhcpOption::RequestedIpAddress(OURS)];
    assert_eq!(silent(request(MessageType::Decline, CLIENT, &declined)), Silence::Declined(CLIENT, OURS));
    assert_eq!(dhcp_reply(b"", &leases()), Err(Silence::Malformed));
}

#[test]
fn a_hardware_address_said_to_be_longer_than_its_field_is_malformed() {
    let mut packet = request(MessageType::Discover, CLIENT, &[]).to_vec().unwrap();
    packet[2] = 255;
    assert_eq!(dhcp_reply(&packet, &leases()), Err(Silence::Malformed));
}

#[test]
fn an_option_that_does_not_matter_may_be_malformed() {
    let mut packet = request(MessageType::Discover, CLIENT, &[]).to_vec().unwrap();
    packet.pop(); // the end mark
    packet.extend([12, 2, 0xff, 0xfe, 81, 1, 0, 255]); // a host name that is no UTF-8, an FQDN too short for its flags
    assert_eq!(dhcp_reply(&packet, &leases()).unwrap().address, OURS);
}

#[test]
fn what_the_client_calls_itself_comes_back() {
    let id = DhcpOption::ClientIdentifier(vec![1, 0xfa, 0x16, 0x3e, 1, 2, 3]);
    let (_, message) = ask(&request(MessageType::Discover, CLIENT, std::slice::from_ref(&id))).unwrap();
    assert_eq!(message.opts().get(OptionCode::ClientIdentifier), Some(&id));
}

#[test]
fn routes_too_many_for_the_client_are_left_out_whole_and_fitting_ones_are_split() {
    let mut leases = leases();
    let routes: Vec<_> = (0..40).map(|n| route(&format!("172.16.{n}.0/24"), GATEWAY)).collect();
    leases.get_mut(&CLIENT).unwrap().classless_routes = routes.clone();
    let read = |options: &[DhcpOption]| {
        let packet = request(MessageType::Discover, CLIENT, options).to_vec().unwrap();
        let reply = dhcp_reply(&packet, &leases).unwrap();
        (reply.message.len(), Message::from_bytes(&reply.message).unwrap())
    };
    let (length, small) = read(&[]);
    assert!(length <= 548, "{length}");
    assert_eq!(option_text(&small, 121), "-");
    assert_eq!(option_text(&small, 3), "Router([10.0.0.1])");
    let (_, large) = read(&[DhcpOption::MaxMessageSize(1500)]);
    let Some(DhcpOption::ClasslessStaticRoute(read)) = large.opts().get(OptionCode::ClasslessStaticRoute) else {
        panic!("no routes");
    };
    let expected: Vec<_> = routes.iter().map(|route| (route.destination, route.via)).collect();
    assert_eq!(read, &expected);
}

#[test]
fn a_lease_for_ever_has_no_renewal() {
    let mut leases = leases();
    leases.get_mut(&CLIENT).unwrap().lease_seconds = u32::MAX;
    let packet = request(MessageType::Discover, CLIENT, &[]).to_vec().unwrap();
    let message = Message::from_bytes(&dhcp_reply(&packet, &leases).unwrap().message).unwrap();
    assert_eq!(option_text(&message, 51), "AddressLeaseTime(4294967295)");
    assert_eq!((option_text(&message, 58), option_text(&message, 59)), ("-".to_owned(), "-".to_owned()));
}

fn option() -> impl Strategy<Value = Vec<u8>> {
    (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..12)).prop_map(|(code, data)| {
        let mut bytes = vec![code, data.len() as u8];
        bytes.extend(data);
        bytes
    })
}

fn extra(code: u16, data: &[u8]) -> ExtraOption {
    ExtraOption { code, data: data.to_vec(), when: vec![] }
}

fn ask_with(options: Vec<ExtraOption>, message: &Message) -> Message {
    let mut leases = leases();
    leases.get_mut(&CLIENT).unwrap().options = options;
    let reply = dhcp_reply(&message.to_vec().unwrap(), &leases).unwrap();
    Message::from_bytes(&reply.message).unwrap()
}

#[test]
fn a_ports_own_options_take_the_place_of_the_networks() {
    let own = vec![
        extra(26, &[5, 0]),
        extra(42, &[10, 0, 0, 9]),
        extra(3, &[]),
        extra(12, b"other"),
        extra(58, &[0, 0, 0, 9]),
    ];
    let told = ask_with(own.clone(), &request(MessageType::Discover, CLIENT, &[]));
    assert_eq!(option_text(&told, 26), "InterfaceMtu(1280)");
    assert_eq!(option_text(&told, 42), "NtpServers([10.0.0.9])");
    assert_eq!(option_text(&told, 3), "-", "empty: no router");
    assert_eq!(option_text(&told, 12), r#"Hostname("other")"#);
    assert_eq!(option_text(&told, 58), "Renewal(9)");
    // Who names what it wants gets no more than that.
    let list = DhcpOption::ParameterRequestList(vec![OptionCode::Router]);
    let told = ask_with(own, &request(MessageType::Discover, CLIENT, &[list]));
    assert_eq!((option_text(&told, 42), option_text(&told, 3)), ("-".to_owned(), "-".to_owned()));
}

#[test]
fn what_to_boot_from_stands_in_the_header_or_in_options() {
    let boot = || {
        let to_ipxe = Tag { name: "ipxe".to_owned(), absent: false };
        let to_others = Tag { name: "ipxe".to_owned(), absent: true };
        vec![
            extra(ExtraOption::NEXT_SERVER, &[10, 0, 0, 99]),
            extra(66, b"boot.example.org"),
            ExtraOption { when: vec![to_ipxe], ..extra(67, b"http://x/boot.ipxe") },
            ExtraOption { when: vec![to_others], ..extra(67, b"undionly.kpxe") },
        ]
    };
    let asking = DhcpOption::ParameterRequestList(vec![OptionCode::TFTPServerName, OptionCode::BootfileName]);
    let told = ask_with(boot(), &request(MessageType::Discover, CLIENT, std::slice::from_ref(&asking)));
    assert_eq!(told.siaddr(), Ipv4Addr::new(10, 0, 0, 99));
    assert_eq!(option_text(&told, 67), format!("BootfileName({:?})", b"undionly.kpxe"));
    assert_eq!(told.fname(), None, "{:?}", told.fname());

    let list = DhcpOption::ParameterRequestList(vec![OptionCode::Router]);
    let told = ask_with(boot(), &request(MessageType::Discover, CLIENT, &[list]));
    assert_eq!(told.fname().unwrap(), b"undionly.kpxe\0");
    assert_eq!(told.sname().unwrap(), b"boot.example.org\0");
    assert_eq!(option_text(&told, 67), "-");

    let ipxe = DhcpOption::Unknown(dhcproto::v4::UnknownOption::new(OptionCode::from(175), vec![1]));
    let told = ask_with(boot(), &request(MessageType::Discover, CLIENT, &[asking, ipxe]));
    assert_eq!(option_text(&told, 67), format!("BootfileName({:?})", b"http://x/boot.ipxe"));
}

/// The data of all options of a number, in the order in which they stand (RFC 3396).
fn joined(message: &[u8], code: u8) -> (usize, Vec<u8>) {
    let (mut at, mut parts, mut data) = (240, 0, vec![]);
    while message[at] != 255 {
        if message[at] == 0 {
            at += 1;
            continue;
        }
        let length = usize::from(message[at + 1]);
        if message[at] == code {
            parts += 1;
            data.extend(&message[at + 2..][..length]);
        }
        at += 2 + length;
    }
    (parts, data)
}

/// Two names of RFC 3397 section 2, of which the second ends as the first.
const SEARCHLIST: &[u8] = b"\x03eng\x05apple\x03com\0\x09marketing\xc0\x04";

#[test]
fn domains_to_search_are_told_to_who_asks() {
    let list = DhcpOption::ParameterRequestList(vec![OptionCode::DomainSearch]);
    let told = ask_with(vec![extra(119, SEARCHLIST)], &request(MessageType::Discover, CLIENT, &[list]));
    let Some(DhcpOption::DomainSearch(names)) = told.opts().get(OptionCode::DomainSearch) else { panic!("{told:?}") };
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["eng.apple.com.", "marketing.apple.com."]);
    let other = DhcpOption::ParameterRequestList(vec![OptionCode::Router]);
    let told = ask_with(vec![extra(119, SEARCHLIST)], &request(MessageType::Discover, CLIENT, &[other]));
    assert_eq!(option_text(&told, 119), "-");
}

proptest! {
    /// A value that is longer than one option may be stands in several that the client puts together, or nowhere: never a part.
    #[test]
    fn long_values_are_split_and_whole(data in proptest::collection::vec(any::<u8>(), 1..1024), size in 576u16..1500) {
        let mut leases = leases();
        leases.get_mut(&CLIENT).unwrap().options = vec![extra(119, &data)];
        let asked = request(MessageType::Discover, CLIENT, &[DhcpOption::MaxMessageSize(size)]);
        let reply = dhcp_reply(&asked.to_vec().unwrap(), &leases).unwrap();
        let (parts, told) = joined(&reply.message, 119);
        prop_assert!(told.is_empty() || told == data);
        prop_assert_eq!(parts, told.len().div_ceil(255));
        // Header, mandatory options and the end mark take less than 100 octets of the least that every client takes.
        prop_assert!(!told.is_empty() || data.len() + data.len().div_ceil(255) * 2 + 240 + 100 > usize::from(size) - 28);
    }

    #[test]
    fn arbitrary_bytes_are_survived(data in proptest::collection::vec(any::<u8>(), 0..700)) {
        fuzz_dhcp(&data);
    }

    /// Whatever a client says, it is only ever given an address of its own, and a stranger is given nothing.
    #[test]
    fn nobody_gets_another_ones_address(
        kind in 1u8..10,
        known: bool,
        addresses: [u32; 2],
        tail in proptest::collection::vec(option(), 0..8),
    ) {
        let mac = if known { CLIENT } else { STRANGER };
        let mut packet = request(MessageType::from(kind), mac, &[]).to_vec().unwrap();
        packet[12..16].copy_from_slice(&addresses[0].to_be_bytes());
        packet[24..28].copy_from_slice(&addresses[1].to_be_bytes());
        packet.pop();
        packet.extend(tail.concat());
        let leases = leases();
        if let Ok(reply) = dhcp_reply(&packet, &leases) {
            prop_assert!(known);
            let given = Ipv4Addr::from(<[u8; 4]>::try_from(&reply.message[16..20]).unwrap());
            prop_assert!(given.is_unspecified() || given == OURS, "{given}");
        }
    }
}
