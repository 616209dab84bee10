//! Hearing of changes of flows as they happen (OpenFlow 1.4, 7.3.5.20 "Flow monitoring"), also of those in bundles.

use super::{
    cursor::{Reader, Writer},
    oxm,
};
use crate::{CookieOwner, Error, Match, PortNo};

const TELL_ADDED: u16 = 1 << 1;
const TELL_REMOVED: u16 = 1 << 2;
const TELL_MODIFIED: u16 = 1 << 3;

/// The command that adds a monitor (`OFPFMC_ADD`).
const ADD: u8 = 0;

/// Asks to be told of every change of flows from now on. Of changes that this very connection asks for, the switch names the
/// request alone ([`FlowUpdate::Own`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowMonitorRequest {
    /// The monitor's number, which the connection has not used yet.
    pub id: u32,
    /// One table; `None` for all.
    pub table: Option<u8>,
    /// Only flows that this match covers.
    pub matches: Match,
}

impl FlowMonitorRequest {
    /// Every flow of the bridge.
    pub fn all(id: u32) -> Self {
        Self { id, table: None, matches: Match::new() }
    }

    pub(super) fn write(&self, out: &mut Writer) -> Result<(), Error> {
        out.u32(self.id);
        out.u32(PortNo::ANY.0);
        out.u32(PortNo::ANY.0);
        out.u16(TELL_ADDED | TELL_REMOVED | TELL_MODIFIED);
        out.u8(self.table.unwrap_or(0xff));
        out.u8(ADD);
        oxm::write_match(out, &self.matches)
    }

    pub(super) fn read(mut input: Reader<'_>) -> Result<Self, Error> {
        let id = input.u32()?;
        let filter = (input.u32()?, input.u32()?);
        let what = input.u16()?;
        let table = Some(input.u8()?).filter(|table| *table != 0xff);
        if filter != (PortNo::ANY.0, PortNo::ANY.0) || what != TELL_ADDED | TELL_REMOVED | TELL_MODIFIED {
            return input.error("a flow monitor of another kind");
        }
        if input.u8()? != ADD {
            return input.error("changes a flow monitor");
        }
        Ok(Self { id, table, matches: oxm::read_match(&mut input)? })
    }
}

/// What became of a flow (`OFPFME_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlowEvent {
    /// It was there when the monitor was.
    Initial,
    /// It came.
    Added,
    /// It went.
    Removed,
    /// Its instructions are others now.
    Modified,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlowUpdate {
    /// A change by somebody else, or by the switch itself (a timeout, a learned flow).
    Flow {
        /// What happened.
        event: FlowEvent,
        /// Table of the flow.
        table: u8,
        /// `OFPRR_*`, for one that went: 0 idle, 1 hard timeout, 2 deleted.
        reason: u8,
        /// Seconds without a packet after which it goes; 0: never.
        idle_timeout: u16,
        /// Seconds after which it goes; 0: never.
        hard_timeout: u16,
        /// Its priority.
        priority: u16,
        /// Its cookie, after the change.
        cookie: u64,
        /// Match and instructions, as they came: who hears of a change looks for itself.
        rest: Vec<u8>,
    },
    /// What this connection asked for with this transaction id was done.
    Own(u32),
    /// The connection is behind; from here on changes are kept back.
    Paused,
    /// What was kept back has been told, own changes like all others.
    Resumed,
}

impl FlowUpdate {
    /// Whether somebody else changed a lasting flow of this owner, or may have: of a flow that took the place of another one the
    /// switch says only that it came. Flows that go by themselves, as learned ones do, are nobody's plan.
    pub fn concerns(&self, owner: CookieOwner) -> bool {
        match self {
            Self::Flow { event, cookie, idle_timeout: 0, hard_timeout: 0, .. } => {
                *event != FlowEvent::Removed || owner.owns(*cookie)
            }
            Self::Flow { .. } | Self::Own(_) | Self::Paused | Self::Resumed => false,
        }
    }
}

/// Changes, in their order. The transaction id of the message is that of the monitor's request, or 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FlowUpdates {
    /// The changes.
    pub updates: Vec<FlowUpdate>,
    /// Another message of the same answer follows.
    pub more: bool,
}

const INITIAL: u16 = 0;
const ADDED: u16 = 1;
const REMOVED: u16 = 2;
const MODIFIED: u16 = 3;
const ABBREVIATED: u16 = 4;
const PAUSED: u16 = 5;
const RESUMED: u16 = 6;

impl FlowUpdates {
    pub(super) fn write(&self, out: &mut Writer) -> Result<(), Error> {
        for update in &self.updates {
            let start = out.len();
            out.u16(0);
            match update {
                FlowUpdate::Flow { event, table, reason, idle_timeout, hard_timeout, priority, cookie, rest } => {
                    out.u16(match event {
                        FlowEvent::Initial => INITIAL,
                        FlowEvent::Added => ADDED,
                        FlowEvent::Removed => REMOVED,
                        FlowEvent::Modified => MODIFIED,
                    });
                    out.u8(*table);
                    out.u8(*reason);
                    out.u16(*idle_timeout);
                    out.u16(*hard_timeout);
                    out.u16(*priority);
                    out.zeros(4);
                    out.u64(*cookie);
                    out.bytes(rest);
                }
                FlowUpdate::Own(xid) => {
                    out.u16(ABBREVIATED);
                    out.u32(*xid);
                }
                FlowUpdate::Paused => {
                    out.u16(PAUSED);
                    out.zeros(4);
                }
                FlowUpdate::Resumed => {
                    out.u16(RESUMED);
                    out.zeros(4);
                }
            }
            out.patch_length("flow update", start, 0)?;
        }
        Ok(())
    }

    pub(super) fn read(mut input: Reader<'_>, more: bool) -> Result<Self, Error> {
        let mut updates = Vec::new();
        while !input.is_empty() {
            let mut peek = input;
            let length = usize::from(peek.u16()?);
            let mut entry = input.sub("flow update", length)?;
            entry.skip(2)?;
            updates.push(read_update(entry)?);
        }
        Ok(Self { updates, more })
    }
}

fn read_update(mut entry: Reader<'_>) -> Result<FlowUpdate, Error> {
    let event = match entry.u16()? {
        INITIAL => FlowEvent::Initial,
        ADDED => FlowEvent::Added,
        REMOVED => FlowEvent::Removed,
        MODIFIED => FlowEvent::Modified,
        ABBREVIATED => return Ok(FlowUpdate::Own(entry.u32()?)),
        PAUSED => return Ok(FlowUpdate::Paused),
        RESUMED => return Ok(FlowUpdate::Resumed),
        kind => return entry.unknown(kind),
    };
    let (table, reason) = (entry.u8()?, entry.u8()?);
    let (idle_timeout, hard_timeout, priority) = (entry.u16()?, entry.u16()?, entry.u16()?);
    entry.skip(4)?;
    let cookie = entry.u64()?;
    let rest = entry.rest().to_vec();
    Ok(FlowUpdate::Flow { event, table, reason, idle_timeout, hard_timeout, priority, cookie, rest })
}
