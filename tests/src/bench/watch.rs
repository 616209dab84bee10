//! When a flow is there: asked of the switch again and again by a match that names it, over one connection that stays open, so
//! that the asking costs the switch as little as it can. (A flow monitor would tell by itself, but has the switch tell of every flow.)

use super::hosts::{Bench, HERE, processes};
use super::{cannot, unexpected};
use crate::Failure;
use openflow::Match;
use openflow::wire::{Body, FlowStatsRequest, Framer, Hello, Message};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// How long a change may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between an answer and the next question.
const PAUSE: Duration = Duration::from_millis(2);

/// A connection to br-int of the host that ports are plugged into.
pub struct Watch {
    stream: UnixStream,
    framer: Framer,
    last_xid: u32,
}

impl Watch {
    /// Opens it.
    pub fn open(bench: &Bench<'_>) -> Result<Self, Failure> {
        let switch = processes(bench.lab)?.into_iter().find(|(node, name, _)| node == HERE && name == "ovs-vswitchd");
        let (.., pid) = switch.ok_or_else(|| unexpected("lab status", format!("no switch runs on {HERE}")))?;
        // Its files are in a mount namespace of its own.
        let socket = format!("/proc/{pid}/root/run/openvswitch/br-int.mgmt");
        let stream = UnixStream::connect(&socket).map_err(cannot(&socket))?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(cannot(&socket))?;
        let mut watch = Self { stream, framer: Framer::default(), last_xid: 0 };
        watch.send(Body::Hello(Hello::openflow14()))?;
        match watch.receive()?.body {
            Body::Hello(hello) if hello.speaks_openflow14() => Ok(watch),
            other => Err(unexpected("br-int", format!("OpenFlow 1.4 is not spoken: {other:?}"))),
        }
    }

    /// Seconds from `start` until there is a flow of this table and match (as `ovs-ofctl` writes them: `table=73,dl_dst=...`), or
    /// none any more.
    pub fn until(&mut self, start: Instant, flow: &str, there: bool) -> Result<f64, Failure> {
        let request = request(flow).ok_or_else(|| unexpected("a flow's match", flow))?;
        while self.has(&request)? != there {
            if start.elapsed() > PATIENCE {
                return Err(unexpected(flow, "does not come, or does not go"));
            }
            std::thread::sleep(PAUSE);
        }
        Ok(start.elapsed().as_secs_f64())
    }

    fn has(&mut self, request: &FlowStatsRequest) -> Result<bool, Failure> {
        self.send(Body::FlowStatsRequest(request.clone()))?;
        let mut found = false;
        loop {
            let message = self.receive()?;
            match message.body {
                Body::FlowStatsReply(part) if message.xid == self.last_xid => {
                    found |= !part.flows.is_empty() || !part.unreadable.is_empty();
                    if !part.more {
                        return Ok(found);
                    }
                }
                Body::EchoRequest(data) => self.answer(message.xid, Body::EchoReply(data))?,
                Body::Error(error) => return Err(unexpected("br-int", error)),
                _ => {}
            }
        }
    }

    fn send(&mut self, body: Body) -> Result<(), Failure> {
        self.last_xid += 1;
        self.answer(self.last_xid, body)
    }

    fn answer(&mut self, xid: u32, body: Body) -> Result<(), Failure> {
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

fn request(flow: &str) -> Option<FlowStatsRequest> {
    let (table, matches) = flow.strip_prefix("table=")?.split_once(',')?;
    let (table, matches) = (table.parse().ok()?, matches.parse::<Match>().ok()?);
    Some(FlowStatsRequest { matches, ..FlowStatsRequest::of_table(table) })
}

/// How many flows br-int has there.
pub fn flows(bench: &mut Bench<'_>) -> Result<usize, Failure> {
    let said = bench.here.run("ovs-ofctl dump-flows br-int | grep -c cookie=")?;
    said.trim().parse().map_err(|_| unexpected("ovs-ofctl dump-flows br-int", said))
}
