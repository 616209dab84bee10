//! The whole plan of a host.

use crate::firewall::{self, RuleSets};
use crate::flow_set::FlowSet;
use crate::host_plan::{Endpoint, HostPlan};
use crate::local_ip::LocalIps;
use crate::logs::Logs;
use crate::mirror::Mirroring;
use crate::namespaces::Planned;
use crate::wiring::Wiring;
use crate::{
    Datapath, HostConfig, LocalState, bridges, dhcp, integration_bridge, physical_bridge, qos, router, tunnel_bridge,
};
use host_view::{AgentRole, HostView, PortState};
use net_types::MacAddr;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What the host must look like so that `view` is realised on it.
///
/// A pure function: equal inputs give equal plans. What cannot be realised is left out and said in
/// [`HostPlan::ports`] and [`HostPlan::errors`]; everything else is planned all the same. As long as the plan has ports that
/// OVSDB has no OpenFlow number for, it must be applied, the state read again and planned again; see [`LocalState`].
pub fn plan(view: &HostView, config: &HostConfig, state: &LocalState) -> HostPlan {
    if !config.roles.contains(&AgentRole::L2) {
        let reason = "the l2 part is not played on this host".to_owned();
        let ports = view.ports.keys().map(|id| (*id, PortState::Failed { reason: reason.clone() })).collect();
        return HostPlan { ports, errors: [reason].into(), ..HostPlan::default() };
    }
    let wiring = Wiring::new(view, config, state);
    let rule_sets = RuleSets::new(&wiring);

    let mirroring = Mirroring::new(&wiring);
    let local_ips = LocalIps::new(&wiring);
    let logs = Logs::new(&wiring, &rule_sets);

    let mut integration = FlowSet::default();
    integration_bridge::plan(&mut integration, &wiring, &rule_sets);
    qos::plan(&mut integration, &wiring);
    mirroring.plan(&mut integration, &wiring);
    local_ips.plan(&mut integration, &wiring, &rule_sets);
    logs.plan(&mut integration);
    let (mut meters, meter_errors) = qos::meters(&wiring);
    meters.extend(logs.meter(config));
    firewall::plan(&mut integration, &wiring, &rule_sets);
    let mut flows = physical_bridge::plan(&wiring);
    flows.insert(config.integration_bridge.clone(), integration.into_flows());
    flows.extend(tunnel_bridge::plan(&wiring).map(|flows| (config.tunnel_bridge.clone(), flows)));

    let Planned { mut namespaces, mut services, errors: dhcp_errors } = dhcp::plan(&wiring);
    let Planned { namespaces: routers, services: in_routers, errors: router_errors } = router::plan(&wiring);
    namespaces.extend(routers);
    services.extend(in_routers);

    HostPlan {
        local_vlans: wiring.networks.iter().map(|(id, network)| (*id, network.vlan)).collect(),
        bridges: bridges::plan(&wiring, &mirroring),
        tags: bridges::tags(&wiring, &mirroring),
        flows,
        meters: if meters.is_empty() { BTreeMap::new() } else { [(config.integration_bridge.clone(), meters)].into() },
        namespaces,
        services,
        logged: logs.logged,
        translations: local_ips.translations(),
        tunnel_neighbours: tunnel_neighbours(view, config),
        endpoint: endpoint(config, state),
        routers: router::standby::states(&wiring),
        errors: wiring
            .errors
            .iter()
            .cloned()
            .chain(dhcp_errors)
            .chain(router_errors)
            .chain(meter_errors)
            .chain(mirroring.errors.iter().cloned())
            .chain(local_ips.errors.iter().cloned())
            .chain(unknown_groups(&wiring))
            .chain(firewall::errors(&wiring, &rule_sets))
            .collect(),
        ports: wiring.outcomes,
    }
}

/// Groups that ports are in, but whose rules the view lacks: the ports get what their other groups allow.
fn unknown_groups(wiring: &Wiring<'_>) -> BTreeSet<String> {
    let groups = wiring.ports.values().filter(|port| port.is_secured()).flat_map(|port| &port.port.security_groups);
    let unknown = groups.filter(|id| !wiring.view.security_groups.contains_key(*id));
    unknown.map(|id| format!("security group {id}: its rules are not known on this host")).collect()
}

/// The userspace datapath resolves tunnel endpoints itself and loses the packets that it has to ask for first.
fn tunnel_neighbours(view: &HostView, config: &HostConfig) -> BTreeMap<IpAddr, MacAddr> {
    let seeded = config.datapath == Datapath::Netdev && config.tunnel.is_some();
    let peers = view.tunnel_peers.values().filter(|_| seeded);
    peers.filter_map(|peer| Some((peer.address, peer.mac?))).collect()
}

fn endpoint(config: &HostConfig, state: &LocalState) -> Option<Endpoint> {
    let tunnel = config.tunnel.as_ref()?;
    let device = tunnel.bridge.clone().filter(|bridge| state.bridges.contains(bridge))?;
    Some(Endpoint { device, address: tunnel.address()?, mac: tunnel.mac })
}
