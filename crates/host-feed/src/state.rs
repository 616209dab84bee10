//! The feed's memory: the topology, what is published for each host, and whose status must be looked at. Pure; `hub` feeds
//! it from the change log and from reports, and asks it what to write.

use crate::affected;
use crate::compute::{self, DhcpDefaults};
use crate::published::Published;
use crate::row::RowChange;
use crate::status::{self, Dirty, Status};
use crate::topology::Topology;
use host_view::{HostReport, ReportAnswer, Router, WatchEvent};
use net_types::{FloatingIpId, PortId, TrunkId};
use std::collections::{BTreeMap, BTreeSet};
use std::mem;

/// Statuses to write.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// Ports.
    pub ports: Vec<(PortId, Status)>,
    /// Floating IPs.
    pub floating_ips: Vec<(FloatingIpId, Status)>,
    /// Trunks.
    pub trunks: Vec<(TrunkId, &'static str)>,
    /// Ports that are to move, and whether a host that they may go to has wired them.
    pub moving: Vec<(PortId, String, bool)>,
}

impl Verdicts {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.ports.is_empty() && self.floating_ips.is_empty() && self.trunks.is_empty() && self.moving.is_empty()
    }
}

/// See the module's head.
#[derive(Debug)]
pub struct State {
    dhcp: DhcpDefaults,
    topology: Topology,
    revision: u64,
    hosts: BTreeMap<String, Published>,
    dirty: Dirty,
}

impl State {
    /// The state of a revision, from all rows.
    pub fn new(dhcp: DhcpDefaults, revision: u64, rows: Vec<RowChange>) -> Self {
        let mut topology = Topology::default();
        rows.into_iter().for_each(|row| topology.apply(row));
        Self { dhcp, topology, revision, hosts: BTreeMap::new(), dirty: Dirty::default() }
    }

    /// All rows that matter.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// The change-log revision that it stands at.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Takes the rows that changed up to `revision`; answers the hosts that have something new to be told.
    pub fn take_rows(&mut self, revision: u64, rows: Vec<RowChange>) -> Vec<String> {
        let mut concerned = BTreeSet::new();
        for row in rows {
            let is_news = affected::is_news(&self.topology, &row);
            if is_news {
                affected::hosts(&self.topology, &row, &mut concerned);
            }
            match &row {
                RowChange::Port(id, _) => drop(self.dirty.ports.insert(*id)),
                RowChange::FloatingIp(id, _) => drop(self.dirty.floating_ips.insert(*id)),
                RowChange::Trunk(id, _) => drop(self.dirty.trunks.insert(*id)),
                RowChange::DhcpHosts(network, _) => {
                    self.dirty.ports.extend(self.topology.ports_of_network(network).map(|(id, _)| *id));
                }
                _ => {}
            }
            let again = is_news.then(|| row.clone());
            self.topology.apply(row);
            if let Some(row) = again {
                affected::hosts(&self.topology, &row, &mut concerned);
            }
        }
        let before = std::mem::replace(&mut self.revision, revision);
        self.publish(before, concerned)
    }

    /// Takes all rows anew, when the change log no longer reaches back; answers like [`State::take_rows`].
    pub fn start_again(&mut self, revision: u64, rows: Vec<RowChange>) -> Vec<String> {
        self.topology = Topology::default();
        for row in rows {
            match &row {
                RowChange::Port(id, _) => drop(self.dirty.ports.insert(*id)),
                RowChange::FloatingIp(id, _) => drop(self.dirty.floating_ips.insert(*id)),
                RowChange::Trunk(id, _) => drop(self.dirty.trunks.insert(*id)),
                _ => {}
            }
            self.topology.apply(row);
        }
        self.revision = revision;
        self.publish(0, self.hosts.keys().cloned().collect())
    }

    /// Computes these hosts' views; answers those with something new. A host that nobody has asked for yet is computed when
    /// somebody does.
    fn publish(&mut self, before: u64, concerned: BTreeSet<String>) -> Vec<String> {
        let (topology, dhcp, revision) = (&self.topology, &self.dhcp, self.revision);
        let news = concerned.into_iter().filter(|name| {
            self.hosts
                .get_mut(name)
                .is_some_and(|host| host.publish(before, revision, compute::host_view(topology, name, dhcp)))
        });
        news.collect()
    }

    /// What a host is told, computed at its first mention.
    pub fn host(&mut self, name: &str) -> &mut Published {
        let (topology, dhcp, revision) = (&self.topology, &self.dhcp, self.revision);
        self.hosts.entry(name.to_owned()).or_insert_with(|| {
            let mut host = Published::default();
            host.publish(revision, revision, compute::host_view(topology, name, dhcp));
            host
        })
    }

    /// The lines that a host's agent lacks.
    pub fn lines_after(&mut self, name: &str, had: Option<u64>) -> Vec<WatchEvent> {
        self.host(name).lines_after(had)
    }

    /// Takes a host's report.
    pub fn take_report(&mut self, name: &str, report: &HostReport) -> ReportAnswer {
        let host = self.host(name);
        let full_report_wanted = host.take_report(report);
        if !full_report_wanted {
            let view = host.view();
            let touched: Vec<PortId> = view.ports.keys().chain(view.dhcp_clients.keys()).copied().collect();
            let of_router = |router: &Router| {
                let forwarded = router.port_forwardings.values().map(|forwarding| forwarding.floating_ip);
                router.floating_ips.keys().copied().chain(forwarded).collect::<BTreeSet<_>>()
            };
            let floating: BTreeSet<FloatingIpId> = view.routers.values().flat_map(of_router).collect();
            let trunks = view.trunks.keys().copied().collect::<Vec<_>>();
            let topology = &self.topology;
            self.dirty.trunks.extend(trunks);
            let waits = |id: &PortId| topology.port(id).is_some_and(|port| !port.active || !port.moving_to.is_empty());
            self.dirty.ports.extend(touched.into_iter().filter(waits));
            self.dirty.ports.extend(report.ports.keys().copied());
            self.dirty
                .floating_ips
                .extend(floating.into_iter().filter(|id| topology.floating_ip(id).is_some_and(|row| !row.active)));
        }
        ReportAnswer { full_report_wanted }
    }

    /// The statuses that must be written now; who cannot write them gives them back to [`State::look_again`].
    pub fn verdicts(&mut self, is_alive: impl Fn(&str) -> bool) -> Verdicts {
        let dirty = mem::take(&mut self.dirty);
        let port = |id: PortId| {
            let row = self.topology.port(&id)?;
            Some((id, status::of_port(&self.topology, &self.hosts, &is_alive, &id, row)?))
        };
        let floating_ip = |id: FloatingIpId| {
            let row = self.topology.floating_ip(&id)?;
            Some((id, status::of_floating_ip(&self.topology, &self.hosts, &id, row)?))
        };
        let trunk = |id: TrunkId| Some((id, status::of_trunk(&self.topology, &self.hosts, self.topology.trunk(&id)?)?));
        let moving = |id: &PortId| {
            let row = self.topology.port(id);
            let found: Vec<_> = row.into_iter().flat_map(|row| status::of_moving(&self.hosts, id, row)).collect();
            found.into_iter().map(|(host, wired)| (*id, host, wired)).collect::<Vec<_>>()
        };
        Verdicts {
            moving: dirty.ports.iter().flat_map(moving).collect(),
            trunks: dirty.trunks.into_iter().filter_map(trunk).collect(),
            ports: dirty.ports.into_iter().filter_map(port).collect(),
            floating_ips: dirty.floating_ips.into_iter().filter_map(floating_ip).collect(),
        }
    }

    /// Looks at these again the next time.
    pub fn look_again(&mut self, verdicts: &Verdicts) {
        self.dirty.ports.extend(verdicts.ports.iter().map(|(id, _)| *id));
        self.dirty.ports.extend(verdicts.moving.iter().map(|(id, ..)| *id));
        self.dirty.floating_ips.extend(verdicts.floating_ips.iter().map(|(id, _)| *id));
        self.dirty.trunks.extend(verdicts.trunks.iter().map(|(id, _)| *id));
    }
}
