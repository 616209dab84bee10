//! The task around the decision: receives, asks, sends, counts, and says what an operator should know.

use super::Leases;
use super::datagram::{SERVER_PORT, to_client};
use super::reply::{Destination, Reply, Silence, dhcp_reply};
use super::socket::DhcpSockets;
use crate::ServiceError;
use crate::limit::LogLimit;
use crate::packet::{IPV4, receive, send_frame};
use socket2::Socket;
use std::io;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A socket that keeps failing (its device is gone) is not asked in a tight loop; the agent replaces the server.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(500);

/// What a server has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DhcpCounters {
    /// Datagrams heard.
    pub received: u64,
    /// Replies sent.
    pub answered: u64,
    /// Requests that nobody is to be answered for, or that were malformed.
    pub ignored: u64,
    /// Replies that could not be sent.
    pub failed: u64,
}

#[derive(Debug, Default)]
struct Counters {
    received: AtomicU64,
    answered: AtomicU64,
    ignored: AtomicU64,
    failed: AtomicU64,
}

/// A running server; dropping it closes its sockets.
#[derive(Debug)]
pub struct DhcpServer {
    leases: watch::Sender<Arc<Leases>>,
    counters: Arc<Counters>,
    ifindex: u32,
    task: JoinHandle<()>,
}

impl DhcpServer {
    /// Starts to answer on `sockets`; `name` (the network's id) stands in the log. Needs a tokio runtime.
    pub fn start(name: &str, sockets: DhcpSockets, leases: Leases) -> Result<Self, ServiceError> {
        let ifindex = sockets.ifindex();
        let udp = UdpSocket::from_std(sockets.udp).map_err(|source| ServiceError::Register { source })?;
        let (sender, receiver) = watch::channel(Arc::new(leases));
        let counters = Arc::new(Counters::default());
        let service = Service {
            name: name.to_owned(),
            udp,
            link: sockets.link,
            ifindex,
            leases: receiver,
            counters: counters.clone(),
            limit: LogLimit::new(Instant::now()),
        };
        Ok(Self { leases: sender, counters, ifindex, task: tokio::spawn(service.run()) })
    }

    /// Answers by this table from the next request on.
    pub fn set_leases(&self, leases: Leases) {
        self.leases.send_replace(Arc::new(leases));
    }

    /// The table that is answered by.
    pub fn leases(&self) -> Arc<Leases> {
        self.leases.borrow().clone()
    }

    /// Number of the device that the server listens on: when the device has another number now, start a new server.
    pub fn ifindex(&self) -> u32 {
        self.ifindex
    }

    /// What has been done so far.
    pub fn counters(&self) -> DhcpCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { received, answered, ignored, failed } = &*self.counters;
        DhcpCounters {
            received: read(received),
            answered: read(answered),
            ignored: read(ignored),
            failed: read(failed),
        }
    }

    /// Stops and waits until the port is free again.
    pub async fn stop(mut self) {
        self.task.abort();
        // Cancelled is what was asked for; there is nothing else that it could say.
        let _ = (&mut self.task).await;
    }
}

impl Drop for DhcpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Service {
    name: String,
    udp: UdpSocket,
    link: Socket,
    ifindex: u32,
    leases: watch::Receiver<Arc<Leases>>,
    counters: Arc<Counters>,
    limit: LogLimit,
}

impl Service {
    async fn run(mut self) {
        loop {
            match receive(&self.udp).await {
                Ok((packet, _)) => {
                    self.counters.received.fetch_add(1, Ordering::Relaxed);
                    let leases = self.leases.borrow().clone();
                    match dhcp_reply(&packet, &leases) {
                        Ok(reply) => self.send(reply).await,
                        Err(silence) => self.stay_silent(silence),
                    }
                }
                Err(error) => {
                    self.say(
                        |name, more| tracing::warn!(network = name, suppressed = more, %error, "DHCP cannot receive"),
                    );
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                }
            }
        }
    }

    async fn send(&mut self, reply: Reply) {
        match self.transmit(&reply).await {
            Ok(()) => {
                self.counters.answered.fetch_add(1, Ordering::Relaxed);
                let Reply { kind, client, address, .. } = reply;
                self.say(|name, more| {
                    tracing::info!(network = name, suppressed = more, %client, %address, ?kind, "DHCP reply");
                });
            }
            Err(error) => {
                self.counters.failed.fetch_add(1, Ordering::Relaxed);
                let client = reply.client;
                self.say(|name, more| {
                    tracing::warn!(network = name, suppressed = more, %client, %error, "DHCP reply not sent");
                });
            }
        }
    }

    async fn transmit(&self, reply: &Reply) -> io::Result<()> {
        match reply.to {
            Destination::Link { mac, address } => {
                let datagram = to_client(reply.source, address, &reply.message)
                    .ok_or_else(|| io::Error::other("the reply is too long for a datagram"))?;
                // Never blocks: when the device's queue is full the client asks again.
                send_frame(&self.link, self.ifindex, IPV4, mac, &datagram)
            }
            Destination::Relay(address) => {
                self.udp.send_to(&reply.message, SocketAddrV4::new(address, SERVER_PORT)).await.map(|_| ())
            }
        }
    }

    fn stay_silent(&mut self, silence: Silence) {
        self.counters.ignored.fetch_add(1, Ordering::Relaxed);
        match silence {
            Silence::Declined(client, address) => self.say(|name, more| {
                tracing::warn!(network = name, suppressed = more, %client, %address, "DHCP client says its address is in use");
            }),
            other => self.say(|name, more| {
                tracing::debug!(network = name, suppressed = more, reason = ?other, "DHCP request not answered");
            }),
        }
    }

    fn say(&mut self, line: impl FnOnce(&str, u64)) {
        if let Some(suppressed) = self.limit.pass(Instant::now()) {
            line(&self.name, suppressed);
        }
    }
}
