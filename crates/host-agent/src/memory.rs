//! How much of the host's memory the agent holds on to: a host may serve thousands of networks, and each is made in a burst
//! of work that leaves little behind.
//!
//! GNU's C library gives every thread a heap of its own, up to eight for each processor, and keeps what is freed between
//! things that live on. [`few_heaps`] bounds the number; [`run`] gives back what is free when namespaces have been made or
//! removed and the host has come to rest. With another C library nothing is done.

use crate::board::Board;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// As many as there are threads that are busy at the same time, mostly: the switch's and one that works in a namespace.
#[cfg(target_env = "gnu")]
const HEAPS: nix::libc::c_int = 2;
/// Nothing was made or removed for so long.
const REST: Duration = Duration::from_secs(2);

/// From now on no further heap is made for a thread; best called before there are many threads.
#[allow(unsafe_code)]
pub(crate) fn few_heaps() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the function takes two numbers, may be called at any time from any thread, and answers whether it knew them.
    if unsafe { nix::libc::mallopt(nix::libc::M_ARENA_MAX, HEAPS) } == 0 {
        tracing::debug!("the number of heaps is not bounded");
    }
}

/// What is free goes back to the kernel, wherever in the heaps it lies.
#[allow(unsafe_code)]
fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it touches nothing that is allocated, and takes the heaps' own locks.
    unsafe {
        nix::libc::malloc_trim(0);
    }
}

/// Works for as long as it is polled.
pub(crate) async fn run(board: Arc<Board>) {
    let mut rooms = board.rooms.subscribe();
    let mut devices = BTreeSet::new();
    loop {
        match rooms.wait_for(|part| part.devices != devices).await {
            Ok(part) => devices.clone_from(&part.devices),
            Err(_) => return,
        }
        loop {
            match timeout(REST, rooms.wait_for(|part| part.devices != devices)).await {
                Ok(Ok(part)) => devices.clone_from(&part.devices),
                Ok(Err(_)) => return,
                Err(_) => break,
            }
        }
        // An error means that the runtime is ending.
        let _ = tokio::task::spawn_blocking(give_back).await;
    }
}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_free_between_things_that_live_is_given_back() {
        let resident_pages = || -> u64 {
            let all = std::fs::read_to_string("/proc/self/statm").unwrap();
            all.split(' ').nth(1).unwrap().parse().unwrap()
        };
        few_heaps();
        let mut many: Vec<Option<Box<[u8; 1000]>>> = (0..64_000).map(|n| Some(Box::new([n as u8; 1000]))).collect();
        // The last one keeps the heap from shrinking by itself, one in a hundred what is below it.
        for (n, one) in many.iter_mut().enumerate() {
            one.take_if(|_| n % 100 != 99);
        }
        let before = resident_pages();
        give_back();
        let after = resident_pages();
        assert!(after + 5000 < before, "{before} pages, then {after}");
        assert_eq!(many.iter().flatten().count(), 640);
    }
}
