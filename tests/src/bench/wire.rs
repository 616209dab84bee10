//! Packets between two hosts, beside the same way built by hand in the same switches: two bridges with a patch between them
//! and a VXLAN tunnel, a handful of flows. What our flows cost over that is what is measured.

use super::hosts::{Bench, HERE, Instance, THERE, processes};
use super::load::percentile;
use super::server::text;
use super::shell::Shell;
use super::table::{Cell, Table};
use super::{cannot, machine, unexpected};
use crate::{Failure, command};
use serde_json::{Value, json};
use std::process::{Child, Stdio};
use std::time::Duration;

/// Rounds of each way, in turns.
const ROUNDS: usize = 5;
/// Seconds of each stream.
const SECONDS: u32 = 3;
/// The port that the group lets in.
const PORT: &str = "22";

/// A way between two namespaces on the two hosts.
struct Way {
    name: &'static str,
    from: String,
    to: String,
    /// Where the far end is reached.
    address: String,
    gigabits: Vec<f64>,
    /// Processor ms of both switches per gigabyte.
    cpu: Vec<f64>,
    /// Milliseconds, mean of a round.
    latency: Vec<f64>,
}

impl Way {
    fn new(name: &'static str, from: &str, to: &str, address: &str) -> Self {
        let none = Vec::new;
        let (from, to, address) = (from.to_owned(), to.to_owned(), address.to_owned());
        Self { name, from, to, address, gigabits: none(), cpu: none(), latency: none() }
    }
}

/// Measures all ways.
pub fn run(bench: &mut Bench<'_>) -> Result<Table, Failure> {
    let guarded = [bench.plugged(HERE, true)?, bench.plugged(THERE, true)?];
    let open = [bench.plugged(HERE, false)?, bench.plugged(THERE, false)?];
    build_by_hand(bench)?;
    let ours = |name, [one, two]: &[Instance; 2]| Way::new(name, &one.namespace, &two.namespace, &two.address);
    let mut ways = [
        Way::new("built by hand", "hand0", "hand0", "10.99.0.2"),
        Way::new("built by hand, stateful (ct)", "hand1", "hand1", "10.99.1.2"),
        ours("port without security groups", &open),
        ours("port with security groups", &guarded),
    ];
    for _ in 0..ROUNDS {
        for way in &mut ways {
            latency(bench, way)?;
            throughput(bench, way)?;
        }
    }
    let mut table = Table::new(
        "Packets between two hosts",
        &format!(
            "Medians of {ROUNDS} rounds in turns. One TCP stream of {SECONDS} s (iperf3), Gbit/s; processor time of both \
             ovs-vswitchd per gigabyte; round trip of 500 pings. By hand: two bridges, a patch, VXLAN, NORMAL; stateful: the same \
             behind ct() and ct(commit). The stateful one is what a port with security groups compares with; MTU 1450; the \
             userspace datapath on both sides."
        ),
        &["way", "Gbit/s", "of the one by hand", "switch cpu ms per GB", "round trip ms"],
    );
    let [plain, stateful, ..] = &ways;
    let median = |values: &[f64]| {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        percentile(&values, 0.5)
    };
    let (plain, stateful) = (median(&plain.gigabits), median(&stateful.gigabits));
    for way in &ways {
        let compared =
            if way.name.contains("with security") || way.name.contains("stateful") { stateful } else { plain };
        let gigabits = median(&way.gigabits);
        table.row([
            way.name.into(),
            gigabits.into(),
            (gigabits / compared).into(),
            median(&way.cpu).into(),
            Cell::from(median(&way.latency)),
        ]);
    }
    for host in [HERE, THERE] {
        shell(bench, host).run("ovs-vsctl del-br hand-int -- del-br hand-tun")?;
    }
    Ok(table)
}

fn shell<'b>(bench: &'b mut Bench<'_>, host: &str) -> &'b mut Shell {
    if host == HERE { &mut bench.here } else { &mut bench.there }
}

/// The address that a host's tunnels end at.
fn underlay(bench: &mut Bench<'_>, host: &str) -> Result<String, Failure> {
    let said = shell(bench, host).run("ovs-vsctl --bare --columns=options find Interface type=vxlan | head -n 1")?;
    let found = said.split_whitespace().find_map(|word| word.strip_prefix("local_ip="));
    found.map(|ip| ip.trim_matches('"').to_owned()).ok_or_else(|| unexpected("ovs-vsctl find Interface", said.as_str()))
}

fn build_by_hand(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let addresses = [underlay(bench, HERE)?, underlay(bench, THERE)?];
    let [here, there] = &addresses;
    for (host, local, remote, number) in [(HERE, here, there, 1), (THERE, there, here, 2)] {
        let mut script = format!(
            "ovs-vsctl add-br hand-int -- set Bridge hand-int datapath_type=netdev fail_mode=secure \
             -- add-br hand-tun -- set Bridge hand-tun datapath_type=netdev fail_mode=secure \
             -- add-port hand-int hand-pi -- set Interface hand-pi type=patch options:peer=hand-pt \
             -- add-port hand-tun hand-pt -- set Interface hand-pt type=patch options:peer=hand-pi \
             -- add-port hand-tun hand-vx -- set Interface hand-vx type=vxlan options:local_ip={local} \
                options:remote_ip={remote} options:in_key=flow options:out_key=flow options:dst_port=4790\n"
        );
        for way in 0..2 {
            script.push_str(&format!(
                "ip netns add hand{way}\n\
                 ip link add tap{way}hand type veth peer name eth0 netns hand{way}\n\
                 ip netns exec hand{way} sh -ec '\n\
                   sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1\n\
                   ethtool -K eth0 tx off >/dev/null\n\
                   ip link set eth0 mtu 1450\n\
                   ip addr add 10.99.{way}.{number}/24 dev eth0\n\
                   ip link set eth0 up'\n\
                 ip link set tap{way}hand mtu 1450 up\n\
                 ovs-vsctl add-port hand-int tap{way}hand tag=10{way}\n"
            ));
        }
        script.push_str(
            "ovs-ofctl add-flows hand-int - <<'END'\n\
             table=0,priority=10,ip,in_port=tap1hand,actions=ct(zone=65000,table=1)\n\
             table=0,priority=10,ip,dl_vlan=101,actions=ct(zone=65000,table=1)\n\
             table=0,priority=0,actions=NORMAL\n\
             table=1,ct_state=+trk+new,ip,actions=ct(commit,zone=65000),NORMAL\n\
             table=1,ct_state=+trk+est,ip,actions=NORMAL\nEND\n\
             ovs-ofctl add-flows hand-tun - <<'END'\n\
             in_port=hand-pt,dl_vlan=100,actions=strip_vlan,set_field:7100->tun_id,output:hand-vx\n\
             in_port=hand-pt,dl_vlan=101,actions=strip_vlan,set_field:7101->tun_id,output:hand-vx\n\
             in_port=hand-vx,tun_id=7100,actions=mod_vlan_vid:100,output:hand-pt\n\
             in_port=hand-vx,tun_id=7101,actions=mod_vlan_vid:101,output:hand-pt\nEND",
        );
        shell(bench, host).run(&script)?;
    }
    Ok(())
}

/// A process that does not outlive what it was started for.
struct Gone(Child);

impl Drop for Gone {
    fn drop(&mut self) {
        // Ended already in the ordinary case.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn latency(bench: &mut Bench<'_>, way: &mut Way) -> Result<(), Failure> {
    let Way { from, address, .. } = way;
    let said = bench.here.run(&format!("ip netns exec {from} ping -n -q -i 0.002 -c 500 {address}"))?;
    // rtt min/avg/max/mdev = 0.041/0.059/0.412/0.022 ms
    let mean = said.lines().find_map(|line| line.strip_prefix("rtt ")?.split('/').nth(4)?.parse().ok());
    way.latency.push(mean.ok_or_else(|| unexpected("ping", said.as_str()))?);
    Ok(())
}

fn throughput(bench: &mut Bench<'_>, way: &mut Way) -> Result<(), Failure> {
    let switches: Vec<u32> =
        processes(bench.lab)?.into_iter().filter(|(_, name, _)| name == "ovs-vswitchd").map(|(.., pid)| pid).collect();
    let cost = || -> Result<f64, Failure> { switches.iter().map(|pid| machine::cpu_ms(*pid)).sum() };
    let Way { from, to, address, .. } = way;
    let mut server = bench.lab.exec_command(THERE, &["ip", "netns", "exec", to, "iperf3", "-s", "-1", "-p", PORT]);
    let server = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(cannot("iperf3"))?;
    let _server = Gone(server);
    let seconds = SECONDS.to_string();
    let client = ["ip", "netns", "exec", from, "iperf3", "-J", "-c", address, "-p", PORT, "-t", &seconds];
    let mut tries = 0;
    let (report, spent) = loop {
        let before = cost()?;
        let said = command::run(&mut bench.lab.exec_command(HERE, &client))?;
        let report: Value = serde_json::from_str(&said).map_err(|error| unexpected("iperf3", error))?;
        // The far end listens a moment after it was started; iperf3 says in its report that it was refused, and ends well.
        match report["error"].as_str() {
            None => break (report, cost()? - before),
            Some(error) if tries > 50 => return Err(unexpected("iperf3", error)),
            Some(_) => tries += 1,
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let received = &report["end"]["sum_received"];
    let number = |key: &str| received[key].as_f64().ok_or_else(|| unexpected("iperf3", &report));
    way.gigabits.push(number("bits_per_second")? / 1e9);
    way.cpu.push(spent / (number("bytes")? / 1e9));
    Ok(())
}

impl Bench<'_> {
    /// An instance that is plugged and ACTIVE, with or without port security.
    fn plugged(&mut self, host: &str, guarded: bool) -> Result<Instance, Failure> {
        let mut instance = self.instance();
        let mut body = self.port_body(&instance, host);
        if !guarded {
            body["security_groups"] = json!([]);
            body["port_security_enabled"] = json!(false);
        }
        instance.port = text(&self.admin.make("/v2.0/ports", "port", &body)?, "id")?.to_owned();
        let script = format!("{}\n{}", instance.prepare(), instance.plug());
        shell(self, host).run(&script)?;
        self.wait_active(&instance.port)?;
        Ok(instance)
    }
}
