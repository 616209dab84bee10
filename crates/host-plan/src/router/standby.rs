//! Highly available routers: every host of theirs is ready, and lets packets through exactly while it is the active one.
//!
//! ```text
//! br-int:  ha-0a4d0002, ha-0a4d0003, ...   a tunnel with key 0 to each host that has a say, which carries BFD and nothing else
//!
//! 60  100 from a router port    reg10 := who lives ── 63      90 to a router port, from outside   reg10 := who lives ── 64
//! 94   12 to a router port, from here                                                            reg10 := who lives ── 64
//!
//! 63  30 from a router port, no other host lives        drop             only where there are two others at least
//!     20 from a router port, no preferred host lives    73               this host is the active one
//!      0 drop                                                            it stands by
//! 64  30, 20 the same for what is sent to the port: drop, out by it
//!     10 from here                                      out by the network's uplink: the active host is elsewhere
//!      0 drop
//!
//! reg10[0..15]   the first preferred host that lives, by the number of its ha- port; 0xffff: none
//! reg10[16..31]  the same of all others
//! ```
//! Who lives is known to ovs-vswitchd, which speaks BFD (RFC 5880) and looks at it for each packet that misses its cache, by
//! `bundle_load`: the election lives and dies with what forwards. No agent and no server takes part in it; they only say
//! what came of it, and announce the addresses. An agent that is there also closes the gates of a host that is alone, and
//! leaves them closed while sessions are only just coming up ([`Interface::begins`](crate::Interface)): who comes back must not
//! begin before all have met. And it says by its sessions when the host has lost its way to a physical network that one of the
//! routers is on, all cards of the bridge being without carrier: to the others it is then as good as dead, and it closes
//! its gates while any of them is better off.
//!
//! In: `standby` of the view's routers, [`LocalState`](crate::LocalState). Out: gates for `integration_bridge` and `firewall`,
//! BFD ports for `bridges`, states for the report. See `docs/adr/0011-highly-available-routers.md`.

use crate::bridges::kinds_of_tunnel;
use crate::flow_set::FlowSet;
use crate::host_plan::{BridgePort, PortKind};
use crate::integration_bridge::{ACCEPT_OR_INGRESS, REG_LIVES, REG_NET, STANDBY_FROM, STANDBY_TO};
use crate::names;
use crate::wiring::{WiredPort, Wiring};
use crate::{HostConfig, LocalState, qos};
use host_view::{HostView, RouterState, Standby};
use net_types::{NetworkId, NetworkType, PortId, RouterId};
use openflow::{Action, Masked, Match, SubField};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Milliseconds between two signs of life; a host is gone when three are missing.
const INTERVAL: &str = "300";
/// What `bundle_load` finds when nobody lives (`OFPP_NONE`).
const NOBODY: u128 = 0xffff;

/// When packets of a router's port pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Never, for now.
    Closed,
    /// While none of `preferred` lives and, unless it is empty, one of `company` does; by their OpenFlow numbers.
    ByLiveness { preferred: Vec<u16>, company: Vec<u16> },
}

/// The gate of every port of a highly available router of this host.
pub(crate) fn gates(view: &HostView, config: &HostConfig, state: &LocalState) -> BTreeMap<PortId, Gate> {
    let mut gates = BTreeMap::new();
    for router in view.routers.values() {
        let Some(standby) = &router.standby else { continue };
        let gate = gate(standby, view, config, state);
        // Those by which copies of a distributed router reach its ways out move with these.
        let inside = router.interfaces.iter().chain(&router.snat_ports).copied();
        let ports = inside.chain(router.gateways().map(|gateway| gateway.port));
        gates.extend(ports.map(|port| (port, gate.clone())));
    }
    gates
}

fn gate(standby: &Standby, view: &HostView, config: &HostConfig, state: &LocalState) -> Gate {
    let numbers = |hosts: &BTreeSet<String>| -> Option<Vec<u16>> {
        hosts.iter().map(|host| session(host, view, config, state)?.ofport?.try_into().ok()).collect()
    };
    let any = |hosts: &BTreeSet<String>, how: fn(&crate::Interface) -> bool| {
        hosts.iter().filter_map(|host| session(host, view, config, state)).any(how)
    };
    let one_lives = any(&standby.others, |session| session.lives);
    // Who says that it is impaired is company all the same, but not to the switch, to which it is dead.
    let one_is_impaired = any(&standby.others, |session| session.is_impaired);
    let is_alone = standby.needs_company() && !one_lives && !one_is_impaired;
    if is_alone || any(&standby.others, |session| session.begins) {
        return Gate::Closed;
    }
    if is_impaired(view, config, state) {
        let lives = |session: &crate::Interface| session.lives;
        let one_is_better_off = any(&standby.preferred, lives) || any(&standby.successors, lives);
        // Of those that are all impaired the first goes on.
        if one_is_better_off || any(&standby.preferred, |session| session.is_impaired) {
            return Gate::Closed;
        }
    }
    let company = if standby.needs_company() && one_lives { numbers(&standby.others) } else { Some(vec![]) };
    match (numbers(&standby.preferred), company) {
        (Some(preferred), Some(company)) => Gate::ByLiveness { preferred, company },
        _ => Gate::Closed,
    }
}

/// Whether this host cannot reach a physical network that a highly available router of its is on: its bridge has cards, and
/// none of them has carrier.
fn is_impaired(view: &HostView, config: &HostConfig, state: &LocalState) -> bool {
    let is_cut_off = |bridge: &String| {
        let mut cards =
            state.interfaces.values().filter(|known| known.bridge == *bridge).filter_map(|known| known.carrier);
        cards.next().is_some_and(|first| !first && !cards.any(|carrier| carrier))
    };
    let routers = view.routers.values().filter(|router| router.admin_state_up && router.standby.is_some());
    let ports =
        routers.flat_map(|router| router.interfaces.iter().chain(router.gateways().map(|gateway| &gateway.port)));
    let networks: BTreeSet<NetworkId> = ports.filter_map(|port| Some(view.ports.get(port)?.network)).collect();
    let physical = networks.iter().filter_map(|network| view.networks.get(network)?.segment.physical_network());
    physical.filter_map(|name| config.bridge_mappings.get(name)).any(is_cut_off)
}

/// Where the routers are active, as the switch sees it.
pub(crate) fn states(wiring: &Wiring<'_>) -> BTreeMap<RouterId, RouterState> {
    let (view, config, state) = (wiring.view, wiring.config, wiring.state);
    let lives = |host: &str| session(host, view, config, state).is_some_and(|session| session.lives);
    let any_lives = |hosts: &BTreeSet<String>| hosts.iter().any(|host| lives(host));
    let of = |standby: &Standby| match gate(standby, view, config, state) {
        Gate::ByLiveness { company, .. }
            if !any_lives(&standby.preferred) && (company.is_empty() || any_lives(&standby.others)) =>
        {
            RouterState::Active
        }
        _ => RouterState::Standby,
    };
    let routers = view.routers.iter().filter(|(_, router)| router.admin_state_up);
    routers.filter_map(|(id, router)| Some((*id, of(router.standby.as_ref()?)))).collect()
}

/// The port that says whether a host lives.
fn session<'s>(
    host: &str,
    view: &HostView,
    config: &HostConfig,
    state: &'s LocalState,
) -> Option<&'s crate::Interface> {
    let peer = view.tunnel_peers.get(host).filter(|peer| peer.watched)?;
    let interface = state.interfaces.get(&names::liveness(peer.address));
    interface.filter(|known| known.bridge == config.integration_bridge)
}

/// The ports by which this host and others watch each other, by name.
pub(crate) fn bfd_ports(view: &HostView, config: &HostConfig, state: &LocalState) -> BTreeMap<String, BridgePort> {
    let Some(endpoint) = &config.tunnel else { return BTreeMap::new() };
    let is_impaired = is_impaired(view, config, state);
    let peers = view.tunnel_peers.values().filter(|peer| peer.watched);
    let port = |peer: &host_view::TunnelPeer| {
        let kind = kinds_of_tunnel(peer, endpoint).next()?;
        let mut port = bfd_port(kind, endpoint.local_ip, peer.address);
        if is_impaired {
            port.bfd.insert("cpath_down".to_owned(), "true".to_owned());
        }
        Some((names::liveness(peer.address), port))
    };
    peers.filter_map(port).collect()
}

fn bfd_port(kind: NetworkType, local: IpAddr, remote: IpAddr) -> BridgePort {
    let text = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    let (local, remote) = (local.to_string(), remote.to_string());
    // No network has the key 0; the tunnels of networks take any other.
    let options =
        [("df_default", "true"), ("egress_pkt_mark", "0"), ("key", "0"), ("local_ip", &local), ("remote_ip", &remote)];
    BridgePort {
        kind: PortKind::Tunnel { tunnel: kind, options: text(&options) },
        external_ids: BTreeMap::new(),
        bfd: text(&[("enable", "true"), ("min_rx", INTERVAL), ("min_tx", INTERVAL)]),
    }
}

/// Tables 63 and 64, and what the ports of instances never send: anything by a BFD port.
pub(crate) fn plan(flows: &mut FlowSet, wiring: &Wiring<'_>) {
    for name in bfd_ports(wiring.view, wiring.config, wiring.state).keys() {
        if let Some(port) = wiring.int_ofport(name) {
            flows.drop(0, 2, Match::new().in_port(port));
        }
    }
    let gated = wiring.ports.iter().filter_map(|(id, port)| Some((port, wiring.gates.get(id)?)));
    for (port, gate) in gated {
        let Gate::ByLiveness { preferred, company } = gate else { continue };
        let to = || Match::new().dl_dst(port.port.mac);
        let local = || to().reg(REG_NET, u32::from(port.vlan.get())).no_vlan();
        let outside = || to().vlan(port.vlan);
        let ways = [
            (STANDBY_FROM, Match::new().in_port(port.ofport), vec![Action::resubmit(ACCEPT_OR_INGRESS)]),
            (STANDBY_TO, outside(), [Action::PopVlan].into_iter().chain(qos::deliver(port)).collect()),
            (STANDBY_TO, local(), qos::deliver(port)),
        ];
        for (table, packets, pass) in ways {
            if !company.is_empty() {
                flows.drop(table, 30, packets.clone().field(REG_LIVES, Masked::new(NOBODY << 16, NOBODY << 16)));
            }
            let active = match preferred.is_empty() {
                true => packets,
                false => packets.field(REG_LIVES, Masked::new(NOBODY, NOBODY)),
            };
            flows.add(table, 20, active, pass);
        }
        if let Some(way) = to_the_active_host(wiring, port) {
            flows.add(STANDBY_TO, 10, local(), way);
        }
    }
    if !wiring.gates.is_empty() {
        flows.drop(STANDBY_FROM, 0, Match::new());
        flows.drop(STANDBY_TO, 0, Match::new());
    }
}

/// Looks who lives, and goes on in `table`; a closed gate leads to `otherwise`.
pub(crate) fn through(gate: &Gate, table: u8, otherwise: Vec<Action>) -> Vec<Action> {
    let Gate::ByLiveness { preferred, company } = gate else { return otherwise };
    let parts = [(preferred, SubField::bits(REG_LIVES, 0, 15)), (company, SubField::bits(REG_LIVES, 16, 31))];
    let looks = parts.into_iter().filter(|(ports, _)| !ports.is_empty());
    let looks = looks.map(|(ports, into)| Action::FirstLiving { into, ports: ports.clone() });
    looks.chain([Action::resubmit(table)]).collect()
}

/// From a station of this host to a router that is active on another one.
pub(crate) fn to_the_active_host(wiring: &Wiring<'_>, port: &WiredPort<'_>) -> Option<Vec<Action>> {
    let network = wiring.networks.get(&port.port.network)?.network;
    let uplink = wiring.uplink(network)?;
    Some(vec![Action::push_vlan(), Action::set_vlan(port.vlan), Action::output(uplink)])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the switch does with a packet of a router's port: the flows of table 63, given which hosts live.
    fn passes(gate: &Gate, lives: &BTreeSet<u16>) -> bool {
        let Gate::ByLiveness { preferred, company } = gate else { return false };
        let first =
            |ports: &[u16]| ports.iter().find(|port| lives.contains(port)).map_or(NOBODY, |port| u128::from(*port));
        let register = first(preferred) | first(company) << 16;
        let any_company = company.is_empty() || register >> 16 != NOBODY;
        let none_preferred = preferred.is_empty() || register & NOBODY == NOBODY;
        any_company && none_preferred
    }

    /// The gate that the switch holds is the rule of [`Standby::is_active`], for each set of hosts that live; an agent that is
    /// there only ever closes it further, where a session has just begun.
    #[test]
    fn a_gate_is_the_rule() {
        let hosts = ["a", "b", "c", "d"];
        for own in 0..hosts.len() {
            for count in (own + 1).max(2)..=hosts.len() {
                let name = |place: usize| hosts[place].to_owned();
                let standby = Standby {
                    preferred: (0..own).map(name).collect(),
                    successors: (own + 1..count).map(name).collect(),
                    others: (0..count).filter(|place| *place != own).map(name).collect(),
                };
                for living in 0u32..16 {
                    let lives = |place: usize| living & 1 << place != 0;
                    let (view, config, state) = world(&hosts, lives, |_| false);
                    let gate = gate(&standby, &view, &config, &state);
                    let numbers =
                        (0..hosts.len()).filter(|place| lives(*place)).map(|place| place as u16 + 1).collect();
                    let expected =
                        standby.is_active(|host| hosts.iter().position(|name| *name == host).is_some_and(lives));
                    assert_eq!(passes(&gate, &numbers), expected, "{standby:?}, {living:b}");
                    let (view, config, state) =
                        world(&hosts, lives, |place| place == count - 1 - own / 3 && !lives(place));
                    let careful = super::gate(&standby, &view, &config, &state);
                    assert!(expected || !passes(&careful, &numbers));
                }
            }
        }
    }

    #[test]
    fn nobody_begins_before_all_have_met() {
        let hosts = ["a", "b"];
        let others = BTreeSet::from(hosts.map(str::to_owned));
        let standby = Standby { others, ..Standby::default() };
        let (view, config, state) = world(&hosts, |place| place == 0, |place| place == 1);
        assert_eq!(gate(&standby, &view, &config, &state), Gate::Closed);
        let (view, config, state) = world(&hosts, |place| place == 0, |_| false);
        assert_eq!(
            gate(&standby, &view, &config, &state),
            Gate::ByLiveness { preferred: vec![], company: vec![1, 2] },
            "it is dead, then"
        );
    }

    /// Hosts that reach each other, some of which have lost the way to an external network: exactly one candidate has its gate
    /// open, the first that is well if there is one; none, where one is left of three or more.
    #[test]
    fn who_is_impaired_gives_way_to_who_is_not() {
        const HOSTS: [&str; 4] = ["a", "b", "c", "d"];
        for (candidates, voters) in [(2, 2), (2, 3), (3, 3), (4, 4)] {
            for alive in 0u32..1 << voters {
                for ill in 0u32..1 << candidates {
                    let lives = |place: usize| alive & 1 << place != 0;
                    let is_ill = |place: usize| ill & 1 << place != 0;
                    let opens = |own: &usize| {
                        let name = |place: usize| HOSTS[place].to_owned();
                        let standby = Standby {
                            preferred: (0..*own).map(name).collect(),
                            successors: (own + 1..candidates).map(name).collect(),
                            others: (0..voters).filter(|place| place != own).map(name).collect(),
                        };
                        let (mut view, config, mut state) =
                            world(&HOSTS, |place| lives(place) && !is_ill(place), |_| false);
                        for (place, interface) in state.interfaces.values_mut().enumerate() {
                            interface.is_impaired = lives(place) && is_ill(place);
                        }
                        external(&mut view, &mut state, &standby, !is_ill(*own));
                        let heard = (0..voters).filter(|place| lives(*place) && !is_ill(*place));
                        let numbers = heard.map(|place| place as u16 + 1).collect();
                        passes(&gate(&standby, &view, &config_of(config), &state), &numbers)
                    };
                    let open: Vec<usize> = (0..candidates).filter(|place| lives(*place)).filter(opens).collect();
                    let left = || (0..candidates).filter(|place| lives(*place));
                    let first = left().find(|place| !is_ill(*place)).or(left().next());
                    let may_be_cut_off = voters > 2 && alive.count_ones() < 2;
                    let expected: Vec<usize> = first.filter(|_| !may_be_cut_off).into_iter().collect();
                    assert_eq!(open, expected, "{candidates} of {voters}, alive {alive:b}, ill {ill:b}");
                }
            }
        }
    }

    const EXTERNAL: &str = "00000000-0000-0000-0000-0000000000e1";

    fn config_of(config: HostConfig) -> HostConfig {
        HostConfig { bridge_mappings: [("outside".to_owned(), "br-ex".to_owned())].into(), ..config }
    }

    /// A router with a gateway on a physical network, whose bridge has two cards.
    fn external(view: &mut HostView, state: &mut LocalState, standby: &Standby, carrier: bool) {
        let port: host_view::Port = serde_json::from_value(serde_json::json!({
            "network": EXTERNAL, "mac": "fa:16:3e:00:00:01", "fixed_ips": [], "admin_state_up": true,
            "device_owner": "network:router_gateway", "device_id": "", "port_security": false, "security_groups": [],
            "allowed_address_pairs": []
        }))
        .unwrap();
        let network: host_view::Network = serde_json::from_value(serde_json::json!({
            "segment": { "type": "flat", "physical_network": "outside" }, "mtu": 1500, "admin_state_up": true,
            "external": true
        }))
        .unwrap();
        let id: PortId = EXTERNAL.parse().unwrap();
        let router = host_view::Router {
            admin_state_up: true,
            gateway: Some(host_view::Gateway { port: id, enable_snat: true }),
            standby: Some(standby.clone()),
            ..host_view::Router::default()
        };
        view.ports.insert(id, port);
        view.networks.insert(EXTERNAL.parse().unwrap(), network);
        view.routers.insert(EXTERNAL.parse().unwrap(), router);
        for (name, carrier) in [("eth2", false), ("eth3", carrier)] {
            let (bridge, carrier) = ("br-ex".to_owned(), Some(carrier));
            state
                .interfaces
                .insert(name.to_owned(), crate::Interface { bridge, carrier, ..crate::Interface::default() });
        }
    }

    fn world(
        hosts: &[&str],
        lives: impl Fn(usize) -> bool,
        begins: impl Fn(usize) -> bool,
    ) -> (HostView, HostConfig, LocalState) {
        let (mut view, mut state) = (HostView::default(), LocalState::default());
        for (place, host) in hosts.iter().enumerate() {
            let address = IpAddr::from([10, 0, 0, place as u8]);
            let peer = host_view::TunnelPeer { address, mac: None, types: [NetworkType::Vxlan].into(), watched: true };
            view.tunnel_peers.insert((*host).to_owned(), peer);
            let interface = crate::Interface {
                bridge: "br-int".into(),
                ofport: Some(place as u32 + 1),
                lives: lives(place),
                begins: begins(place),
                ..crate::Interface::default()
            };
            state.interfaces.insert(names::liveness(address), interface);
        }
        (view, HostConfig::default(), state)
    }
}
