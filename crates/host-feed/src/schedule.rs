//! Which hosts serve DHCP on a network and which host a router lives on, and the ports that this needs.
//!
//! In: the tables. Out, by units of work of one network or router each: rows of `dhcp_agent_networks` and
//! `l3_agent_routers`, DHCP ports, bindings of router ports. Woken by a signal or a timer, looks for itself what is
//! missing, and does nothing when nothing is: running it twice changes nothing. After a change it looks only at the networks and
//! routers that the change is about ([`Agenda`]); at all of them at the start, when an agent comes, goes or changes, and by
//! the timer.
//!
//! A network with a subnet that DHCP serves gets `dhcp_agents_per_network` live agents, those with the fewest networks
//! first; one whose agent has died moves to a live one together with its DHCP port (`allow_automatic_dhcp_failover`). A
//! router with a gateway or an interface gets the live L3 agent with the fewest routers; it stays there when the agent
//! dies, unless `allow_automatic_l3agent_failover` is on, which it is not by default: its packets still flow. A highly available
//! router gets several agents from the start; which of them is active their hosts elect (`election`), or, where they have no
//! tunnels to meet in, is decided here: then only one has the router and its ports, and when it dies another one becomes
//! active. A distributed router is on one host like any other, and besides on hosts that have ports behind it
//! (`crate::distributed`); an agent in mode dvr has nothing else, and none is scheduled to it. What an administrator has taken off an agent stays
//! off until the router or network changes (`schedule_hold`, `dhcp_hold`).

mod agenda;
mod dhcp;
pub mod l3;

pub use agenda::{Agenda, Calls};

use crate::{FeedError, agents};
use jiff::{SignedDuration, Timestamp};
use network_model::binding::AgentConfigurations;
use network_store::{NetworkConfig, Work};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Store, StoreError, Tx, params};

/// The shortest time between two passes: under load, one then serves several changes.
const GATHER: Duration = Duration::from_millis(10);
/// The pause after what the store refused.
const RETRY: Duration = Duration::from_secs(1);
/// Looks even if nobody called: agents die without a word.
const INTERVAL: Duration = Duration::from_secs(10);

/// The task, and what it needs.
pub struct Scheduler {
    pub store: Store,
    pub network: Arc<NetworkConfig>,
    pub dhcp_agents_per_network: usize,
    /// Where it is told what to look at.
    pub calls: Arc<Calls>,
}

impl Scheduler {
    /// Runs for as long as it is polled.
    pub async fn run(self) {
        let started = Instant::now();
        let mut agenda = Agenda::Everything;
        let mut next_round = tokio::time::Instant::now() + INTERVAL;
        loop {
            // Agents have had the time to report to this server.
            let listened = started.elapsed() > Duration::from_secs(self.network.agent_down_time.into());
            if let Err(error) = self.pass(&agenda, listened).await {
                tracing::error!(error = &error as &dyn std::error::Error, "scheduling failed");
                next_round = next_round.min(tokio::time::Instant::now() + RETRY);
            }
            let passed = tokio::time::Instant::now();
            let called = tokio::time::timeout_at(next_round, self.calls.wait()).await.is_ok();
            if called {
                // The first change is served at once; those that follow on its heels, together.
                tokio::time::sleep_until(passed + GATHER).await;
            }
            agenda = self.calls.take();
            if !called {
                agenda = Agenda::Everything;
            }
            if agenda.is_everything() {
                next_round = tokio::time::Instant::now() + INTERVAL;
            }
        }
    }

    async fn pass(&self, agenda: &Agenda, listened: bool) -> Result<(), FeedError> {
        if agenda.is_empty() {
            return Ok(());
        }
        let alive_since = alive_since(&self.network);
        let rules = l3::Rules {
            alive_since,
            most_agents: self.network.max_l3_agents_per_router,
            fail_over: listened,
            reschedule: self.network.allow_automatic_l3agent_failover,
        };
        let wanted = self.dhcp_agents_per_network;
        let agenda = agenda.clone();
        let (networks, routers) = self
            .store
            .read(move |snapshot| {
                let (mut networks, mut routers) = (Vec::new(), Vec::new());
                for network in agenda.networks() {
                    networks.extend(dhcp::unserved(snapshot, network, wanted, alive_since)?);
                }
                for router in agenda.routers() {
                    routers.extend(l3::unserved(snapshot, router, rules)?);
                }
                Ok::<_, FeedError>((networks, routers))
            })
            .await?;
        // Each in a unit of work of its own: one that cannot be served does not keep the others from it.
        for id in networks {
            let (network, name) = (Arc::clone(&self.network), id.clone());
            let serve = move |tx: &Tx<'_>| dhcp::serve(&Work::system(tx, &network), &name, wanted, alive_since);
            note("network", &id, self.store.write(serve).await);
        }
        for id in routers {
            let (network, name) = (Arc::clone(&self.network), id.clone());
            let serve = move |tx: &Tx<'_>| l3::serve(&Work::system(tx, &network), &name, rules);
            note("router", &id, self.store.write(serve).await);
        }
        Ok(())
    }
}

fn note(kind: &str, id: &str, done: Result<(), FeedError>) {
    if let Err(error) = done {
        tracing::warn!(kind, id, error = &error as &dyn std::error::Error, "not scheduled");
    }
}

/// Agents that have reported since then are alive.
pub(crate) fn alive_since(network: &NetworkConfig) -> Timestamp {
    let down_time = SignedDuration::from_secs(network.agent_down_time.into());
    Timestamp::now().checked_sub(down_time).unwrap_or(Timestamp::MIN)
}

/// An agent that work can be given to.
struct Agent {
    id: String,
    host: String,
    /// What its host's L2 agent can carry.
    l2: AgentConfigurations,
}

/// An object that agents are wanted for.
#[derive(Clone, Copy)]
struct Wanting<'a> {
    /// `networks` or `routers`.
    table: &'static str,
    id: &'a str,
}

/// The zones that an object wants to be in: its hints, else those of the configuration; none: anywhere.
fn zones(work: &Work<'_>, object: Wanting<'_>) -> Result<Vec<String>, StoreError> {
    let sql = format!("SELECT availability_zone_hints FROM {} WHERE id = ?1", object.table);
    let hints: Option<String> = work.tx.query_opt(&sql, params![object.id], |row| row.get(0))?;
    let hints: Vec<String> = hints.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
    Ok(if hints.is_empty() { work.config.default_availability_zones.clone() } else { hints })
}

/// Live, switched-on agents of a type in the object's zones, whose host has a live L2 agent; those with the fewest rows in
/// `bindings` first.
fn candidates(
    work: &Work<'_>,
    agent_type: &str,
    bindings: &'static str,
    object: Wanting<'_>,
    alive_since: Timestamp,
) -> Result<Vec<Agent>, StoreError> {
    let zones = zones(work, object)?;
    let sql = format!(
        "SELECT a.id, a.host, l2.configurations, COALESCE(a.availability_zone, '')
         FROM agents a JOIN agents l2 ON l2.host = a.host AND l2.agent_type = ?1
         WHERE a.agent_type = ?2 AND a.admin_state_up = 1 AND a.heartbeat_timestamp >= ?3 AND l2.heartbeat_timestamp >= ?3
         ORDER BY (SELECT count(*) FROM {bindings} b WHERE b.agent_id = a.id), a.host"
    );
    let found = work.tx.query(&sql, params![agents::L2_AGENT, agent_type, alive_since], |row| {
        let l2 = serde_json::from_str(&row.text(2)?).unwrap_or_default();
        Ok((Agent { id: row.get(0)?, host: row.get(1)?, l2 }, row.get::<String>(3)?))
    })?;
    let wanted = |zone: &String| zones.is_empty() || zones.contains(zone);
    Ok(found.into_iter().filter(|(_, zone)| wanted(zone)).map(|(agent, _)| agent).collect())
}
