//! Configuration files of the programs that run on a host, as an installer would write them.

use serde::Serialize;

use crate::topology::{Datapath, Host, Role, Topology};
use crate::{Credentials, Error, Result};

/// Port of the server on the management network.
pub(crate) const SERVER_PORT: u16 = 9696;
/// Agent's configuration, inside its host.
pub(crate) const AGENT: &str = "/etc/neutronium/agent.toml";
/// What agents show the server, inside their host.
pub(crate) const AGENT_SECRET: &str = "/etc/neutronium/agent.secret";
/// Server's configuration, inside its host.
pub(crate) const SERVER: &str = "/etc/neutronium/server.toml";

#[derive(Serialize)]
struct AgentFile<'a> {
    agent: AgentSection<'a>,
    ovs: OvsSection<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    l3: Option<L3Section<'a>>,
    #[serde(flatten)]
    further: &'a toml::Table,
}

#[derive(Serialize)]
struct AgentSection<'a> {
    host: &'a str,
    server: String,
    secret_file: &'static str,
    roles: Vec<Role>,
    state_dir: &'static str,
}

#[derive(Serialize)]
struct L3Section<'a> {
    agent_mode: &'a str,
}

#[derive(Serialize)]
struct OvsSection<'a> {
    datapath_type: &'static str,
    bridge_mappings: toml::Table,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tunnel_types: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    local_ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<EndpointSection<'a>>,
}

#[derive(Serialize)]
struct EndpointSection<'a> {
    bridge: &'a str,
    prefix_len: u8,
}

/// The agent's file.
pub(crate) fn agent(topology: &Topology, host: &Host) -> Result<String> {
    let address = topology
        .server_address()
        .ok_or_else(|| Error::Preflight("the topology has agents but no host with the role \"server\"".to_owned()))?;
    let endpoint = host.endpoint_bridge().and_then(|bridge| Some((bridge, bridge.address?)));
    render(&AgentFile {
        agent: AgentSection {
            host: &host.name,
            server: format!("http://{address}:{SERVER_PORT}"),
            secret_file: AGENT_SECRET,
            roles: host.roles.iter().copied().filter(|role| *role != Role::Server).collect(),
            state_dir: "/var/lib/neutronium",
        },
        ovs: OvsSection {
            datapath_type: topology.datapath.as_str(),
            bridge_mappings: host
                .bridges
                .iter()
                .filter_map(|bridge| Some((bridge.physical_network.clone()?, bridge.name.clone().into())))
                .collect(),
            tunnel_types: &topology.tunnel_types,
            local_ip: endpoint.map(|(_, address)| address.addr().to_string()),
            // With the kernel's datapath any address of the host will do.
            endpoint: endpoint
                .filter(|_| topology.datapath == Datapath::Netdev)
                .map(|(bridge, address)| EndpointSection { bridge: &bridge.name, prefix_len: address.prefix_len() }),
        },
        l3: host.l3_mode.as_deref().map(|agent_mode| L3Section { agent_mode }),
        further: &topology.agent_options,
    })
}

#[derive(Serialize)]
struct ServerFile<'a> {
    server: ServerSection,
    identity: IdentitySection<'a>,
    agents: AgentsSection<'a>,
    #[serde(skip_serializing_if = "toml::Table::is_empty")]
    network: &'a toml::Table,
    ml2: &'a toml::Table,
}

#[derive(Serialize)]
struct ServerSection {
    listen: Vec<String>,
    state_dir: &'static str,
}

#[derive(Serialize)]
struct IdentitySection<'a> {
    admin_password: &'a str,
}

#[derive(Serialize)]
struct AgentsSection<'a> {
    secret: &'a str,
}

/// The server's file; `machine_port` is where the machine reaches it on 127.0.0.1.
pub(crate) fn server(topology: &Topology, host: &Host, machine_port: u16, credentials: &Credentials) -> Result<String> {
    let addresses = host.nics.iter().filter_map(|nic| nic.address);
    render(&ServerFile {
        server: ServerSection {
            listen: addresses
                .map(|address| format!("{address}:{SERVER_PORT}"))
                // The same URL as on the machine works on the server's own host.
                .chain([format!("127.0.0.1:{machine_port}")])
                .collect(),
            state_dir: "/var/lib/neutronium",
        },
        identity: IdentitySection { admin_password: &credentials.admin_password },
        agents: AgentsSection { secret: &credentials.agent_secret },
        network: &topology.network_options,
        ml2: &topology.ml2,
    })
}

fn render(file: &impl Serialize) -> Result<String> {
    toml::to_string(file).map_err(|error| Error::Preflight(format!("the configuration cannot be written: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_get_what_the_topology_has_for_them() {
        let mut topology = Topology::lab10().unwrap();
        topology.agent_options = "[dhcp]\nlocal_resolv = true".parse().unwrap();
        let text = agent(&topology, topology.host("network").unwrap()).unwrap();
        assert!(text.ends_with("[dhcp]\nlocal_resolv = true\n"), "{text}");
    }

    #[test]
    fn the_default_labs_files() {
        let topology = Topology::lab10().unwrap();
        let credentials = Credentials { admin_password: "PASSWORD".to_owned(), agent_secret: "SECRET".to_owned() };
        let text = format!(
            "# network\n{}\n# controller\n{}",
            agent(&topology, topology.host("network").unwrap()).unwrap(),
            server(&topology, topology.host("controller").unwrap(), 9696, &credentials).unwrap()
        );
        insta::assert_snapshot!(text);
    }
}
