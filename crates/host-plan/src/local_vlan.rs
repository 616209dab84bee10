//! Local VLANs: the number of each network inside this host's integration bridge, and its conntrack zone.
//!
//! In: the networks that need one, those that have one. Out: who has which. A network keeps its number for as long as it
//! is wired here, through restarts of the agent (the numbers stand in `Port:other_config`) and of the switch. 1 to 4094
//! are given; 4095 is the dead VLAN.

use net_types::{NetworkId, VlanId};
use std::collections::{BTreeMap, BTreeSet};

/// Who has which number, and who must go without.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Allocation {
    pub vlans: BTreeMap<NetworkId, VlanId>,
    pub refused: BTreeSet<NetworkId>,
}

/// Every wanted network keeps what it holds; of two that claim the same number the first in order does; the others get the
/// lowest free numbers.
pub(crate) fn allocate(wanted: &BTreeSet<NetworkId>, held: &BTreeMap<NetworkId, VlanId>) -> Allocation {
    let mut result = Allocation::default();
    let mut taken = BTreeSet::new();
    for (network, vlan) in held.iter().filter(|(network, _)| wanted.contains(network)) {
        if taken.insert(*vlan) {
            result.vlans.insert(*network, *vlan);
        }
    }
    let mut free = (1..).map_while(|number| VlanId::new(number).ok()).filter(|vlan| !taken.contains(vlan));
    for network in wanted {
        if !result.vlans.contains_key(network) {
            match free.next() {
                Some(vlan) => {
                    result.vlans.insert(*network, vlan);
                }
                None => {
                    result.refused.insert(*network);
                }
            }
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn network(number: u16) -> NetworkId {
        format!("00000000-0000-4000-8000-{number:012x}").parse().unwrap()
    }

    fn networks(numbers: &BTreeSet<u16>) -> BTreeSet<NetworkId> {
        numbers.iter().map(|number| network(*number)).collect()
    }

    proptest! {
        /// Never two networks with one number; nobody refused while numbers are left; a second allocation changes nothing;
        /// who stays keeps its number whoever comes and goes.
        #[test]
        fn laws(
            first in proptest::collection::btree_set(0u16..60, 0..40),
            second in proptest::collection::btree_set(0u16..60, 0..40),
            claimed in proptest::collection::btree_map(0u16..60, 1u16..30, 0..10),
        ) {
            let claimed = claimed.into_iter().map(|(n, vlan)| (network(n), VlanId::new(vlan).unwrap())).collect();
            let before = allocate(&networks(&first), &claimed);
            let after = allocate(&networks(&second), &before.vlans);
            for allocation in [&before, &after] {
                let distinct: BTreeSet<_> = allocation.vlans.values().collect();
                prop_assert_eq!(distinct.len(), allocation.vlans.len());
                prop_assert!(allocation.refused.is_empty());
            }
            prop_assert!(after.vlans.keys().eq(networks(&second).iter()));
            prop_assert_eq!(allocate(&networks(&second), &after.vlans), after.clone());
            for kept in first.intersection(&second).map(|n| network(*n)) {
                prop_assert_eq!(before.vlans[&kept], after.vlans[&kept]);
            }
        }
    }

    #[test]
    fn the_last_number_is_given_and_then_refused() {
        let wanted: BTreeSet<_> = (0..4095).map(network).collect();
        let allocation = allocate(&wanted, &BTreeMap::new());
        assert_eq!((allocation.vlans.len(), allocation.refused.len()), (4094, 1));
    }
}
