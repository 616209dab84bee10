//! Reading back which flows a bridge has, and hearing which went.

use super::{
    action,
    cursor::{Reader, Writer},
    oxm,
};
use crate::{CookieOwner, Error, Flow, FlowFlags, Match, PortNo};

/// Which flows to report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowStatsRequest {
    /// One table; `None` for all.
    pub table: Option<u8>,
    /// Only flows that output here; [`PortNo::ANY`] for all.
    pub out_port: PortNo,
    /// Only flows of this owner.
    pub owner: CookieOwner,
    /// Only flows that this match covers.
    pub matches: Match,
}

impl FlowStatsRequest {
    /// Every flow of the bridge.
    pub fn all() -> Self {
        Self { table: None, out_port: PortNo::ANY, owner: CookieOwner::EVERYONE, matches: Match::new() }
    }

    /// Every flow of one table.
    pub fn of_table(table: u8) -> Self {
        Self { table: Some(table), ..Self::all() }
    }

    pub(super) fn write(&self, out: &mut Writer) -> Result<(), Error> {
        out.u8(self.table.unwrap_or(0xff));
        out.zeros(3);
        out.u32(self.out_port.0);
        out.u32(PortNo::ANY.0);
        out.zeros(4);
        out.u64(self.owner.value());
        out.u64(self.owner.mask());
        oxm::write_match(out, &self.matches)
    }

    pub(super) fn read(mut input: Reader<'_>) -> Result<Self, Error> {
        let table = Some(input.u8()?).filter(|table| *table != 0xff);
        input.skip(3)?;
        let out_port = PortNo(input.u32()?);
        input.skip(8)?;
        let owner = CookieOwner::new(input.u64()?, input.u64()?);
        Ok(Self { table, out_port, owner, matches: oxm::read_match(&mut input)? })
    }
}

/// A flow and its counters.
#[derive(Debug, Clone, PartialEq)]
pub struct FlowStats {
    /// The flow.
    pub flow: Flow,
    /// Whole seconds since it was added.
    pub seconds: u32,
    /// Packets that matched.
    pub packets: u64,
    /// Octets of these packets.
    pub octets: u64,
}

/// A flow that uses what this crate does not know: somebody else's, for what we write we can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableFlow {
    /// Its table.
    pub table: u8,
    /// Its priority.
    pub priority: u16,
    /// Its cookie.
    pub cookie: u64,
    /// What could not be read.
    pub error: Error,
}

/// Some of the flows; all of them when `more` is false.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FlowStatsReply {
    /// What was read.
    pub flows: Vec<FlowStats>,
    /// What was not understood.
    pub unreadable: Vec<UnreadableFlow>,
    /// Another reply with the same transaction id follows.
    pub more: bool,
}

/// Length, table and padding, times, priority, timeouts, flags, importance and padding, cookie, counters.
const FIXED: usize = 48;

impl FlowStatsReply {
    /// Appends a further reply to the same request; afterwards `more` says whether yet another follows.
    pub fn append(&mut self, next: Self) {
        self.flows.extend(next.flows);
        self.unreadable.extend(next.unreadable);
        self.more = next.more;
    }

    pub(super) fn write(&self, out: &mut Writer) -> Result<(), Error> {
        for FlowStats { flow, seconds, packets, octets } in &self.flows {
            let start = out.len();
            out.u16(0);
            out.u8(flow.table);
            out.zeros(1);
            out.u32(*seconds);
            out.u32(0);
            out.u16(flow.priority);
            out.u16(flow.idle_timeout);
            out.u16(flow.hard_timeout);
            out.u16(flow.flags.bits());
            out.zeros(4);
            out.u64(flow.cookie);
            out.u64(*packets);
            out.u64(*octets);
            oxm::write_match(out, &flow.matches)?;
            action::write_instructions(out, &flow.actions)?;
            out.patch_length("flow", start, 0)?;
        }
        Ok(())
    }

    pub(super) fn read(mut input: Reader<'_>, more: bool) -> Result<Self, Error> {
        let mut reply = Self { more, ..Self::default() };
        while !input.is_empty() {
            let mut peek = input;
            let length = usize::from(peek.u16()?);
            if length < FIXED {
                return input.error("flow shorter than its fixed part");
            }
            let mut entry = input.sub("flow", length)?;
            entry.skip(2)?;
            reply.read_entry(entry)?;
        }
        Ok(reply)
    }

    fn read_entry(&mut self, mut entry: Reader<'_>) -> Result<(), Error> {
        let table = entry.u8()?;
        entry.skip(1)?;
        let seconds = entry.u32()?;
        entry.skip(4)?;
        let (priority, idle_timeout, hard_timeout) = (entry.u16()?, entry.u16()?, entry.u16()?);
        let flags = FlowFlags::from_bits(entry.u16()?);
        entry.skip(4)?;
        let (cookie, packets, octets) = (entry.u64()?, entry.u64()?, entry.u64()?);
        let content = oxm::read_match(&mut entry).and_then(|matches| Ok((matches, action::read_instructions(entry)?)));
        match content {
            Ok((matches, actions)) => {
                let flow = Flow { table, priority, cookie, idle_timeout, hard_timeout, flags, matches, actions };
                self.flows.push(FlowStats { flow, seconds, packets, octets });
            }
            Err(error) => self.unreadable.push(UnreadableFlow { table, priority, cookie, error }),
        }
        Ok(())
    }
}

/// A flow with [`FlowFlags::SEND_FLOW_REM`] went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowRemoved {
    /// Its cookie.
    pub cookie: u64,
    /// Its priority.
    pub priority: u16,
    /// `OFPRR_*`: 0 idle, 1 hard timeout, 2 deleted, 3 group deleted.
    pub reason: u8,
    /// Its table.
    pub table: u8,
    /// Whole seconds that it lived.
    pub seconds: u32,
    /// Packets that matched.
    pub packets: u64,
    /// Octets of these packets.
    pub octets: u64,
    /// What it matched.
    pub matches: Match,
}

impl FlowRemoved {
    pub(super) fn write(&self, out: &mut Writer) -> Result<(), Error> {
        out.u64(self.cookie);
        out.u16(self.priority);
        out.u8(self.reason);
        out.u8(self.table);
        out.u32(self.seconds);
        out.zeros(8);
        out.u64(self.packets);
        out.u64(self.octets);
        oxm::write_match(out, &self.matches)
    }

    pub(super) fn read(mut input: Reader<'_>) -> Result<Self, Error> {
        let (cookie, priority, reason, table) = (input.u64()?, input.u16()?, input.u8()?, input.u8()?);
        let seconds = input.u32()?;
        input.skip(8)?;
        let (packets, octets) = (input.u64()?, input.u64()?);
        Ok(Self { cookie, priority, reason, table, seconds, packets, octets, matches: oxm::read_match(&mut input)? })
    }
}
