//! A short run of chaos: everything harmed once, in an order that the seed gives. The soak is `target/release/chaos`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use system_tests::Lab;
use system_tests::chaos::{Chaos, run};

#[test]
fn nothing_that_dies_takes_a_packet_with_it() {
    let drawn = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let seed = std::env::var("CHAOS_SEED").map_or(drawn, |seed| seed.parse().expect("CHAOS_SEED is a number"));
    eprintln!("seed {seed}: CHAOS_SEED={seed} has the same order again");
    let chaos = Chaos {
        seed,
        at_least: Duration::ZERO,
        fault: Duration::from_secs(2),
        program: env!("CARGO_BIN_EXE_chaos").into(),
        postgres: None,
    };
    let lab = Lab::new(&format!("chaos-{}", std::process::id()));
    let account = run(lab, &chaos, &mut |line| eprintln!("{line}")).unwrap_or_else(|failure| panic!("{failure}"));
    eprintln!("{account}");
    assert_eq!(account.verdict(), Ok(()), "seed {seed}");
}
