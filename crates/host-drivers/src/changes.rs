//! Hears that something was changed in a namespace, by whomever: links, addresses, routes, their rules and forwarding (rtnetlink(7)),
//! packet filters (nfnetlink).
//!
//! What was changed is not read: whoever hears looks at all of it. Messages that were lost because too many came at once
//! are one more reason to look.

use crate::{DriverError, Place};
use nix::libc;
use nix::sys::socket::{AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, socket};
use std::io;
use std::os::fd::AsRawFd;
use tokio::net::UnixDatagram;

/// Multicast groups of rtnetlink as bits of the address: the group's number less one (linux/rtnetlink.h).
const ROUTE_GROUPS: u32 = group(libc::RTNLGRP_LINK)
    | group(libc::RTNLGRP_IPV4_IFADDR)
    | group(libc::RTNLGRP_IPV6_IFADDR)
    | group(libc::RTNLGRP_IPV4_ROUTE)
    | group(libc::RTNLGRP_IPV6_ROUTE)
    | group(libc::RTNLGRP_IPV4_RULE)
    | group(libc::RTNLGRP_IPV6_RULE)
    | group(libc::RTNLGRP_IPV4_NETCONF)
    | group(libc::RTNLGRP_IPV6_NETCONF);
/// `NFNLGRP_NFTABLES` (linux/netfilter/nfnetlink.h).
const FILTER_GROUPS: u32 = group(7);

const fn group(number: libc::c_uint) -> u32 {
    1 << (number - 1)
}

/// What may be other than it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changed {
    /// Links, addresses, routes, forwarding.
    pub links: bool,
    /// Packet filters.
    pub filters: bool,
}

impl Changed {
    /// Whether anything may be.
    pub fn any(self) -> bool {
        self.links || self.filters
    }

    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { links: self.links || other.links, filters: self.filters || other.filters }
    }
}

/// Ears in one namespace: sockets of netlink, which are read from as datagram sockets of any kind are.
#[derive(Debug)]
pub struct Changes {
    links: UnixDatagram,
    filters: UnixDatagram,
}

impl Changes {
    /// Begins to listen there.
    pub async fn open(place: &Place) -> Result<Self, DriverError> {
        let opened = place.run(|| -> io::Result<Self> {
            let listen = |protocol, groups| -> io::Result<UnixDatagram> {
                let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
                let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
                bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
                UnixDatagram::from_std(socket.into())
            };
            Ok(Self {
                links: listen(SockProtocol::NetlinkRoute, ROUTE_GROUPS)?,
                filters: listen(SockProtocol::NetlinkNetFilter, FILTER_GROUPS)?,
            })
        });
        opened.await?.map_err(|source| DriverError::Namespace {
            name: place.to_string(),
            what: "listen for changes in",
            source,
        })
    }

    /// Waits for the next change; all that is known of by then is one. Safe to be cancelled.
    pub async fn next(&self) -> Changed {
        loop {
            let ready = tokio::select! {
                ready = self.links.readable() => ready,
                ready = self.filters.readable() => ready,
            };
            // Only at the end of the runtime.
            if ready.is_err() {
                return std::future::pending().await;
            }
            let changed = self.heard();
            if changed.any() {
                return changed;
            }
        }
    }

    /// What has been heard so far and not been told; nothing is waited for.
    pub fn heard(&self) -> Changed {
        Changed { links: empty(&self.links), filters: empty(&self.filters) }
    }
}

/// Reads all that is there; whether anything was.
fn empty(socket: &UnixDatagram) -> bool {
    let mut buffer = [0; 4096];
    let mut any = false;
    loop {
        match socket.try_recv(&mut buffer) {
            Ok(0) => return any,
            Ok(_) => any = true,
            // More came than the socket holds.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => any = true,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return any,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns;

    #[tokio::test]
    async fn what_is_changed_is_heard_and_told_once() {
        let name = format!("nt-changes-{}", std::process::id());
        netns::create(&name).unwrap();
        let place = Place::named(&name);
        let changes = Changes::open(&place).await.unwrap();
        assert_eq!(changes.heard(), Changed::default());
        let run = |line: &'static str| {
            let place = place.clone();
            async move {
                let words = line.split(' ').map(str::to_owned).collect::<Vec<_>>();
                let mut command = std::process::Command::new(&words[0]);
                assert!(place.run(move || command.args(&words[1..]).status().unwrap().success()).await.unwrap());
            }
        };
        run("ip link set lo up").await;
        assert!(changes.next().await.links);
        run("ip addr add 192.0.2.1/32 dev lo").await;
        assert!(changes.next().await.links);
        run("ip route add blackhole 198.51.100.0/24").await;
        assert!(changes.heard().links);
        run("sysctl -qw net.ipv4.ip_forward=1").await;
        assert!(changes.next().await.links);
        assert!(!changes.heard().any());
        run("nft add table ip neutronium").await;
        assert_eq!(changes.next().await, Changed { links: false, filters: true });
        netns::delete(&name).unwrap();
    }
}
