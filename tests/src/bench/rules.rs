//! What a change of a security group costs the host that has many of its members.

use super::bound::costs;
use super::hosts::{Bench, THERE};
use super::server::text;
use super::table::{Cell, Table};
use super::unexpected;
use super::watch::{Watch, flows};
use crate::Failure;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How often each change is made.
const TURNS: u16 = 5;
/// After a change, until everybody has finished with it.
const REST: Duration = Duration::from_millis(500);

/// One kind of change, with what its turns did.
#[derive(Default)]
struct Kind {
    /// Flows that came, less those that went.
    flows: f64,
    seconds: f64,
    /// By process, milliseconds.
    costs: Vec<(String, f64)>,
}

impl Kind {
    /// Does it once; a flow of the match `flow` comes (or goes) with it.
    fn once(
        &mut self,
        bench: &mut Bench<'_>,
        flow: (&str, bool),
        act: impl FnOnce(&mut Bench<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let (flows_before, before) = (flows(bench)?, costs(bench)?);
        let watch = Watch::of(bench, flow.0)?;
        let start = Instant::now();
        act(bench)?;
        self.seconds += watch.until(start, flow.1)?;
        std::thread::sleep(REST);
        let after = costs(bench)?;
        self.flows += flows(bench)? as f64 - flows_before as f64;
        self.costs.resize(after.len(), (String::new(), 0.0));
        for ((sum, (_, before)), (process, after)) in self.costs.iter_mut().zip(before).zip(after) {
            *sum = (process, sum.1 + after - before);
        }
        Ok(())
    }
}

/// Changes the group that all ports of the bench are members of; `members` of them are here.
pub fn run(bench: &mut Bench<'_>, members: usize) -> Result<Table, Failure> {
    let mut kinds: [(&str, Kind); 8] = [
        "rule for any source added",
        "first rule by remote group added (the group itself)",
        "second rule by remote group added",
        "member on another host added",
        "member on another host removed",
        "second rule by remote group removed",
        "last rule by remote group removed",
        "rule for any source removed",
    ]
    .map(|name| (name, Kind::default()));
    for turn in 0..TURNS {
        let [(_, any), (_, first), (_, second), (_, member), (_, less), (_, no_second), (_, no_first), (_, no_any)] =
            &mut kinds;
        let port = 1000 + 3 * turn;
        let mut rules = Vec::new();
        for (kind, port, remote) in [(any, port, false), (first, port + 1, true), (second, port + 2, true)] {
            let mut rule = json!({ "security_group_id": bench.group, "direction": "ingress", "ethertype": "IPv4",
                "protocol": "tcp", "port_range_min": port, "port_range_max": port });
            if remote {
                rule["remote_group_id"] = Value::from(bench.group.as_str());
            }
            let flow = format!("table=82,tcp,tp_dst={port}");
            kind.once(bench, (&flow, true), |bench| {
                let rule = bench.admin.make("/v2.0/security-group-rules", "security_group_rule", &rule)?;
                rules.push((format!("/v2.0/security-group-rules/{}", text(&rule, "id")?), flow.clone()));
                Ok(())
            })?;
        }
        let mut there = bench.instance();
        let body = bench.port_body(&there, THERE);
        let flow = format!("table=82,ip,nw_src={}", there.address);
        member.once(bench, (&flow, true), |bench| {
            there.port = text(&bench.admin.make("/v2.0/ports", "port", &body)?, "id")?.to_owned();
            Ok(())
        })?;
        rules.push((format!("/v2.0/ports/{}", there.port), flow));
        for kind in [less, no_second, no_first, no_any] {
            let (path, flow) = rules.pop().ok_or_else(|| unexpected("rules", "fewer were made than are removed"))?;
            kind.once(bench, (&flow, false), |bench| bench.admin.ask("DELETE", &path, None).map(|_| ()))?;
        }
    }
    let mut table = Table::new(
        &format!("A change of a group of {members} members on one host"),
        &format!(
            "Means of {TURNS} turns: flows of br-int that came (went), milliseconds from the request until the switch \
             tells that a flow of it has come (gone), and processor time of the server, the agent and the switch until half a \
             second after that."
        ),
        &["change", "flows", "ms", "agent cpu ms", "ovs-vswitchd cpu ms", "server cpu ms"],
    );
    for (name, kind) in kinds {
        let mean = |sum: f64| Cell::from(sum / f64::from(TURNS));
        let cost = |of: &str| -> f64 {
            kind.costs.iter().filter(|(process, _)| process.starts_with(of)).map(|(_, cost)| cost).sum()
        };
        table.row([
            name.into(),
            mean(kind.flows),
            mean(kind.seconds * 1e3),
            mean(cost("agent")),
            mean(cost("ovs-vswitchd")),
            mean(cost("server")),
        ]);
    }
    Ok(table)
}
