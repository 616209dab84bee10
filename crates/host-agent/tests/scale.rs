//! How the agent fares with hundreds of ports and networks. Prints what it measured; asserts what must hold on any machine.
//!
//! ```text
//! NEUTRONIUM=$PWD/target/release/neutronium PORTS=500 NETWORKS=1,50,500 \
//!     cargo nextest run --release --workspace --run-ignored only --no-capture -E 'binary(scale)'
//! ```
//! The agent is a process of its own, so that processor time and memory are its own. The server of the test stands for
//! Neutronium's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod common;

use common::server::{SECRET, Seen};
use common::view::{Net, add_client, add_network, add_secured_port, id, mac, serve_dhcp};
use common::{Host, on_a_host};
use host_view::{
    Direction, EtherType, HostView, MetadataClient, PortState, Remote, RuleMatch, SecurityGroupRule, Segment,
};
use net_types::{MacAddr, PortId, SecurityGroupId, Vni};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Samples of each time.
const SAMPLES: usize = 20;

/// The agent as a process of its own; killed when dropped.
struct Agent(Child);

impl Agent {
    fn start(host: &Host, roles: &str) -> Self {
        let folder = host.state_dir();
        std::fs::create_dir_all(&folder).unwrap();
        let (secret, config) = (folder.join("secret"), folder.join("agent.toml"));
        std::fs::write(&secret, SECRET).unwrap();
        let text = format!(
            "[agent]\nhost = 'testhost'\nserver = '{}'\nsecret_file = '{}'\nroles = {roles}\nstate_dir = '{}'\n\
             [ovs]\nrundir = '{}'\ndatapath_type = 'netdev'\nlocal_ip = '192.0.2.11'\n",
            host.server.url(),
            secret.display(),
            folder.display(),
            host.switch.rundir().display()
        );
        std::fs::write(&config, text).unwrap();
        let binary = std::env::var("NEUTRONIUM").unwrap_or_else(|_| "../../target/release/neutronium".to_owned());
        let log = std::fs::File::create(std::env::temp_dir().join("scale-agent.log")).unwrap();
        let started = Command::new(binary)
            .args(["agent", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        Self(started.expect("NEUTRONIUM names the binary"))
    }

    fn cpu(&self) -> Duration {
        cpu(self.0.id())
    }

    /// KiB that are resident, and how many threads there are.
    fn size(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse().unwrap()
        };
        (field("VmRSS:"), field("Threads:"))
    }

    fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.0.id())).unwrap().count()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // SIGKILL, as what the tests are about.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Processor time of a process, in steps of the kernel's tick; threads that have ended count.
fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // What follows the name in brackets: a space, the state, and of the rest the tenth and eleventh are the ticks in user and
    // in system mode.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split(' ').collect();
    let ticks = |at: usize| fields[at].parse::<u64>().unwrap();
    Duration::from_millis((ticks(12) + ticks(13)) * 10)
}

/// This host's ovs-vswitchd.
fn switch(host: &Host) -> u32 {
    let rundir = host.switch.rundir().display().to_string();
    let is_it = |pid: &u32| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.starts_with("ovs-vswitchd") && line.contains(&rundir)
    };
    let entries = std::fs::read_dir("/proc").unwrap();
    let mut pids = entries.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    pids.find(is_it).expect("ovs-vswitchd runs")
}

fn amount(name: &str, otherwise: &str) -> Vec<usize> {
    let given = std::env::var(name).unwrap_or_else(|_| otherwise.to_owned());
    given.split(',').map(|number| number.parse().expect("a number")).collect()
}

/// Plugs the host's ends of veth pairs, all in one transaction.
fn plug_all(host: &Host, ports: &[(PortId, MacAddr)]) {
    let mut words: Vec<String> = vec![];
    for (port, mac) in ports {
        let device = format!("tap{}", port.short());
        let command = format!(
            "-- add-port br-int {device} -- set Interface {device} external_ids:iface-id={port} \
             external_ids:attached-mac=\"{mac}\""
        );
        words.extend(command.split(' ').map(str::to_owned));
    }
    let words = words.iter().map(String::as_str);
    // Whoever plugs does not wait for the switch.
    host.switch.vsctl(&["--no-wait"].into_iter().chain(words).collect::<Vec<_>>()).unwrap();
}

/// Veth pairs whose far ends are all in one namespace, where nobody speaks.
fn make_devices(host: &Host, ports: &[(PortId, MacAddr)]) {
    let far = host.switch.extra_namespace().unwrap();
    let mut near = String::new();
    let mut inside = String::new();
    for (port, mac) in ports {
        let short = port.short();
        near += &format!(
            "link add tap{short} type veth peer name i{short} netns {far} address {mac}\nlink set tap{short} up\n"
        );
        inside += &format!("link set i{short} up\n");
    }
    let quiet = "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1";
    host.switch.run(&["sh", "-ec", quiet]).unwrap();
    host.inside(&far, quiet).unwrap();
    host.switch.run_with(&["ip", "-batch", "-"], &near).unwrap();
    host.switch.run_with(&["ip", "-n", &far, "-batch", "-"], &inside).unwrap();
}

fn up(seen: &Seen) -> usize {
    seen.ports.values().filter(|state| **state == PortState::Up).count()
}

async fn until(host: &Host, what: &str, said: impl Fn(&Seen) -> bool) {
    let limit = Instant::now() + Duration::from_secs(120);
    while !said(&host.server.seen()) {
        assert!(Instant::now() < limit, "{what}");
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
}

/// What a row of samples took, and what it cost the agent and the switch.
struct Samples<'h> {
    what: &'static str,
    host: &'h Host,
    agent: &'h Agent,
    before: (Duration, Duration),
    times: Vec<Duration>,
}

impl<'h> Samples<'h> {
    fn new(what: &'static str, host: &'h Host, agent: &'h Agent) -> Self {
        Self { what, host, agent, before: (agent.cpu(), cpu(switch(host))), times: vec![] }
    }

    fn show(mut self) {
        let count = self.times.len() as u32;
        self.times.sort();
        let (median, worst) = (self.times[self.times.len() / 2], self.times.last().unwrap());
        let agent = (self.agent.cpu() - self.before.0) / count;
        let switch = (cpu(switch(self.host)) - self.before.1) / count;
        println!(
            "{}: median {median:.1?}, worst {worst:.1?}; each {agent:.1?} of CPU here, {switch:.1?} in ovs-vswitchd",
            self.what
        );
    }
}

/// One group for all, as people have it, and ports in it.
fn crowd(view: &mut HostView, count: usize) -> (Net, SecurityGroupId, Vec<(PortId, MacAddr)>) {
    let net = add_network(view, Segment::Vxlan { vni: Vni::new(5).unwrap() }, "10.0.0.0/16", None);
    let mut all = vec![];
    for n in 0..count {
        let own = MacAddr([0xfa, 0x16, 0x3e, 1, (n >> 8) as u8, n as u8]);
        let port = add_secured_port(view, net, own, &format!("10.0.{}.{}", n >> 8, n & 0xff), true);
        all.push((port, own));
    }
    let group = *view.security_groups.keys().next().unwrap();
    view.security_groups.retain(|id, _| *id == group);
    for port in view.ports.values_mut() {
        port.security_groups = [group].into();
    }
    let members = view.ports.values().flat_map(|port| &port.fixed_ips).map(|fixed| fixed.address.into()).collect();
    view.group_members.insert(group, members);
    let rules = &mut view.security_groups.get_mut(&group).unwrap().rules;
    rules.insert(id(), tcp(80, Remote::Group(group)));
    (net, group, all)
}

fn tcp(port: u16, remote: Remote) -> SecurityGroupRule {
    let matching = RuleMatch::Ports(net_types::PortRange::new(port, port).unwrap());
    SecurityGroupRule { direction: Direction::Ingress, ethertype: EtherType::IPv4, protocol: Some(6), matching, remote }
}

#[test]
#[ignore = "a measurement"]
fn ports() {
    let count = amount("PORTS", "500")[0];
    on_a_host(|host| async move {
        let mut all = vec![];
        let mut of_all = None;
        host.server.change(|view| {
            let (_, group, ports) = crowd(view, count + 2 * SAMPLES);
            all = ports;
            of_all = Some(group);
        });
        let group = of_all.unwrap();
        let late = all.split_off(count + SAMPLES);
        let unbound = all.split_off(count);
        // Those are plugged before their port is bound here.
        let mut bound = vec![];
        host.server.change(|view| bound.extend(unbound.iter().map(|(id, _)| (*id, view.ports.remove(id).unwrap()))));
        for some in [&all, &late, &unbound] {
            make_devices(&host, some);
        }

        let agent = Agent::start(&host, "['l2', 'dhcp', 'l3']");
        until(&host, "a report", |seen| !seen.ports.is_empty()).await;
        host.switch.wait_for_bridge("br-int").unwrap();
        let mut samples = Samples::new("all plugged at once", &host, &agent);
        let start = Instant::now();
        plug_all(&host, &all);
        until(&host, "all ports up", |seen| up(seen) == count).await;
        samples.times.push(start.elapsed());
        samples.show();
        println!("flows on br-int: {}", host.flows("br-int").lines().count());
        plug_all(&host, &unbound);
        tokio::time::sleep(Duration::from_secs(3)).await;

        let mut samples = Samples::new("one more, plugged to flows", &host, &agent);
        for port in late {
            let start = Instant::now();
            plug_all(&host, &[port]);
            until(&host, "the port is up", |seen| seen.ports.get(&port.0) == Some(&PortState::Up)).await;
            samples.times.push(start.elapsed());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        samples.show();

        let mut samples = Samples::new("one more, bound to flows", &host, &agent);
        for (port, value) in bound {
            let start = Instant::now();
            host.server.change(|view| {
                view.ports.insert(port, value);
            });
            until(&host, "the port is up", |seen| seen.ports.get(&port) == Some(&PortState::Up)).await;
            samples.times.push(start.elapsed());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        samples.show();

        for (what, remote) in
            [("a rule more", Remote::Any), ("a rule more for the group's members", Remote::Group(group))]
        {
            let mut samples = Samples::new(what, &host, &agent);
            for n in 0..5 {
                let start = Instant::now();
                let rule = tcp(8000 + n, remote.clone());
                let now = host.server.change(|view| {
                    view.security_groups.get_mut(&group).unwrap().rules.insert(id(), rule);
                });
                until(&host, "the rule", |seen| seen.revision >= now).await;
                samples.times.push(start.elapsed());
            }
            samples.show();
        }

        let before = agent.cpu();
        tokio::time::sleep(Duration::from_secs(10)).await;
        println!("idle: {:.1?} of CPU in 10 s", agent.cpu() - before);

        drop(agent);
        let flows = host.flows("br-int").lines().count();
        let (session, start, switch_before) = (host.server.seen().session, Instant::now(), cpu(switch(&host)));
        let agent = Agent::start(&host, "['l2', 'dhcp', 'l3']");
        until(&host, "all up again", |seen| seen.session != session && up(seen) == count + 2 * SAMPLES).await;
        println!(
            "restart: all as planned after {:.1?}, {:.1?} of CPU here, {:.1?} in ovs-vswitchd; {:?}",
            start.elapsed(),
            agent.cpu(),
            cpu(switch(&host)) - switch_before,
            agent.size()
        );
        assert_eq!(host.flows("br-int").lines().count(), flows);
    });
}

#[test]
#[ignore = "a measurement"]
fn networks() {
    let steps = amount("NETWORKS", "1,50,500");
    on_a_host(|host| async move {
        let agent = Agent::start(&host, "['l2', 'dhcp', 'l3']");
        host.server.until("a report", |seen| seen.session.is_some()).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let mut last = (0, agent.size().0);
        println!("no network: {:?} KiB and threads, {} descriptors", agent.size(), agent.descriptors());
        for count in steps {
            let (start, before) = (Instant::now(), agent.cpu());
            let now = host.server.change(|view| {
                for n in last.0..count {
                    let vni = Vni::new(10 + n as u32).unwrap();
                    let net = add_network(view, Segment::Vxlan { vni }, "10.0.0.0/24", None);
                    serve_dhcp(view, net, mac(1), "10.0.0.2");
                    for instance in 0..2u8 {
                        let own = MacAddr([0xfa, 0x16, 0x3e, instance, (n >> 8) as u8, n as u8]);
                        let address = format!("10.0.0.{}", 10 + instance);
                        let port = common::view::add_port(view, net, "compute:nova", own, &address);
                        add_client(view, port);
                        let client = MetadataClient {
                            network: net.network,
                            addresses: [common::view::ip(&address)].into(),
                            mac: own,
                            instance: id::<PortId>().to_string(),
                            project: "p".repeat(32),
                        };
                        view.metadata_clients.insert(port, client);
                    }
                }
            });
            until(&host, "all networks", |seen| seen.revision >= now && up(seen) >= count).await;
            let took = start.elapsed();
            tokio::time::sleep(Duration::from_secs(5)).await;
            let (size, threads) = agent.size();
            println!(
                "{count} networks: after {took:.1?}, {:.1?} of CPU; {size} KiB, {threads} threads, {} descriptors; {:.1} KiB \
                 for each more",
                agent.cpu() - before,
                agent.descriptors(),
                (size as f64 - last.1 as f64) / (count - last.0) as f64,
            );
            last = (count, size);
        }
        let before = agent.cpu();
        tokio::time::sleep(Duration::from_secs(10)).await;
        println!("idle: {:.1?} of CPU in 10 s, {:?}", agent.cpu() - before, agent.size());
        assert!(Path::new(&format!("/proc/{}", agent.0.id())).exists());
    });
}
