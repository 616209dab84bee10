//! Networks of every type between two hosts, a trunk, and a limit.
//!
//! ```text
//!  node1 ══ physnet1: flat, VLAN ══ physnet2: VLAN ══ VXLAN, GRE, Geneve ══ node2        local: each host alone
//!  trunk1 on node1: untagged on the flat network, tag 50 on the VXLAN network
//! ```

use super::building::{instances, network};
use super::{admin, made, reaches, shows, text};
use crate::lab::{PING, Probe, Seen};
use crate::story::Story;
use crate::{Client, Failure, Lab, command};

/// Name, how it is made, and whether it leads from one host to the other.
const NETWORKS: [(&str, &str, bool); 7] = [
    ("flat", "--provider-network-type flat --provider-physical-network physnet1", true),
    ("vlan1", "--provider-network-type vlan --provider-physical-network physnet1 --provider-segment 101", true),
    ("vlan2", "--provider-network-type vlan --provider-physical-network physnet2 --provider-segment 201", true),
    ("vxlan", "--provider-network-type vxlan", true),
    ("gre", "--provider-network-type gre", true),
    ("geneve", "--provider-network-type geneve", true),
    ("local", "--provider-network-type local", false),
];

/// Tag of the subport on the trunk; not that of its network on the wire.
const TAG: u16 = 50;

/// Tells it.
pub fn tell(lab: &Lab, story: &mut Story) -> Result<(), Failure> {
    let admin = admin(lab)?;
    story.chapter("A network of every type");
    let commands: Vec<String> = NETWORKS
        .iter()
        .enumerate()
        .flat_map(|(number, (name, kind, _))| {
            let [network, subnet] = network(name, &format!("10.{}.0.0/24", number + 1), "--no-dhcp");
            [format!("{network} {kind}"), subnet]
        })
        .collect();
    let answers = made(story, "networks on two physical networks, and tunnelled ones", &admin, &commands)?;
    let mut peers = Vec::new();
    for ((name, _, leads), answer) in NETWORKS.iter().zip(answers.iter().filter(|answer| answer["mtu"].is_u64())) {
        let mtu = answer["mtu"].as_u64().unwrap_or_default();
        let names = [format!("{name}-1"), format!("{name}-2")];
        let wanted = [(names[0].as_str(), *name, "node1", &[][..]), (names[1].as_str(), *name, "node2", &[])];
        let [here, there] = instances(lab, &admin, story, wanted)?;
        let why = if *leads { "one packet of the whole MTU, unfragmented" } else { "each host is alone with it" };
        reaches(story, &format!("{name}, MTU {mtu}: node1 -> node2"), why, *leads, || {
            whole(&here, &there.address, mtu)
        })?;
        peers.push((*name, there));
    }
    let peer = |name: &str| peers.iter().find(|(known, _)| *known == name).map(|(_, probe)| probe.address.clone());
    let (untagged, tagged) = (peer("flat").unwrap_or_default(), peer("vxlan").unwrap_or_default());
    trunk(lab, &admin, story, &untagged, &tagged)?;
    limit(lab, &admin, story)
}

/// A ping as large as the network takes. The first packets may come too early for a cold cache on the way.
fn whole(from: &Probe, to: &str, mtu: u64) -> Result<Seen, Failure> {
    let size = mtu.saturating_sub(28).to_string();
    let output = command::output(&mut from.command(&[&PING[..], &["-M", "do", "-s", &size, to]].concat()))?;
    Ok(if output.status.success() { Seen::Answer(String::new()) } else { Seen::Silence })
}

fn trunk(lab: &Lab, admin: &Client, story: &mut Story, untagged: &str, tagged: &str) -> Result<(), Failure> {
    story.chapter("A trunk");
    let answers = made(
        story,
        "trunk1: a parent on flat, a subport on vxlan with tag 50",
        admin,
        &[
            "port create parent --network flat -f json".to_owned(),
            "port create subport --network vxlan -f json".to_owned(),
            format!(
                "network trunk create trunk1 --parent-port parent \
                 --subport port=subport,segmentation-type=vlan,segmentation-id={TAG}"
            ),
        ],
    )?;
    let mut create = lab.command(&["probe", "create", "trunk1", "--port", "parent", "--host", "node1"]);
    create.envs(admin.environment());
    story.does("an instance on the parent", || command::run(&mut create), |said| said.trim().to_owned())?;
    lab.wait_until("the trunk is ACTIVE", || {
        Ok(admin.text("status", &["network", "trunk", "show", "trunk1"])? == "ACTIVE")
    })?;
    let inside = |words: &[&str]| lab.command(&[&["probe", "exec", "trunk1", "--"], words].concat());
    reaches(story, "untagged frames", "are the parent's, on flat", true, || {
        let output = command::output(&mut inside(&[&PING[..], &[untagged]].concat()))?;
        Ok(if output.status.success() { Seen::Answer(String::new()) } else { Seen::Silence })
    })?;
    let (mac, address) = (text(&answers[1], "mac_address")?, &answers[1]["fixed_ips"][0]["ip_address"]);
    let address = address.as_str().unwrap_or_default();
    for (tag, mine, why) in [(TAG, true, "are the subport's, on vxlan"), (TAG + 1, false, "are nobody's")] {
        reaches(story, &format!("ARP with tag {tag} to node2"), why, mine, || {
            let arguments = [&tag.to_string(), mac, address, tagged];
            let output = command::output(&mut inside(&[&["python3", "-c", ASK], &arguments[..]].concat()))?;
            let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            Ok(if output.status.success() { Seen::Answer(said) } else { Seen::Silence })
        })?;
    }
    Ok(())
}

/// Asks for an address by tagged ARP, for the kernel here has no VLAN devices; succeeds with an answer of the same tag.
const ASK: &str = r#"
import select, socket, struct, sys, time
tag, mac, own, wanted = int(sys.argv[1]), bytes.fromhex(sys.argv[2].replace(":", "")), *sys.argv[3:5]
packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
packet.bind(("eth0", 0))
packet.setsockopt(263, 8, 1)
own, wanted = socket.inet_aton(own), socket.inet_aton(wanted)
question = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + own + bytes(6) + wanted
frame = b"\xff" * 6 + mac + struct.pack("!HHH", 0x8100, tag, 0x0806) + question
until = time.time() + 4
while time.time() < until:
    packet.send(frame)
    pause = time.time() + 0.5
    while select.select([packet], [], [], max(0, pause - time.time()))[0]:
        data, extra, _, origin = packet.recvmsg(2048, 512)
        if origin[2] == 4:
            continue
        seen = 0
        for level, kind, value in extra:
            if (level, kind) == (263, 8):
                status, _, _, _, _, tci = struct.unpack_from("=IIIHHH", value)
                seen = tci & 0xfff if status & 16 else 0
        if data[12:14] == b"\x81\x00":
            seen, data = struct.unpack("!H", data[14:16])[0] & 0xfff, data[:12] + data[16:]
        if seen == tag and data[12:14] == b"\x08\x06" and data[20:22] == b"\x00\x02" and data[28:32] == wanted:
            print("answered by", data[22:28].hex(":"))
            sys.exit(0)
sys.exit(1)
"#;

fn limit(lab: &Lab, admin: &Client, story: &mut Story) -> Result<(), Failure> {
    story.chapter("A limit");
    made(
        story,
        "a policy of 1 Mbit/s from the port, on the instance flat-1",
        admin,
        &[
            "network qos policy create slow",
            "network qos rule create slow --type bandwidth-limit --max-kbps 1000 --max-burst-kbits 400 --egress",
            "port set flat-1 --qos-policy slow",
        ],
    )?;
    let meters = || lab.exec("node1", &["ovs-ofctl", "-O", "OpenFlow14", "dump-meters", "br-int"]);
    lab.wait_until("the limit is realised", || Ok(meters()?.contains("rate=1000")))?;
    shows(story, "ovs-ofctl dump-meters br-int", "a meter that drops", &["kbps", "rate=1000", "burst_size=400"], meters)
}
