//! The walker against a plain reading of port security and security groups, over random hosts and connections.
//!
//! `NEUTRONIUM_RULES_HOSTS` says how many hosts are drawn, `NEUTRONIUM_TRACE_SEED` where the drawing starts.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // in helpers of tests, too
#![allow(clippy::print_stdout)] // how many were compared

mod common;
#[path = "../../host-plan/tests/support/mod.rs"]
mod support;

use common::count;
use common::random::{self, Dice};
use common::reading::{Connection, expected, is_own, passes, port, stateless};
use packet_trace::{Switch, Tracker};

#[test]
fn the_plan_does_what_a_reader_of_the_rules_expects() {
    let seed = count("NEUTRONIUM_TRACE_SEED", 1) as u64;
    let (mut passed, mut refused) = (0, 0);
    for round in 0..count("NEUTRONIUM_RULES_HOSTS", 40) as u64 {
        let mut dice = Dice::new(seed + round);
        let (mut host, places) = random::host(&mut dice);
        let plan = host.settle();
        let switch = Switch::new(&plan, &host.state);
        for _ in 0..60 {
            let wish = Connection::draw(&mut dice, &places);
            let expected = expected(&host.view, &wish);
            let mut tracker = Tracker::default();
            let (arrives, trace) = passes(&switch, &wish, false, &mut tracker);
            assert_eq!(arrives, expected, "seed {} {wish:?}\n{trace}", seed + round);
            *if expected { &mut passed } else { &mut refused } += 1;
            // An answer needs no rule; but a port without connections to remember has nothing else.
            let ends = [wish.from, wish.to].map(|end| port(&host.view, end));
            let plain = ends.iter().all(|end| !stateless(&host.view, end));
            if expected && plain && is_own(ends[1], wish.target) {
                let (answered, trace) = passes(&switch, &wish, true, &mut tracker);
                assert!(answered, "seed {}: no answer to {wish:?}\n{trace}", seed + round);
            }
        }
    }
    println!("{passed} allowed, {refused} refused, all as the rules say");
    assert!(passed > 200 && refused > 200, "both must be tried: {passed}, {refused}");
}
