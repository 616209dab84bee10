//! Bindings in the store: how a port goes in on its host.

use super::{Port, PortUpdate};
use crate::segment::{self, L2_AGENT};
use crate::{NetworkError, Work, trunk};
use jiff::SignedDuration;
use net_types::{MacAddr, NetworkId, PortId};
use network_model::binding::{L2Agent, VifType, bind};
use network_model::{ModelError, binding};
use serde_json::{Map, Value, json};
use store::params;

/// `binding:vnic_type` of a whole card that is given to an instance.
const WHOLE_CARD: &str = "direct-physical";
/// Most characters of a profile, as text.
const LONGEST_PROFILE: usize = 4095;

/// `binding:profile`.
pub(super) type Profile = Map<String, Value>;

/// What `binding:vif_type` and `binding:vif_details` become.
pub(super) struct Binding {
    pub vif_type: VifType,
    pub vif_details: Value,
}

impl Binding {
    fn bare(vif_type: VifType) -> Self {
        Self { vif_type, vif_details: json!({}) }
    }
}

/// Whether the port is trusted stands in its profile too, for Nova.
pub(super) fn say_trusted(profile: &mut Profile, trusted: Option<bool>) {
    if let Some(trusted) = trusted {
        profile.insert("trusted".into(), trusted.into());
    }
}

/// What the device of the port must be able to do.
pub(super) fn add_capability(profile: &mut Profile, capability: &str) {
    let capabilities = profile.entry("capabilities").or_insert_with(|| json!([]));
    match capabilities.as_array_mut() {
        Some(known) if known.iter().any(|known| known == capability) => {}
        Some(known) => known.push(capability.into()),
        None => *capabilities = json!([capability]),
    }
}

/// The address that a whole card brings with it, when one is plugged in: Nova writes it into the profile.
pub(super) fn device_mac(vnic_type: &str, host: &str, profile: &Profile) -> Result<Option<MacAddr>, NetworkError> {
    if vnic_type != WHOLE_CARD || host.is_empty() {
        return Ok(None);
    }
    let Some(text) = profile.get("device_mac_address").and_then(Value::as_str) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        let error_message = format!("'{text}' is not a valid MAC address");
        ModelError::InvalidInput { error_message }.into()
    })
}

/// What the MAC address of a port with a whole card becomes.
pub(super) enum DeviceMac {
    /// The card's.
    Of(MacAddr),
    /// Any other than that of the card, which is the port's no longer.
    Gone,
}

/// A binding as a PUT of its port wants it.
pub(super) struct Change {
    /// `binding:host_id`; empty: none.
    pub host: String,
    vnic_type: String,
    profile: Profile,
    /// Whether the port is to be bound anew.
    anew: bool,
}

impl Change {
    pub fn of(port: &Port, request: &PortUpdate) -> Result<Self, NetworkError> {
        let host = match &request.binding_host {
            Some(host) => host.clone().unwrap_or_default(),
            None => port.binding_host.clone(),
        };
        let vnic_type = request.binding_vnic_type.as_ref().unwrap_or(&port.binding_vnic_type).clone();
        if vnic_type != port.binding_vnic_type && port.binding_vif_type != VifType::Unbound.as_str() {
            let (net_id, port_id, device_id) = (port.network_id, port.id, port.device_id.clone());
            return Err(ModelError::PortInUse { net_id, port_id, device_id }.into());
        }
        let (now, to_be) = (port.trusted, request.trusted.or(port.trusted));
        let mut profile = request.binding_profile.as_ref().unwrap_or(&port.binding_profile).clone();
        say_trusted(&mut profile, now);
        // A host that could not take the port is asked again with every change.
        let waits = !host.is_empty() && binding::is_unplugged(&port.binding_vif_type);
        let anew = host != port.binding_host
            || vnic_type != port.binding_vnic_type
            || profile != port.binding_profile
            || waits;
        say_trusted(&mut profile, to_be);
        check_length(&profile)?;
        Ok(Self { host, vnic_type, profile, anew })
    }

    /// A whole card's address comes and goes with the card.
    pub fn device_mac(&self, port: &Port, request: &PortUpdate) -> Result<Option<DeviceMac>, NetworkError> {
        if self.vnic_type != WHOLE_CARD {
            return Ok(None);
        }
        let is_empty = |text: &Option<String>| text.as_deref() == Some("");
        let left = is_empty(&request.device_id) && is_empty(&request.device_owner) && !port.device_id.is_empty();
        let plugged = self.anew && !self.host.is_empty();
        match device_mac(&self.vnic_type, &self.host, &self.profile)?.filter(|_| plugged) {
            Some(mac) => Ok(Some(DeviceMac::Of(mac))),
            None => Ok((left || plugged).then_some(DeviceMac::Gone)),
        }
    }

    /// Writes it; whether the port is bound anew.
    pub fn write(&self, work: &Work<'_>, port: &Port) -> Result<bool, NetworkError> {
        if !self.anew {
            if self.profile != port.binding_profile {
                let profile = Value::Object(self.profile.clone()).to_string();
                work.set("ports", port.id.0, "binding_profile", Some(profile))?;
            }
            return Ok(false);
        }
        if self.host != port.binding_host {
            work.tx.execute(
                "DELETE FROM port_bindings WHERE port_id = ?1 AND host = ?2",
                params![port.id.0, &self.host],
            )?;
        }
        let bound = of(work, port.network_id, Some(port.id), &self.host, &self.vnic_type, &self.profile)?;
        work.tx.execute(
            "UPDATE ports SET binding_host = ?2, binding_vnic_type = ?3, binding_profile = ?4, binding_vif_type = ?5,
                 binding_vif_details = ?6, status = 'DOWN' WHERE id = ?1",
            params![
                port.id.0,
                &self.host,
                &self.vnic_type,
                Value::Object(self.profile.clone()).to_string(),
                bound.vif_type.as_str(),
                bound.vif_details.to_string()
            ],
        )?;
        Ok(true)
    }
}

/// Refuses a profile that is longer than other parts of OpenStack can keep.
pub(super) fn check_length(profile: &Profile) -> Result<(), NetworkError> {
    if profile.is_empty() || Value::Object(profile.clone()).to_string().len() <= LONGEST_PROFILE {
        return Ok(());
    }
    Err(ModelError::InvalidInput { error_message: "binding:profile value too large".to_owned() }.into())
}

/// Binds a port to a host; `host` empty: to none. The parent of a trunk is plugged into the trunk's own bridge.
pub(super) fn of(
    work: &Work<'_>,
    network: NetworkId,
    port: Option<PortId>,
    host: &str,
    vnic_type: &str,
    profile: &Profile,
) -> Result<Binding, NetworkError> {
    if host.is_empty() {
        return Ok(Binding::bare(VifType::Unbound));
    }
    let alive_since = work.now - SignedDuration::from_secs(work.config.agent_down_time.into());
    let agents: Vec<L2Agent> = work.tx.query(
        "SELECT heartbeat_timestamp >= ?3, admin_state_up, configurations FROM agents WHERE host = ?1 AND agent_type = ?2",
        params![host, L2_AGENT, alive_since],
        |row| {
            Ok(L2Agent {
                alive: row.get(0)?,
                admin_state_up: row.get(1)?,
                // What an agent reports that cannot be read reaches no segment.
                configurations: serde_json::from_str(&row.text(2)?).unwrap_or_default(),
            })
        },
    )?;
    // A host is on the first of the network's segments that it reaches.
    let segments = segment::of_network(work.tx, network)?;
    Ok(match segments.iter().find_map(|segment| bind(vnic_type, switches(profile), segment, &agents).ok()) {
        Some(mut details) => {
            if let Some(trunk) = port.map(|port| trunk::of_parent(work.tx, port)).transpose()?.flatten() {
                details.bridge_name = trunk.bridge();
            }
            let mut vif_details = json!(details);
            if let Some(members) = vif_details.as_object_mut() {
                members.insert("bound_drivers".into(), json!({"0": "openvswitch"}));
            }
            Binding { vif_type: VifType::Ovs, vif_details }
        }
        None => Binding::bare(VifType::BindingFailed),
    })
}

/// Whether the profile says that the device is one whose switch Open vSwitch can program.
fn switches(profile: &Profile) -> bool {
    let capabilities = profile.get("capabilities").and_then(Value::as_array);
    capabilities.is_some_and(|known| known.iter().any(|known| known == "switchdev"))
}
