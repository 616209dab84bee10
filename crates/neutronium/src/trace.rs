//! `neutronium trace`: walks a packet through what this host's agent has planned, and says what decides its fate, who else
//! gets a copy, and who writes it down.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use host_agent::{AgentConfig, KnownHost, ViewFrom};
use packet_trace::{Answer, Entrance, Question, Rooms, Switch, Tracker, neighbours};
use serde_json::json;

use crate::exit::{Exit, Failure};
use crate::print;
use error_text::sentence;

/// Arguments of `neutronium trace`.
#[derive(Debug, Args)]
#[command(
    after_help = "Walks the first packet of a connection, through the plan of this host's last known view; nothing is sent.

Exit code: 0 the packet leaves somewhere, 1 it does not, 2 the question cannot be asked.

Examples:
  neutronium trace 8482d3d2 tcp 10.0.0.7 22          PORT by its first characters: every flow that decides, and what follows
  neutronium trace 8482d3d2 icmp 2001:db8::7         IPv6
  neutronium trace 8482d3d2 udp 10.0.0.7 53 --json | jq .copies"
)]
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
    /// For programs.
    #[arg(long)]
    json: bool,
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
    let entrance = Entrance::of(question.from, &host.view, &host.state)
        .ok_or_else(|| Failure::refused(format!("port {} is not plugged here", question.from)))?;
    let packet = entrance.packet(&packet);
    let near = neighbours(&host.view, &host.plan);
    let mut rooms = Rooms::new(&host.plan);
    let trace = rooms.send(&switch, (&entrance.bridge, &entrance.device), &packet, &mut Tracker::default(), &near);
    let answer = Answer::new(&trace, &host.view, &host.plan, &host.rules);
    if arguments.json {
        let steps: Vec<String> = trace.to_string().lines().map(str::to_owned).collect();
        print::json(&json!({
            "from": question.from, "bridge": entrance.bridge, "device": entrance.device, "packet": packet.to_string(), "answer": answer, "steps": steps,
        }))?;
    } else {
        print::line(trace.to_string().trim_end());
        answer.lines().iter().for_each(print::line);
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
