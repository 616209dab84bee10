//! Labs 5 to 9: a controller and two computes on one provider network; flat, then VLAN, then a router, then VXLAN.
//!
//! ```text
//!            world 172.16.0.1
//!  ── flat 172.16.0.0/24 ──┬────────── provider wire, untagged       f1 (compute1)  f2 (compute2)
//!  ── vlan 192.168.100.0/24 ─┬──────── the same wire, tag 100        v1 (compute1)  v2 (compute2)
//!  ── vxlan 192.168.99.0/24 ── underlay                              x1 (compute1)  x2 (compute2)
//! ```

use super::building::{instances, lets_in, network, outside};
use super::{admin, flows, made, ping_from, reaches, short, shows, tag, tagged, text, user, within};
use crate::capture::Capture;
use crate::lab::{Probe, Seen};
use crate::story::Story;
use crate::{Client, Failure, Lab, command};

const WORLD: &str = "172.16.0.1";

/// Tells it.
pub fn tell(lab: &Lab, story: &mut Story) -> Result<(), Failure> {
    let admin = admin(lab)?;
    let demo = user(lab, &admin, "demo")?;
    let flat = flat(lab, &admin, &demo, story)?;
    let vlan = vlan(lab, &admin, &demo, &flat, story)?;
    router(lab, &admin, &demo, &vlan, story)?;
    vxlan(lab, &admin, &demo, story)
}

fn flat(lab: &Lab, admin: &Client, demo: &Client, story: &mut Story) -> Result<[Probe; 2], Failure> {
    story.chapter("Labs 5 and 6: a flat network");
    made(
        story,
        "flat shared external network, pool .2 to .10",
        admin,
        &outside(
            "flat-network",
            "physnet1",
            "172.16.0.0/24",
            "--gateway 172.16.0.1 --allocation-pool start=172.16.0.2,end=172.16.0.10",
        ),
    )?;
    made(story, "rule for ping", demo, &lets_in("default", &["--protocol icmp"]))?;
    let wanted = [("f1", "flat-network", "compute1", &[][..]), ("f2", "flat-network", "compute2", &[])];
    let [f1, f2] = instances(lab, demo, story, wanted)?;
    let in_pool = |probe: &Probe| {
        let last = probe.address.strip_prefix("172.16.0.").and_then(|last| last.parse::<u8>().ok());
        last.is_some_and(|last| (2..=10).contains(&last))
    };
    story.sees("addresses", "from the pool", || {
        Ok((in_pool(&f1) && in_pool(&f2), format!("{} and {}", f1.address, f2.address)))
    })?;
    let wire = Capture::start(lab, "provider", "switch", "icmp")?;
    reaches(story, "ping f1 -> f2", "across the provider wire", true, || f1.ping(&f2.address))?;
    let wire = wire.stop()?;
    story.sees("the same packets on the wire", "untagged", || {
        Ok((wire.contains("ICMP echo request") && !wire.contains("vlan "), "untagged".into()))
    })?;
    for (here, there) in [(&f1, &f2), (&f2, &f1)] {
        let neighbour = format!("{} dev", there.address);
        shows(story, &format!("ARP cache of {}", here.name), &format!("has {}", there.name), &[&neighbour], || {
            here.run(&["ip", "neigh"])
        })?;
    }
    shows(
        story,
        "routes of f1",
        "metadata by the DHCP server: no router is there",
        &["169.254.169.254 via 172.16.0."],
        || f1.run(&["ip", "route"]),
    )?;
    story.sees(
        "br-int of compute1",
        "the tap is an access port of local VLAN 1; fail_mode secure; patches to br-phys",
        || {
            let shown = lab.exec("compute1", &["ovs-vsctl", "show"])?;
            let local = tag(lab, "compute1", &f1.device)?;
            let wanted =
                ["fail_mode: secure", "Port int-br-phys", "peer=phy-br-phys", "Port phy-br-phys", "peer=int-br-phys"];
            let missing: Vec<_> = wanted.iter().filter(|word| !shown.contains(**word)).collect();
            Ok((missing.is_empty() && local == "1", format!("tag {local}, missing {missing:?}")))
        },
    )?;
    story.sees("tables of br-int", "those that operators know", || {
        let all = flows(lab, "compute1", "br-int", "")?;
        let missing: Vec<u8> = [23, 24, 25, 60, 71, 72, 73, 81, 82, 91, 92, 93, 94]
            .into_iter()
            .filter(|table| !all.contains(&format!("table={table},")) && *table != 25)
            .collect();
        // Table 25 is where Neutron looks at MAC addresses; port security is one table here, 71.
        Ok((missing.is_empty(), format!("missing {missing:?}")))
    })?;
    shows(
        story,
        "br-phys of compute1",
        "local VLAN 1 leaves untagged; nothing else of br-int does",
        &["dl_vlan=1 actions=pop_vlan,NORMAL", "actions=drop"],
        || flows(lab, "compute1", "br-phys", "table=0"),
    )?;
    shows(story, "reserved VLAN", "4095 is dropped first", &["priority=65535,dl_vlan=4095 actions=drop"], || {
        flows(lab, "compute1", "br-int", "table=0")
    })?;
    without_port_security(lab, admin, &f1, story)?;
    Ok([f1, f2])
}

/// The frame's way with port security off: 0, 60, 73, 94.
fn without_port_security(lab: &Lab, admin: &Client, f1: &Probe, story: &mut Story) -> Result<(), Failure> {
    let groups = admin.json(&["port", "show", &f1.port])?;
    let group = groups["security_group_ids"][0].as_str().unwrap_or_default().to_owned();
    let before = format!("port set {} --no-security-group --disable-port-security", f1.port);
    made(story, "port security of f1 off, as the network is admin's", admin, &[before])?;
    let number = lab.exec("compute1", &["ovs-vsctl", "get", "interface", &f1.device, "ofport"])?;
    let number = number.trim().to_owned();
    let link = command::run(&mut f1.command(&["cat", "/sys/class/net/eth0/address"]));
    let mac = match link {
        Ok(mac) => mac.trim().to_owned(),
        Err(_) => admin.text("mac_address", &["port", "show", &f1.port])?,
    };
    let packet =
        format!("in_port={number},icmp,dl_src={mac},dl_dst=fa:16:3e:00:00:99,nw_src={},nw_dst={WORLD}", f1.address);
    let mut way = String::new();
    lab.wait_until("the flows without port security are there", || {
        let trace = lab.exec("compute1", &["ovs-appctl", "ofproto/trace", "br-int", &packet])?;
        way = trace;
        Ok(!way.contains("71. "))
    })?;
    shows(
        story,
        "ofproto/trace of f1's frame",
        "0, 60, 73, 94: no groups, no anti-spoofing",
        &["60. ", "73. ", "94. "],
        || Ok(way),
    )?;
    made(
        story,
        "and on again",
        admin,
        &[format!("port set {} --enable-port-security --security-group {group}", f1.port)],
    )?;
    Ok(())
}

fn vlan(lab: &Lab, admin: &Client, demo: &Client, flat: &[Probe; 2], story: &mut Story) -> Result<[Probe; 2], Failure> {
    story.chapter("Lab 7: VLAN 100 beside it");
    made(
        story,
        "VLAN network with id 100, given to demo",
        admin,
        &[
            "network create vlan-network --project demo --provider-network-type vlan --provider-physical-network physnet1 \
           --provider-segment 100",
        ],
    )?;
    made(
        story,
        "its subnet",
        demo,
        &["subnet create vlan-network-subnet --network vlan-network --subnet-range 192.168.100.0/24"],
    )?;
    let wanted = [("v1", "vlan-network", "compute1", &[][..]), ("v2", "vlan-network", "compute2", &[])];
    let [v1, v2] = instances(lab, demo, story, wanted)?;
    let local = tag(lab, "compute1", &v1.device)?;
    shows(
        story,
        "br-phys of compute1",
        "the local VLAN becomes 100 on its way out",
        &[&format!("dl_vlan={local} actions=set_field:{}->vlan_vid,NORMAL", tagged("100"))],
        || flows(lab, "compute1", "br-phys", "table=0"),
    )?;
    shows(
        story,
        "br-int of compute1",
        "and 100 the local VLAN on its way in",
        &[&format!("dl_vlan=100 actions=set_field:{}->vlan_vid", tagged(&local))],
        || flows(lab, "compute1", "br-int", "table=0"),
    )?;
    let wire = Capture::start(lab, "provider", "switch", "vlan and icmp")?;
    reaches(story, "ping v1 -> v2", "in VLAN 100", true, || v1.ping(&v2.address))?;
    let wire = wire.stop()?;
    shows(story, "the same packets on the wire", "tagged", &["vlan 100,", "ICMP echo request"], || Ok(wire))?;
    reaches(story, "ping v1 -> f2", "without a router the two networks do not meet", false, || {
        v1.ping(&flat[1].address)
    })?;
    Ok([v1, v2])
}

fn router(lab: &Lab, admin: &Client, demo: &Client, vlan: &[Probe; 2], story: &mut Story) -> Result<(), Failure> {
    story.chapter("Lab 8: a router");
    made(
        story,
        "router of demo's: gateway on the flat network, interface on the VLAN network",
        demo,
        &super::building::router("demo-router", "flat-network", &["vlan-network"]),
    )?;
    let gateway = demo.json(&["router", "show", "demo-router"])?;
    let namespace = format!("qrouter-{}", text(&gateway, "id")?);
    reaches(story, "ping v1 -> world", "out by SNAT", true, || {
        lab.wait_until("the router is there", || Ok(vlan[0].ping("192.168.100.1")? != Seen::Silence))?;
        vlan[0].ping(WORLD)
    })?;
    reaches(story, "ping world -> v1", "not in, without a floating IP", false, || {
        ping_from(lab, "world", None, &vlan[0].address)
    })?;
    let answers = made(
        story,
        "floating IP for v1",
        demo,
        &[format!("floating ip create flat-network --port {} -f json", vlan[0].port)],
    )?;
    let floating = text(&answers[0], "floating_ip_address")?.to_owned();
    lab.wait_until("the floating IP is ACTIVE", || {
        Ok(demo.text("status", &["floating", "ip", "show", &floating])? == "ACTIVE")
    })?;
    reaches(story, "ping world -> floating IP", "now it does", true, || ping_from(lab, "world", None, &floating))?;
    let ports = admin.json(&["port", "list", "--device-owner", "network:router_gateway", "--router", "demo-router"])?;
    let own = ports[0]["Fixed IP Addresses"][0]["ip_address"].as_str().unwrap_or_default().to_owned();
    let qg = format!("qg-{}", short(text(&ports[0], "ID")?));
    shows(story, "qg- of the router", "two addresses", &[&format!("{own}/24"), &format!("{floating}/32")], || {
        within(lab, "controller", &namespace, &["ip", "-4", "address", "show", "dev", &qg])
    })?;
    shows(
        story,
        "nft list ruleset in qrouter-",
        "marks packets with their address scope",
        &["device_scopes", "meta mark set"],
        || within(lab, "controller", &namespace, &["nft", "list", "ruleset"]),
    )?;
    story.does(
        "a port of its own in VLAN 100 on br-phys of compute2",
        || {
            lab.exec(
                "compute2",
                &[
                    "ovs-vsctl",
                    "add-port",
                    "br-phys",
                    "vlan100",
                    "tag=100",
                    "--",
                    "set",
                    "interface",
                    "vlan100",
                    "type=internal",
                ],
            )?;
            lab.exec("compute2", &["ip", "address", "add", "192.168.100.250/24", "dev", "vlan100"])?;
            lab.exec("compute2", &["ip", "link", "set", "vlan100", "up"])
        },
        |_| "192.168.100.250".into(),
    )?;
    reaches(story, "ping compute2 -> v1", "direct access to the tenant network", true, || {
        ping_from(lab, "compute2", None, &vlan[0].address)
    })
}

fn vxlan(lab: &Lab, admin: &Client, demo: &Client, story: &mut Story) -> Result<(), Failure> {
    story.chapter("Lab 9: VXLAN");
    let [network, subnet] = network("vxlan-network", "192.168.99.0/24", "");
    let commands = [network, subnet, "router add subnet demo-router vxlan-network-subnet".to_owned()];
    let answers = made(story, "demo makes a network without saying a type", demo, &commands)?;
    let id = text(&answers[0], "id")?.to_owned();
    let flood = |host: &str| flows(lab, host, "br-tun", "table=22");
    story.sees("table 22 of compute1's br-tun", "nothing is flooded while there is no port", || {
        let flows = flood("compute1")?;
        Ok((flows.contains("priority=0 actions=drop") && !flows.contains("output:"), "drop".into()))
    })?;
    let [x1] = instances(lab, demo, story, [("x1", "vxlan-network", "compute1", &[])])?;
    let one = flood("compute1")?.matches("output:").count();
    let [x2] = instances(lab, demo, story, [("x2", "vxlan-network", "compute2", &[])])?;
    lab.wait_until("compute1 knows of x2", || Ok(flood("compute1")?.matches("output:").count() != one))?;
    story.sees("table 22 of compute1, before and after x2", "floods only to hosts that have the network", || {
        let two = flood("compute1")?.matches("output:").count();
        Ok(((one, two) == (1, 2), format!("{one} and {two} tunnels")))
    })?;
    let shown = admin.session(&[
        format!("network show {id} -f json"),
        format!("port show {} -f json", x2.port),
        "network create second -f json".to_owned(),
        "network create third -f json".to_owned(),
        "network delete second third".to_owned(),
    ])?;
    let vni = shown[0]["provider:segmentation_id"].as_u64().unwrap_or_default();
    story.sees("its type", "the first tenant type, with a VNI of the range", || {
        let kind = text(&shown[0], "provider:network_type")?;
        Ok((kind == "vxlan" && (1..=2).contains(&vni), format!("{kind} {vni}")))
    })?;
    story.sees("the next networks' types", "when VNIs have run out, the next type", || {
        let kinds = (text(&shown[2], "provider:network_type")?, text(&shown[3], "provider:network_type")?);
        Ok((kinds == ("vxlan", "vlan"), format!("{} and {}", kinds.0, kinds.1)))
    })?;
    let (local, mac) = (tag(lab, "compute1", &x1.device)?, text(&shown[1], "mac_address")?.to_owned());
    let ports = lab.exec("compute1", &["ovs-vsctl", "list-ports", "br-tun"])?;
    story.sees("br-tun of compute1", "one VXLAN port per peer", || {
        let tunnels = ports.lines().filter(|port| port.starts_with("vxlan-")).count();
        Ok((tunnels == 2, ports.trim().replace('\n', ", ")))
    })?;
    let tables: Result<String, Failure> =
        ["table=4", "table=20", "table=22"].iter().map(|table| flows(lab, "compute1", "br-tun", table)).collect();
    shows(
        story,
        "tables 4, 20 and 22",
        "VNI to local VLAN; x2's MAC to its host; flooding only to who has the network",
        &[
            &format!("tun_id=0x{vni:x} actions=push_vlan:0x8100,set_field:{}->vlan_vid", tagged(&local)),
            &format!("dl_vlan={local},dl_dst={mac}"),
            &format!("priority=1,dl_vlan={local}"),
        ],
        || tables,
    )?;
    let wire = Capture::start(lab, "underlay", "switch", "udp port 4789")?;
    reaches(story, "ping x1 -> x2", "between hosts in VXLAN", true, || x1.ping(&x2.address))?;
    let wire = wire.stop()?;
    story.sees(
        "the underlay",
        "the echo is there; no ARP request is: it is answered at home (l2population)",
        || {
            let right = wire.contains(&format!("vni {vni}")) && wire.contains("ICMP echo request");
            let asked = wire.contains(&format!("who-has {}", x2.address));
            Ok((right && !asked, format!("echo {right}, ARP {asked}")))
        },
    )?;
    reaches(story, "ping x1 -> world", "by the router on the controller", true, || x1.ping(WORLD))
}
