//! What a network costs the host that answers DHCP and metadata for it: processes and memory at growing numbers of networks.

use super::hosts::{Bench, processes};
use super::peer::Agents;
use super::server::text;
use super::table::{Cell, Table};
use super::{machine, unexpected};
use crate::Failure;
use serde_json::json;
use std::time::{Duration, Instant};

/// How long a step may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// Grows to each of `marks` networks, each with a subnet, DHCP and metadata.
pub fn run(bench: &mut Bench<'_>, marks: &[usize], theirs: &Agents) -> Result<Table, Failure> {
    let mut table = Table::new(
        "Networks with DHCP and metadata",
        &format!(
            "Networks of one subnet each, whose DHCP and (isolated) metadata the lab's network node answers. Seconds: from the \
             last subnet's creation until every DHCP port is ACTIVE. Memory: resident, MiB. Neutron, {}: each network \
             adds {} processes (a dnsmasq and a haproxy), {:.1} MiB resident.",
            theirs.when(),
            theirs.network_processes.unwrap_or_default(),
            theirs.network_mib.unwrap_or_default()
        ),
        &[
            "networks",
            "s",
            "agent cpu s",
            "processes",
            "agent MiB",
            "agent KiB per network",
            "switch and its database MiB",
            "server MiB",
        ],
    );
    let mut there = 0;
    let mut first = None;
    for mark in marks {
        let before = agent(bench)?.1;
        let path = "/v2.0/ports?device_owner=network:dhcp&status=ACTIVE&fields=id";
        let had = bench.admin.ask("GET", path, None)?["ports"].as_array().map_or(0, Vec::len);
        let adding = mark.saturating_sub(there);
        for number in there..*mark {
            let network = bench.admin.make("/v2.0/networks", "network", &json!({ "name": format!("many{number}") }))?;
            let cidr = format!("10.{}.{}.0/24", 30 + (number >> 8), number & 255);
            let subnet = json!({ "network_id": text(&network, "id")?, "cidr": cidr, "ip_version": 4 });
            bench.admin.make("/v2.0/subnets", "subnet", &subnet)?;
        }
        let start = Instant::now();
        while bench.admin.ask("GET", path, None)?["ports"].as_array().map_or(0, Vec::len) < had + adding {
            if start.elapsed() > PATIENCE {
                return Err(unexpected(path, "not all ACTIVE"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let took = start.elapsed();
        there = there.max(*mark);
        std::thread::sleep(Duration::from_secs(5));
        let (pid, after) = agent(bench)?;
        let (mut count, mut switch, mut server) = (0_usize, 0.0, 0.0);
        for (node, process, pid) in processes(bench.lab)? {
            let (resident, _) = machine::memory_mib(pid)?;
            count += usize::from(node == NODE);
            switch += if node == NODE && process.starts_with("ovs") { resident } else { 0.0 };
            server += if process == "server" { resident } else { 0.0 };
        }
        let (resident, _) = machine::memory_mib(pid)?;
        let (base, from) = *first.get_or_insert((resident, *mark));
        let each = (mark > &from).then(|| (resident - base) * 1024.0 / (mark - from) as f64);
        table.row([
            Cell::from(*mark),
            took.as_secs_f64().into(),
            ((after - before) / 1e3).into(),
            count.into(),
            resident.into(),
            each.into(),
            switch.into(),
            server.into(),
        ]);
    }
    Ok(table)
}

/// The host that serves them.
const NODE: &str = "network";

/// Its agent and the processor time it has taken so far.
fn agent(bench: &Bench<'_>) -> Result<(u32, f64), Failure> {
    let agent = processes(bench.lab)?.into_iter().find(|(node, name, _)| node == NODE && name == "agent");
    let (.., pid) = agent.ok_or_else(|| unexpected("lab status", "no agent runs on the network node"))?;
    Ok((pid, machine::cpu_ms(pid)?))
}
