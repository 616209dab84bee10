//! Port binding: can the Open vSwitch agent of a host attach a port to its network, and how does the device go in.
//!
//! In: the port's segment and `binding:vnic_type`, what the host's agents have reported. Out: `binding:vif_type` and
//! `binding:vif_details` as Nova's os-vif reads them, or that binding failed and why.

use crate::segment::Segment;
use net_types::NetworkType;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `binding:vif_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VifType {
    /// No host has been named.
    Unbound,
    /// The host that was named cannot attach it.
    BindingFailed,
    /// A port of an Open vSwitch bridge.
    Ovs,
}

impl VifType {
    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unbound => "unbound",
            Self::BindingFailed => "binding_failed",
            Self::Ovs => "ovs",
        }
    }
}

/// `binding:vif_details` of a bound port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VifDetails {
    /// Security groups are enforced by the network, not by Nova.
    pub port_filter: bool,
    /// What the binding promises: layer 2.
    pub connectivity: String,
    /// No Linux bridge between the instance and the switch.
    pub ovs_hybrid_plug: bool,
    /// `system` (kernel) or `netdev` (user space).
    pub datapath_type: String,
    /// The integration bridge.
    pub bridge_name: String,
}

/// What an Open vSwitch agent says of its host in `configurations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentConfigurations {
    /// Which bridge reaches which physical network.
    pub bridge_mappings: BTreeMap<String, String>,
    /// Which tunnels it can make.
    pub tunnel_types: Vec<String>,
    /// The bridge that instances are attached to.
    pub integration_bridge: String,
    /// `system` or `netdev`.
    pub datapath_type: String,
}

impl Default for AgentConfigurations {
    fn default() -> Self {
        Self {
            bridge_mappings: BTreeMap::new(),
            tunnel_types: Vec::new(),
            integration_bridge: "br-int".to_owned(),
            datapath_type: "system".to_owned(),
        }
    }
}

/// An agent of type "Open vSwitch agent" on the port's host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct L2Agent {
    /// Whether it has reported lately.
    pub alive: bool,
    /// Whether the operator has left it switched on.
    pub admin_state_up: bool,
    /// What it has reported.
    pub configurations: AgentConfigurations,
}

/// Why a port could not be bound; for the log and for whoever asks why a port is DOWN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BindingFailure {
    /// Only devices that hang on Open vSwitch are supported.
    #[error("the device type asked for is not supported")]
    UnsupportedVnicType,
    /// No Open vSwitch agent has ever reported from the host.
    #[error("no Open vSwitch agent on the host")]
    NoAgent,
    /// It has, but not lately, or it is switched off.
    #[error("the host's Open vSwitch agent is dead or switched off")]
    AgentDown,
    /// The host has neither the bridge nor the tunnel type that the network needs.
    #[error("the host does not reach the network's segment")]
    SegmentNotReachable,
}

/// Whether a port whose `binding:vif_type` this is is plugged in nowhere.
pub fn is_unplugged(vif_type: &str) -> bool {
    [VifType::Unbound, VifType::BindingFailed].iter().any(|unplugged| unplugged.as_str() == vif_type)
}

/// How the port goes in on the host, or why it cannot. `switchdev`: its device has a switch that Open vSwitch can program,
/// without which a card's function given to an instance is out of the switch's sight.
pub fn bind(
    vnic_type: &str,
    switchdev: bool,
    segment: &Segment,
    agents: &[L2Agent],
) -> Result<VifDetails, BindingFailure> {
    let supported = match vnic_type {
        "normal" | "smart-nic" | "vdpa" => true,
        "direct" => switchdev,
        _ => false,
    };
    if !supported {
        return Err(BindingFailure::UnsupportedVnicType);
    }
    if agents.is_empty() {
        return Err(BindingFailure::NoAgent);
    }
    let mut usable = agents.iter().filter(|agent| agent.alive && agent.admin_state_up).peekable();
    if usable.peek().is_none() {
        return Err(BindingFailure::AgentDown);
    }
    let agent =
        usable.find(|agent| agent.configurations.reaches(segment)).ok_or(BindingFailure::SegmentNotReachable)?;
    Ok(VifDetails {
        port_filter: true,
        connectivity: "l2".to_owned(),
        ovs_hybrid_plug: false,
        datapath_type: agent.configurations.datapath_type.clone(),
        bridge_name: agent.configurations.integration_bridge.clone(),
    })
}

impl AgentConfigurations {
    /// Whether the agent can connect ports to the segment.
    pub fn reaches(&self, segment: &Segment) -> bool {
        let has_bridge = |name: &String| self.bridge_mappings.contains_key(name);
        match segment.network_type {
            NetworkType::Local => true,
            NetworkType::Flat | NetworkType::Vlan => segment.physical_network.as_ref().is_some_and(has_bridge),
            kind => self.tunnel_types.iter().any(|known| known == kind.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent() -> L2Agent {
        let configurations = serde_json::from_str(
            r#"{"bridge_mappings": {"public": "br-ex"}, "tunnel_types": ["vxlan"], "datapath_type": "netdev",
                "report of a later release": 1}"#,
        )
        .unwrap();
        L2Agent { alive: true, admin_state_up: true, configurations }
    }

    fn segment(network_type: NetworkType, physnet: &str) -> Segment {
        let physical_network = Some(physnet.to_owned()).filter(|name| !name.is_empty());
        Segment { network_type, physical_network, segmentation_id: Some(5) }
    }

    #[test]
    fn details_are_what_os_vif_reads() {
        let details = bind("normal", false, &segment(NetworkType::Vxlan, ""), &[agent()]).unwrap();
        assert_eq!(
            serde_json::to_string(&details).unwrap(),
            r#"{"port_filter":true,"connectivity":"l2","ovs_hybrid_plug":false,"datapath_type":"netdev","bridge_name":"br-int"}"#
        );
        assert_eq!(serde_json::to_string(&VifType::BindingFailed).unwrap(), "\"binding_failed\"");
    }

    #[test]
    fn a_host_binds_what_it_reaches() {
        let bound = |segment: &Segment| bind("normal", false, segment, &[agent()]).map(|_| ());
        let out_of_reach = Err(BindingFailure::SegmentNotReachable);
        assert_eq!(bound(&segment(NetworkType::Local, "")), Ok(()));
        assert_eq!(bound(&segment(NetworkType::Flat, "public")), Ok(()));
        assert_eq!(bound(&segment(NetworkType::Vlan, "public")), Ok(()));
        assert_eq!(bound(&segment(NetworkType::Vlan, "physnet1")), out_of_reach);
        assert_eq!(bound(&segment(NetworkType::Gre, "")), out_of_reach);
    }

    #[test]
    fn says_why_it_cannot() {
        let vxlan = segment(NetworkType::Vxlan, "");
        let (dead, off) = (L2Agent { alive: false, ..agent() }, L2Agent { admin_state_up: false, ..agent() });
        assert_eq!(bind("direct", false, &vxlan, &[agent()]), Err(BindingFailure::UnsupportedVnicType));
        assert!(bind("direct", true, &vxlan, &[agent()]).is_ok());
        assert_eq!(bind("normal", false, &vxlan, &[]), Err(BindingFailure::NoAgent));
        assert_eq!(bind("normal", false, &vxlan, &[dead.clone(), off]), Err(BindingFailure::AgentDown));
        assert!(bind("normal", false, &vxlan, &[dead, agent()]).is_ok());
    }
}
