//! Which addresses of a subnet are free, kept so that giving one out costs the same with no port as with 20,000.
//!
//! ```text
//! pools         |---------------------------|    |-----------|
//! allocated         x x         x                 x
//! free ranges   |-|     |-----|   |---------|    |  |--------|
//! ```
//!
//! The free addresses of a subnet are kept as the maximal runs in its pools that no port has. Taking one shortens, splits
//! or removes a single run; returning one lengthens, joins or makes a single run. Each is a handful of indexed look-ups,
//! however many addresses are used and however they are scattered. Addresses outside the pools (the gateway, or those
//! that a request names) are in no run; that no address is given twice is, for all of them, the unique key of the table of
//! allocations.
//!
//! The store keeps the runs in one table, with addresses in a form that the database sorts like numbers:
//!
//! ```sql
//! CREATE TABLE ip_free_ranges (subnet_id, first, last, PRIMARY KEY (subnet_id, last));
//! SELECT first, last FROM ip_free_ranges WHERE subnet_id = ? AND last >= ? ORDER BY last LIMIT 1;  -- at_or_after
//! ```
//!
//! Where to look first is the caller's: a hint such as "the last one given out" postpones the reuse of an address that
//! others may still have in their neighbour tables, and servers that share a database and start from different hints do
//! not queue for the same run. The hint is never needed for correctness, so it may live in memory.

use crate::ip_range::{IpRange, lowest, next, previous};
use std::net::IpAddr;

/// The free runs of one subnet, as the unit of work reads and writes them.
pub trait FreeRanges {
    /// What can go wrong below (the store's error).
    type Error;

    /// The lowest run whose last address is `addr` or above; all runs of a subnet are of its IP version.
    fn at_or_after(&mut self, addr: IpAddr) -> Result<Option<IpRange>, Self::Error>;

    /// Adds a run that touches no other.
    fn insert(&mut self, run: IpRange) -> Result<(), Self::Error>;

    /// Removes a run that `at_or_after` has shown.
    fn remove(&mut self, run: IpRange) -> Result<(), Self::Error>;
}

/// Takes a free address: the first one after `hint`, else the lowest of all; nothing when every pool is used up.
///
/// `hint` is any address of the subnet's IP version.
pub fn take_any<R: FreeRanges>(free: &mut R, hint: IpAddr) -> Result<Option<IpAddr>, R::Error> {
    let start = next(hint).unwrap_or(lowest(hint));
    let run = match free.at_or_after(start)? {
        Some(run) => run,
        None => match free.at_or_after(lowest(hint))? {
            Some(run) => run,
            None => return Ok(None),
        },
    };
    let addr = if run.contains(start) { start } else { run.first() };
    split(free, run, addr)?;
    Ok(Some(addr))
}

/// Takes exactly `addr`; false when it was not free here, because it is taken or outside the pools.
pub fn take<R: FreeRanges>(free: &mut R, addr: IpAddr) -> Result<bool, R::Error> {
    match free.at_or_after(addr)? {
        Some(run) if run.contains(addr) => split(free, run, addr).map(|()| true),
        _ => Ok(false),
    }
}

/// Gives `addr` back, if one of the pools has it. Giving back what is free changes nothing.
pub fn give_back<R: FreeRanges>(free: &mut R, pools: &[IpRange], addr: IpAddr) -> Result<(), R::Error> {
    if !pools.iter().any(|pool| pool.contains(addr)) {
        return Ok(());
    }
    let (mut first, mut last) = (addr, addr);
    if let Some(above) = free.at_or_after(addr)? {
        if above.contains(addr) {
            return Ok(());
        }
        if next(addr) == Some(above.first()) {
            free.remove(above)?;
            last = above.last();
        }
    }
    if let Some(neighbour) = previous(addr)
        && let Some(below) = free.at_or_after(neighbour)?
        && below.last() == neighbour
    {
        free.remove(below)?;
        first = below.first();
    }
    match IpRange::new(first, last) {
        Some(run) => free.insert(run),
        None => Ok(()),
    }
}

/// The free runs of `pools` when `taken`, in rising order, is allocated: for a new subnet, and when its pools change.
///
/// Pools that touch each other become one run.
pub fn free_runs(pools: &[IpRange], taken: impl IntoIterator<Item = IpAddr>) -> Vec<IpRange> {
    let mut pools = pools.to_vec();
    pools.sort();
    let mut joined: Vec<IpRange> = Vec::with_capacity(pools.len());
    for pool in pools {
        match joined.pop() {
            Some(before) if next(before.last()) == Some(pool.first()) => {
                joined.extend(IpRange::new(before.first(), pool.last()));
            }
            Some(before) => joined.extend([before, pool]),
            None => joined.push(pool),
        }
    }
    let mut runs = Vec::with_capacity(joined.len());
    let mut taken = taken.into_iter().peekable();
    for pool in joined {
        let mut rest = Some(pool);
        while let (Some(left), Some(&addr)) = (rest, taken.peek()) {
            if addr > left.last() {
                break;
            }
            taken.next();
            if addr < left.first() {
                continue;
            }
            runs.extend(previous(addr).and_then(|end| IpRange::new(left.first(), end)));
            rest = next(addr).and_then(|start| IpRange::new(start, left.last()));
        }
        runs.extend(rest);
    }
    runs
}

fn split<R: FreeRanges>(free: &mut R, run: IpRange, addr: IpAddr) -> Result<(), R::Error> {
    free.remove(run)?;
    run.without(addr).try_for_each(|left| free.insert(left))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{
        collections::{BTreeMap, BTreeSet},
        convert::Infallible,
        net::Ipv4Addr,
    };

    /// The table, keyed as the store keys it; refuses what a table would refuse.
    #[derive(Default, Clone, Debug, PartialEq)]
    struct Table(BTreeMap<IpAddr, IpAddr>);

    impl FreeRanges for Table {
        type Error = Infallible;
        fn at_or_after(&mut self, addr: IpAddr) -> Result<Option<IpRange>, Infallible> {
            Ok(self.0.range(addr..).next().and_then(|(last, first)| IpRange::new(*first, *last)))
        }
        fn insert(&mut self, run: IpRange) -> Result<(), Infallible> {
            assert_eq!(self.0.insert(run.last(), run.first()), None, "two runs with one end");
            Ok(())
        }
        fn remove(&mut self, run: IpRange) -> Result<(), Infallible> {
            assert_eq!(self.0.remove(&run.last()), Some(run.first()), "no such run");
            Ok(())
        }
    }

    impl Table {
        fn new(runs: Vec<IpRange>) -> Self {
            Self(runs.iter().map(|run| (run.last(), run.first())).collect())
        }
    }

    fn v4(last: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, last).into()
    }

    fn run(first: u8, last: u8) -> IpRange {
        IpRange::new(v4(first), v4(last)).unwrap()
    }

    #[test]
    fn the_hint_postpones_reuse_and_wraps_around() {
        let pools = [run(2, 4)];
        let mut free = Table::new(free_runs(&pools, []));
        assert_eq!(take_any(&mut free, v4(0)), Ok(Some(v4(2))));
        assert_eq!(take_any(&mut free, v4(2)), Ok(Some(v4(3))));
        give_back(&mut free, &pools, v4(2)).unwrap();
        assert_eq!(take_any(&mut free, v4(3)), Ok(Some(v4(4))));
        assert_eq!(take_any(&mut free, v4(4)), Ok(Some(v4(2))));
        assert_eq!(take_any(&mut free, v4(2)), Ok(None));
    }

    #[test]
    fn the_end_of_the_address_space_is_no_edge_case() {
        let last: IpAddr = "255.255.255.255".parse().unwrap();
        let pools = [IpRange::single(last)];
        let mut free = Table::new(free_runs(&pools, []));
        assert_eq!(take_any(&mut free, last), Ok(Some(last)));
        give_back(&mut free, &pools, last).unwrap();
        assert_eq!(take(&mut free, last), Ok(true));
        assert_eq!(take(&mut free, last), Ok(false));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Any(u8),
        Exactly(u8),
        GiveBack(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => any::<u8>().prop_map(Step::Any),
            1 => any::<u8>().prop_map(Step::Exactly),
            2 => any::<u8>().prop_map(Step::GiveBack),
        ]
    }

    /// Disjoint pools, some of them touching: cut at random places, keep every piece but some.
    fn pools() -> impl Strategy<Value = Vec<IpRange>> {
        (proptest::collection::btree_set(1u8..=254, 2..8), any::<u8>()).prop_map(|(cuts, kept)| {
            let cuts: Vec<u8> = cuts.into_iter().collect();
            let piece = |(index, pair): (usize, &[u8])| (kept >> index & 1 == 1).then(|| run(pair[0], pair[1] - 1));
            cuts.windows(2).enumerate().filter_map(piece).collect()
        })
    }

    proptest! {
        #[test]
        fn never_twice_always_in_a_pool_and_down_to_the_last_one(
            pools in pools(),
            steps in proptest::collection::vec(step(), 0..200),
        ) {
            let mut free = Table::new(free_runs(&pools, []));
            let mut taken = BTreeSet::new();
            let inside = |addr| pools.iter().any(|pool| pool.contains(addr));
            let size: u128 = pools.iter().map(IpRange::size).sum();
            for step in steps {
                match step {
                    Step::Any(hint) => match take_any(&mut free, v4(hint)).unwrap() {
                        Some(addr) => {
                            prop_assert!(inside(addr));
                            prop_assert!(taken.insert(addr), "{} given twice", addr);
                        }
                        None => prop_assert_eq!(taken.len() as u128, size),
                    },
                    Step::Exactly(addr) => {
                        let expected = inside(v4(addr)) && !taken.contains(&v4(addr));
                        prop_assert_eq!(take(&mut free, v4(addr)).unwrap(), expected);
                        if expected {
                            taken.insert(v4(addr));
                        }
                    }
                    Step::GiveBack(addr) => {
                        give_back(&mut free, &pools, v4(addr)).unwrap();
                        taken.remove(&v4(addr));
                    }
                }
                // What is kept step by step is what would be worked out afresh.
                prop_assert_eq!(&free, &Table::new(free_runs(&pools, taken.iter().copied())));
            }
            while take_any(&mut free, v4(0)).unwrap().is_some_and(|addr| taken.insert(addr)) {}
            prop_assert_eq!(taken.len() as u128, size);
        }
    }
}
