//! The operator's configuration of network types, as Neutron's ML2 plugin names and writes it.

use super::mtu::MtuConfig;
use crate::ModelError;
use net_types::NetworkType;
use serde::{Deserialize, Serialize};

/// The options as written in the configuration file. Every list has Neutron's form; unknown names are refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SegmentConfig {
    /// The network types that exist at all.
    pub type_drivers: Vec<String>,
    /// The types that networks of projects get, in this order: the next one when one has run out.
    pub tenant_network_types: Vec<String>,
    /// Physical networks for flat networks; `*` allows any name.
    pub flat_networks: Vec<String>,
    /// `physnet1:100:200` gives projects these VLAN ids; `physnet2` alone gives them all of 1 to 4094.
    pub network_vlan_ranges: Vec<String>,
    /// `1:1000`: VNIs for VXLAN networks of projects.
    pub vni_ranges: Vec<String>,
    /// `1:1000`: VNIs for Geneve networks of projects.
    pub geneve_vni_ranges: Vec<String>,
    /// `1:1000`: keys for GRE networks of projects.
    pub tunnel_id_ranges: Vec<String>,
    /// Type of an external network whose request names none; empty: as any other network.
    pub external_network_type: String,
    /// Largest frame payload of the physical networks, bytes.
    pub global_physnet_mtu: u32,
    /// Largest packet between tunnel endpoints, bytes; 0: as `global_physnet_mtu`.
    pub path_mtu: u32,
    /// `physnet1:9000` for physical networks that differ.
    pub physical_network_mtus: Vec<String>,
    /// IP version between tunnel endpoints: 4 or 6.
    pub overlay_ip_version: u8,
}

impl Default for SegmentConfig {
    /// A lab's: VXLAN for projects, any flat network, no VLANs.
    fn default() -> Self {
        let list = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect();
        Self {
            type_drivers: list(&["local", "flat", "vlan", "vxlan", "gre", "geneve"]),
            tenant_network_types: list(&["vxlan"]),
            flat_networks: list(&["*"]),
            network_vlan_ranges: Vec::new(),
            vni_ranges: list(&["1:65535"]),
            geneve_vni_ranges: Vec::new(),
            tunnel_id_ranges: Vec::new(),
            external_network_type: String::new(),
            global_physnet_mtu: 1500,
            path_mtu: 0,
            physical_network_mtus: Vec::new(),
            overlay_ip_version: 4,
        }
    }
}

/// A range of VLAN ids, VNIs or GRE keys, both ends included; `first <= last` always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdRange {
    first: u32,
    last: u32,
}

impl IdRange {
    /// A range; nothing when it runs backwards.
    pub fn new(first: u32, last: u32) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// Every id that a type has on the wire.
    pub fn possible(kind: NetworkType) -> Self {
        if kind == NetworkType::Vlan { ALL_VLANS } else { SegmentTypes::possible_tunnel_ids(kind) }
    }

    /// Lowest id.
    pub fn first(&self) -> u32 {
        self.first
    }

    /// Highest id.
    pub fn last(&self) -> u32 {
        self.last
    }
}

/// The configuration, read and checked.
#[derive(Debug, Clone)]
pub struct SegmentTypes {
    pub(super) drivers: Vec<NetworkType>,
    pub(super) tenant: Vec<NetworkType>,
    pub(super) external: Option<NetworkType>,
    /// `None`: any name.
    pub(super) flat: Option<Vec<String>>,
    pub(super) vlan: Vec<(String, Vec<IdRange>)>,
    pub(super) vxlan: Vec<IdRange>,
    pub(super) geneve: Vec<IdRange>,
    pub(super) gre: Vec<IdRange>,
    pub(super) mtu: MtuConfig,
}

const ALL_VLANS: IdRange = IdRange { first: 1, last: 4094 };
const ALL_VNIS: IdRange = IdRange { first: 1, last: 0xff_ffff };
const ALL_GRE_KEYS: IdRange = IdRange { first: 1, last: u32::MAX };

impl SegmentTypes {
    /// Reads the configuration; the first thing wrong in it ends the server's start.
    pub fn new(config: &SegmentConfig) -> Result<Self, ModelError> {
        let drivers = types("type_drivers", &config.type_drivers)?;
        let known = |opt_name, wanted: Vec<NetworkType>| match wanted.iter().find(|kind| !drivers.contains(kind)) {
            Some(kind) => Err(ModelError::InvalidConfigurationOption { opt_name, opt_value: kind.to_string() }),
            None => Ok(wanted),
        };
        let tenant = known("tenant_network_types", types("tenant_network_types", &config.tenant_network_types)?)?;
        let external = match config.external_network_type.as_str() {
            "" => None,
            name => known("external_network_type", types("external_network_type", &[name.to_owned()])?)?.pop(),
        };
        Ok(Self {
            tenant,
            external,
            flat: (!config.flat_networks.iter().any(|name| name == "*")).then(|| config.flat_networks.clone()),
            vlan: vlan_ranges(&config.network_vlan_ranges)?,
            vxlan: tunnel_ranges("vxlan", ALL_VNIS, &config.vni_ranges)?,
            geneve: tunnel_ranges("geneve", ALL_VNIS, &config.geneve_vni_ranges)?,
            gre: tunnel_ranges("gre", ALL_GRE_KEYS, &config.tunnel_id_ranges)?,
            mtu: MtuConfig::new(config)?,
            drivers,
        })
    }

    /// How large packets may be on which segment.
    pub fn mtu(&self) -> &MtuConfig {
        &self.mtu
    }

    /// Every physical network that the configuration names.
    pub fn physical_networks(&self) -> impl Iterator<Item = &str> {
        let flat = self.flat.iter().flatten().map(String::as_str);
        flat.chain(self.vlan.iter().map(|(name, _)| name.as_str()))
    }

    /// The tunnel ids that projects may get.
    pub(super) fn tunnel_ids(&self, kind: NetworkType) -> &[IdRange] {
        match kind {
            NetworkType::Vxlan => &self.vxlan,
            NetworkType::Geneve => &self.geneve,
            NetworkType::Gre => &self.gre,
            NetworkType::Local | NetworkType::Flat | NetworkType::Vlan => &[],
        }
    }

    /// Every id that the wire format of a tunnel has.
    pub(super) fn possible_tunnel_ids(kind: NetworkType) -> IdRange {
        if kind == NetworkType::Gre { ALL_GRE_KEYS } else { ALL_VNIS }
    }
}

fn types(opt_name: &'static str, names: &[String]) -> Result<Vec<NetworkType>, ModelError> {
    let read = |name: &String| {
        let refuse = |_| ModelError::InvalidConfigurationOption { opt_name, opt_value: name.clone() };
        name.trim().parse().map_err(refuse)
    };
    names.iter().map(read).collect()
}

fn vlan_ranges(entries: &[String]) -> Result<Vec<(String, Vec<IdRange>)>, ModelError> {
    let mut networks: Vec<(String, Vec<IdRange>)> = Vec::new();
    for entry in entries {
        let entry = entry.trim();
        let refuse = |error: String| ModelError::NetworkVlanRangeError { vlan_range: entry.to_owned(), error };
        let parts: Vec<&str> = entry.split(':').collect();
        let (name, range) = match parts.as_slice() {
            ["", ..] => return Err(ModelError::PhysicalNetworkNameError),
            [name] => (*name, ALL_VLANS),
            [name, first, last] => {
                let read = |text: &str| {
                    let tag = text.trim().parse().ok().filter(|tag| (1..=4094).contains(tag));
                    tag.ok_or_else(|| refuse(format!("{text} is not a valid VLAN tag")))
                };
                let (first, last) = (read(first)?, read(last)?);
                if last < first {
                    return Err(refuse("End of VLAN range is less than start of VLAN range".to_owned()));
                }
                (*name, IdRange { first, last })
            }
            _ => return Err(refuse("Need exactly two values for VLAN range".to_owned())),
        };
        match networks.iter_mut().find(|(known, _)| known == name) {
            // A name alone has all ids; ranges beside it add nothing.
            Some((_, ranges)) if range == ALL_VLANS || ranges.as_slice() == [ALL_VLANS] => *ranges = vec![ALL_VLANS],
            Some((_, ranges)) => ranges.push(range),
            None => networks.push((name.to_owned(), vec![range])),
        }
    }
    Ok(networks)
}

fn tunnel_ranges(kind: &str, possible: IdRange, entries: &[String]) -> Result<Vec<IdRange>, ModelError> {
    let read = |entry: &String| {
        let entry = entry.trim();
        let refuse = |error: String| ModelError::NetworkTunnelRangeError { tunnel_range: entry.to_owned(), error };
        let (first, last) = entry.split_once(':').ok_or_else(|| refuse("need a start and an end".to_owned()))?;
        let id = |text: &str| {
            let id = text.trim().parse().ok().filter(|id| (possible.first..=possible.last).contains(id));
            id.ok_or_else(|| refuse(format!("{} is not a valid {kind} identifier", text.trim())))
        };
        let (first, last) = (id(first)?, id(last)?);
        if last < first {
            return Err(refuse("End of tunnel range is less than start of tunnel range".to_owned()));
        }
        Ok(IdRange { first, last })
    };
    entries.iter().map(read).collect()
}
