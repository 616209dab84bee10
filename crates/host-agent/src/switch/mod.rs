//! The switch of this host: bridges, ports, tags, flows, the tunnel endpoint.
//!
//! ```text
//! view ──────────────┐
//! OVSDB ─────────────┤           state of the host     plan          ┌─▶ order for the rooms
//! device ready ──────┼─▶ wake ──▶ (OVSDB's copy) ──▶ (host-plan) ──▶ ├─▶ OVSDB: what is missing, what is dead
//! connection ended,  ┤                 ▲                             ├─▶ flows: the difference
//! flows drifted      │                 │                             │
//! audit, retry ──────┘                 └── once more while OVSDB ────┼─▶ OVSDB: tags of ports that live, what must go
//!                                          changes under it          ├─▶ endpoint, neighbours
//!                                                                    ├─▶ connections that no rule allows (`sweep`)
//!                                                                    └─▶ board
//! ```
//! A wake carries nothing: every look starts from what is there and what must be. Before the first view nothing is written
//! at all.
//!
//! Flows come before the tag of their port: the switch takes flows at once, but looks at all its ports after each change of
//! OVSDB; and a port that is in its network without flows could speak there as anybody.

pub(crate) mod database;
mod endpoint;
mod exports;
mod flows;
mod sessions;
mod sweep;

use crate::AgentConfig;
use crate::backoff::{Backoff, random};
use crate::board::{Board, RoomsPart, SwitchPart};
use crate::known::KnownView;
use crate::rooms::Order;
use database::{Devices, before_flows, broken_ports, desired, local_state, without_removals};
use endpoint::EndpointKeeper;
use error_text::sentence;
use flows::{Bridges, Signals};
use host_drivers::ovsdb::{Connection, Database};
use host_plan::{Datapath, HostConfig, HostPlan, LocalState, names, plan, zones_of};
use host_view::{HostView, PortState, RouterState};
use net_types::{NetworkId, PortId, RouterId, VlanId};
use ovsdb::{Cache, Desired};
use sessions::Sessions;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// How often the plan is made anew within one look because OVSDB answered to what was written.
const ROUNDS: usize = 4;
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// How long a bridge may be away (the switch is being restarted) before anything else is said of the ports.
const GRACE: Duration = Duration::from_secs(10);
/// The switch tells of flows that others change; all the same, each so many audits all flows are read.
const FLOWS_EVERY: u32 = 12;

/// Runs for as long as it is polled.
pub(crate) async fn run(
    config: AgentConfig,
    mut known: watch::Receiver<Option<KnownView>>,
    orders: watch::Sender<Option<Arc<Order>>>,
    board: Arc<Board>,
) {
    let signals = Signals::default();
    let mut rooms = board.rooms.subscribe();
    let mut switch = Switch {
        host: config.host_config(),
        bridges: Bridges::new(config.ovs.rundir.clone(), signals.clone()),
        endpoint: EndpointKeeper::new(&config.ovs.rundir),
        orders,
        board,
        planned: None,
        looked: None,
        devices: Devices::default(),
        sessions: Sessions::default(),
        zones: BTreeMap::new(),
        swept: watch::Sender::new(None),
        unreachable_since: None,
    };
    let sweep = sweep::run(config.ovs.rundir.clone(), switch.host.integration_bridge.clone(), switch.swept.subscribe());
    // Ended with this function, however it ends.
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(sweep);
    let mut database = Database::new(&config.ovs.db());
    let mut audit = tokio::time::interval(config.audit_interval());
    audit.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut audits = 0;
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    loop {
        let view = known.borrow_and_update().clone();
        let ready = rooms.borrow_and_update().devices.clone();
        let complete = match view {
            Some(view) => switch.look(&mut database, &view, &ready).await,
            // Before the first view nothing is known, so nothing is touched.
            None => true,
        };
        let retry = if complete {
            backoff.reset();
            None
        } else {
            Some(Instant::now() + backoff.next(random()))
        };
        let retry = [retry, switch.sessions.next()].into_iter().flatten().min();
        tokio::select! {
            changed = known.changed() => if changed.is_err() { return },
            () = ready_devices_change(&mut rooms, &ready) => {}
            () = something_new(&mut database, switch.looked.as_deref()) => {}
            () = signals.lost.notified() => switch.endpoint.forget(),
            () = signals.drifted.notified() => {}
            _ = audit.tick() => {
                audits = (audits + 1) % FLOWS_EVERY;
                switch.bridges.reread(audits == 0).await;
                switch.endpoint.audit().await;
            }
            () = async { match retry { Some(at) => sleep_until(at).await, None => std::future::pending().await } } => {}
        }
    }
}

/// Returns when OVSDB holds what a look would see: the counters of its configuration are not.
async fn something_new(database: &mut Database, looked: Option<&Cache>) {
    loop {
        database.changed().await;
        let now = database.last();
        let is_kept = now.connection == Connection::Connected;
        if !is_kept || !looked.is_some_and(|looked| now.cache.shares_rows_with(looked)) {
            return;
        }
    }
}

/// The rooms say much that does not concern the switch.
async fn ready_devices_change(rooms: &mut watch::Receiver<RoomsPart>, before: &BTreeSet<String>) {
    if rooms.wait_for(|part| part.devices != *before).await.is_err() {
        std::future::pending().await
    }
}

struct Switch {
    host: HostConfig,
    bridges: Bridges,
    endpoint: EndpointKeeper,
    orders: watch::Sender<Option<Arc<Order>>>,
    board: Arc<Board>,
    planned: Option<Planned>,
    /// OVSDB as the last look that got to its end saw it.
    looked: Option<Arc<Cache>>,
    devices: Devices,
    /// BFD sessions with other hosts.
    sessions: Sessions,
    /// Local VLANs whose zones may hold connections.
    zones: BTreeMap<NetworkId, VlanId>,
    /// What connections are to be judged by, for the task that forgets those that are no longer allowed.
    swept: watch::Sender<Option<sweep::Wanted>>,
    /// Since when a bridge cannot be spoken to.
    unreachable_since: Option<Instant>,
}

/// Which bridges could be spoken to.
#[derive(Debug, Clone, Copy)]
struct Reached {
    all: bool,
    integration: bool,
}

/// A plan, and what it was made from.
#[derive(Clone)]
struct Planned {
    view: Arc<HostView>,
    cache: Arc<Cache>,
    begins: BTreeSet<String>,
    /// Of that copy of OVSDB and those sessions, with the local VLANs that the plan gives.
    state: Arc<LocalState>,
    plan: Arc<HostPlan>,
    /// Tells one plan from another.
    number: u64,
}

impl Switch {
    /// One look; whether everything is as it must be.
    async fn look(&mut self, database: &mut Database, view: &KnownView, ready: &BTreeSet<String>) -> bool {
        self.looked = None;
        let mut errors = BTreeSet::new();
        let (mut cache, mut replaced);
        let mut rounds = 0;
        let (planned, later) = loop {
            rounds += 1;
            cache = match database.cache().await {
                Ok(cache) => cache,
                // ovs-vswitchd takes no flows either while its database is away.
                Err(error) => {
                    self.say_only(sentence(&error));
                    return false;
                }
            };
            let planned = self.plan(&view.view, &cache);
            self.order(view.revision, &planned.plan, &cache);
            // Mostly there is nothing to be written, and nothing that has to go.
            replaced = self.replaced(&cache);
            let wanted = desired(&planned.plan, ready, &replaced, &cache);
            if ovsdb::plan(&cache, &wanted) == ovsdb::Plan::default() {
                break (planned, None);
            }
            let for_now = before_flows(wanted.clone(), &cache);
            match self.write_database(database, &cache, &for_now, &mut errors).await {
                // What was written may have changed what is planned from.
                true if rounds < ROUNDS => {}
                _ => break (planned, Some(wanted)),
            }
        };
        let plan = planned.plan;
        let (reached, concerns_connections) = self.write_flows(&plan, planned.number, &mut errors).await;
        if reached.integration && (concerns_connections || self.swept.borrow().is_none()) {
            self.swept.send_replace(Some(sweep::Wanted { view: planned.view, plan: plan.clone() }));
        }
        if let Some(wanted) = later.filter(|_| reached.integration) {
            let wanted = if reached.all { wanted } else { without_removals(wanted, &cache) };
            self.write_database(database, &cache, &wanted, &mut errors).await;
        }
        if reached.all {
            self.flush_zones(&plan, &mut errors).await;
        }
        if let Some(endpoint) = &plan.endpoint
            && let Err(error) = self.endpoint.keep(endpoint, &plan.tunnel_neighbours).await
        {
            errors.insert(sentence(&error));
        }
        // That the switch has let go of a device is told by a counter, which wakes nobody.
        let all_plugged = replaced.iter().all(|name| cache.interface(name).is_some());
        let complete = reached.all && errors.is_empty() && all_plugged;
        errors.extend(plan.errors.iter().cloned());
        self.publish(view.revision, &plan, &cache, errors, reached);
        self.looked = Some(cache).filter(|_| complete);
        complete
    }

    /// Interfaces that must be plugged anew.
    fn replaced(&mut self, cache: &Cache) -> BTreeSet<String> {
        match self.host.datapath {
            Datapath::Netdev => self.devices.replaced(cache),
            Datapath::System => BTreeSet::new(),
        }
    }

    /// The plan; the last one when nothing that it was made from has changed.
    fn plan(&mut self, view: &Arc<HostView>, cache: &Arc<Cache>) -> Planned {
        let begins = self.sessions.look(cache, Instant::now());
        let state = match &mut self.planned {
            // Mostly it is the view that has changed.
            Some(planned) if planned.begins == begins && cache.shares_rows_with(&planned.cache) => {
                planned.state.clone()
            }
            planned => {
                let held = planned.as_ref().map(|planned| &planned.plan.local_vlans);
                let state = Arc::new(local_state(cache, held, &begins));
                if let Some(planned) = planned.as_mut().filter(|planned| planned.state == state) {
                    (planned.cache, planned.begins) = (cache.clone(), begins.clone());
                }
                state
            }
        };
        let number = match &self.planned {
            Some(planned) if Arc::ptr_eq(&planned.view, view) && planned.state == state => return planned.clone(),
            Some(planned) => planned.number + 1,
            None => 1,
        };
        let plan = Arc::new(plan(view, &self.host, &state));
        // Numbers that the plan gives are what the next one holds: not a change.
        let state = match plan.local_vlans == state.local_vlans {
            true => state,
            false => Arc::new(LocalState { local_vlans: plan.local_vlans.clone(), ..LocalState::clone(&state) }),
        };
        let planned = Planned { view: view.clone(), cache: cache.clone(), begins, state, plan, number };
        self.planned = Some(planned.clone());
        planned
    }

    /// Tells the rooms what the namespaces must be, and how far the switch is with their devices.
    fn order(&self, revision: u64, plan: &Arc<HostPlan>, cache: &Cache) {
        let order = Order {
            revision,
            plan: plan.clone(),
            plugged: cache.interfaces().map(|interface| interface.name.clone()).collect(),
            wired: self.wired(plan),
        };
        self.orders.send_if_modified(|current| {
            let differs = current.as_deref().is_none_or(|current| !current.is(&order));
            if differs {
                *current = Some(Arc::new(order));
            }
            differs
        });
    }

    /// Ports whose flows are committed; without those of routers that are only about to be active here: what they announced
    /// would not pass yet.
    fn wired(&self, plan: &HostPlan) -> BTreeSet<PortId> {
        let part = self.board.switch.borrow();
        let is_new = |(id, state): &(&RouterId, &RouterState)| {
            **state == RouterState::Active && part.routers.get(*id) != Some(&RouterState::Active)
        };
        let new = plan.routers.iter().filter(is_new).map(|(id, _)| names::router_namespace(*id));
        let rooms = new.filter_map(|name| plan.namespaces.get(&name));
        let shut: BTreeSet<PortId> = rooms.flat_map(|room| room.devices.values().map(|device| device.port)).collect();
        part.wired.difference(&shut).copied().collect()
    }

    /// Whether something was written.
    async fn write_database(
        &self,
        database: &mut Database,
        cache: &Cache,
        wanted: &Desired,
        errors: &mut BTreeSet<String>,
    ) -> bool {
        let ovsdb::Plan { transaction, conflicts } = ovsdb::plan(cache, wanted);
        errors.extend(conflicts.iter().map(ToString::to_string));
        let Some(transaction) = transaction else { return false };
        tracing::info!(%transaction, "OVSDB written");
        match database.transact(transaction).await {
            Ok(_) => true,
            Err(error) => {
                errors.insert(sentence(&error));
                false
            }
        }
    }

    async fn write_flows(
        &mut self,
        plan: &Arc<HostPlan>,
        number: u64,
        errors: &mut BTreeSet<String>,
    ) -> (Reached, bool) {
        let mut concerns_connections = false;
        self.bridges.retain(|bridge| plan.flows.contains_key(bridge));
        let mut reached = Reached { all: true, integration: true };
        for bridge in plan.flows.keys() {
            let has_meters = *bridge == self.host.integration_bridge;
            let written = self.bridges.write(bridge, plan, has_meters, number).await;
            reached.all &= !written.unreachable;
            reached.integration &= !written.unreachable || *bridge != self.host.integration_bridge;
            concerns_connections |= written.concerns_connections && *bridge == self.host.integration_bridge;
            errors.extend(written.errors);
        }
        (reached, concerns_connections)
    }

    /// A local VLAN that has left its network is a conntrack zone that the next one must find empty.
    async fn flush_zones(&mut self, plan: &HostPlan, errors: &mut BTreeSet<String>) {
        let owner: BTreeMap<VlanId, NetworkId> = plan.local_vlans.iter().map(|(id, vlan)| (*vlan, *id)).collect();
        let left: Vec<VlanId> =
            self.zones.iter().filter(|(id, vlan)| owner.get(vlan) != Some(id)).map(|(_, vlan)| *vlan).collect();
        for zone in left.into_iter().flat_map(zones_of) {
            if let Err(error) = self.bridges.flush_zone(&self.host.integration_bridge, zone).await {
                errors.insert(sentence(&error));
                return;
            }
        }
        self.zones.clone_from(&plan.local_vlans);
    }

    /// Says why nothing can be done now; what was said of ports and routers holds.
    fn say_only(&self, error: String) {
        self.board.switch.send_if_modified(|current| {
            let differs = current.errors != [error.as_str()];
            if differs {
                tracing::warn!(error, "the switch cannot be changed");
                current.errors = vec![error];
            }
            differs
        });
    }

    fn publish(
        &mut self,
        revision: u64,
        plan: &Arc<HostPlan>,
        cache: &Cache,
        errors: BTreeSet<String>,
        reached: Reached,
    ) {
        let now = Instant::now();
        let since = *self.unreachable_since.get_or_insert(now);
        if reached.all {
            self.unreachable_since = None;
        } else if now.duration_since(since) < GRACE {
            // The switch is being restarted, or has not yet made a bridge: what was said holds for a while.
            return;
        }
        let broken = broken_ports(cache);
        let state = |id: &PortId, state: &PortState| match (state, broken.get(id)) {
            (PortState::Up, _) if !reached.integration => PortState::Down,
            (PortState::Down, Some(reason)) => PortState::Failed { reason: reason.clone() },
            _ => state.clone(),
        };
        let ports: BTreeMap<PortId, PortState> = plan.ports.iter().map(|(id, of)| (*id, state(id, of))).collect();
        let in_rooms =
            plan.namespaces.values().flat_map(|room| room.devices.values().map(|device| device.port)).collect();
        let wired = ports.iter().filter(|(_, state)| **state == PortState::Up).map(|(id, _)| *id).collect();
        let endpoint = plan.endpoint.as_ref().and_then(|endpoint| cache.interface(&endpoint.device));
        let part = SwitchPart {
            revision,
            ports,
            in_rooms,
            wired,
            routers: plan.routers.clone(),
            errors: errors.into_iter().collect(),
            endpoint_mac: endpoint.and_then(|own| own.mac_in_use.as_ref()?.parse().ok()),
        };
        self.board.switch.send_if_modified(|current| {
            let differs = *current != part;
            for error in part.errors.iter().filter(|error| !current.errors.contains(error)) {
                tracing::warn!(error, "not everything can be realised");
            }
            *current = part;
            differs
        });
        // Now the rooms may announce what is wired.
        self.order(revision, plan, cache);
    }
}
