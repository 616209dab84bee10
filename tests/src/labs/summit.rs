//! Jump host and web servers: who may reach whom is said by groups, also by groups as the other side of a rule.
//!
//! ```text
//!  world ── public ── router `edge` ── private 10.10.0.0/24
//!                                       jump1 (group jumphost)   web1, web2 (group web: tcp 80 from anywhere,
//!                                       later jump2               tcp 22 from members of jumphost)   plain (default)
//! ```

use super::{admin, made, ping_from, reaches, shows, tcp_from, text, user};
use crate::capture::Capture;
use crate::lab::Probe;
use crate::story::Story;
use crate::{Client, Failure, Lab};

/// Tells it.
pub fn tell(lab: &Lab, story: &mut Story) -> Result<(), Failure> {
    let admin = admin(lab)?;
    story.chapter("Networks, router and groups");
    made(
        story,
        "external network public",
        &admin,
        &[
            "network create public --external --provider-network-type flat --provider-physical-network extnet",
            "subnet create public-subnet --network public --subnet-range 10.0.0.0/24 --gateway 10.0.0.1 --no-dhcp \
             --allocation-pool start=10.0.0.150,end=10.0.0.199",
        ],
    )?;
    let demo = user(lab, &admin, "demo")?;
    made(
        story,
        "private network, router, groups jumphost and web",
        &demo,
        &[
            "network create private",
            "subnet create private-subnet --network private --subnet-range 10.10.0.0/24",
            "router create edge --external-gateway public",
            "router add subnet edge private-subnet",
            "security group create jumphost",
            "security group rule create jumphost --protocol icmp",
            "security group rule create jumphost --protocol tcp --dst-port 22",
            "security group create web",
            "security group rule create web --protocol tcp --dst-port 80",
            "security group rule create web --protocol tcp --dst-port 22 --remote-group jumphost",
        ],
    )?;
    let mut probe = |name: &str, host: &str, group: &str| {
        story.does(
            &format!("instance {name} in group {group} at {host}"),
            || lab.create_probe(&demo, name, "private", host, &["--security-group", group]),
            |probe| probe.address.clone(),
        )
    };
    let jump1 = probe("jump1", "network", "jumphost")?;
    let (web1, web2) = (probe("web1", "network", "web")?, probe("web2", "compute", "web")?);
    let plain = probe("plain", "compute", "default")?;
    for web in [&web1, &web2] {
        web.serve(22)?;
        web.serve(80)?;
    }
    jump1.serve(22)?;
    plain.serve(80)?;

    story.chapter("By floating IPs");
    let answers = made(
        story,
        "floating IPs for jump1 and web1",
        &demo,
        &[
            format!("floating ip create public --port {} -f json", jump1.port),
            format!("floating ip create public --port {} -f json", web1.port),
        ],
    )?;
    let (jump, web) = (text(&answers[0], "floating_ip_address")?, text(&answers[1], "floating_ip_address")?);
    for address in [jump, web] {
        lab.wait_until("the floating IP is ACTIVE", || {
            Ok(demo.text("status", &["floating", "ip", "show", address])? == "ACTIVE")
        })?;
    }
    reaches(story, "ping world -> jump1", "icmp from anywhere", true, || ping_from(lab, "world", None, jump))?;
    reaches(story, "TCP 22 world -> jump1", "tcp 22 from anywhere", true, || tcp_from(lab, "world", jump, 22))?;
    reaches(story, "TCP 80 world -> web1", "tcp 80 from anywhere", true, || tcp_from(lab, "world", web, 80))?;
    reaches(story, "TCP 22 world -> web1", "ssh only from jump hosts", false, || tcp_from(lab, "world", web, 22))?;

    story.chapter("Between instances");
    for web in [&web1, &web2] {
        reaches(story, &format!("TCP 22 jump1 -> {}", web.name), "a member of jumphost", true, || {
            jump1.tcp(&web.address, 22)
        })?;
    }
    reaches(story, "TCP 22 web1 -> web2", "web servers are no jump hosts", false, || web1.tcp(&web2.address, 22))?;
    reaches(story, "TCP 80 web1 -> web2", "anybody may", true, || web1.tcp(&web2.address, 80))?;
    reaches(story, "TCP 80 jump1 -> plain", "group default lets nobody in but its members", false, || {
        jump1.tcp(&plain.address, 80)
    })?;
    reaches(story, "ping plain -> world", "and everything out", true, || plain.ping("10.0.0.1"))?;

    mirrored(lab, story, &demo, (&jump1, &web2), &plain)?;

    story.chapter("A jump host that comes later");
    let jump2 = story.does(
        "instance jump2 in group jumphost at compute",
        || lab.create_probe(&demo, "jump2", "private", "compute", &["--security-group", "jumphost"]),
        |probe| probe.address.clone(),
    )?;
    for web in [&web1, &web2] {
        reaches(story, &format!("TCP 22 jump2 -> {}", web.name), "members come and go", true, || {
            let mut seen = jump2.tcp(&web.address, 22)?;
            lab.wait_until("the new member is known", || {
                if seen == crate::lab::Seen::Silence {
                    seen = jump2.tcp(&web.address, 22)?;
                }
                Ok(seen != crate::lab::Seen::Silence)
            })?;
            Ok(seen)
        })?;
    }
    let refused = demo.refused("security group delete web")?;
    shows(story, "security group delete web", "a group in use stays", &["in use"], || Ok(refused))?;
    shows(story, "probe list", "all of them", &["jump1", "web1", "web2", "plain", "jump2"], || {
        lab.run(&["probe", "list"])
    })?;
    story.does("probe delete jump2", || lab.run(&["probe", "delete", "jump2"]), |_| "gone".into())?;
    story.sees("probe list", "the others are left", || {
        let list = lab.run(&["probe", "list"])?;
        Ok((!list.contains("jump2") && list.contains("web2"), "without jump2".into()))
    })
}

/// What one instance on another host and one on the same are sent and send comes to `monitor` as well, which no group lets
/// anything into; and to a collector outside.
fn mirrored(
    lab: &Lab,
    story: &mut Story,
    demo: &Client,
    (far, near): (&Probe, &Probe),
    monitor: &Probe,
) -> Result<(), Failure> {
    story.chapter("A port mirror");
    let service = format!("tap service create --name watch --port {} -f json", monitor.port);
    let flow = |probe: &Probe, direction: &str| {
        let (name, port) = (&probe.name, &probe.port);
        format!("tap flow create --name {name} --port {port} --tap-service watch --direction {direction} -f json")
    };
    let collector = format!(
        "tap mirror create --name outside --port {} --directions OUT=77 --remote-ip 192.168.2.11 --mirror-type gre -f json",
        near.port
    );
    made(
        story,
        &format!("{} and {} mirrored to {}", far.name, near.name, monitor.name),
        demo,
        &[service, flow(far, "BOTH"), flow(near, "IN"), collector],
    )?;
    let list = || Ok::<_, Failure>(demo.session(&["tap flow list -f json"])?.remove(0));
    story.sees("tap flow list", "both are ACTIVE", || {
        let flows = list()?;
        let states: Vec<_> = flows.as_array().into_iter().flatten().map(|flow| &flow["Status"]).collect();
        Ok((states == ["ACTIVE", "ACTIVE"], format!("{states:?}")))
    })?;
    let mirrors = |node: &str| lab.exec(node, &["ovs-vsctl", "--bare", "--columns=name", "list", "mirror"]);
    lab.wait_until("both hosts mirror", || {
        let (network, compute) = (mirrors("network")?, mirrors("compute")?);
        let ready = lab.exec("compute", &["ovs-ofctl", "-O", "OpenFlow14", "dump-flows", "br-int", "table=0"])?;
        let deliveries = ready.lines().filter(|line| line.contains("priority=250") && line.contains("output:")).count();
        Ok(network.contains("tmo-") && compute.contains("tmo-") && compute.contains("tmq-") && deliveries == 2)
    })?;
    let copies = Capture::start(lab, "compute", &monitor.device, "icmp")?;
    let outside = Capture::start(lab, "underlay", "switch", "proto gre")?;
    reaches(story, &format!("ping {} -> {}", near.name, far.name), "as without a mirror", true, || {
        near.ping(&far.address)
    })?;
    let (copies, outside) = (copies.stop()?, outside.stop()?);
    let (request, answer) = (
        format!("{} > {}: ICMP echo request", near.address, far.address),
        format!("{} > {}: ICMP echo reply", far.address, near.address),
    );
    story.sees(&format!("tap of {}", monitor.name), "requests once, answers once from each end", || {
        let count = |what: &str| copies.matches(what).count();
        let (requests, answers) = (count(&request), count(&answer));
        Ok((requests > 0 && answers == 2 * requests, format!("{requests} requests, {answers} answers")))
    })?;
    story.sees("the underlay", "what it sends goes to the collector by GRE with the key", || {
        let copied = outside.lines().any(|line| line.contains("key=0x4d") && line.contains(&request));
        Ok((copied && !outside.contains(&answer), "requests by GRE, no answers".to_owned()))
    })?;
    // The view that it goes by is kept a moment after it has come.
    let copies = || {
        let said = lab.neutronium_on("compute", &["trace", &near.port, "icmp", &far.address, "--json"])?;
        let traced: serde_json::Value = serde_json::from_str(&said).unwrap_or_default();
        Ok::<_, Failure>(traced["answer"]["copies"].as_array().cloned().unwrap_or_default())
    };
    lab.wait_until("the plan of the kept view mirrors", || Ok(!copies()?.is_empty()))?;
    story.sees(&format!("neutronium trace {} icmp {} --json", near.name, far.name), "who gets a copy of it", || {
        let copies = copies()?;
        let to = |copy: &serde_json::Value| {
            let exit = &copy["leaves"][0];
            (copy["tap_mirror"].is_string(), exit["peer"].clone(), exit["key"].clone())
        };
        let outside = (true, "192.168.2.11".into(), 77.into());
        let right = copies.iter().map(to).eq([outside]);
        Ok((right, if right { "one copy, to the collector".to_owned() } else { format!("{copies:?}") }))
    })?;
    made(story, "all of it deleted", demo, &["tap service delete watch", "tap mirror delete outside"])?;
    story.sees("tap flow list", "the flows are gone with their service", || {
        let flows = list()?;
        Ok((flows.as_array().is_some_and(Vec::is_empty), flows.to_string()))
    })?;
    lab.wait_until("nothing is mirrored", || Ok((mirrors("network")? + &mirrors("compute")?).trim().is_empty()))
}
