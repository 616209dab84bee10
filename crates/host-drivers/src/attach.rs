//! Brings a device of the switch into a namespace: DHCP and router ports, probes.
//!
//! Which of the two ways it is follows from the datapath, and is the planner's choice (`host_plan::Attachment`):
//!
//! * [`veth`]: a veth pair whose ends bear the same name, one in the host as the port of `br-int`, one in the namespace. It
//!   survives a restart of `ovs-vswitchd`, and is the only way with the userspace datapath.
//! * [`internal`]: an internal port of the switch that is moved into the namespace, as Neutron does with the kernel's
//!   datapath.
//!
//! Both can be called at any time: what is right stays untouched, what is half made is made whole.

use crate::links::{Link, LinkChange, Links};
use crate::{DriverError, Place, nft, offload, sysctl};
use net_types::MacAddr;
use std::collections::BTreeMap;

/// A device as it must be in its namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// Its name, on both sides.
    pub name: String,
    /// Where it must be.
    pub place: Place,
    /// Its MAC address.
    pub mac: MacAddr,
    /// Bytes of the largest IP packet.
    pub mtu: u16,
    /// False: checksums must be computed before a frame reaches the switch.
    pub checksum_offload: bool,
}

/// Makes or mends a veth pair; the index of the end in the namespace.
pub async fn veth(wanted: &Attached) -> Result<u32, DriverError> {
    let (host, inside) = (Links::open(&Place::Host).await?, Links::open(&wanted.place).await?);
    let (outer, inner) = (host.get(&wanted.name).await?, inside.get(&wanted.name).await?);
    let are_a_pair = |outer: &Link, inner: &Link| inner.peer == Some(outer.index) && outer.peer == Some(inner.index);
    let (outer, inner) = match (outer, inner) {
        (Some(outer), Some(inner)) if are_a_pair(&outer, &inner) => (outer, inner),
        (outer, inner) => {
            // Whatever bears the name is half of something that broke off; one end takes the other with it.
            for (links, link) in [(&inside, inner), (&host, outer)] {
                if let Some(link) = link {
                    links.delete(link.index).await?;
                }
            }
            make_pair(wanted, &host, &inside).await?
        }
    };
    if !(outer.up && inner.up) {
        // New, or an attempt that broke off before the end: both ends are brought up last.
        prepare(wanted).await?;
    }
    if outer.mtu != u32::from(wanted.mtu) || !outer.up {
        let change = LinkChange { mtu: Some(wanted.mtu), up: Some(true), mac: None };
        host.set(outer.index, change).await?;
    }
    settle(&inside, &inner, wanted).await?;
    Ok(inner.index)
}

async fn make_pair(wanted: &Attached, host: &Links, inside: &Links) -> Result<(Link, Link), DriverError> {
    host.add_veth(&wanted.name, &wanted.place, &wanted.name, wanted.mac, wanted.mtu).await?;
    match (host.get(&wanted.name).await?, inside.get(&wanted.name).await?) {
        (Some(outer), Some(inner)) => Ok((outer, inner)),
        _ => Err(DriverError::Netlink {
            what: format!("make the veth pair {}", wanted.name),
            place: wanted.place.to_string(),
            reason: "it is not there afterwards".into(),
            errno: None,
        }),
    }
}

/// Before either end is up: nothing must leak out that the switch or its tap would take for traffic.
async fn prepare(wanted: &Attached) -> Result<(), DriverError> {
    prepare_outer(&wanted.name, wanted.checksum_offload).await?;
    if wanted.checksum_offload { Ok(()) } else { offload::disable(&wanted.place, &wanted.name).await }
}

/// Makes a device in the host fit to be a port of the switch: the host's own stack must not take part.
pub async fn prepare_outer(name: &str, checksum_offload: bool) -> Result<(), DriverError> {
    let silent = BTreeMap::from([(format!("net.ipv6.conf.{}.disable_ipv6", name.replace('.', "/")), "1".to_owned())]);
    sysctl::set(&Place::Host, &silent).await?;
    if !checksum_offload {
        offload::disable(&Place::Host, name).await?;
        // One of an earlier device of that name is bound to nothing: it is made anew.
        if nft::apply(&Place::Host, nft::quiet_anew(name)).await.is_err() {
            nft::apply(&Place::Host, nft::quiet(name)).await?;
        }
    }
    Ok(())
}

/// Moves an internal port of the switch into its namespace, or mends it there; its index. An error while the switch has not
/// made it yet.
pub async fn internal(wanted: &Attached) -> Result<u32, DriverError> {
    let inside = Links::open(&wanted.place).await?;
    if inside.get(&wanted.name).await?.is_none() {
        let host = Links::open(&Place::Host).await?;
        let found = host.get(&wanted.name).await?.ok_or_else(|| missing(wanted))?;
        host.hand_over(found.index, &wanted.place).await?;
    }
    let inner = inside.get(&wanted.name).await?.ok_or_else(|| missing(wanted))?;
    settle(&inside, &inner, wanted).await?;
    Ok(inner.index)
}

fn missing(wanted: &Attached) -> DriverError {
    DriverError::Netlink {
        what: format!("find the internal port {}", wanted.name),
        place: wanted.place.to_string(),
        reason: "the switch has not made it".into(),
        errno: Some(nix::libc::ENODEV),
    }
}

async fn settle(inside: &Links, inner: &Link, wanted: &Attached) -> Result<(), DriverError> {
    let change = LinkChange {
        mac: (inner.mac != wanted.mac).then_some(wanted.mac),
        mtu: (inner.mtu != u32::from(wanted.mtu)).then_some(wanted.mtu),
        up: (!inner.up).then_some(true),
    };
    if change == LinkChange::default() { Ok(()) } else { inside.set(inner.index, change).await }
}

/// Removes a veth pair by its end in the host; fine when it is gone.
pub async fn remove_veth(name: &str) -> Result<(), DriverError> {
    let host = Links::open(&Place::Host).await?;
    match host.get(name).await? {
        Some(outer) => {
            let down = LinkChange { up: Some(false), ..LinkChange::default() };
            host.set(outer.index, down).await?;
            nft::apply(&Place::Host, nft::no_longer_quiet(name)).await?;
            host.delete(outer.index).await
        }
        None => Ok(()),
    }
}
