//! Flows of a physical bridge: local VLANs become what the wire carries.
//!
//! ```text
//! table 0 7-5  from phy-<bridge>, of a distributed router        see `router/distributed.rs`
//!           4  from phy-<bridge>, local VLAN of a VLAN network   set the provider's VLAN, NORMAL
//!           4  from phy-<bridge>, local VLAN of a flat network   take the tag off, NORMAL
//!           2  from phy-<bridge>, anything else                  drop: local VLANs never leak
//!           0  from the wire                                     NORMAL
//! ```
//! The other direction is table 0 of the integration bridge. In: [`Wiring`]. Out: flows, by bridge.

use crate::bridges::mapped_bridges;
use crate::flow_set::FlowSet;
use crate::names;
use crate::router::distributed;
use crate::wiring::Wiring;
use host_view::Segment;
use openflow::{Action, Flow, Match};
use std::collections::BTreeMap;

/// Flows of all physical bridges.
pub(crate) fn plan(wiring: &Wiring<'_>) -> BTreeMap<String, Vec<Flow>> {
    mapped_bridges(wiring).map(|bridge| (bridge.to_owned(), flows(wiring, bridge))).collect()
}

fn flows(wiring: &Wiring<'_>, bridge: &str) -> Vec<Flow> {
    let mut flows = FlowSet::default();
    flows.add(0, 0, Match::new(), [Action::normal()]);
    let (_, phy) = names::physical_patch(bridge);
    if let Some(patch) = wiring.state.ofport(bridge, &phy) {
        let from_inside = || Match::new().in_port(patch);
        flows.drop(0, 2, from_inside());
        let all = distributed::interfaces(wiring);
        for (id, wired) in &wiring.networks {
            let segment = &wired.network.segment;
            let mapping = segment.physical_network().and_then(|name| wiring.config.bridge_mappings.get(name));
            if mapping.is_some_and(|mapped| mapped == bridge) {
                let out = match segment {
                    Segment::Vlan { vlan, .. } => Action::set_vlan(*vlan),
                    _ => Action::PopVlan,
                };
                let out = [out, Action::normal()];
                let here: Vec<_> = all.iter().filter(|interface| interface.wired.port.network == *id).collect();
                distributed::leave(&mut flows, 0, 4, &here, |frames| frames.in_port(patch), |_| out.to_vec());
                flows.add(0, 4, from_inside().vlan(wired.vlan), out);
            }
        }
    }
    flows.into_flows()
}
