//! One small process per node: it makes the node's namespaces, lives in them (so they stand as long as it does), sets the
//! node up when the cables are plugged, and starts its processes again when they die, as an init system would.
//!
//! ```text
//! events:  Order (control socket) | Exited (a process ended) | Due (its pause is over) | SIGTERM
//!            Go                       restart after a pause    start                      end all, leave
//!            Restart, Stop, Start
//! ```
//! One thread runs the loop; what waits for Open vSwitch runs beside it, so that orders are heard meanwhile.

mod children;
mod setup;

use std::net::TcpListener;
use std::path::Path;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use error_text::sentence;

use crate::control::{Answer, Order};
use crate::error::Intent;
use crate::paths::RECORD_INSIDE;
use crate::process::ProcessId;
use crate::record::{self, Node, Stage};
use crate::{Credentials, Error, Lab, Paths, Result, namespace};
use children::Children;

/// What wakes the loop.
pub(crate) enum Event {
    /// Someone gave an order and waits for the answer.
    Order(Order, UnixStream),
    /// A process ended.
    Exited { name: &'static str, id: ProcessId, how: String },
    /// A process that died may be started again.
    Due(&'static str),
    /// The new incarnation of a process that someone asked to restart is up, or will not be.
    SwitchBack(Result<()>),
}

/// What a supervisor knows.
struct Supervisor {
    lab: Lab,
    node: String,
    record: Node,
    credentials: Credentials,
    children: Children,
    /// Where the server is reached from the machine; bound before the machine's network was left.
    listener: Option<TcpListener>,
    /// Those who asked for a restart and wait for the process to be back.
    waiting: Vec<(&'static str, UnixStream)>,
    /// Those who asked for a process to be stopped and wait for its end.
    stopping: Vec<(&'static str, UnixStream)>,
}

/// Supervises `node` until SIGTERM. The calling process must have one thread only.
pub fn run(paths: &Paths, node: &str) -> Result<()> {
    leave_the_caller();
    let lab = Lab::read(paths)?;
    let credentials = Credentials::read(paths)?;
    let is_server = lab.topology.host(node).is_some_and(|host| host.has(crate::Role::Server));
    let listener = if is_server && !lab.bare { Some(listen(lab.topology.server_port)?) } else { None };

    namespace::make(paths, node, &lab.topology)?;
    setup::first(&lab.topology, node)?;

    let record = Node {
        supervisor: ProcessId::own().ok_or_else(|| lost("find itself in /proc"))?,
        stage: Stage::Ready,
        server_port: listener.as_ref().and_then(|l| l.local_addr().ok()).map(|address| address.port()),
        processes: std::collections::BTreeMap::new(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .intent(|| "start the supervisor's event loop".to_owned())?;
    runtime.block_on(async move {
        let (events, inbox) = mpsc::unbounded_channel();
        let children = Children::new(events.clone());
        let supervisor = Supervisor {
            lab,
            node: node.to_owned(),
            record,
            credentials,
            children,
            listener,
            waiting: Vec::new(),
            stopping: Vec::new(),
        };
        supervisor.live(events, inbox).await
    })
}

/// Lets go of the caller's terminal and of whatever it left open: a pipe held here would keep its reader waiting as long as
/// the lab is up, and numbers below ten are wanted for the server's socket.
fn leave_the_caller() {
    // Fails only for the leader of a group, which then has no terminal to lose by us.
    let _ = nix::unistd::setsid();
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<i32> = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    for number in open.into_iter().filter(|number| *number > 2) {
        // The folder's own number is among them and closed already.
        let _ = nix::unistd::close(number);
    }
}

fn lost(what: &str) -> Error {
    Error::System { what: what.to_owned(), source: std::io::Error::from(std::io::ErrorKind::NotFound) }
}

/// The wished port on 127.0.0.1, or any free one.
fn listen(wished: u16) -> Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", wished))
        .or_else(|_| TcpListener::bind(("127.0.0.1", 0)))
        .intent(|| "listen on 127.0.0.1".to_owned())
}

impl Supervisor {
    async fn live(
        mut self,
        events: mpsc::UnboundedSender<Event>,
        mut inbox: mpsc::UnboundedReceiver<Event>,
    ) -> Result<()> {
        let control = UnixListener::bind("/run/lab/control").intent(|| "take orders at /run/lab/control".to_owned())?;
        let mut end = signal(SignalKind::terminate()).intent(|| "hear SIGTERM".to_owned())?;
        self.write()?;
        loop {
            tokio::select! {
                Ok((stream, _)) = control.accept() => {
                    tokio::spawn(hear(stream, events.clone()));
                }
                Some(event) = inbox.recv() => self.handle(event, &events).await,
                _ = end.recv() => break,
            }
            self.save();
        }
        self.children.end_all().await;
        Ok(())
    }

    async fn handle(&mut self, event: Event, events: &mpsc::UnboundedSender<Event>) {
        match event {
            Event::Order(Order::Go, stream) => {
                let outcome = if self.record.stage == Stage::Up { Ok(()) } else { self.set_up().await };
                self.record.stage = match &outcome {
                    Ok(()) => Stage::Up,
                    Err(error) => Stage::Failed(sentence(error)),
                };
                // Who is answered may look at once.
                self.save();
                answer(stream, outcome).await;
            }
            Event::Order(Order::Restart { process, kill }, stream) => match self.children.end(&process, kill) {
                Some(name) => self.waiting.push((name, stream)),
                None => self.strange(&process, stream).await,
            },
            Event::Order(Order::Stop { process }, stream) => match self.children.stop(&process) {
                Some((name, true)) => self.stopping.push((name, stream)),
                Some((_, false)) => respond(stream, Answer::Done).await,
                None => self.strange(&process, stream).await,
            },
            Event::Order(Order::Start { process }, stream) => match self.children.is_down(&process) {
                Some((_, false)) => respond(stream, Answer::Done).await,
                Some((name, true)) => {
                    self.waiting.push((name, stream));
                    self.start_again(name, events).await;
                }
                None => self.strange(&process, stream).await,
            },
            Event::Exited { name, id, how } => {
                tracing::warn!(process = name, pid = id.pid, how, "ended");
                self.children.ended(name, id, how);
                // Who is answered may look at once.
                self.save();
                let (told, rest) =
                    std::mem::take(&mut self.stopping).into_iter().partition(|(waits, _)| *waits == name);
                self.stopping = rest;
                for (_, stream) in told {
                    respond(stream, Answer::Done).await;
                }
            }
            Event::Due(name) if self.children.is_held(name) => {}
            Event::Due(name) => self.start_again(name, events).await,
            Event::SwitchBack(outcome) => {
                if let Err(error) = &outcome {
                    tracing::error!(error = sentence(error), "the host's bridges are not set up again");
                }
                self.tell("ovs-vswitchd", &outcome).await;
            }
        }
    }

    /// Somebody wants something of a process that is not there.
    async fn strange(&self, process: &str, stream: UnixStream) {
        let known: Vec<&str> = self.children.names().collect();
        let reason = format!("no process \"{process}\" runs here (there are: {})", known.join(", "));
        respond(stream, Answer::Failed(reason)).await;
    }

    /// A new incarnation of a process that has ended.
    async fn start_again(&mut self, name: &'static str, events: &mpsc::UnboundedSender<Event>) {
        let outcome = self.start(name);
        if let Err(error) = &outcome {
            tracing::error!(process = name, error = sentence(error), "cannot start");
        }
        if name == "ovs-vswitchd" && outcome.is_ok() {
            let (topology, node, events) = (self.lab.topology.clone(), self.node.clone(), events.clone());
            tokio::task::spawn_blocking(move || {
                let _ = events.send(Event::SwitchBack(setup::after_switch_start(&topology, &node)));
            });
        } else {
            self.tell(name, &outcome).await;
        }
    }

    /// Answers those who wait for that process.
    async fn tell(&mut self, name: &str, outcome: &Result<()>) {
        let (told, rest) = std::mem::take(&mut self.waiting).into_iter().partition(|(waits_for, _)| *waits_for == name);
        self.waiting = rest;
        // Who is answered may look at once.
        self.save();
        for (_, stream) in told {
            let answer = match outcome {
                Ok(()) => Answer::Done,
                Err(error) => Answer::Failed(sentence(error)),
            };
            respond(stream, answer).await;
        }
    }

    fn save(&mut self) {
        if let Err(error) = self.write() {
            tracing::warn!(%error, "cannot write down the state");
        }
    }

    fn write(&mut self) -> Result<()> {
        self.record.processes = self.children.report();
        record::write_json(Path::new(RECORD_INSIDE), &self.record, 0o644)
    }
}

/// Reads one order; a caller that says nothing understandable is left.
async fn hear(mut stream: UnixStream, events: mpsc::UnboundedSender<Event>) {
    let mut line = String::new();
    if BufReader::new(&mut stream).read_line(&mut line).await.is_err() {
        return;
    }
    if let Ok(order) = serde_json::from_str(&line) {
        let _ = events.send(Event::Order(order, stream));
    }
}

async fn answer(stream: UnixStream, outcome: Result<()>) {
    let answer = match outcome {
        Ok(()) => Answer::Done,
        Err(error) => Answer::Failed(sentence(&error)),
    };
    respond(stream, answer).await;
}

async fn respond(mut stream: UnixStream, answer: Answer) {
    if let Ok(mut line) = serde_json::to_string(&answer) {
        line.push('\n');
        // Who asked may have left.
        let _ = stream.write_all(line.as_bytes()).await;
    }
}
