//! One host, a private network behind a router, two instances; then a second tenant with the same addresses.
//!
//! ```text
//!  dev01 br-ex 10.101.1.193/28 ── public ── router `r1` ── net1 192.168.0.0/24   vm1 vm2     tenant stack1
//!                                       └── router `r2` ── net2 192.168.0.0/24   vm3 vm4     tenant stack2
//! ```

use super::building::{instances, lets_in, network, outside, router};
use super::{admin, made, ping_from, reaches, short, shows, tag, text, user, within};
use crate::lab::{DISCOVER, Probe, Seen};
use crate::story::Story;
use crate::{Client, Failure, Lab, command};

const HOST: &str = "dev01";
const GATEWAY: &str = "192.168.0.1";

/// Tells it.
pub fn tell(lab: &Lab, story: &mut Story) -> Result<(), Failure> {
    let admin = admin(lab)?;
    story.chapter("The outside");
    made(
        story,
        "external network, a /28 whose gateway is the host's br-ex",
        &admin,
        &outside("public", "physnet1", "10.101.1.192/28", "--gateway 10.101.1.193 --no-dhcp"),
    )?;
    let first = Tenant::build(lab, &admin, story, "stack1", "net1", "r1", ["vm1", "vm2"])?;
    first.is_seen(lab, story)?;
    let second = Tenant::build(lab, &admin, story, "stack2", "net2", "r2", ["vm3", "vm4"])?;

    story.chapter("Two tenants with the same addresses, at once");
    let tags = (first.tags(lab)?, second.tags(lab)?);
    story.sees("local VLANs on br-int", "each tenant's network has its own", || {
        let apart = tags.0.iter().all(|tag| !tags.1.contains(tag));
        Ok((apart, format!("{:?} and {:?}", tags.0, tags.1)))
    })?;
    for tenant in [&first, &second] {
        let [one, other] = &tenant.probes;
        reaches(story, &format!("ping {} -> {}", one.name, other.name), "inside its own network", true, || {
            one.ping(&other.address)
        })?;
        reaches(story, &format!("ping {} -> 10.101.1.193", one.name), "out by its own router", true, || {
            one.ping("10.101.1.193")
        })?;
    }
    broken_dhcp(lab, &first, story)
}

/// What DHCP offers an instance.
fn offered(probe: &Probe) -> Result<Seen, Failure> {
    let output = command::output(&mut probe.command(&["python3", "-c", DISCOVER, ""]))?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(if output.status.success() { Seen::Answer(said) } else { Seen::Silence })
}

/// The agent is stopped, and then a flow is taken away: the diagnosis names both.
fn broken_dhcp(lab: &Lab, tenant: &Tenant, story: &mut Story) -> Result<(), Failure> {
    story.chapter("DHCP, broken on purpose");
    let vm1 = &tenant.probes[0];
    reaches(story, "DHCP for vm1", "an offer", true, || offered(vm1))?;
    let audit = |story: &mut Story, what: &str, why: &str, wanted: &[&str]| {
        shows(story, what, why, wanted, || {
            let output = command::output(&mut lab.command(&["lab", "audit"]))?;
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        })
    };
    story.does("lab stop dev01 agent", || lab.run(&["lab", "stop", HOST, "agent"]), |_| "stopped".into())?;
    reaches(story, "DHCP for vm1", "nobody answers", false, || offered(vm1))?;
    reaches(story, "ping vm1 -> 10.101.1.193", "what is there goes on", true, || vm1.ping("10.101.1.193"))?;
    let network = format!("network net1 ({}): nobody answers DHCP", tenant.network);
    audit(story, "lab audit", "names the cause, and the network", &["the agent of this host does not run", &network])?;
    let number = lab.exec(HOST, &["ovs-vsctl", "get", "interface", &vm1.device, "ofport"])?;
    let flow = format!("table=71,udp,reg5={},tp_src=68,tp_dst=67", number.trim());
    story.does(
        "ovs-ofctl del-flows br-int: what lets vm1 ask for its first address",
        || lab.exec(HOST, &["ovs-ofctl", "-O", "OpenFlow14", "del-flows", "br-int", &flow]),
        |_| flow.clone(),
    )?;
    let port = format!("port vm1 ({}) of network net1 ({}): br-int lacks the flow", vm1.port, tenant.network);
    audit(story, "lab audit", "names port and network, and the flow", &[&port, "tp_src=68,tp_dst=67"])?;
    story.does("lab start dev01 agent", || lab.run(&["lab", "start", HOST, "agent"]), |_| "runs".into())?;
    shows(story, "lab audit --wait 30", "the agent mends it", &["is what its plan says"], || {
        lab.run(&["lab", "audit", "--wait", "30"])
    })?;
    reaches(story, "DHCP for vm1", "an offer again", true, || offered(vm1))
}

/// A tenant's network, router and instances.
struct Tenant {
    network: String,
    router: String,
    gateway_port: String,
    outside: String,
    probes: [Probe; 2],
}

impl Tenant {
    fn build(
        lab: &Lab,
        admin: &Client,
        story: &mut Story,
        name: &str,
        net: &str,
        edge: &str,
        [one, other]: [&str; 2],
    ) -> Result<Self, Failure> {
        story.chapter(&format!("Tenant {name}"));
        let client = user(lab, admin, name)?;
        let answers = made(
            story,
            &format!("network {net} 192.168.0.0/24, router {edge}, rules for ping"),
            &client,
            &[
                network(net, "192.168.0.0/24", "").to_vec(),
                router(edge, "public", &[net]),
                lets_in("default", &["--protocol icmp"]),
            ]
            .concat(),
        )?;
        let (network, router) = (text(&answers[0], "id")?.to_owned(), text(&answers[2], "id")?.to_owned());
        let outside = &answers[2]["external_gateway_info"]["external_fixed_ips"][0]["ip_address"];
        let outside = outside.as_str().unwrap_or_default().to_owned();
        let probes = instances(lab, &client, story, [(one, net, HOST, &[]), (other, net, HOST, &[])])?;
        let gateways = admin.json(&["port", "list", "--device-owner", "network:router_gateway", "--router", edge])?;
        let gateway_port = text(&gateways[0], "ID")?.to_owned();
        Ok(Self { network, router, gateway_port, outside, probes })
    }

    fn tags(&self, lab: &Lab) -> Result<Vec<String>, Failure> {
        self.probes.iter().map(|probe| tag(lab, HOST, &probe.device)).collect()
    }

    /// What the author found with `ip netns` and `ovs-vsctl show`.
    fn is_seen(&self, lab: &Lab, story: &mut Story) -> Result<(), Failure> {
        let (qrouter, qdhcp) = (format!("qrouter-{}", self.router), format!("qdhcp-{}", self.network));
        story.sees("addresses by DHCP", "instances and DHCP server from the pool, .1 is the router", || {
            let right = self.probes.iter().all(|probe| probe.address.starts_with("192.168.0."));
            let server = within(lab, HOST, &qdhcp, &["ip", "-br", "-4", "address"])?;
            Ok((right && server.contains("192.168.0."), format!("server {}", server.trim())))
        })?;
        story.sees("ip netns", "one namespace per router, one per network with DHCP", || {
            let list = lab.exec(HOST, &["ip", "netns"])?;
            let count = |prefix: &str| list.lines().filter(|line| line.starts_with(prefix)).count();
            let right = count("qrouter-") == 1 && count("qdhcp-") == 1;
            Ok((right && list.contains(&qrouter) && list.contains(&qdhcp), list.trim().replace('\n', ", ")))
        })?;
        let qg = format!("qg-{}", short(&self.gateway_port));
        let default = format!("default via 10.101.1.193 dev {qg}");
        let connected = format!("10.101.1.192/28 dev {qg}");
        shows(
            story,
            "routes of the router",
            "default by the gateway device, both nets connected",
            &[&default, &connected, "192.168.0.0/24 dev qr-"],
            || within(lab, HOST, &qrouter, &["ip", "route"]),
        )?;
        shows(story, "routes of the DHCP server", "its own network is connected", &["192.168.0.0/24 dev tap"], || {
            within(lab, HOST, &qdhcp, &["ip", "route"])
        })?;
        story.sees("tags on br-int", "all of a network's ports share one local VLAN", || {
            let shown = lab.exec(HOST, &["ovs-vsctl", "show"])?;
            let tags = self.tags(lab)?;
            let gateway = tag(lab, HOST, &qg)?;
            let right = tags[0] == tags[1] && gateway != tags[0] && shown.contains("fail_mode: secure");
            Ok((right, format!("instances {}, external {gateway}", tags[0])))
        })?;
        story.does(
            "host route to the private net by the router's external address",
            || lab.exec(HOST, &["ip", "route", "add", "192.168.0.0/24", "via", &self.outside]),
            |_| self.outside.clone(),
        )?;
        for probe in &self.probes {
            reaches(story, &format!("ping dev01 -> {}", probe.name), "the host is a neighbour outside", true, || {
                ping_from(lab, HOST, None, &probe.address)
            })?;
        }
        reaches(story, &format!("ping vm1 -> {GATEWAY}"), "the router's inside", true, || self.probes[0].ping(GATEWAY))
    }
}
