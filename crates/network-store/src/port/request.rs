//! What requests on ports say, and what the server itself asks for.

use super::{DhcpOption, Pair};
use crate::request::nullable;
use net_types::{MacAddr, NetworkId, SecurityGroupId};
use network_model::fixed_ips::FixedIpRequest;
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

/// A checked POST body, or what the server itself asks for.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct PortCreate {
    pub network_id: NetworkId,
    pub project_id: String,
    pub name: String,
    pub description: String,
    pub admin_state_up: bool,
    /// Null and absent both mean: any.
    pub mac_address: Option<MacAddr>,
    pub device_id: String,
    pub device_owner: String,
    pub fixed_ips: Option<Vec<FixedIpRequest>>,
    pub allowed_address_pairs: Option<Vec<Pair>>,
    pub security_groups: Option<Vec<SecurityGroupId>>,
    pub port_security_enabled: Option<bool>,
    #[serde(rename = "binding:host_id")]
    pub binding_host: Option<String>,
    #[serde(rename = "binding:vnic_type")]
    pub binding_vnic_type: String,
    #[serde(rename = "binding:profile")]
    pub binding_profile: Option<Map<String, Value>>,
    pub extra_dhcp_opts: Option<Vec<DhcpOption>>,
    pub dns_name: String,
    pub dns_domain: String,
    pub numa_affinity_policy: Option<String>,
    pub device_profile: Option<String>,
    pub hardware_offload_type: Option<String>,
    pub trusted: Option<bool>,
    pub hints: Option<Map<String, Value>>,
    pub propagate_uplink_status: bool,
    pub pvlan_type: Option<String>,
    pub pvlan_community: Option<String>,
    pub tags: Vec<String>,
    pub qos_policy_id: Option<Uuid>,
}

impl PortCreate {
    /// A port of the network's own services: everything else is filled in by the caller with `..`.
    pub fn of_service(network_id: NetworkId, project_id: &str, device_owner: &str, device_id: &str) -> Self {
        Self {
            network_id,
            project_id: project_id.to_owned(),
            name: String::new(),
            description: String::new(),
            admin_state_up: true,
            mac_address: None,
            device_id: device_id.to_owned(),
            device_owner: device_owner.to_owned(),
            fixed_ips: None,
            allowed_address_pairs: None,
            security_groups: None,
            port_security_enabled: None,
            binding_host: None,
            binding_vnic_type: "normal".to_owned(),
            binding_profile: None,
            extra_dhcp_opts: None,
            dns_name: String::new(),
            dns_domain: String::new(),
            numa_affinity_policy: None,
            device_profile: None,
            hardware_offload_type: None,
            trusted: None,
            hints: None,
            propagate_uplink_status: true,
            pvlan_type: None,
            pvlan_community: None,
            tags: Vec::new(),
            qos_policy_id: None,
        }
    }
}

/// A checked PUT body: what it does not have stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct PortUpdate {
    pub name: Option<String>,
    pub description: Option<String>,
    pub admin_state_up: Option<bool>,
    /// `Some(None)`: have one made.
    #[serde(deserialize_with = "nullable")]
    pub mac_address: Option<Option<MacAddr>>,
    pub device_id: Option<String>,
    pub device_owner: Option<String>,
    pub fixed_ips: Option<Vec<FixedIpRequest>>,
    pub allowed_address_pairs: Option<Vec<Pair>>,
    pub security_groups: Option<Vec<SecurityGroupId>>,
    pub port_security_enabled: Option<bool>,
    #[serde(rename = "binding:host_id", deserialize_with = "nullable")]
    pub binding_host: Option<Option<String>>,
    #[serde(rename = "binding:vnic_type")]
    pub binding_vnic_type: Option<String>,
    #[serde(rename = "binding:profile")]
    pub binding_profile: Option<Map<String, Value>>,
    pub extra_dhcp_opts: Option<Vec<DhcpOption>>,
    pub dns_name: Option<String>,
    pub dns_domain: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub numa_affinity_policy: Option<Option<String>>,
    pub trusted: Option<bool>,
    #[serde(deserialize_with = "nullable")]
    pub hints: Option<Option<Map<String, Value>>>,
    #[serde(deserialize_with = "nullable")]
    pub data_plane_status: Option<Option<String>>,
    pub propagate_uplink_status: Option<bool>,
    #[serde(deserialize_with = "nullable")]
    pub pvlan_type: Option<Option<String>>,
    #[serde(deserialize_with = "nullable")]
    pub pvlan_community: Option<Option<String>>,
    #[serde(deserialize_with = "nullable")]
    pub qos_policy_id: Option<Option<Uuid>>,
}
