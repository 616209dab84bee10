//! The task around the decision: receives, asks, sends, and says what an operator should know.

use super::reply::{Dhcp6Reply, dhcp6_reply};
use super::socket::{CLIENT_PORT, Dhcp6Sockets, SERVER_PORT};
use crate::ServiceError;
use crate::limit::LogLimit;
use crate::packet::{IPV6, Registered, receive_frame, send_frame};
use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use host_plan::Dhcp6Server as Plan;
use net_types::MacAddr;
use socket2::Socket;
use std::io;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(500);
const HOP_LIMIT: u8 = 64;

/// A running server; dropping it closes its sockets.
#[derive(Debug)]
pub struct Dhcp6Server {
    plan: watch::Sender<Arc<Plan>>,
    task: JoinHandle<()>,
}

impl Dhcp6Server {
    /// Starts to answer on `sockets`. Needs a tokio runtime.
    pub fn start(sockets: Dhcp6Sockets, plan: Plan) -> Result<Self, ServiceError> {
        let Dhcp6Sockets { link, port, ifindex } = sockets;
        let name = plan.network.to_string();
        let (sender, receiver) = watch::channel(Arc::new(plan));
        let service = Service {
            name,
            link: Registered::new(link)?,
            _port: port,
            ifindex,
            plan: receiver,
            limit: LogLimit::new(Instant::now()),
        };
        Ok(Self { plan: sender, task: tokio::spawn(service.run()) })
    }

    /// Answers by this from the next request on.
    pub fn set(&self, plan: &Plan) {
        self.plan.send_if_modified(|current| {
            let changed = **current != *plan;
            if changed {
                *current = Arc::new(plan.clone());
            }
            changed
        });
    }

    /// Stops and waits until the port is free again.
    pub async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Dhcp6Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Service {
    name: String,
    link: Registered,
    _port: Socket,
    ifindex: u32,
    plan: watch::Receiver<Arc<Plan>>,
    limit: LogLimit,
}

impl Service {
    async fn run(mut self) {
        loop {
            match self.link.read(receive_frame).await {
                Ok((datagram, Some(sender))) => self.answer(&datagram, sender),
                Ok((_, None)) => {}
                Err(error) => {
                    self.say(|name, more| {
                        tracing::warn!(network = name, suppressed = more, %error, "DHCPv6 cannot receive");
                    });
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                }
            }
        }
    }

    fn answer(&mut self, datagram: &[u8], sender: MacAddr) {
        let Some((client, packet)) = payload(datagram) else { return };
        let plan = self.plan.borrow().clone();
        match dhcp6_reply(packet, sender, plan.mac, &plan.clients) {
            Ok(reply) => {
                let sent = to_client(plan.mac.link_local(), client, &reply.message)
                    .ok_or_else(|| io::Error::other("the reply is too long for a datagram"))
                    .and_then(|datagram| send_frame(self.link.socket(), self.ifindex, IPV6, sender, &datagram));
                self.tell(sender, &reply, sent);
            }
            Err(silence) => self.say(|name, more| {
                tracing::debug!(network = name, suppressed = more, client = %sender, reason = ?silence, "DHCPv6 request not answered");
            }),
        }
    }

    fn tell(&mut self, client: MacAddr, reply: &Dhcp6Reply, sent: io::Result<()>) {
        let addresses = &reply.addresses;
        self.say(|name, more| match sent {
            Err(error) => {
                tracing::warn!(network = name, suppressed = more, %client, %error, "DHCPv6 reply not sent");
            }
            Ok(()) if reply.declined => {
                tracing::warn!(network = name, suppressed = more, %client, "DHCPv6 client says its address is in use");
            }
            Ok(()) => tracing::info!(network = name, suppressed = more, %client, ?addresses, "DHCPv6 reply"),
        });
    }

    fn say(&mut self, line: impl FnOnce(&str, u64)) {
        if let Some(suppressed) = self.limit.pass(Instant::now()) {
            line(&self.name, suppressed);
        }
    }
}

/// The client's address and what it says. The checksum is not looked at: on a virtual wire it may not be there.
fn payload(datagram: &[u8]) -> Option<(Ipv6Addr, &[u8])> {
    let packet = SlicedPacket::from_ip(datagram).ok()?;
    let (Some(NetSlice::Ipv6(ip)), Some(TransportSlice::Udp(udp))) = (packet.net, packet.transport) else {
        return None;
    };
    let client = ip.header().source_addr();
    let is_for_us = udp.destination_port() == SERVER_PORT && !client.is_unspecified() && !client.is_multicast();
    is_for_us.then(|| (client, udp.payload()))
}

/// An IPv6 datagram, checksum included, to the port that clients listen on; none when the payload is longer than a datagram can be.
fn to_client(source: Ipv6Addr, client: Ipv6Addr, payload: &[u8]) -> Option<Vec<u8>> {
    let headers = PacketBuilder::ipv6(source.octets(), client.octets(), HOP_LIMIT).udp(SERVER_PORT, CLIENT_PORT);
    let mut datagram = Vec::with_capacity(headers.size(payload.len()));
    headers.write_to_vec(&mut datagram, payload).ok()?;
    Some(datagram)
}
