//! Which `ip` commands plug the cables and set up each end. Pure: from a topology to batches for `ip -batch`.
//!
//! A cable is a veth pair between a host's NIC and a port of a switch; both ends are born in their namespaces, so that the
//! machine's own never sees them. MAC addresses derive from the topology, so that a rebuilt lab looks the same on the wire.

use std::fmt::Write;
use std::net::Ipv4Addr;

use crate::topology::{Bridge, Host, Network, Topology};

/// The bridge device inside a network's namespace.
pub(crate) const SWITCH: &str = "switch";

/// Makes every cable; `pid_of` names the namespaces' holders.
pub(crate) fn plug(topology: &Topology, pid_of: impl Fn(&str) -> i32) -> String {
    let mut batch = String::new();
    for (host_index, host) in topology.hosts.iter().enumerate() {
        for (nic_index, nic) in host.nics.iter().enumerate() {
            let mtu = topology.network(&nic.network).map_or(1500, |network| network.mtu);
            let _ = writeln!(
                batch,
                "link add {} netns {} address {} mtu {mtu} type veth peer name {} netns {} mtu {mtu}",
                nic.name,
                pid_of(&host.name),
                nic_mac(host_index, nic_index),
                switch_port(host, &nic.name, host_index, nic_index),
                pid_of(&nic.network),
            );
        }
    }
    batch
}

/// Makes a switch; run in its namespace before the cables are plugged.
pub(crate) fn switch() -> String {
    // Its MTU follows its ports'.
    format!("link set lo up\nlink add {SWITCH} type bridge mcast_snooping 0\nlink set {SWITCH} up\n")
}

/// Joins the cables' ends to the switch.
pub(crate) fn switch_ports(topology: &Topology, network: &Network) -> String {
    let mut batch = String::new();
    for (host_index, host) in topology.hosts.iter().enumerate() {
        for (nic_index, nic) in host.nics.iter().enumerate().filter(|(_, nic)| nic.network == network.name) {
            let port = switch_port(host, &nic.name, host_index, nic_index);
            let _ = writeln!(batch, "link set {port} master {SWITCH} up");
        }
    }
    batch
}

/// Sets up a host's cards.
pub(crate) fn cards(topology: &Topology, host: &Host) -> String {
    let mut batch = String::new();
    for nic in &host.nics {
        if let (Some(address), Some(network)) = (nic.address, topology.network(&nic.network)) {
            let _ = writeln!(batch, "addr replace {address}/{} dev {}", network.cidr.prefix_len(), nic.name);
        }
        let _ = writeln!(batch, "link set {} up", nic.name);
    }
    if let Some(gateway) = host.gateway {
        let _ = writeln!(batch, "route replace default via {gateway}");
    }
    batch
}

/// Gives a bridge's own port its address; run again whenever Open vSwitch has made the port anew.
pub(crate) fn bridge_port(bridge: &Bridge) -> String {
    let mut batch = String::new();
    if let Some(address) = bridge.address {
        let _ = writeln!(batch, "addr replace {address} dev {}", bridge.name);
    }
    let _ = writeln!(batch, "link set {} up", bridge.name);
    batch
}

fn switch_port(host: &Host, nic: &str, host_index: usize, nic_index: usize) -> String {
    let name = format!("{}-{nic}", host.name);
    if name.len() <= 15 { name } else { format!("port{host_index}-{nic_index}") }
}

fn nic_mac(host: usize, nic: usize) -> String {
    let (host, nic) = (low_byte(host), low_byte(nic));
    format!("02:4e:00:00:{host:02x}:{nic:02x}")
}

/// A bridge's fixed MAC: from its address if it has one, so that a tunnel's peers can be told apart at a glance.
pub(crate) fn bridge_mac(host: usize, index: usize, bridge: &Bridge) -> String {
    let [a, b, c, d] =
        bridge.address.map_or(Ipv4Addr::new(0, 1, low_byte(host), low_byte(index)), |address| address.addr()).octets();
    format!("02:4e:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}

fn low_byte(number: usize) -> u8 {
    u8::try_from(number & 0xff).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_lab_on_the_wire() {
        let topology = Topology::lab10().unwrap();
        let pid = |name: &str| 1000 + i32::try_from(topology.nodes().position(|node| node == name).unwrap()).unwrap();
        let mut all = plug(&topology, pid);
        for network in &topology.networks {
            let _ = write!(all, "# {}\n{}{}", network.name, switch(), switch_ports(&topology, network));
        }
        for host in &topology.hosts {
            let _ = write!(all, "# {}\n{}", host.name, cards(&topology, host));
            for bridge in &host.bridges {
                all.push_str(&bridge_port(bridge));
            }
        }
        insta::assert_snapshot!(all);
    }

    #[test]
    fn no_two_devices_share_a_mac() {
        let topology = Topology::lab10().unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for (h, host) in topology.hosts.iter().enumerate() {
            assert!((0..host.nics.len()).all(|n| seen.insert(nic_mac(h, n))));
            assert!(host.bridges.iter().enumerate().all(|(b, bridge)| seen.insert(bridge_mac(h, b, bridge))));
        }
    }
}
