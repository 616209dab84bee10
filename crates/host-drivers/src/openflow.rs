//! A connection to one bridge's `.mgmt` socket: read its flows, change them all or not at all, hear when others change them,
//! notice when it goes.
//!
//! The protocol is the crate `openflow`'s; here are the socket and the order of things. One task reads: it answers echo
//! requests at once, notes what is told unasked, and hands everything else to whoever waits. One request is under way at a time.

use crate::DriverError;
use ::openflow::wire::{
    Body, Bundle, BundleStep, CtFlush, FlowMod, FlowMonitorRequest, FlowStatsReply, FlowStatsRequest, Framer, Hello,
    Message, MeterMod, Refusal,
};
use ::openflow::{CookieOwner, Flow, FlowDiff, Meter};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinHandle;

/// A switch that says nothing for so long, while an answer is due, is taken for dead.
const PATIENCE: Duration = Duration::from_secs(30);
/// Connections that are forgotten between two barriers.
const FLUSHES_AT_ONCE: usize = 256;

/// An open connection to a bridge.
#[derive(Debug)]
pub struct OpenFlow {
    bridge: String,
    writer: Arc<Mutex<OwnedWriteHalf>>,
    messages: mpsc::UnboundedReceiver<Message>,
    closed: watch::Receiver<bool>,
    /// Whose flows are watched.
    watched: Arc<OnceLock<CookieOwner>>,
    /// Changes by others so far.
    changes: watch::Receiver<u64>,
    reader: JoinHandle<()>,
    next_xid: u32,
    next_bundle: u32,
}

impl Drop for OpenFlow {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl OpenFlow {
    /// Connects to `RUNDIR/BRIDGE.mgmt` and agrees on OpenFlow 1.4.
    pub async fn connect(rundir: &Path, bridge: &str) -> Result<Self, DriverError> {
        let lost = |source| DriverError::OpenFlowLost { bridge: bridge.to_owned(), source };
        let stream = UnixStream::connect(rundir.join(format!("{bridge}.mgmt"))).await.map_err(lost)?;
        let (read, write) = stream.into_split();
        let writer = Arc::new(Mutex::new(write));
        let (sender, messages) = mpsc::unbounded_channel();
        let (closing, closed) = watch::channel(false);
        let watched = Arc::new(OnceLock::new());
        let (changing, changes) = watch::channel(0);
        let reading = Reading {
            bridge: bridge.to_owned(),
            writer: Arc::clone(&writer),
            messages: sender,
            closing,
            watched: Arc::clone(&watched),
            changing,
        };
        let reader = tokio::spawn(reading.run(read));
        let mut connection = Self {
            bridge: bridge.to_owned(),
            writer,
            messages,
            closed,
            watched,
            changes,
            reader,
            next_xid: 1,
            next_bundle: 1,
        };
        connection
            .send(&Message::new(0, Body::Hello(Hello::openflow14())).encode().map_err(|e| connection.garbled(e))?)
            .await?;
        match connection.receive().await?.body {
            Body::Hello(hello) if hello.speaks_openflow14() => Ok(connection),
            other => Err(connection.refused(format!("OpenFlow 1.4 is not spoken: {other:?}"))),
        }
    }

    /// The bridge.
    pub fn bridge(&self) -> &str {
        &self.bridge
    }

    /// Becomes true when the connection is gone: the switch was restarted, or the bridge removed.
    pub fn closed(&self) -> watch::Receiver<bool> {
        self.closed.clone()
    }

    /// From now on the receiver changes soon after somebody else has changed flows of this owner. A connection watches those of
    /// one owner.
    pub async fn watch_flows(&mut self, owner: CookieOwner) -> Result<watch::Receiver<u64>, DriverError> {
        if self.watched.get_or_init(|| owner) != &owner {
            return Err(self.refused("flows of somebody else are watched already".to_owned()));
        }
        const MONITOR: u32 = 1;
        self.request(Body::FlowMonitorRequest(FlowMonitorRequest::all(MONITOR)), "watch flows").await?;
        Ok(self.changes.clone())
    }

    /// Every flow of the bridge that can be read; one that cannot is somebody else's.
    pub async fn dump_flows(&mut self) -> Result<Vec<Flow>, DriverError> {
        let xid = self.take_xid(1);
        let request = Message::new(xid, Body::FlowStatsRequest(FlowStatsRequest::all()));
        self.send(&request.encode().map_err(|e| self.garbled(e))?).await?;
        let mut all = FlowStatsReply { more: true, ..FlowStatsReply::default() };
        while all.more {
            let message = self.receive().await?;
            match message.body {
                _ if message.xid != xid => {}
                Body::FlowStatsReply(part) => all.append(part),
                Body::Error(error) => return Err(self.refused(format!("cannot list flows: {error}"))),
                _ => {}
            }
        }
        for flow in &all.unreadable {
            tracing::debug!(
                bridge = self.bridge,
                table = flow.table,
                priority = flow.priority,
                "a foreign flow cannot be read"
            );
        }
        Ok(all.flows.into_iter().map(|stats| stats.flow).collect())
    }

    /// Every meter of the bridge; none: not one that is described by a [`Meter`].
    pub async fn dump_meters(&mut self) -> Result<BTreeMap<u32, Option<Meter>>, DriverError> {
        let xid = self.take_xid(1);
        self.send(&Message::new(xid, Body::MeterConfigRequest).encode().map_err(|e| self.garbled(e))?).await?;
        let mut meters = BTreeMap::new();
        loop {
            let message = self.receive().await?;
            match message.body {
                _ if message.xid != xid => {}
                Body::MeterConfigReply(part) => {
                    meters.extend(part.meters.iter().map(|meter| (meter.id, meter.as_meter())));
                    if !part.more {
                        return Ok(meters);
                    }
                }
                // A datapath without meters has none.
                Body::Error(error) => {
                    tracing::debug!(bridge = self.bridge, %error, "meters cannot be listed");
                    return Ok(meters);
                }
                _ => {}
            }
        }
    }

    /// Changes meters, one after the other; those that were refused, in words.
    pub async fn change_meters(&mut self, changes: &[MeterMod]) -> Result<BTreeMap<u32, String>, DriverError> {
        if changes.is_empty() {
            return Ok(BTreeMap::new());
        }
        let first = self.next_xid;
        let mut octets = vec![];
        for change in changes {
            let xid = self.take_xid(1);
            octets.extend(Message::new(xid, Body::MeterMod(change.clone())).encode().map_err(|e| self.garbled(e))?);
        }
        let barrier = self.take_xid(1);
        octets.extend(Message::new(barrier, Body::BarrierRequest).encode().map_err(|e| self.garbled(e))?);
        self.send(&octets).await?;
        let mut refused = BTreeMap::new();
        loop {
            let message = self.receive().await?;
            match message.body {
                Body::BarrierReply if message.xid == barrier => return Ok(refused),
                Body::Error(error) => {
                    let index = usize::try_from(message.xid.wrapping_sub(first)).unwrap_or(usize::MAX);
                    if let Some(change) = changes.get(index) {
                        refused.insert(change.id, format!("meter {}: {error}", change.id));
                    }
                }
                _ => {}
            }
        }
    }

    /// Makes the change as one bundle: all of it takes effect at once, or nothing. Deletions go first within it, so that a
    /// table that is full has room.
    pub async fn apply(&mut self, change: &FlowDiff) -> Result<(), DriverError> {
        let puts = change.add.iter().chain(&change.modify).map(|flow| FlowMod::add(flow.clone()));
        let mods: Vec<FlowMod> = change.delete.iter().map(FlowMod::delete_strict).chain(puts).collect();
        if mods.is_empty() {
            return Ok(());
        }
        let id = self.next_bundle;
        self.next_bundle = self.next_bundle.wrapping_add(1);
        let (mut bundle, octets) = Bundle::start(id, self.next_xid, &mods).map_err(|e| self.garbled(e))?;
        self.next_xid = bundle.next_xid();
        // Errors are read, by the other task, while this is written.
        self.send(&octets).await?;
        loop {
            let message = self.receive().await?;
            match bundle.receive(&message).map_err(|e| self.garbled(e))? {
                BundleStep::NotOurs | BundleStep::Wait => {}
                BundleStep::Send(octets) => self.send(&octets).await?,
                BundleStep::Committed => return Ok(()),
                BundleStep::Refused(refusals) => return Err(self.refused(words(&refusals, &mods))),
            }
        }
    }

    /// Forgets every tracked connection of a zone (Nicira `CT_FLUSH_ZONE`).
    pub async fn flush_zone(&mut self, zone: u16) -> Result<(), DriverError> {
        self.request(Body::CtFlushZone(zone), &format!("flush zone {zone}")).await
    }

    /// Sends a request that is not answered, and waits until it is done; `what` it is, for an error.
    async fn request(&mut self, body: Body, what: &str) -> Result<(), DriverError> {
        let xid = self.take_xid(2);
        let mut octets = Message::new(xid, body).encode().map_err(|e| self.garbled(e))?;
        let barrier = Message::new(xid.wrapping_add(1), Body::BarrierRequest);
        octets.extend(barrier.encode().map_err(|e| self.garbled(e))?);
        self.send(&octets).await?;
        loop {
            let message = self.receive().await?;
            match message.body {
                Body::Error(error) if message.xid == xid => {
                    return Err(self.refused(format!("cannot {what}: {error}")));
                }
                Body::BarrierReply if message.xid == xid.wrapping_add(1) => return Ok(()),
                _ => {}
            }
        }
    }

    /// Forgets tracked connections, each by what it is (Nicira `CT_FLUSH`, Open vSwitch 3.1 and later).
    pub async fn forget(&mut self, connections: &[CtFlush]) -> Result<(), DriverError> {
        for some in connections.chunks(FLUSHES_AT_ONCE) {
            let first = self.take_xid(some.len() as u32 + 1);
            let barrier = first.wrapping_add(some.len() as u32);
            let mut octets = vec![];
            for (xid, flush) in (first..).zip(some) {
                let message = Message::new(xid, Body::CtFlush(flush.clone()));
                octets.extend(message.encode().map_err(|e| self.garbled(e))?);
            }
            octets.extend(Message::new(barrier, Body::BarrierRequest).encode().map_err(|e| self.garbled(e))?);
            self.send(&octets).await?;
            let mut refused = None;
            loop {
                let message = self.receive().await?;
                match message.body {
                    Body::Error(error) if (first..barrier).contains(&message.xid) => refused = Some(error.to_string()),
                    Body::BarrierReply if message.xid == barrier => break,
                    _ => {}
                }
            }
            if let Some(error) = refused {
                return Err(self.refused(format!("cannot forget connections: {error}")));
            }
        }
        Ok(())
    }

    fn take_xid(&mut self, count: u32) -> u32 {
        let xid = self.next_xid;
        self.next_xid = self.next_xid.wrapping_add(count);
        xid
    }

    async fn send(&self, octets: &[u8]) -> Result<(), DriverError> {
        self.writer.lock().await.write_all(octets).await.map_err(|source| self.lost(source))
    }

    async fn receive(&mut self) -> Result<Message, DriverError> {
        match tokio::time::timeout(PATIENCE, self.messages.recv()).await {
            Ok(Some(message)) => Ok(message),
            Ok(None) => Err(self.lost(std::io::ErrorKind::UnexpectedEof.into())),
            Err(_) => {
                // Whatever comes later would be taken for the answer to something else.
                self.reader.abort();
                Err(self.lost(std::io::ErrorKind::TimedOut.into()))
            }
        }
    }

    fn lost(&self, source: std::io::Error) -> DriverError {
        DriverError::OpenFlowLost { bridge: self.bridge.clone(), source }
    }

    fn garbled(&self, error: ::openflow::Error) -> DriverError {
        self.refused(error.to_string())
    }

    fn refused(&self, said: String) -> DriverError {
        DriverError::OpenFlowRefused { bridge: self.bridge.clone(), said }
    }
}

/// Which flows were refused and why: the first few, and how many more.
fn words(refusals: &[Refusal], mods: &[FlowMod]) -> String {
    const SHOWN: usize = 3;
    let word = |refusal: &Refusal| match refusal.index.and_then(|index| mods.get(index)) {
        Some(refused) => format!("{}: {}", refused.flow, refusal.error),
        None => refusal.error.to_string(),
    };
    let shown: Vec<String> = refusals.iter().take(SHOWN).map(word).collect();
    let more = refusals.len().saturating_sub(SHOWN);
    if more > 0 { format!("{}; and {more} more", shown.join("; ")) } else { shown.join("; ") }
}

/// What the reading task has.
struct Reading {
    bridge: String,
    writer: Arc<Mutex<OwnedWriteHalf>>,
    messages: mpsc::UnboundedSender<Message>,
    closing: watch::Sender<bool>,
    watched: Arc<OnceLock<CookieOwner>>,
    changing: watch::Sender<u64>,
}

impl Reading {
    async fn run(self, mut read: OwnedReadHalf) {
        let mut framer = Framer::default();
        let mut chunk = vec![0; 64 * 1024];
        'connection: while let Ok(count @ 1..) = read.read(&mut chunk).await {
            framer.push(chunk.get(..count).unwrap_or_default());
            loop {
                let frame = match framer.next_frame() {
                    Ok(Some(frame)) => frame,
                    Ok(None) => break,
                    Err(error) => {
                        tracing::warn!(bridge = self.bridge, %error, "the OpenFlow connection is out of step");
                        break 'connection;
                    }
                };
                match frame.decode() {
                    Ok(message) => {
                        if !self.take(message).await {
                            break 'connection;
                        }
                    }
                    Err(error) => {
                        tracing::warn!(bridge = self.bridge, xid = frame.xid(), %error, "an OpenFlow message cannot be read");
                    }
                }
            }
        }
        self.closing.send_replace(true);
    }

    /// Whether there may be more.
    async fn take(&self, message: Message) -> bool {
        match message.body {
            Body::EchoRequest(octets) => {
                let Ok(reply) = Message::new(message.xid, Body::EchoReply(octets)).encode() else { return true };
                self.writer.lock().await.write_all(&reply).await.is_ok()
            }
            Body::FlowMonitorReply(told) => {
                let owner = self.watched.get();
                if owner.is_some_and(|owner| told.updates.iter().any(|update| update.concerns(*owner))) {
                    self.changing.send_modify(|count| *count += 1);
                }
                true
            }
            _ => self.messages.send(message).is_ok(),
        }
    }
}
