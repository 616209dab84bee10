//! Adding, changing and deleting flows.

use super::{
    action,
    cursor::{Reader, Writer},
    oxm,
};
use crate::{CookieOwner, Error, Flow, FlowFlags, Match, PortNo};

const CHECK_OVERLAP: u16 = 0x02;
const NO_BUFFER: u32 = 0xffff_ffff;
/// All tables, for deleting.
const ALL_TABLES: u8 = 0xff;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlowCommand {
    /// Add the flow; one with the same key is replaced as a whole.
    Add,
    /// Change actions and cookie of every flow that the match covers.
    Modify,
    /// Change actions and cookie of the flow with this key.
    ModifyStrict,
    /// Delete every flow that the match covers.
    Delete,
    /// Delete the flow with this key.
    DeleteStrict,
}

impl FlowCommand {
    const ALL: [Self; 5] = [Self::Add, Self::Modify, Self::ModifyStrict, Self::Delete, Self::DeleteStrict];
}

/// A change of flows.
#[derive(Debug, Clone, PartialEq)]
pub struct FlowMod {
    /// What is to be done.
    pub command: FlowCommand,
    /// The flow, or when deleting its key.
    pub flow: Flow,
    /// Only flows that agree with `flow.cookie` in these bits are changed or deleted; not looked at by `Add`.
    pub cookie_mask: u64,
    /// When deleting, only flows that output here; [`PortNo::ANY`] for all.
    pub out_port: PortNo,
    /// Refuse to add a flow that overlaps another of the same priority.
    pub check_overlap: bool,
}

impl FlowMod {
    fn new(command: FlowCommand, flow: Flow, cookie_mask: u64) -> Self {
        Self { command, flow, cookie_mask, out_port: PortNo::ANY, check_overlap: false }
    }

    /// Adds a flow, or replaces the one with the same key.
    pub fn add(flow: Flow) -> Self {
        Self::new(FlowCommand::Add, flow, 0)
    }

    /// Changes actions and cookie of a flow, and leaves its timeouts, flags and counters.
    pub fn modify_strict(flow: Flow) -> Self {
        Self::new(FlowCommand::ModifyStrict, flow, 0)
    }

    /// Deletes a flow if it still has the same cookie.
    pub fn delete_strict(flow: &Flow) -> Self {
        Self::new(FlowCommand::DeleteStrict, flow.clone().drop(), u64::MAX)
    }

    /// Deletes every flow of an owner that a match covers, in one table or in all.
    pub fn delete_matching(owner: CookieOwner, table: Option<u8>, matches: Match) -> Self {
        let flow = Flow::table(table.unwrap_or(ALL_TABLES)).cookie(owner.value()).matching(matches);
        Self::new(FlowCommand::Delete, flow, owner.mask())
    }

    pub(super) fn write(&self, out: &mut Writer) -> Result<(), Error> {
        let flow = &self.flow;
        out.u64(flow.cookie);
        out.u64(self.cookie_mask);
        out.u8(flow.table);
        out.u8(FlowCommand::ALL.iter().position(|command| *command == self.command).unwrap_or(0) as u8);
        out.u16(flow.idle_timeout);
        out.u16(flow.hard_timeout);
        out.u16(flow.priority);
        out.u32(NO_BUFFER);
        out.u32(self.out_port.0);
        // No restriction by group.
        out.u32(PortNo::ANY.0);
        out.u16(flow.flags.bits() | if self.check_overlap { CHECK_OVERLAP } else { 0 });
        // Importance, for eviction, which nobody here uses.
        out.u16(0);
        oxm::write_match(out, &flow.matches)?;
        action::write_instructions(out, &flow.actions)
    }

    pub(super) fn read(mut input: Reader<'_>) -> Result<Self, Error> {
        let (cookie, cookie_mask) = (input.u64()?, input.u64()?);
        let (table, command) = (input.u8()?, input.u8()?);
        let Some(command) = FlowCommand::ALL.get(usize::from(command)).copied() else {
            return input.unknown(command);
        };
        let (idle_timeout, hard_timeout, priority) = (input.u16()?, input.u16()?, input.u16()?);
        input.skip(4)?;
        let out_port = PortNo(input.u32()?);
        input.skip(4)?;
        let flags = input.u16()?;
        input.skip(2)?;
        let matches = oxm::read_match(&mut input)?;
        let actions = action::read_instructions(input)?;
        Ok(Self {
            command,
            flow: Flow {
                table,
                priority,
                cookie,
                idle_timeout,
                hard_timeout,
                flags: FlowFlags::from_bits(flags),
                matches,
                actions,
            },
            cookie_mask,
            out_port,
            check_overlap: flags & CHECK_OVERLAP != 0,
        })
    }
}
