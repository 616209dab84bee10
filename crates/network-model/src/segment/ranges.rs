//! Ranges of segment ids beside the configuration's: what projects take theirs from when an operator says so.

use super::{IdRange, SegmentTypes};
use net_types::NetworkType;

impl SegmentTypes {
    /// Every range that the configuration gives projects, with its physical network (`''` for tunnels).
    pub fn ranges(&self) -> Vec<(NetworkType, String, IdRange)> {
        let tunnels = [NetworkType::Vxlan, NetworkType::Gre, NetworkType::Geneve];
        let vlans = self
            .vlan
            .iter()
            .flat_map(|(name, ranges)| ranges.iter().map(move |range| (NetworkType::Vlan, name.clone(), *range)));
        let tunnels = tunnels
            .into_iter()
            .flat_map(|kind| self.tunnel_ids(kind).iter().map(move |range| (kind, String::new(), *range)));
        vlans.chain(tunnels).collect()
    }

    /// The same types with other ranges: these, without `except`.
    pub fn with_ranges(
        &self,
        ranges: &[(NetworkType, String, IdRange)],
        except: &[(NetworkType, String, IdRange)],
    ) -> Self {
        let of = |kind: NetworkType, physnet: &str| -> Vec<IdRange> {
            let pick = |list: &[(NetworkType, String, IdRange)]| -> Vec<IdRange> {
                let fits = |(k, p, _): &&(NetworkType, String, IdRange)| *k == kind && p == physnet;
                list.iter().filter(fits).map(|(_, _, range)| *range).collect()
            };
            without(pick(ranges), &pick(except))
        };
        let mut types = self.clone();
        for (_, name, _) in ranges.iter().filter(|(kind, ..)| *kind == NetworkType::Vlan) {
            if !types.vlan.iter().any(|(known, _)| known == name) {
                types.vlan.push((name.clone(), Vec::new()));
            }
        }
        for (name, ids) in &mut types.vlan {
            *ids = of(NetworkType::Vlan, name);
        }
        types.vxlan = of(NetworkType::Vxlan, "");
        types.geneve = of(NetworkType::Geneve, "");
        types.gre = of(NetworkType::Gre, "");
        types
    }
}

/// Ranges with others cut out; none overlap.
fn without(mut ranges: Vec<IdRange>, except: &[IdRange]) -> Vec<IdRange> {
    ranges.sort_by_key(|range| (range.first(), range.last()));
    let mut joined: Vec<IdRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(before) if range.first() <= before.last() => {
                *before = IdRange::new(before.first(), before.last().max(range.last())).unwrap_or(*before);
            }
            _ => joined.push(range),
        }
    }
    for cut in except {
        joined = joined
            .into_iter()
            .flat_map(|range| {
                if cut.last() < range.first() || cut.first() > range.last() {
                    return vec![range];
                }
                let below = cut.first().checked_sub(1).and_then(|last| IdRange::new(range.first(), last));
                let above = cut.last().checked_add(1).and_then(|first| IdRange::new(first, range.last()));
                below.into_iter().chain(above).collect()
            })
            .collect();
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn ranges() -> impl Strategy<Value = Vec<IdRange>> {
        let range = (1u32..60, 0u32..20).prop_map(|(first, more)| IdRange::new(first, first + more).unwrap());
        proptest::collection::vec(range, 0..5)
    }

    fn plain(ranges: &[IdRange]) -> BTreeSet<u32> {
        ranges.iter().flat_map(|range| range.first()..=range.last()).collect()
    }

    proptest! {
        #[test]
        fn cutting_is_what_plain_sets_do(of in ranges(), except in ranges()) {
            let left = without(of.clone(), &except);
            prop_assert_eq!(plain(&left), &plain(&of) - &plain(&except));
            let sizes: u32 = left.iter().map(|range| range.last() - range.first() + 1).sum();
            prop_assert_eq!(sizes as usize, plain(&left).len(), "none twice");
        }
    }
}
