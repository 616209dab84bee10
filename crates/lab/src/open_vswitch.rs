//! A host's Open vSwitch: the command lines of its two daemons and the bridges that the host's own set-up makes.
//!
//! br-int and br-tun are the agent's; here are only the bridges that reach the host's cards, as an operator would make
//! them before installing an agent, and the tunnels that join bridges outside Neutron.

use std::path::Path;

use crate::cables::bridge_mac;
use crate::topology::{Datapath, Host, Topology};
use crate::{Result, command};

/// Where its sockets are, inside the host.
pub(crate) const RUNDIR: &str = "/run/openvswitch";
/// Where its database is, inside the host.
pub(crate) const DB: &str = "/etc/openvswitch/conf.db";
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";

/// Makes an empty database unless there is one.
pub(crate) fn create_db() -> Result<()> {
    if !Path::new(DB).exists() {
        command::run("ovsdb-tool", &["create", DB, SCHEMA])?;
    }
    Ok(())
}

/// The database server's command line.
pub(crate) fn ovsdb_server() -> Vec<String> {
    daemon(
        "ovsdb-server",
        &[DB, "--remote=punix:/run/openvswitch/db.sock", "--remote=db:Open_vSwitch,Open_vSwitch,manager_options"],
    )
}

/// The switch's command line.
pub(crate) fn ovs_vswitchd() -> Vec<String> {
    daemon("ovs-vswitchd", &["unix:/run/openvswitch/db.sock"])
}

fn daemon(program: &str, rest: &[&str]) -> Vec<String> {
    let mut line = vec![program.to_owned()];
    line.extend(rest.iter().map(|&argument| argument.to_owned()));
    line.extend(["--pidfile", "-vconsole:info", "-vsyslog:off"].map(str::to_owned));
    line
}

/// One `ovs-vsctl` transaction that makes the host's bridges and joins. Safe to run again.
pub(crate) fn bridges(topology: &Topology, host: &Host) -> Vec<String> {
    let host_index = topology.hosts.iter().position(|h| h.name == host.name).unwrap_or(0);
    let datapath = topology.datapath;
    let mut words: Vec<String> = Vec::new();
    let mut clause = |clause: String| words.extend(clause.split_ascii_whitespace().map(str::to_owned));

    clause("--no-wait init".to_owned());
    clause(format!("-- set Open_vSwitch . external_ids:hostname={0} external_ids:system-id={0}", host.name));
    for (index, bridge) in host.bridges.iter().enumerate() {
        let name = &bridge.name;
        clause(format!(
            "-- --may-exist add-br {name} -- set Bridge {name} datapath_type={} fail_mode=standalone other_config:hwaddr=\"{}\"",
            datapath.as_str(),
            bridge_mac(host_index, index, bridge),
        ));
        clause(format!("-- set Interface {name} mtu_request={}", bridge.mtu));
        for port in &bridge.ports {
            clause(format!("-- --may-exist add-port {name} {port}"));
        }
    }
    let endpoints = topology.endpoints();
    for join in &topology.joins {
        let peers: Vec<&String> = if join.hub == host.name {
            join.spokes.iter().collect()
        } else if join.spokes.contains(&host.name) {
            vec![&join.hub]
        } else {
            continue;
        };
        for peer in peers {
            let (Some(local), Some(remote)) = (endpoints.get(host.name.as_str()), endpoints.get(peer.as_str())) else {
                continue;
            };
            let port = join_port(&join.bridge, topology, peer);
            clause(format!(
                "-- --may-exist add-port {} {port} -- set Interface {port} type=vxlan options:key={} options:local_ip={local} options:remote_ip={remote}",
                join.bridge, join.vni,
            ));
        }
    }
    words
}

/// `join-N-BRIDGE` for the tunnel to the N-th host, cut to what a device name may have.
fn join_port(bridge: &str, topology: &Topology, peer: &str) -> String {
    let index = topology.hosts.iter().position(|host| host.name == peer).unwrap_or(0);
    format!("join{index}-{bridge}").chars().take(15).collect()
}

/// Tells the switch its neighbours behind the tunnels, which it otherwise learns by losing the first packets.
pub(crate) fn seed_neighbours(topology: &Topology, host: &Host) -> Vec<[String; 4]> {
    let (Some(own), Datapath::Netdev) = (host.endpoint_bridge(), topology.datapath) else { return Vec::new() };
    topology
        .hosts
        .iter()
        .enumerate()
        .filter(|(_, peer)| peer.name != host.name)
        .filter_map(|(peer_index, peer)| {
            let index = peer.bridges.iter().position(|bridge| Some(&bridge.name) == peer.endpoint.as_ref())?;
            let bridge = peer.bridges.get(index)?;
            let mac = bridge_mac(peer_index, index, bridge);
            Some(["tnl/neigh/set".to_owned(), own.name.clone(), bridge.address?.addr().to_string(), mac])
        })
        .collect()
}

/// A card in the user-space datapath is read by a packet socket, of which the kernel keeps a copy and would answer and
/// forward it too: drop that copy after the socket has seen it.
pub(crate) fn quiet(host: &Host) -> String {
    let mut rules = String::from("table netdev lab_quiet\ndelete table netdev lab_quiet\ntable netdev lab_quiet {\n");
    for (index, port) in host.bridges.iter().flat_map(|bridge| &bridge.ports).enumerate() {
        rules.push_str(&format!(
            "  chain card{index} {{\n    type filter hook ingress device \"{port}\" priority -500; policy drop;\n  }}\n"
        ));
    }
    rules.push_str("}\n");
    rules
}

/// Forwarding from the host's bridges to the world, hidden behind one card's address; nothing new comes in.
pub(crate) fn masquerade(host: &Host, card: &str) -> String {
    let inside: Vec<String> = host
        .bridges
        .iter()
        .filter(|bridge| bridge.address.is_some() && host.endpoint.as_ref() != Some(&bridge.name))
        .map(|bridge| format!("\"{}\"", bridge.name))
        .collect();
    format!(
        "table ip lab_gateway\ndelete table ip lab_gateway\ntable ip lab_gateway {{\n  chain forward {{\n    type filter hook forward priority 0; policy drop;\n    iifname {{ {} }} accept\n    ct state established,related accept\n  }}\n  chain postrouting {{\n    type nat hook postrouting priority 100;\n    oifname \"{card}\" masquerade\n  }}\n}}\n",
        inside.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_node_of_the_default_lab() {
        let topology = Topology::lab10().unwrap();
        let host = topology.host("network").unwrap();
        let text = format!(
            "{}\n\n{:#?}\n\n{}\n{}",
            bridges(&topology, host).join(" ").replace(" -- ", "\n-- "),
            seed_neighbours(&topology, host),
            quiet(host),
            masquerade(host, "eth2"),
        );
        insta::assert_snapshot!(text);
    }
}
