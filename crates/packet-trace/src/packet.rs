//! A packet as the switch's tables see it: the value of every field, and tags below the outermost.

use openflow::{Error, Field, Match, PortNo, SubField};

/// Bit of the tag control word that says that there is a tag.
pub(crate) const TAG_PRESENT: u128 = 0x1000;

/// Values of all fields; a field that the packet does not have is zero, as in the switch.
#[derive(Clone, PartialEq, Eq)]
pub struct Packet {
    fields: Vec<u128>,
    /// Tag control words below the outermost one.
    inner_tags: Vec<u128>,
}

impl Default for Packet {
    fn default() -> Self {
        Self { fields: vec![0; Field::ALL.len()], inner_tags: vec![] }
    }
}

/// The registers that a wide one consists of, highest bits first; the fields that are parts of another one.
fn parts(field: Field) -> Option<Vec<SubField>> {
    let registers = |first: u8, count: u8| (first..first + count).filter_map(Field::reg).map(SubField::whole).collect();
    Some(match field {
        Field::XReg0 => registers(0, 2),
        Field::XReg1 => registers(2, 2),
        Field::XReg2 => registers(4, 2),
        Field::XReg3 => registers(6, 2),
        Field::XReg4 => registers(8, 2),
        Field::XReg5 => registers(10, 2),
        Field::XReg6 => registers(12, 2),
        Field::XReg7 => registers(14, 2),
        Field::XXReg0 => registers(0, 4),
        Field::XXReg1 => registers(4, 4),
        Field::XXReg2 => registers(8, 4),
        Field::XXReg3 => registers(12, 4),
        Field::VlanVid => vec![SubField::bits(Field::VlanTci, 0, 12)],
        Field::VlanPcp => vec![SubField::bits(Field::VlanTci, 13, 15)],
        _ => return None,
    })
}

fn low(bits: u16) -> u128 {
    u128::MAX >> (128 - u32::from(bits.clamp(1, 128)))
}

impl Packet {
    /// From the notation of `ovs-ofctl`, every condition exact: `tcp,dl_src=...,nw_dst=10.0.0.5,tcp_dst=22`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Ok(Self::from(&openflow::text::parse_match(text, &|_| None)?))
    }

    /// The value of a field.
    pub fn get(&self, field: Field) -> u128 {
        match (field, parts(field)) {
            (Field::InPortNxm, _) => self.get(Field::InPort) & 0xffff,
            (Field::IpTos, _) => self.get(Field::IpDscp) << 2,
            (_, Some(parts)) => parts.into_iter().fold(0, |value, part| value << part.bits | self.read(part)),
            _ => self.fields.get(field as usize).copied().unwrap_or(0),
        }
    }

    /// Writes a whole field.
    pub fn set(&mut self, field: Field, value: u128) {
        match (field, parts(field)) {
            (Field::InPortNxm, _) => self.set(Field::InPort, PortNo::from_u16(value as u16).0.into()),
            (Field::IpTos, _) => self.set(Field::IpDscp, value >> 2),
            (_, Some(parts)) => {
                let mut rest = value;
                for part in parts.into_iter().rev() {
                    self.write(part, rest & low(part.bits));
                    rest = rest.checked_shr(part.bits.into()).unwrap_or(0);
                }
            }
            _ => {
                if let Some(slot) = self.fields.get_mut(field as usize) {
                    *slot = value & field.full_mask();
                }
            }
        }
    }

    /// The value of some bits of a field.
    pub fn read(&self, part: SubField) -> u128 {
        self.get(part.field).checked_shr(part.offset.into()).unwrap_or(0) & low(part.bits)
    }

    /// Writes some bits of a field.
    pub fn write(&mut self, part: SubField, value: u128) {
        let mask = low(part.bits).checked_shl(part.offset.into()).unwrap_or(0);
        let value = value.checked_shl(part.offset.into()).unwrap_or(0) & mask;
        self.set(part.field, self.get(part.field) & !mask | value);
    }

    /// The outermost tag's VLAN id.
    pub fn vlan(&self) -> Option<u16> {
        let tag = self.get(Field::VlanTci);
        (tag & TAG_PRESENT != 0).then_some((tag & 0xfff) as u16)
    }

    /// A new outermost tag with VLAN 0.
    pub fn push_tag(&mut self) {
        let outer = self.get(Field::VlanTci);
        if outer & TAG_PRESENT != 0 {
            self.inner_tags.push(outer);
        }
        self.set(Field::VlanTci, TAG_PRESENT);
    }

    /// Drops the outermost tag.
    pub fn pop_tag(&mut self) {
        let next = self.inner_tags.pop().unwrap_or(0);
        self.set(Field::VlanTci, next);
    }

    /// Whether it is one of the packets that a match is for.
    pub fn meets(&self, conditions: &Match) -> bool {
        conditions.iter().all(|(field, condition)| self.get(field) & condition.mask() == condition.value())
    }

    /// Whether it is addressed to more than one station.
    pub fn is_multicast(&self) -> bool {
        self.get(Field::EthDst) >> 40 & 1 == 1
    }

    /// What the packet no longer bears on the other side of a patch port: registers, metadata, tunnel, connection state.
    pub(crate) fn forget_bridge(&mut self) {
        let registers = (0..16).filter_map(Field::reg);
        let tunnel = [Field::TunId, Field::TunSrc, Field::TunDst, Field::TunIpv6Src, Field::TunIpv6Dst];
        for field in registers.chain(tunnel).chain([Field::Metadata]) {
            self.set(field, 0);
        }
        self.forget_connection();
    }

    /// `ct_clear`.
    pub(crate) fn forget_connection(&mut self) {
        for field in [Field::CtState, Field::CtZone, Field::CtMark, Field::CtLabel] {
            self.set(field, 0);
        }
    }

    /// What it is, without the fields that are zero and those that belong to the switch rather than to the packet.
    pub(crate) fn to_match(&self, wanted: impl Fn(Field) -> bool) -> Match {
        let known = Field::ALL.iter().copied().filter(|field| parts(*field).is_none() && wanted(*field));
        let known = known.filter(|field| !matches!(field, Field::InPortNxm | Field::IpTos));
        known
            .filter_map(|field| {
                let value = self.get(field);
                (value != 0).then(|| (field, openflow::Masked::exact(value)))
            })
            .collect()
    }
}

impl From<&Match> for Packet {
    fn from(conditions: &Match) -> Self {
        let mut packet = Self::default();
        for (field, condition) in conditions.iter() {
            packet.set(field, condition.value());
        }
        packet
    }
}

impl std::fmt::Display for Packet {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.to_match(|_| true).fmt(out)
    }
}

impl std::fmt::Debug for Packet {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let text = "tcp,dl_vlan=7,dl_vlan_pcp=0,dl_src=fa:16:3e:00:00:01,nw_src=10.0.0.1,nw_dst=10.0.0.2,tp_dst=22";
        let packet = Packet::parse(text).unwrap();
        assert_eq!(packet.vlan(), Some(7));
        assert_eq!(packet.to_string(), text);
    }

    #[test]
    fn parts_and_wholes_are_one() {
        let mut packet = Packet::default();
        packet.set(Field::XXReg0, 1 << 96 | 2 << 64 | 3 << 32 | 4);
        assert_eq!([Field::Reg0, Field::Reg1, Field::Reg2, Field::Reg3].map(|reg| packet.get(reg)), [1, 2, 3, 4]);
        assert_eq!(packet.get(Field::XReg1), 3 << 32 | 4);
        packet.write(SubField::bits(Field::Reg3, 4, 7), 0xf);
        assert_eq!(packet.get(Field::Reg3), 0xf4);
        packet.set(Field::VlanVid, 0x1005);
        packet.set(Field::VlanPcp, 3);
        assert_eq!((packet.vlan(), packet.get(Field::VlanTci)), (Some(5), 0x7005));
        packet.push_tag();
        assert_eq!(packet.vlan(), Some(0));
        packet.pop_tag();
        assert_eq!(packet.vlan(), Some(5));
        packet.pop_tag();
        assert_eq!(packet.vlan(), None);
    }
}
