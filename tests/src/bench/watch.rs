//! When a flow comes or goes: the switch tells by itself (a flow monitor of that one match), so that nobody has to ask, which
//! would cost the switch more than what is measured.

use super::hosts::{Bench, HERE, processes};
use super::{cannot, unexpected};
use crate::Failure;
use openflow::Match;
use openflow::wire::{Body, FlowEvent, FlowMonitorRequest, FlowUpdate, Framer, Hello, Message};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// How long a change may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The transaction id, and number, of the one monitor of a connection.
const MONITOR: u32 = 1;
const BARRIER: u32 = 2;

/// Open ears for a flow on br-int of the host that ports are plugged into.
pub struct Watch {
    flow: String,
    stream: UnixStream,
    framer: Framer,
}

impl Watch {
    /// Listens for a flow of this table and match (as `ovs-ofctl` writes them: `table=73,dl_dst=...`) from now on.
    pub fn of(bench: &Bench<'_>, flow: &str) -> Result<Self, Failure> {
        let switch = processes(bench.lab)?.into_iter().find(|(node, name, _)| node == HERE && name == "ovs-vswitchd");
        let (.., pid) = switch.ok_or_else(|| unexpected("lab status", format!("no switch runs on {HERE}")))?;
        // Its files are in a mount namespace of its own.
        let socket = format!("/proc/{pid}/root/run/openvswitch/br-int.mgmt");
        let stream = UnixStream::connect(&socket).map_err(cannot(&socket))?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(cannot(&socket))?;
        let mut watch = Self { flow: flow.to_owned(), stream, framer: Framer::default() };
        let request = request(flow).ok_or_else(|| unexpected("a flow's match", flow))?;
        watch.send(0, Body::Hello(Hello::openflow14()))?;
        watch.send(MONITOR, Body::FlowMonitorRequest(request))?;
        watch.send(BARRIER, Body::BarrierRequest)?;
        loop {
            match watch.receive()? {
                Message { xid: BARRIER, body: Body::BarrierReply } => return Ok(watch),
                message => watch.other(message)?,
            }
        }
    }

    /// Seconds from `start` until such a flow came, or went.
    pub fn until(mut self, start: Instant, comes: bool) -> Result<f64, Failure> {
        while start.elapsed() < PATIENCE {
            let message = self.receive()?;
            let at = start.elapsed().as_secs_f64();
            let Body::FlowMonitorReply(told) = message.body else {
                self.other(message)?;
                continue;
            };
            let is_it = |update: &FlowUpdate| match update {
                FlowUpdate::Flow { event, .. } => (*event != FlowEvent::Removed) == comes,
                _ => false,
            };
            if told.updates.iter().any(is_it) {
                return Ok(at);
            }
        }
        Err(unexpected(&self.flow, "does not come, or does not go"))
    }

    fn other(&mut self, message: Message) -> Result<(), Failure> {
        match message.body {
            Body::Hello(hello) if !hello.speaks_openflow14() => {
                Err(unexpected("br-int", "does not speak OpenFlow 1.4"))
            }
            Body::Error(error) => Err(unexpected("br-int", error)),
            Body::EchoRequest(data) => self.send(message.xid, Body::EchoReply(data)),
            _ => Ok(()),
        }
    }

    fn send(&mut self, xid: u32, body: Body) -> Result<(), Failure> {
        let octets = Message::new(xid, body).encode().map_err(|error| unexpected("a question to br-int", error))?;
        self.stream.write_all(&octets).map_err(cannot("ask br-int"))
    }

    fn receive(&mut self) -> Result<Message, Failure> {
        let garbled = |error: openflow::Error| unexpected("an answer of br-int", error);
        let mut octets = [0; 4096];
        loop {
            if let Some(frame) = self.framer.next_frame().map_err(garbled)? {
                return frame.decode().map_err(garbled);
            }
            let count = self.stream.read(&mut octets).map_err(cannot("listen to br-int"))?;
            if count == 0 {
                return Err(unexpected("br-int", "closed the connection"));
            }
            self.framer.push(octets.get(..count).unwrap_or_default());
        }
    }
}

fn request(flow: &str) -> Option<FlowMonitorRequest> {
    let (table, matches) = flow.strip_prefix("table=")?.split_once(',')?;
    Some(FlowMonitorRequest { id: MONITOR, table: Some(table.parse().ok()?), matches: matches.parse::<Match>().ok()? })
}

/// How many flows br-int has there.
pub fn flows(bench: &mut Bench<'_>) -> Result<usize, Failure> {
    let said = bench.here.run("ovs-ofctl dump-flows br-int | grep -c cookie=")?;
    said.trim().parse().map_err(|_| unexpected("ovs-ofctl dump-flows br-int", said))
}
