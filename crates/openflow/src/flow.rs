//! A flow: what a table does with the packets that it matches.

use crate::{Action, Match};
use std::ops::BitOr;

/// Flags that stay with a flow (OpenFlow 1.4, `ofp_flow_mod_flags`, without `check_overlap`, which only concerns the
/// moment of adding).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct FlowFlags(u16);

impl FlowFlags {
    /// Tell the controller when the flow goes.
    pub const SEND_FLOW_REM: Self = Self(0x01);
    /// Start counting from zero when the flow is replaced.
    pub const RESET_COUNTS: Self = Self(0x04);
    /// Do not count packets.
    pub const NO_PACKET_COUNTS: Self = Self(0x08);
    /// Do not count octets.
    pub const NO_BYTE_COUNTS: Self = Self(0x10);

    /// Each flag and its name in `ovs-ofctl`, in the order of printing.
    pub(crate) const NAMES: [(Self, &'static str); 4] = [
        (Self::SEND_FLOW_REM, "send_flow_rem"),
        (Self::RESET_COUNTS, "reset_counts"),
        (Self::NO_PACKET_COUNTS, "no_packet_counts"),
        (Self::NO_BYTE_COUNTS, "no_byte_counts"),
    ];

    /// Of a wire value; bits that do not stay with a flow are dropped.
    pub fn from_bits(bits: u16) -> Self {
        Self(bits & 0x1d)
    }

    /// The wire value.
    pub fn bits(self) -> u16 {
        self.0
    }

    /// Whether all flags of `other` are set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for FlowFlags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A flow, in the canonical form in which a flow that was sent compares equal to the one that is read back.
///
/// ```
/// use openflow::{Action, Flow, Match};
/// let flow = Flow::table(71).priority(95).matching(Match::new().in_port(5u32).arp()).actions([Action::resubmit(94)]);
/// assert_eq!(flow.to_string(), "table=71, priority=95,arp,in_port=5 actions=resubmit(,94)");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Table, 0 to 253.
    pub table: u8,
    /// The highest one that matches wins.
    pub priority: u16,
    /// Whose flow it is; see [`crate::CookieOwner`].
    pub cookie: u64,
    /// Seconds without packets after which it goes; zero for never.
    pub idle_timeout: u16,
    /// Seconds after which it goes; zero for never.
    pub hard_timeout: u16,
    /// Flags that stay with it.
    pub flags: FlowFlags,
    /// The packets that it is for.
    pub matches: Match,
    /// What happens to them; empty to drop them. Instructions stand in execution order, as [`Flow::actions`] puts them.
    pub actions: Vec<Action>,
}

/// What identifies a flow within a bridge: adding another with the same key replaces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowKey<'a> {
    /// Table.
    pub table: u8,
    /// Priority.
    pub priority: u16,
    /// Match.
    pub matches: &'a Match,
}

impl Flow {
    /// A flow of this table that matches everything with OpenFlow's default priority (0x8000) and drops.
    pub fn table(table: u8) -> Self {
        Self {
            table,
            priority: 0x8000,
            cookie: 0,
            idle_timeout: 0,
            hard_timeout: 0,
            flags: FlowFlags::default(),
            matches: Match::new(),
            actions: vec![],
        }
    }

    /// The highest priority that matches wins.
    pub fn priority(self, priority: u16) -> Self {
        Self { priority, ..self }
    }

    /// Whose flow it is.
    pub fn cookie(self, cookie: u64) -> Self {
        Self { cookie, ..self }
    }

    /// Goes after so many seconds without packets.
    pub fn idle_timeout(self, seconds: u16) -> Self {
        Self { idle_timeout: seconds, ..self }
    }

    /// Goes after so many seconds.
    pub fn hard_timeout(self, seconds: u16) -> Self {
        Self { hard_timeout: seconds, ..self }
    }

    /// Adds flags.
    pub fn flags(self, flags: FlowFlags) -> Self {
        Self { flags: self.flags | flags, ..self }
    }

    /// The packets that it is for.
    pub fn matching(self, matches: Match) -> Self {
        Self { matches, ..self }
    }

    /// What happens to them, in this order; instructions (goto, meter, ...) are moved to where the switch runs them.
    pub fn actions(self, actions: impl IntoIterator<Item = Action>) -> Self {
        let mut actions: Vec<_> = actions.into_iter().collect();
        actions.sort_by_key(Action::instruction_order);
        Self { actions, ..self }
    }

    /// Says aloud that the packets are dropped.
    pub fn drop(self) -> Self {
        self.actions([])
    }

    /// What identifies it.
    pub fn key(&self) -> FlowKey<'_> {
        FlowKey { table: self.table, priority: self.priority, matches: &self.matches }
    }
}
