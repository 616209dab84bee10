//! From a port's binding to its flows on the switch, on a host that has many ports: the time that the control plane alone
//! takes. The switch tells of the flow ([`super::watch`]).

use super::hosts::{Bench, HERE};
use super::load::percentile;
use super::server::text;
use super::table::{Cell, Table};
use super::watch::Watch;
use super::{hosts, machine};
use crate::Failure;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Measures `samples` ports, each bound first and plugged first.
pub fn run(bench: &mut Bench<'_>, samples: usize, ports: usize) -> Result<Table, Failure> {
    let before = costs(bench)?;
    let (mut answered, mut bound, mut plugged) = (Vec::new(), Vec::new(), Vec::new());
    // In turns, so that a busy moment of the machine meets both.
    for _ in 0..samples {
        let (answer, flows) = sample(bench, true)?;
        answered.push(answer);
        bound.push(flows);
        plugged.push(sample(bench, false)?.1);
    }
    let after = costs(bench)?;
    let mut table = Table::new(
        &format!("From binding to flows, {ports} ports on the host"),
        &format!(
            "{samples} samples each, milliseconds until the flows of the port are on br-int (they come in one bundle), as the \
             switch tells. *Bound*: the device is plugged and the port is not bound; from the start of the PUT of binding:host_id. \
             *Plugged*: the port is bound; from the start of ovs-vsctl add-port. OVN 23.03, in another run with 500 ports: 154 ms from a \
             new logical port to the hypervisor's done."
        ),
        &["what", "median ms", "p95 ms", "max ms"],
    );
    let rows = [("bound to the API's answer", &answered), ("bound to flows", &bound), ("plugged to flows", &plugged)];
    for (what, samples) in rows {
        let mut times: Vec<f64> = samples.iter().map(|seconds| seconds * 1e3).collect();
        times.sort_by(f64::total_cmp);
        table.row([
            what.into(),
            percentile(&times, 0.5).into(),
            percentile(&times, 0.95).into(),
            percentile(&times, 1.0).into(),
        ]);
    }
    for ((process, before), (_, after)) in before.into_iter().zip(after) {
        let each = (after - before) / (2.0 * samples as f64);
        table.row([
            format!("processor ms of {process} per port, its removal included").into(),
            each.into(),
            Cell::Empty,
            Cell::Empty,
        ]);
    }
    Ok(table)
}

/// Processor time so far of what takes part.
pub fn costs(bench: &Bench<'_>) -> Result<Vec<(String, f64)>, Failure> {
    let mut costs = Vec::new();
    for (node, process, pid) in hosts::processes(bench.lab)? {
        if node == HERE || process == "server" {
            costs.push((format!("{process} of {node}"), machine::cpu_ms(pid)?));
        }
    }
    Ok(costs)
}

/// Seconds until the API answered (or the device was plugged), and until the flows were there.
fn sample(bench: &mut Bench<'_>, bind: bool) -> Result<(f64, f64), Failure> {
    let mut instance = bench.instance();
    let mut body = bench.port_body(&instance, HERE);
    if bind {
        body["binding:host_id"] = Value::from("");
    }
    instance.port = text(&bench.admin.make("/v2.0/ports", "port", &body)?, "id")?.to_owned();
    bench.here.run(&instance.prepare())?;
    if bind {
        bench.here.run(&instance.plug())?;
    }
    // The agent knows the device or the port.
    std::thread::sleep(Duration::from_millis(500));
    let watch = Watch::of(bench, &format!("table=73,dl_dst={}", instance.mac()))?;
    let start = Instant::now();
    let path = format!("/v2.0/ports/{}", instance.port);
    if bind {
        bench.admin.ask("PUT", &path, Some(&json!({ "port": { "binding:host_id": HERE } })))?;
    } else {
        bench.here.run(&instance.plug())?;
    }
    let answered = start.elapsed().as_secs_f64();
    let flows = watch.until(start, true)?;
    bench.here.run(&instance.remove())?;
    bench.admin.ask("DELETE", &path, None)?;
    Ok((answered, flows))
}
