//! What a flow does with a packet: OpenFlow 1.4 actions and instructions, and Nicira's extensions, in one list as
//! `ovs-ofctl` writes them.

use crate::{Field, Masked, PortNo};

/// Consecutive bits of a field: `NXM_NX_REG6[0..15]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubField {
    /// The field.
    pub field: Field,
    /// Lowest bit.
    pub offset: u16,
    /// Number of bits, at least one.
    pub bits: u16,
}

impl SubField {
    /// The whole field.
    pub fn whole(field: Field) -> Self {
        Self { field, offset: 0, bits: field.info().bits }
    }

    /// Bits `first` to `last`, both included.
    pub fn bits(field: Field, first: u16, last: u16) -> Self {
        Self { field, offset: first, bits: last.saturating_sub(first).saturating_add(1) }
    }

    /// Whether it lies inside its field.
    pub fn is_valid(&self) -> bool {
        let end = u32::from(self.offset) + u32::from(self.bits);
        self.bits > 0 && end <= u32::from(self.field.info().bits)
    }
}

impl From<Field> for SubField {
    fn from(field: Field) -> Self {
        Self::whole(field)
    }
}

/// Where a `ct` action takes its zone from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CtZone {
    /// This number.
    Number(u16),
    /// These bits of the packet's fields.
    Field(SubField),
}

/// Through the connection tracker (`NXAST_CT`).
///
/// ```
/// use openflow::{Ct, Field, SubField};
/// let net = SubField::bits(Field::Reg6, 0, 15);
/// assert_eq!(openflow::Action::from(Ct::zone_from(net).table(72)).to_string(), "ct(table=72,zone=NXM_NX_REG6[0..15])");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ct {
    /// Remember the connection.
    pub commit: bool,
    /// Replace a connection that was opened from the other side; only with `commit`.
    pub force: bool,
    /// The zone to look in.
    pub zone: CtZone,
    /// Continue a copy of the packet, now tracked, in this table; without it the packet goes on untracked.
    pub next_table: Option<u8>,
    /// Application-layer gateway: 0, 21 (FTP) or 69 (TFTP).
    pub alg: u16,
    /// Address translation.
    pub nat: Option<Nat>,
    /// Actions on the connection: setting `ct_mark` or `ct_label`.
    pub exec: Vec<Action>,
}

impl Ct {
    /// In a fixed zone.
    pub fn zone(zone: u16) -> Self {
        Self {
            commit: false,
            force: false,
            zone: CtZone::Number(zone),
            next_table: None,
            alg: 0,
            nat: None,
            exec: vec![],
        }
    }

    /// In the zone that a field holds.
    pub fn zone_from(field: impl Into<SubField>) -> Self {
        Self { zone: CtZone::Field(field.into()), ..Self::zone(0) }
    }

    /// Remember the connection.
    pub fn commit(self) -> Self {
        Self { commit: true, ..self }
    }

    /// Remember the connection, as one opened from this side.
    pub fn force_commit(self) -> Self {
        Self { commit: true, force: true, ..self }
    }

    /// Continue, tracked, in this table.
    pub fn table(self, table: u8) -> Self {
        Self { next_table: Some(table), ..self }
    }

    /// Translate addresses.
    pub fn nat(self, nat: Nat) -> Self {
        Self { nat: Some(nat), ..self }
    }

    /// Set the connection's mark.
    pub fn set_mark(mut self, mark: impl Into<Masked>) -> Self {
        self.exec.push(Action::set(Field::CtMark, mark));
        self
    }
}

/// Address translation of a `ct` action (`NXAST_NAT`); without a side, that of the connection is applied again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Nat {
    /// Which address is rewritten when the connection is committed.
    pub side: Option<NatSide>,
    /// Same mapping for a host after a reload.
    pub persistent: bool,
    /// How a port out of the range is chosen.
    pub ports_by: Option<NatPorts>,
    /// First and last address.
    pub addresses: Option<(std::net::IpAddr, std::net::IpAddr)>,
    /// First and last port.
    pub ports: Option<(u16, u16)>,
}

impl Nat {
    /// Whether nothing is said that means nothing: options need a side, ports need addresses.
    pub fn is_valid(&self) -> bool {
        let plain = !self.persistent && self.ports_by.is_none() && self.addresses.is_none();
        (self.side.is_some() || plain) && (self.addresses.is_some() || self.ports.is_none())
    }
}

/// The side of a packet that NAT rewrites.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NatSide {
    /// Source address.
    Source,
    /// Destination address.
    Destination,
}

/// How NAT picks a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NatPorts {
    /// By hash of the addresses.
    Hash,
    /// At random.
    Random,
}

/// Makes a flow out of a packet (`NXAST_LEARN`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Learn {
    /// Table of the new flow.
    pub table: u8,
    /// Its priority.
    pub priority: u16,
    /// Its cookie.
    pub cookie: u64,
    /// Seconds without packets after which it goes; zero for never.
    pub idle_timeout: u16,
    /// Seconds after which it goes; zero for never.
    pub hard_timeout: u16,
    /// Idle timeout after TCP FIN or RST.
    pub fin_idle_timeout: u16,
    /// Hard timeout after TCP FIN or RST.
    pub fin_hard_timeout: u16,
    /// Tell the controller when it goes.
    pub send_flow_removed: bool,
    /// Delete the learned flows when this flow is deleted.
    pub delete_learned: bool,
    /// What it matches and does.
    pub specs: Vec<LearnSpec>,
}

/// One clause of a learned flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LearnSpec {
    /// The new flow matches `field` against the present value of `from`.
    Match {
        /// What the new flow matches.
        field: SubField,
        /// As many bits as `field`.
        from: LearnValue,
    },
    /// The new flow loads the present value of `from` into `field`.
    Load {
        /// What the new flow writes.
        field: SubField,
        /// As many bits as `field`.
        from: LearnValue,
    },
    /// The new flow outputs to the port that this field now holds.
    Output(SubField),
}

/// Where a learned value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LearnValue {
    /// The packet.
    Field(SubField),
    /// Fixed when the learning flow is installed.
    Number(u128),
}

/// One action or instruction.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Action {
    /// Out of a port, also a reserved one; never [`PortNo::CONTROLLER`], which is [`Action::Controller`].
    Output(PortNo),
    /// Out of the port whose number a field holds.
    OutputReg(SubField),
    /// To the controller as a packet-in with at most this many octets; 0xffff for the whole packet.
    Controller(u16),
    /// The whole packet to the controller, as far as a meter lets it (`controller(meter_id=...)`); what becomes of the packet
    /// itself does not depend on the meter.
    ControllerMetered(u32),
    /// To a group.
    Group(u32),
    /// Queue of the following outputs.
    SetQueue(u32),
    /// A new outermost tag with this Ethernet type (0x8100, 0x88a8).
    PushVlan(u16),
    /// Drop the outermost tag; under OpenFlow 1.3+ the flow must match on a VLAN.
    PopVlan,
    /// Decrement the TTL; an expired packet goes to the controller.
    DecTtl,
    /// Write a whole field; OpenFlow 1.4 writes parts by [`Action::Load`] only.
    SetField(Field, u128),
    /// Write some bits of a field (`NXAST_REG_LOAD`), at most 64.
    Load(u64, SubField),
    /// Copy bits between fields (`NXAST_REG_MOVE`); both sides have the same number of bits.
    Move(SubField, SubField),
    /// Look up again and come back, as if the packet came in by a port.
    Resubmit {
        /// The port to pretend; [`PortNo::IN_PORT`] leaves it.
        port: PortNo,
        /// The table; `None` for the present one.
        table: Option<u8>,
    },
    /// Through the connection tracker.
    Ct(Box<Ct>),
    /// Forget the packet's tracking state.
    CtClear,
    /// Learn a flow.
    Learn(Box<Learn>),
    /// This flow is clause `clause` (from 1) of `of` that together complete conjunction `id`; beside it only notes
    /// are allowed.
    Conjunction {
        /// As in the flow that matches `conj_id`.
        id: u32,
        /// Which dimension, from 1.
        clause: u8,
        /// How many dimensions there are, 2 to 64.
        of: u8,
    },
    /// Write into a field the number of the first of these ports that lives, or 0xffff when none does: a port lives while
    /// it has carrier and its BFD session, if it keeps one, is up (`bundle_load(eth_src,0,active_backup,ofport,...)`).
    FirstLiving {
        /// The field; 16 bits at least.
        into: SubField,
        /// The ports, the one to be preferred first; at least one.
        ports: Vec<u16>,
    },
    /// Octets with no effect, for people and tools; the switch pads them to 6, 14, 22, ...: make it by
    /// [`Action::note`].
    Note(Vec<u8>),
    /// Instruction: rate limit; always first.
    Meter(u32),
    /// Instruction: empty the action set.
    ClearActions,
    /// Instruction: add to the action set.
    WriteActions(Vec<Action>),
    /// Instruction: write the metadata field.
    WriteMetadata(u64, u64),
    /// Instruction: continue in a later table; always last.
    GotoTable(u8),
}

impl Action {
    /// Out of a port.
    pub fn output(port: impl Into<PortNo>) -> Self {
        match port.into() {
            PortNo::CONTROLLER => Self::Controller(u16::MAX),
            port => Self::Output(port),
        }
    }

    /// Forward as a learning switch would.
    pub fn normal() -> Self {
        Self::Output(PortNo::NORMAL)
    }

    /// Back out of the port of arrival.
    pub fn in_port() -> Self {
        Self::Output(PortNo::IN_PORT)
    }

    /// Continue in a later table.
    pub fn goto(table: u8) -> Self {
        Self::GotoTable(table)
    }

    /// Look up in a table and come back (`resubmit(,table)`).
    pub fn resubmit(table: u8) -> Self {
        Self::Resubmit { port: PortNo::IN_PORT, table: Some(table) }
    }

    /// Write a whole field.
    pub fn set(field: Field, value: impl Into<Masked>) -> Self {
        Self::SetField(field, value.into().value() & field.full_mask())
    }

    /// Write only the bits of a mask: one load for each run of consecutive bits, lowest first, as the switch itself
    /// expresses a masked `set_field` in OpenFlow 1.4.
    pub fn set_masked(field: Field, bits: Masked) -> Vec<Self> {
        let bits = bits.within(field.full_mask());
        if bits.mask() == field.full_mask() {
            return vec![Self::SetField(field, bits.value())];
        }
        let mut loads = vec![];
        let mut offset = 0u32;
        while let Some(rest) = bits.mask().checked_shr(offset).filter(|rest| *rest != 0) {
            offset += rest.trailing_zeros();
            let run = (bits.mask() >> offset).trailing_ones().min(64);
            let value = (bits.value() >> offset) as u64 & u64::MAX >> (64 - run);
            loads.push(Self::Load(value, SubField { field, offset: offset as u16, bits: run as u16 }));
            offset += run;
        }
        loads
    }

    /// Set the outermost tag's VLAN id, 0 to 4095.
    pub fn set_vlan(vid: impl Into<u16>) -> Self {
        Self::set(Field::VlanVid, vid.into() & 0x0fff | 0x1000)
    }

    /// A new outermost 802.1Q tag, to be filled by [`Action::set_vlan`].
    pub fn push_vlan() -> Self {
        Self::PushVlan(0x8100)
    }

    /// Write some bits of a field.
    pub fn load(value: u64, field: impl Into<SubField>) -> Self {
        Self::Load(value, field.into())
    }

    /// Copy a field.
    pub fn copy(from: impl Into<SubField>, to: impl Into<SubField>) -> Self {
        Self::Move(from.into(), to.into())
    }

    /// Clause `clause` of `of` of a conjunction.
    pub fn conjunction(id: u32, clause: u8, of: u8) -> Self {
        Self::Conjunction { id, clause, of }
    }

    /// A note, padded as the switch pads it.
    pub fn note(octets: impl Into<Vec<u8>>) -> Self {
        let mut octets = octets.into();
        octets.resize(octets.len().saturating_sub(6).next_multiple_of(8) + 6, 0);
        Self::Note(octets)
    }

    /// The order in which the switch executes and reports instructions; ordinary actions are one of them.
    pub(crate) fn instruction_order(&self) -> u8 {
        match self {
            Self::Meter(_) => 0,
            Self::ClearActions => 2,
            Self::WriteActions(_) => 3,
            Self::WriteMetadata(..) => 4,
            Self::GotoTable(_) => 5,
            _ => 1,
        }
    }
}

impl From<Ct> for Action {
    fn from(ct: Ct) -> Self {
        Self::Ct(Box::new(ct))
    }
}

impl From<Learn> for Action {
    fn from(learn: Learn) -> Self {
        Self::Learn(Box::new(learn))
    }
}
