//! Highly available routers whose hosts agree among themselves who is active: who takes part, and what they say of it.
//!
//! ```text
//! l3_agent_routers, by ha_priority ─► candidates a, b, c      all of them have tunnels of a common type: they elect
//!                                     two only: and a witness, the first other host with such tunnels
//!      view of b: preferred {a}, others {a, c};  a and c are watched tunnel peers
//! reports of a, b, c ─► ha_state, and where the API shows the router's ports
//! ```
//! The server decides the order once, when it binds agents, and never by who lives: what depends on two clocks would be decided
//! twice. Where a host has no tunnels there is no election, and the server names the active one (`schedule::l3`).
//!
//! In: the topology, reports. Out: [`Standby`] for views, the peers that a host watches, and units of work.

use crate::row::HostRow;
use crate::topology::Topology;
use host_view::{RouterState, Standby};
use net_types::{NetworkType, RouterId};
use network_store::{NetworkError, Work, l3_agent};
use std::collections::{BTreeMap, BTreeSet};
use store::params;
use uuid::Uuid;

/// Whether hosts that have these tunnels can elect among themselves: at least two, which can all reach each other.
pub fn can_elect<'a>(tunnels: impl Iterator<Item = &'a BTreeSet<NetworkType>>) -> bool {
    let (mut hosts, mut common) = (0, None::<BTreeSet<NetworkType>>);
    for types in tunnels {
        hosts += 1;
        common = Some(common.map_or_else(|| types.clone(), |common| common.intersection(types).copied().collect()));
    }
    hosts > 1 && common.is_some_and(|common| !common.is_empty())
}

/// The hosts that elect who of them has a router, the one to be preferred first; none: they do not.
pub fn candidates<'t>(topology: &'t Topology, router: &RouterId) -> Option<&'t [String]> {
    topology.router_candidates(router).filter(|hosts| elect(topology, hosts))
}

/// Hosts that a router lives on: all that elect who is active, or the one where it is.
pub fn hosts<'t>(topology: &'t Topology, router: &RouterId) -> impl Iterator<Item = &'t String> {
    let elected = candidates(topology, router);
    let active = elected.is_none().then(|| topology.active_hosts(router));
    elected.into_iter().flatten().chain(active.into_iter().flatten())
}

/// Routers that live on a host.
pub fn routers<'t>(topology: &'t Topology, host: &str) -> impl Iterator<Item = &'t RouterId> {
    topology.routers_bound_to(host).filter(move |router| hosts(topology, router).any(|name| name == host))
}

fn elect(topology: &Topology, hosts: &[String]) -> bool {
    let nothing = BTreeSet::new();
    let tunnels = |host: &String| topology.host(host).and_then(tunnels_of);
    let known: Vec<_> = hosts.iter().map(tunnels).collect();
    can_elect(known.into_iter().map(|types| types.unwrap_or(&nothing)))
}

fn tunnels_of(host: &HostRow) -> Option<&BTreeSet<NetworkType>> {
    host.tunnel_address.map(|_| &host.tunnel_types)
}

/// Everybody who has a say: the candidates and, where these are two, a witness.
fn voters<'t>(topology: &'t Topology, candidates: &'t [String]) -> BTreeSet<&'t String> {
    let mut voters: BTreeSet<&String> = candidates.iter().collect();
    if voters.len() == 2 {
        let reaches_all = |host: &HostRow| {
            let all = candidates.iter().filter_map(|name| topology.host(name)).chain([host]);
            can_elect(all.filter_map(tunnels_of)) && host.tunnel_address.is_some()
        };
        let witness = topology.hosts().find(|(name, host)| !candidates.contains(name) && reaches_all(host));
        voters.extend(witness.map(|(name, _)| name));
    }
    voters
}

/// All hosts that a router's election involves.
pub fn involved<'t>(topology: &'t Topology, router: &RouterId) -> BTreeSet<&'t String> {
    candidates(topology, router).map(|candidates| voters(topology, candidates)).unwrap_or_default()
}

/// A host's place among a router's candidates.
pub fn standby(topology: &Topology, host: &str, router: &RouterId) -> Option<Standby> {
    let candidates = candidates(topology, router)?;
    let preferred = candidates.iter().take_while(|name| *name != host).cloned().collect();
    let successors = candidates.iter().skip_while(|name| *name != host).skip(1).cloned().collect();
    let others = voters(topology, candidates).into_iter().filter(|name| *name != host).cloned().collect();
    Some(Standby { preferred, successors, others })
}

/// Hosts with which a host keeps watch over each other's life.
pub fn watched_by<'t>(topology: &'t Topology, host: &str) -> BTreeSet<&'t String> {
    let groups = topology.candidate_groups().filter(|group| elect(topology, group));
    let voters = groups.map(|group| voters(topology, group)).filter(|voters| voters.iter().any(|name| *name == host));
    voters.flatten().filter(|name| *name != host).collect()
}

/// What a host says of its routers that is not yet known.
pub fn news(topology: &Topology, host: &str, said: &BTreeMap<RouterId, RouterState>) -> Vec<(RouterId, RouterState)> {
    let differs = |(id, state): &(&RouterId, &RouterState)| {
        let takes_part = candidates(topology, id).is_some_and(|hosts| hosts.iter().any(|name| name == host));
        takes_part && topology.is_active_on(id, host) != (**state == RouterState::Active)
    };
    said.iter().filter(differs).map(|(id, state)| (*id, *state)).collect()
}

/// Writes it: of several that say so, the last is active.
pub fn write(work: &Work<'_>, host: &str, news: &[(RouterId, RouterState)]) -> Result<(), NetworkError> {
    for (router, state) in news {
        let agent: Option<Uuid> = work.tx.query_opt(
            "SELECT b.agent_id FROM l3_agent_routers b JOIN agents a ON a.id = b.agent_id
             WHERE b.router_id = ?1 AND a.host = ?2 AND COALESCE(b.ha_state, '') <> ?3 AND b.ha_state IS NOT NULL",
            params![router.0, host, state.as_str()],
            |row| row.parse(0),
        )?;
        match (agent, state) {
            (Some(agent), RouterState::Active) => l3_agent::activate(work, *router, agent, host)?,
            (Some(agent), RouterState::Standby) => l3_agent::stand_by(work, *router, agent)?,
            (None, _) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{RouterHosts, RowChange};
    use proptest::prelude::*;

    fn topology(hosts: usize, candidates: &[usize]) -> (Topology, RouterId) {
        let mut topology = Topology::default();
        for number in 0..hosts {
            let row = HostRow {
                takes_copies: false,
                tunnel_address: Some(std::net::Ipv4Addr::from(number as u32).into()),
                endpoint_mac: None,
                tunnel_types: [NetworkType::Vxlan].into(),
                physical_networks: BTreeSet::new(),
            };
            topology.apply(RowChange::Host(name(number), Some(row)));
        }
        let router = RouterId(Uuid::nil());
        let candidates = candidates.iter().map(|number| name(*number)).collect();
        topology.apply(RowChange::RouterHosts(router, RouterHosts { active: BTreeSet::new(), candidates }));
        (topology, router)
    }

    fn name(number: usize) -> String {
        format!("h{number}")
    }

    /// Where a router is active when `groups` says which hosts reach each other (equal numbers) and who has died (`None`).
    fn active(topology: &Topology, router: &RouterId, groups: &[Option<u8>]) -> Vec<usize> {
        let place = |host: &str| host.strip_prefix('h').and_then(|number| number.parse::<usize>().ok());
        let active = |number: &usize| {
            let Some(group) = groups[*number] else { return false };
            let standby = standby(topology, &name(*number), router).unwrap();
            standby.is_active(|host| place(host).is_some_and(|other| groups[other] == Some(group)))
        };
        let candidates = candidates(topology, router).unwrap();
        candidates.iter().filter_map(|host| place(host)).filter(active).collect()
    }

    proptest! {
        /// Hosts that reach each other never have two active ones; once all that live reach each other, exactly one is active
        /// as long as two voters live; who is cut off from all others is not active.
        #[test]
        fn one_host_at_most_and_one_if_it_can_be(
            candidates in proptest::sample::subsequence((0..5).collect::<Vec<usize>>(), 2..=5).prop_shuffle(),
            groups in proptest::collection::vec(proptest::option::weighted(0.8, 0u8..3), 5),
        ) {
            let (topology, router) = topology(5, &candidates);
            let active_now = active(&topology, &router, &groups);
            for group in 0..3 {
                let here = active_now.iter().filter(|host| groups[**host] == Some(group)).count();
                prop_assert!(here <= 1, "{active_now:?} in group {group} of {groups:?}");
            }
            let voters: Vec<usize> =
                involved(&topology, &router).iter().map(|host| host[1..].parse().unwrap()).collect();
            if voters.len() == 3 {
                prop_assert!(active_now.len() <= 1, "a majority is unique: {active_now:?} of {groups:?}");
            }
            for host in &active_now {
                prop_assert!(voters.iter().any(|other| other != host && groups[*other] == groups[*host]));
            }
            let healed: Vec<Option<u8>> = groups.iter().map(|group| group.map(|_| 0)).collect();
            let living = |hosts: &[usize]| hosts.iter().filter(|host| healed[**host].is_some()).count();
            let expected = usize::from(living(&voters) > 1 && living(&candidates) > 0);
            prop_assert_eq!(active(&topology, &router, &healed).len(), expected);
        }
    }

    #[test]
    fn with_two_hosts_the_preferred_one_is_never_in_doubt() {
        let (topology, router) = topology(2, &[1, 0]);
        assert_eq!(active(&topology, &router, &[Some(0), Some(0)]), [1]);
        assert_eq!(active(&topology, &router, &[Some(0), None]), [0]);
        assert_eq!(active(&topology, &router, &[None, Some(0)]), [1]);
        assert_eq!(active(&topology, &router, &[Some(0), Some(1)]), [1, 0], "nobody can tell cut off from dead");
    }

    #[test]
    fn two_candidates_have_a_witness_and_all_watch_each_other() {
        let (topology, router) = topology(4, &[2, 3]);
        let names = |hosts: &[usize]| hosts.iter().map(|number| name(*number)).collect::<BTreeSet<_>>();
        let watched = |host: usize| watched_by(&topology, &name(host)).into_iter().cloned().collect::<BTreeSet<_>>();
        assert_eq!(
            standby(&topology, "h3", &router),
            Some(Standby { preferred: names(&[2]), successors: names(&[]), others: names(&[0, 2]) })
        );
        assert_eq!([watched(0), watched(2), watched(3)], [names(&[2, 3]), names(&[0, 3]), names(&[0, 2])]);
        assert!(watched(1).is_empty());
    }
}
