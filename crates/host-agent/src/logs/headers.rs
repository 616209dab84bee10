//! The headers of a packet in one line. Whatever the octets, there is a text, and never a panic.

use net_types::MacAddr;
use openflow::{eth_type, ip_proto};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The headers of an Ethernet frame.
pub(super) struct Headers<'a>(pub &'a [u8]);

/// Takes fields off the front.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.0 = self.0.get(count..)?;
        Some(())
    }

    fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[octet]| octet)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    fn mac(&mut self) -> Option<MacAddr> {
        self.take().map(MacAddr)
    }

    fn v4(&mut self) -> Option<Ipv4Addr> {
        self.take::<4>().map(Ipv4Addr::from)
    }

    fn v6(&mut self) -> Option<Ipv6Addr> {
        self.take::<16>().map(Ipv6Addr::from)
    }
}

impl fmt::Display for Headers<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        if ethernet(&mut Fields(self.0), &mut text).is_none() {
            text.push_str("(cut short)");
        }
        out.write_str(&text)
    }
}

/// None: the packet ends within a header.
fn ethernet(fields: &mut Fields<'_>, text: &mut String) -> Option<()> {
    let (to, from, mut kind) = (fields.mac()?, fields.mac()?, fields.u16()?);
    *text += &format!("ethernet(src={from},dst={to},ethertype={kind:#06x})");
    for _ in 0..2 {
        if matches!(kind, 0x8100 | 0x88a8) {
            let tag = fields.u16()?;
            kind = fields.u16()?;
            *text += &format!("vlan(vid={},pcp={},ethertype={kind:#06x})", tag & 0xfff, tag >> 13);
        }
    }
    match kind {
        eth_type::IPV4 => ipv4(fields, text),
        eth_type::IPV6 => ipv6(fields, text),
        eth_type::ARP => {
            fields.skip(6)?;
            let (op, sha, spa, tha, tpa) = (fields.u16()?, fields.mac()?, fields.v4()?, fields.mac()?, fields.v4()?);
            *text += &format!("arp(opcode={op},src_mac={sha},src_ip={spa},dst_mac={tha},dst_ip={tpa})");
            Some(())
        }
        _ => Some(()),
    }
}

fn ipv4(fields: &mut Fields<'_>, text: &mut String) -> Option<()> {
    let (version, tos, length) = (fields.u8()?, fields.u8()?, fields.u16()?);
    let (id, fragment) = (fields.u16()?, fields.u16()?);
    let (ttl, protocol, _checksum) = (fields.u8()?, fields.u8()?, fields.u16()?);
    let (source, target) = (fields.v4()?, fields.v4()?);
    *text += &format!(
        "ipv4(src={source},dst={target},proto={protocol},ttl={ttl},tos={tos},total_length={length},identification={id})"
    );
    fields.skip((usize::from(version & 0xf) * 4).saturating_sub(20))?;
    match fragment & 0x1fff {
        0 => transport(fields, protocol, text),
        offset => {
            *text += &format!("fragment(offset={})", u32::from(offset) * 8);
            Some(())
        }
    }
}

fn ipv6(fields: &mut Fields<'_>, text: &mut String) -> Option<()> {
    fields.skip(4)?;
    let (length, next, hops) = (fields.u16()?, fields.u8()?, fields.u8()?);
    let (source, target) = (fields.v6()?, fields.v6()?);
    *text += &format!("ipv6(src={source},dst={target},nxt={next},hop_limit={hops},payload_length={length})");
    transport(fields, next, text)
}

fn transport(fields: &mut Fields<'_>, protocol: u8, text: &mut String) -> Option<()> {
    match protocol {
        ip_proto::TCP => {
            let (source, target) = (fields.u16()?, fields.u16()?);
            fields.skip(9)?;
            let flags = fields.u8()?;
            *text += &format!("tcp(src_port={source},dst_port={target},bits={flags:#04x})");
        }
        ip_proto::UDP => *text += &format!("udp(src_port={},dst_port={})", fields.u16()?, fields.u16()?),
        ip_proto::SCTP => *text += &format!("sctp(src_port={},dst_port={})", fields.u16()?, fields.u16()?),
        ip_proto::ICMP => *text += &format!("icmp(type={},code={})", fields.u8()?, fields.u8()?),
        ip_proto::ICMPV6 => *text += &format!("icmpv6(type={},code={})", fields.u8()?, fields.u8()?),
        _ => {}
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn octets(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> =
            hex.bytes().filter_map(|digit| (digit as char).to_digit(16).map(|digit| digit as u8)).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    const TCP: &str = "fa163e000002 fa163e000001 0800 45000028 00010000 4006 0000 0a000001 0a000002
        9c40 0016 00000000 00000000 5002 2000 0000 0000";

    #[test]
    fn packets_as_text() {
        let shown = |hex: &str| Headers(&octets(hex)).to_string();
        let ethernet = "ethernet(src=fa:16:3e:00:00:01,dst=fa:16:3e:00:00:02,ethertype=";
        assert_eq!(
            shown(TCP),
            format!(
                "{ethernet}0x0800)ipv4(src=10.0.0.1,dst=10.0.0.2,proto=6,ttl=64,tos=0,total_length=40,identification=1)\
                 tcp(src_port=40000,dst_port=22,bits=0x02)"
            )
        );
        let v6 = "fa163e000002 fa163e000001 86dd 60000000 0008 3a40 fe80000000000000 0000000000000001
            fe80000000000000 0000000000000002 8000 0000 0000 0000";
        assert_eq!(
            shown(v6),
            format!(
                "{ethernet}0x86dd)ipv6(src=fe80::1,dst=fe80::2,nxt=58,hop_limit=64,payload_length=8)icmpv6(type=128,code=0)"
            )
        );
        let arp =
            "fa163e000002 fa163e000001 8100 0007 0806 0001 0800 06 04 0001 fa163e000001 0a000001 000000000000 0a000002";
        assert_eq!(
            shown(arp),
            format!(
                "{ethernet}0x8100)vlan(vid=7,pcp=0,ethertype=0x0806)\
                 arp(opcode=1,src_mac=fa:16:3e:00:00:01,src_ip=10.0.0.1,dst_mac=00:00:00:00:00:00,dst_ip=10.0.0.2)"
            )
        );
    }

    #[test]
    fn whatever_comes_has_a_text_of_one_line() {
        let whole = octets(TCP);
        for end in 0..whole.len() {
            for changed in [0u8, 0x11, 0x81, 0xff] {
                let mut octets = whole[..end].to_vec();
                if let Some(last) = octets.last_mut() {
                    *last ^= changed;
                }
                assert!(!Headers(&octets).to_string().contains('\n'));
            }
        }
        assert!(Headers(&whole[..30]).to_string().ends_with("(cut short)"));
    }
}
