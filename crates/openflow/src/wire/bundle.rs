//! Changing many flows at once or not at all (OpenFlow 1.4, section 7.3.9).
//!
//! Open vSwitch refuses a bad flow when it is added to a bundle and would still commit the rest. So a bundle is sent as
//! OPEN, every ADD, BARRIER; if anything was refused by the time the barrier answers it is discarded, else committed.

use super::{
    Body, FlowMod, Message,
    cursor::{Reader, Writer},
    error::ErrorMessage,
};
use crate::{Error, FlowDiff};

/// Take effect for every packet at once, in the order of adding.
const ATOMIC_ORDERED: u16 = 3;

/// Steps of a bundle; the answers are distinguished from the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum BundleKind {
    OpenRequest,
    OpenReply,
    CloseRequest,
    CloseReply,
    CommitRequest,
    CommitReply,
    DiscardRequest,
    DiscardReply,
}

impl BundleKind {
    const ALL: [Self; 8] = [
        Self::OpenRequest,
        Self::OpenReply,
        Self::CloseRequest,
        Self::CloseReply,
        Self::CommitRequest,
        Self::CommitReply,
        Self::DiscardRequest,
        Self::DiscardReply,
    ];
}

/// A step of a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BundleControl {
    /// Number of the bundle, chosen by who opens it.
    pub bundle: u32,
    /// Which step.
    pub kind: BundleKind,
    /// 1 atomic, 2 ordered.
    pub flags: u16,
}

impl BundleControl {
    pub(super) fn write(&self, out: &mut Writer) {
        out.u32(self.bundle);
        out.u16(BundleKind::ALL.iter().position(|kind| *kind == self.kind).unwrap_or(0) as u16);
        out.u16(self.flags);
    }

    pub(super) fn read(mut input: Reader<'_>) -> Result<Self, Error> {
        let (bundle, kind) = (input.u32()?, input.u16()?);
        let Some(kind) = BundleKind::ALL.get(usize::from(kind)).copied() else { return input.unknown(kind) };
        Ok(Self { bundle, kind, flags: input.u16()? })
    }
}

impl FlowDiff {
    /// What to send: deletions first, so that a full table has room.
    pub fn flow_mods(&self) -> Vec<FlowMod> {
        let deletions = self.delete.iter().map(FlowMod::delete_strict);
        let additions = self.add.iter().chain(&self.modify).map(|flow| FlowMod::add(flow.clone()));
        deletions.chain(additions).collect()
    }
}

/// Why a bundle was not committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which of the changes was refused; `None` when it was the bundle itself.
    pub index: Option<usize>,
    /// What the switch said.
    pub error: ErrorMessage,
}

/// What follows from a message that was received.
#[derive(Debug, Clone, PartialEq)]
pub enum BundleStep {
    /// The message has nothing to do with this bundle.
    NotOurs,
    /// More messages must come.
    Wait,
    /// Send these octets.
    Send(Vec<u8>),
    /// Every change took effect.
    Committed,
    /// No change took effect.
    Refused(Vec<Refusal>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Staging,
    Committing,
    Discarding,
    Ended,
}

/// The sender's side of one bundle; sans-I/O.
///
/// It uses the transaction ids from the first one given on: one for OPEN, one for each change, one for the barrier, one
/// for COMMIT or DISCARD, as [`Bundle::next_xid`] tells.
#[derive(Debug)]
pub struct Bundle {
    id: u32,
    first_xid: u32,
    changes: u32,
    state: State,
    refusals: Vec<Refusal>,
}

impl Bundle {
    /// Opens a bundle: the octets to send at once. The connection must be read while they are written, for a switch that
    /// refuses much may stop reading until it has been heard.
    pub fn start(id: u32, first_xid: u32, changes: &[FlowMod]) -> Result<(Self, Vec<u8>), Error> {
        let Ok(count) = u32::try_from(changes.len()) else {
            return Err(Error::Encode { what: "bundle", reason: "more changes than transaction ids" });
        };
        let bundle = Self { id, first_xid, changes: count, state: State::Staging, refusals: vec![] };
        let mut octets = bundle.control(first_xid, BundleKind::OpenRequest)?;
        let mut xid = first_xid;
        for change in changes {
            xid = xid.wrapping_add(1);
            let message = Box::new(Body::FlowMod(change.clone()));
            octets.extend(Message::new(xid, Body::BundleAdd { bundle: id, flags: ATOMIC_ORDERED, message }).encode()?);
        }
        octets.extend(Message::new(bundle.barrier_xid(), Body::BarrierRequest).encode()?);
        Ok((bundle, octets))
    }

    /// The first transaction id that it does not use.
    pub fn next_xid(&self) -> u32 {
        self.end_xid().wrapping_add(1)
    }

    fn barrier_xid(&self) -> u32 {
        self.first_xid.wrapping_add(self.changes).wrapping_add(1)
    }

    fn end_xid(&self) -> u32 {
        self.barrier_xid().wrapping_add(1)
    }

    fn control(&self, xid: u32, kind: BundleKind) -> Result<Vec<u8>, Error> {
        Message::new(xid, Body::BundleControl(BundleControl { bundle: self.id, kind, flags: ATOMIC_ORDERED })).encode()
    }

    /// What follows from a message of the switch.
    pub fn receive(&mut self, message: &Message) -> Result<BundleStep, Error> {
        let position = message.xid.wrapping_sub(self.first_xid);
        if self.state == State::Ended || position > self.changes.saturating_add(2) {
            return Ok(BundleStep::NotOurs);
        }
        let at_end = message.xid == self.end_xid();
        match (&message.body, self.state) {
            (Body::Error(error), _) => {
                // When a commit fails, the switch names the change that made it fail and then the commit.
                let index = position.checked_sub(1).filter(|index| *index < self.changes);
                self.refusals.push(Refusal { index: index.map(|index| index as usize), error: error.clone() });
                // An OPEN that was refused leaves nothing to discard, but its barrier is still to come.
                if at_end { self.end_refused() } else { Ok(BundleStep::Wait) }
            }
            (Body::BarrierReply, State::Staging) if message.xid == self.barrier_xid() => {
                let commit = self.refusals.is_empty();
                self.state = if commit { State::Committing } else { State::Discarding };
                let kind = if commit { BundleKind::CommitRequest } else { BundleKind::DiscardRequest };
                Ok(BundleStep::Send(self.control(self.end_xid(), kind)?))
            }
            (Body::BundleControl(control), State::Committing) if at_end && control.kind == BundleKind::CommitReply => {
                self.state = State::Ended;
                Ok(BundleStep::Committed)
            }
            (Body::BundleControl(_), State::Discarding) if at_end => self.end_refused(),
            _ => Ok(BundleStep::Wait),
        }
    }

    fn end_refused(&mut self) -> Result<BundleStep, Error> {
        let discarding = self.state == State::Discarding;
        self.state = State::Ended;
        let mut refusals = std::mem::take(&mut self.refusals);
        // That a bundle could not even be discarded says nothing beyond why it had to be.
        if discarding && refusals.len() > 1 && refusals.last().is_some_and(|last| last.index.is_none()) {
            refusals.pop();
        }
        Ok(BundleStep::Refused(refusals))
    }
}
