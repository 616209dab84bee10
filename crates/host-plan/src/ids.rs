//! Small numbers for large names, without memory: the same names give the same numbers after any restart, and a change
//! of one thing does not renumber the others.

use std::collections::BTreeMap;

/// FNV-1a, 32 bits.
pub fn hash(octets: &[u8]) -> u32 {
    octets.iter().fold(0x811c_9dc5, |hash, octet| (hash ^ u32::from(*octet)).wrapping_mul(0x0100_0193))
}

/// Gives each key the number that it prefers, or the next free one when a key before it (in their order) has that
/// already. Zero is never given: in a register it means "nothing".
pub fn assign<K: Ord>(wishes: impl IntoIterator<Item = (K, u32)>) -> BTreeMap<K, u32> {
    let wishes: BTreeMap<K, u32> = wishes.into_iter().collect();
    let mut taken = std::collections::BTreeSet::from([0]);
    wishes
        .into_iter()
        .map(|(key, wish)| {
            let mut number = wish;
            while !taken.insert(number) {
                number = number.wrapping_add(1);
            }
            (key, number)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_are_distinct_and_wishes_granted_where_possible(wishes: BTreeMap<u8, u8>) {
            let given = assign(wishes.iter().map(|(key, wish)| (*key, u32::from(*wish))));
            let distinct: std::collections::BTreeSet<_> = given.values().collect();
            prop_assert_eq!(distinct.len(), wishes.len());
            prop_assert!(!given.values().any(|number| *number == 0));
            for (key, number) in &given {
                let wish = u32::from(wishes[key]);
                let rival = wish == 0 || given.iter().any(|(other, taken)| other != key && *taken == wish);
                prop_assert!(*number == wish || rival);
            }
        }
    }
}
