//! The namespaces of this host: routers and DHCP servers.
//!
//! ```text
//! order (from the switch's loop) ─┐
//! what is changed by others ──────┤  (ears)
//! audit and retry timers ─────────┼──▶ which rooms need a look ──▶ one task per room, a few at a time ──▶ board
//! ended looks ────────────────────┘
//! ```
//! A room (a namespace and its services) is worked on by at most one task at a time; rooms do not wait for each other,
//! and one that fails is tried again on its own, later and later. A change of what services answer (a DHCP lease) needs no task at all.

mod check;
pub(crate) mod difference;
mod ears;
mod room;
mod services;

use crate::backoff::{Backoff, random};
use crate::board::{Board, RoomsPart};
use ears::Heard;
use error_text::sentence;
use host_drivers::changes::Changed;
use host_drivers::netns;
use host_plan::{HostPlan, Namespace, NamespaceServices};
use host_services::MetadataService;
use host_view::{AgentRole, PortState};
use net_types::PortId;
pub(crate) use room::remove;
use room::{Outcome, Room, RoomPlan};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

/// Rooms that are worked on at the same time.
const AT_ONCE: usize = 4;
/// Rooms whose turn of being audited comes with each audit.
const AUDITED_AT_ONCE: usize = 16;
/// What somebody who trusts nothing looks at.
const EVERYTHING: Changed = Changed { links: true, filters: true };
/// While many rooms are being made, the news is told together: each time it is told, the switch looks at the whole host.
const GATHER: Duration = Duration::from_millis(100);
/// How often a room is looked at again because something was heard while a look mended it: its own work, or others'.
const AGAIN_AT_MOST: u8 = 3;
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What the namespaces must be.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// The view's revision.
    pub revision: u64,
    /// The plan of the whole host.
    pub plan: Arc<HostPlan>,
    /// Interfaces that OVSDB knows.
    pub plugged: BTreeSet<String>,
    /// Ports whose flows are committed.
    pub wired: BTreeSet<PortId>,
}

impl Order {
    /// Whether it is the very same order; cheap, and may say no of one that only means the same.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.revision == other.revision
            && Arc::ptr_eq(&self.plan, &other.plan)
            && (&self.plugged, &self.wired) == (&other.plugged, &other.wired)
    }
}

/// Whether a namespace is one that an agent of these roles makes.
pub(crate) fn is_ours(name: &str, roles: &BTreeSet<AgentRole>) -> bool {
    [("qdhcp-", AgentRole::Dhcp), ("qrouter-", AgentRole::L3)].iter().any(|(prefix, role)| {
        let id = name.strip_prefix(prefix).and_then(|id| uuid::Uuid::parse_str(id).ok());
        id.is_some() && roles.contains(role)
    })
}

/// Whether a table of a namespace is one that plans have.
pub(crate) fn is_our_table(name: &str) -> bool {
    name.starts_with("neutronium")
}

/// What is known of one room.
struct Slot {
    plan: Arc<RoomPlan>,
    /// The plan that was last looked at, and how that ended.
    tried: Option<(Arc<RoomPlan>, Outcome)>,
    /// None: not opened yet, or with the task that works on it.
    room: Option<Room>,
    busy: bool,
    /// What may have been changed by others.
    audit: Changed,
    /// Looks in a row that were begun because of what was heard during the one before.
    again: u8,
    backoff: Backoff,
    retry_at: Option<Instant>,
}

/// What a task gives back.
struct Ended {
    name: String,
    plan: Arc<RoomPlan>,
    room: Option<Room>,
    outcome: Outcome,
    /// What was heard meanwhile, but for the first look.
    heard: Changed,
}

struct Rooms {
    roles: BTreeSet<AgentRole>,
    metadata: Arc<MetadataService>,
    order: Option<Arc<Order>>,
    slots: BTreeMap<String, Slot>,
    /// Namespaces to be removed, and when to try that.
    leaving: BTreeMap<String, Instant>,
    tasks: JoinSet<Ended>,
    /// Which room a task works on.
    at_work: HashMap<tokio::task::Id, String>,
    board: Arc<Board>,
    /// Where the last audit ended.
    audited_to: String,
    /// For those who hear or find that a namespace was changed.
    tell: UnboundedSender<Heard>,
    /// The cheap look at all namespaces, while it is under way.
    check: Option<JoinHandle<()>>,
    /// When the news that is there may be told.
    tell_at: Instant,
    /// Whether there may be news.
    news: bool,
}

impl Drop for Rooms {
    fn drop(&mut self) {
        self.check.iter().for_each(JoinHandle::abort);
    }
}

/// Works for as long as it is polled.
pub(crate) async fn run(
    roles: BTreeSet<AgentRole>,
    metadata: Arc<MetadataService>,
    mut orders: watch::Receiver<Option<Arc<Order>>>,
    board: Arc<Board>,
    audit_interval: Duration,
) {
    let (tell, mut told) = unbounded_channel();
    let mut rooms = Rooms {
        roles,
        metadata,
        order: None,
        slots: BTreeMap::new(),
        leaving: BTreeMap::new(),
        tasks: JoinSet::new(),
        at_work: HashMap::new(),
        board,
        audited_to: String::new(),
        tell,
        check: None,
        tell_at: Instant::now(),
        news: false,
    };
    let mut audit = tokio::time::interval(audit_interval);
    audit.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        rooms.start_tasks();
        rooms.remove_leaving().await;
        rooms.publish();
        let next = rooms.next_timer();
        tokio::select! {
            changed = orders.changed() => {
                if changed.is_err() {
                    return;
                }
                let order = orders.borrow_and_update().clone();
                if let Some(order) = order {
                    rooms.take(order);
                }
            }
            Some(ended) = rooms.tasks.join_next_with_id() => match ended {
                Ok((id, ended)) => {
                    rooms.news = true;
                    rooms.at_work.remove(&id);
                    rooms.end(ended);
                }
                Err(error) => rooms.end_broken(&error),
            },
            Some((name, changed)) = told.recv() => rooms.distrust(&name, changed),
            _ = audit.tick() => rooms.audit(),
            () = async { match next { Some(at) => sleep_until(at).await, None => std::future::pending().await } } => {}
        }
    }
}

impl Rooms {
    fn take(&mut self, order: Arc<Order>) {
        let first = self.order.is_none();
        let no_services = NamespaceServices::default();
        for (name, namespace) in &order.plan.namespaces {
            let devices = || namespace.devices.iter();
            let plan = Wanted {
                namespace,
                services: order.plan.services.get(name).unwrap_or(&no_services),
                plugged: devices()
                    .map(|(name, _)| name)
                    .filter(|name| order.plugged.contains(*name))
                    .cloned()
                    .collect(),
                wired: devices().map(|(_, device)| device.port).filter(|port| order.wired.contains(port)).collect(),
            };
            self.leaving.remove(name);
            self.plan(name, plan);
        }
        let planned = &order.plan.namespaces;
        let gone: Vec<String> = self.slots.keys().filter(|name| !planned.contains_key(*name)).cloned().collect();
        for name in gone {
            self.leaving.insert(name, Instant::now());
        }
        self.order = Some(order);
        self.news = true;
        if first {
            self.find_strays();
        }
        for at in self.leaving.values_mut() {
            *at = Instant::now();
        }
    }

    fn plan(&mut self, name: &str, wanted: Wanted<'_>) {
        match self.slots.get_mut(name) {
            Some(slot) if wanted.is(&slot.plan) => {}
            Some(slot) => {
                let old = std::mem::replace(&mut slot.plan, Arc::new(wanted.to_plan()));
                slot.retry_at = None;
                slot.take_services(&old);
            }
            None => {
                let slot = Slot {
                    plan: Arc::new(wanted.to_plan()),
                    tried: None,
                    room: None,
                    busy: false,
                    audit: Changed::default(),
                    again: 0,
                    backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
                    retry_at: None,
                };
                self.slots.insert(name.to_owned(), slot);
            }
        }
    }

    /// Namespaces that an earlier process made for what is no longer in the view.
    fn find_strays(&mut self) {
        match netns::list() {
            Ok(names) => {
                let strays =
                    names.into_iter().filter(|name| is_ours(name, &self.roles) && !self.slots.contains_key(name));
                self.leaving.extend(strays.map(|name| (name, Instant::now())));
            }
            Err(error) => tracing::warn!(error = sentence(&error), "namespaces cannot be listed"),
        }
    }

    fn start_tasks(&mut self) {
        let now = Instant::now();
        for (name, slot) in &mut self.slots {
            if self.tasks.len() >= AT_ONCE {
                return;
            }
            if slot.busy || self.leaving.contains_key(name) || !slot.needs_a_look(now) {
                continue;
            }
            slot.busy = true;
            slot.retry_at = None;
            let first = slot.tried.is_none().then_some(EVERYTHING);
            let doubt = std::mem::take(&mut slot.audit);
            let audit = first.unwrap_or(doubt);
            let (name, plan, room) = (name.clone(), slot.plan.clone(), slot.room.take());
            let (metadata, tell) = (self.metadata.clone(), self.tell.clone());
            let looked = look(name.clone(), metadata, plan, room, audit, tell);
            // A room that is made for the first time hears of nothing but its making.
            let mends = first.is_none();
            let task = self.tasks.spawn(async move {
                let ended = looked.await;
                if mends { ended } else { Ended { heard: Changed::default(), ..ended } }
            });
            self.at_work.insert(task.id(), name);
        }
    }

    fn end(&mut self, ended: Ended) {
        let Some(slot) = self.slots.get_mut(&ended.name) else { return };
        slot.busy = false;
        slot.room = ended.room;
        if ended.outcome.failed() {
            let wait = slot.backoff.next(random());
            let said = ended.outcome.error.as_ref().or(ended.outcome.warnings.first());
            let reason = said.map_or("a device", String::as_str);
            tracing::warn!(namespace = ended.name, reason, ?wait, "a namespace is not complete");
            slot.retry_at = Arc::ptr_eq(&slot.plan, &ended.plan).then(|| Instant::now() + wait);
        } else {
            slot.backoff.reset();
        }
        slot.again = if ended.heard.any() && slot.again < AGAIN_AT_MOST { slot.again + 1 } else { 0 };
        if slot.again > 0 {
            slot.audit = slot.audit.and(ended.heard);
        }
        slot.tried = Some((ended.plan.clone(), ended.outcome));
        // What was planned meanwhile may be leases and the like only.
        slot.take_services(&ended.plan);
    }

    /// A task that panicked took the room with it: it is opened anew, later.
    fn end_broken(&mut self, error: &tokio::task::JoinError) {
        self.news = true;
        let name = self.at_work.remove(&error.id()).unwrap_or_default();
        tracing::error!(namespace = name, %error, "the task of a namespace broke off");
        if let Some(slot) = self.slots.get_mut(&name) {
            slot.busy = false;
            slot.retry_at = Some(Instant::now() + LONGEST_WAIT);
        }
    }

    async fn remove_leaving(&mut self) {
        let now = Instant::now();
        let due: Vec<String> =
            self.leaving.iter().filter(|(_, at)| **at <= now).map(|(name, _)| name.clone()).collect();
        let Some(order) = self.order.clone() else { return };
        for name in due {
            if self.slots.get(&name).is_some_and(|slot| slot.busy) {
                // Comes back when the task has ended, which wakes the loop.
                continue;
            }
            // Its services and their sockets go with it.
            self.slots.remove(&name);
            self.news = true;
            let plugged: Vec<String> = order.plugged.iter().cloned().collect();
            match remove(&name, &plugged).await {
                Ok(true) => {
                    self.leaving.remove(&name);
                }
                // The next order says that the port is gone.
                Ok(false) => {
                    self.leaving.insert(name, now + LONGEST_WAIT);
                }
                Err(error) => {
                    tracing::warn!(namespace = name, error = sentence(&error), "a namespace cannot be removed");
                    self.leaving.insert(name, now + LONGEST_WAIT);
                }
            }
        }
    }

    /// Somebody has changed something there: it is looked at again.
    fn distrust(&mut self, name: &str, changed: Changed) {
        if let Some(slot) = self.slots.get_mut(name) {
            tracing::debug!(namespace = name, ?changed, "changed by others, or so it seems");
            slot.audit = slot.audit.and(changed);
        }
    }

    /// What nobody tells: namespaces that were replaced, parameters, and everything of a few rooms in turn.
    fn audit(&mut self) {
        for slot in self.slots.values_mut() {
            if slot.room.as_ref().is_some_and(|room| !room.is_current()) {
                slot.audit = EVERYTHING;
            }
        }
        let checking = self.check.as_ref().is_some_and(|check| !check.is_finished());
        if let Some(order) = self.order.as_ref().filter(|_| !checking) {
            // One that somebody works on at the moment is being looked at.
            let rooms = self.slots.iter().filter_map(|(name, slot)| Some((name, slot.room.as_ref()?)));
            let at_hand = rooms.map(|(name, room)| (name.clone(), room.parameters().clone())).collect();
            self.check = Some(tokio::spawn(check::all(order.plan.clone(), at_hand, self.tell.clone())));
        }
        self.mark_for_audit();
    }

    /// A few at a time, in turn, so that a host with hundreds of namespaces is not busy with looking.
    fn mark_for_audit(&mut self) {
        let after = std::ops::Bound::Excluded(std::mem::take(&mut self.audited_to));
        let due: Vec<String> = self
            .slots
            .range((after, std::ops::Bound::Unbounded))
            .map(|(name, _)| name.clone())
            .take(AUDITED_AT_ONCE)
            .collect();
        if due.len() == AUDITED_AT_ONCE {
            self.audited_to = due.last().cloned().unwrap_or_default();
        }
        for name in due {
            if let Some(slot) = self.slots.get_mut(&name) {
                slot.audit = EVERYTHING;
            }
        }
    }

    fn next_timer(&self) -> Option<Instant> {
        let busy = |name: &String| self.slots.get(name).is_some_and(|slot| slot.busy);
        // When all hands are at work, the end of one wakes the loop.
        let free = self.tasks.len() < AT_ONCE;
        let retries = self.slots.values().filter(|_| free).filter(|slot| !slot.busy).filter_map(|slot| slot.retry_at);
        let removals = self.leaving.iter().filter(|(name, _)| !busy(name)).map(|(_, at)| *at);
        let news = self.news.then_some(self.tell_at);
        retries.chain(removals).chain(news).min()
    }

    /// Says how far the rooms are: at once when nobody is at work any more, else not too often.
    fn publish(&mut self) {
        let now = Instant::now();
        let Some(order) = self.order.as_ref().filter(|_| self.news) else { return };
        if now < self.tell_at && !self.tasks.is_empty() {
            return;
        }
        (self.news, self.tell_at) = (false, now + GATHER);
        let mut part = RoomsPart { revision: order.revision, ..RoomsPart::default() };
        for (name, slot) in &self.slots {
            match &slot.tried {
                Some((plan, outcome)) => {
                    part.ports.extend(outcome.ports.iter().map(|(id, state)| (*id, state.clone())));
                    part.devices.extend(outcome.devices.iter().cloned());
                    part.errors
                        .extend(outcome.error.iter().chain(&outcome.warnings).map(|error| format!("{name}: {error}")));
                    if let Some(error) = &outcome.error {
                        let reason = error.clone();
                        let ports = slot.plan.namespace.devices.values().map(|device| device.port);
                        part.ports.extend(ports.map(|port| (port, PortState::Failed { reason: reason.clone() })));
                    }
                    if *plan != slot.plan {
                        part.revision = 0;
                    }
                }
                None => part.revision = 0,
            }
        }
        self.board.rooms.send_if_modified(|current| {
            // Until all rooms have been looked at with this order, what was realised is what was before.
            part.revision = part.revision.max(current.revision);
            let modified = *current != part;
            *current = part;
            modified
        });
    }
}

/// A room's part of an order, before it is known whether it says anything new.
struct Wanted<'o> {
    namespace: &'o Namespace,
    services: &'o NamespaceServices,
    plugged: Vec<String>,
    wired: Vec<PortId>,
}

impl Wanted<'_> {
    fn is(&self, plan: &RoomPlan) -> bool {
        *self.namespace == plan.namespace
            && *self.services == plan.services
            && (&self.plugged, &self.wired) == (&plan.plugged, &plan.wired)
    }

    fn to_plan(&self) -> RoomPlan {
        RoomPlan {
            namespace: self.namespace.clone(),
            services: self.services.clone(),
            plugged: self.plugged.clone(),
            wired: self.wired.clone(),
        }
    }
}

impl Slot {
    fn needs_a_look(&self, now: Instant) -> bool {
        if self.retry_at.is_some_and(|at| at > now) {
            return false;
        }
        let planned_anew = self.tried.as_ref().is_none_or(|(tried, _)| *tried != self.plan);
        planned_anew || self.audit.any() || self.retry_at.is_some()
    }

    /// Takes a plan that differs from `old`, which is realised, in nothing but what services answer, without a look.
    fn take_services(&mut self, old: &Arc<RoomPlan>) {
        let (Some(room), Some((tried, outcome))) = (&self.room, &mut self.tried) else { return };
        if tried != old || outcome.failed() {
            return;
        }
        let alike = old.namespace == self.plan.namespace
            && (&old.plugged, &old.wired) == (&self.plan.plugged, &self.plan.wired);
        if alike && room.take_services(&old.services, &self.plan.services) {
            *tried = self.plan.clone();
        }
    }
}

/// One look at one room.
async fn look(
    name: String,
    metadata: Arc<MetadataService>,
    plan: Arc<RoomPlan>,
    room: Option<Room>,
    audit: Changed,
    tell: UnboundedSender<Heard>,
) -> Ended {
    let room = match room.filter(Room::is_current) {
        Some(room) => Ok(room),
        None => Room::open(&name, metadata, tell).await,
    };
    match room {
        Ok(mut room) => {
            if audit.any() {
                room.distrust(audit);
            }
            let (outcome, heard) = room.realise(&plan).await;
            Ended { name, plan, room: Some(room), outcome, heard }
        }
        Err(error) => {
            let outcome = Outcome { error: Some(sentence(&error)), ..Outcome::default() };
            Ended { name, plan, room: None, outcome, heard: Changed::default() }
        }
    }
}
