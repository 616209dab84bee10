//! One host, two flat external networks on two bridges, one L3 agent; what routers do between inside and outside: floating IPs
//! from a pool given as a range, scopes of addresses, port forwarding, limits and counters, routes of the tenant's own.
//!
//! ```text
//!  world  203.0.113.1  ── br-ex  ── ext1 ── `r1` ─┬─ net1 10.1.0.0/24 (scope red)    vm1
//!                                                 └─ net3 10.3.0.0/24 (scope blue)   vm3
//!  world2 198.51.100.1 ── br-ex2 ── ext2 ── `r2` ─── net2 10.2.0.0/24                vm2 ── 192.168.77.0/24
//! ```

use super::building::{instances, lets_in, network, outside, router};
use super::{
    Try, admin, all_at_once, flows, made, ping_from, reaches, short, shows, tag, tcp_from, text, user, within,
};
use crate::capture::Capture;
use crate::lab::{Probe, Seen};
use crate::story::Story;
use crate::{Client, Failure, Lab};

const HOST: &str = "node1";
const WORLD: &str = "203.0.113.1";
const WORLD2: &str = "198.51.100.1";
/// Of the instances' own services.
const SERVICE: u16 = 8080;

/// Tells it.
pub fn tell(lab: &Lab, story: &mut Story) -> Result<(), Failure> {
    let admin = admin(lab)?;
    story.chapter("Two ways out, and networks behind each");
    let pool =
        |prefix: &str| format!("--gateway {prefix}.1 --no-dhcp --allocation-pool start={prefix}.100,end={prefix}.119");
    made(
        story,
        "flat external networks on external and external2: DHCP off, a range of addresses, the gateway elsewhere",
        &admin,
        &[
            outside("ext1", "external", "203.0.113.0/24", &pool("203.0.113")),
            outside("ext2", "external2", "198.51.100.0/24", &pool("198.51.100")),
        ]
        .concat(),
    )?;
    let demo = user(lab, &admin, "demo")?;
    let scope = |name: &str, prefix: &str| {
        [
            format!("address scope create {name}"),
            format!(
                "subnet pool create {name} --pool-prefix {prefix} --default-prefix-length 24 --address-scope {name}"
            ),
        ]
    };
    let answers = made(
        story,
        "net1 and net3, of two address scopes, behind r1 with its gateway on ext1; net2 behind r2 with its on ext2",
        &demo,
        &[
            router("r1", "ext1", &[]),
            router("r2", "ext2", &[]),
            scope("red", "10.1.0.0/16").to_vec(),
            scope("blue", "10.3.0.0/16").to_vec(),
            network("net1", "10.1.0.0/24", "--subnet-pool red").to_vec(),
            network("net2", "10.2.0.0/24", "").to_vec(),
            network("net3", "10.3.0.0/24", "--subnet-pool blue").to_vec(),
            [("r1", "net1"), ("r2", "net2"), ("r1", "net3")]
                .map(|(router, network)| format!("router add subnet {router} {network}-subnet"))
                .to_vec(),
        ]
        .concat(),
    )?;
    let namespaces = [&answers[0], &answers[1]].map(|router| Ok(format!("qrouter-{}", text(router, "id")?)));
    let [r1, r2]: [Result<String, Failure>; 2] = namespaces;
    let (r1, r2) = (r1?, r2?);
    let wanted = [("vm1", "net1", HOST, &[][..]), ("vm2", "net2", HOST, &[]), ("vm3", "net3", HOST, &[])];
    let [vm1, vm2, vm3] = instances(lab, &demo, story, wanted)?;
    external_bridge(lab, &admin, &r1, story)?;

    story.chapter("Both reach outside");
    for (probe, address, why) in [(&vm1, WORLD, "by ext1"), (&vm2, WORLD2, "by ext2")] {
        reaches(story, &format!("ping {} -> {address}", probe.name), why, true, || probe.ping(address))?;
    }
    let floating = floating_ip(lab, &demo, &r1, &vm1, story)?;
    scopes(&vm1, &vm3, &floating, story)?;
    forwarding(lab, &demo, &vm3, story)?;
    limit(lab, &admin, &r1, &vm1, &floating, story)?;
    extra_route(lab, &demo, &r2, &vm2, story)
}

/// What the flows of br-ex do, and that the wire carries plain frames.
fn external_bridge(lab: &Lab, admin: &Client, r1: &str, story: &mut Story) -> Result<(), Failure> {
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
    reaches(story, "ping from the router -> world", "through both bridges", true, || {
        ping_from(lab, HOST, Some(r1), WORLD)
    })?;
    let wire = outside.stop()?;
    story.sees("the same packets outside", "no VLAN anomaly on the wire", || {
        let right = wire.contains("ICMP echo request") && !wire.contains("802.1Q") && !wire.contains("vlan ");
        Ok((right, if right { "untagged".to_owned() } else { wire.clone() }))
    })
}

/// Waits until a floating IP is realised.
fn active(lab: &Lab, demo: &Client, floating: &str) -> Result<(), Failure> {
    lab.wait_until("the floating IP is ACTIVE", || {
        Ok(demo.text("status", &["floating", "ip", "show", floating])? == "ACTIVE")
    })
}

/// Tries again until it is as wanted, at most as long as anything is waited for.
fn in_the_end(lab: &Lab, wanted: bool, mut attempt: impl FnMut() -> Result<Seen, Failure>) -> Result<Seen, Failure> {
    let mut seen = attempt()?;
    lab.wait_until("what was asked for is realised", || {
        if (seen != Seen::Silence) != wanted {
            seen = attempt()?;
        }
        Ok((seen != Seen::Silence) == wanted)
    })?;
    Ok(seen)
}

/// Rules, a floating IP, and what the router makes of it.
fn floating_ip(lab: &Lab, demo: &Client, r1: &str, vm1: &Probe, story: &mut Story) -> Result<String, Failure> {
    story.chapter("A floating IP");
    vm1.serve(22)?;
    let answers = made(
        story,
        "floating IP from the range of ext1, for vm1",
        demo,
        &[format!("floating ip create ext1 --port {} -f json", vm1.port)],
    )?;
    let floating = text(&answers[0], "floating_ip_address")?.to_owned();
    story.sees("its address", "from the range that the pool was given", || {
        let last = floating.strip_prefix("203.0.113.").and_then(|last| last.parse::<u8>().ok());
        Ok((last.is_some_and(|last| (100..=119).contains(&last)), floating.clone()))
    })?;
    active(lab, demo, &floating)?;
    let nobody = "group default lets nobody in yet";
    let tries: Vec<Try<'_>> = vec![
        ("ping world -> floating IP", nobody, false, Box::new(|| ping_from(lab, "world", None, &floating))),
        ("TCP 22 world -> floating IP", nobody, false, Box::new(|| tcp_from(lab, "world", &floating, 22))),
    ];
    all_at_once(story, tries)?;
    let rules = ["--protocol tcp --dst-port 22", "--protocol icmp"];
    made(story, "rules for SSH and ICMP in group default", demo, &lets_in("default", &rules))?;
    reaches(story, "ping world -> floating IP", "allowed now", true, || {
        in_the_end(lab, true, || ping_from(lab, "world", None, &floating))
    })?;
    reaches(story, "TCP 22 world -> floating IP", "vm1 sees the world's own address", true, || {
        tcp_from(lab, "world", &floating, 22)
    })?;
    shows(story, "the router's qg-", "carries the floating address", &[&format!("{floating}/32")], || {
        within(lab, HOST, r1, &["ip", "-4", "address"])
    })?;
    let pairs = [format!("{floating} : {}", vm1.address), format!("{} : {floating}", vm1.address)];
    shows(story, "nft list ruleset", "one to one, in both directions", &[&pairs[0], &pairs[1]], || {
        within(lab, HOST, r1, &["nft", "list", "ruleset"])
    })?;
    Ok(floating)
}

/// Between two address scopes nothing is routed but what is translated.
fn scopes(vm1: &Probe, vm3: &Probe, floating: &str, story: &mut Story) -> Result<(), Failure> {
    story.chapter("Address scopes");
    let tries: Vec<Try<'_>> = vec![
        ("TCP 22 vm3 -> vm1", "blue and red do not meet", false, Box::new(|| vm3.tcp(&vm1.address, 22))),
        ("ping vm1 -> vm3", "nor red and blue", false, Box::new(|| vm1.ping(&vm3.address))),
        ("TCP 22 vm3 -> floating IP of vm1", "but by translation", true, Box::new(|| vm3.tcp(floating, 22))),
        ("ping vm3 -> world", "the outside is reached by translation, too", true, Box::new(|| vm3.ping(WORLD))),
    ];
    all_at_once(story, tries)
}

/// One port of an address outside leads to an instance.
fn forwarding(lab: &Lab, demo: &Client, vm3: &Probe, story: &mut Story) -> Result<(), Failure> {
    story.chapter("A port forwarding");
    vm3.serve(SERVICE)?;
    let port = format!("--protocol tcp --dst-port {SERVICE}");
    let mut commands = lets_in("default", &[&port]);
    commands.push("floating ip create ext1 -f json".to_owned());
    let answers = made(story, "a floating IP that belongs to nobody; TCP 8080 is let in", demo, &commands)?;
    let address = text(&answers[1], "floating_ip_address")?.to_owned();
    made(
        story,
        "its port 2222 leads to port 8080 of vm3",
        demo,
        &[format!(
            "floating ip port forwarding create {address} --port {} --internal-ip-address {} \
             --internal-protocol-port {SERVICE} --external-protocol-port 2222 --protocol tcp",
            vm3.port, vm3.address
        )],
    )?;
    active(lab, demo, &address)?;
    let tries: Vec<Try<'_>> = vec![
        (
            "TCP 2222 world -> that address",
            "answered by vm3",
            true,
            Box::new(|| in_the_end(lab, true, || tcp_from(lab, "world", &address, 2222))),
        ),
        (
            "TCP 8080 world -> that address",
            "no other port",
            false,
            Box::new(|| tcp_from(lab, "world", &address, SERVICE)),
        ),
    ];
    all_at_once(story, tries)
}

/// Sends to whoever connects for as long as it is read.
const FLOOD: &str = "
import os, socket, sys
server = socket.create_server(('', int(sys.argv[1])))
if os.fork() == 0:
    os.setsid()
    null = os.open('/dev/null', os.O_RDWR)
    [os.dup2(null, fd) for fd in (0, 1, 2)]
    while True:
        peer, _ = server.accept()
        try:
            while True:
                peer.sendall(bytes(65536))
        except OSError:
            peer.close()
";

/// Reads for two seconds; octets, and seconds that it took.
const DRAW: &str = "
import socket, sys, time
peer = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)
begin, count = time.monotonic(), 0
while time.monotonic() - begin < 2:
    count += len(peer.recv(65536))
print(count, time.monotonic() - begin)
";

/// Octets that the world draws from a floating IP, and in how many seconds.
fn drawn(lab: &Lab, floating: &str) -> Result<(f64, f64), Failure> {
    let said = lab.exec("world", &["python3", "-c", DRAW, floating, &SERVICE.to_string()])?;
    let mut numbers = said.split_whitespace().filter_map(|number| number.parse::<f64>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(octets), Some(seconds)) => Ok((octets, seconds)),
        _ => Err(Failure::Unexpected { command: "draw".into(), what: said }),
    }
}

/// How much goes through a floating IP: counted by a metering label, and bounded by a policy.
fn limit(lab: &Lab, admin: &Client, r1: &str, vm1: &Probe, floating: &str, story: &mut Story) -> Result<(), Failure> {
    story.chapter("Counted and limited");
    vm1.run(&["python3", "-c", FLOOD, &SERVICE.to_string()])?;
    let answers = made(
        story,
        "a metering label for what leaves net1; a policy of 4 Mbit/s, bursts of 2 Mbit, on vm1's floating IP",
        admin,
        &[
            "network meter create out-of-net1 --project demo -f json".to_owned(),
            "network meter rule create out-of-net1 --egress --source-ip-prefix 10.1.0.0/24".to_owned(),
            "network qos policy create slow".to_owned(),
            "network qos rule create slow --type bandwidth-limit --max-kbps 4000 --max-burst-kbits 2000 --egress"
                .to_owned(),
            format!("floating ip set --qos-policy slow {floating}"),
        ],
    )?;
    let label = format!("label-{}", text(&answers[0], "id")?);
    lab.wait_until("the limit and the counter are there", || {
        let rules = within(lab, HOST, r1, &["nft", "list", "ruleset"])?;
        Ok(rules.contains(&format!("limits_out_{floating}")) && rules.contains(&label))
    })?;
    let (octets, seconds) = drawn(lab, floating)?;
    story.sees("the world draws from the floating IP", "no more than rate and burst allow", || {
        // The kernel's bucket holds a second's worth beside the burst; what is on its way is a little more.
        let most = 500_000.0 * (seconds + 1.0) + 250_000.0 + 100_000.0;
        Ok((octets > 0.0 && octets < most, format!("{:.2} Mbit/s for {seconds:.1} s", octets / seconds / 125_000.0)))
    })?;
    story.sees("nft list counter in qrouter-", "the label counts what went out", || {
        let table = within(lab, HOST, r1, &["nft", "list", "table", "ip", "neutronium-metering"])?;
        let counted = table.split("bytes ").nth(1).and_then(|rest| rest.split_whitespace().next());
        let counted = counted.and_then(|number| number.parse::<f64>().ok()).unwrap_or_default();
        Ok((counted >= octets, format!("{counted} bytes")))
    })
}

/// What is behind an instance answers by a route of the tenant's own.
fn extra_route(lab: &Lab, demo: &Client, r2: &str, vm2: &Probe, story: &mut Story) -> Result<(), Failure> {
    story.chapter("A route of the tenant's own");
    let behind = "192.168.77.1";
    vm2.run(&["ip", "address", "add", &format!("{behind}/32"), "dev", "lo"])?;
    made(
        story,
        "192.168.77.0/24 is behind vm2: its port may have it, r2 has a route",
        demo,
        &[
            format!("port set {} --allowed-address ip-address=192.168.77.0/24", vm2.port),
            format!("router add route r2 --route destination=192.168.77.0/24,gateway={}", vm2.address),
        ],
    )?;
    reaches(story, &format!("ping r2 -> {behind}"), "by vm2", true, || {
        in_the_end(lab, true, || ping_from(lab, HOST, Some(r2), behind))
    })?;
    shows(story, "routes of r2", "", &[&format!("192.168.77.0/24 via {} dev qr-", vm2.address)], || {
        within(lab, HOST, r2, &["ip", "route"])
    })
}
