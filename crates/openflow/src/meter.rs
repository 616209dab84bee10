//! Meters as values, and the difference between those that a bridge has and those that it should have.
//!
//! Meters carry no cookie: which are ours is said by a range of numbers. Laws, held by a property test: after the difference
//! the wanted meters are there, those of others are as they were, and a second difference is empty.

use crate::wire::{MeterBand, MeterCommand, MeterMod};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Drops what exceeds a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meter {
    /// Rates are packets a second instead of kilobits a second.
    pub packets: bool,
    /// Packets, or kilobits, a second.
    pub rate: u32,
    /// Packets, or kilobits, that may come at once; not zero.
    pub burst: u32,
}

impl Meter {
    fn change(self, command: MeterCommand, id: u32) -> MeterMod {
        let bands = vec![MeterBand { rate: self.rate, burst: self.burst }];
        MeterMod { command, id, packets: self.packets, stats: true, bands }
    }
}

/// What to send, and when.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MeterDiff {
    /// Before the flows that refer to them.
    pub set: Vec<MeterMod>,
    /// After the flows that referred to them: the switch deletes those with the meter.
    pub delete: Vec<MeterMod>,
}

/// The difference; `installed` are meters of one dropping band, others (none) are replaced when they stand where one of ours
/// must. Of those that are not wanted only the numbers of `ours` are deleted.
pub fn diff_meters(
    installed: &BTreeMap<u32, Option<Meter>>,
    wanted: &BTreeMap<u32, Meter>,
    ours: &RangeInclusive<u32>,
) -> MeterDiff {
    let set = wanted.iter().filter_map(|(id, meter)| match installed.get(id) {
        None => Some(meter.change(MeterCommand::Add, *id)),
        Some(known) => (known.as_ref() != Some(meter)).then(|| meter.change(MeterCommand::Modify, *id)),
    });
    let gone = installed.keys().filter(|id| ours.contains(id) && !wanted.contains_key(id));
    let delete =
        |id: &u32| MeterMod { command: MeterCommand::Delete, id: *id, packets: false, stats: false, bands: vec![] };
    MeterDiff { set: set.collect(), delete: gone.map(delete).collect() }
}

/// What a bridge has after changes were sent.
pub fn apply_meters<'a>(installed: &mut BTreeMap<u32, Option<Meter>>, changes: impl IntoIterator<Item = &'a MeterMod>) {
    for change in changes {
        match change.command {
            MeterCommand::Delete => drop(installed.remove(&change.id)),
            MeterCommand::Add | MeterCommand::Modify => drop(installed.insert(change.id, change.as_meter())),
        }
    }
}

impl MeterMod {
    /// As a value; none: it is more than one dropping band with a burst.
    pub fn as_meter(&self) -> Option<Meter> {
        match self.bands.as_slice() {
            [band] => Some(Meter { packets: self.packets, rate: band.rate, burst: band.burst }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn meters() -> impl Strategy<Value = BTreeMap<u32, Meter>> {
        let meter = (any::<bool>(), 1u32..3, 1u32..3).prop_map(|(packets, rate, burst)| Meter { packets, rate, burst });
        proptest::collection::btree_map(0u32..12, meter, 0..8)
    }

    proptest! {
        #[test]
        fn the_difference_leads_to_what_is_wanted(installed in meters(), odd in 0u32..12, wanted in meters()) {
            let ours = 6..=u32::MAX;
            let wanted: BTreeMap<u32, Meter> = wanted.into_iter().map(|(id, meter)| (id + 6, meter)).collect();
            let mut there: BTreeMap<u32, Option<Meter>> = installed.into_iter().map(|(id, m)| (id, Some(m))).collect();
            there.insert(odd, None);
            let before = there.clone();
            let change = diff_meters(&there, &wanted, &ours);
            apply_meters(&mut there, change.set.iter().chain(&change.delete));
            for (id, meter) in &wanted {
                prop_assert_eq!(there.get(id), Some(&Some(*meter)));
            }
            let others = |all: &BTreeMap<u32, Option<Meter>>| -> Vec<_> {
                all.iter().filter(|(id, _)| !ours.contains(id)).map(|(id, meter)| (*id, *meter)).collect()
            };
            prop_assert_eq!(others(&there), others(&before));
            prop_assert_eq!(diff_meters(&there, &wanted, &ours), MeterDiff::default());
        }
    }
}
