//! What the agent would do, without doing it; and the undoing of all that it did.
//!
//! Both read the host the way the agent does, and are meant to be run by hand: errors end them.

use crate::switch::database::{desired, local_state, owner};
use crate::{AgentConfig, AgentError, keep};
use host_drivers::openflow::OpenFlow;
use host_drivers::ovsdb::Database;
use host_drivers::{Place, netns, nft};
use host_plan::{FLOW_OWNER, HostPlan, LocalState, PortKind, plan};
use host_view::{AgentRole, HostView};
use openflow::{FlowDiff, diff};
use ovsdb::Desired;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A plan, and what of it is not yet so.
#[derive(Debug, Clone)]
pub struct Preview {
    /// Everything that the host must look like.
    pub plan: HostPlan,
    /// What would be written to OVSDB, in words; none: nothing.
    pub ovsdb: Option<String>,
    /// What would be changed on each bridge; bridges that are as they must be are left out.
    pub flows: BTreeMap<String, FlowDiff>,
    /// Namespaces that would be made.
    pub namespaces: BTreeSet<String>,
}

/// The plan of a view for a host of this configuration and state. Pure.
pub fn plan_only(config: &AgentConfig, view: &HostView, state: &LocalState) -> HostPlan {
    plan(view, &config.host_config(), state)
}

/// What would be done now for `view`; for the last known one, when none is given.
pub async fn preview(config: &AgentConfig, view: Option<HostView>) -> Result<Preview, AgentError> {
    let known = || keep::load(&config.agent.state_dir).map(|known| known.view);
    let view = view.map(Arc::new).or_else(known).unwrap_or_default();
    let mut database = Database::new(&config.ovs.db());
    let cache = database.cache().await?;
    let plan = plan_only(config, &view, &local_state(&cache, None));
    // Devices are made before they are plugged; here it is taken for granted that they can be.
    let ready = |(name, port): (&String, &host_plan::BridgePort)| (port.kind == PortKind::Veth).then(|| name.clone());
    let ready = plan.bridges.values().flat_map(|bridge| bridge.ports.iter().filter_map(ready)).collect();
    let written = ovsdb::plan(&cache, &desired(&plan, &ready, &BTreeSet::new(), &cache)).transaction;
    let mut flows = BTreeMap::new();
    for (bridge, wanted) in &plan.flows {
        // A bridge that is not there yet has no flows.
        let installed = match OpenFlow::connect(&config.ovs.rundir, bridge).await {
            Ok(mut connection) => connection.dump_flows().await?,
            Err(_) => vec![],
        };
        let change = diff(&installed, wanted, FLOW_OWNER);
        if !change.is_empty() {
            flows.insert(bridge.clone(), change);
        }
    }
    let there: BTreeSet<String> = netns::list()?.into_iter().collect();
    let namespaces = plan.namespaces.keys().filter(|name| !there.contains(*name)).cloned().collect();
    Ok(Preview { ovsdb: written.map(|transaction| transaction.to_string()), flows, namespaces, plan })
}

/// Takes away everything that agents of this configuration have made on this host: flows on bridges of the operator's, our
/// bridges and ports, namespaces with their devices, what is known of the view. The agent must not run.
///
/// Every step is tried; the answer says which failed.
pub async fn remove_everything(config: &AgentConfig) -> Vec<AgentError> {
    let mut errors = vec![];
    let mut note = |result: Result<(), AgentError>| errors.extend(result.err());
    let mut database = Database::new(&config.ovs.db());
    let bridges: BTreeSet<&String> = config.ovs.bridge_mappings.values().collect();
    for bridge in bridges {
        note(remove_flows(config, bridge).await);
    }
    note(remove_ports(&mut database).await);
    note(remove_namespaces(config).await);
    let table = "add table netdev neutronium-quiet\ndelete table netdev neutronium-quiet\n";
    note(nft::apply(&Place::Host, table.to_owned()).await.map_err(AgentError::from));
    note(keep::remove(&config.agent.state_dir));
    errors
}

async fn remove_flows(config: &AgentConfig, bridge: &str) -> Result<(), AgentError> {
    let Ok(mut connection) = OpenFlow::connect(&config.ovs.rundir, bridge).await else { return Ok(()) };
    let installed = connection.dump_flows().await?;
    connection.apply(&diff(&installed, &[], FLOW_OWNER)).await?;
    Ok(())
}

async fn remove_ports(database: &mut Database) -> Result<(), AgentError> {
    let cache = database.cache().await?;
    if let Some(transaction) = ovsdb::plan(&cache, &Desired::nothing(owner())).transaction {
        database.transact(transaction).await?;
    }
    Ok(())
}

async fn remove_namespaces(config: &AgentConfig) -> Result<(), AgentError> {
    let roles: &BTreeSet<AgentRole> = &config.agent.roles;
    for name in netns::list()?.into_iter().filter(|name| crate::rooms::is_ours(name, roles)) {
        crate::rooms::remove(&name, &[]).await?;
    }
    Ok(())
}
