//! `neutronium trace`: walks a packet through what this host's agent has planned, and says what decides its fate.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use host_agent::{AgentConfig, KnownHost, ViewFrom};
use packet_trace::{Question, Rooms, Switch, Trace, Tracker, neighbours, rules_met};

use crate::exit::{Exit, Failure, sentence};
use crate::print;

/// Arguments of `neutronium trace`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The agent's configuration, TOML.
    #[arg(long, default_value = "/etc/neutronium/agent.toml")]
    config: PathBuf,
    /// The port that begins: its id, or its first characters, as in the device's name.
    from: String,
    /// tcp, udp, sctp, icmp, or the number of an IP protocol.
    protocol: String,
    /// The address that it wants to reach.
    to: IpAddr,
    /// The port there, for tcp, udp and sctp.
    #[arg(default_value_t = 0)]
    port: u16,
}

/// Nothing is sent and nothing is changed: the walk is through the plan for this host's last known view.
pub fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let place = arguments.config.display();
    let config = AgentConfig::load(&arguments.config)
        .map_err(|error| Failure::refused(format!("{place}: {}", sentence(&error))))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start a thread: {error}")))?;
    let host = runtime
        .block_on(host_agent::known_host(&config, ViewFrom::Kept))
        .map_err(|error| Failure::failed(sentence(&error)))?;
    let question = question(arguments, &host).map_err(Failure::refused)?;
    let packet = question.packet(&host.view).map_err(Failure::refused)?;
    let switch = Switch::new(&host.plan, &host.state);
    let device = host.state.interfaces.iter().find(|(_, interface)| interface.iface_id == Some(question.from));
    let (device, interface) =
        device.ok_or_else(|| Failure::refused(format!("port {} is not plugged here", question.from)))?;
    let near = neighbours(&host.view, &host.plan);
    let mut rooms = Rooms::new(&host.plan);
    let trace = rooms.send(&switch, (&interface.bridge, device), &packet, &mut Tracker::default(), &near);
    print::line(trace.to_string().trim_end());
    for line in verdict(&trace, &host) {
        print::line(&line);
    }
    Ok(if trace.is_dropped() { Exit::FAILED } else { Exit::DONE })
}

fn question(arguments: &Arguments, host: &KnownHost) -> Result<Question, String> {
    let named = host.view.ports.keys().filter(|id| id.to_string().starts_with(&arguments.from));
    let from = match named.copied().collect::<Vec<_>>().as_slice() {
        [one] => *one,
        [] => return Err(format!("no port of this host begins with {}", arguments.from)),
        _ => return Err(format!("several ports of this host begin with {}", arguments.from)),
    };
    let protocol = match (arguments.protocol.as_str(), arguments.to.is_ipv6()) {
        ("tcp", _) => 6,
        ("udp", _) => 17,
        ("sctp", _) => 132,
        ("icmp", false) => 1,
        ("icmp", true) => 58,
        (number, _) => number.parse().map_err(|_| format!("{number} is not a protocol"))?,
    };
    Ok(Question { from, protocol, to: arguments.to, port: arguments.port })
}

fn verdict(trace: &Trace<'_>, host: &KnownHost) -> Vec<String> {
    let rules = rules_met(trace, &host.rules);
    let mut lines: Vec<String> = rules
        .iter()
        .map(|ids| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or "))
        .map(|ids| format!("allowed by security group rule {ids}"))
        .collect();
    match trace.dropped_by() {
        Some(flow) => lines.push(format!("dropped, by table {}, priority {}", flow.table, flow.priority)),
        None => lines.extend(trace.exits().map(|exit| match exit.tunnel {
            Some((peer, key)) => format!("leaves for the host at {peer} with key {key}"),
            None => format!("leaves {} by {}", exit.bridge, exit.port),
        })),
    }
    lines
}
