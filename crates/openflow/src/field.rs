//! Every packet and metadata field that flows may match or change: one declaration per field, from which names, widths
//! and wire identifiers are all read.
//!
//! Source: ovs-fields(7) and OpenFlow 1.4, section 7.2.3.7. A field that is not here (MPLS, NSH, tunnel metadata) makes
//! a foreign flow unreadable, which [`crate::wire::FlowStatsReply`] reports without failing the others.

use serde::{Deserialize, Serialize};

/// How an OXM/NXM TLV names a field on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OxmId {
    /// 0x0000 and 0x0001 are Nicira's, 0x8000 is OpenFlow's, 0x8001 its packet registers, 0xffff an experimenter's.
    pub class: u16,
    /// Field number inside the class, 0 to 127.
    pub field: u8,
    /// Experimenter id; zero unless `class` is 0xffff.
    pub experimenter: u32,
}

const fn nxm0(field: u8) -> OxmId {
    OxmId { class: 0, field, experimenter: 0 }
}
const fn nxm1(field: u8) -> OxmId {
    OxmId { class: 1, field, experimenter: 0 }
}
const fn oxm(field: u8) -> OxmId {
    OxmId { class: 0x8000, field, experimenter: 0 }
}
const fn pkt_reg(field: u8) -> OxmId {
    OxmId { class: 0x8001, field, experimenter: 0 }
}
/// The Open Networking Foundation's own experimenter class.
const fn onf(field: u8) -> OxmId {
    OxmId { class: 0xffff, field, experimenter: 0x4f4e_4600 }
}
/// Nicira's experimenter class (NXOXM_ET_*).
const fn nicira(field: u8) -> OxmId {
    OxmId { class: 0xffff, field, experimenter: 0x0000_2320 }
}

/// How `ovs-ofctl` writes values of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Decimal when exact, hexadecimal when masked.
    Decimal,
    /// `0x1f`, but zero is `0`.
    Hex,
    /// `fa:16:3e:00:00:01`.
    Mac,
    /// Dotted quad; masks as a prefix length where they are one.
    Ipv4,
    /// RFC 5952; masks as a prefix length where they are one.
    Ipv6,
    /// A number, a reserved name or a port's name.
    Port,
    /// `+est-rel`.
    CtState,
    /// `no`, `yes`, `first`, `later`, `not_later`.
    Fragment,
    /// `+syn-ack`.
    TcpFlags,
}

/// What is known of one field.
#[derive(Debug)]
pub struct FieldInfo {
    /// The field itself.
    pub field: Field,
    /// Name in matches and `set_field`; further accepted names follow.
    pub names: &'static [&'static str],
    /// Names in `load`, `move`, `learn` and `ct(zone=...)`; the first is the one printed.
    pub symbols: &'static [&'static str],
    /// Significant bits.
    pub bits: u16,
    /// Octets on the wire.
    pub octets: u8,
    /// Notation of values.
    pub format: Format,
    /// Identifier used when a match or `set_field` is sent.
    pub oxm: OxmId,
    /// Identifier inside Nicira actions (load, move, learn), as Open vSwitch itself writes it.
    pub nxm: OxmId,
    /// Further identifiers understood when reading.
    pub also: &'static [OxmId],
}

macro_rules! fields {
    ($($(#[$doc:meta])* $field:ident $names:tt $symbols:tt $bits:literal / $octets:literal $format:ident
       $oxm:expr, $nxm:expr $(, $also:expr)*;)*) => {
        /// A field that a flow can match, set, copy or learn.
        ///
        /// The order is that of the declaration; it only has to be stable, for it orders canonical matches.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[allow(missing_docs)]
        pub enum Field { $($(#[$doc])* $field),* }

        impl Field {
            /// All fields, in order.
            pub const ALL: &'static [Field] = &[$(Field::$field),*];

            /// The declaration of this field.
            pub fn info(self) -> &'static FieldInfo {
                match self {
                    $(Field::$field => {
                        const INFO: FieldInfo = FieldInfo {
                            field: Field::$field, names: &$names, symbols: &$symbols, bits: $bits, octets: $octets,
                            format: Format::$format, oxm: $oxm, nxm: $nxm, also: &[$($also),*],
                        };
                        &INFO
                    })*
                }
            }
        }
    };
}

fields! {
    /// Port of arrival, 32 bits.
    InPort ["in_port_oxm"] ["OXM_OF_IN_PORT"] 32/4 Port oxm(0), oxm(0);
    /// The same in 16 bits, for Nicira's load and move; in a match it becomes [`Field::InPort`].
    InPortNxm ["in_port"] ["NXM_OF_IN_PORT"] 16/2 Port nxm0(0), nxm0(0);
    EthDst ["eth_dst", "dl_dst"] ["NXM_OF_ETH_DST", "OXM_OF_ETH_DST"] 48/6 Mac oxm(3), nxm0(1);
    EthSrc ["eth_src", "dl_src"] ["NXM_OF_ETH_SRC", "OXM_OF_ETH_SRC"] 48/6 Mac oxm(4), nxm0(2);
    EthType ["eth_type", "dl_type"] ["NXM_OF_ETH_TYPE", "OXM_OF_ETH_TYPE"] 16/2 Hex oxm(5), nxm0(3);
    /// The outermost 802.1Q tag control word; bit 12 says that a tag is there. Matches on VLANs are kept in this form.
    VlanTci ["vlan_tci"] ["NXM_OF_VLAN_TCI"] 16/2 Hex nxm0(4), nxm0(4);
    /// VLAN id with the present bit (0x1000), for `set_field`; in a match it becomes [`Field::VlanTci`].
    VlanVid ["vlan_vid"] ["OXM_OF_VLAN_VID"] 13/2 Decimal oxm(6), oxm(6);
    /// 802.1p priority, 0 to 7; in a match it becomes [`Field::VlanTci`].
    VlanPcp ["vlan_pcp"] ["OXM_OF_VLAN_PCP"] 3/1 Decimal oxm(7), oxm(7);
    /// Differentiated services code point, 0 to 63.
    IpDscp ["ip_dscp"] ["OXM_OF_IP_DSCP"] 6/1 Decimal oxm(8), oxm(8);
    /// The old type-of-service octet, DSCP times four; in a match it becomes [`Field::IpDscp`].
    IpTos ["nw_tos"] ["NXM_OF_IP_TOS"] 8/1 Decimal nxm0(5), nxm0(5);
    IpEcn ["nw_ecn", "ip_ecn"] ["NXM_NX_IP_ECN", "OXM_OF_IP_ECN"] 2/1 Decimal oxm(9), nxm1(28);
    IpTtl ["nw_ttl"] ["NXM_NX_IP_TTL"] 8/1 Decimal nxm1(29), nxm1(29);
    /// Bit 0: a fragment; bit 1: not the first one.
    IpFrag ["ip_frag", "nw_frag"] ["NXM_NX_IP_FRAG"] 2/1 Fragment nxm1(26), nxm1(26);
    IpProto ["nw_proto", "ip_proto"] ["NXM_OF_IP_PROTO", "OXM_OF_IP_PROTO"] 8/1 Decimal oxm(10), nxm0(6);
    Ipv4Src ["ip_src", "nw_src"] ["NXM_OF_IP_SRC", "OXM_OF_IPV4_SRC"] 32/4 Ipv4 oxm(11), nxm0(7);
    Ipv4Dst ["ip_dst", "nw_dst"] ["NXM_OF_IP_DST", "OXM_OF_IPV4_DST"] 32/4 Ipv4 oxm(12), nxm0(8);
    TcpSrc ["tcp_src"] ["NXM_OF_TCP_SRC", "OXM_OF_TCP_SRC"] 16/2 Decimal oxm(13), nxm0(9);
    TcpDst ["tcp_dst"] ["NXM_OF_TCP_DST", "OXM_OF_TCP_DST"] 16/2 Decimal oxm(14), nxm0(10);
    TcpFlags ["tcp_flags"] ["NXM_NX_TCP_FLAGS", "OXM_OF_TCP_FLAGS"] 12/2 TcpFlags onf(42), nxm1(34), oxm(42);
    UdpSrc ["udp_src"] ["NXM_OF_UDP_SRC", "OXM_OF_UDP_SRC"] 16/2 Decimal oxm(15), nxm0(11);
    UdpDst ["udp_dst"] ["NXM_OF_UDP_DST", "OXM_OF_UDP_DST"] 16/2 Decimal oxm(16), nxm0(12);
    SctpSrc ["sctp_src"] ["OXM_OF_SCTP_SRC"] 16/2 Decimal oxm(17), oxm(17);
    SctpDst ["sctp_dst"] ["OXM_OF_SCTP_DST"] 16/2 Decimal oxm(18), oxm(18);
    Icmpv4Type ["icmp_type"] ["NXM_OF_ICMP_TYPE", "OXM_OF_ICMPV4_TYPE"] 8/1 Decimal oxm(19), nxm0(13);
    Icmpv4Code ["icmp_code"] ["NXM_OF_ICMP_CODE", "OXM_OF_ICMPV4_CODE"] 8/1 Decimal oxm(20), nxm0(14);
    /// 1 is a request, 2 a reply.
    ArpOp ["arp_op"] ["NXM_OF_ARP_OP", "OXM_OF_ARP_OP"] 16/2 Decimal oxm(21), nxm0(15);
    /// Protocol address of the sender.
    ArpSpa ["arp_spa"] ["NXM_OF_ARP_SPA", "OXM_OF_ARP_SPA"] 32/4 Ipv4 oxm(22), nxm0(16);
    /// Protocol address that is asked for.
    ArpTpa ["arp_tpa"] ["NXM_OF_ARP_TPA", "OXM_OF_ARP_TPA"] 32/4 Ipv4 oxm(23), nxm0(17);
    /// Hardware address of the sender.
    ArpSha ["arp_sha"] ["NXM_NX_ARP_SHA", "OXM_OF_ARP_SHA"] 48/6 Mac oxm(24), nxm1(17);
    /// Hardware address of the target.
    ArpTha ["arp_tha"] ["NXM_NX_ARP_THA", "OXM_OF_ARP_THA"] 48/6 Mac oxm(25), nxm1(18);
    Ipv6Src ["ipv6_src"] ["NXM_NX_IPV6_SRC", "OXM_OF_IPV6_SRC"] 128/16 Ipv6 oxm(26), nxm1(19);
    Ipv6Dst ["ipv6_dst"] ["NXM_NX_IPV6_DST", "OXM_OF_IPV6_DST"] 128/16 Ipv6 oxm(27), nxm1(20);
    Ipv6Label ["ipv6_label"] ["NXM_NX_IPV6_LABEL", "OXM_OF_IPV6_FLABEL"] 20/4 Hex oxm(28), nxm1(27);
    Icmpv6Type ["icmpv6_type"] ["NXM_NX_ICMPV6_TYPE", "OXM_OF_ICMPV6_TYPE"] 8/1 Decimal oxm(29), nxm1(21);
    Icmpv6Code ["icmpv6_code"] ["NXM_NX_ICMPV6_CODE", "OXM_OF_ICMPV6_CODE"] 8/1 Decimal oxm(30), nxm1(22);
    NdTarget ["nd_target"] ["NXM_NX_ND_TARGET", "OXM_OF_IPV6_ND_TARGET"] 128/16 Ipv6 oxm(31), nxm1(23);
    NdSll ["nd_sll"] ["NXM_NX_ND_SLL", "OXM_OF_IPV6_ND_SLL"] 48/6 Mac oxm(32), nxm1(24);
    NdTll ["nd_tll"] ["NXM_NX_ND_TLL", "OXM_OF_IPV6_ND_TLL"] 48/6 Mac oxm(33), nxm1(25);
    /// Tunnel key; the VNI of VXLAN.
    TunId ["tun_id", "tunnel_id"] ["NXM_NX_TUN_ID", "OXM_OF_TUNNEL_ID"] 64/8 Hex oxm(38), nxm1(16);
    TunSrc ["tun_src"] ["NXM_NX_TUN_IPV4_SRC"] 32/4 Ipv4 nxm1(31), nxm1(31);
    TunDst ["tun_dst"] ["NXM_NX_TUN_IPV4_DST"] 32/4 Ipv4 nxm1(32), nxm1(32);
    TunIpv6Src ["tun_ipv6_src"] ["NXM_NX_TUN_IPV6_SRC"] 128/16 Ipv6 nxm1(109), nxm1(109);
    TunIpv6Dst ["tun_ipv6_dst"] ["NXM_NX_TUN_IPV6_DST"] 128/16 Ipv6 nxm1(110), nxm1(110);
    Metadata ["metadata"] ["OXM_OF_METADATA"] 64/8 Hex oxm(2), oxm(2);
    PktMark ["pkt_mark"] ["NXM_NX_PKT_MARK"] 32/4 Hex nxm1(33), nxm1(33);
    DpHash ["dp_hash"] ["NXOXM_ET_DP_HASH"] 32/4 Hex nicira(0), nicira(0);
    ActsetOutput ["actset_output"] ["ONFOXM_ET_ACTSET_OUTPUT", "OXM_OF_ACTSET_OUTPUT"] 32/4 Port onf(43), onf(43), oxm(43);
    /// Which conjunction was completed.
    ConjId ["conj_id"] ["NXM_NX_CONJ_ID"] 32/4 Decimal nxm1(37), nxm1(37);
    /// Bits of [`crate::CtState`].
    CtState ["ct_state"] ["NXM_NX_CT_STATE"] 8/4 CtState nxm1(105), nxm1(105);
    CtZone ["ct_zone"] ["NXM_NX_CT_ZONE"] 16/2 Decimal nxm1(106), nxm1(106);
    CtMark ["ct_mark"] ["NXM_NX_CT_MARK"] 32/4 Hex nxm1(107), nxm1(107);
    CtLabel ["ct_label"] ["NXM_NX_CT_LABEL"] 128/16 Hex nxm1(108), nxm1(108);
    CtNwProto ["ct_nw_proto"] ["NXM_NX_CT_NW_PROTO"] 8/1 Decimal nxm1(119), nxm1(119);
    CtNwSrc ["ct_nw_src"] ["NXM_NX_CT_NW_SRC"] 32/4 Ipv4 nxm1(120), nxm1(120);
    CtNwDst ["ct_nw_dst"] ["NXM_NX_CT_NW_DST"] 32/4 Ipv4 nxm1(121), nxm1(121);
    CtIpv6Src ["ct_ipv6_src"] ["NXM_NX_CT_IPV6_SRC"] 128/16 Ipv6 nxm1(122), nxm1(122);
    CtIpv6Dst ["ct_ipv6_dst"] ["NXM_NX_CT_IPV6_DST"] 128/16 Ipv6 nxm1(123), nxm1(123);
    CtTpSrc ["ct_tp_src"] ["NXM_NX_CT_TP_SRC"] 16/2 Decimal nxm1(124), nxm1(124);
    CtTpDst ["ct_tp_dst"] ["NXM_NX_CT_TP_DST"] 16/2 Decimal nxm1(125), nxm1(125);
    Reg0 ["reg0"] ["NXM_NX_REG0"] 32/4 Hex nxm1(0), nxm1(0);
    Reg1 ["reg1"] ["NXM_NX_REG1"] 32/4 Hex nxm1(1), nxm1(1);
    Reg2 ["reg2"] ["NXM_NX_REG2"] 32/4 Hex nxm1(2), nxm1(2);
    Reg3 ["reg3"] ["NXM_NX_REG3"] 32/4 Hex nxm1(3), nxm1(3);
    Reg4 ["reg4"] ["NXM_NX_REG4"] 32/4 Hex nxm1(4), nxm1(4);
    Reg5 ["reg5"] ["NXM_NX_REG5"] 32/4 Hex nxm1(5), nxm1(5);
    Reg6 ["reg6"] ["NXM_NX_REG6"] 32/4 Hex nxm1(6), nxm1(6);
    Reg7 ["reg7"] ["NXM_NX_REG7"] 32/4 Hex nxm1(7), nxm1(7);
    Reg8 ["reg8"] ["NXM_NX_REG8"] 32/4 Hex nxm1(8), nxm1(8);
    Reg9 ["reg9"] ["NXM_NX_REG9"] 32/4 Hex nxm1(9), nxm1(9);
    Reg10 ["reg10"] ["NXM_NX_REG10"] 32/4 Hex nxm1(10), nxm1(10);
    Reg11 ["reg11"] ["NXM_NX_REG11"] 32/4 Hex nxm1(11), nxm1(11);
    Reg12 ["reg12"] ["NXM_NX_REG12"] 32/4 Hex nxm1(12), nxm1(12);
    Reg13 ["reg13"] ["NXM_NX_REG13"] 32/4 Hex nxm1(13), nxm1(13);
    Reg14 ["reg14"] ["NXM_NX_REG14"] 32/4 Hex nxm1(14), nxm1(14);
    Reg15 ["reg15"] ["NXM_NX_REG15"] 32/4 Hex nxm1(15), nxm1(15);
    /// reg0 and reg1 as one, for actions; a match keeps the halves.
    XReg0 ["xreg0"] ["OXM_OF_PKT_REG0"] 64/8 Hex pkt_reg(0), pkt_reg(0);
    XReg1 ["xreg1"] ["OXM_OF_PKT_REG1"] 64/8 Hex pkt_reg(1), pkt_reg(1);
    XReg2 ["xreg2"] ["OXM_OF_PKT_REG2"] 64/8 Hex pkt_reg(2), pkt_reg(2);
    XReg3 ["xreg3"] ["OXM_OF_PKT_REG3"] 64/8 Hex pkt_reg(3), pkt_reg(3);
    XReg4 ["xreg4"] ["OXM_OF_PKT_REG4"] 64/8 Hex pkt_reg(4), pkt_reg(4);
    XReg5 ["xreg5"] ["OXM_OF_PKT_REG5"] 64/8 Hex pkt_reg(5), pkt_reg(5);
    XReg6 ["xreg6"] ["OXM_OF_PKT_REG6"] 64/8 Hex pkt_reg(6), pkt_reg(6);
    XReg7 ["xreg7"] ["OXM_OF_PKT_REG7"] 64/8 Hex pkt_reg(7), pkt_reg(7);
    /// reg0 to reg3 as one, for actions; a match keeps the quarters.
    XXReg0 ["xxreg0"] ["NXM_NX_XXREG0"] 128/16 Hex nxm1(111), nxm1(111);
    XXReg1 ["xxreg1"] ["NXM_NX_XXREG1"] 128/16 Hex nxm1(112), nxm1(112);
    XXReg2 ["xxreg2"] ["NXM_NX_XXREG2"] 128/16 Hex nxm1(113), nxm1(113);
    XXReg3 ["xxreg3"] ["NXM_NX_XXREG3"] 128/16 Hex nxm1(114), nxm1(114);
}

impl Field {
    /// All bits that the field has.
    pub fn full_mask(self) -> u128 {
        u128::MAX >> (128 - u32::from(self.info().bits))
    }

    /// The field that an OXM/NXM header names, if it is one we know.
    pub fn from_oxm(id: OxmId) -> Option<Self> {
        Self::ALL.iter().copied().find(|field| {
            let info = field.info();
            info.oxm == id || info.nxm == id || info.also.contains(&id)
        })
    }

    /// The field with this name in matches and `set_field` (`dl_src`, `eth_src`, `reg5`).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|field| field.info().names.contains(&name))
    }

    /// The field with this symbol (`NXM_NX_REG6`, `OXM_OF_IN_PORT`).
    pub fn from_symbol(symbol: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|field| field.info().symbols.contains(&symbol))
    }

    /// Source port field of an IP protocol that has ports (TCP, UDP, SCTP).
    pub fn transport_src(protocol: u8) -> Option<Self> {
        match protocol {
            6 => Some(Self::TcpSrc),
            17 => Some(Self::UdpSrc),
            132 => Some(Self::SctpSrc),
            _ => None,
        }
    }

    /// Destination port field of an IP protocol that has ports (TCP, UDP, SCTP).
    pub fn transport_dst(protocol: u8) -> Option<Self> {
        match protocol {
            6 => Some(Self::TcpDst),
            17 => Some(Self::UdpDst),
            132 => Some(Self::SctpDst),
            _ => None,
        }
    }

    /// Packet register `index`, 0 to 15.
    pub fn reg(index: u8) -> Option<Self> {
        Self::ALL.iter().copied().filter(|f| (Field::Reg0..=Field::Reg15).contains(f)).nth(usize::from(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn declarations_do_not_clash() {
        let (mut ids, mut names) = (HashSet::new(), HashSet::new());
        for field in Field::ALL {
            let info = field.info();
            let mut own: Vec<_> = [info.oxm, info.nxm].into_iter().chain(info.also.iter().copied()).collect();
            own.sort();
            own.dedup();
            for id in own {
                assert!(ids.insert(id), "{id:?} twice, second at {field:?}");
                assert_eq!(Field::from_oxm(id), Some(*field));
            }
            for name in info.names.iter().chain(info.symbols) {
                assert!(names.insert(name), "{name} twice");
            }
            assert!(info.bits.div_ceil(8) <= u16::from(info.octets), "{field:?} does not fit");
            assert_eq!(info.field, *field);
        }
        assert_eq!(Field::reg(15), Some(Field::Reg15));
        assert_eq!(Field::reg(16), None);
    }
}
