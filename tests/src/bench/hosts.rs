//! Hosts in a lab: how soon it carries traffic, and how soon a port does. The lab is made for it and taken down afterwards.

use super::load::percentile;
use super::peer::Agents;
use super::server::{User, text};
use super::shell::{Ping, Shell};
use super::table::{Cell, Table};
use super::{bound, machine, networks, restart, rules, unexpected, wire};
use crate::{Failure, Lab, command};
use serde_json::{Value, json};
use std::time::{Duration, Instant, SystemTime};

/// The host that ports are plugged into.
pub const HERE: &str = "compute1";
/// The other one.
pub const THERE: &str = "compute2";
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    /// Samples of each time.
    pub samples: usize,
    /// Ports that are plugged when the agent is killed the first time.
    pub ports: usize,
    /// Ports there are when one more is bound, and when their group changes.
    pub crowd: usize,
    /// Ports that are plugged when the agent is killed the second time.
    pub many: usize,
}

/// Takes the lab down, whatever happened.
struct Up<'a>(&'a Lab);

impl Drop for Up<'_> {
    fn drop(&mut self) {
        if let Err(failure) = self.0.run(&["lab", "down"]) {
            let _ = std::io::Write::write_fmt(&mut anstream::stderr(), format_args!("{failure}\n"));
        }
    }
}

/// Everything about hosts.
pub fn run(lab: &Lab, amount: Amount, theirs: &Agents, mut show: impl FnMut(Table)) -> Result<(), Failure> {
    let start = Instant::now();
    let (_up, mut bench) = up(lab)?;
    let up_after = start.elapsed();
    show(first_light(&mut bench, start, up_after)?);
    let two = "The default lab of five hosts with one network and two instances.";
    show(memory(lab, "Memory, two instances", two, theirs)?);

    let mut times = Table::new(
        "From a port to its traffic",
        &format!(
            "{} samples each, seconds. A port on compute1 has its namespace, veth and address ready and is plugged at t0 (the \
             start of ovs-vsctl add-port); its namespace pings every 5 ms, with ARP tried every 10 ms, an instance on the \
             same host and one on another host (VXLAN). ACTIVE: the API says so, asked every 5 ms. Neutron, {}: an internal port of the switch that was then moved into its namespace, pinging the router on the \
             same host every 100 ms.",
            amount.samples,
            theirs.when()
        ),
        &["what", "median s", "p95 s", "max s", "Neutron median s", "Neutron p95 s"],
    );
    let anchors = Anchors::plug(&mut bench)?;
    let mut costs = Table::new(
        "Processor time of a port",
        "Milliseconds of each process per port of the table above: created, plugged, pinging for a second, removed. With the \
         userspace datapath ovs-vswitchd also forwards the pings (400 a second).",
        &["process", "with few ports", "with many"],
    );
    let few = bench.samples(&anchors, amount.samples, "", (theirs.plug_to_ping, theirs.plug_to_active), &mut times)?;
    let mut crowd = restart::Crowd::default();
    crowd.grow(&mut bench, amount.ports)?;
    let with = format!(", {} ports plugged", amount.ports);
    let many = bench.samples(
        &anchors,
        amount.samples,
        &with,
        (theirs.plug_to_ping_200, theirs.plug_to_active_200),
        &mut times,
    )?;
    show(times);
    for ((process, few), (_, many)) in few.into_iter().zip(many) {
        costs.row([process.into(), few.into(), many.into()]);
    }
    show(costs);
    show(memory(
        lab,
        &format!("Memory, {} ports", amount.ports),
        "The same lab with so many ports on compute1.",
        theirs,
    )?);
    show(restart::run(&mut bench, &anchors, &crowd, theirs)?);
    crowd.grow(&mut bench, amount.crowd)?;
    show(bound::run(&mut bench, amount.samples, amount.crowd)?);
    show(rules::run(&mut bench, amount.crowd)?);
    crowd.grow(&mut bench, amount.many)?;
    show(restart::run(&mut bench, &anchors, &crowd, theirs)?);
    Ok(())
}

/// From binding to flows alone, in a lab of its own.
pub fn bound(lab: &Lab, samples: usize, crowd: usize) -> Result<Table, Failure> {
    let (_up, mut bench) = up(lab)?;
    restart::Crowd::default().grow(&mut bench, crowd)?;
    bound::run(&mut bench, samples, crowd)
}

/// What networks cost, in a lab of its own.
pub fn networks(lab: &Lab, marks: &[usize], theirs: &Agents) -> Result<Table, Failure> {
    let (_up, mut bench) = up(lab)?;
    networks::run(&mut bench, marks, theirs)
}

/// Packets between hosts, in a lab of its own.
pub fn wire(lab: &Lab) -> Result<Table, Failure> {
    let (_up, mut bench) = up(lab)?;
    wire::run(&mut bench)
}

/// A fresh lab, and who signs in there.
fn up(lab: &Lab) -> Result<(Up<'_>, Bench<'_>), Failure> {
    lab.run(&["lab", "down"])?;
    let up = Up(lab);
    lab.run(&["lab", "up"])?;
    Ok((up, Bench::new(lab)?))
}

/// From nothing to the first ping between two instances on two hosts, each addressed by DHCP.
fn first_light(bench: &mut Bench<'_>, start: Instant, up_after: Duration) -> Result<Table, Failure> {
    let made = Instant::now();
    let network = bench.admin.make("/v2.0/networks", "network", &json!({ "name": "light" }))?;
    let subnet = json!({ "network_id": text(&network, "id")?, "cidr": "10.20.0.0/24", "ip_version": 4 });
    bench.admin.make("/v2.0/subnets", "subnet", &subnet)?;
    let create = |name: &str, host: &str| -> Result<Value, Failure> {
        let said = bench.lab.run(&["probe", "create", name, "--network", "light", "--host", host, "--json"])?;
        serde_json::from_str(&said).map_err(|error| unexpected("probe create", format!("{error}: {said}")))
    };
    let (one, two) = std::thread::scope(|scope| {
        let one = scope.spawn(|| create("light1", HERE));
        let two = create("light2", THERE);
        (one.join(), two)
    });
    one.map_err(|_| unexpected("probe create", "panicked"))??;
    let two = two?;
    let made_after = made.elapsed();
    let none = || unexpected("probe create", format!("no address: {two}"));
    let cidr = two["addresses"][0].as_str().ok_or_else(none)?;
    let address = cidr.split('/').next().unwrap_or_default();
    let pinged = Instant::now();
    let ping = ["probe", "exec", "light1", "--", "ping", "-n", "-c", "1", "-W", "1", address];
    while !command::output(&mut bench.lab.command(&ping))?.status.success() {
        if pinged.elapsed() > PATIENCE {
            return Err(unexpected("ping between the first two instances", "no answer"));
        }
    }
    let mut table = Table::new(
        "From nothing to the first ping",
        "The default lab: controller, network node, two computes, a world outside, each with its own Open vSwitch.",
        &["step", "s"],
    );
    for (step, took) in [
        ("neutronium lab up, until every agent has reported", up_after),
        ("a network with a subnet, two instances on two hosts addressed by DHCP", made_after),
        ("first ping from one to the other", pinged.elapsed()),
        ("from the start of lab up to that ping", start.elapsed()),
    ] {
        table.row([step.into(), took.as_secs_f64().into()]);
    }
    Ok(table)
}

/// Resident and proportional memory of every process of the lab.
fn memory(lab: &Lab, title: &str, note: &str, theirs: &Agents) -> Result<Table, Failure> {
    let note = format!(
        "{note} Neutron's agents and API on one host with 2 networks, {}: {:.0} MiB resident in {} processes.",
        theirs.when(),
        theirs.all_mib.unwrap_or_default(),
        theirs.all_processes.unwrap_or_default()
    );
    let mut table = Table::new(title, &note, &["process", "resident MiB", "proportional MiB"]);
    let (mut count, mut resident, mut proportional) = (0_usize, 0.0, 0.0);
    for (node, process, pid) in processes(lab)? {
        let (one, shared) = machine::memory_mib(pid)?;
        table.row([format!("{process} of {node}").into(), one.into(), shared.into()]);
        (count, resident, proportional) = (count + 1, resident + one, proportional + shared);
    }
    table.row([Cell::from(format!("all {count}")), resident.into(), proportional.into()]);
    Ok(table)
}

/// Node, name and pid of the processes that run.
pub fn processes(lab: &Lab) -> Result<Vec<(String, String, u32)>, Failure> {
    let status = status(lab)?;
    let mut found = Vec::new();
    for node in status["nodes"].as_array().into_iter().flatten() {
        for process in node["processes"].as_array().into_iter().flatten() {
            if let Some(pid) = process["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()) {
                found.push((text(node, "name")?.to_owned(), text(process, "name")?.to_owned(), pid));
            }
        }
    }
    Ok(found)
}

fn status(lab: &Lab) -> Result<Value, Failure> {
    let said = lab.run(&["lab", "status", "--json"])?;
    serde_json::from_str(&said).map_err(|error| unexpected("lab status", format!("{error}: {said}")))
}

/// The lab, signed in, with a network that ports are made on.
pub struct Bench<'a> {
    /// The lab.
    pub lab: &'a Lab,
    /// The administrator.
    pub admin: User,
    /// The network's id.
    pub network: String,
    /// The security group's: ICMP and SSH may come in.
    pub group: String,
    /// A shell on [`HERE`].
    pub here: Shell,
    /// A shell on [`THERE`].
    pub there: Shell,
    ports: u16,
}

/// A port, and the namespace that stands for its instance.
pub struct Instance {
    /// The port's id.
    pub port: String,
    /// Its only address.
    pub address: String,
    /// The namespace.
    pub namespace: String,
    tap: String,
    mac: String,
}

/// Instances that are there to be pinged.
pub struct Anchors {
    /// Two on [`HERE`].
    pub near: [Instance; 2],
    /// One on [`THERE`].
    pub far: Instance,
}

impl Anchors {
    fn plug(bench: &mut Bench<'_>) -> Result<Self, Failure> {
        let mut on = |host: &str| -> Result<Instance, Failure> {
            let mut instance = bench.instance();
            bench.shell(host).run(&instance.prepare())?;
            bench.create(&mut instance, host)?;
            bench.shell(host).run(&instance.plug())?;
            Ok(instance)
        };
        let anchors = Self { near: [on(HERE)?, on(HERE)?], far: on(THERE)? };
        for instance in anchors.near.iter().chain([&anchors.far]) {
            bench.wait_active(&instance.port)?;
        }
        Ok(anchors)
    }
}

impl Instance {
    /// Shell: namespace, veth pair, address; everything but the plug.
    pub fn prepare(&self) -> String {
        let Self { namespace, tap, mac, address, .. } = self;
        format!(
            "ip netns add {namespace}\n\
             ip link add {tap} type veth peer name eth0 netns {namespace} address {mac}\n\
             sysctl -qw net.ipv6.conf.{tap}.disable_ipv6=1\n\
             ip netns exec {namespace} sh -ec '\n\
               sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1 net.ipv4.neigh.eth0.retrans_time_ms=10\n\
               ethtool -K eth0 tx off >/dev/null\n\
               ip link set eth0 mtu 1450\n\
               ip addr add {address}/16 dev eth0\n\
               ip link set eth0 up'\n\
             ip link set {tap} mtu 1450 up"
        )
    }

    /// Shell: what a hypervisor does.
    pub fn plug(&self) -> String {
        format!("ovs-vsctl --no-wait {}", self.plug_words())
    }

    /// The same as a part of a longer transaction.
    pub fn plug_words(&self) -> String {
        let Self { tap, port, mac, .. } = self;
        format!(
            "add-port br-int {tap} -- set Interface {tap} external_ids:iface-id={port} \
             external_ids:iface-status=active 'external_ids:attached-mac=\"{mac}\"' external_ids:vm-uuid={port}"
        )
    }

    /// Shell: undoes it all.
    pub fn remove(&self) -> String {
        let Self { namespace, tap, .. } = self;
        format!("ovs-vsctl --if-exists del-port br-int {tap}\nip link del {tap}\nip netns del {namespace}")
    }

    /// The device on the host.
    pub fn tap(&self) -> &str {
        &self.tap
    }

    /// The MAC address.
    pub fn mac(&self) -> &str {
        &self.mac
    }
}

impl<'a> Bench<'a> {
    fn new(lab: &'a Lab) -> Result<Self, Failure> {
        let environment = lab.openrc("admin", "admin")?;
        let password = environment.get("OS_PASSWORD").map(String::as_str).unwrap_or_default();
        let status = status(lab)?;
        let url = text(&status, "server_url")?;
        let address = url.trim_start_matches("http://").trim_end_matches('/');
        let address = address.parse().map_err(|error| unexpected("lab status", format!("{url}: {error}")))?;
        let mut admin = User::sign_in(address, "admin", password, "admin")?;
        let network = admin.make("/v2.0/networks", "network", &json!({ "name": "bench" }))?;
        let project = json!({ "network": network });
        let network = text(&network, "id")?.to_owned();
        let subnet = json!({ "network_id": network, "cidr": "10.10.0.0/16", "ip_version": 4 });
        admin.make("/v2.0/subnets", "subnet", &subnet)?;
        let group = admin.make("/v2.0/security-groups", "security_group", &json!({ "name": "bench" }))?;
        let group = text(&group, "id")?.to_owned();
        // The amounts are ours to choose.
        let project = text(&project["network"], "project_id")?;
        let no_limit = json!({ "quota": { "network": -1, "subnet": -1, "port": -1, "security_group_rule": -1 } });
        admin.ask("PUT", &format!("/v2.0/quotas/{project}"), Some(&no_limit))?;
        for (protocol, port) in [("icmp", None), ("tcp", Some(22))] {
            let rule = json!({ "security_group_id": group, "direction": "ingress", "ethertype": "IPv4",
                "protocol": protocol, "port_range_min": port, "port_range_max": port });
            admin.make("/v2.0/security-group-rules", "security_group_rule", &rule)?;
        }
        let (here, there) = (Shell::open(lab, HERE)?, Shell::open(lab, THERE)?);
        Ok(Self { lab, admin, network, group, here, there, ports: 0 })
    }

    /// An instance whose port is yet to be made: its addresses are ours to choose, so that all else can be ready.
    pub fn instance(&mut self) -> Instance {
        self.ports += 1;
        let [high, low] = self.ports.to_be_bytes();
        Instance {
            port: String::new(),
            address: format!("10.10.{}.{low}", 100 + high),
            namespace: format!("bench{}", self.ports),
            tap: format!("tapbench{}", self.ports),
            mac: format!("fa:16:3e:be:{high:02x}:{low:02x}"),
        }
    }

    /// What makes its port, bound to a host.
    pub fn port_body(&self, instance: &Instance, host: &str) -> Value {
        json!({ "network_id": self.network, "device_owner": "compute:bench", "binding:host_id": host,
            "mac_address": instance.mac, "fixed_ips": [{ "ip_address": instance.address }],
            "security_groups": [self.group] })
    }

    fn create(&mut self, instance: &mut Instance, host: &str) -> Result<(), Failure> {
        let body = self.port_body(instance, host);
        instance.port = text(&self.admin.make("/v2.0/ports", "port", &body)?, "id")?.to_owned();
        Ok(())
    }

    fn shell(&mut self, host: &str) -> &mut Shell {
        if host == HERE { &mut self.here } else { &mut self.there }
    }

    /// Waits until the API says ACTIVE; when it did.
    pub fn wait_active(&mut self, port: &str) -> Result<SystemTime, Failure> {
        let (path, start) = (format!("/v2.0/ports/{port}?fields=status"), Instant::now());
        loop {
            if self.admin.ask("GET", &path, None)?["port"]["status"] == "ACTIVE" {
                return Ok(SystemTime::now());
            }
            if start.elapsed() > PATIENCE {
                return Err(unexpected(&path, "not ACTIVE"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn samples(
        &mut self,
        anchors: &Anchors,
        count: usize,
        with: &str,
        (peer_ping, peer_active): (Option<[f64; 2]>, Option<[f64; 2]>),
        table: &mut Table,
    ) -> Result<Vec<(String, f64)>, Failure> {
        let before = self.costs()?;
        let mut plugged = Vec::new();
        let mut created = Vec::new();
        // In turns, so that a busy moment of the machine meets both.
        for _ in 0..count {
            plugged.push(self.sample(anchors, true)?);
            created.push(self.sample(anchors, false)?);
        }
        let ports = 2.0 * count as f64;
        let costs = before.into_iter().zip(self.costs()?);
        let costs = costs.map(|((process, before), (_, after))| (process, (after - before) / ports)).collect();
        let mut row = |what: &str, samples: &[Sample], which: fn(&Sample) -> f64, peer: Option<[f64; 2]>| {
            let mut values: Vec<f64> = samples.iter().map(which).collect();
            values.sort_by(f64::total_cmp);
            table.row([
                format!("{what}{with}").into(),
                percentile(&values, 0.5).into(),
                percentile(&values, 0.95).into(),
                percentile(&values, 1.0).into(),
                peer.map(|[median, _]| median).into(),
                peer.map(|[_, p95]| p95).into(),
            ]);
        };
        row("plug to first ping, same host", &plugged, |sample| sample.near, peer_ping);
        row("plug to first ping, other host", &plugged, |sample| sample.far, None);
        row("plug to ACTIVE", &plugged, |sample| sample.active, peer_active);
        row("create (POST sent, plugged at once) to ACTIVE", &created, |sample| sample.active, None);
        row("create to first ping, other host", &created, |sample| sample.far, None);
        Ok(costs)
    }

    /// Processor time of all processes so far, milliseconds.
    fn costs(&self) -> Result<Vec<(String, f64)>, Failure> {
        let cost =
            |(node, process, pid): (String, String, u32)| Ok((format!("{process} of {node}"), machine::cpu_ms(pid)?));
        processes(self.lab)?.into_iter().map(cost).collect()
    }

    /// One port through its life. `known`: it is created long before it is plugged, and the time runs from the plug; else it
    /// is plugged as soon as it is created, and the time runs from the request.
    fn sample(&mut self, anchors: &Anchors, known: bool) -> Result<Sample, Failure> {
        let mut instance = self.instance();
        self.here.run(&instance.prepare())?;
        if known {
            self.create(&mut instance, HERE)?;
        }
        let ping = |to: &Instance| Ping::start(self.lab, HERE, &instance.namespace, &to.address, 0.005);
        let [near, _] = &anchors.near;
        let (mut near, mut far) = (ping(near)?, ping(&anchors.far)?);
        // The pings run, and the agents know the port if it is known.
        std::thread::sleep(Duration::from_secs(1));
        let start = SystemTime::now();
        if !known {
            self.create(&mut instance, HERE)?;
        }
        self.here.run(&instance.plug())?;
        let active = self.wait_active(&instance.port)?;
        let since = |at: SystemTime| at.duration_since(start).unwrap_or_default().as_secs_f64();
        let sample =
            Sample { near: since(near.first_answer()?), far: since(far.first_answer()?), active: since(active) };
        drop((near, far));
        self.here.run(&instance.remove())?;
        self.admin.ask("DELETE", &format!("/v2.0/ports/{}", instance.port), None)?;
        Ok(sample)
    }
}

/// Seconds of one port.
struct Sample {
    near: f64,
    far: f64,
    active: f64,
}
