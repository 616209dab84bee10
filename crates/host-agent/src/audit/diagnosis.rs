//! What findings mean to somebody who knows networks, routers and ports, and not yet flows: one sentence for each of these.
//!
//! ```text
//! finding ── about: network N │ port P of network N │ router R      (place, or the flow's registers, tags and keys)
//! all findings about one ──▶ "network N: nobody answers DHCP in qdhcp-N; br-int lacks 2 flows ..."
//! the agent does not run, or answer ──▶ said first, for it may be the cause of all
//! ```
//! In: findings, the plan, what OVSDB says of the host. Out: sentences. Pure.

use super::{AgentState, Finding, How, Layer};
use host_plan::{HostPlan, LocalState};
use host_view::{HostView, Segment};
use net_types::NetworkId;
use openflow::{Action, Field, Flow};
use std::collections::BTreeMap;

/// What a namespace belongs to.
pub(super) fn of_place(place: &str) -> Option<String> {
    let kinds = [("qdhcp-", "network"), ("qrouter-", "router")];
    kinds.iter().find_map(|(prefix, kind)| Some(format!("{kind} {}", place.strip_prefix(prefix)?)))
}

/// What a flow of a bridge is for, as far as it says so.
pub(super) fn of_flow(
    bridge: &str,
    flow: &Flow,
    view: &HostView,
    plan: &HostPlan,
    state: &LocalState,
) -> Option<String> {
    let exact = |field| flow.matches.exact(field).and_then(|value| u32::try_from(value).ok());
    let number = exact(Field::Reg5).or_else(|| exact(Field::InPort));
    let port = number.and_then(|number| of_port(bridge, number, view, state));
    port.or_else(|| of_network(bridge, flow, view, plan).map(|network| format!("network {network}")))
}

/// The port of a network that a bridge has under an OpenFlow number.
pub(super) fn of_port(bridge: &str, number: u32, view: &HostView, state: &LocalState) -> Option<String> {
    let plugged = state.interfaces.values().find(|known| known.bridge == bridge && known.ofport == Some(number));
    let id = plugged?.iface_id?;
    Some(format!("port {id} of network {}", view.ports.get(&id)?.network))
}

fn of_network(bridge: &str, flow: &Flow, view: &HostView, plan: &HostPlan) -> Option<NetworkId> {
    let tag = |value: u128| value & 0xfff;
    let set = flow.actions.iter().find_map(|action| match action {
        Action::SetField(Field::VlanVid, value) => Some(tag(*value)),
        _ => None,
    });
    let matched = flow.matches.get(Field::VlanTci).map(|matched| tag(matched.value()));
    // Where a provider's tag stands beside the local VLAN: set by bridges of physical networks, matched by ours.
    let is_ours = plan.bridges.get(bridge).is_none_or(|bridge| bridge.ours);
    let local = if is_ours { set.or(flow.matches.exact(Field::Reg6)).or(matched) } else { matched };
    let by_tag = plan.local_vlans.iter().find(|(_, vlan)| Some(u128::from(vlan.get())) == local).map(|(id, _)| *id);
    by_tag.or_else(|| by_key(flow.matches.exact(Field::TunId)?, view))
}

fn by_key(key: u128, view: &HostView) -> Option<NetworkId> {
    let has_key = |segment: &Segment| segment.tunnel_key().is_some_and(|own| u128::from(own) == key);
    view.networks.iter().find(|(_, network)| has_key(&network.segment)).map(|(id, _)| *id)
}

/// One sentence for each network, port and router that something is wrong with; before them one about the agent.
pub(super) fn sentences(findings: &[Finding], agent: &AgentState) -> Vec<String> {
    let complaint = agent.complaint().map(|complaint| {
        format!(
            "the agent of this host {complaint}: nobody answers DHCP, DNS and metadata here, and nothing is changed or mended"
        )
    });
    let mut said: Vec<String> = complaint.into_iter().collect();
    let mut subjects: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        if let Some(about) = &finding.about {
            subjects.entry(about).or_default().push(finding);
        }
    }
    said.extend(subjects.into_iter().map(|(about, findings)| format!("{about}: {}", clauses(&findings).join("; "))));
    said
}

/// What is wrong, layer by layer and place by place.
fn clauses(findings: &[&Finding]) -> Vec<String> {
    let mut kinds: BTreeMap<(Layer, &str, How), Vec<&str>> = BTreeMap::new();
    for finding in findings {
        kinds.entry((finding.layer, &finding.place, finding.how)).or_default().push(&finding.what);
    }
    kinds.into_iter().map(|((layer, place, how), what)| clause(layer, place, how, &what)).collect()
}

fn clause(layer: Layer, place: &str, how: How, what: &[&str]) -> String {
    let first = what.first().copied().unwrap_or_default();
    let more = match what.len() {
        0 | 1 => String::new(),
        many => format!(" (and {} more)", many - 1),
    };
    match (layer, how) {
        (Layer::Service, _) => {
            // "DHCP: a socket on UDP port 67"
            let mut services: Vec<&str> = what.iter().filter_map(|what| what.split(':').next()).collect();
            services.dedup();
            format!("nobody answers {} in {place}", services.join(", "))
        }
        (Layer::Namespace, How::Missing) => format!("namespace {place} is missing"),
        (Layer::Flow, How::Missing) => format!("{place} lacks the flow {first}{more}"),
        (Layer::Flow, How::Unexpected) => format!("{place} has the flow {first}, which nobody planned{more}"),
        (_, How::Missing) => format!("{} {first} is missing in {place}{more}", layer.as_str()),
        (_, How::Unexpected) => format!("{} {first} in {place} is not planned{more}", layer.as_str()),
        (_, How::Different) => format!("{} {first} in {place} is not as planned{more}", layer.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openflow::Match;

    const NETWORK: &str = "00000000-0000-0000-0000-0000000000a1";
    const PORT: &str = "00000000-0000-0000-0000-0000000000b1";

    #[test]
    fn a_dead_agent_is_said_first_and_its_networks_by_name() {
        let place = format!("qdhcp-{NETWORK}");
        let socket = |what: &str| Finding::missing(Layer::Service, &place, what).about(of_place(&place));
        let findings = [socket("DHCP: a socket on UDP port 67"), socket("DNS: a socket on TCP port 53")];
        let said = sentences(&findings, &AgentState::Absent);
        assert!(said[0].starts_with("the agent of this host does not run"), "{said:?}");
        assert_eq!(said[1], format!("network {NETWORK}: nobody answers DHCP, DNS in qdhcp-{NETWORK}"));
        let answers = AgentState::Answers { pid: 1, known: 1, realised: 1 };
        assert_eq!(sentences(&findings, &answers).len(), 1);
        assert!(sentences(&[], &answers).is_empty());
        let silent = sentences(&[], &AgentState::Silent);
        assert!(silent.len() == 1 && silent[0].contains("does not answer"), "{silent:?}");
    }

    #[test]
    fn a_flow_is_of_a_port_or_of_a_network() {
        let view: HostView = serde_json::from_value(serde_json::json!({
            "networks": { NETWORK: { "segment": { "type": "vxlan", "vni": 7 }, "mtu": 1450, "admin_state_up": true,
                                     "external": false } },
        }))
        .unwrap();
        let state: LocalState = serde_json::from_value(serde_json::json!({
            "interfaces": { "tap1": { "bridge": "br-int", "ofport": 5, "iface_id": PORT } },
        }))
        .unwrap();
        let mut plan = HostPlan::default();
        plan.local_vlans.insert(NETWORK.parse().unwrap(), net_types::VlanId::new(3).unwrap());
        let about = |bridge: &str, matches| of_flow(bridge, &Flow::table(0).matching(matches), &view, &plan, &state);
        let network = Some(format!("network {NETWORK}"));
        assert_eq!(about("br-tun", Match::new().tun_id(7u32)), network);
        assert_eq!(about("br-tun", Match::new().vlan(3u16)), network);
        assert_eq!(about("br-int", Match::new().reg(Field::Reg6, 3)), network);
        // A port that the view does not know is nobody's.
        assert_eq!(about("br-int", Match::new().reg(Field::Reg5, 5)), None);
        assert_eq!(about("br-int", Match::new()), None);
    }

    #[test]
    fn a_providers_tag_is_no_local_vlan() {
        let (provider, other) = (NETWORK, "00000000-0000-0000-0000-0000000000a2");
        let mut plan = HostPlan::default();
        for (network, vlan) in [(provider, 3), (other, 7)] {
            plan.local_vlans.insert(network.parse().unwrap(), net_types::VlanId::new(vlan).unwrap());
        }
        let physical = host_plan::Bridge {
            ours: false,
            datapath_type: None,
            fail_mode: "secure".into(),
            protocols: [].into(),
            ports: BTreeMap::new(),
            mirrors: BTreeMap::new(),
            exports: host_plan::Exports::default(),
        };
        plan.bridges.insert("br-phys".into(), physical);
        let (view, state) = (HostView::default(), LocalState::default());
        let about = |bridge: &str, flow: Flow| of_flow(bridge, &flow, &view, &plan, &state);
        let network = Some(format!("network {provider}"));
        // In from the wire with the tag 7, and without any.
        let inwards = [Action::set_vlan(3u16), Action::goto(58)];
        let tagged = Flow::table(0).matching(Match::new().in_port(1u32).vlan(7u16)).actions(inwards.clone());
        assert_eq!(about("br-int", tagged), network);
        let flat = Flow::table(0).matching(Match::new().in_port(1u32).no_vlan()).actions(inwards);
        assert_eq!(about("br-int", flat), network);
        // Out by the wire with the tag 7.
        let out = [Action::set_vlan(7u16), Action::normal()];
        let out = Flow::table(0).matching(Match::new().in_port(2u32).vlan(3u16)).actions(out);
        assert_eq!(about("br-phys", out), network);
    }
}
