//! Logs, as far as they are about ports of a host.

use crate::row::LogScope;
use crate::topology::Topology;
use host_view::{HostView, Log};
use std::collections::BTreeSet;

/// Adds those of ports that security groups apply to.
pub(super) fn add(topology: &Topology, host: &str, view: &mut HostView) {
    for (id, row) in topology.ports_of_host(host).filter(|(_, row)| row.port_security) {
        let groups = row.security_groups.iter().map(|group| LogScope::Group(*group));
        let scopes = groups.chain([LogScope::Port(*id), LogScope::Project(row.project.clone())]);
        for scope in scopes {
            for (log, about) in topology.logs_about(&scope) {
                if about.group.is_some_and(|group| !row.security_groups.contains(&group)) {
                    continue;
                }
                let (project, event, group) = (about.project.clone(), about.event, about.group);
                let new = || Log { project, event, group, ports: BTreeSet::new() };
                view.logs.entry(*log).or_insert_with(new).ports.insert(*id);
            }
        }
    }
}
