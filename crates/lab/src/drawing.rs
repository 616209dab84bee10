//! A drawing of a topology for a terminal: hosts side by side, each network a line through those that are on it. Pure.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::topology::{Host, Topology};

/// Between columns.
const GAP: usize = 2;

/// Draws the lab; lines without trailing blanks, no colours.
#[must_use]
pub fn drawing(topology: &Topology) -> String {
    let rows = rows(topology);
    let label_width = rows.iter().map(|row| width(&row.label)).max().unwrap_or(0) + GAP;
    let columns: Vec<usize> = topology
        .hosts
        .iter()
        .enumerate()
        .map(|(index, host)| {
            let cells = rows.iter().filter_map(|row| row.cells.get(index)?.as_ref()).map(|cell| width(cell) + 2);
            cells.chain([width(&host.name), width(&roles(host))]).max().unwrap_or(0) + GAP
        })
        .collect();

    let mut lines = Vec::new();
    for heading in [|host: &Host| host.name.clone(), roles] {
        let cells = topology.hosts.iter().zip(&columns).map(|(host, width)| padded(&heading(host), *width, ' '));
        lines.push(padded("", label_width, ' ') + &cells.collect::<String>());
    }
    for row in &rows {
        let last = row.cells.iter().rposition(Option::is_some).unwrap_or(0);
        let mut line = padded(&row.label, label_width, ' ');
        let mut started = false;
        for (index, (cell, width)) in row.cells.iter().zip(&columns).enumerate() {
            started |= cell.is_some();
            let fill = if started && index < last { '─' } else { ' ' };
            let text = cell.as_ref().map_or_else(String::new, |cell| format!("● {cell} "));
            line.push_str(&padded(&text, *width, fill));
        }
        lines.push(line);
    }
    let trimmed: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    trimmed.join("\n")
}

/// One network, or one joined bridge.
struct Row {
    label: String,
    /// What each host has on it.
    cells: Vec<Option<String>>,
}

fn rows(topology: &Topology) -> Vec<Row> {
    let networks =
        topology.networks.iter().map(|network| Row {
            label: format!("{} {}", network.name, network.cidr),
            cells: topology
                .hosts
                .iter()
                .map(|host| {
                    let nic = host.nics.iter().find(|nic| nic.network == network.name)?;
                    let bridge = host.bridges.iter().find(|bridge| bridge.ports.contains(&nic.name));
                    let address = nic.address.or_else(|| Some(bridge?.address?.addr()));
                    let device = bridge.map_or(nic.name.as_str(), |bridge| bridge.name.as_str());
                    Some(address.map_or_else(
                        || device.to_owned(),
                        |address| format!("{device} {}", short(address, network.cidr)),
                    ))
                })
                .collect(),
        });
    let joins = topology.joins.iter().map(|join| Row {
        label: format!("{} joined by VXLAN {}", join.bridge, join.vni),
        cells: topology
            .hosts
            .iter()
            .map(|host| {
                let member = join.hub == host.name || join.spokes.contains(&host.name);
                let bridge = host.bridges.iter().find(|bridge| member && bridge.name == join.bridge)?;
                let mapped = bridge.physical_network.as_deref().unwrap_or(&bridge.name);
                Some(bridge.address.map_or_else(|| mapped.to_owned(), |address| format!("{mapped} {}", address.addr())))
            })
            .collect(),
    });
    networks.chain(joins).collect()
}

/// What an address has beyond its network's whole octets: `.12` of 192.168.2.12 in 192.168.2.0/24.
fn short(address: Ipv4Addr, cidr: Ipv4Net) -> String {
    let known = usize::from(cidr.prefix_len() / 8).min(3);
    let own: String = address.octets().iter().skip(known).map(|octet| format!(".{octet}")).collect();
    if known == 0 { address.to_string() } else { own }
}

fn roles(host: &Host) -> String {
    let names: Vec<String> = host.roles.iter().map(|role| format!("{role:?}").to_lowercase()).collect();
    names.join(" ")
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn padded(text: &str, to: usize, fill: char) -> String {
    let missing = to.saturating_sub(width(text));
    text.chars().chain(std::iter::repeat_n(fill, missing)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_lab() {
        insta::assert_snapshot!(drawing(&Topology::lab10().unwrap()));
    }
}
