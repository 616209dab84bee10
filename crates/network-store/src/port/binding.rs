//! Bindings in the store: how a port goes in on its host.

use crate::{NetworkError, Work, segment};
use jiff::SignedDuration;
use net_types::NetworkId;
use network_model::binding::{L2Agent, VifType, bind};
use serde_json::{Value, json};
use store::params;

/// The `agent_type` of agents that plug ports in.
const L2_AGENT: &str = "Open vSwitch agent";

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

/// Binds a port to a host; `host` empty: to none.
pub(super) fn of(work: &Work<'_>, network: NetworkId, host: &str, vnic_type: &str) -> Result<Binding, NetworkError> {
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
    let Some(segment) = segment::of_network(work.tx, network)? else {
        return Ok(Binding::bare(VifType::BindingFailed));
    };
    Ok(match bind(vnic_type, &segment, &agents) {
        Ok(details) => {
            let mut vif_details = json!(details);
            if let Some(members) = vif_details.as_object_mut() {
                members.insert("bound_drivers".into(), json!({"0": "openvswitch"}));
            }
            Binding { vif_type: VifType::Ovs, vif_details }
        }
        Err(_) => Binding::bare(VifType::BindingFailed),
    })
}
