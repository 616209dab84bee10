//! Indexes: sets of values by key, and tallies of who has a share in a key.

use std::collections::{BTreeMap, BTreeSet};

/// Keys to sets of values; keys without values are not kept.
#[derive(Debug)]
pub(super) struct Index<K, V>(BTreeMap<K, BTreeSet<V>>);

impl<K, V> Default for Index<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Clone, V: Ord + Clone> Index<K, V> {
    pub fn insert(&mut self, key: &K, value: &V) {
        self.0.entry(key.clone()).or_default().insert(value.clone());
    }

    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q, value: &V)
    where
        K: std::borrow::Borrow<Q>,
    {
        if let Some(values) = self.0.get_mut(key) {
            values.remove(value);
            if values.is_empty() {
                self.0.remove(key);
            }
        }
    }

    pub fn of<Q: Ord + ?Sized>(&self, key: &Q) -> impl Iterator<Item = &V> + use<'_, K, V, Q>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.0.get(key).into_iter().flatten()
    }

    /// Replaces the set of `key`; answers whether it differed.
    pub fn replace(&mut self, key: &K, values: BTreeSet<V>) -> bool {
        if self.0.get(key).map_or(values.is_empty(), |old| *old == values) {
            return false;
        }
        if values.is_empty() {
            self.0.remove(key);
        } else {
            self.0.insert(key.clone(), values);
        }
        true
    }
}

/// On how many ports each host has a share in each key, so that "which hosts" needs no look at the ports.
#[derive(Debug)]
pub(super) struct Tally<K, V = String>(BTreeMap<K, BTreeMap<V, usize>>);

impl<K, V> Default for Tally<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Clone, V: Ord> Tally<K, V> {
    pub fn add<Q: Ord + ToOwned<Owned = V> + ?Sized>(&mut self, key: &K, host: &Q) {
        *self.0.entry(key.clone()).or_default().entry(host.to_owned()).or_default() += 1;
    }

    pub fn take<Q: Ord + ?Sized>(&mut self, key: &K, host: &Q)
    where
        V: std::borrow::Borrow<Q>,
    {
        let Some(hosts) = self.0.get_mut(key) else { return };
        match hosts.get_mut(host) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(hosts.remove(host)),
        }
        if hosts.is_empty() {
            self.0.remove(key);
        }
    }

    pub fn of(&self, key: &K) -> impl Iterator<Item = &V> + use<'_, K, V> {
        self.0.get(key).into_iter().flat_map(BTreeMap::keys)
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn a_host_stays_until_its_last_port_goes() {
        let mut tally: Tally<i32> = Tally::default();
        for host in ["a", "b", "a"] {
            tally.add(&7, host);
        }
        tally.take(&7, "a");
        assert_eq!(tally.of(&7).collect::<Vec<_>>(), ["a", "b"]);
        tally.take(&7, "a");
        assert_eq!(tally.of(&7).collect::<Vec<_>>(), ["b"]);
        tally.take(&7, "b");
        assert!(tally.0.is_empty(), "keys without hosts are not kept");
    }
}
