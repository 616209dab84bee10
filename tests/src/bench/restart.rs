//! What a restart of the agent costs when many ports are plugged on its host, and what the instances notice: an agent that
//! dies by SIGKILL says nothing and cleans nothing up.

use super::hosts::{Anchors, Bench, HERE, Instance, processes};
use super::peer::Agents;
use super::server::text;
use super::shell::Ping;
use super::table::{Cell, Table};
use super::watch::Watch;
use super::{machine, unexpected};
use crate::{Failure, command};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

/// How long pings go on: two seconds before the kill, about five after it.
const WATCHED: Duration = Duration::from_millis(7_500);
/// How long the host may take for all ports.
const PATIENCE: Duration = Duration::from_secs(300);

/// Many ports on one host.
#[derive(Default)]
pub struct Crowd {
    ports: Vec<Instance>,
    flows_before: usize,
    flows: usize,
    /// How many came last, and what that took.
    came: usize,
    all_active_after: Duration,
    agent_cpu_ms: f64,
}

impl Crowd {
    /// Grows to so many ports: makes those that are missing and plugs them all at once.
    pub fn grow(&mut self, bench: &mut Bench<'_>, to: usize) -> Result<(), Failure> {
        let had = self.ports.len();
        let count = to.saturating_sub(had);
        if count == 0 {
            return Ok(());
        }
        let flows_before = flows(bench)?;
        let mut ports: Vec<Instance> = (0..count).map(|_| bench.instance()).collect();
        for some in ports.chunks_mut(50) {
            let bodies: Vec<Value> = some.iter().map(|instance| bench.port_body(instance, HERE)).collect();
            let made = bench.admin.ask("POST", "/v2.0/ports", Some(&json!({ "ports": bodies })))?;
            for instance in some {
                // A bulk answer need not keep the order.
                let same = |port: &&Value| port["mac_address"] == instance.mac();
                let port = made["ports"].as_array().into_iter().flatten().find(same);
                instance.port = text(port.unwrap_or(&Value::Null), "id")?.to_owned();
            }
        }
        // One namespace for all their far ends: nobody in it speaks.
        let mut batch = String::new();
        for instance in &ports {
            let (tap, mac) = (instance.tap(), instance.mac());
            batch.push_str(&format!("link add {tap} type veth peer name i{tap} netns crowd{had} address {mac}\n"));
            batch.push_str(&format!("link set {tap} mtu 1450 up\n"));
        }
        let inside: String =
            ports.iter().map(|instance| format!("link set i{} mtu 1450 up\n", instance.tap())).collect();
        bench.here.run(&format!(
            "ip netns add crowd{had}\n\
             ip netns exec crowd{had} sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1\n\
             before=$(sysctl -n net.ipv6.conf.default.disable_ipv6)\n\
             sysctl -qw net.ipv6.conf.default.disable_ipv6=1\n\
             ip -batch - <<'END'\n{batch}END\n\
             sysctl -qw net.ipv6.conf.default.disable_ipv6=$before\n\
             ip -n crowd{had} -batch - <<'END'\n{inside}END"
        ))?;
        let words: Vec<String> = ports.iter().map(Instance::plug_words).collect();
        let agent = agent(bench)?;
        let (start, cpu) = (Instant::now(), machine::cpu_ms(agent)?);
        bench.here.run(&format!("ovs-vsctl --no-wait {}", words.join(" -- ")))?;
        self.ports.append(&mut ports);
        while self.active(bench)? < self.ports.len() {
            if start.elapsed() > PATIENCE {
                return Err(unexpected("the crowd", "not all ACTIVE"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        self.all_active_after = start.elapsed();
        self.agent_cpu_ms = machine::cpu_ms(agent)? - cpu;
        (self.came, self.flows_before, self.flows) = (count, flows_before, flows(bench)?);
        Ok(())
    }

    /// How many of them are ACTIVE.
    fn active(&self, bench: &mut Bench<'_>) -> Result<usize, Failure> {
        let path = format!("/v2.0/ports?network_id={}&status=ACTIVE&fields=id", bench.network);
        let answer = bench.admin.ask("GET", &path, None)?;
        let active: BTreeSet<&str> =
            answer["ports"].as_array().into_iter().flatten().filter_map(|port| port["id"].as_str()).collect();
        Ok(self.ports.iter().filter(|instance| active.contains(instance.port.as_str())).count())
    }
}

fn flows(bench: &mut Bench<'_>) -> Result<usize, Failure> {
    let said = bench.here.run("ovs-ofctl dump-flows br-int | grep -c cookie")?;
    said.trim().parse().map_err(|_| unexpected("ovs-ofctl dump-flows br-int", said))
}

fn agent(bench: &Bench<'_>) -> Result<u32, Failure> {
    running_agent(bench)?.ok_or_else(|| unexpected("lab status", format!("no agent runs on {HERE}")))
}

fn running_agent(bench: &Bench<'_>) -> Result<Option<u32>, Failure> {
    let is_it = |(node, name, _): &(String, String, u32)| node == HERE && name == "agent";
    Ok(processes(bench.lab)?.into_iter().find(is_it).map(|(.., pid)| pid))
}

/// Kills the agent and watches.
pub fn run(bench: &mut Bench<'_>, anchors: &Anchors, crowd: &Crowd, theirs: &Agents) -> Result<Table, Failure> {
    let count = crowd.ports.len();
    let [one, two] = &anchors.near;
    let ping = |to: &Instance| Ping::start(bench.lab, HERE, &one.namespace, &to.address, 0.05);
    // As long as the pings below, and nothing is done: what the switch loses anyway.
    let undisturbed = [two, &anchors.far].map(&ping);
    std::thread::sleep(WATCHED);
    let mut lost_anyway = Vec::new();
    for pings in undisturbed {
        let path = pings?.stop()?;
        lost_anyway.push(path.sent - path.answered);
    }
    let (mut near, mut far) = (ping(two)?, ping(&anchors.far)?);
    near.first_answer()?;
    far.first_answer()?;
    std::thread::sleep(Duration::from_secs(2));

    let watch = Watch::of(bench, "table=82,tcp,tp_dst=4711")?;
    let rule = json!({ "security_group_id": bench.group, "direction": "ingress", "ethertype": "IPv4",
        "protocol": "tcp", "port_range_min": 4711, "port_range_max": 4711 });
    let old = agent(bench)?;
    let start = Instant::now();
    command::run(Command::new("kill").args(["-KILL", &old.to_string()]))?;
    let rule = bench.admin.make("/v2.0/security-group-rules", "security_group_rule", &rule)?;
    let new = loop {
        match running_agent(bench)? {
            Some(pid) if pid != old => break pid,
            _ if start.elapsed() > PATIENCE => return Err(unexpected("the agent", "was not started again")),
            _ => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    let runs_after = start.elapsed();
    let realised_after = watch.until(start, true)?;
    let cpu_then = machine::cpu_ms(new)?;
    std::thread::sleep(Duration::from_secs(5));
    let cpu_later = machine::cpu_ms(new)?;
    let (near, far) = (near.stop()?, far.stop()?);
    let (resident, _) = machine::memory_mib(new)?;
    bench.admin.ask("DELETE", &format!("/v2.0/security-group-rules/{}", text(&rule, "id")?), None)?;

    let mut table = Table::new(
        &format!("{count} ports on one host, and its agent killed"),
        &format!(
            "SIGKILL at t0; a rule of the group of all ports that is made at t0 is on the switch with all else that the new \
             agent has realised. Pings: 20 per second on paths that were there before, from before the kill until 5 s after \
             that. Neutron: its agent with 200 ports, {}.",
            theirs.when()
        ),
        &["what", "value", "Neutron"],
    );
    let mut row = |what: &str, value: Cell, peer: Option<f64>| table.row([what.into(), value, peer.into()]);
    row(
        &format!("plugging {} at once until all are ACTIVE, s (Neutron: {})", crowd.came, theirs.plug_all),
        crowd.all_active_after.as_secs_f64().into(),
        theirs.plug_all_active,
    );
    row("processor s of the agent for that", (crowd.agent_cpu_ms / 1e3).into(), None);
    row("flows on br-int with them", crowd.flows.into(), theirs.flows_200);
    let per_port = (crowd.flows as f64 - crowd.flows_before as f64) / crowd.came as f64;
    row("flows on br-int per port", per_port.into(), theirs.flows_200.map(|flows| flows / 200.0));
    row("kill until the new process runs, s", runs_after.as_secs_f64().into(), None);
    row("kill until all is realised, s", realised_after.into(), theirs.restart_200);
    row("processor s of the new process until then", (cpu_then / 1e3).into(), theirs.restart_200_cpu);
    row("processor s of the new process 5 s later", (cpu_later / 1e3).into(), None);
    row("resident MiB of the new process", resident.into(), theirs.agent_200_mib);
    row("ports that are still ACTIVE", crowd.active(bench)?.into(), None);
    row("flows on br-int afterwards", flows(bench)?.into(), None);
    for ((name, path), anyway) in [("same host", near), ("other host", far)].into_iter().zip(lost_anyway) {
        row(&format!("pings lost in as long a time before, {name}"), Cell::Number(f64::from(anyway)), None);
        row(&format!("pings sent, {name}"), Cell::Number(f64::from(path.sent)), None);
        row(
            &format!("pings lost, {name}"),
            Cell::Number(f64::from(path.sent - path.answered)),
            theirs.restart_200_lost,
        );
        row(&format!("longest gap between answers, {name}, s"), path.longest_gap.into(), None);
    }
    Ok(table)
}
