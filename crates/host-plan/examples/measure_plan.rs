//! What planning costs: `cargo run --release -p host-plan --example measure_plan [PORTS] [NETWORKS] [REMOTE PORTS]`.
//!
//! All ports of the host are in one group that refers to a remote group of all ports; every network has DHCP here.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // a tool for people

#[path = "../tests/support/mod.rs"]
mod support;

use host_view::{Remote, RemotePort, Segment, TunnelPeer};
use net_types::{NetworkType, Vni};
use std::time::Instant;
use support::*;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|number| number.parse::<u32>().unwrap());
    let mut next = |default| arguments.next().unwrap_or(default);
    let (ports, networks, remote) = (next(500), next(50), next(5000));
    let mut host = Host::empty();
    host.view
        .security_groups
        .insert(id(WEB), group([tcp(22, 22, Remote::Any), tcp(8000, 8010, Remote::Group(id(WEB)))]));
    let address = |number: u32| format!("10.{}.{}.{}", 1 + number / 62_500, number / 250 % 250, 3 + number % 250);
    for network in 0..networks {
        let (name, subnet) = (format!("{:x}", 0x1000 + network), format!("{:x}", 0x5_0000 + network));
        host.network(&name, Segment::Vxlan { vni: Vni::new(1 + network).unwrap() }, 1450);
        host.subnet(&subnet, &name, "10.0.0.0/8", Some("10.0.0.1"));
        let server = format!("fa:16:3e:d0:{:02x}:{:02x}", network >> 8, network & 255);
        host.dhcp(&format!("{:x}", 0xd_0000 + network), &name, &server, &[(&subnet, "10.0.0.2")], &[]);
    }
    host.view.tunnel_peers.insert(
        "peer".into(),
        TunnelPeer { address: ip("10.77.0.2"), mac: None, types: [NetworkType::Vxlan].into(), watched: false },
    );
    let mut members = std::collections::BTreeSet::new();
    for number in 0..ports + remote {
        let (network, subnet) =
            (format!("{:x}", 0x1000 + number % networks), format!("{:x}", 0x5_0000 + number % networks));
        let mac_text = format!("fa:16:3e:{:02x}:{:02x}:{:02x}", number >> 16, number >> 8 & 255, number & 255);
        members.insert(net(&address(number)));
        if number < ports {
            let port = NewPort::new(
                &format!("{:x}", 0xa00_0000 + number),
                &network,
                &mac_text,
                &[(&subnet, &address(number))],
            );
            host.plug(port.group(WEB));
        } else {
            let addresses = [ip(&address(number))].into();
            let value = RemotePort {
                network: id(&network),
                host: "peer".into(),
                mac: mac(&mac_text),
                addresses,
                may_be_on: [].into(),
            };
            host.view.remote_ports.insert(id(&format!("{:x}", 0xb00_0000 + number)), value);
        }
    }
    host.view.group_members.insert(id(WEB), members);
    let plan = host.settle();
    let flows: usize = plan.flows.values().map(Vec::len).sum();
    println!("{ports} ports, {networks} networks, {remote} remote ports: {flows} flows");
    for round in 0..3 {
        let start = Instant::now();
        let again = host.plan();
        println!("plan {round}: {:?}", start.elapsed());
        let start = Instant::now();
        let actions = host_plan::diff(&plan, &again);
        println!("diff {round}: {:?}, {} actions", start.elapsed(), actions.len());
    }
}
