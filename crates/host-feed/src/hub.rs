//! The tasks around [`State`], and the handle that the rest of the server holds.
//!
//! ```text
//! follow    change log ──► State::take_rows ──► signal of each host with something new, and of settle
//! settle    signal ──► State::verdicts ──► unit of work: status
//! schedule  change log, timer ──► unit of work: DHCP and L3 bindings            (module schedule)
//! http      watch ◄── State::lines_after;   report ──► State::take_report, agents' rows, signal of settle
//! ```
//!
//! Each task is woken by a signal or a timer that carries no input and looks for itself; none can miss anything by being
//! late.

use crate::compute::DhcpDefaults;
use crate::row::RowChange;
use crate::schedule::{Agenda, Calls, Scheduler};
use crate::state::State;
use crate::{FeedConfig, FeedError, agents, election, load, schedule, shared, status};
use host_view::{HostReport, ReportAnswer, WatchEvent};
use jiff::Timestamp;
use network_store::{NetworkConfig, Work};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::{Changes, Store};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Entries of the change log read at a time.
const PAGE: usize = 1000;
/// Entries of the change log that are kept: others than this process (further servers) may be behind by so many.
const KEPT_CHANGES: u64 = 100_000;
/// The change log is trimmed every so many revisions.
const TRIM_EVERY: u64 = 10_000;
/// How long a task waits before it tries again what the store refused.
const RETRY: Duration = Duration::from_secs(1);
/// The shortest time between two looks at the change log: under load, a look then costs several changes' worth once.
const GATHER: Duration = Duration::from_millis(4);

/// The running feed; its tasks end when the last handle is dropped.
#[derive(Clone)]
pub struct Feed {
    hub: Arc<Hub>,
    _tasks: Arc<Tasks>,
}

pub(crate) struct Hub {
    pub(crate) store: Store,
    pub(crate) config: FeedConfig,
    pub(crate) network: Arc<NetworkConfig>,
    state: Mutex<State>,
    hosts: Mutex<BTreeMap<String, HostSignals>>,
    settle: Notify,
    /// Where scheduling is told what to look at.
    schedule: Arc<Calls>,
}

/// What the change log gave.
enum Step {
    /// Rows that changed up to a revision, and whether there are more.
    Rows { to: u64, rows: Vec<RowChange>, reports: Vec<(String, HostReport)>, more: bool },
    /// The log no longer reaches back: all rows there are.
    Everything { to: u64, rows: Vec<RowChange>, reports: Vec<(String, HostReport)> },
}

/// What belongs to a host but not to its view.
struct HostSignals {
    /// Woken when its stream has something to send.
    news: watch::Sender<()>,
    last_report: Option<Instant>,
    last_heartbeat: Option<Instant>,
}

struct Tasks(Vec<JoinHandle<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl Feed {
    /// Reads everything, then follows the change log.
    pub async fn start(store: Store, config: FeedConfig, network: Arc<NetworkConfig>) -> Result<Self, FeedError> {
        let (revision, rows, reports) = store
            .read(|snapshot| {
                let rows = load::everything(snapshot)?;
                Ok::<_, FeedError>((snapshot.revision()?, rows, shared::everything(snapshot)?))
            })
            .await?;
        let dhcp = DhcpDefaults {
            domain: network.dns_domain.trim_end_matches('.').to_owned(),
            lease_seconds: u32::try_from(config.dhcp_lease_duration).unwrap_or(u32::MAX),
        };
        let mut state = State::new(dhcp, revision, rows);
        if store.is_shared() {
            for (host, report) in &reports {
                state.take_report(host, report);
            }
        }
        let scheduler = Scheduler {
            store: store.clone(),
            network: Arc::clone(&network),
            dhcp_agents_per_network: config.dhcp_agents_per_network,
            calls: Arc::new(Calls::default()),
        };
        let hub = Arc::new(Hub {
            store,
            config,
            network,
            state: Mutex::new(state),
            hosts: Mutex::new(BTreeMap::new()),
            settle: Notify::new(),
            schedule: Arc::clone(&scheduler.calls),
        });
        let tasks = vec![
            tokio::spawn(Arc::clone(&hub).follow()),
            tokio::spawn(Arc::clone(&hub).settle()),
            tokio::spawn(scheduler.run()),
        ];
        Ok(Self { hub, _tasks: Arc::new(Tasks(tasks)) })
    }

    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }
}

impl Hub {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // Every method of State leaves it whole, whatever it was given.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hosts(&self) -> MutexGuard<'_, BTreeMap<String, HostSignals>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The signal of a host's stream.
    pub(crate) fn news(&self, host: &str) -> watch::Receiver<()> {
        self.signals(host, |signals| signals.news.subscribe())
    }

    fn signals<T>(&self, host: &str, with: impl FnOnce(&mut HostSignals) -> T) -> T {
        let mut hosts = self.hosts();
        with(hosts.entry(host.to_owned()).or_insert_with(|| HostSignals {
            news: watch::Sender::new(()),
            last_report: None,
            last_heartbeat: None,
        }))
    }

    /// The lines that a host's agent lacks.
    pub(crate) fn lines_after(&self, host: &str, had: Option<u64>) -> Vec<WatchEvent> {
        self.state().lines_after(host, had)
    }

    fn is_alive(&self, host: &str) -> bool {
        let limit = Duration::from_secs(self.network.agent_down_time.into());
        self.hosts().get(host).and_then(|signals| signals.last_report).is_some_and(|at| at.elapsed() < limit)
    }

    /// Takes a host's report: its agents' rows first, so that a host that is known is listed.
    pub(crate) async fn take_report(&self, host: &str, report: HostReport) -> Result<ReportAnswer, FeedError> {
        let now = Timestamp::now();
        for error in &report.errors {
            tracing::warn!(host, error, "a host cannot realise something");
        }
        let news = election::news(self.state().topology(), host, &report.routers);
        if !news.is_empty() {
            let (network, name) = (Arc::clone(&self.network), host.to_owned());
            self.store
                .write(move |tx| election::write(&Work::system(tx, &network), &name, &news).map_err(FeedError::from))
                .await?;
        }
        if self.store.is_shared() {
            return self.share_report(host, report, now).await;
        }
        if let Some(description) = report.description.clone().filter(|_| report.full) {
            let name = host.to_owned();
            self.store.write(move |tx| agents::register(tx, &name, &description, now).map_err(FeedError::from)).await?;
            self.signals(host, |signals| signals.last_heartbeat = Some(Instant::now()));
        } else if self.heartbeat_is_due(host) {
            let name = host.to_owned();
            self.store.write(move |tx| agents::heartbeat(tx, &name, now).map_err(FeedError::from)).await?;
        }
        let answer = self.state().take_report(host, &report);
        self.signals(host, |signals| signals.last_report = Some(Instant::now()));
        self.settle.notify_one();
        Ok(answer)
    }

    /// Keeps a host's report where all servers find it; this one takes it, like the others, when the change log says so.
    async fn share_report(&self, host: &str, report: HostReport, now: Timestamp) -> Result<ReportAnswer, FeedError> {
        let is_due = self.heartbeat_is_due(host);
        let is_news =
            report.full || !report.ports.is_empty() || !self.state().host(host).knows(report.session, report.revision);
        if !is_due && !is_news {
            return Ok(ReportAnswer { full_report_wanted: false });
        }
        let name = host.to_owned();
        let full_report_wanted = self
            .store
            .write(move |tx| {
                match report.description.as_ref().filter(|_| report.full) {
                    Some(description) => agents::register(tx, &name, description, now)?,
                    None if is_due => agents::heartbeat(tx, &name, now)?,
                    None => {}
                }
                shared::keep(tx, &name, &report, now).map_err(FeedError::from)
            })
            .await?;
        Ok(ReportAnswer { full_report_wanted })
    }

    /// Waits until this server knows of a revision that another one has told an agent; not when the database itself does not
    /// know of it (any more).
    pub(crate) async fn reach(&self, revision: u64) {
        let mut watch = self.store.revision_watch();
        while self.state().revision() < revision {
            match self.store.read(|snapshot| snapshot.revision().map_err(FeedError::from)).await {
                Ok(newest) if newest >= revision => {}
                _ => return,
            }
            // The follower is on its way.
            let _ = tokio::time::timeout(Duration::from_millis(20), watch.changed()).await;
        }
    }

    /// Reports come with every change; liveness needs only some of them.
    fn heartbeat_is_due(&self, host: &str) -> bool {
        let interval = Duration::from_secs(u64::from(self.network.agent_down_time) / 10);
        self.signals(host, |signals| {
            let due = signals.last_heartbeat.is_none_or(|at| at.elapsed() >= interval);
            if due {
                signals.last_heartbeat = Some(Instant::now());
            }
            due
        })
    }

    async fn follow(self: Arc<Self>) {
        let mut revisions = self.store.revision_watch();
        loop {
            match self.catch_up().await {
                Ok(()) => {
                    let looked = tokio::time::Instant::now();
                    if revisions.changed().await.is_err() {
                        return;
                    }
                    // The first change is taken at once; those that follow on its heels, together.
                    tokio::time::sleep_until(looked + GATHER).await;
                    revisions.mark_unchanged();
                }
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "the change log cannot be followed");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Takes every change up to now.
    async fn catch_up(&self) -> Result<(), FeedError> {
        loop {
            let from = self.state().revision();
            let step = self
                .store
                .read(move |snapshot| match snapshot.changes_since(from, PAGE)? {
                    Changes::Page(page) => Ok::<_, FeedError>(Step::Rows {
                        to: page.last().map_or(from, |change| change.revision),
                        rows: load::changed(snapshot, &page)?,
                        reports: shared::changed(snapshot, &page)?,
                        more: page.len() == PAGE,
                    }),
                    Changes::Trimmed { .. } => {
                        let rows = load::everything(snapshot)?;
                        let reports = shared::everything(snapshot)?;
                        Ok(Step::Everything { to: snapshot.revision()?, rows, reports })
                    }
                })
                .await?;
            let (told, reports, more) = match step {
                Step::Rows { to, .. } if to == from => return Ok(()),
                Step::Rows { to, rows, reports, more } => {
                    if to / TRIM_EVERY > from / TRIM_EVERY {
                        self.store.write(|tx| tx.trim_changes(KEPT_CHANGES).map_err(FeedError::from)).await?;
                    }
                    let mut state = self.state();
                    let mut agenda = Agenda::default();
                    rows.iter().for_each(|row| agenda.note(state.topology(), row));
                    self.schedule.call(agenda);
                    (state.take_rows(to, rows), reports, more)
                }
                Step::Everything { to, rows, reports } => {
                    self.schedule.call(Agenda::Everything);
                    (self.state().start_again(to, rows), reports, false)
                }
            };
            for (host, report) in &reports {
                self.state().take_report(host, report);
            }
            let hosts = self.hosts();
            for signals in told.iter().filter_map(|host| hosts.get(host)) {
                signals.news.send_replace(());
            }
            drop(hosts);
            self.settle.notify_one();
            if !more {
                return Ok(());
            }
        }
    }

    /// Hosts that live by what other servers have heard.
    async fn alive_elsewhere(&self) -> Result<BTreeSet<String>, FeedError> {
        if !self.store.is_shared() {
            return Ok(BTreeSet::new());
        }
        let since = schedule::alive_since(&self.network);
        self.store.read(move |snapshot| shared::alive(snapshot, since).map_err(FeedError::from)).await
    }

    async fn settle(self: Arc<Self>) {
        loop {
            self.settle.notified().await;
            let Ok(alive) = self.alive_elsewhere().await else {
                tokio::time::sleep(RETRY).await;
                self.settle.notify_one();
                continue;
            };
            let verdicts = self.state().verdicts(|host| alive.contains(host) || self.is_alive(host));
            if verdicts.is_empty() {
                continue;
            }
            let verdicts = Arc::new(verdicts);
            let (hub, news) = (Arc::clone(&self), Arc::clone(&verdicts));
            let written = self
                .store
                .write(move |tx| {
                    status::write(
                        &Work::system(tx, &hub.network),
                        &news.ports,
                        &news.floating_ips,
                        &news.trunks,
                        &news.moving,
                    )
                    .map_err(FeedError::from)
                })
                .await;
            if let Err(error) = written {
                tracing::error!(error = &error as &dyn std::error::Error, "statuses cannot be written");
                self.state().look_again(&verdicts);
                tokio::time::sleep(RETRY).await;
                self.settle.notify_one();
            }
        }
    }
}
