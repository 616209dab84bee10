//! The task around the messages: says them when they are due, and to who asks.

use super::message::{encode_advertisement, is_solicitation};
use super::schedule::Schedule;
use super::socket::{RaSocket, receive, send};
use crate::ServiceError;
use crate::limit::{Bucket, LogLimit};
use crate::packet::Registered;
use host_plan::RouterAdvertisement;
use std::io;
use std::net::Ipv6Addr;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Longer than any solicitation with the options that there are.
const RECEIVE_BUFFER: usize = 1500;
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(500);
/// Answers to single stations: so many at once, then so many a second; beyond that, one to all answers them.
const ANSWERS: (u16, u16) = (50, 10);

/// A running service; dropping it closes its socket.
#[derive(Debug)]
pub struct RaServer {
    content: watch::Sender<RouterAdvertisement>,
    task: JoinHandle<()>,
}

impl RaServer {
    /// Starts to advertise; `name` (the device) stands in the log. Needs a tokio runtime.
    pub fn start(name: &str, socket: RaSocket, content: RouterAdvertisement) -> Result<Self, ServiceError> {
        let RaSocket { socket, ifindex } = socket;
        let socket = Registered::new(socket)?;
        let (sender, receiver) = watch::channel(content);
        let now = Instant::now();
        let service = Service {
            name: name.to_owned(),
            socket,
            ifindex,
            content: receiver,
            schedule: Schedule::new(now),
            answers: Bucket::new(ANSWERS.0, ANSWERS.1, now),
            limit: LogLimit::new(now),
        };
        Ok(Self { content: sender, task: tokio::spawn(service.run()) })
    }

    /// Says this from now on, and at once if it is another thing.
    pub fn set(&self, content: &RouterAdvertisement) {
        self.content.send_if_modified(|current| {
            let changed = current != content;
            current.clone_from(content);
            changed
        });
    }

    /// Stops and waits until the socket is closed.
    pub async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for RaServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Service {
    name: String,
    socket: Registered,
    ifindex: u32,
    content: watch::Receiver<RouterAdvertisement>,
    schedule: Schedule,
    answers: Bucket,
    limit: LogLimit,
}

enum Event {
    Due,
    Changed,
    Heard(io::Result<Option<(usize, Ipv6Addr)>>),
    End,
}

impl Service {
    async fn run(mut self) {
        let mut buffer = vec![0; RECEIVE_BUFFER];
        loop {
            let event = tokio::select! {
                changed = self.content.changed() => if changed.is_ok() { Event::Changed } else { Event::End },
                () = tokio::time::sleep_until(self.schedule.next().into()) => Event::Due,
                heard = self.socket.read(|socket| receive(socket, &mut buffer)) => Event::Heard(heard),
            };
            match event {
                Event::End => return,
                Event::Changed => self.schedule.changed(Instant::now()),
                Event::Due => self.tell_all(),
                Event::Heard(Ok(Some((length, sender)))) => {
                    if is_solicitation(buffer.get(..length).unwrap_or_default(), !sender.is_unspecified()) {
                        self.answer(sender);
                    }
                }
                Event::Heard(Ok(None)) => {}
                Event::Heard(Err(error)) => {
                    self.say(|name, more| tracing::warn!(device = name, suppressed = more, %error, "router solicitations cannot be heard"));
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                }
            }
        }
    }

    fn tell_all(&mut self) {
        let (message, interval) = {
            let content = self.content.borrow();
            (encode_advertisement(&content), (content.min_interval, content.max_interval))
        };
        let now = Instant::now();
        match send(self.socket.socket(), self.ifindex, None, &message) {
            Ok(()) => self.schedule.sent(now, interval, chance()),
            Err(error) => {
                self.schedule.failed(now);
                // Normal for a moment: the kernel is still busy with the device's own address.
                self.say(
                    |name, more| tracing::debug!(device = name, suppressed = more, %error, "router not advertised"),
                );
            }
        }
    }

    /// One station at its address, without the delay that keeps several routers of a link from speaking at once: the draw of
    /// it that RFC 4861 section 6.2.6 allows is zero.
    fn answer(&mut self, station: Ipv6Addr) {
        let now = Instant::now();
        let alone = !station.is_unspecified() && self.answers.take(now);
        let message = encode_advertisement(&self.content.borrow());
        if !alone || send(self.socket.socket(), self.ifindex, Some(station), &message).is_err() {
            self.schedule.wanted(now);
        }
    }

    fn say(&mut self, line: impl FnOnce(&str, u64)) {
        if let Some(suppressed) = self.limit.pass(Instant::now()) {
            line(&self.name, suppressed);
        }
    }
}

/// In 0..1; need not be good, only different from router to router.
fn chance() -> f64 {
    use std::hash::{BuildHasher, Hasher};
    let draw = std::hash::RandomState::new().build_hasher().finish();
    f64::from((draw >> 32) as u32) / f64::from(u32::MAX)
}
