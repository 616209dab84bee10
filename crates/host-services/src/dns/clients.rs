//! How much of the server one client may take: so many questions a second, and so many open at the same time.

use crate::limit::Bucket;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Questions at once, then questions a second.
const QUESTIONS: (u16, u16) = (200, 100);
/// Questions of one client that wait for resolvers, and connections that it has open.
const OPEN: usize = 32;
/// The same of all clients of a network.
const OPEN_TOGETHER: usize = 512;
/// Clients that are remembered; a network that has more asks less carefully.
const REMEMBERED: usize = 4096;

#[derive(Debug)]
struct Client {
    bucket: Bucket,
    open: Arc<Semaphore>,
}

#[derive(Debug)]
pub(super) struct Clients {
    known: HashMap<IpAddr, Client>,
    open: Arc<Semaphore>,
}

/// Given back when dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _own: OwnedSemaphorePermit,
    _shared: OwnedSemaphorePermit,
}

impl Clients {
    pub(super) fn new() -> Self {
        Self { known: HashMap::new(), open: Arc::new(Semaphore::new(OPEN_TOGETHER)) }
    }

    /// Whether a client may ask now.
    pub(super) fn may_ask(&mut self, client: IpAddr, now: Instant) -> bool {
        self.client(client, now).bucket.take(now)
    }

    /// A place among those that wait; none: it has too many, or all have.
    pub(super) fn turn(&mut self, client: IpAddr, now: Instant) -> Option<Turn> {
        let own = self.client(client, now).open.clone().try_acquire_owned().ok()?;
        let shared = self.open.clone().try_acquire_owned().ok()?;
        Some(Turn { _own: own, _shared: shared })
    }

    fn client(&mut self, address: IpAddr, now: Instant) -> &mut Client {
        if self.known.len() >= REMEMBERED && !self.known.contains_key(&address) {
            // Who has been quiet has nothing to be remembered for; if nobody was, all start anew.
            self.known.retain(|_, client| client.open.available_permits() < OPEN);
            if self.known.len() >= REMEMBERED {
                self.known.clear();
            }
        }
        let new =
            || Client { bucket: Bucket::new(QUESTIONS.0, QUESTIONS.1, now), open: Arc::new(Semaphore::new(OPEN)) };
        self.known.entry(address).or_insert_with(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_does_not_take_what_is_anothers() {
        let (mut clients, now) = (Clients::new(), Instant::now());
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        assert_eq!((0..1000).filter(|_| clients.may_ask(one, now)).count(), 200);
        assert!(clients.may_ask(other, now));
        let turns: Vec<_> = std::iter::from_fn(|| clients.turn(one, now)).collect();
        assert_eq!(turns.len(), OPEN);
        assert!(clients.turn(other, now).is_some());
        drop(turns);
        assert!(clients.turn(one, now).is_some());
    }

    #[test]
    fn no_number_of_clients_fills_the_memory() {
        let (mut clients, now) = (Clients::new(), Instant::now());
        for n in 0..20_000_u32 {
            clients.may_ask(IpAddr::from(n.to_be_bytes()), now);
        }
        assert!(clients.known.len() <= REMEMBERED);
    }
}
