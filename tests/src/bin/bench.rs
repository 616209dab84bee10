//! `make bench`: measures what Neutronium costs and prints it as tables; see `docs/benchmarks.md`.

use anstream::stdout;
use clap::{Parser, ValueEnum};
use serde_json::json;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use system_tests::bench::load::Target;
use system_tests::bench::peer::Agents;
use system_tests::bench::server::{Database, Server};
use system_tests::bench::{Table, api, hosts, machine, scale};
use system_tests::{Failure, Lab};

/// Measures what Neutronium costs. The API needs a disk; the hosts need root, and take a lab of their own.
#[derive(Debug, Parser)]
struct Arguments {
    /// The release binary.
    #[arg(long, env = "NEUTRONIUM", default_value = "target/release/neutronium")]
    server_binary: PathBuf,
    /// Only these parts.
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// Writes the tables to a file, for programs.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Where the API's database lies meanwhile; should be on a disk [default: the folder for temporary files]
    #[arg(long)]
    state_dir: Option<PathBuf>,
    /// Name of the lab.
    #[arg(long, default_value = "bench")]
    lab: String,
    /// Requests per operation of the API.
    #[arg(long, default_value_t = 1000)]
    requests: usize,
    /// An empty database of a PostgreSQL for the API's server in place of SQLite (postgresql://...); takes one part.
    #[arg(long, requires = "database_pid", requires = "only")]
    database: Option<String>,
    /// The first process of that PostgreSQL: what it costs is counted.
    #[arg(long)]
    database_pid: Option<u32>,
    /// A Neutron that takes headers at their word, to ask the same of in the same run: its address (127.0.0.1:9696).
    #[arg(long, requires = "peer_pids")]
    peer: Option<SocketAddr>,
    /// The processes that its answers cost: uwsgi's and the database's.
    #[arg(long, value_delimiter = ',')]
    peer_pids: Vec<u32>,
    /// Requests per operation of it.
    #[arg(long, default_value_t = 40)]
    peer_requests: usize,
    /// A command that measures Neutron's agents on this machine, right before ours, and prints the figures as JSON (the fields are
    /// those of `Agents` in tests/src/bench/peer.rs) [default: the figures of another run]
    #[arg(long)]
    neutron_agents: Option<String>,
    /// Samples of each time on hosts.
    #[arg(long, default_value_t = 20)]
    samples: usize,
    /// Ports on the host whose agent is killed.
    #[arg(long, default_value_t = 200)]
    ports: usize,
    /// Ports on the host when one more is bound, and when their security group changes.
    #[arg(long, default_value_t = 500)]
    crowd: usize,
    /// Ports on the host when its agent is killed again.
    #[arg(long, default_value_t = 1000)]
    many: usize,
    /// Networks that one host serves, with stops.
    #[arg(long, value_delimiter = ',', default_value = "1,50,500")]
    networks: Vec<usize>,
    /// Ports that one subnet grows to, with stops.
    #[arg(long, value_delimiter = ',', default_value = "0,5000,20000")]
    marks: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Operations, lists and tokens.
    Api,
    /// One subnet growing to 20,000 ports.
    Scale,
    /// Start, ports, rules and restarts in a lab.
    Hosts,
    /// From binding to flows on a host with many ports, a part of `hosts`, in a lab of its own; only when it is asked for.
    Bound,
    /// Many networks on one host.
    Networks,
    /// Packets between two hosts, beside a way built by hand (needs iperf3).
    Wire,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(anstream::stderr(), "error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let wants = |part| arguments.only.is_empty() || arguments.only.contains(&part);
    let on = machine::describe();
    say(&format!("Measured on {on}."));
    let mut tables: Vec<Table> = Vec::new();
    let mut show = |table: Table| {
        say(&table.to_string());
        tables.push(table);
    };
    let place = arguments.state_dir.clone().unwrap_or_else(std::env::temp_dir);
    let database = arguments.database.clone().zip(arguments.database_pid).map(|(url, pid)| Database { url, pid });
    if wants(Part::Api) {
        let server = Server::start(&arguments.server_binary, &place, database.as_ref())?;
        let amount = api::Amount { requests: arguments.requests, lists: (arguments.requests / 5).max(1) };
        let peer = arguments.peer.map(|address| Target { address, pids: arguments.peer_pids.clone(), family: None });
        let theirs = api::Amount { requests: arguments.peer_requests, lists: (arguments.peer_requests / 10).max(1) };
        api::run(&server, amount, peer.as_ref().map(|peer| (peer, theirs)))?.into_iter().for_each(&mut show);
    }
    if wants(Part::Scale) {
        let server = Server::start(&arguments.server_binary, &place, database.as_ref())?;
        let sample = (arguments.requests / 2).max(1);
        scale::run(&server, &arguments.marks, sample)?.into_iter().for_each(&mut show);
    }
    let theirs = match &arguments.neutron_agents {
        Some(command) => Agents::measured_by(command)?,
        None => Agents::OF_ANOTHER_RUN,
    };
    let lab = Lab::driven_by(&arguments.lab, &arguments.server_binary);
    if wants(Part::Hosts) {
        let Arguments { samples, ports, crowd, many, .. } = *arguments;
        hosts::run(&lab, hosts::Amount { samples, ports, crowd, many }, &theirs, &mut show)?;
    }
    if arguments.only.contains(&Part::Bound) {
        show(hosts::bound(&lab, arguments.samples, arguments.crowd)?);
    }
    if wants(Part::Networks) {
        show(hosts::networks(&lab, &arguments.networks, &theirs)?);
    }
    if wants(Part::Wire) {
        show(hosts::wire(&lab)?);
    }
    if let Some(path) = &arguments.json {
        let all = json!({ "machine": on, "tables": tables.iter().map(Table::json).collect::<Vec<_>>() });
        let failed = |source| Failure::Start { command: format!("write {}", path.display()), source };
        std::fs::write(path, format!("{all:#}\n")).map_err(failed)?;
    }
    Ok(())
}

fn say(text: &str) {
    // Nobody listens any more: the tables are kept all the same.
    let _ = writeln!(stdout(), "{text}").and_then(|()| stdout().flush());
}
