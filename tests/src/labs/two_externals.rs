//! One host, two flat external networks on two bridges, one L3 agent; floating IPs from a pool given as a range.
//!
//! ```text
//!  world  203.0.113.1  ── br-ex  ── external  ── `r1` ── net1 10.1.0.0/24   vm1
//!  world2 198.51.100.1 ── br-ex2 ── external2 ── `r2` ── net2 10.2.0.0/24   vm2
//! ```

use super::{admin, flows, made, ping_from, reaches, short, shows, tag, tcp_from, text, user, within};
use crate::capture::Capture;
use crate::lab::Probe;
use crate::story::Story;
use crate::{Client, Failure, Lab};

const HOST: &str = "node1";
const WORLD: &str = "203.0.113.1";
const WORLD2: &str = "198.51.100.1";

/// Tells it.
pub fn tell(lab: &Lab, story: &mut Story) -> Result<(), Failure> {
    let admin = admin(lab)?;
    story.chapter("Two ways out, and a network behind each");
    made(
        story,
        "flat external networks on external and external2: DHCP off, a range of addresses, the gateway elsewhere",
        &admin,
        &[
            "network create ext1 --external --share --provider-network-type flat --provider-physical-network external",
            "subnet create ext1-subnet --network ext1 --subnet-range 203.0.113.0/24 --gateway 203.0.113.1 --no-dhcp \
             --allocation-pool start=203.0.113.100,end=203.0.113.119",
            "network create ext2 --external --share --provider-network-type flat --provider-physical-network external2",
            "subnet create ext2-subnet --network ext2 --subnet-range 198.51.100.0/24 --gateway 198.51.100.1 --no-dhcp \
             --allocation-pool start=198.51.100.100,end=198.51.100.119",
        ],
    )?;
    let demo = user(lab, &admin, "demo")?;
    made(
        story,
        "net1 behind r1 with its gateway on ext1, net2 behind r2 with its gateway on ext2",
        &demo,
        &[
            "network create net1",
            "subnet create net1-subnet --network net1 --subnet-range 10.1.0.0/24",
            "router create r1 --external-gateway ext1",
            "router add subnet r1 net1-subnet",
            "network create net2",
            "subnet create net2-subnet --network net2 --subnet-range 10.2.0.0/24",
            "router create r2 --external-gateway ext2",
            "router add subnet r2 net2-subnet",
        ],
    )?;
    let mut probe = |name: &str, network: &str| {
        story.does(
            &format!("instance {name} on {network}"),
            || lab.create_probe(&demo, name, network, HOST, &[]),
            |probe| format!("lease {}", probe.address),
        )
    };
    let (vm1, vm2) = (probe("vm1", "net1")?, probe("vm2", "net2")?);
    external_bridge(lab, &admin, story)?;

    story.chapter("Both reach outside");
    for (probe, address, why) in [(&vm1, WORLD, "by ext1"), (&vm2, WORLD2, "by ext2")] {
        reaches(story, &format!("ping {} -> {address}", probe.name), why, true, || probe.ping(address))?;
    }
    floating_ip(lab, &admin, &demo, &vm1, story)
}

/// What the flows of br-ex do, and that the wire carries plain frames.
fn external_bridge(lab: &Lab, admin: &Client, story: &mut Story) -> Result<(), Failure> {
    story.chapter("The external bridge");
    let ports = admin.json(&["port", "list", "--device-owner", "network:router_gateway", "--router", "r1"])?;
    let qg = format!("qg-{}", short(text(&ports[0], "ID")?));
    let vlan = tag(lab, HOST, &qg)?;
    let patch = lab.exec(HOST, &["ovs-vsctl", "get", "interface", "phy-br-ex", "ofport"])?;
    let patch = patch.trim();
    let tagged = format!("priority=4,in_port={patch},dl_vlan={vlan} actions=pop_vlan,NORMAL");
    let dropped = format!("priority=2,in_port={patch} actions=drop");
    shows(
        story,
        "ovs-ofctl dump-flows br-ex",
        "the network's local VLAN is untagged and forwarded, other traffic of the patch dropped, the rest NORMAL",
        &[&tagged, &dropped, "priority=0 actions=NORMAL"],
        || flows(lab, HOST, "br-ex", "table=0"),
    )?;
    let outside = Capture::start(lab, "outside", "switch", "arp or icmp")?;
    let namespace = router_namespace(admin, "r1")?;
    reaches(story, "ping from the router -> world", "through both bridges", true, || {
        ping_from(lab, HOST, Some(&namespace), WORLD)
    })?;
    let wire = outside.stop()?;
    story.sees("the same packets outside", "no VLAN anomaly on the wire", || {
        let right = wire.contains("ICMP echo request") && !wire.contains("802.1Q") && !wire.contains("vlan ");
        Ok((right, if right { "untagged".to_owned() } else { wire.clone() }))
    })
}

fn router_namespace(client: &Client, router: &str) -> Result<String, Failure> {
    Ok(format!("qrouter-{}", client.text("id", &["router", "show", router])?))
}

/// Rules, a floating IP, and what the router makes of it.
fn floating_ip(lab: &Lab, admin: &Client, demo: &Client, vm1: &Probe, story: &mut Story) -> Result<(), Failure> {
    story.chapter("A floating IP");
    vm1.serve(22)?;
    let answers = made(
        story,
        "floating IP from the range of ext1, for vm1",
        demo,
        &[format!("floating ip create ext1 --port {} -f json", vm1.port)],
    )?;
    let floating = text(&answers[0], "floating_ip_address")?.to_owned();
    lab.wait_until("the floating IP is ACTIVE", || {
        Ok(demo.text("status", &["floating", "ip", "show", &floating])? == "ACTIVE")
    })?;
    for (what, seen) in [
        ("ping world -> floating IP", ping_from(lab, "world", None, &floating)),
        ("TCP 22 world -> floating IP", tcp_from(lab, "world", &floating, 22)),
    ] {
        reaches(story, what, "group default lets nobody in yet", false, || seen)?;
    }
    made(
        story,
        "rules for SSH and ICMP in group default",
        demo,
        &[
            "security group rule create default --protocol tcp --dst-port 22",
            "security group rule create default --protocol icmp",
        ],
    )?;
    reaches(story, "ping world -> floating IP", "allowed now", true, || {
        let mut seen = ping_from(lab, "world", None, &floating)?;
        lab.wait_until("the rule is realised", || {
            if seen == crate::lab::Seen::Silence {
                seen = ping_from(lab, "world", None, &floating)?;
            }
            Ok(seen != crate::lab::Seen::Silence)
        })?;
        Ok(seen)
    })?;
    reaches(story, "TCP 22 world -> floating IP", "vm1 sees the world's own address", true, || {
        tcp_from(lab, "world", &floating, 22)
    })?;
    let namespace = router_namespace(admin, "r1")?;
    shows(story, "the router's qg-", "carries the floating address", &[&format!("{floating}/32")], || {
        within(lab, HOST, &namespace, &["ip", "-4", "address"])
    })?;
    let pairs = [format!("{floating} : {}", vm1.address), format!("{} : {floating}", vm1.address)];
    shows(story, "nft list ruleset", "one to one, in both directions", &[&pairs[0], &pairs[1]], || {
        within(lab, HOST, &namespace, &["nft", "list", "ruleset"])
    })
}
