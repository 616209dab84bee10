//! Forgets tracked connections that no rule allows any more.
//!
//! ```text
//! flows written ──▶ what changed concerned the firewall? ──▶ wanted ──▶ wait for the datapath ──▶ list ──▶ judge ──▶ forget
//!                                                              ▲                                 (host-plan)
//!                                     a newer one takes its place while one is under way
//! ```
//! A task of its own, so that ports do not wait for it. It works on what is there, not on what changed, so that one sweep makes
//! up for all that was missed; the first one follows the agent's start. What it judges by is said in
//! `host-plan/src/firewall/connections.rs`.

use host_drivers::openflow::OpenFlow;
use host_drivers::{DriverError, tracked};
use host_plan::{ConnectionRules, HostPlan};
use host_view::HostView;
use openflow::FlowDiff;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Up to so many zones are listed one by one; more cost less as a whole.
const FEW_ZONES: usize = 8;
/// How long after a sweep that failed the next one begins.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What connections are judged by.
#[derive(Clone)]
pub(super) struct Wanted {
    pub view: Arc<HostView>,
    pub plan: Arc<HostPlan>,
}

/// Whether a change of the integration bridge may end connections, or let one go on that was marked: rules in 72 and 82,
/// ports and addresses that are gone from 60 and 71, and translations that are gone from 31.
pub(super) fn concerns_connections(change: &FlowDiff) -> bool {
    let rules = |table: u8| matches!(table, 72 | 82);
    let ports = |table: u8| matches!(table, 31 | 60 | 71);
    let gone = change.modify.iter().chain(&change.delete);
    change.add.iter().any(|flow| rules(flow.table))
        || gone.into_iter().any(|flow| rules(flow.table) || ports(flow.table))
}

/// Runs for as long as it is polled.
pub(super) async fn run(rundir: PathBuf, bridge: String, mut wanted: watch::Receiver<Option<Wanted>>) {
    loop {
        let next = wanted.borrow_and_update().clone();
        let done = match next {
            Some(wanted) => sweep(&rundir, &bridge, &wanted).await,
            None => Ok(0),
        };
        let retry = match done {
            Ok(forgotten) => {
                if forgotten > 0 {
                    tracing::info!(forgotten, "connections that are no longer allowed are forgotten");
                }
                None
            }
            // A switch older than 3.1 cannot; the marks hold all the same.
            Err(error @ DriverError::OpenFlowRefused { .. }) => {
                tracing::warn!(error = error_text::sentence(&error), "connections cannot be forgotten");
                None
            }
            Err(error) => {
                tracing::debug!(error = error_text::sentence(&error), "connections cannot be looked through");
                Some(AGAIN_AFTER)
            }
        };
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() { return },
            () = async { match retry { Some(wait) => tokio::time::sleep(wait).await, None => std::future::pending().await } } => {}
        }
    }
}

/// One sweep; how many connections were forgotten.
async fn sweep(rundir: &std::path::Path, bridge: &str, wanted: &Wanted) -> Result<usize, DriverError> {
    let rules = ConnectionRules::new(&wanted.view, &wanted.plan);
    let zones: Vec<u16> = rules.zones().collect();
    if zones.is_empty() {
        return Ok(0);
    }
    // What the datapath still has cached would let refused packets make the connection anew.
    tracked::wait_for_flows(rundir).await?;
    let mut connections = vec![];
    if zones.len() <= FEW_ZONES {
        for zone in zones {
            connections.extend(tracked::list(rundir, Some(zone)).await?);
        }
    } else {
        connections = tracked::list(rundir, None).await?;
    }
    let stale: Vec<_> = connections.iter().filter(|known| rules.must_go(known)).map(tracked::flush).collect();
    if !stale.is_empty() {
        OpenFlow::connect(rundir, bridge).await?.forget(&stale).await?;
    }
    Ok(stale.len())
}
