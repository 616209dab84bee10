//! Writes down what security groups have accepted and refused, where a log asks for it.
//!
//! ```text
//! flow of a log ──controller, metered──▶ OpenFlow connection of its own ──▶ cookie: which port, which logs ──▶ line ──▶ file
//! ```
//! In: packets from the switch, and of the newest order's plan what their cookies mean. Out: lines like Neutron's:
//! `TIME action=DROP project_id=... log_resource_ids=['...'] vm_port=... pkt=ethernet(...)ipv4(...)udp(...)`. The switch's meter limits
//! how many come (`host_plan::LogLimits`), and nothing is kept here: who cannot write as fast as packets come reads no
//! more, and the switch drops what is more than its queue holds.

mod headers;

use crate::config::{NetworkLogSection, OvsSection};
use crate::rooms::Order;
use error_text::sentence;
use host_drivers::packet_ins::PacketIns;
use host_plan::{HostPlan, Logged};
use jiff::Timestamp;
use openflow::wire::PacketIn;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long after a connection that was lost the next one is tried.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

type Orders = watch::Receiver<Option<Arc<Order>>>;

/// Runs for as long as it is polled.
pub(crate) async fn run(section: NetworkLogSection, ovs: OvsSection, mut orders: Orders) {
    // Without any log there is no connection.
    while orders.wait_for(|order| order.as_ref().is_some_and(|order| !order.plan.logged.is_empty())).await.is_ok() {
        let Err(error) = follow(section.local_output_log_base.as_deref(), &ovs, &mut orders).await else { continue };
        tracing::debug!(error = sentence(&error), "packets that are to be logged cannot be heard");
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// Until nothing is to be logged any more.
async fn follow(file: Option<&Path>, ovs: &OvsSection, orders: &mut Orders) -> Result<(), host_drivers::DriverError> {
    let mut packets = PacketIns::connect(&ovs.rundir, &ovs.integration_bridge).await?;
    let mut complained = false;
    loop {
        let Some(plan) = orders.borrow_and_update().as_ref().map(|order| order.plan.clone()) else { return Ok(()) };
        if plan.logged.is_empty() {
            return Ok(());
        }
        tokio::select! {
            changed = orders.changed() => if changed.is_err() { return Ok(()) },
            packet = packets.next() => {
                let packet = packet?;
                // What comes by a flow that is just going is nobody's any more.
                let Some(logged) = meaning(&plan, packet.cookie) else { continue };
                let line = line(Timestamp::now(), logged, &packet);
                let Some(file) = file else {
                    tracing::info!(target: "network_log", "{line}");
                    continue;
                };
                match append(file.to_owned(), line).await {
                    Ok(()) => complained = false,
                    Err(error) if !complained => {
                        tracing::warn!(path = %file.display(), %error, "the log of security groups cannot be written");
                        complained = true;
                    }
                    Err(_) => {}
                }
            }
        }
    }
}

fn meaning(plan: &HostPlan, cookie: u64) -> Option<&Logged> {
    plan.logged.get(&((cookie & 0xffff_ffff) as u32)).filter(|_| host_plan::FLOW_OWNER.owns(cookie))
}

/// Opened anew each time, so that it may be moved away (`logrotate`) at any time.
async fn append(path: PathBuf, line: String) -> std::io::Result<()> {
    let write = move || {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).mode(0o640).open(path)?;
        file.write_all(format!("{line}\n").as_bytes())
    };
    tokio::task::spawn_blocking(write).await.map_err(std::io::Error::other)?
}

fn line(at: Timestamp, logged: &Logged, packet: &PacketIn) -> String {
    let ids: Vec<String> = logged.logs.iter().map(|id| format!("'{id}'")).collect();
    format!(
        "{at:.3} action={} project_id={} log_resource_ids=[{}] vm_port={} pkt={}",
        if logged.accepted { "ACCEPT" } else { "DROP" },
        logged.project,
        ids.join(", "),
        logged.port,
        headers::Headers(&packet.data)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use net_types::PortId;

    #[test]
    fn a_line_says_when_to_the_millisecond() {
        let logged =
            Logged { port: PortId(uuid::Uuid::nil()), accepted: false, project: "p".to_owned(), logs: [].into() };
        let packet = PacketIn {
            reason: 1,
            table: 0,
            cookie: 0,
            metadata: openflow::Match::default(),
            total_len: 0,
            data: Vec::new(),
        };
        for (second, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            let line = line(Timestamp::from_second(second).unwrap(), &logged, &packet);
            assert!(line.starts_with(&format!("{text} action=DROP project_id=p ")), "{line}");
        }
    }
}
