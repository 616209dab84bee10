//! A packet from an instance to the world, captured at every station.
//!
//! ```text
//!  compute                                        network
//!  demo1 ─ tap ─ br-int ─ br-tun ─ VXLAN ─ underlay ─ br-tun ─ br-int ─ qr- router qg- ─ br-int ─ br-ex ─ world
//!            1      2        3                 4         5        6      7          8       9      10
//! ```

use super::building::{instances, network, outside, router};
use super::{admin, flows, made, reaches, short, shows, tag, tagged, text, user, within};
use crate::capture::Capture;
use crate::story::Story;
use crate::{Failure, Lab};

const WORLD: &str = "10.0.0.1";

/// Tells it.
pub fn tell(lab: &Lab, story: &mut Story) -> Result<(), Failure> {
    let admin = admin(lab)?;
    story.chapter("demo-net behind demo-router");
    let answers = made(
        story,
        "flat network public with a pool of .150 to .199",
        &admin,
        &outside(
            "public",
            "extnet",
            "10.0.0.0/24",
            "--gateway 10.0.0.1 --no-dhcp --allocation-pool start=10.0.0.150,end=10.0.0.199",
        ),
    )?;
    let flat_mtu = answers[0]["mtu"].clone();
    let demo = user(lab, &admin, "demo")?;
    let answers = made(
        story,
        "VXLAN network demo-net with a DNS server, router demo-router",
        &demo,
        &[
            network("demo-net", "172.24.0.0/24", "--dns-nameserver 8.8.8.8").to_vec(),
            router("demo-router", "public", &["demo-net"]),
        ]
        .concat(),
    )?;
    let (mtu, router) = (&answers[0]["mtu"], text(&answers[2], "id")?.to_owned());
    story.sees("MTU", "VXLAN over 1500 leaves 1450; a flat network has all of it", || {
        Ok((*mtu == 1450 && flat_mtu == 1500, format!("{mtu} and {flat_mtu}")))
    })?;
    let shown = admin.session(&[
        "network show demo-net -f json".to_owned(),
        "port list --router demo-router --device-owner network:router_gateway -f json".to_owned(),
        "port list --router demo-router --device-owner network:router_interface -f json".to_owned(),
    ])?;
    let vni = shown[0]["provider:segmentation_id"].to_string();
    let qg = format!("qg-{}", short(text(&shown[1][0], "ID")?));
    let qr = format!("qr-{}", short(text(&shown[2][0], "ID")?));
    let inside_mac = text(&shown[2][0], "MAC Address")?.to_owned();
    let outside = shown[1][0]["Fixed IP Addresses"][0]["ip_address"].as_str().unwrap_or_default().to_owned();
    let [demo1] = instances(lab, &demo, story, [("demo1", "demo-net", "compute", &[])])?;
    let routes = crate::command::run(&mut demo1.command(&["ip", "route"]))?;
    shows(story, "the lease", "leads to metadata, too", &["default via 172.24.0.1", "169.254.169.254 via "], || {
        Ok(routes)
    })?;
    shows(story, "demo1's resolv.conf", "the subnet's DNS server", &["nameserver 8.8.8.8"], || {
        demo1.run(&["cat", "/etc/resolv.conf"])
    })?;
    let link = crate::command::run(&mut demo1.command(&["ip", "link"]))?;
    shows(story, "demo1's device", "has the network's MTU", &["mtu 1450"], || Ok(link))?;

    story.chapter("The ten stations");
    // The switch copies what passes br-int of the compute to a port of its own.
    lab.exec(
        "compute",
        &[
            "ovs-vsctl",
            "add-port",
            "br-int",
            "mirror0",
            "--",
            "set",
            "interface",
            "mirror0",
            "type=internal",
            "--",
            "--id=@p",
            "get",
            "port",
            "mirror0",
            "--",
            "--id=@m",
            "create",
            "mirror",
            "name=walk",
            "select_all=true",
            "output_port=@p",
            "--",
            "set",
            "bridge",
            "br-int",
            "mirrors=@m",
        ],
    )?;
    lab.exec("compute", &["ip", "link", "set", "mirror0", "up"])?;
    let local = tag(lab, "compute", &demo1.device)?;
    let (network_local, external_local) = (tag(lab, "network", &qr)?, tag(lab, "network", &qg)?);
    let namespace = format!("qrouter-{router}");
    let icmp = "icmp or (vlan and icmp)";
    let captures = [
        Capture::start(lab, "compute", &demo1.device, "icmp")?,
        Capture::start(lab, "compute", "mirror0", icmp)?,
        Capture::start(lab, "underlay", "switch", "udp port 4789")?,
        Capture::start_within(lab, "network", &namespace, &qr, "icmp")?,
        Capture::start_within(lab, "network", &namespace, &qg, "icmp")?,
        Capture::start(lab, "network", "eth2", icmp)?,
    ];
    reaches(story, "ping demo1 -> world", "the whole way and back", true, || demo1.ping(WORLD))?;
    let seen = Capture::stop_all(captures)?;
    let [at_tap, mirrored, wire, at_qr, at_qg, at_nic] = &seen;
    let own = format!("{} > {WORLD}: ICMP echo request", demo1.address);
    let translated = format!("{outside} > {WORLD}: ICMP echo request");
    let mut station =
        |what: &str, why: &str, text: &str, wanted: &[&str]| shows(story, what, why, wanted, || Ok(text.to_owned()));
    station("1 tap on compute", "as demo1 sends it", at_tap, &[&own])?;
    station("2 br-int on compute", "with the local VLAN", mirrored, &[&format!("vlan {local},"), &own])?;
    let (tunnels, learned) = (
        flows(lab, "compute", "br-tun", "table=4")?,
        flows(lab, "compute", "br-tun", "table=20")? + &flows(lab, "compute", "br-tun", "table=22")?,
    );
    station(
        "3 br-tun on compute",
        "table 4 from VNI to local VLAN, 20 to the router's MAC, 22 to all that have the network",
        &(tunnels + &learned),
        &[
            &format!("tun_id=0x{:x}", vni.parse::<u32>().unwrap_or_default()),
            &format!("dl_vlan={local},dl_dst={inside_mac}"),
            &format!("table=22, priority=1,dl_vlan={local}"),
        ],
    )?;
    station("4 underlay", "in VXLAN, with the network's VNI", wire, &[&format!("vni {vni}"), &own])?;
    let there = flows(lab, "network", "br-tun", "table=4")? + &flows(lab, "network", "br-tun", "table=10")?;
    station(
        "5 br-tun on network",
        "VNI to the local VLAN of this host; table 10 learns who is behind the tunnel",
        &there,
        &[&format!("set_field:{}->vlan_vid", tagged(&network_local)), "learn(table=20"],
    )?;
    station("6, 7 qr- of the router", "still demo1's own address", at_qr, &[&own])?;
    station("8 qg- of the router", "the router's address (SNAT)", at_qg, &[&translated])?;
    station(
        "9 br-ex",
        "the external network's local VLAN is taken off",
        &flows(lab, "network", "br-ex", "table=0")?,
        &[&format!("dl_vlan={external_local} actions=pop_vlan,NORMAL")],
    )?;
    station("10 NIC of network", "a plain frame outside", at_nic, &[&translated])?;
    story.sees("tags outside", "none", || Ok((!at_nic.contains("802.1Q"), "untagged".to_owned())))?;
    let left = within(lab, "network", &namespace, &["ip", "-br", "address"])?;
    shows(story, "the router's devices", "", &["172.24.0.1/24", &outside], || Ok(left))?;

    story.chapter("Probes, all of them");
    shows(
        story,
        "probe ping-all --also 10.0.0.1",
        "a matrix of who reaches whom",
        &["demo1", "10.0.0.1", " ms"],
        || lab.run(&["probe", "ping-all", "--also", WORLD]),
    )?;
    story.does("probe clear", || lab.clear_probes(), |()| "gone".into())?;
    story.sees("probe list, port list", "nothing is left of them", || {
        let list = lab.run(&["probe", "list"])?;
        let ports = demo.json(&["port", "list", "--network", "demo-net", "--device-owner", "compute:probe"])?;
        Ok((!list.contains("demo1") && ports == serde_json::json!([]), format!("ports {ports}")))
    })
}
