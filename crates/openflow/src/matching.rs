//! What packets a flow is for.

use crate::{CtState, Field, Masked, PortNo};
use net_types::{IpNet, Ipv4Net, Ipv6Net, MacAddr};

/// Ethernet types that matches are built from.
pub mod eth_type {
    #![allow(missing_docs)]
    pub const IPV4: u16 = 0x0800;
    pub const ARP: u16 = 0x0806;
    pub const RARP: u16 = 0x8035;
    pub const IPV6: u16 = 0x86dd;
}

/// IP protocol numbers that matches are built from.
pub mod ip_proto {
    #![allow(missing_docs)]
    pub const ICMP: u8 = 1;
    pub const IGMP: u8 = 2;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const ICMPV6: u8 = 58;
    pub const SCTP: u8 = 132;
}

/// A conjunction of field conditions; empty, it matches every packet.
///
/// Always canonical: one entry per field in field order, no value bit outside its mask, no empty mask, and the fields
/// of which Open vSwitch keeps only another form (VLAN id and priority, ToS, wide registers) turned into that form. So
/// two matches are equal exactly when the switch treats them as the same flow key.
///
/// Methods set prerequisites: `tcp_dst` implies TCP, and IPv4 unless an Ethernet type was already chosen.
///
/// ```
/// use openflow::{Field, Match};
/// let ssh = Match::new().ipv6().reg(Field::Reg5, 6).tcp_dst(22u16);
/// assert_eq!(ssh.to_string(), "tcp6,reg5=0x6,tp_dst=22");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Match {
    entries: Vec<(Field, Masked)>,
}

impl Match {
    /// Matches everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// The conditions, in field order.
    pub fn iter(&self) -> impl Iterator<Item = (Field, Masked)> + '_ {
        self.entries.iter().copied()
    }

    /// The condition on one field, if there is one.
    pub fn get(&self, field: Field) -> Option<Masked> {
        let index = self.entries.binary_search_by_key(&field, |entry| entry.0).ok()?;
        self.entries.get(index).map(|entry| entry.1)
    }

    /// The value of a field that is matched exactly.
    pub fn exact(&self, field: Field) -> Option<u128> {
        self.get(field).filter(|found| found.mask() == field.full_mask()).map(Masked::value)
    }

    /// Whether every packet matches.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Sets a condition in place; see [`Match::field`].
    pub fn set(&mut self, field: Field, condition: Masked) {
        let (value, mask) = (condition.value(), condition.mask());
        match field {
            Field::InPortNxm => self.put(Field::InPort, PortNo::from_u16(value as u16).into()),
            Field::VlanTci => self.put_vlan(condition.within(0xffff)),
            Field::VlanVid => self.merge_vlan(condition.within(0x1fff)),
            Field::VlanPcp if mask & 7 != 0 => {
                self.merge_vlan(Masked::new((value & 7) << 13 | 0x1000, (mask & 7) << 13 | 0x1000))
            }
            Field::VlanPcp => {}
            Field::IpTos => self.put(Field::IpDscp, Masked::new(value >> 2, mask >> 2)),
            Field::XReg0 => self.put_parts([Field::Reg0, Field::Reg1], condition),
            Field::XReg1 => self.put_parts([Field::Reg2, Field::Reg3], condition),
            Field::XReg2 => self.put_parts([Field::Reg4, Field::Reg5], condition),
            Field::XReg3 => self.put_parts([Field::Reg6, Field::Reg7], condition),
            Field::XReg4 => self.put_parts([Field::Reg8, Field::Reg9], condition),
            Field::XReg5 => self.put_parts([Field::Reg10, Field::Reg11], condition),
            Field::XReg6 => self.put_parts([Field::Reg12, Field::Reg13], condition),
            Field::XReg7 => self.put_parts([Field::Reg14, Field::Reg15], condition),
            Field::XXReg0 => self.put_parts([Field::Reg0, Field::Reg1, Field::Reg2, Field::Reg3], condition),
            Field::XXReg1 => self.put_parts([Field::Reg4, Field::Reg5, Field::Reg6, Field::Reg7], condition),
            Field::XXReg2 => self.put_parts([Field::Reg8, Field::Reg9, Field::Reg10, Field::Reg11], condition),
            Field::XXReg3 => self.put_parts([Field::Reg12, Field::Reg13, Field::Reg14, Field::Reg15], condition),
            _ => self.put(field, condition),
        }
    }

    /// Puts a canonical entry; an empty mask removes it.
    fn put(&mut self, field: Field, condition: Masked) {
        let condition = condition.within(field.full_mask());
        match (self.entries.binary_search_by_key(&field, |entry| entry.0), condition.mask()) {
            (Ok(index), 0) => {
                self.entries.remove(index);
            }
            (Ok(index), _) => {
                if let Some(entry) = self.entries.get_mut(index) {
                    entry.1 = condition;
                }
            }
            (Err(_), 0) => {}
            (Err(index), _) => self.entries.insert(index, (field, condition)),
        }
    }

    /// A wide register is the 32-bit ones beside each other, the first holding the highest bits.
    fn put_parts<const N: usize>(&mut self, registers: [Field; N], condition: Masked) {
        for (index, register) in registers.into_iter().enumerate() {
            let shift = 32 * (N - 1 - index);
            let part = Masked::new(condition.value() >> shift & 0xffff_ffff, condition.mask() >> shift & 0xffff_ffff);
            // A part that is not matched leaves what another field already said of it.
            if part.mask() != 0 {
                self.put(register, part);
            }
        }
    }

    /// Tag conditions come in pieces (id, priority); the later piece wins where they overlap.
    fn merge_vlan(&mut self, piece: Masked) {
        let old = self.get(Field::VlanTci).unwrap_or(Masked::new(0, 0));
        let value = old.value() & !piece.mask() | piece.value();
        self.put_vlan(Masked::new(value, old.mask() | piece.mask()));
    }

    /// Without a tag (or without saying that there is one) a priority means nothing, and the switch drops it.
    fn put_vlan(&mut self, condition: Masked) {
        let tagged = condition.value() & 0x1000 != 0;
        self.put(Field::VlanTci, if tagged { condition } else { condition.within(0x1fff) });
    }

    /// Any field, exactly or under a mask; replaces an earlier condition on it. Sets no prerequisites.
    pub fn field(mut self, field: Field, condition: impl Into<Masked>) -> Self {
        self.set(field, condition.into());
        self
    }

    /// Arrived by this port.
    pub fn in_port(self, port: impl Into<PortNo>) -> Self {
        self.field(Field::InPort, port.into())
    }

    /// A register (or any other 32-bit field) has this value.
    pub fn reg(self, register: Field, value: u32) -> Self {
        self.field(register, value)
    }

    /// The 64-bit metadata has this value.
    pub fn metadata(self, value: u64) -> Self {
        self.field(Field::Metadata, value)
    }

    /// Tunnel key, the VNI of VXLAN.
    pub fn tun_id(self, key: impl Into<u64>) -> Self {
        self.field(Field::TunId, key.into())
    }

    /// Source MAC address.
    pub fn dl_src(self, mac: MacAddr) -> Self {
        self.field(Field::EthSrc, mac)
    }

    /// Destination MAC address.
    pub fn dl_dst(self, mac: MacAddr) -> Self {
        self.field(Field::EthDst, mac)
    }

    /// Destination MAC is a single station's (`00:00:00:00:00:00/01:00:00:00:00:00`).
    pub fn unicast(self) -> Self {
        self.field(Field::EthDst, Masked::new(0, 1 << 40))
    }

    /// Destination MAC is a group's, broadcast included.
    pub fn multicast(self) -> Self {
        self.field(Field::EthDst, Masked::new(1 << 40, 1 << 40))
    }

    /// Tagged with this VLAN id, 0 to 4095 (4095 is Neutron's dead VLAN).
    pub fn vlan(self, vid: impl Into<u16>) -> Self {
        self.field(Field::VlanVid, vid.into() & 0x0fff | 0x1000)
    }

    /// Not tagged (`vlan_tci=0x0000/0x1fff`).
    pub fn no_vlan(self) -> Self {
        self.field(Field::VlanVid, 0u16)
    }

    /// Any Ethernet type.
    pub fn eth_type(self, eth_type: u16) -> Self {
        self.field(Field::EthType, eth_type)
    }

    /// ARP packets.
    pub fn arp(self) -> Self {
        self.eth_type(eth_type::ARP)
    }

    /// Reverse ARP packets (a live-migrated instance announces itself so).
    pub fn rarp(self) -> Self {
        self.eth_type(eth_type::RARP)
    }

    /// IPv4 packets.
    pub fn ip(self) -> Self {
        self.eth_type(eth_type::IPV4)
    }

    /// IPv6 packets.
    pub fn ipv6(self) -> Self {
        self.eth_type(eth_type::IPV6)
    }

    /// An IP protocol number; IPv4 unless the Ethernet type is already set.
    pub fn ip_proto(self, protocol: u8) -> Self {
        let chosen = self.get(Field::EthType).is_some();
        let this = if chosen { self } else { self.ip() };
        this.field(Field::IpProto, protocol)
    }

    /// ICMP over IPv4.
    pub fn icmp(self) -> Self {
        self.ip().field(Field::IpProto, ip_proto::ICMP)
    }

    /// ICMP over IPv6.
    pub fn icmp6(self) -> Self {
        self.ipv6().field(Field::IpProto, ip_proto::ICMPV6)
    }

    /// TCP; IPv4 unless the Ethernet type is already set.
    pub fn tcp(self) -> Self {
        self.ip_proto(ip_proto::TCP)
    }

    /// UDP; IPv4 unless the Ethernet type is already set.
    pub fn udp(self) -> Self {
        self.ip_proto(ip_proto::UDP)
    }

    /// SCTP; IPv4 unless the Ethernet type is already set.
    pub fn sctp(self) -> Self {
        self.ip_proto(ip_proto::SCTP)
    }

    /// UDP over IPv6.
    pub fn udp6(self) -> Self {
        self.ipv6().udp()
    }

    /// TCP over IPv6.
    pub fn tcp6(self) -> Self {
        self.ipv6().tcp()
    }

    /// TCP source port or block of ports.
    pub fn tcp_src(self, ports: impl Into<Masked>) -> Self {
        self.tcp().field(Field::TcpSrc, ports)
    }

    /// TCP destination port or block of ports.
    pub fn tcp_dst(self, ports: impl Into<Masked>) -> Self {
        self.tcp().field(Field::TcpDst, ports)
    }

    /// UDP source port or block of ports.
    pub fn udp_src(self, ports: impl Into<Masked>) -> Self {
        self.udp().field(Field::UdpSrc, ports)
    }

    /// UDP destination port or block of ports.
    pub fn udp_dst(self, ports: impl Into<Masked>) -> Self {
        self.udp().field(Field::UdpDst, ports)
    }

    /// SCTP source port or block of ports.
    pub fn sctp_src(self, ports: impl Into<Masked>) -> Self {
        self.sctp().field(Field::SctpSrc, ports)
    }

    /// SCTP destination port or block of ports.
    pub fn sctp_dst(self, ports: impl Into<Masked>) -> Self {
        self.sctp().field(Field::SctpDst, ports)
    }

    /// ICMP type over IPv4.
    pub fn icmp_type(self, kind: u8) -> Self {
        self.icmp().field(Field::Icmpv4Type, kind)
    }

    /// ICMP code over IPv4.
    pub fn icmp_code(self, code: u8) -> Self {
        self.icmp().field(Field::Icmpv4Code, code)
    }

    /// ICMP type over IPv6.
    pub fn icmp6_type(self, kind: u8) -> Self {
        self.icmp6().field(Field::Icmpv6Type, kind)
    }

    /// ICMP code over IPv6.
    pub fn icmp6_code(self, code: u8) -> Self {
        self.icmp6().field(Field::Icmpv6Code, code)
    }

    /// Target of a neighbour solicitation or advertisement; the ICMPv6 type must be set to 135 or 136.
    pub fn nd_target(self, target: impl Into<Ipv6Net>) -> Self {
        self.field(Field::NdTarget, target.into())
    }

    /// Link-layer option of a neighbour solicitation.
    pub fn nd_sll(self, mac: MacAddr) -> Self {
        self.icmp6_type(135).field(Field::NdSll, mac)
    }

    /// Link-layer option of a neighbour advertisement.
    pub fn nd_tll(self, mac: MacAddr) -> Self {
        self.icmp6_type(136).field(Field::NdTll, mac)
    }

    /// IPv4 source prefix.
    pub fn ipv4_src(self, prefix: impl Into<Ipv4Net>) -> Self {
        self.ip().field(Field::Ipv4Src, prefix.into())
    }

    /// IPv4 destination prefix.
    pub fn ipv4_dst(self, prefix: impl Into<Ipv4Net>) -> Self {
        self.ip().field(Field::Ipv4Dst, prefix.into())
    }

    /// IPv6 source prefix.
    pub fn ipv6_src(self, prefix: impl Into<Ipv6Net>) -> Self {
        self.ipv6().field(Field::Ipv6Src, prefix.into())
    }

    /// IPv6 destination prefix.
    pub fn ipv6_dst(self, prefix: impl Into<Ipv6Net>) -> Self {
        self.ipv6().field(Field::Ipv6Dst, prefix.into())
    }

    /// Source prefix of either family; a prefix of length zero only chooses the family.
    pub fn ip_src(self, prefix: impl Into<IpNet>) -> Self {
        match prefix.into() {
            IpNet::V4(v4) => self.ipv4_src(v4),
            IpNet::V6(v6) => self.ipv6_src(v6),
        }
    }

    /// Destination prefix of either family; a prefix of length zero only chooses the family.
    pub fn ip_dst(self, prefix: impl Into<IpNet>) -> Self {
        match prefix.into() {
            IpNet::V4(v4) => self.ipv4_dst(v4),
            IpNet::V6(v6) => self.ipv6_dst(v6),
        }
    }

    /// ARP operation: 1 request, 2 reply.
    pub fn arp_op(self, op: u16) -> Self {
        self.arp().field(Field::ArpOp, op)
    }

    /// ARP sender's protocol address.
    pub fn arp_spa(self, prefix: impl Into<Ipv4Net>) -> Self {
        self.arp().field(Field::ArpSpa, prefix.into())
    }

    /// ARP target's protocol address.
    pub fn arp_tpa(self, prefix: impl Into<Ipv4Net>) -> Self {
        self.arp().field(Field::ArpTpa, prefix.into())
    }

    /// ARP sender's hardware address.
    pub fn arp_sha(self, mac: MacAddr) -> Self {
        self.arp().field(Field::ArpSha, mac)
    }

    /// ARP target's hardware address.
    pub fn arp_tha(self, mac: MacAddr) -> Self {
        self.arp().field(Field::ArpTha, mac)
    }

    /// Flags of the connection tracker; see [`crate::ct_state`].
    pub fn ct_state(self, state: CtState) -> Self {
        self.field(Field::CtState, state)
    }

    /// Zone of the connection.
    pub fn ct_zone(self, zone: u16) -> Self {
        self.field(Field::CtZone, zone)
    }

    /// Mark of the connection.
    pub fn ct_mark(self, mark: impl Into<Masked>) -> Self {
        self.field(Field::CtMark, mark)
    }

    /// The conjunction of this id was completed.
    pub fn conj_id(self, id: u32) -> Self {
        self.field(Field::ConjId, id)
    }
}

impl FromIterator<(Field, Masked)> for Match {
    fn from_iter<T: IntoIterator<Item = (Field, Masked)>>(conditions: T) -> Self {
        let mut this = Self::new();
        for (field, condition) in conditions {
            this.set(field, condition);
        }
        this
    }
}
