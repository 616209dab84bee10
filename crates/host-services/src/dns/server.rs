//! The tasks around the decision: one for each socket, and one for each question that others are asked.

use super::answer::{DnsAnswer, DnsZone, dns_answer, failure};
use super::clients::{Clients, Turn};
use super::socket::DnsSockets;
use super::upstream::{ask, host_resolvers, read_message, write_message};
use crate::ServiceError;
use crate::packet::receive;
use host_plan::{DnsServer as Plan, DnsUpstream};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(500);
/// How long a connection may be silent (RFC 7766 section 6.2.3 asks for a few seconds).
const IDLE: Duration = Duration::from_secs(10);

/// What is known, ready to be asked for.
#[derive(Debug)]
struct Content {
    plan: Plan,
    zone: DnsZone,
}

impl Content {
    fn new(plan: Plan) -> Arc<Self> {
        Arc::new(Self { zone: DnsZone::new(&plan), plan })
    }
}

/// A running server; dropping it closes its sockets.
#[derive(Debug)]
pub struct DnsServer {
    content: watch::Sender<Arc<Content>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl DnsServer {
    /// Starts to answer on `sockets`. Needs a tokio runtime, whose threads are in the host's namespace.
    pub fn start(sockets: DnsSockets, plan: Plan) -> Result<Self, ServiceError> {
        let register = |source| ServiceError::Register { source };
        let (sender, receiver) = watch::channel(Content::new(plan));
        let (stop, stopped) = watch::channel(false);
        let service = Service { content: receiver, clients: Arc::new(Mutex::new(Clients::new())), stopped };
        let udp = sockets.udp.into_iter().map(UdpSocket::from_std).collect::<Result<Vec<_>, _>>().map_err(register)?;
        let tcp =
            sockets.tcp.into_iter().map(TcpListener::from_std).collect::<Result<Vec<_>, _>>().map_err(register)?;
        Ok(Self { content: sender, stop, task: tokio::spawn(service.run(udp, tcp)) })
    }

    /// Answers by this from the next question on.
    pub fn set(&self, plan: &Plan) {
        self.content.send_if_modified(|current| {
            let changed = current.plan != *plan;
            if changed {
                *current = Content::new(plan.clone());
            }
            changed
        });
    }

    /// Stops and waits until the ports are free again.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        // A task that broke off has given back its sockets, too.
        let _ = (&mut self.task).await;
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Returns when it is time to stop; who could say so is gone only when it is.
async fn stop(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

#[derive(Clone)]
struct Service {
    content: watch::Receiver<Arc<Content>>,
    clients: Arc<Mutex<Clients>>,
    stopped: watch::Receiver<bool>,
}

impl Service {
    /// Everything that is spawned belongs to this task, and has ended when it has: whoever holds a socket is waited for.
    async fn run(self, udp: Vec<UdpSocket>, tcp: Vec<TcpListener>) {
        let mut tasks = JoinSet::new();
        for socket in udp {
            tasks.spawn(self.clone().datagrams(Arc::new(socket)));
        }
        for listener in tcp {
            tasks.spawn(self.clone().connections(listener));
        }
        while tasks.join_next().await.is_some() {}
    }

    async fn datagrams(self, socket: Arc<UdpSocket>) {
        let mut stopped = self.stopped.clone();
        let mut asked = JoinSet::new();
        loop {
            tokio::select! {
                received = receive(&socket) => match received {
                    Ok((query, client)) => {
                        if let Some((service, turn)) = self.datagram(&socket, &query, client) {
                            asked.spawn(service.ask_for(socket.clone(), query, client, turn));
                        }
                    }
                    // An ICMP error about an answer, or the device is gone: the agent replaces the server then.
                    Err(_) => tokio::time::sleep(PAUSE_AFTER_ERROR).await,
                },
                Some(_) = asked.join_next() => {}
                () = stop(&mut stopped) => return asked.shutdown().await,
            }
        }
    }

    /// Answers what can be answered at once; else who is to ask others, and the client's place among those who wait.
    fn datagram(&self, socket: &UdpSocket, query: &[u8], client: SocketAddr) -> Option<(Self, Turn)> {
        let now = Instant::now();
        if !self.clients().may_ask(client.ip(), now) {
            return None;
        }
        let content = self.content.borrow().clone();
        match dns_answer(query, &content.zone, true) {
            DnsAnswer::Say(answer) => {
                // Never blocks: when the socket's queue is full the client asks again.
                let _ = socket.try_send_to(&answer, client);
                None
            }
            DnsAnswer::Ask => Some((self.clone(), self.clients().turn(client.ip(), now)?)),
            DnsAnswer::Nothing => None,
        }
    }

    async fn ask_for(self, socket: Arc<UdpSocket>, query: Vec<u8>, client: SocketAddr, _turn: Turn) {
        if let Some(answer) = self.asked(&query, false).await {
            let _ = socket.send_to(&answer, client).await;
        }
    }

    async fn asked(&self, query: &[u8], by_tcp: bool) -> Option<Vec<u8>> {
        let content = self.content.borrow().clone();
        let resolvers = match &content.plan.upstream {
            DnsUpstream::Nobody => vec![],
            DnsUpstream::HostResolvers => host_resolvers(),
            DnsUpstream::Servers(servers) => servers.clone(),
        };
        match ask(&resolvers, query, by_tcp).await {
            Some(answer) => Some(answer),
            None => failure(query, &content.zone),
        }
    }

    async fn connections(self, listener: TcpListener) {
        let mut stopped = self.stopped.clone();
        let mut open = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, client)) => {
                        // Who has too many is hung up on.
                        let turn = self.clients().turn(client.ip(), Instant::now());
                        if let Some(turn) = turn {
                            open.spawn(self.clone().connection(stream, client.ip(), turn));
                        }
                    }
                    Err(_) => tokio::time::sleep(PAUSE_AFTER_ERROR).await,
                },
                Some(_) = open.join_next() => {}
                () = stop(&mut stopped) => return open.shutdown().await,
            }
        }
    }

    /// One question after another, until the client has no more, or too many.
    async fn connection(self, mut stream: TcpStream, client: IpAddr, _turn: Turn) {
        while let Ok(Ok(query)) = timeout(IDLE, read_message(&mut stream)).await {
            if !self.clients().may_ask(client, Instant::now()) {
                return;
            }
            let content = self.content.borrow().clone();
            let answer = match dns_answer(&query, &content.zone, false) {
                DnsAnswer::Say(answer) => Some(answer),
                DnsAnswer::Ask => self.asked(&query, true).await,
                DnsAnswer::Nothing => None,
            };
            let Some(answer) = answer else { return };
            if !matches!(timeout(IDLE, write_message(&mut stream, &answer)).await, Ok(Ok(()))) {
                return;
            }
        }
    }

    fn clients(&self) -> std::sync::MutexGuard<'_, Clients> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
