//! What a lab looks like: hosts, their cards and bridges, the networks between them, and the server's settings.
//!
//! In: a TOML file (`topologies/lab10.toml` documents every key and is built when no file is given). Out: a checked
//! [`Topology`]: every reference resolves, no name or address is used twice. Nothing is touched here.

mod check;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The lab that is built when no file is given.
pub const DEFAULT_TOPOLOGY: &str = include_str!("../topologies/lab10.toml");

/// A whole lab.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    /// Names the drawing, not the lab.
    pub name: String,
    /// Which Open vSwitch datapath every bridge uses.
    #[serde(default)]
    pub datapath: Datapath,
    /// `tunnel_types` of every agent; none: the agent's own default.
    #[serde(default)]
    pub tunnel_types: Vec<String>,
    /// Wished port on 127.0.0.1 of the machine for the server.
    #[serde(default = "default_server_port")]
    pub server_port: u16,
    /// The server's networking settings, handed to it as its `[network]` section (`dns_domain`, quotas).
    #[serde(default)]
    pub network_options: toml::Table,
    /// The server's networking settings, handed to it as its `[ml2]` section.
    #[serde(default)]
    pub ml2: toml::Table,
    /// Further sections of every agent's file (`[agent_options.dhcp]`).
    #[serde(default)]
    pub agent_options: toml::Table,
    /// Switches.
    #[serde(default, rename = "network")]
    pub networks: Vec<Network>,
    /// Hosts.
    #[serde(rename = "host")]
    pub hosts: Vec<Host>,
    /// Bridges joined by VXLAN outside Neutron.
    #[serde(default, rename = "join")]
    pub joins: Vec<Join>,
}

fn default_server_port() -> u16 {
    9696
}

/// Open vSwitch's datapath, as its `datapath_type` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Datapath {
    /// In user space: works on every kernel.
    #[default]
    Netdev,
    /// In the kernel: needs the openvswitch module.
    System,
}

impl Datapath {
    /// The word that OVSDB uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Netdev => "netdev",
            Self::System => "system",
        }
    }
}

/// A switch in a namespace of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Unique among networks and hosts.
    pub name: String,
    /// What the addresses on it must lie in.
    pub cidr: Ipv4Net,
    /// Bytes.
    #[serde(default = "default_mtu")]
    pub mtu: u16,
}

fn default_mtu() -> u16 {
    1500
}

/// What runs on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// `neutronium server`.
    Server,
    /// `neutronium agent`: bridges, flows, security groups.
    L2,
    /// `neutronium agent`: DHCP.
    Dhcp,
    /// `neutronium agent`: routers.
    L3,
    /// Something to talk to outside.
    World,
}

/// A simulated machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Unique; becomes its hostname.
    pub name: String,
    /// What it runs.
    pub roles: Vec<Role>,
    /// `agent_mode` of its L3 part: `dvr` or `dvr_snat` (distributed routers), otherwise `legacy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub l3_mode: Option<String>,
    /// Its network cards.
    #[serde(default)]
    pub nics: Vec<Nic>,
    /// Its Open vSwitch bridges beside those that the agent makes.
    #[serde(default, rename = "bridge")]
    pub bridges: Vec<Bridge>,
    /// The bridge that carries the tunnel endpoint's address.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The NIC behind whose address forwarded traffic is hidden.
    #[serde(default)]
    pub masquerade: Option<String>,
    /// Next hop of the default route.
    #[serde(default)]
    pub gateway: Option<Ipv4Addr>,
}

impl Host {
    /// Whether it has that role.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Whether it runs Open vSwitch and an agent.
    #[must_use]
    pub fn runs_agent(&self) -> bool {
        self.roles.iter().any(|role| matches!(role, Role::L2 | Role::Dhcp | Role::L3))
    }

    /// The bridge that carries the tunnel endpoint.
    #[must_use]
    pub fn endpoint_bridge(&self) -> Option<&Bridge> {
        let name = self.endpoint.as_ref()?;
        self.bridges.iter().find(|bridge| bridge.name == *name)
    }
}

/// A network card: one end of a cable to a switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nic {
    /// Name of the device on its host.
    pub name: String,
    /// The switch at the other end.
    pub network: String,
    /// Its address; absent when it is a bridge's port.
    #[serde(default)]
    pub address: Option<Ipv4Addr>,
}

/// An Open vSwitch bridge that the host's own set-up makes (not the agent).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bridge {
    /// Its name.
    pub name: String,
    /// NICs plugged into it.
    #[serde(default)]
    pub ports: Vec<String>,
    /// Address and prefix of the bridge's own port.
    #[serde(default)]
    pub address: Option<Ipv4Net>,
    /// Bytes; the bridge's own port gets it.
    #[serde(default = "default_mtu")]
    pub mtu: u16,
    /// Its name in `bridge_mappings`.
    #[serde(default)]
    pub physical_network: Option<String>,
}

/// Bridges of the same name on several hosts joined into one segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// The bridge, on each of the hosts.
    pub bridge: String,
    /// The tunnels' VNI.
    pub vni: u32,
    /// The host every spoke has its tunnel to.
    pub hub: String,
    /// The other hosts.
    pub spokes: Vec<String>,
}

impl Topology {
    /// Reads and checks a topology; `origin` (a file's name) is what errors point at.
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        let topology: Self = toml::from_str(text).map_err(|error| {
            let place = match error.span() {
                Some(span) => format!("{origin}:{}", line_of(text, span.start)),
                None => origin.to_owned(),
            };
            Error::Topology { place, reason: error.message().replace('\n', " ") }
        })?;
        topology.check(origin)?;
        Ok(topology)
    }

    /// The topology that `neutronium lab up` builds when no file is given.
    pub fn lab10() -> Result<Self> {
        Self::parse(DEFAULT_TOPOLOGY, "lab10.toml")
    }

    /// A host by name.
    #[must_use]
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.iter().find(|host| host.name == name)
    }

    /// A network by name.
    #[must_use]
    pub fn network(&self, name: &str) -> Option<&Network> {
        self.networks.iter().find(|network| network.name == name)
    }

    /// Whether a card on that network is a bridge's port.
    #[must_use]
    pub fn is_read_by_a_bridge(&self, network: &str) -> bool {
        self.hosts.iter().any(|host| {
            let mut ports = host.bridges.iter().flat_map(|bridge| &bridge.ports);
            ports.any(|port| host.nics.iter().any(|nic| nic.name == *port && nic.network == network))
        })
    }

    /// The host that runs the server.
    #[must_use]
    pub fn server(&self) -> Option<&Host> {
        self.hosts.iter().find(|host| host.has(Role::Server))
    }

    /// Where agents reach the server: the first address of the server's host.
    #[must_use]
    pub fn server_address(&self) -> Option<Ipv4Addr> {
        self.server()?.nics.iter().find_map(|nic| nic.address)
    }

    /// Names of everything that has a namespace: the networks, then the hosts.
    pub fn nodes(&self) -> impl Iterator<Item = &str> {
        self.networks.iter().map(|n| n.name.as_str()).chain(self.hosts.iter().map(|h| h.name.as_str()))
    }

    /// Tunnel endpoints of all hosts that have one.
    #[must_use]
    pub fn endpoints(&self) -> BTreeMap<&str, Ipv4Addr> {
        self.hosts
            .iter()
            .filter_map(|host| Some((host.name.as_str(), host.endpoint_bridge()?.address?.addr())))
            .collect()
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count().saturating_add(1)
}
