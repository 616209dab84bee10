//! Tells a link's neighbours of an address: a gratuitous ARP request (RFC 5227, section 3), or an unsolicited neighbour
//! advertisement (RFC 4861, section 7.2.6).

use crate::{DriverError, Place};
use net_types::MacAddr;
use nix::libc;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd};

const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ICMPV6: u8 = 58;

/// Sends one announcement of `address`, which `mac` has, out of `device`.
pub async fn send(place: &Place, device: &str, mac: MacAddr, address: IpAddr) -> Result<(), DriverError> {
    let name = device.to_owned();
    let frame = frame(mac, address);
    let done = place.run(move || send_here(&name, &frame)).await?;
    done.map_err(|source| DriverError::Announce { device: device.to_owned(), source })
}

/// The Ethernet frame.
fn frame(mac: MacAddr, address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => gratuitous_arp(mac, address),
        IpAddr::V6(address) => neighbour_advertisement(mac, address),
    }
}

fn gratuitous_arp(mac: MacAddr, address: Ipv4Addr) -> Vec<u8> {
    let mut frame = Vec::with_capacity(42);
    frame.extend(MacAddr::BROADCAST.0);
    frame.extend(mac.0);
    frame.extend(ETHERTYPE_ARP.to_be_bytes());
    // Ethernet, IPv4, their lengths, request.
    frame.extend([0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(mac.0);
    frame.extend(address.octets());
    frame.extend([0; 6]);
    frame.extend(address.octets());
    frame
}

fn neighbour_advertisement(mac: MacAddr, address: Ipv6Addr) -> Vec<u8> {
    const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    // Type, code, checksum; router and override flags; target; target link-layer address option.
    let mut message = vec![136, 0, 0, 0, 0xa0, 0, 0, 0];
    message.extend(address.octets());
    message.extend([2, 1]);
    message.extend(mac.0);
    let checksum = checksum(address, ALL_NODES, &message);
    message[2..4].copy_from_slice(&checksum.to_be_bytes());

    let mut frame = vec![0x33, 0x33, 0, 0, 0, 1];
    frame.extend(mac.0);
    frame.extend(ETHERTYPE_IPV6.to_be_bytes());
    // Version 6, payload length, next header, hop limit.
    frame.extend([0x60, 0, 0, 0, 0, 32, ICMPV6, 255]);
    frame.extend(address.octets());
    frame.extend(ALL_NODES.octets());
    frame.extend(message);
    frame
}

/// RFC 4443, section 2.3: over a pseudo-header and the message, of even length here.
fn checksum(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> u16 {
    let length = u32::try_from(message.len()).unwrap_or_default();
    let pseudo = [&source.octets()[..], &destination.octets()[..], &length.to_be_bytes(), &[0, 0, 0, ICMPV6]].concat();
    let words = pseudo.chunks_exact(2).chain(message.chunks_exact(2)).map(|word| match word {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

#[allow(unsafe_code)]
fn send_here(device: &str, frame: &[u8]) -> io::Result<()> {
    let index = nix::net::if_::if_nametoindex(device).map_err(io::Error::from)?;
    let socket: OwnedFd = socket2::Socket::new(socket2::Domain::PACKET, socket2::Type::RAW, None)?.into();
    // SAFETY: an all-zero sockaddr_ll is a valid one.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_ifindex = i32::try_from(index).map_err(io::Error::other)?;
    let length = libc::socklen_t::try_from(size_of_val(&address)).map_err(io::Error::other)?;
    // SAFETY: the frame and the address live until the call returns, and their lengths are given.
    let sent = unsafe {
        libc::sendto(socket.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0, (&raw const address).cast(), length)
    };
    if sent >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gratuitous_arp_asks_for_its_own_address() {
        let mac = "fa:16:3e:9c:eb:28".parse().unwrap();
        let parsed = frame(mac, "198.51.100.238".parse().unwrap());
        assert_eq!(
            parsed,
            [
                255, 255, 255, 255, 255, 255, 0xfa, 0x16, 0x3e, 0x9c, 0xeb, 0x28, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 0xfa,
                0x16, 0x3e, 0x9c, 0xeb, 0x28, 198, 51, 100, 238, 0, 0, 0, 0, 0, 0, 198, 51, 100, 238
            ]
        );
    }

    #[test]
    fn an_advertisement_checks_out() {
        let mac = "fa:16:3e:9c:eb:28".parse().unwrap();
        let address: Ipv6Addr = "fe80::f816:3eff:fe9c:eb28".parse().unwrap();
        let frame = neighbour_advertisement(mac, address);
        assert_eq!(frame.len(), 14 + 40 + 32);
        // The sum over a message with its right checksum in place is zero.
        assert_eq!(checksum(address, "ff02::1".parse().unwrap(), &frame[54..]), 0);
    }
}
