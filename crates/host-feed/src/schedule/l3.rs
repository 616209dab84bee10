//! Hosts of routers.

use super::{Agent, Wanting, candidates};
use crate::{FeedError, agents, election};
use jiff::Timestamp;
use net_types::{NetworkId, NetworkType, RouterId};
use network_model::binding::AgentConfigurations;
use network_store::{Work, agent, l3_agent, segment};
use std::collections::BTreeSet;
use store::{Snapshot, StoreError, Value, params};
use uuid::Uuid;

/// What routers need, as far as one look at the tables tells.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Agents that have reported since then are alive.
    pub alive_since: Timestamp,
    /// Most agents of a highly available router; 0: all.
    pub most_agents: usize,
    /// Whether an agent that is not alive loses its highly available routers to one that stands by. Not while a server has
    /// just started: agents report first to those that listen.
    pub fail_over: bool,
    /// Whether other routers leave such an agent, too (`allow_automatic_l3agent_failover`).
    pub reschedule: bool,
}

/// Routers with a port that have no host, or with a port that is not bound to their host; highly available ones with fewer
/// agents than there could be, or whose active agent is not alive while another one is; others whose agent is not alive, if
/// they may leave it. Of all routers, or of one.
pub fn unserved(snapshot: &Snapshot<'_>, router: Option<RouterId>, rules: Rules) -> Result<Vec<String>, StoreError> {
    let live = snapshot.count(
        "SELECT count(*) FROM agents WHERE agent_type = ?1 AND admin_state_up = 1 AND heartbeat_timestamp >= ?2
             AND configurations NOT LIKE ?3",
        params![agents::L3_AGENT, rules.alive_since, l3_agent::ONLY_COPIES],
    )?;
    let most = u64::try_from(rules.most_agents).unwrap_or(u64::MAX);
    let wanted = if most == 0 { live } else { live.min(most) };
    let [a, b, c, d, e] = l3_agent::FORWARDING_PORTS;
    let (of_routers, of_bindings) = match router {
        Some(_) => ("AND r.id = ?12", "AND b.router_id = ?12"),
        None => ("", ""),
    };
    let sql = format!(
        "SELECT r.id FROM routers r
             JOIN ports p ON p.device_id = r.id AND p.device_owner IN (?1, ?2, ?3, ?4, ?10)
             LEFT JOIN l3_agent_routers b ON b.router_id = r.id AND COALESCE(b.ha_state, 'active') = 'active'
             LEFT JOIN agents a ON a.id = b.agent_id
         WHERE ((a.host IS NULL AND r.schedule_hold = 0) OR p.binding_host <> a.host) {of_routers}
         UNION
         SELECT r.id FROM routers r
         WHERE r.ha = 1 AND r.schedule_hold = 0 AND r.status <> 'ERROR'
             AND (SELECT count(*) FROM l3_agent_routers b WHERE b.router_id = r.id) < ?5 {of_routers}
         UNION
         SELECT b.router_id FROM l3_agent_routers b JOIN agents a ON a.id = b.agent_id
         WHERE b.ha_state = 'active' AND a.heartbeat_timestamp < ?6 AND CAST(?7 AS BIGINT) = 1
             AND EXISTS (SELECT 1 FROM l3_agent_routers o JOIN agents x ON x.id = o.agent_id
                         WHERE o.router_id = b.router_id AND x.heartbeat_timestamp >= ?6) {of_bindings}
         UNION
         SELECT b.router_id FROM l3_agent_routers b JOIN routers r ON r.id = b.router_id JOIN agents a ON a.id = b.agent_id
         WHERE r.ha = 0 AND r.schedule_hold = 0 AND a.heartbeat_timestamp < ?6 AND CAST(?8 AS BIGINT) = 1
             AND EXISTS (SELECT 1 FROM agents x WHERE x.agent_type = ?9 AND x.admin_state_up = 1
                             AND x.heartbeat_timestamp >= ?6 AND x.configurations NOT LIKE ?11) {of_bindings}"
    );
    let mut params = params![
        a,
        b,
        c,
        d,
        wanted,
        rules.alive_since,
        rules.fail_over,
        rules.fail_over && rules.reschedule,
        agents::L3_AGENT,
        e,
        l3_agent::ONLY_COPIES
    ]
    .to_vec();
    params.extend(router.map(|id| Value::from(id.0)));
    snapshot.query(&sql, &params, |row| row.get(0))
}

/// An agent that a router is bound to.
struct Bound {
    id: Uuid,
    host: String,
    alive: bool,
    stands_by: bool,
    /// Tunnels that its host takes part in.
    tunnels: BTreeSet<NetworkType>,
}

/// Gives a router its hosts, as far as there are any, and binds its ports to the one that forwards.
pub fn serve(work: &Work<'_>, router: &str, rules: Rules) -> Result<(), FeedError> {
    let Ok(router) = router.parse::<RouterId>() else { return Ok(()) };
    let found = work.tx.query_opt("SELECT ha, schedule_hold FROM routers WHERE id = ?1", params![router.0], |row| {
        Ok((row.get::<bool>(0)?, row.get::<bool>(1)?))
    })?;
    let Some((ha, held)) = found else { return Ok(()) };
    let bound = bound(work, router, rules)?;
    if !ha
        && rules.fail_over
        && rules.reschedule
        && let Some(dead) = bound.iter().find(|agent| !agent.alive)
        && let Some(next) = usable(work, router, rules)?.into_iter().next()
    {
        l3_agent::unbind(work, router, &agent::get(work.tx, dead.id)?)?;
        return Ok(l3_agent::bind(work, router, &next)?);
    }
    if let Some(next) = successor(&bound, rules).filter(|_| !elect(&bound)) {
        l3_agent::activate(work, router, next.id, &next.host)?;
    } else if let Some(serving) = bound.iter().find(|agent| !agent.stands_by) {
        l3_agent::place(work, router, &serving.host)?;
    }
    let wanted = match (ha, rules.most_agents) {
        (false, _) => 1,
        (true, 0) => usize::MAX,
        (true, most) => most,
    };
    if held || bound.len() >= wanted {
        return Ok(());
    }
    let more = usable(work, router, rules)?.into_iter().filter(|agent| !bound.iter().any(|known| known.id == agent.id));
    for agent in more.take(wanted - bound.len()) {
        l3_agent::bind(work, router, &agent)?;
    }
    Ok(())
}

/// Whether the hosts find out themselves which of them is active.
fn elect(bound: &[Bound]) -> bool {
    election::can_elect(bound.iter().map(|agent| &agent.tunnels))
}

/// The agent that becomes active in place of one that is gone, if there is one to do it.
fn successor(bound: &[Bound], rules: Rules) -> Option<&Bound> {
    let active = bound.iter().find(|agent| !agent.stands_by);
    let orphaned = active.is_none_or(|agent| !agent.alive && rules.fail_over);
    bound.iter().find(|agent| orphaned && agent.stands_by && agent.alive)
}

fn bound(work: &Work<'_>, router: RouterId, rules: Rules) -> Result<Vec<Bound>, StoreError> {
    work.tx.query(
        "SELECT a.id, a.host, a.heartbeat_timestamp >= ?2, COALESCE(b.ha_state, 'active'), COALESCE(l2.configurations, '')
         FROM l3_agent_routers b JOIN agents a ON a.id = b.agent_id
             LEFT JOIN agents l2 ON l2.host = a.host AND l2.agent_type = ?3
         WHERE b.router_id = ?1 ORDER BY b.ha_priority, a.host",
        params![router.0, rules.alive_since, agents::L2_AGENT],
        |row| {
            let stands_by = row.text(3)? == "standby";
            let l2: AgentConfigurations = serde_json::from_str(&row.text(4)?).unwrap_or_default();
            let tunnels = l2.tunnel_types.iter().filter_map(|kind| kind.parse().ok()).collect();
            Ok(Bound { id: row.parse(0)?, host: row.get(1)?, alive: row.get(2)?, stands_by, tunnels })
        },
    )
}

/// Live agents whose hosts reach every network of the router, those with the fewest routers first.
fn usable(work: &Work<'_>, router: RouterId, rules: Rules) -> Result<Vec<agent::Agent>, FeedError> {
    let [a, b, c, d, e] = l3_agent::FORWARDING_PORTS;
    let id = router.to_string();
    let networks: Vec<NetworkId> = work.tx.query(
        "SELECT DISTINCT network_id FROM ports WHERE device_id = ?1 AND device_owner IN (?2, ?3, ?4, ?5, ?6)",
        params![&id, a, b, c, d, e],
        |row| row.parse(0),
    )?;
    let mut segments = Vec::new();
    for network in networks {
        segments.extend(segment::of_network(work.tx, network)?);
    }
    let object = Wanting { table: "routers", id: &id };
    let only_copies: BTreeSet<String> = work
        .tx
        .query("SELECT id FROM agents WHERE configurations LIKE ?1", params![l3_agent::ONLY_COPIES], |row| row.get(0))?
        .into_iter()
        .collect();
    let mut usable = Vec::new();
    for Agent { id, l2, .. } in candidates(work, agents::L3_AGENT, "l3_agent_routers", object, rules.alive_since)? {
        if !only_copies.contains(&id)
            && segments.iter().all(|segment| l2.reaches(segment))
            && let Ok(id) = id.parse()
        {
            usable.push(agent::get(work.tx, id)?);
        }
    }
    Ok(usable)
}
