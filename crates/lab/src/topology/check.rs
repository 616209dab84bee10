//! The rules that a topology must keep, each with one sentence for who broke it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use super::{Host, Role, Topology};
use crate::{Error, Result};

/// The kernel takes device names of up to 15 bytes.
const DEVICE_NAME_MAX: usize = 15;
/// Keeps the paths of Unix sockets below their limit of 108 bytes.
const NODE_NAME_MAX: usize = 20;
/// VNIs are 24 bits wide.
const VNI_MAX: u32 = (1 << 24) - 1;

impl Topology {
    pub(super) fn check(&self, origin: &str) -> Result<()> {
        let wrong =
            |place: String, reason: String| Err(Error::Topology { place: format!("{origin}, {place}"), reason });

        let mut nodes = BTreeSet::new();
        for name in self.nodes() {
            if !is_name(name, NODE_NAME_MAX) {
                return wrong(
                    format!("\"{name}\""),
                    format!("a name has 1 to {NODE_NAME_MAX} letters, digits or hyphens and starts with a letter"),
                );
            }
            if !nodes.insert(name) {
                return wrong(format!("\"{name}\""), "the name is used twice".to_owned());
            }
        }
        if self.hosts.iter().filter(|host| host.has(Role::Server)).count() > 1 {
            return wrong("hosts".to_owned(), "only one host can have the role \"server\"".to_owned());
        }
        if let Some(server) = self.server()
            && self.server_address().is_none()
        {
            return wrong(
                format!("host \"{}\"", server.name),
                "the server's host needs a NIC with an address".to_owned(),
            );
        }

        let mut addresses: BTreeMap<(&str, Ipv4Addr), &str> = BTreeMap::new();
        for host in &self.hosts {
            if let Err(reason) = self.check_host(host, &mut addresses) {
                return wrong(format!("host \"{}\"", host.name), reason);
            }
        }
        for join in &self.joins {
            if let Err(reason) = self.check_join(join) {
                return wrong(format!("join of \"{}\"", join.bridge), reason);
            }
        }
        Ok(())
    }

    fn check_host<'a>(
        &'a self,
        host: &'a Host,
        addresses: &mut BTreeMap<(&'a str, Ipv4Addr), &'a str>,
    ) -> std::result::Result<(), String> {
        if host.has(Role::World) && host.roles.len() > 1 {
            return Err("the role \"world\" stands alone".to_owned());
        }
        let mut devices = BTreeSet::from(["lo", "br-int", "br-tun"]);
        for device in host.nics.iter().map(|n| n.name.as_str()).chain(host.bridges.iter().map(|b| b.name.as_str())) {
            if !is_name(device, DEVICE_NAME_MAX) {
                return Err(format!(
                    "\"{device}\" cannot name a device (1 to {DEVICE_NAME_MAX} letters, digits, hyphens)"
                ));
            }
            if !devices.insert(device) {
                return Err(format!("the device name \"{device}\" is used twice or reserved"));
            }
        }
        for nic in &host.nics {
            let Some(network) = self.network(&nic.network) else {
                return Err(format!(
                    "NIC \"{}\" names the network \"{}\", which does not exist",
                    nic.name, nic.network
                ));
            };
            if let Some(address) = nic.address {
                if !network.cidr.contains(&address) {
                    return Err(format!(
                        "the address {address} lies outside network \"{}\" ({})",
                        network.name, network.cidr
                    ));
                }
                claim(addresses, &network.name, address, &host.name)?;
            }
        }
        let mut plugged = BTreeSet::new();
        for bridge in &host.bridges {
            if !host.runs_agent() {
                return Err(format!(
                    "bridge \"{}\" needs Open vSwitch, which only hosts with l2, dhcp or l3 run",
                    bridge.name
                ));
            }
            let mut segment = None;
            for port in &bridge.ports {
                let Some(nic) = host.nics.iter().find(|nic| nic.name == *port) else {
                    return Err(format!(
                        "bridge \"{}\" has the port \"{port}\", which is no NIC of the host",
                        bridge.name
                    ));
                };
                if nic.address.is_some() {
                    return Err(format!(
                        "NIC \"{port}\" is a port of \"{}\", so the address belongs to the bridge",
                        bridge.name
                    ));
                }
                if !plugged.insert(port) {
                    return Err(format!("NIC \"{port}\" is a port of two bridges"));
                }
                segment = Some(nic.network.as_str());
            }
            if let (Some(segment), Some(address)) = (segment, bridge.address) {
                claim(addresses, segment, address.addr(), &host.name)?;
            }
        }
        if let Some(nic) = host.nics.iter().find(|nic| nic.address.is_none() && !plugged.contains(&nic.name)) {
            return Err(format!("NIC \"{}\" has no address and is a port of no bridge", nic.name));
        }
        let mut physical_networks = BTreeSet::new();
        if let Some(twice) =
            host.bridges.iter().filter_map(|b| b.physical_network.as_ref()).find(|p| !physical_networks.insert(*p))
        {
            return Err(format!("two bridges are mapped to the physical network \"{twice}\""));
        }
        if let Some(endpoint) = &host.endpoint
            && host.endpoint_bridge().and_then(|bridge| bridge.address).is_none()
        {
            return Err(format!("the endpoint \"{endpoint}\" is no bridge with an address"));
        }
        if let Some(nic) = &host.masquerade
            && !host.nics.iter().any(|n| n.name == *nic && n.address.is_some())
        {
            return Err(format!("masquerade names \"{nic}\", which is no NIC with an address"));
        }
        Ok(())
    }

    fn check_join(&self, join: &super::Join) -> std::result::Result<(), String> {
        if join.vni == 0 || join.vni > VNI_MAX {
            return Err(format!("the VNI {} is not in 1..{VNI_MAX}", join.vni));
        }
        for name in std::iter::once(&join.hub).chain(&join.spokes) {
            let Some(host) = self.host(name) else {
                return Err(format!("it names the host \"{name}\", which does not exist"));
            };
            if !host.bridges.iter().any(|bridge| bridge.name == join.bridge) {
                return Err(format!("host \"{name}\" has no such bridge"));
            }
            if host.endpoint_bridge().is_none() {
                return Err(format!("host \"{name}\" has no tunnel endpoint"));
            }
        }
        if join.spokes.contains(&join.hub) {
            return Err(format!("\"{}\" cannot be hub and spoke at once", join.hub));
        }
        Ok(())
    }
}

fn claim<'a>(
    addresses: &mut BTreeMap<(&'a str, Ipv4Addr), &'a str>,
    network: &'a str,
    address: Ipv4Addr,
    host: &'a str,
) -> std::result::Result<(), String> {
    match addresses.insert((network, address), host) {
        Some(other) => {
            Err(format!("the address {address} on network \"{network}\" belongs to host \"{other}\" already"))
        }
        None => Ok(()),
    }
}

fn is_name(name: &str, max: usize) -> bool {
    name.len() <= max
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}
