//! Names of bridges' ports, devices and namespaces: Neutron's, so that operators find what they look for.
//!
//! ```text
//! tap + 11 characters of the port id     instance or DHCP port      qdhcp-  + network id
//! qr- + 11 characters of the port id     router interface           qrouter- + router id
//! qg- + 11 characters of the port id     router gateway
//! sg- + 11 characters of the port id     how copies of a distributed router reach the central one
//! patch-tun / patch-int                  br-int <-> br-tun
//! int-<bridge> / phy-<bridge>            br-int <-> physical bridge (at most 15 characters)
//! vxlan-0a4d0002                         tunnel to 10.77.0.2
//! ha-0a4d0002                            BFD session with 10.77.0.2
//! tbr- + 10 characters of the trunk id   bridge of a trunk (`TrunkId::bridge`)
//! tpt-/tpi- + 11 of the parent's id      trunk's bridge <-> br-int, parent
//! spt-/spi- + 11 of the subport's id     trunk's bridge <-> br-int, subport
//! tmo-, tmp- + 11 of the tap service's id  where a mirror puts copies out, and the other end if that is a patch
//! tmv-, tme-, tmg- + the same             where copies from other hosts arrive, by VXLAN, Geneve, GRE
//! tmt-, tmu- + 8 of a hash               where a mirror on a trunk's bridge puts copies out, and the other end, on br-int
//! tmi-, tmq-, tmb- + 11 of the tap mirror's id  tunnel to its collector: copies of what its port gets, sends, both
//! ```

use net_types::{NetworkId, NetworkType, PortId, RouterId};
use std::net::IpAddr;
use uuid::Uuid;

/// The longest name that the kernel gives a device (IFNAMSIZ less its NUL).
const DEVICE_NAME: usize = 15;

/// On the integration bridge, towards the tunnel bridge.
pub const PATCH_TUN: &str = "patch-tun";
/// On the tunnel bridge, towards the integration bridge.
pub const PATCH_INT: &str = "patch-int";

/// Device of an instance's or DHCP port.
pub fn tap(port: PortId) -> String {
    format!("tap{}", port.short())
}

/// Device of a router's internal port.
pub fn router_interface(port: PortId) -> String {
    format!("qr-{}", port.short())
}

/// Device of a router's gateway port.
pub fn router_gateway(port: PortId) -> String {
    format!("qg-{}", port.short())
}

/// Device of the port by which the copies of a distributed router reach the host with its ways out.
pub fn router_snat(port: PortId) -> String {
    format!("sg-{}", port.short())
}

/// Namespace of a network's DHCP server.
pub fn dhcp_namespace(network: NetworkId) -> String {
    format!("qdhcp-{network}")
}

/// Namespace of a router.
pub fn router_namespace(router: RouterId) -> String {
    format!("qrouter-{router}")
}

/// The two ends of the patch between the integration bridge and a physical bridge: `int-<bridge>`, `phy-<bridge>`.
///
/// A name that would be too long keeps its first characters and ends in six of the hash of the whole, so that two long
/// bridge names do not fall together.
pub fn physical_patch(bridge: &str) -> (String, String) {
    let end = |prefix: &str| {
        let whole = format!("{prefix}{bridge}");
        if whole.len() <= DEVICE_NAME {
            return whole;
        }
        let kept: String = whole.chars().take(DEVICE_NAME - 6).filter(char::is_ascii).collect();
        format!("{kept}{:06x}", crate::ids::hash(bridge.as_bytes()) & 0xff_ffff)
    };
    (end("int-"), end("phy-"))
}

/// The two ends of the patch of a trunk's parent: on the integration bridge, on the trunk's bridge.
pub fn trunk_parent(port: PortId) -> (String, String) {
    (format!("tpi-{}", port.short()), format!("tpt-{}", port.short()))
}

/// The two ends of the patch of a subport: on the integration bridge, on the trunk's bridge.
pub fn trunk_subport(port: PortId) -> (String, String) {
    (format!("spi-{}", port.short()), format!("spt-{}", port.short()))
}

/// A port for copies of mirrored ports; `kind` as above, `id` the tap service's or tap mirror's.
pub fn mirror(kind: &str, id: Uuid) -> String {
    format!("{kind}-{}", PortId(id).short())
}

/// The mirror on a trunk's bridge of the frames with a tag (0: without), for the mirror of this name on the integration
/// bridge. It is no port's name.
pub fn mirror_of_tag(mirror: &str, tag: u16) -> String {
    format!("{mirror}.{tag}")
}

/// The two ends of the patch that such mirrors put copies out by: on the trunk's bridge, on the integration bridge.
pub fn mirror_patch(mirror: &str, trunk_bridge: &str) -> (String, String) {
    let hash = crate::ids::hash(format!("{mirror} {trunk_bridge}").as_bytes());
    (format!("tmt-{hash:08x}"), format!("tmu-{hash:08x}"))
}

/// Whether a mirror is of this tap service or tap mirror.
pub fn is_mirror_of(name: &str, id: Uuid) -> bool {
    let of_port = name.split_once('.').map_or(name, |(port, _)| port);
    of_port.split_once('-').is_some_and(|(_, rest)| rest == PortId(id).short())
}

/// Port of the tunnel to a peer: the type and the address in hexadecimal; of an IPv6 address its hash.
pub fn tunnel(kind: NetworkType, remote: IpAddr) -> String {
    format!("{kind}-{:08x}", number(remote))
}

/// Port of the BFD session with a peer.
pub fn liveness(remote: IpAddr) -> String {
    format!("ha-{:08x}", number(remote))
}

fn number(remote: IpAddr) -> u32 {
    match remote {
        IpAddr::V4(address) => address.to_bits(),
        IpAddr::V6(address) => crate::ids::hash(&address.octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_neutrons() {
        let port: PortId = "739c4cf2-0b00-4000-8000-000000000000".parse().unwrap();
        assert_eq!(tap(port), "tap739c4cf2-0b");
        assert_eq!(tunnel(NetworkType::Vxlan, "10.77.0.2".parse().unwrap()), "vxlan-0a4d0002");
        assert_eq!(physical_patch("br-phys"), ("int-br-phys".into(), "phy-br-phys".into()));
    }

    #[test]
    fn no_name_is_longer_than_the_kernel_takes() {
        let (one, two) = (physical_patch("br-a-very-long-name-1"), physical_patch("br-a-very-long-name-2"));
        assert_ne!(one.0, two.0);
        for name in [one.0, one.1, tunnel(NetworkType::Geneve, "2001:db8::1".parse().unwrap())] {
            assert!(name.len() <= 15, "{name}");
        }
    }
}
