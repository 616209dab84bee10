//! The undoing of everything that agents have made on a host, and of nothing else.
//!
//! | layer | what goes | what stays |
//! | --- | --- | --- |
//! | flows | those with our cookie | others' |
//! | OVSDB | bridges and ports with our mark; VLANs that we gave to others' ports | others' bridges and ports, and a bridge of ours that carries such a port |
//! | namespaces | those of DHCP servers and routers, by name | all others |
//! | nftables of the host | chains of devices that are gone | others' tables, chains of others' devices |
//! | tunnels | the endpoint's address, the peers' neighbour entries | others' addresses and entries |
//! | files | the last known view, the socket that the agent answered on | all others |
//!
//! It is meant to be run by hand while no agent runs, and says what it did. Every step is tried; those that failed are told.

use crate::audit::neighbours;
use crate::lock::Lock;
use crate::switch::database::owner;
use crate::{AgentConfig, AgentError, keep, life};
use host_drivers::links::Links;
use host_drivers::openflow::OpenFlow;
use host_drivers::ovsdb::Database;
use host_drivers::{DriverError, Place, netns, nft, unixctl};
use host_plan::{DEAD_VLAN, FLOW_OWNER};
use openflow::diff;
use ovsdb::{Bridge, Cache, Desired, DesiredBridge, Port, PortVlan};
use serde::Serialize;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

/// What came of it.
#[derive(Debug, Default, Serialize)]
pub struct Cleanup {
    /// What was removed, a few words each.
    pub removed: Vec<String>,
    /// What is ours and stays, and why.
    pub kept: Vec<String>,
    /// What failed.
    #[serde(serialize_with = "sentences")]
    pub errors: Vec<AgentError>,
}

fn sentences<S: serde::Serializer>(errors: &[AgentError], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(errors.iter().map(|error| error_text::sentence(error)))
}

impl Cleanup {
    fn note(&mut self, step: Result<(), AgentError>) {
        self.errors.extend(step.err());
    }
}

/// Takes away everything that agents of this configuration have made. An error, and nothing is done, while an agent runs.
pub async fn remove_everything(config: &AgentConfig) -> Result<Cleanup, AgentError> {
    let _lock = Lock::take(&config.agent.state_dir)?;
    let mut cleanup = Cleanup::default();
    let mut database = Database::new(&config.ovs.db());
    let step = database_and_flows(config, &mut database, &mut cleanup).await;
    cleanup.note(step);
    let step = namespaces(config, &mut cleanup).await;
    cleanup.note(step);
    let step = quiet_chains().await;
    cleanup.note(step);
    let step = endpoint(config, &mut cleanup).await;
    cleanup.note(step);
    cleanup.note(keep::remove(&config.agent.state_dir));
    cleanup.note(life::remove(&config.agent.state_dir));
    Ok(cleanup)
}

async fn database_and_flows(
    config: &AgentConfig,
    database: &mut Database,
    cleanup: &mut Cleanup,
) -> Result<(), AgentError> {
    let cache = database.cache().await?;
    let owner = owner();
    let mut wanted = Desired::nothing(owner.clone());
    let (ours, others): (Vec<&Bridge>, Vec<&Bridge>) =
        cache.bridges().partition(|bridge| owner.owns(&bridge.external_ids));
    let mut keep_flowing: BTreeSet<&str> = config.ovs.bridge_mappings.values().map(String::as_str).collect();
    let (mut removed, mut kept) = (vec![], vec![]);
    for bridge in ours {
        let is_a_strangers = |port: &&Port| port.name != bridge.name && !owner.owns(&port.external_ids);
        let strangers: Vec<&Port> = cache.ports_of(bridge).filter(is_a_strangers).collect();
        if strangers.is_empty() {
            removed.push(format!("bridge {}", bridge.name));
            continue;
        }
        let names: BTreeSet<&str> = strangers.iter().map(|port| port.name.as_str()).collect();
        let names: Vec<&str> = names.into_iter().collect();
        kept.push(format!("bridge {}, for it carries ports of others: {}", bridge.name, names.join(", ")));
        wanted.bridges.insert(bridge.name.clone(), DesiredBridge::default());
        let tagged = strangers.into_iter().filter(|port| has_our_vlan(port));
        wanted.vlans.extend(tagged.map(|port| (port.name.clone(), PortVlan::default())));
        keep_flowing.insert(&bridge.name);
        removed.extend(our_ports(&cache, bridge));
    }
    removed.extend(others.into_iter().flat_map(|bridge| our_ports(&cache, bridge)));
    for bridge in keep_flowing {
        match remove_flows(&config.ovs.rundir, bridge).await {
            Ok(0) => {}
            Ok(count) => cleanup.removed.push(format!("{count} flows of {bridge}")),
            Err(error) => cleanup.errors.push(error),
        }
    }
    if let Some(transaction) = ovsdb::plan(&cache, &wanted).transaction {
        database.transact(transaction).await?;
    }
    cleanup.removed.extend(removed);
    cleanup.kept.extend(kept);
    Ok(())
}

fn our_ports(cache: &Cache, bridge: &Bridge) -> Vec<String> {
    let ours = cache.ports_of(bridge).filter(|port| owner().owns(&port.external_ids) && port.name != bridge.name);
    ours.map(|port| format!("port {} of {}", port.name, bridge.name)).collect()
}

/// The agent says in `other_config` which network a VLAN is of, and has one for ports of nobody.
fn has_our_vlan(port: &Port) -> bool {
    port.other_config.contains_key("net_uuid") || port.tag == Some(DEAD_VLAN)
}

/// How many there were.
async fn remove_flows(rundir: &Path, bridge: &str) -> Result<usize, AgentError> {
    let mut connection = match OpenFlow::connect(rundir, bridge).await {
        Ok(connection) => connection,
        // A bridge that is not there has no flows.
        Err(DriverError::OpenFlowLost { .. }) => return Ok(0),
        Err(error) => return Err(error.into()),
    };
    let mut installed = connection.dump_flows().await?;
    // Those that the switch has learned by our flows go with them.
    for flow in &mut installed {
        (flow.idle_timeout, flow.hard_timeout) = (0, 0);
    }
    let change = diff(&installed, &[], FLOW_OWNER);
    connection.apply(&change).await?;
    Ok(change.delete.len())
}

async fn namespaces(config: &AgentConfig, cleanup: &mut Cleanup) -> Result<(), AgentError> {
    for name in netns::list()?.into_iter().filter(|name| crate::rooms::is_ours(name, &config.agent.roles)) {
        match crate::rooms::remove(&name, &[]).await {
            Ok(_) => cleanup.removed.push(format!("namespace {name}")),
            Err(error) => cleanup.errors.push(error),
        }
    }
    Ok(())
}

async fn quiet_chains() -> Result<(), AgentError> {
    let links = Links::open(&Place::Host).await?.list().await?;
    let chains = nft::quiet_chains(&Place::Host).await?;
    let is_gone = |device: &Option<String>| device.as_ref().is_none_or(|device| !links.contains_key(device));
    let gone: Vec<&String> = chains.iter().filter(|(_, device)| is_gone(device)).map(|(chain, _)| chain).collect();
    if !gone.is_empty() {
        nft::apply(&Place::Host, nft::forget_quiet(&gone, chains.len())).await?;
    }
    Ok(())
}

/// The switch has no way to forget one neighbour: it forgets all, and is told the others' again.
async fn endpoint(config: &AgentConfig, cleanup: &mut Cleanup) -> Result<(), AgentError> {
    let Some(tunnel) = config.host_config().tunnel else { return Ok(()) };
    let (Some(device), Some(address)) = (tunnel.bridge.clone(), tunnel.address()) else { return Ok(()) };
    let links = Links::open(&Place::Host).await?;
    if let Some(link) = links.get(&device).await?
        && links.addresses().await?.get(&link.index).is_some_and(|held| held.contains(&address))
    {
        links.delete_address(link.index, address).await?;
        cleanup.removed.push(format!("address {address} of {device}"));
    }
    let view = keep::load(&config.agent.state_dir).map(|known| known.view).unwrap_or_default();
    let peers: BTreeSet<IpAddr> = view.tunnel_peers.values().map(|peer| peer.address).collect();
    let rundir = &config.ovs.rundir;
    let known = neighbours(&unixctl::run(rundir, "tnl/neigh/show", &[]).await?);
    let is_ours = |(bridge, address): &(String, IpAddr)| *bridge == device && peers.contains(address);
    if known.keys().any(is_ours) {
        unixctl::run(rundir, "tnl/neigh/flush", &[]).await?;
        for ((bridge, address), mac) in known.iter().filter(|(key, _)| !is_ours(key)) {
            let words = [bridge.as_str(), &address.to_string(), &mac.to_string()];
            unixctl::run(rundir, "tnl/neigh/set", &words).await?;
        }
        cleanup.removed.push(format!("{} tunnel neighbours", known.keys().filter(|key| is_ours(key)).count()));
    }
    Ok(())
}
