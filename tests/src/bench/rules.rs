//! What a change of a security group costs the host that has many of its members.

use super::bound::costs;
use super::hosts::{Bench, HERE, THERE};
use super::server::text;
use super::table::{Cell, Table};
use super::unexpected;
use super::watch::Watch;
use crate::Failure;
use serde_json::{Value, json};
use std::time::SystemTime;

/// How often each change is made.
const TURNS: u16 = 5;

/// One kind of change, with what it did.
#[derive(Default)]
struct Kind {
    added: usize,
    deleted: usize,
    seconds: f64,
    /// By process, milliseconds.
    costs: Vec<(String, f64)>,
}

/// Changes the group that all ports of the bench are members of; `members` of them are here.
pub fn run(bench: &mut Bench<'_>, members: usize) -> Result<Table, Failure> {
    let watch = Watch::start(bench.lab, HERE, "br-int")?;
    let mut kinds: Vec<(&str, Kind)> = [
        "rule for any source added",
        "rule for any source removed",
        "first rule by remote group added (the group itself)",
        "second rule by remote group added",
        "second rule by remote group removed",
        "last rule by remote group removed",
        "member on another host added, one rule by remote group",
        "member on another host removed",
    ]
    .map(|name| (name, Kind::default()))
    .into();
    for turn in 0..TURNS {
        let group = bench.group.clone();
        let rule = |port: u16, remote: bool| {
            let mut rule = json!({ "security_group_id": group, "direction": "ingress", "ethertype": "IPv4", "protocol": "tcp",
                "port_range_min": port, "port_range_max": port });
            if remote {
                rule["remote_group_id"] = Value::from(group.as_str());
            }
            rule
        };
        let port = 1000 + 3 * turn;
        let mut measure =
            |bench: &mut Bench<'_>, which: usize, act: &mut dyn FnMut(&mut Bench<'_>) -> Result<(), Failure>| {
                let before = costs(bench)?;
                watch.forget();
                let start = SystemTime::now();
                act(bench)?;
                let changes = watch.settle(start, &[])?;
                let (_, kind) = kinds.get_mut(which).ok_or_else(|| unexpected("rules", "no such kind"))?;
                kind.added += changes.added;
                kind.deleted += changes.deleted;
                kind.seconds += changes.last_after;
                let after = costs(bench)?;
                kind.costs.resize(after.len(), (String::new(), 0.0));
                for ((sum, (_, before)), (process, after)) in kind.costs.iter_mut().zip(before).zip(after) {
                    *sum = (process, sum.1 + after - before);
                }
                Ok::<(), Failure>(())
            };
        let mut made = Vec::new();
        for (which, body) in [(0, rule(port, false)), (2, rule(port + 1, true)), (3, rule(port + 2, true))] {
            measure(bench, which, &mut |bench| {
                let rule = bench.admin.make("/v2.0/security-group-rules", "security_group_rule", &body)?;
                made.push(format!("/v2.0/security-group-rules/{}", text(&rule, "id")?));
                Ok(())
            })?;
        }
        let mut delete = |bench: &mut Bench<'_>, which: usize, path: &str| {
            measure(bench, which, &mut |bench| bench.admin.ask("DELETE", path, None).map(|_| ()))
        };
        let [plain, first, second] = &made[..] else { return Err(unexpected("rules", "not all were made")) };
        delete(bench, 1, plain)?;
        delete(bench, 4, second)?;
        let mut member = bench.instance();
        let body = bench.port_body(&member, THERE);
        measure(bench, 6, &mut |bench| {
            member.port = text(&bench.admin.make("/v2.0/ports", "port", &body)?, "id")?.to_owned();
            Ok(())
        })?;
        let path = format!("/v2.0/ports/{}", member.port);
        measure(bench, 7, &mut |bench| bench.admin.ask("DELETE", &path, None).map(|_| ()))?;
        measure(bench, 5, &mut |bench| bench.admin.ask("DELETE", first, None).map(|_| ()))?;
    }
    let mut table = Table::new(
        &format!("A change of a group of {members} members on one host"),
        &format!(
            "Means of {TURNS} turns: flows of br-int that came and went, milliseconds from the request to the last of them, \
             milliseconds of processor time of the server, the agent and the switch until it was quiet for 0.4 s."
        ),
        &["change", "flows added", "flows removed", "ms", "agent cpu ms", "ovs-vswitchd cpu ms", "server cpu ms"],
    );
    for (name, kind) in kinds {
        let mean = |sum: f64| Cell::from(sum / f64::from(TURNS));
        let cost = |of: &str| -> f64 {
            kind.costs.iter().filter(|(process, _)| process.starts_with(of)).map(|(_, cost)| cost).sum()
        };
        table.row([
            name.into(),
            mean(kind.added as f64),
            mean(kind.deleted as f64),
            mean(kind.seconds * 1e3),
            mean(cost("agent")),
            mean(cost("ovs-vswitchd")),
            mean(cost("server")),
        ]);
    }
    Ok(table)
}
