//! The demonstration: two projects on four hosts, by the real client; who reaches whom, and why.
//!
//! ```text
//!                        world 203.0.113.1
//!                              │ (masquerade)
//!   ── public 172.16.0.0/24 ───┴──────────────┬──────── flat, physnet1
//!         │ qg (SNAT, floating IP)            │ qg
//!     router `edge` (demo)                router `edge2` (demo2)
//!         │ qr 10.0.0.1                       │ qr 10.0.0.1
//!   ── vxlan-net 10.0.0.0/24 ──       ── overlap-net 10.0.0.0/24 ──   the same addresses, at the same time
//!      p1 (compute1)  p2 (compute2)      q1 (compute1)  q2 (compute2)
//! ```

use crate::capture::Capture;
use crate::lab::{Probe, Seen};
use crate::story::Story;
use crate::{Client, Failure, Lab};

/// Address outside that instances reach.
const WORLD: &str = "203.0.113.1";
/// Port that the instances' own service listens on.
const SERVICE: u16 = 8080;
/// Users that the demonstration makes, with the projects of the same names.
const USERS: [&str; 2] = ["demo", "demo2"];
/// Group of the instance on the flat network: nothing is let in.
const OUTSIDERS: &str = "outsiders";
/// Their password; the lab is reached from this machine only.
const PASSWORD: &str = "neutronium-demo";

/// Builds and looks at everything; an error only when it could not go on. What was wrong stands in the story.
pub fn run(lab: &Lab, story: &mut Story) -> Result<(), Failure> {
    let admin = Client::new(lab, "admin", None, "admin")?;
    reset(lab, &admin, story)?;
    let [demo, demo2] = projects(lab, &admin, story)?;
    external_network(&admin, story)?;
    tenant_network(&demo, "vxlan-net", "edge", story)?;
    let probes = demo_probes(lab, &demo, story)?;
    east_west(lab, &admin, &probes, story)?;
    outward(&demo, &probes, story)?;
    floating_ip(lab, &demo, &probes, story)?;
    overlap(lab, &demo2, &probes, story)?;
    roles(lab, &admin, story)
}

/// What a demonstration before this one left goes first, so that it can be run again, also after one that broke off.
fn reset(lab: &Lab, admin: &Client, story: &mut Story) -> Result<(), Failure> {
    if !admin.succeeds(&["project", "show", USERS[0]])? {
        return Ok(());
    }
    story.chapter("Removing what the last demonstration made");
    story.does("probes", || lab.clear_probes(), |()| "gone".into())?;
    for (user, network, router) in [(USERS[0], "vxlan-net", "edge"), (USERS[1], "overlap-net", "edge2")] {
        let removing = || {
            let client = Client::new(lab, user, Some(PASSWORD), user)?;
            let floating_ips = ids(&client, &["floating", "ip", "list"])?;
            // What is not there any more answers with an error, and the next command is tried.
            client.batch(&[
                &format!("floating ip delete {}", floating_ips.join(" ")),
                &format!("router remove subnet {router} {network}-subnet"),
                &format!("router delete {router}"),
                &format!("network delete {network}"),
                &format!("security group delete {OUTSIDERS}"),
            ])
        };
        story.does(&format!("networks of project {user}"), removing, |()| "gone".into())?;
    }
    let removing = || {
        admin.batch(&[
            "network delete public",
            &format!("user delete {}", USERS.join(" ")),
            &format!("project delete {}", USERS.join(" ")),
        ])
    };
    story.does("the external network, users and projects", removing, |()| "gone".into())
}

/// Which host does what, and how large packets may be.
fn roles(lab: &Lab, admin: &Client, story: &mut Story) -> Result<(), Failure> {
    story.chapter("Who does what");
    story.sees("ip netns", "routers, DHCP and metadata are the network node's alone", || {
        let count = |host: &str| -> Result<[usize; 2], Failure> {
            let list = lab.exec(host, &["ip", "netns"])?;
            Ok(["qrouter-", "qdhcp-"].map(|kind| list.lines().filter(|line| line.starts_with(kind)).count()))
        };
        let (network, computes) = (count("network")?, [count("compute1")?, count("compute2")?]);
        let [routers, dhcp] = network;
        Ok((
            network == [2, 3] && computes == [[0; 2]; 2],
            format!("network: {routers} routers, {dhcp} DHCP; computes none"),
        ))
    })?;
    story.sees("MTU", "the underlay's 1500 less VXLAN's 50; public by physical_network_mtus", || {
        let mtu = |network: &str| admin.text("mtu", &["network", "show", network]);
        let (inside, public) = (mtu("vxlan-net")?, mtu("public")?);
        Ok(((inside.as_str(), public.as_str()) == ("1450", "1450"), format!("{inside} and {public}")))
    })?;
    story.sees(
        "ovs-vsctl show on network",
        "its br-ex is joined to the computes' by VNI 100, which Neutron knows nothing of",
        || {
            let shown = lab.exec("network", &["ovs-vsctl", "show"])?;
            let joints = shown.matches("key=\"100\"").count();
            Ok((joints == 2, format!("{joints} tunnels")))
        },
    )
}

fn ids(client: &Client, list: &[&str]) -> Result<Vec<String>, Failure> {
    let answer = client.json(list)?;
    let rows = answer.as_array().into_iter().flatten();
    Ok(rows.filter_map(|row| Some(row["ID"].as_str()?.to_owned())).collect())
}

fn projects(lab: &Lab, admin: &Client, story: &mut Story) -> Result<[Client; 2], Failure> {
    story.chapter("Two projects (as admin)");
    let mut clients = Vec::new();
    for user in USERS {
        story.does(
            &format!("project and user {user}, role member"),
            || {
                admin.run(&["project", "create", user])?;
                admin.run(&["user", "create", user, "--project", user, "--password", PASSWORD])?;
                admin.run(&["role", "add", "member", "--user", user, "--project", user])
            },
            |_| "made".into(),
        )?;
        clients.push(Client::new(lab, user, Some(PASSWORD), user)?);
    }
    <[Client; 2]>::try_from(clients)
        .map_err(|_| Failure::Unexpected { command: "projects".into(), what: "not two".into() })
}

fn external_network(admin: &Client, story: &mut Story) -> Result<(), Failure> {
    story.chapter("The outside (as admin)");
    story.does(
        "flat external network public on physnet1",
        || {
            admin.run(&[
                "network",
                "create",
                "public",
                "--external",
                "--share",
                "--provider-network-type",
                "flat",
                "--provider-physical-network",
                "physnet1",
            ])?;
            admin.run(&[
                "subnet",
                "create",
                "public-subnet",
                "--network",
                "public",
                "--subnet-range",
                "172.16.0.0/24",
                "--gateway",
                "172.16.0.1",
                "--allocation-pool",
                "start=172.16.0.100,end=172.16.0.199",
            ])
        },
        |_| "172.16.0.0/24".into(),
    )
}

fn tenant_network(client: &Client, network: &str, router: &str, story: &mut Story) -> Result<(), Failure> {
    let user = client.environment().get("OS_USERNAME").cloned().unwrap_or_default();
    story.chapter(&format!("A network and a way out (as {user})"));
    story.does(
        &format!("network {network} with subnet 10.0.0.0/24"),
        || {
            client.run(&["network", "create", network])?;
            let subnet = format!("{network}-subnet");
            let nameserver = ["--dns-nameserver", "192.0.2.53"];
            client.run(
                &[
                    &["subnet", "create", &subnet, "--network", network, "--subnet-range", "10.0.0.0/24"],
                    &nameserver[..],
                ]
                .concat(),
            )
        },
        |_| "made".into(),
    )?;
    story.does(
        &format!("router {router}: gateway on public, interface on {network}"),
        || {
            client.run(&["router", "create", router, "--external-gateway", "public"])?;
            client.run(&["router", "add", "subnet", router, &format!("{network}-subnet")])
        },
        |_| "made".into(),
    )
}

/// The three instances of project demo.
struct DemoProbes {
    p1: Probe,
    p2: Probe,
    flat: Probe,
}

fn demo_probes(lab: &Lab, demo: &Client, story: &mut Story) -> Result<DemoProbes, Failure> {
    story.chapter("Three instances, addressed by DHCP");
    story.does(
        &format!("security group {OUTSIDERS}"),
        || demo.run(&["security", "group", "create", OUTSIDERS]),
        |()| "made".into(),
    )?;
    let mut probe = |name: &str, network: &str, host: &str, group: &str| {
        story.does(
            &format!("{name} on {network} at {host}, in group {group}"),
            || lab.create_probe(demo, name, network, host, &["--security-group", group]),
            |probe| probe.address.clone(),
        )
    };
    Ok(DemoProbes {
        p1: probe("p1", "vxlan-net", "compute1", "default")?,
        p2: probe("p2", "vxlan-net", "compute2", "default")?,
        flat: probe("flat1", "public", "compute2", OUTSIDERS)?,
    })
}

fn words(seen: Seen) -> String {
    match seen {
        Seen::Answer(text) if text.is_empty() => "went through".into(),
        Seen::Answer(text) => format!("went through: {text}"),
        Seen::Silence => "blocked".into(),
    }
}

fn east_west(lab: &Lab, admin: &Client, probes: &DemoProbes, story: &mut Story) -> Result<(), Failure> {
    story.chapter("East-west, across hosts");
    let vni = admin.text("provider:segmentation_id", &["network", "show", "vxlan-net"])?;
    let underlay = Capture::start(lab, "underlay", "switch", "udp port 4789")?;
    story.sees("ping p1 -> p2", "both are in demo's default group, whose members reach each other", || {
        let seen = probes.p1.ping(&probes.p2.address)?;
        Ok((seen != Seen::Silence, words(seen)))
    })?;
    let wire = underlay.stop()?;
    story.sees(
        "the same packets on the underlay",
        "between hosts they travel in VXLAN, with the network's own VNI",
        || {
            let inside = format!("{} > {}: ICMP echo request", probes.p1.address, probes.p2.address);
            let lines: Vec<&str> = wire.lines().collect();
            // tcpdump shows what is inside on the line below.
            let right = lines.windows(2).any(|pair| match pair {
                [outer, inner] => outer.ends_with(&format!("vni {vni}")) && inner.contains(&inside),
                _ => false,
            });
            let seen =
                if right { format!("VXLAN, vni {vni}") } else { format!("no echo request with vni {vni}:\n{wire}") };
            Ok((right, seen))
        },
    )
}

fn outward(demo: &Client, probes: &DemoProbes, story: &mut Story) -> Result<(), Failure> {
    story.chapter("Outward, through the router");
    story.sees(
        "ping p1 -> world",
        "edge takes the packet for its own address (SNAT), the network node for its own",
        || {
            let seen = probes.p1.ping(WORLD)?;
            Ok((seen != Seen::Silence, words(seen)))
        },
    )?;
    story.sees("TCP p1 -> world, port 80", "the default group lets everything out", || {
        let seen = probes.p1.tcp(WORLD, 80)?;
        Ok((seen != Seen::Silence, words(seen)))
    })?;
    probes.flat.serve(SERVICE)?;
    story.sees("TCP p1 -> flat1", "group outsiders lets nothing in", || {
        let seen = probes.p1.tcp(&probes.flat.address, SERVICE)?;
        Ok((seen == Seen::Silence, words(seen)))
    })?;
    allow_service(demo, OUTSIDERS, story)?;
    let router = demo.json(&["router", "show", "edge"])?;
    let gateway = router["external_gateway_info"]["external_fixed_ips"][0]["ip_address"].as_str().unwrap_or_default();
    story.sees("TCP p1 -> flat1, seen by flat1", "the rule allows it; it comes with the router's address", || {
        let seen = probes.p1.tcp(&probes.flat.address, SERVICE)?;
        Ok((seen == Seen::Answer(format!("hello {gateway}")), words(seen)))
    })
}

fn allow_service(demo: &Client, group: &str, story: &mut Story) -> Result<(), Failure> {
    story.does(
        &format!("rule: tcp {SERVICE} from anywhere, in group {group}"),
        || {
            let port = SERVICE.to_string();
            demo.run(&["security", "group", "rule", "create", group, "--protocol", "tcp", "--dst-port", &port])
        },
        |()| "made".into(),
    )
}

fn floating_ip(lab: &Lab, demo: &Client, probes: &DemoProbes, story: &mut Story) -> Result<(), Failure> {
    story.chapter("Inward, by a floating IP");
    probes.p1.serve(SERVICE)?;
    let floating = story.does(
        "floating IP for p1",
        || {
            let address =
                demo.text("floating_ip_address", &["floating", "ip", "create", "public", "--port", &probes.p1.port])?;
            lab.wait_until("the floating IP is ACTIVE", || {
                Ok(demo.text("status", &["floating", "ip", "show", &address])? == "ACTIVE")
            })?;
            Ok(address)
        },
        Clone::clone,
    )?;
    story.sees(
        "TCP flat1 -> floating IP",
        "flat1 is no member of p1's group default, and no rule allows others yet",
        || {
            let seen = probes.flat.tcp(&floating, SERVICE)?;
            Ok((seen == Seen::Silence, words(seen)))
        },
    )?;
    allow_service(demo, "default", story)?;
    let flat_side = Capture::start(lab, "compute2", &probes.flat.device, "tcp port 8080")?;
    story.sees("TCP flat1 -> floating IP", "the rule allows it; edge hands it to p1 (DNAT)", || {
        let seen = probes.flat.tcp(&floating, SERVICE)?;
        Ok((seen != Seen::Silence, words(seen)))
    })?;
    let wire = flat_side.stop()?;
    story.sees("the same packets on the flat side", "a flat network carries no VLAN tag", || {
        let right = wire.contains(&floating) && !wire.contains("802.1Q");
        Ok((right, if right { "untagged".into() } else { wire.clone() }))
    })?;
    story.sees("TCP p1 -> flat1, seen by flat1", "what p1 sends now leaves with the floating IP, one to one", || {
        let seen = probes.p1.tcp(&probes.flat.address, SERVICE)?;
        let right = seen == Seen::Answer(format!("hello {floating}"));
        Ok((right, words(seen)))
    })
}

fn overlap(lab: &Lab, demo2: &Client, probes: &DemoProbes, story: &mut Story) -> Result<(), Failure> {
    tenant_network(demo2, "overlap-net", "edge2", story)?;
    let mut probe = |name: &str, host: &str, address: &str| {
        story.does(
            &format!("{name} on overlap-net at {host}, with the address of demo's"),
            || lab.create_probe(demo2, name, "overlap-net", host, &["--fixed-ip", address]),
            |probe| probe.address.clone(),
        )
    };
    let q1 = probe("q1", "compute1", &probes.p1.address)?;
    let q2 = probe("q2", "compute2", &probes.p2.address)?;
    q2.serve(SERVICE)?;
    story.sees("ping p1 -> p2 and q1 -> q2 at once", "the same addresses, in two networks that never meet", || {
        let (first, second) = std::thread::scope(|scope| {
            let other = scope.spawn(|| q1.ping(&q2.address));
            (probes.p1.ping(&probes.p2.address), other.join())
        });
        let second = second.unwrap_or(Ok(Seen::Silence))?;
        let both = first? != Seen::Silence && second != Seen::Silence;
        Ok((both, if both { "both went through".into() } else { "one is blocked".into() }))
    })?;
    story.sees("TCP p1 -> its 10.0.0.x, where only q2 serves", "p1's packet must not come out at q2", || {
        let seen = probes.p1.tcp(&q2.address, SERVICE)?;
        Ok((seen == Seen::Silence, words(seen)))
    })?;
    story.sees("TCP q1 -> q2", "the same, within demo2", || {
        let seen = q1.tcp(&q2.address, SERVICE)?;
        Ok((seen != Seen::Silence, words(seen)))
    })?;
    story.sees("ping q1 -> world", "edge2 is a router of its own", || {
        let seen = q1.ping(WORLD)?;
        Ok((seen != Seen::Silence, words(seen)))
    })
}
