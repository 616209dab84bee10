//! The flows and meters of every bridge: what is installed is read once per connection and then known; only differences are written.
//!
//! A connection that ends (the switch was restarted, the bridge is gone) takes that knowledge with it, and so does a change of
//! our flows by somebody else, which the switch tells: the next look reads again. A flow that the switch refuses does not keep
//! the others of its bridge out.

use host_drivers::DriverError;
use host_drivers::openflow::OpenFlow;
use host_plan::{FLOW_OWNER, HostPlan, OUR_METERS};
use openflow::wire::MeterMod;
use openflow::{Flow, FlowDiff, Meter, MeterDiff, apply, apply_meters, diff, diff_meters, diff_sorted};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Refused flows that are told one from another, before the rest is given up until the next attempt.
const MOST_REFUSALS: usize = 8;

/// What is done to flows by hand, or by a script, is seldom one change.
const SETTLE: Duration = Duration::from_millis(50);

/// A bridge that can be spoken to.
struct Connected {
    connection: OpenFlow,
    /// All flows that were there when they were read, also those of others; none once `base` says what ours are.
    installed: Vec<Flow>,
    /// The plan whose flows are those of ours that are there: what is written next is its difference from the next plan.
    base: Option<Arc<HostPlan>>,
    /// All meters that are there, also those of others.
    meters: BTreeMap<u32, Option<Meter>>,
    /// Number of the plan that is known to be installed.
    written: Option<u64>,
    /// Changes whenever somebody else has changed our flows; none with a switch that cannot tell.
    changes: Option<watch::Receiver<u64>>,
    /// Tells the loop of that, and that the connection is gone.
    watcher: JoinHandle<()>,
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

/// How one bridge fared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Written {
    /// Why some flows, or all, are not there.
    pub errors: Vec<String>,
    /// The bridge cannot be spoken to (yet).
    pub unreachable: bool,
    /// Connections may have lost, or got back, the rule that allows them.
    pub concerns_connections: bool,
}

/// The connections.
pub(super) struct Bridges {
    rundir: PathBuf,
    connected: BTreeMap<String, Connected>,
    signals: Signals,
}

/// What the loop is woken by.
#[derive(Clone, Default)]
pub(super) struct Signals {
    /// A connection has ended.
    pub lost: Arc<Notify>,
    /// Somebody else has changed flows of ours.
    pub drifted: Arc<Notify>,
}

impl Bridges {
    pub(super) fn new(rundir: PathBuf, signals: Signals) -> Self {
        Self { rundir, connected: BTreeMap::new(), signals }
    }

    /// Makes the flows and meters of ours on a bridge exactly those of the plan of this number; without `has_meters` none
    /// there are ours.
    pub(super) async fn write(&mut self, bridge: &str, plan: &Arc<HostPlan>, has_meters: bool, number: u64) -> Written {
        match self.try_write(bridge, plan, has_meters, number).await {
            Ok(written) => written,
            Err(error) => {
                // Whatever is known of the bridge may be wrong now.
                self.connected.remove(bridge);
                let unreachable = matches!(error, DriverError::OpenFlowLost { .. });
                tracing::debug!(bridge, error = error_text::sentence(&error), "flows cannot be written");
                Written { errors: vec![error_text::sentence(&error)], unreachable, ..Written::default() }
            }
        }
    }

    async fn try_write(
        &mut self,
        bridge: &str,
        plan: &Arc<HostPlan>,
        has_meters: bool,
        number: u64,
    ) -> Result<Written, DriverError> {
        let connected = self.connect(bridge).await?;
        if connected.has_drifted() {
            tracing::info!(bridge, "flows were changed by others");
            connected.reread().await?;
        }
        if connected.written == Some(number) {
            return Ok(Written::default());
        }
        let none = BTreeMap::new();
        let meters = plan.meters.get(bridge).unwrap_or(&none);
        let metered =
            if has_meters { diff_meters(&connected.meters, meters, &OUR_METERS) } else { MeterDiff::default() };
        let mut errors = connected.change_meters(&metered.set).await?;
        let written = connected.write_flows(bridge, plan, number).await?;
        errors.extend(connected.change_meters(&metered.delete).await?);
        if !errors.is_empty() {
            connected.written = None;
        }
        errors.extend(written.errors);
        Ok(Written { errors, ..written })
    }

    async fn connect(&mut self, bridge: &str) -> Result<&mut Connected, DriverError> {
        if self.connected.get(bridge).is_some_and(|connected| *connected.connection.closed().borrow()) {
            self.connected.remove(bridge);
        }
        if !self.connected.contains_key(bridge) {
            let mut connection = OpenFlow::connect(&self.rundir, bridge).await?;
            // Before they are read, so that nothing falls between.
            let changes = match connection.watch_flows(FLOW_OWNER).await {
                Err(error @ DriverError::OpenFlowRefused { .. }) => {
                    tracing::warn!(bridge, error = error_text::sentence(&error), "flows are looked at in time only");
                    None
                }
                watched => Some(watched?),
            };
            let installed = connection.dump_flows().await?;
            let meters = connection.dump_meters().await?;
            let watcher = tokio::spawn(watch_over(connection.closed(), changes.clone(), self.signals.clone()));
            self.connected.insert(
                bridge.to_owned(),
                Connected { connection, installed, base: None, meters, written: None, changes, watcher },
            );
        }
        self.connected.get_mut(bridge).ok_or_else(|| DriverError::OpenFlowLost {
            bridge: bridge.to_owned(),
            source: std::io::ErrorKind::NotConnected.into(),
        })
    }

    /// Reads the meters that are really there, of which nobody tells, and with `flows` the flows; the next write mends what
    /// drifted.
    pub(super) async fn reread(&mut self, flows: bool) {
        let mut lost = vec![];
        for (name, connected) in &mut self.connected {
            let untold = connected.changes.is_none();
            let read = if flows || untold { connected.reread().await } else { connected.reread_meters().await };
            if let Err(error) = read {
                tracing::debug!(bridge = name, error = error_text::sentence(&error), "flows cannot be read");
                lost.push(name.clone());
            }
        }
        for name in lost {
            self.connected.remove(&name);
        }
    }

    /// Forgets bridges that no plan has any more.
    pub(super) fn retain(&mut self, wanted: impl Fn(&str) -> bool) {
        self.connected.retain(|name, _| wanted(name));
    }

    /// Forgets every tracked connection of a zone.
    pub(super) async fn flush_zone(&mut self, bridge: &str, zone: u16) -> Result<(), DriverError> {
        self.connect(bridge).await?.connection.flush_zone(zone).await
    }
}

impl Connected {
    /// Sends changes of meters; what was refused.
    async fn change_meters(&mut self, changes: &[MeterMod]) -> Result<Vec<String>, DriverError> {
        let refused = self.connection.change_meters(changes).await?;
        apply_meters(&mut self.meters, changes.iter().filter(|change| !refused.contains_key(&change.id)));
        Ok(refused.into_values().collect())
    }

    fn has_drifted(&self) -> bool {
        self.changes.as_ref().is_some_and(|changes| changes.has_changed().unwrap_or(false))
    }

    async fn reread(&mut self) -> Result<(), DriverError> {
        self.changes.iter_mut().for_each(watch::Receiver::mark_unchanged);
        self.installed = self.connection.dump_flows().await?;
        self.base = None;
        self.written = None;
        self.reread_meters().await
    }

    async fn reread_meters(&mut self) -> Result<(), DriverError> {
        let meters = self.connection.dump_meters().await?;
        if meters != self.meters {
            (self.meters, self.written) = (meters, None);
        }
        Ok(())
    }

    async fn write_flows(&mut self, bridge: &str, plan: &Arc<HostPlan>, number: u64) -> Result<Written, DriverError> {
        let wanted = flows_of(plan, bridge);
        let change = match &self.base {
            Some(base) => diff_sorted(flows_of(base, bridge), wanted),
            None => diff(&self.installed, wanted, FLOW_OWNER),
        };
        if change.is_empty() {
            self.is_written(plan, number);
            return Ok(Written::default());
        }
        let concerns_connections = super::sweep::concerns_connections(&change);
        match self.connection.apply(&change).await {
            Ok(()) => {
                self.is_written(plan, number);
                tracing::info!(
                    bridge,
                    added = change.add.len(),
                    modified = change.modify.len(),
                    deleted = change.delete.len(),
                    "flows written"
                );
                Ok(Written { concerns_connections, ..Written::default() })
            }
            Err(DriverError::OpenFlowRefused { .. }) => {
                // From here on only what is really there counts.
                self.reread().await?;
                let change = diff(&self.installed, wanted, FLOW_OWNER);
                let errors = self.write_what_can_be(change).await?;
                Ok(Written { errors, concerns_connections, ..Written::default() })
            }
            Err(error) => Err(error),
        }
    }

    /// The flows of ours are those of this plan.
    fn is_written(&mut self, plan: &Arc<HostPlan>, number: u64) {
        self.base = Some(plan.clone());
        self.written = Some(number);
        self.installed = vec![];
    }

    /// Halves a refused change until what was refused stands alone, and writes all the rest; what was refused and why.
    async fn write_what_can_be(&mut self, change: FlowDiff) -> Result<Vec<String>, DriverError> {
        let mut errors = vec![];
        let mut left = halves(change);
        while let Some(part) = left.pop() {
            match self.connection.apply(&part).await {
                Ok(()) => self.installed = apply(&self.installed, &part),
                Err(DriverError::OpenFlowRefused { said, .. }) if part.len() <= 1 || errors.len() >= MOST_REFUSALS => {
                    errors.push(said);
                }
                Err(DriverError::OpenFlowRefused { .. }) => left.extend(halves(part)),
                Err(error) => return Err(error),
            }
        }
        Ok(errors)
    }
}

/// Until the connection ends.
async fn watch_over(mut closed: watch::Receiver<bool>, changes: Option<watch::Receiver<u64>>, signals: Signals) {
    let drift = async {
        let Some(mut changes) = changes else { return std::future::pending().await };
        while changes.changed().await.is_ok() {
            sleep(SETTLE).await;
            signals.drifted.notify_one();
        }
    };
    tokio::select! {
        // An error means that the reader is gone, which is the same.
        _ = closed.wait_for(|closed| *closed) => {}
        () = drift => {}
    }
    signals.lost.notify_one();
}

fn flows_of<'a>(plan: &'a HostPlan, bridge: &str) -> &'a [Flow] {
    plan.flows.get(bridge).map_or(&[], Vec::as_slice)
}

/// The same change in two parts, both smaller; deletions stand in the second, which is tried first.
fn halves(change: FlowDiff) -> Vec<FlowDiff> {
    let middle = change.len() / 2;
    let mut parts = [FlowDiff::default(), FlowDiff::default()];
    let [first, second] = &mut parts;
    let mut put = |index: usize, list: fn(&mut FlowDiff) -> &mut Vec<Flow>, flow: Flow| {
        list(if index < middle { &mut *first } else { &mut *second }).push(flow);
    };
    let (added, modified) = (change.add.len(), change.modify.len());
    for (index, flow) in change.add.into_iter().enumerate() {
        put(index, |part| &mut part.add, flow);
    }
    for (index, flow) in change.modify.into_iter().enumerate() {
        put(added + index, |part| &mut part.modify, flow);
    }
    for (index, flow) in change.delete.into_iter().enumerate() {
        put(added + modified + index, |part| &mut part.delete, flow);
    }
    parts.into_iter().filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_the_whole_and_get_smaller() {
        let flow = |table| Flow::table(table);
        let change = FlowDiff { add: vec![flow(1), flow(2), flow(3)], modify: vec![flow(4)], delete: vec![flow(5)] };
        let mut left = vec![change];
        let mut single = vec![];
        while let Some(part) = left.pop() {
            if part.len() == 1 {
                single.extend(part.add.into_iter().chain(part.modify).chain(part.delete).map(|flow| flow.table));
            } else {
                let parts = halves(part.clone());
                assert!(parts.iter().all(|half| half.len() < part.len()), "{part:?}");
                left.extend(parts);
            }
        }
        single.sort_unstable();
        assert_eq!(single, [1, 2, 3, 4, 5]);
    }
}
