//! Port mirroring, and what the switch tells collectors, against the real Open vSwitch with real traffic.
//!
//! Needs root, Open vSwitch, iproute2, ethtool, tcpdump and python3.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::view::{add_network, add_port, add_secured_port, id, ip, mac};
use common::{Host, Instance, on_a_host};
use host_view::{Segment, TapDirection, TapMirror, TapMirrorKind, TapService, Trunk};
use net_types::{MacAddr, PortId, TrunkId, VlanId};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use uuid::Uuid;

/// Beyond what the slowest machine needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until what `ovs-vsctl` prints is such.
async fn until(host: &Host, what: &str, words: &[&str], is_such: impl Fn(&str) -> bool) {
    let mut printed = String::new();
    for _ in 0..200 {
        printed = host.switch.vsctl(words).unwrap();
        if is_such(&printed) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("never: {what}; {printed}");
}

/// Listens in an instance for so many packets.
fn listen(instance: &Instance, count: usize) -> Child {
    let words = ["netns", "exec", &instance.namespace, "timeout", "60", "tcpdump", "-lnne", "-i", "eth0", "-c"];
    let mut command = Command::new("ip");
    command.args(words).arg(count.to_string()).arg("icmp").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("listening on")));
    // Its last words must find a reader.
    std::thread::spawn(move || said.count());
    child
}

fn heard(mut child: Child) -> Vec<String> {
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    child.wait().unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Whether any flow leads copies to a port.
fn delivers(host: &Host) -> bool {
    let flows = host.flows("br-int");
    flows.lines().any(|line| line.contains("priority=250,in_port=") && line.contains("actions=output:"))
}

/// 10.0.0.1 and 10.0.0.2 on a network of their own, wired: ports and instances.
async fn two_instances(host: &Host) -> ([PortId; 2], [Instance; 2]) {
    let mut ports = None;
    host.server.change(|view| {
        let net = add_network(view, Segment::Local, "10.0.0.0/24", None);
        ports = Some([1, 2].map(|last| add_port(view, net, "compute:nova", mac(last), &format!("10.0.0.{last}"))));
    });
    let ports = ports.unwrap();
    let instances =
        [(ports[0], 1), (ports[1], 2)].map(|(port, last)| host.plug(port, mac(last), &[&format!("10.0.0.{last}/24")]));
    for port in ports {
        host.server.until_up(port).await;
    }
    (ports, instances)
}

const LIST: [&str; 4] = ["--bare", "--columns=name", "list", "mirror"];

#[test]
fn copies_reach_the_tap_service_and_nothing_else_changes() {
    on_a_host(|host| async move {
        let agent = host.agent();
        let service: Uuid = id();
        let mut ports: Vec<PortId> = vec![];
        host.server.change(|view| {
            let talkers = add_network(view, Segment::Local, "10.0.0.0/24", None);
            let watchers = add_network(view, Segment::Local, "10.0.1.0/24", None);
            ports.push(add_port(view, talkers, "compute:nova", mac(1), "10.0.0.1"));
            ports.push(add_secured_port(view, talkers, mac(2), "10.0.0.2", true));
            // Nothing is let in here.
            ports.push(add_secured_port(view, watchers, mac(3), "10.0.1.3", false));
            ports.push(add_secured_port(view, watchers, mac(4), "10.0.1.4", true));
        });
        let plug = |index: usize, address: &str| host.plug(ports[index], mac(index as u8 + 1), &[address]);
        let (one, two) = (plug(0, "10.0.0.1/24"), plug(1, "10.0.0.2/24"));
        let (monitor, _fellow) = (plug(2, "10.0.1.3/24"), plug(3, "10.0.1.4/24"));
        for port in &ports {
            host.server.until_up(*port).await;
        }
        let by_hand =
            ["--", "--id=@m", "create", "mirror", "name=by-hand", "--", "add", "bridge", "br-int", "mirrors", "@m"];
        host.switch.vsctl(&by_hand).unwrap();
        let (target, source) = (ports[2], ports[1]);
        host.server.change(|view| {
            let sources = [(source, TapDirection::Both)].into();
            let tap = TapService { port: target, host: None, key: 5, sources, from: BTreeSet::new() };
            view.tap_services.insert(service, tap);
        });
        let mirror = format!("tmo-{}", PortId(service).short());
        until(&host, "the mirror", &LIST, |names| names.contains(&mirror) && delivers(&host)).await;

        let listener = listen(&monitor, 6);
        assert!(host.inside(&one.namespace, "ping -n -c 3 -i 0.2 -W 5 10.0.0.2").is_ok());
        let copies = heard(listener);
        let distinct: BTreeSet<_> = copies
            .iter()
            .filter_map(|line| line.split_once("ICMP echo ").map(|(_, rest)| rest.split(", length").next()))
            .collect();
        assert_eq!((copies.len(), distinct.len()), (6, 6), "each request and each answer once: {copies:#?}");
        assert!(copies.iter().all(|line| line.contains("ethertype IPv4 (0x0800)")), "without a tag: {copies:#?}");
        assert!(host.can_ping(&monitor, ip("10.0.1.4")), "the monitor's own traffic goes on");

        // Taken away by hand, it comes back; what somebody else mirrors stays.
        let uuid =
            host.switch.vsctl(&["--bare", "--columns=_uuid", "find", "mirror", &format!("name={mirror}")]).unwrap();
        host.switch.vsctl(&["remove", "bridge", "br-int", "mirrors", uuid.trim()]).unwrap();
        until(&host, "mended", &LIST, |names| names.contains(&mirror)).await;
        // The source is taken out and put in again.
        let selected =
            ["--bare", "--columns=select_src_port,select_dst_port", "find", "mirror", &format!("name={mirror}")];
        host.unplug(&two);
        host.server.until_down(source).await;
        until(&host, "nothing to mirror", &LIST, |names| !names.contains(&mirror)).await;
        let iface_id = format!("external_ids:iface-id={source}");
        let device = two.device.as_str();
        host.switch.vsctl(&["add-port", "br-int", device, "--", "set", "Interface", device, &iface_id]).unwrap();
        host.server.until_up(source).await;
        until(&host, "mirrored again", &selected, |ports| ports.split_whitespace().count() == 2).await;

        let revision = host.server.change(|view| view.tap_services.clear());
        host.server.until_revision(revision).await;
        until(&host, "only theirs is left", &LIST, |names| names.trim() == "by-hand").await;
        until(&host, "nor its ports", &["list-ports", "br-int"], |ports| !ports.contains("tmo-")).await;
        assert!(!delivers(&host));
        agent.stop().await;
    });
}

/// The sum of RFC 1071.
fn checksum(octets: &[u8]) -> [u8; 2] {
    let words = octets.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

/// An echo request with a tag, as an instance with a trunk sends it.
fn tagged_echo(from: (MacAddr, [u8; 4]), to: (MacAddr, [u8; 4]), tag: u16, number: u16) -> Vec<u8> {
    let mut icmp = [&[8, 0, 0, 0, 0x77, 0x77][..], &number.to_be_bytes(), &[0; 32]].concat();
    let sum = checksum(&icmp);
    icmp[2..4].copy_from_slice(&sum);
    let length = (20 + icmp.len() as u16).to_be_bytes();
    let mut ip = [&[0x45, 0], &length[..], &[0, 0, 0, 0, 64, 1, 0, 0], &from.1, &to.1].concat();
    let sum = checksum(&ip);
    ip[10..12].copy_from_slice(&sum);
    [&to.0.0[..], &from.0.0, &[0x81, 0], &tag.to_be_bytes(), &[8, 0], &ip, &icmp].concat()
}

/// What a subport sends and gets, tagged on its trunk, is copied untagged; nothing of the parent is.
#[test]
fn a_subports_frames_are_copied() {
    on_a_host(|host| async move {
        let agent = host.agent();
        let (service, trunk): (Uuid, TrunkId) = (id(), id());
        let mut ports: Vec<PortId> = vec![];
        host.server.change(|view| {
            let nets = [0, 1, 2].map(|net| add_network(view, Segment::Local, &format!("10.0.{net}.0/24"), None));
            ports.push(add_port(view, nets[0], "compute:nova", mac(1), "10.0.0.1"));
            ports.push(add_port(view, nets[1], "trunk:subport", mac(2), "10.0.1.2"));
            ports.push(add_port(view, nets[0], "compute:nova", mac(3), "10.0.0.3"));
            ports.push(add_port(view, nets[1], "compute:nova", mac(4), "10.0.1.4"));
            ports.push(add_secured_port(view, nets[2], mac(5), "10.0.2.5", false));
            let subports = [(ports[1], VlanId::new(101).unwrap())].into();
            view.trunks.insert(trunk, Trunk { parent: ports[0], subports });
            let sources = [(ports[1], TapDirection::Both)].into();
            let tap = TapService { port: ports[4], host: None, key: 5, sources, from: BTreeSet::new() };
            view.tap_services.insert(service, tap);
        });
        let parent = host.plug_into(&trunk.bridge(), ports[0], mac(1), &["10.0.0.1/24"]);
        let _fellow = host.plug(ports[2], mac(3), &["10.0.0.3/24"]);
        let neighbour = host.plug(ports[3], mac(4), &["10.0.1.4/24"]);
        let monitor = host.plug(ports[4], mac(5), &["10.0.2.5/24"]);
        for port in &ports {
            host.server.until_up(*port).await;
        }
        let mirror = format!("tmo-{}.101", PortId(service).short());
        until(&host, "the mirror", &LIST, |names| names.contains(&mirror) && delivers(&host)).await;
        // This kernel may know no tags: the instance's frames are made by hand.
        let neighbours = format!("ip neigh add 10.0.1.2 lladdr {} dev eth0", mac(2));
        host.inside(&neighbour.namespace, &neighbours).unwrap();
        let listener = listen(&monitor, 6);
        assert!(host.can_ping(&parent, ip("10.0.0.3")), "untagged, and no copy of it");
        for number in 0..3 {
            let frame = tagged_echo((mac(2), [10, 0, 1, 2]), (mac(4), [10, 0, 1, 4]), 101, number);
            let hex: String = frame.iter().map(|octet| format!("{octet:02x}")).collect();
            let send = format!(
                "s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind((\"eth0\", 0)); s.send(bytes.fromhex(\"{hex}\"))"
            );
            host.inside(&parent.namespace, &format!("python3 -c 'import socket; {send}'")).unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let copies = heard(listener);
        let count = |what: &str| copies.iter().filter(|line| line.contains(what)).count();
        let seen = (count("10.0.1.2 > 10.0.1.4: ICMP echo request"), count("10.0.1.4 > 10.0.1.2: ICMP echo reply"));
        assert_eq!((seen, count("ethertype IPv4 (0x0800)")), ((3, 3), 6), "{copies:#?}");

        host.server.change(|view| view.tap_services.clear());
        until(&host, "nothing is mirrored any more", &LIST, |names| names.trim().is_empty()).await;
        until(&host, "nor its patch", &["list-ports", "br-int"], |ports| !ports.contains("tmu-")).await;
        let there = host.switch.vsctl(&["list-ports", &trunk.bridge()]).unwrap();
        assert!(!there.contains("tmt-") && there.contains("spt-"), "{there}");
        agent.stop().await;
    });
}

/// A packet that a collector was sent: GRE (RFC 2784, RFC 2890), in it Ethernet or ERSPAN.
#[derive(Debug)]
struct Collected {
    from: IpAddr,
    /// GRE's protocol.
    protocol: u16,
    key: Option<u32>,
    sequence: Option<u32>,
    /// ERSPAN's version (the field's 1 is type II), session and index.
    erspan: Option<(u8, u16, u32)>,
    /// What was copied.
    frame: Vec<u8>,
}

type Echo = ([u8; 6], [u8; 4], [u8; 4], u8);

const ETHERNET_IN_GRE: u16 = 0x6558;
const ERSPAN_IN_GRE: u16 = 0x88be;

impl Collected {
    /// Of an IPv4 packet.
    fn read(packet: &[u8]) -> Self {
        let word = |octets: &[u8]| u32::from_be_bytes(octets[..4].try_into().unwrap());
        let from = std::net::Ipv4Addr::from(word(&packet[12..])).into();
        let (header, rest) = packet[usize::from(packet[0] & 0xf) * 4..].split_at(4);
        let (flags, protocol) = ((word(header) >> 16) as u16, word(header) as u16);
        assert_eq!(flags & 0xcfff, 0, "of flags, key and sequence at most; no version: {packet:02x?}");
        let mut rest = rest;
        let mut field = |bit: u16| {
            (flags & bit != 0).then(|| {
                let (value, further) = rest.split_at(4);
                rest = further;
                word(value)
            })
        };
        let (key, sequence) = (field(0x2000), field(0x1000));
        let erspan = (protocol == ERSPAN_IN_GRE).then(|| {
            let (first, second) = (word(rest), word(&rest[4..]));
            rest = &rest[8..];
            ((first >> 28) as u8, (first & 0x3ff) as u16, second & 0xf_ffff)
        });
        Self { from, protocol, key, sequence, erspan, frame: rest.to_vec() }
    }

    /// Of an ICMP echo: destination's MAC, source and destination, type.
    fn echo(&self) -> Option<Echo> {
        let frame = &self.frame;
        let is_echo = frame.len() >= 42 && frame[12..14] == [8, 0] && frame[23] == 1 && matches!(frame[34], 0 | 8);
        let four = |from: usize| frame[from..from + 4].try_into().unwrap();
        is_echo.then(|| (frame[..6].try_into().unwrap(), four(26), four(30), frame[34]))
    }
}

/// A tap mirror's frames arrive at a collector outside as ERSPAN with a session for each direction, and as Ethernet in GRE
/// with one key for both.
#[test]
fn collectors_get_copies_in_erspan_and_gre() {
    on_a_host(|host| async move {
        let collector = host.switch.extra_namespace().unwrap();
        host.switch
            .run(&[
                "sh",
                "-ec",
                &format!(
                    "ip link add wire type veth peer name eth0 netns {collector}
                     sysctl -qw net.ipv6.conf.wire.disable_ipv6=1; ip link set wire up
                     ip -n {collector} link set eth0 address 02:00:c0:00:02:09
                     ip -n {collector} addr add 192.0.2.9/24 dev eth0; ip -n {collector} link set eth0 up"
                ),
            ])
            .unwrap();
        // The operator's way out: its bridge, and an address on it.
        host.switch.vsctl(&["add-br", "br-out", "--", "set", "bridge", "br-out", "datapath_type=netdev"]).unwrap();
        host.switch.vsctl(&["add-port", "br-out", "wire"]).unwrap();
        host.switch.run(&["sh", "-ec", "ip addr add 192.0.2.1/24 dev br-out; ip link set br-out up"]).unwrap();
        let raw = host_drivers::Place::named(&collector)
            .run_blocking(|| {
                let gre = socket2::Protocol::from(47);
                let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::RAW, Some(gre)).unwrap();
                socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
                socket
            })
            .unwrap();

        let agent = host.agent();
        let (erspan, gre): (Uuid, Uuid) = (id(), id());
        let ([_, two], [one, _fellow]) = two_instances(&host).await;
        let mirror = |kind, numbers: &[(TapDirection, u32)]| TapMirror {
            port: two,
            collector: ip("192.0.2.9"),
            kind,
            numbers: numbers.iter().copied().collect(),
        };
        host.server.change(|view| {
            let directions = [(TapDirection::In, 101), (TapDirection::Out, 1023)];
            view.tap_mirrors.insert(erspan, mirror(TapMirrorKind::ErspanV1, &directions));
            view.tap_mirrors.insert(gre, mirror(TapMirrorKind::Gre, &[(TapDirection::Both, 0x00c0_ffee)]));
        });
        until(&host, "the mirrors", &LIST, |names| {
            let wanted = [("tmi", erspan), ("tmq", erspan), ("tmb", gre)];
            wanted.iter().all(|(kind, id)| names.contains(&format!("{kind}-{}", PortId(*id).short())))
        })
        .await;

        // Until three echoes of each direction were heard in each way.
        let (mut heard, mut buffer) = (Vec::new(), [0u8; 2048]);
        let count = |heard: &[Collected], protocol: u16, kind: u8| {
            heard.iter().filter(|one| one.protocol == protocol && one.echo().is_some_and(|echo| echo.3 == kind)).count()
        };
        for round in 0.. {
            let wanted =
                [ETHERNET_IN_GRE, ERSPAN_IN_GRE].into_iter().flat_map(|protocol| [(protocol, 0), (protocol, 8)]);
            if wanted.clone().all(|(protocol, kind)| count(&heard, protocol, kind) >= 3) {
                break;
            }
            assert!(round < 60, "never all of it: {heard:#?}");
            let _ = host.inside(&one.namespace, "ping -n -c 3 -i 0.2 -W 1 10.0.0.2");
            while let Ok(length) = (&raw).read(&mut buffer) {
                heard.push(Collected::read(&buffer[..length]));
            }
        }
        let mut last = std::collections::BTreeMap::new();
        for one in &heard {
            assert_eq!(one.from, ip("192.0.2.1"), "by the host's route");
            let Some((to, source, target, kind)) = one.echo() else { continue };
            let is_in = kind == 8;
            let ends = if is_in { ([10, 0, 0, 1], [10, 0, 0, 2]) } else { ([10, 0, 0, 2], [10, 0, 0, 1]) };
            assert_eq!((source, target, to), (ends.0, ends.1, mac(if is_in { 2 } else { 1 }).0), "{one:?}");
            if one.protocol == ETHERNET_IN_GRE {
                assert_eq!((one.key, one.erspan), (Some(0x00c0_ffee), None));
                continue;
            }
            let session = if is_in { 101 } else { 1023 };
            assert_eq!((one.key, one.erspan), (None, Some((1, session, session.into()))), "{one:?}");
            let number = one.sequence.unwrap();
            let before = last.insert(session, number);
            assert!(before.is_none_or(|before| before < number), "they count up: {before:?}, {number}");
        }

        host.server.change(|view| view.tap_mirrors.clear());
        until(&host, "nothing is mirrored any more", &LIST, |names| names.trim().is_empty()).await;
        until(&host, "nor are there tunnels", &["list-ports", "br-int"], |ports| !ports.contains("tm")).await;
        agent.stop().await;
    });
}

#[test]
fn collectors_are_told_of_traffic() {
    on_a_host(|host| async move {
        let collectors = [0; 3].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
        let [sflow, ipfix, netflow] = [0, 1, 2].map(|index| collectors[index].local_addr().unwrap());
        let sections = format!(
            "[sflow]\ntargets = ['{sflow}']\nsampling = 1\npolling = 1\n[ipfix]\ntargets = ['{ipfix}']\nsampling = 1\n"
        );
        let third = format!("[netflow]\ntargets = ['{netflow}']\nactive_timeout = 1\n");
        let agent = host.agent_with(host.config(&format!("{sections}{third}")));
        let (_, [one, _fellow]) = two_instances(&host).await;
        let words = ["netns", "exec", &one.namespace, "ping", "-n", "-w", "60", "-i", "0.2", "10.0.0.2"];
        let mut traffic = Command::new("ip").args(words).stdout(Stdio::null()).spawn().unwrap();
        // Version 5 in 32 bits, RFC 7011's 10 and NetFlow's 5 in 16.
        let versions: [&[u8]; 3] = [&[0, 0, 0, 5], &[0, 10], &[0, 5]];
        for (collector, version) in collectors.iter().zip(versions) {
            collector.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut datagram = [0; 4096];
            let length = collector.recv(&mut datagram).unwrap();
            assert_eq!(&datagram[..version.len()], version, "{:?}", &datagram[..length.min(16)]);
        }
        traffic.kill().unwrap();
        traffic.wait().unwrap();
        agent.stop().await;

        // Another configuration: one is changed, one is gone, one was set up by hand before.
        host.switch.vsctl(&["clear", "bridge", "br-int", "ipfix"]).unwrap();
        let theirs = [
            "--",
            "--id=@i",
            "create",
            "ipfix",
            "targets=\"127.0.0.1:9\"",
            "--",
            "set",
            "bridge",
            "br-int",
            "ipfix=@i",
        ];
        host.switch.vsctl(&theirs).unwrap();
        let agent = host.agent_with(host.config(&sections.replacen("sampling = 1", "sampling = 7", 1)));
        until(&host, "the new sampling", &["--bare", "--columns=sampling,polling", "list", "sflow"], |columns| {
            columns.split_whitespace().eq(["7", "1"])
        })
        .await;
        until(&host, "no NetFlow", &["--bare", "list", "netflow"], |rows| rows.trim().is_empty()).await;
        let targets = host.switch.vsctl(&["--bare", "--columns=targets", "list", "ipfix"]).unwrap();
        assert_eq!(targets.trim(), "127.0.0.1:9", "somebody else's stays");
        agent.stop().await;
    });
}
